//! What all routes share: the application's state, headers, unknown paths, names in paths.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::HttpBody;
use axum::extract::Request;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    CACHE_CONTROL, CONNECTION, PRAGMA, RETRY_AFTER,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::{Next, from_fn, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use percent_encoding::percent_decode_str;
use tokio::sync::{Mutex, watch};

use crate::api_error::ApiError;
use crate::config::Paging;
use crate::log::{self, Tally};
use crate::metrics::Metrics;
use crate::readiness::Readiness;
use crate::registrations::Registrations;
use crate::store::Store;
use crate::testing::Defects;
use crate::tls::Tls;
use crate::{AddressHeader, AdminKey, Audit, Clock, RateLimit, crowding, drain, routes};

/// What the routes work with.
pub(crate) struct App {
    pub(crate) store: Arc<Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) admin_key: AdminKey,
    pub(crate) rate_limit: RateLimit,
    pub(crate) registrations: Registrations,
    pub(crate) address_header: Option<AddressHeader>,
    pub(crate) admin_view: bool,
    pub(crate) audit: Audit,
    pub(crate) tls: Option<Tls>,
    pub(crate) paging: Paging,
    /// How long a stream is silent at most.
    pub(crate) heartbeat: Duration,
    /// Turns true when the relay is told to stop.
    pub(crate) stopping: watch::Receiver<bool>,
    pub(crate) tally: Tally,
    pub(crate) metrics: Metrics,
    pub(crate) readiness: Readiness,
    /// Of those who ask how the relay is, for which they need no key, one reads at a time.
    pub(crate) health: Mutex<()>,
    /// Where this relay is reached, when a request does not say.
    pub(crate) url: String,
}

impl App {
    /// `https` with TLS, else `http`.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}

/// The whole API.
pub(crate) fn router(app: Arc<App>, defects: Option<Defects>) -> Router {
    let mut routes = routes::all();
    if let Some(defects) = defects {
        routes = defects.around(routes, &app);
    }
    routes
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .layer(from_fn_with_state(Arc::clone(&app), crowding::bounded))
        .layer(from_fn(finish))
        .layer(from_fn_with_state(Arc::clone(&app), log::requests))
        .with_state(app)
}

/// What is served until the database is open.
pub(crate) fn opening() -> Router {
    routes::opening()
        .fallback(unavailable)
        .method_not_allowed_fallback(unavailable)
        .layer(from_fn(finish))
        // Its next request is for the relay that is open then.
        .layer(map_response(async |response: Response| {
            ([(CONNECTION, "close")], response)
        }))
}

async fn unavailable() -> ApiError {
    ApiError::unavailable()
}

/// What the listener for monitoring serves.
pub(crate) fn monitoring(app: Arc<App>) -> Router {
    routes::monitoring()
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .with_state(app)
}

async fn unknown() -> ApiError {
    ApiError::not_found("there is no such route")
}

/// Answers what is the same on every path and adds the headers that every answer has.
async fn finish(request: Request, next: Next) -> Response {
    if request.method() == Method::OPTIONS {
        let mut response = StatusCode::NO_CONTENT.into_response();
        add_cors(response.headers_mut());
        return response;
    }
    let mut response = if request.method() == Method::HEAD {
        unknown().await.into_response()
    } else {
        answer(request, next).await
    };
    let is_unavailable = response.status() == StatusCode::SERVICE_UNAVAILABLE;
    let headers = response.headers_mut();
    add_cors(headers);
    if is_unavailable {
        // In seconds.
        headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
    }
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("no-store, no-cache, must-revalidate"),
    );
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

async fn answer(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let (body, rest) = drain::lend(body);
    let response = next.run(Request::from_parts(parts, body)).await;
    rest.discard().await;
    response
}

fn add_cors(headers: &mut HeaderMap) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(
        ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, POST, PATCH, DELETE, OPTIONS"),
    );
    headers.insert(
        ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("Authorization, Content-Type, Cache-Control"),
    );
}

/// The last segment of a path, as it stands there.
pub(crate) fn last_segment(uri: &Uri) -> &str {
    uri.path().rsplit('/').next().unwrap_or_default()
}

/// The last segment of a path, percent-decoded.
pub(crate) fn decoded_last_segment(uri: &Uri) -> Result<String, ApiError> {
    decoded(last_segment(uri))
}

/// The segment before the last one of a path, percent-decoded.
pub(crate) fn decoded_parent_segment(uri: &Uri) -> Result<String, ApiError> {
    decoded(uri.path().rsplit('/').nth(1).unwrap_or_default())
}

fn decoded(segment: &str) -> Result<String, ApiError> {
    let broken = || ApiError::bad_request("the path holds a broken percent-escape");
    // The decoder leaves broken escapes as they are, so they are looked for first.
    let whole = segment.split('%').skip(1).all(|rest| {
        let mut digits = rest.bytes().take(2);
        digits.len() == 2 && digits.all(|digit| digit.is_ascii_hexdigit())
    });
    if !whole {
        return Err(broken());
    }
    let decoded = percent_decode_str(segment).decode_utf8();
    decoded.map(Into::into).map_err(|_| broken())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(path: &str) -> Option<String> {
        decoded_last_segment(&path.parse().unwrap()).ok()
    }

    #[test]
    fn names_in_paths_are_percent_decoded() {
        assert_eq!(decode("/agents/alice").unwrap(), "alice");
        assert_eq!(decode("/agents/al%69ce").unwrap(), "alice");
        assert_eq!(decode("/agents/a%2Fb%20c").unwrap(), "a/b c");
    }

    #[test]
    fn broken_escapes_are_refused() {
        for path in [
            "/agents/%",
            "/agents/a%4",
            "/agents/%zz",
            "/agents/%%41",
            "/agents/%ff",
        ] {
            assert_eq!(decode(path), None, "{path}");
        }
    }
}
