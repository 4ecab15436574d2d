//! `GET /channels`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use crate::api_error::ApiError;
use crate::auth::AgentCaller;
use crate::http::App;

/// Topics of the caller's live messages.
#[utoipa::path(
    get,
    path = "/channels",
    tag = "messages",
    responses((status = 200, description = "Each once, at most 1000", body = Vec<String>)),
    security(("agent" = [])),
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    AgentCaller(agent): AgentCaller,
) -> Result<Json<Vec<String>>, ApiError> {
    Ok(Json(app.store.channels(agent.id).await?))
}
