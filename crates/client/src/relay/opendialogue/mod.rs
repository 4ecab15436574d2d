//! OpenDialogue: a relay that pushes over one WebSocket for each agent, keeps a few messages for those who
//! are away, and knows agents by numbers.
//!
//! It signs for everybody, and lets anybody speak as anybody: nothing that it says of a sender counts, and
//! a status says only what it did with a message. To connect is to take what waits, so that one process at
//! a time may, and storing what was pushed is the acknowledgement.

mod content;
mod credentials;
mod frame;
mod refusal;
mod rest;
mod session;
mod signature;

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use ctalk_core::{Card, classic::Malformed};

pub use self::{
    credentials::Credentials,
    rest::{Agent, register},
};
use self::{
    refusal::RATE_WINDOW,
    rest::Rest,
    session::{Ask, Session},
};
use super::{
    Accepted, Body, Delivery, Destination, Incoming, Outgoing, Relay, RelayError, chat::spoken,
    random, socket::Socket,
};
use crate::{client::as_millis, clock::Clock, store::Stored};

/// What an address begins with.
const SCHEME: &str = "opendialogue+";
/// Where the WebSocket is.
const CONNECT: &str = "/connect";
/// Longest text, in UTF-16 units; those of ctalk have one for each character.
const LONGEST_TEXT: usize = 16_384;
/// Bytes of a conversation's id.
const CONVERSATION_LEN: usize = 16;
/// Most conversations that are remembered.
const MAX_CONVERSATIONS: usize = 10_000;
/// Messages that the relay takes in its window.
const RATE: usize = 60;
/// How long nothing comes when everything that waited has come: nothing else says so.
const QUIET: Duration = Duration::from_secs(1);

/// One agent's connection to an OpenDialogue relay.
pub struct OpenDialogue {
    url: String,
    socket_url: String,
    rest: Rest,
    credentials: Credentials,
    clock: Arc<dyn Clock>,
    /// From the first call that needs it on.
    socket: OnceLock<Socket<Session>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The conversation with each peer.
    conversations: HashMap<String, String>,
    /// When the relay took the last messages, as many as it takes in its window, by the monotonic clock.
    taken: VecDeque<i64>,
    /// Since when nothing came, by the monotonic clock, in a run that ends when nothing is left.
    quiet_since: Option<i64>,
}

