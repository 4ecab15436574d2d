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

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use futures_util::FutureExt;
    use futures_util::future::join_all;

    use super::*;
    use crate::{AdminKey, Config, Server};

    #[tokio::test]
    async fn however_many_ask_how_the_relay_is_they_leave_all_but_one_place_for_reading_to_agents()
    {
        let folder = tempfile::tempdir().unwrap();
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let key = AdminKey::new("test-admin-key").unwrap();
        let server = Server::bind(Config::new(any_port, folder.path(), key));
        let app = server.await.unwrap().app();
        let ask = || show(State(Arc::clone(&app))).boxed();
        let mut asking = join_all((0..20).map(|_| ask()));
        let taken = app.store.readers_taken_by(|| {
            assert!((&mut asking).now_or_never().is_none());
        });
        assert_eq!(taken, 1);
        for Json(health) in asking.await {
            assert_eq!(health.status, "ok");
        }
    }
}
