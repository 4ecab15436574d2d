//! `GET /health`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use ctalk_wire::Health;

use crate::clock::iso;
use crate::http::App;

/// How the relay is.
#[utoipa::path(
    get,
    path = "/health",
    tag = "relay",
    responses(
        (
            status = 200,
            description = "It answers; `status` is `degraded` when its storage fails",
            body = Health,
        ),
    ),
)]
pub(super) async fn show(State(app): State<Arc<App>>) -> Json<Health> {
    let alone = app.health.lock().await;
    let counted = app.store.count_agents().await;
    drop(alone);
    Json(Health {
        status: if counted.is_ok() { "ok" } else { "degraded" }.to_owned(),
        ts: iso(app.clock.now_ms()),
        agents: counted.map_or_else(|_| "unavailable".into(), Into::into),
    })
}
