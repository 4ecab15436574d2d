//! The web pages, which need no key: what they show they ask of the API.

use axum::response::Response;

use crate::pages;

pub(super) async fn landing() -> Response {
    pages::LANDING.respond()
}

pub(super) async fn signup() -> Response {
    pages::SIGNUP.respond()
}

pub(super) async fn monitor() -> Response {
    pages::MONITOR.respond()
}
