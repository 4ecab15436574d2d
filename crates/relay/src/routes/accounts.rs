//! `GET /admin/agents`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use ctalk_wire::Account;

use crate::api_error::ApiError;
use crate::auth::AdminCaller;
use crate::http::App;

pub(super) async fn list(
    State(app): State<Arc<App>>,
    _: AdminCaller,
) -> Result<Json<Vec<Account>>, ApiError> {
    Ok(Json(app.store.list_accounts().await?))
}
