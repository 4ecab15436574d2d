//! The HTTP API, one module per kind of resource.

mod accounts;
mod agents;
mod audit;
mod channels;
mod health;
mod invites;
mod keys;
mod messages;
mod metrics;
mod openapi;
mod page;
mod pages;
mod quotas;
mod ready;
mod sending;
mod stream;
mod webhooks;

use std::sync::Arc;

use axum::Router;
use axum::routing::{delete, get, post};

use crate::http::App;

/// Every route; a path or method that is not here is unknown.
pub(crate) fn all() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(pages::landing))
        .route("/signup", get(pages::signup))
        .route("/monitor", get(pages::monitor))
        .route("/health", get(health::show))
        .route("/admin/agents", get(accounts::list))
        .route("/ready", get(ready::show))
        .route("/agents", get(agents::list).post(agents::register))
        .route(
            "/agents/{name}",
            get(agents::show)
                .patch(agents::change)
                .delete(agents::remove),
        )
        .route(
            "/agents/{name}/key",
            post(keys::replace).delete(keys::revoke),
        )
        .route(
            "/agents/{name}/quota",
            get(quotas::show).patch(quotas::change),
        )
        .route(
            "/agents/{name}/webhook-secret",
            post(webhooks::replace_secret),
        )
        .route("/messages", get(messages::list).post(sending::send))
        .route("/messages/batch", post(sending::send_batch))
        .route("/messages/delete", post(messages::remove_many))
        .route("/messages/stream", get(stream::open))
        .route("/messages/{id}", delete(messages::remove))
        .route("/channels", get(channels::list))
        .route(
            "/audit",
            get(audit::list).post(audit::log).delete(audit::clear),
        )
        .route("/invites", get(invites::list).post(invites::create))
        .route("/invites/{code}", delete(invites::remove))
        .route("/openapi.json", get(openapi::show))
        .route("/webhooks", get(webhooks::list))
        .route("/register", post(agents::register_with_invite))
}

/// What can be told before the database is open.
pub(crate) fn opening() -> Router {
    Router::new().route("/ready", get(ready::starting))
}

/// What monitoring reads: nothing here is for agents.
pub(crate) fn monitoring() -> Router<Arc<App>> {
    Router::new()
        .route("/metrics", get(metrics::show))
        .route("/ready", get(ready::show))
}
