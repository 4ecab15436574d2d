//! `GET /ready`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use crate::http::App;
use crate::readiness::Unready;

/// Whether agents should be sent here.
#[derive(Serialize)]
pub(super) struct Ready {
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Unready>,
}

pub(super) async fn show(State(app): State<Arc<App>>) -> (StatusCode, Json<Ready>) {
    let unready = if *app.stopping.borrow() {
        Some(Unready::Stopping)
    } else {
        app.readiness.check(&app.store).await.err()
    };
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
