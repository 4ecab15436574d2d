//! Messages that the relay pushes, as Server-Sent Events (WHATWG HTML, section 9.2): ctalk's own relay has
//! such a stream, and the reference relay has none.
//!
//! A stream begins with everything that the relay holds for the agent. So whatever went wrong with one, the
//! next one makes up for it, and nothing has to be remembered of it: what was acknowledged is gone, and what
//! comes twice is stored once.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt, Stream, StreamExt, stream::try_unfold};
use reqwest::{Method, StatusCode, header};
use sse_stream::{Sse, SseByteStream};

use super::{ClawTalk, PAGE, delivery};
use crate::relay::{Delivery, RelayError};

/// For how long a relay without a stream is not asked for one again.
const ABSENT: Duration = Duration::from_secs(60 * 60);
/// For how long it is not asked when it has no place for another stream.
const FULL: Duration = Duration::from_secs(60);
/// How long a stream lasts at most. It may be silent for as long as any answer, and the relay's heartbeat is
/// faster.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// Most bytes of one event, which holds one message, every character escaped.
const MAX_EVENT: usize = 8 << 20;
/// Most bytes of messages that are handed out together.
const MAX_BURST: usize = 16 << 20;

type Events = Pin<Box<dyn Stream<Item = Result<Sse, sse_stream::Error>> + Send>>;

/// The stream of messages, if there is one.
#[derive(Default)]
pub(super) struct Push {
    open: Option<Open>,
    /// Before then, by the monotonic clock, no stream is asked for.
    not_before: Option<i64>,
}

struct Open {
    events: Events,
    /// How many bytes came since the last event.
    unread: Arc<AtomicUsize>,
    /// Whether messages were handed out that are not acknowledged.
    owes: bool,
    /// Whether the last call handed messages out.
    handed_out: bool,
}

/// What came of the wait for a push.
pub(super) enum Pushed {
    Messages(Vec<Delivery>),
    /// There is no stream, and the inbox has to be looked at.
    NoStream,
}

impl Push {
    /// What was handed out is stored, and the relay has let go of what it would.
    pub(super) fn acknowledged(&mut self) {
        if let Some(open) = &mut self.open {
            open.owes = false;
        }
    }

    /// Waits for messages, if there is a stream or one can be had. It may be broken off, and loses nothing.
    pub(super) async fn wait(
        &mut self,
        relay: &ClawTalk,
        wait: Duration,
    ) -> Result<Pushed, RelayError> {
        // What nobody acknowledged was lost on the way to the store, and the next stream brings it again.
        self.open.take_if(|open| open.owes);
        let follows = self.open.as_mut().is_some_and(Open::follows);
        if wait.is_zero() && !follows {
            return Ok(Pushed::NoStream);
        }
        if self.open.is_none() && !self.begin(relay).await? {
            return Ok(Pushed::NoStream);
        }
        let Some(open) = &mut self.open else {
            return Ok(Pushed::NoStream);
        };
        let first = tokio::select! {
            biased;
            event = open.events.next() => event,
            () = relay.clock.sleep(wait) => return Ok(Pushed::Messages(Vec::new())),
        };
        // From here on nothing is waited for, so that nothing that was taken is lost.
        let (messages, is_over) = open.burst(first);
        if is_over {
            self.open = None;
        }
        Ok(Pushed::Messages(messages))
    }

    /// Asks the relay for a stream; false when it has none.
    async fn begin(&mut self, relay: &ClawTalk) -> Result<bool, RelayError> {
        let now = relay.clock.monotonic();
        if self.not_before.is_some_and(|not_before| now < not_before) {
            return Ok(false);
        }
        let request = relay
            .request(Method::GET, "/messages/stream", Some(relay.key()?))
            .header(header::ACCEPT, "text/event-stream")
            .timeout(LONGEST);
        let response = relay.run(request).await?;
        let pause = match response.status() {
            StatusCode::OK if is_event_stream(&response) => {
                self.open = Some(Open::new(response));
                return Ok(true);
            }
            StatusCode::TOO_MANY_REQUESTS => FULL,
            StatusCode::UNAUTHORIZED => return Err(relay.refusal(response).await),
            status if status.is_server_error() => return Err(relay.refusal(response).await),
            _ => ABSENT,
        };
        let pause = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
        self.not_before = Some(now.saturating_add(pause));
        Ok(false)
    }
}

impl Open {
    fn new(response: reqwest::Response) -> Self {
        let unread = Arc::new(AtomicUsize::new(0));
        Self {
            events: Box::pin(SseByteStream::new(Box::pin(chunks(
                response,
                Arc::clone(&unread),
            )))),
            unread,
            owes: false,
            handed_out: false,
        }
    }

    /// Whether this call follows one that handed messages out, and need not wait for more.
    const fn follows(&mut self) -> bool {
        std::mem::replace(&mut self.handed_out, false)
    }

    /// The event and those that have come already, up to a page of them; and whether the stream is over.
    fn burst(&mut self, first: Option<Result<Sse, sse_stream::Error>>) -> (Vec<Delivery>, bool) {
        let (mut messages, mut bytes) = (Vec::new(), 0);
        let mut next = Some(first);
        let is_over = loop {
            match next {
                None => break false,
                // Why does not matter: the next stream is asked for and says so.
                Some(None | Some(Err(_))) => break true,
                Some(Some(Ok(event))) => {
                    self.unread.store(0, Ordering::Relaxed);
                    if let Some(data) = event.data {
                        bytes += data.len();
                        messages.push(delivery(&data));
                    }
                }
            }
            if messages.len() >= PAGE || bytes >= MAX_BURST {
                break false;
            }
            next = self.events.next().now_or_never();
        };
        self.owes = !messages.is_empty();
        self.handed_out = self.owes;
        (messages, is_over)
    }
}

/// Whether an answer says that it is a stream of events; whatever answers anything else knows of none.
fn is_event_stream(response: &reqwest::Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    kind.and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.starts_with("text/event-stream"))
}

/// The bytes of an answer as they come, as long as no event is too long.
fn chunks(
    response: reqwest::Response,
    unread: Arc<AtomicUsize>,
) -> impl Stream<Item = Result<Bytes, Ended>> {
    try_unfold(response, move |mut response| {
        let unread = Arc::clone(&unread);
        async move {
            let Some(chunk) = response.chunk().await.map_err(|_| Ended)? else {
                return Ok(None);
            };
            let before = unread.fetch_add(chunk.len(), Ordering::Relaxed);
            if before.saturating_add(chunk.len()) > MAX_EVENT {
                return Err(Ended);
            }
            Ok(Some((chunk, response)))
        }
    })
}

/// A stream ended that should not have.
#[derive(Debug, thiserror::Error)]
#[error("the stream ended")]
struct Ended;
