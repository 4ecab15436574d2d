//! OpenClaw's WebSocket channel, which joins one client to one agent behind a host.
//!
//! It is no mailbox: the host keeps nothing, answers go to the socket that asked, and an answer that is due
//! on a lost one is gone. So [`OpenClaw`] is a relay with one agent at the other end, and [`Host`] is one
//! whose agents are whoever is connected; what was stored on either side is all that survives. What a host
//! says in the clear comes apart, as [`Heard`].

mod address;
mod answers;
mod content;
mod frame;
mod host;
mod session;

use std::{
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use ctalk_core::classic::{Claims, MAX_MESSAGE_LEN, Malformed};
use tokio::sync::watch;

use self::{
    address::Address,
    answers::{Answers, Came},
    frame::Frame,
    session::{Ask, Session},
};
pub use self::{
    address::{Access, Token},
    answers::Heard,
    frame::{ChatMessage, ChatType},
    host::{Answering, Auth, Host, Rules},
};
use super::{
    Accepted, Body, Delivery, Destination, Incoming, Outgoing, Relay, RelayError, socket::Socket,
};
use crate::{client::as_millis, clock::Clock, store::Stored};

/// The address of whoever is at the other end: there is nobody else.
pub const AGENT: &str = "agent";
/// Bytes of a message's id.
const ID_LEN: usize = 16;

/// A line to the agent behind one host. Its copies are the same line.
#[derive(Clone)]
pub struct OpenClaw(Arc<Inner>);

struct Inner {
    address: Address,
    access: Access,
    /// The group that envelopes are said in.
    group: Option<String>,
    clock: Arc<dyn Clock>,
    /// How many connections were let in so far.
    let_in: watch::Sender<u64>,
    /// From the first call that needs it on.
    socket: OnceLock<Socket<Session>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    answers: Answers,
    /// The envelope whose answer did not come yet.
    unanswered: Option<String>,
    /// The connection that it was said over.
    said_over: u64,
}

impl OpenClaw {
    /// Prepares a line to the host at `url`: `openclaw+wss://HOST/PATH`, or with `ws` for one on this
    /// machine. Nothing is sent before the first call that needs it, which needs a runtime of Tokio.
    /// Envelopes are said in `group`, if there is one.
    ///
    /// # Errors
    /// [`RelayError::BadUrl`], also for a URL with a token in it.
    pub fn new(
        url: &str,
        access: Access,
        group: Option<String>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, RelayError> {
        Ok(Self(Arc::new(Inner {
            address: Address::read(url, &access)?,
            access,
            group,
            clock,
            let_in: watch::Sender::new(0),
            socket: OnceLock::new(),
            state: Mutex::default(),
        })))
    }

    /// Says something to the agent, which everybody on the way can read and change, and returns the id that
    /// answers name: that of the message, or a random one. Ok means that the host noticed it.
    ///
    /// # Errors
    /// [`RelayError`]. What was interrupted may have arrived, and is not said again.
    pub async fn say(&self, mut message: ChatMessage) -> Result<String, RelayError> {
        let id = match &message.message_id {
            Some(id) => id.clone(),
            None => random_id()?,
        };
        message.message_id = Some(id.clone());
        message.sender_id = message
            .sender_id
            .or_else(|| self.0.access.sender_id.clone());
        message.sender_name = message
            .sender_name
            .or_else(|| self.0.access.sender_name.clone());
        let frame = message
            .to_frame()
            .map_err(|error| crate::http::bad_answer(self.url(), error))?;
        let ask = Ask {
            id: id.clone(),
            frame,
        };
        let said_over = self.socket().ask(ask).await?;
        Self::is_connected_anew(&mut self.state(), said_over);
        Ok(id)
    }

    /// What was heard in the clear since this was last called.
    #[must_use]
    pub fn take_heard(&self) -> Vec<Heard> {
        std::mem::take(&mut self.state().answers.came.heard)
    }

    /// Does not say what was sent last again over the next connection: its answer came, or is not waited
    /// for any more.
    pub fn forget(&self) {
        self.state().unanswered = None;
    }

    /// Says an envelope.
    async fn pass_on(&self, text: &str) -> Result<String, RelayError> {
        self.say(ChatMessage {
            content: text.to_owned(),
            chat_type: self.0.group.as_ref().map(|_| ChatType::Group),
            group_id: self.0.group.clone(),
            ..ChatMessage::default()
        })
        .await
    }

    /// Says the envelope again whose answer was lost with its connection: whoever has it takes it once.
    async fn say_again(&self) -> Result<(), RelayError> {
        let text = {
            let mut state = self.state();
            let let_in = *self.0.let_in.borrow();
            if !Self::is_connected_anew(&mut state, let_in) {
                return Ok(());
            }
            state.unanswered.clone()
        };
        if let Some(text) = text {
            self.pass_on(&text).await?;
        }
        Ok(())
    }

    /// Whether this connection is another one than the last that was used.
    fn is_connected_anew(state: &mut State, connection: u64) -> bool {
        let is_new = state.said_over != connection;
        if is_new {
            state.said_over = connection;
            state.answers.came.heard.push(Heard::Connected);
        }
        is_new
    }

    fn socket(&self) -> &Socket<Session> {
        let inner = &self.0;
        inner.socket.get_or_init(|| {
            let session = Session::new(
                inner.address.url.clone(),
                inner.address.with(&inner.access),
                inner.let_in.clone(),
            );
            Socket::start(session, &inner.address.url, Arc::clone(&inner.clock))
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads frames.
    fn hear(&self, frames: Vec<Delivery>) {
        let now = self.0.clock.monotonic();
        let answers = &mut self.state().answers;
        for frame in frames {
            answers.take(Frame::read(&frame.raw), now);
        }
        answers.look(now);
    }

    /// How long to wait for frames, if `left` is how long is left.
    fn patience(&self, left: Duration) -> Duration {
        let now = self.0.clock.monotonic();
        let held = self.state().answers.left(now);
        held.map_or(left, |held| {
            left.min(Duration::from_millis(held.unsigned_abs()))
        })
    }
}

#[async_trait]
impl Relay for OpenClaw {
    fn url(&self) -> &str {
        &self.0.address.url
    }

    async fn send(&self, outgoing: &Outgoing) -> Result<Accepted, RelayError> {
        let Body::Native(text) = &outgoing.body else {
            return Err(RelayError::Unsupported {
                what: "anything but envelopes",
            });
        };
        match &outgoing.to {
            Destination::Agent(to) if to == AGENT => {}
            _ => {
                return Err(RelayError::Unsupported {
                    what: "anybody but the agent at the other end",
                });
            }
        }
        let id = self.pass_on(text).await?;
        let mut state = self.state();
        state.unanswered = Some(text.clone());
        drop(state);
        Ok(Accepted {
            relay_id: Some(id),
            ts: None,
        })
    }

    async fn fetch(&self, wait: Duration) -> Result<Vec<Delivery>, RelayError> {
        let clock = &self.0.clock;
        let began = clock.monotonic();
        let mut let_in = self.0.let_in.subscribe();
        loop {
            self.say_again().await?;
            let passed = clock.monotonic().saturating_sub(began).max(0);
            let left = wait.saturating_sub(Duration::from_millis(passed.unsigned_abs()));
            let frames = tokio::select! {
                frames = self.socket().next(clock.sleep(self.patience(left))) => frames?,
                _ = let_in.changed() => Vec::new(),
            };
            self.hear(frames);
            let mut state = self.state();
            let Came { deliveries, heard } = &mut state.answers.came;
            let is_over = as_millis(wait) <= clock.monotonic().saturating_sub(began);
            if is_over || !deliveries.is_empty() || !heard.is_empty() {
                return Ok(std::mem::take(deliveries));
            }
        }
    }

    fn take_buffered(&self) -> Vec<Delivery> {
        if let Some(socket) = self.0.socket.get() {
            self.hear(socket.take());
        }
        std::mem::take(&mut self.state().answers.came.deliveries)
    }

    /// The host keeps nothing.
    async fn acknowledge(&self, stored: Stored) -> Result<usize, RelayError> {
        Ok(stored.into_relay_ids().len().max(1))
    }

    fn read(&self, raw: &[u8]) -> Result<Incoming, Malformed> {
        read(raw, AGENT)
    }
}

/// Reads a text that was stored, of somebody at this address.
fn read(raw: &[u8], from: &str) -> Result<Incoming, Malformed> {
    if raw.len() > MAX_MESSAGE_LEN {
        return Err(Malformed::TooLong { found: raw.len() });
    }
    let text = str::from_utf8(raw).map_err(|_| Malformed::Missing { member: "content" })?;
    let claims = Claims {
        id: None,
        from: from.to_owned(),
        to: String::new(),
        message_type: "notification".to_owned(),
        topic: None,
        correlation_id: None,
        reply_to: None,
        ts: None,
    };
    Ok(Incoming::of(claims, text.to_owned()))
}

/// An id that nobody can guess, in hex.
fn random_id() -> Result<String, RelayError> {
    let mut bytes = [0; ID_LEN];
    getrandom::fill(&mut bytes).map_err(|_| RelayError::Unsupported {
        what: "anything without the system's randomness",
    })?;
    Ok(hex::encode(bytes))
}
