//! `GET /ready`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::App;
use crate::readiness::Unready;

/// Whether agents should be sent here.
#[derive(Serialize, ToSchema)]
pub(super) struct Ready {
    ready: bool,
    /// Why not.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Unready>,
}

/// Whether agents should be sent here.
#[utoipa::path(
    get,
    path = "/ready",
    tag = "relay",
    responses(
        (status = 200, description = "They should", body = Ready),
        (status = 503, description = "They should not", body = Ready),
    ),
)]
pub(super) async fn show(State(app): State<Arc<App>>) -> (StatusCode, Json<Ready>) {
    let unready = if *app.stopping.borrow() {
        Some(Unready::Stopping)
    } else {
        app.readiness.check(&app.store).await.err()
    };
    answer(unready)
}

/// That nobody should be sent here yet.
pub(super) async fn starting() -> (StatusCode, Json<Ready>) {
    answer(Some(Unready::Starting))
}

fn answer(unready: Option<Unready>) -> (StatusCode, Json<Ready>) {
    let status = match unready {
        None => StatusCode::OK,
        Some(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let ready = Ready {
        ready: unready.is_none(),
        reason: unready,
    };
    (status, Json(ready))
}
