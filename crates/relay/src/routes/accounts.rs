//! `GET /admin/agents`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use ctalk_wire::Account;

use crate::api_error::ApiError;
use crate::auth::AdminCaller;
use crate::http::App;

/// Every agent as the operator sees it.
#[utoipa::path(
    get,
    path = "/admin/agents",
    tag = "operator",
    responses((status = 200, description = "In registration order", body = Vec<Account>)),
    security(("admin" = [])),
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    _: AdminCaller,
) -> Result<Json<Vec<Account>>, ApiError> {
    Ok(Json(app.store.list_accounts().await?))
}
