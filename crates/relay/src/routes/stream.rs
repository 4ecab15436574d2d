//! `GET /messages/stream`: Server-Sent Events (WHATWG HTML, section 9.2).
//!
//! The body is made as the peer takes it. A peer that is slow is not sent what arrives meanwhile
//! from memory: the next part is read from the database when there is room for it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName};
use axum::response::{IntoResponse, Response};
use futures_util::stream::try_unfold;
use tokio::time::Instant;

use crate::api_error::ApiError;
use crate::auth::{AgentCaller, KeyHash};
use crate::clock::{iso, parse_iso};
use crate::http::App;
use crate::listener::{Heard, Listener};
use crate::metrics::OneMore;
use crate::store::{Filter, StoreError, StoredEnvelope};

use super::messages::parameter;

/// The id of the last event that a reconnecting client has seen.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Keeps nginx, which many relays stand behind, from holding events back.
const NO_BUFFERING: (HeaderName, &str) = (HeaderName::from_static("x-accel-buffering"), "no");
/// The most messages that are read at a time.
const MAX_READ: u32 = 32;
/// An event of which clients take no notice.
const COMMENT: &[u8] = b":\n\n";

/// Answers with every stored message after the given one, and then with each as it arrives.
pub(super) async fn open(
    State(app): State<Arc<App>>,
    AgentCaller(agent): AgentCaller,
    key: KeyHash,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let query = query.unwrap_or_default();
    let last_seen = headers.get(LAST_EVENT_ID);
    let last_seen = last_seen.and_then(|id| parse_iso(id.to_str().ok()?));
    let after_ms = last_seen.or_else(|| parse_iso(&parameter(&query, "after")?));
    let messages = Messages {
        heartbeat: app.heartbeat,
        _counted: OneMore::of(&app.metrics.streams),
        listener: Listener::new(app, agent, key)?,
        filter: Filter {
            after_ms,
            topic: parameter(&query, "topic"),
            oldest_first: true,
            limit: MAX_READ,
        },
        is_new: true,
    };
    let body = Body::from_stream(try_unfold(messages, Messages::next));
    let headers = [(CONTENT_TYPE, "text/event-stream"), NO_BUFFERING];
    Ok((headers, body).into_response())
}

/// A stream between two of its parts.
struct Messages {
    listener: Listener,
    filter: Filter,
    heartbeat: Duration,
    /// Whether nothing was sent yet.
    is_new: bool,
    _counted: OneMore,
}

impl Messages {
    /// The next part, or the end.
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, StoreError> {
        if core::mem::take(&mut self.is_new) {
            // Tells the peer at once that the stream is open.
            return Ok(Some((Bytes::from_static(COMMENT), self)));
        }
        self.listener.saw();
        let silent_until = Instant::now() + self.heartbeat;
        Ok(
            match self.listener.listen(&self.filter, silent_until).await? {
                // What did not fit into the page is read after this.
                Heard::Messages(page) => {
                    let newest = page.envelopes.last().map(|envelope| envelope.ts);
                    self.filter.after_ms = newest.or(self.filter.after_ms);
                    Some((events(&page.envelopes), self))
                }
                Heard::Nothing => Some((Bytes::from_static(COMMENT), self)),
                Heard::Stopping | Heard::Dismissed => None,
            },
        )
    }
}

fn events(envelopes: &[StoredEnvelope]) -> Bytes {
    let mut events = String::with_capacity(envelopes.iter().map(|it| it.json.len() + 48).sum());
    for envelope in envelopes {
        events.push_str("id: ");
        events.push_str(&iso(envelope.ts));
        events.push_str("\ndata: ");
        // JSON has line breaks between its tokens only, where a space means the same.
        events.extend(envelope.json.chars().map(|character| match character {
            '\r' | '\n' => ' ',
            other => other,
        }));
        events.push_str("\n\n");
    }
    events.into()
}
