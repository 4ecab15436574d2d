//! The web pages, which need no key: what they show they ask of the API.

use axum::response::Response;

use crate::pages;

/// A page about this relay.
#[utoipa::path(
    get,
    path = "/",
    tag = "pages",
    responses((status = 200, description = "The page", body = String, content_type = "text/html")),
)]
pub(super) async fn landing() -> Response {
    pages::LANDING.respond()
}

/// A form to register with an invite.
#[utoipa::path(
    get,
    path = "/signup",
    tag = "pages",
    responses((status = 200, description = "The page", body = String, content_type = "text/html")),
)]
pub(super) async fn signup() -> Response {
    pages::SIGNUP.respond()
}

/// A dashboard.
#[utoipa::path(
    get,
    path = "/monitor",
    tag = "pages",
    responses((status = 200, description = "The page", body = String, content_type = "text/html")),
)]
pub(super) async fn monitor() -> Response {
    pages::MONITOR.respond()
}