impl OpenDialogue {
    /// Prepares a connection to the relay at `url`: `opendialogue+wss://HOST/connect`, or with `ws` for one
    /// on this machine. Nothing is sent before the first call that needs it, which needs a runtime of Tokio.
    ///
    /// # Errors
    /// [`RelayError::BadUrl`], or [`RelayError::Unreachable`] when the system offers no TLS roots.
    pub fn new(
        url: &str,
        credentials: Credentials,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, RelayError> {
        let address = rest::address(url)?;
        Ok(Self {
            rest: Rest::new(&address)?,
            url: address.url,
            socket_url: address.socket,
            credentials,
            clock,
            socket: OnceLock::new(),
            state: Mutex::default(),
        })
    }

    /// The agent's id, which is its address.
    #[must_use]
    pub fn agent(&self) -> &str {
        self.credentials.agent()
    }

    fn socket(&self) -> &Socket<Session> {
        self.socket.get_or_init(|| {
            let session = Session::new(
                self.socket_url.clone(),
                self.credentials.clone(),
                Arc::clone(&self.clock),
            );
            Socket::start(session, &self.url, Arc::clone(&self.clock))
        })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a text to one agent. The id that it went under.
    async fn tell(&self, to: &str, content: &str) -> Result<String, RelayError> {
        if !credentials::is_id(to) {
            return Err(RelayError::Unsupported {
                what: "an address that is not eight digits",
            });
        }
        let ask = Ask {
            to: to.to_owned(),
            content: content.to_owned(),
            conversation: self.conversation(to).await?,
        };
        let answer = self.socket().ask(ask).await;
        let now = self.clock.monotonic();
        let mut state = self.state();
        match answer {
            Ok(id) => {
                state.taken.push_back(now);
                while state.taken.len() > RATE {
                    state.taken.pop_front();
                }
                Ok(id)
            }
            // When the oldest of those that it counts is no longer counted.
            Err(RelayError::RateLimited { pause }) if pause == RATE_WINDOW => {
                let oldest = state.taken.front().filter(|_| state.taken.len() == RATE);
                let passed = oldest.map_or(0, |oldest| now.saturating_sub(*oldest).max(0));
                let left = as_millis(RATE_WINDOW).saturating_sub(passed).max(1000);
                Err(RelayError::RateLimited {
                    pause: Duration::from_millis(left.unsigned_abs()),
                })
            }
            Err(error) => Err(error),
        }
    }

    /// The id of the conversation with a peer, made up here: the relay only counts by it. Before the first
    /// one the relay is asked whether it knows the peer, because it takes messages for anybody.
    async fn conversation(&self, peer: &str) -> Result<String, RelayError> {
        if let Some(known) = self.state().conversations.get(peer) {
            return Ok(known.clone());
        }
        let _ = self.rest.agent(peer).await?;
        let id = random::<CONVERSATION_LEN>()?;
        let conversations = &mut self.state().conversations;
        if conversations.len() >= MAX_CONVERSATIONS {
            conversations.clear();
        }
        conversations.insert(peer.to_owned(), id.clone());
        Ok(id)
    }

    /// How long a run that ends when nothing is left waits for something. Whoever waits anyway has no end.
    async fn patience(&self, wait: Duration) -> Result<Duration, RelayError> {
        if !wait.is_zero() {
            self.state().quiet_since = None;
            return Ok(wait);
        }
        let is_first = self.socket.get().is_none();
        self.socket().ready().await?;
        let now = self.clock.monotonic();
        let state = &mut self.state();
        if is_first {
            state.quiet_since = Some(now);
        }
        let since = state.quiet_since.map(|since| now.saturating_sub(since));
        Ok(since.map_or(Duration::ZERO, |passed| {
            QUIET.saturating_sub(Duration::from_millis(passed.max(0).unsigned_abs()))
        }))
    }
}

#[async_trait]
impl Relay for OpenDialogue {
    fn url(&self) -> &str {
        &self.url
    }

    fn longest_text(&self) -> usize {
        LONGEST_TEXT
    }

    async fn send(&self, outgoing: &Outgoing) -> Result<Accepted, RelayError> {
        let words;
        let content = match &outgoing.body {
            Body::Native(text) | Body::Pairing(text) => text,
            Body::Plaintext(json) => {
                words = spoken(json.get());
                &words
            }
            Body::Classic(_) => {
                return Err(RelayError::Unsupported {
                    what: "messages in ClawTalk's format",
                });
            }
        };
        let recipients = match &outgoing.to {
            Destination::Agent(agent) => std::slice::from_ref(agent),
            Destination::Agents(agents) => agents,
            Destination::Everyone => {
                return Err(RelayError::Unsupported {
                    what: "messages to everybody",
                });
            }
        };
        let mut relay_id = None;
        for to in recipients {
            // One after the other: when one is refused, those before it get the same again, which counts once.
            relay_id = Some(self.tell(to, content).await?);
        }
        Ok(Accepted { relay_id, ts: None })
    }

    async fn fetch(&self, wait: Duration) -> Result<Vec<Delivery>, RelayError> {
        let wait = self.patience(wait).await?;
        let deliveries = self.socket().next(self.clock.sleep(wait)).await?;
        let mut state = self.state();
        state.quiet_since = state
            .quiet_since
            .filter(|_| !deliveries.is_empty())
            .map(|_| self.clock.monotonic());
        Ok(deliveries)
    }

    fn take_buffered(&self) -> Vec<Delivery> {
        self.socket.get().map(Socket::take).unwrap_or_default()
    }

    async fn close(&self) -> Vec<Delivery> {
        match self.socket.get() {
            Some(socket) => socket.close().await,
            None => Vec::new(),
        }
    }

    /// The relay has forgotten them already.
    async fn acknowledge(&self, stored: Stored) -> Result<usize, RelayError> {
        Ok(stored.into_relay_ids().len().max(1))
    }

    async fn publish(
        &self,
        _name: &str,
        card: &Card,
        successions: &[String],
    ) -> Result<(), RelayError> {
        self.rest
            .publish(self.credentials.agent(), card, successions)
            .await
    }

    fn read(&self, raw: &[u8]) -> Result<Incoming, Malformed> {
        content::read(raw)
    }
}

/// Checks a relay's address and spells it as it is kept.
pub(super) fn normalise_url(text: &str) -> Result<String, RelayError> {
    Ok(rest::address(text)?.url)
}
