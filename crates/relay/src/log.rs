//! What goes into the log, through `tracing`.
//!
//! No line holds keys, bodies, paths or query strings: a request shows as its method and its route's
//! template, its sender as the agent's name. What anybody can cause at any rate is counted and told
//! with the housekeeping, so that nobody fills a disk with it.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use tracing::{Instrument, Span, debug, error, field, warn, warn_span};

use crate::http::App;
use crate::store::{Agent, StoreError};

/// The field of a request's span that names its caller.
const AGENT: &str = "agent";

/// Writes a line for each request, and puts all that is told during one into its span.
pub(crate) async fn requests(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Response {
    let began = Instant::now();
    let method = method(request.method());
    let route = route(&request).to_owned();
    let span = warn_span!("request", method, route, { AGENT } = field::Empty);
    let response = next.run(request).instrument(span.clone()).await;
    let status = response.status();
    if status == StatusCode::UNAUTHORIZED {
        app.tally.refused_key();
    }
    app.metrics.answered(method, route, status);
    let duration_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    span.in_scope(|| debug!(status = status.as_u16(), duration_us, "answered"));
    response
}

/// The method, unless the peer made one up.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::DELETE => "DELETE",
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        Method::POST => "POST",
        Method::PUT => "PUT",
        _ => "other",
    }
}

/// The template of the route, such as `/messages/{id}`.
fn route(request: &Request) -> &str {
    let matched = request.extensions().get::<MatchedPath>();
    matched.map_or("unknown", MatchedPath::as_str)
}

/// Names the agent whose key the request under way carries.
pub(crate) fn called_by(agent: &Agent) {
    Span::current().record(AGENT, agent.name.as_str());
}

/// Tells that the store failed a request.
pub(crate) fn store_failed(error: &StoreError) {
    error!(error = error.to_string(), "the store failed a request");
}

/// What is told as a number.
#[derive(Default)]
pub(crate) struct Tally {
    refused_keys: AtomicU64,
    slow_bodies: AtomicU64,
    failed_webhooks: AtomicU64,
    /// And why the last one was.
    unaccepted: Mutex<(u64, String)>,
}

impl Tally {
    fn refused_key(&self) {
        self.refused_keys.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request whose body did not arrive in time.
    pub(crate) fn slow_body(&self) {
        self.slow_bodies.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an attempt to post to a webhook that failed.
    pub(crate) fn failed_webhook(&self) {
        self.failed_webhooks.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a connection that the system refused.
    pub(crate) fn unaccepted(&self, error: &io::Error) {
        let mut unaccepted = self
            .unaccepted
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *unaccepted = (unaccepted.0.saturating_add(1), error.to_string());
    }

    /// Tells what was counted since the last time.
    pub(crate) fn tell(&self) {
        let refused = self.refused_keys.swap(0, Ordering::Relaxed);
        if refused > 0 {
            warn!(
                requests = refused,
                "requests without a valid key were refused"
            );
        }
        let slow = self.slow_bodies.swap(0, Ordering::Relaxed);
        if slow > 0 {
            warn!(
                requests = slow,
                "requests ended because their bodies were slow"
            );
        }
        let failed = self.failed_webhooks.swap(0, Ordering::Relaxed);
        if failed > 0 {
            warn!(attempts = failed, "posting to webhooks failed");
        }
        let mut unaccepted = self
            .unaccepted
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (attempts, error) = core::mem::take(&mut *unaccepted);
        drop(unaccepted);
        if attempts > 0 {
            warn!(attempts, error, "the system refused connections");
        }
    }
}
