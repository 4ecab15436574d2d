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
use ctalk_wire::ErrorBody;
use futures_util::stream::try_unfold;
use tokio::time::Instant;

use crate::api_error::ApiError;
use crate::auth::{Caller, KeyHash};
use crate::clock::{iso, parse_iso};
use crate::http::App;
use crate::listener::{Heard, Listener};
use crate::metrics::OneMore;
use crate::store::{Filter, Inbox, StoreError, StoredEnvelope};

use super::messages::{hidden_from_operator, parameter};

/// The id of the last event that a reconnecting client has seen.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Keeps nginx, which many relays stand behind, from holding events back.
const NO_BUFFERING: (HeaderName, &str) = (HeaderName::from_static("x-accel-buffering"), "no");
/// The most messages that are read at a time.
const MAX_READ: u32 = 32;
/// An event of which clients take no notice.
const COMMENT: &[u8] = b":\n\n";

/// Messages as they arrive, as Server-Sent Events.
///
/// Brings an agent every message in its inbox after the given one, and then each as it arrives;
/// the operator each copy that is stored from now on.
#[utoipa::path(
    get,
    path = "/messages/stream",
    tag = "messages",
    params(
        ("after" = Option<String>, Query, description = "Only later messages: an ISO 8601 time"),
        ("topic" = Option<String>, Query, description = "Only messages of this topic"),
        (
            "Last-Event-ID" = Option<String>,
            Header,
            description = "The id of the last event that was seen; comes before `after`",
        ),
    ),
    responses(
        (
            status = 200,
            description = "Events with the id TS and an envelope as data",
            body = String,
            content_type = "text/event-stream",
        ),
        (
            status = 403,
            description = "This relay does not show messages to its operator",
            body = ErrorBody,
        ),
        (status = 429, description = "`RATE_LIMITED`: too many requests wait", body = ErrorBody),
    ),
    security(("agent" = []), ("admin" = [])),
)]
pub(super) async fn open(
    State(app): State<Arc<App>>,
    caller: Caller,
    key: KeyHash,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let mut filter = Filter {
        after_ms: None,
        topic: None,
        oldest_first: true,
        limit: MAX_READ,
    };
    let heartbeat = app.heartbeat;
    let counted = OneMore::of(&app.metrics.streams);
    let (inbox, listener) = match caller {
        Caller::Admin if !app.admin_view => return Err(hidden_from_operator()),
        Caller::Admin => {
            let newest = app.store.newest().await?;
            (Inbox::StoredAfter(newest), Listener::of_operator(app)?)
        }
        Caller::Agent(agent) => {
            let query = query.unwrap_or_default();
            let last_seen = headers.get(LAST_EVENT_ID);
            let last_seen = last_seen.and_then(|id| parse_iso(id.to_str().ok()?));
            filter.after_ms = last_seen.or_else(|| parse_iso(&parameter(&query, "after")?));
            filter.topic = parameter(&query, "topic");
            let inbox = Inbox::Of(agent.id);
            (inbox, Listener::of_agent(app, agent, key)?)
        }
    };
    let messages = Messages {
        _counted: counted,
        listener,
        inbox,
        filter,
        heartbeat,
        is_new: true,
    };
    let body = Body::from_stream(try_unfold(messages, Messages::next));
    let headers = [(CONTENT_TYPE, "text/event-stream"), NO_BUFFERING];
    Ok((headers, body).into_response())
}

/// A stream between two of its parts.
struct Messages {
    listener: Listener,
    inbox: Inbox,
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
        let heard = self.listener.listen(self.inbox, &self.filter, silent_until);
        Ok(match heard.await? {
            Heard::Messages(page) => {
                // What did not fit into the page is read after this.
                if let Some(newest) = page.envelopes.last() {
                    self.pass(newest);
                }
                Some((self.events(&page.envelopes), self))
            }
            Heard::Nothing => Some((Bytes::from_static(COMMENT), self)),
            Heard::Stopping | Heard::Dismissed => None,
        })
    }

    /// Goes on after `envelope`.
    fn pass(&mut self, envelope: &StoredEnvelope) {
        match &mut self.inbox {
            Inbox::StoredAfter(position) => *position = envelope.position,
            Inbox::Of(_) | Inbox::Everyone => self.filter.after_ms = Some(envelope.ts),
        }
    }

    fn events(&self, envelopes: &[StoredEnvelope]) -> Bytes {
        let mut events = String::with_capacity(envelopes.iter().map(|it| it.json.len() + 48).sum());
        for envelope in envelopes {
            // Times order what is in one inbox, and nothing else.
            if matches!(self.inbox, Inbox::Of(_)) {
                events.push_str("id: ");
                events.push_str(&iso(envelope.ts));
                events.push('\n');
            }
            events.push_str("data: ");
            // JSON has line breaks between its tokens only, where a space means the same.
            events.extend(envelope.json.chars().map(|character| match character {
                '\r' | '\n' => ' ',
                other => other,
            }));
            events.push_str("\n\n");
        }
        events.into()
    }
}
