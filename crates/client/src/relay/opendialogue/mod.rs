//! OpenDialogue: a relay that pushes over one WebSocket for each agent, keeps a few messages for those who
//! are away, and knows agents by numbers.
//!
//! It signs for everybody, and lets anybody speak as anybody: nothing that it says of a sender counts, and
//! a status says only what it did with a message. To connect is to take what waits, so that one process at
//! a time may, and storing what was pushed is the acknowledgement.
//!
//! ```no_run
//! use std::{path::Path, sync::Arc};
//!
//! use ctalk::{
//!     Client,
//!     clock::SystemClock,
//!     core::Identity,
//!     relay::opendialogue::{OpenDialogue, register},
//! };
//!
//! # async fn begin(identity: Identity, store: &Path) -> Result<Client, ctalk::Error> {
//! let url = "opendialogue+wss://od.example/connect";
//! // What `expose` gives belongs into a key store: the relay shows the secret once.
//! let credentials = register(url, "planner").await?;
//! let (name, clock) = (credentials.agent().to_owned(), Arc::new(SystemClock));
//! let relay = OpenDialogue::new(url, credentials, clock.clone())?;
//! Client::new(&name, identity, relay, store, clock)
//! # }
//! ```

mod agent;
mod answer;
mod content;
mod credentials;
mod frame;
mod lists;
mod rest;
mod session;
mod signature;
mod window;
mod words;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use ctalk_core::{Card, classic::Malformed};

pub use self::{
    agent::{Agent, Candidate},
    credentials::Credentials,
    lists::{AllowList, Allowed, Blocked, History, Kept},
    rest::register,
};
use self::{
    answer::Answer,
    credentials::is_id,
    rest::Rest,
    session::{Ask, Session, What},
    window::Window,
};
use super::{
    Accepted, Body, Delivery, Destination, Incoming, Outgoing, Relay, RelayError, socket::Socket,
};
use crate::{clock::Clock, http, store::Stored};

/// What an address begins with.
const SCHEME: &str = "opendialogue+";
/// Where the WebSocket is.
const CONNECT: &str = "/connect";
/// Longest text, in UTF-16 units; those of ctalk have one for each character.
const LONGEST_TEXT: usize = 16_384;
/// Most peers that are remembered.
const MAX_PEERS: usize = 10_000;
/// Messages that the relay takes in its window.
const RATE: usize = 60;
/// How long nothing comes when everything that waited has come: nothing else says so.
const QUIET: Duration = Duration::from_secs(1);

/// Most bursts of what waited that are taken before a connection is closed.
const MAX_BURSTS: usize = 100;

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

struct State {
    /// For each peer that the relay knows, how many conversations with it the relay has ended.
    ended: HashMap<String, u32>,
    /// What the relay took.
    taken: Window,
    /// What peers without ctalk were told.
    told: HashMap<String, Window>,
    flow: Flow,
}

/// What comes over a connection, for whoever ends when nothing is left.
#[derive(Clone, Copy)]
enum Flow {
    /// There was no connection yet.
    Ahead,
    /// Nothing came since then, by the monotonic clock.
    QuietSince(i64),
    /// All that waited has come, or nobody waits for the end of it.
    Over,
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
            state: Mutex::new(State {
                ended: HashMap::new(),
                taken: Window::new(RATE),
                told: HashMap::new(),
                flow: Flow::Ahead,
            }),
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
    async fn tell(&self, to: &str, content: &str, turn: Option<u64>) -> Result<String, RelayError> {
        self.meet(to).await?;
        let mut has_ended = false;
        loop {
            let ask = Ask {
                to: to.to_owned(),
                conversation: self.conversation(to)?,
                what: What::Text(content.to_owned(), turn),
            };
            let answer = self.socket().ask(ask).await?;
            let now = self.clock.monotonic();
            let mut state = self.state();
            state.connected(now);
            match answer {
                Answer::Taken(id) => {
                    state.taken.count(now);
                    return Ok(id);
                }
                Answer::TooMany => {
                    return Err(RelayError::RateLimited {
                        pause: state.taken.pause(now),
                    });
                }
                // Others count on it, too, and need not say that it may be long.
                Answer::Ended if !has_ended => {
                    *state.ended.entry(to.to_owned()).or_default() += 1;
                    has_ended = true;
                }
                Answer::Ended => {
                    let why = "it ends a conversation that has not begun";
                    return Err(http::bad_answer(&self.url, why));
                }
            }
        }
    }

    /// Tells a peer without ctalk something, no faster than it listens.
    async fn tell_words(&self, to: &str, words: &str) -> Result<String, RelayError> {
        let pause = {
            let state = self.state();
            let now = self.clock.monotonic();
            state.told.get(to).map(|told| told.left(now))
        };
        if let Some(pause) = pause.filter(|pause| !pause.is_zero()) {
            return Err(RelayError::RateLimited { pause });
        }
        let id = self.tell(to, words, Some(words::TURN)).await?;
        let now = self.clock.monotonic();
        let told = &mut self.state().told;
        if told.len() >= MAX_PEERS {
            told.clear();
        }
        let told = told.entry(to.to_owned());
        told.or_insert_with(|| Window::new(words::RATE)).count(now);
        Ok(id)
    }

    /// Ends the conversation with a peer: what it said in it counts for nothing with a peer that remembers by
    /// conversations. The next message begins it again.
    ///
    /// # Errors
    /// Any [`RelayError`].
    pub async fn end(&self, peer: &str) -> Result<(), RelayError> {
        self.meet(peer).await?;
        let ask = Ask {
            to: peer.to_owned(),
            conversation: self.conversation(peer)?,
            what: What::End,
        };
        let answer = self.socket().ask(ask).await?;
        let now = self.clock.monotonic();
        let mut state = self.state();
        state.connected(now);
        match answer {
            Answer::Ended => Ok(()),
            Answer::TooMany => Err(RelayError::RateLimited {
                pause: state.taken.pause(now),
            }),
            Answer::Taken(_) => Err(http::bad_answer(&self.url, "it took an end for a message")),
        }
    }

    /// Asks whether the relay knows a peer, before the first message to it: it takes messages for anybody.
    async fn meet(&self, peer: &str) -> Result<(), RelayError> {
        if !is_id(peer) {
            return Err(RelayError::Unsupported {
                what: "an address that is not eight digits",
            });
        }
        if self.state().ended.contains_key(peer) {
            return Ok(());
        }
        let _ = self.rest.agent(peer).await?;
        let ended = &mut self.state().ended;
        if ended.len() >= MAX_PEERS {
            ended.clear();
        }
        ended.insert(peer.to_owned(), 0);
        Ok(())
    }

    /// The id of the conversation with a peer: the relay only counts by it, and a peer without ctalk may
    /// remember by it.
    fn conversation(&self, peer: &str) -> Result<String, RelayError> {
        let number = self.state().ended.get(peer).copied().unwrap_or_default();
        signature::conversation(self.credentials.secret(), peer, number).ok_or(RelayError::BadKey)
    }

    /// How long a run that ends when nothing is left waits for something. Whoever waits anyway has no end.
    async fn patience(&self, wait: Duration) -> Result<Duration, RelayError> {
        if !wait.is_zero() {
            self.state().flow = Flow::Over;
            return Ok(wait);
        }
        self.socket().ready().await?;
        let now = self.clock.monotonic();
        let mut state = self.state();
        state.connected(now);
        Ok(match state.flow {
            Flow::QuietSince(since) => {
                let passed = now.saturating_sub(since).max(0).unsigned_abs();
                QUIET.saturating_sub(Duration::from_millis(passed))
            }
            Flow::Ahead | Flow::Over => Duration::ZERO,
        })
    }
}

impl State {
    /// There is a connection: what waits begins to come.
    const fn connected(&mut self, now: i64) {
        if matches!(self.flow, Flow::Ahead) {
            self.flow = Flow::QuietSince(now);
        }
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
        let (content, has_ctalk) = match &outgoing.body {
            Body::Native(text) | Body::Pairing(text) => (text, true),
            Body::Plaintext(json) => {
                words = words::words(json.get())?;
                (&words, false)
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
            relay_id = Some(if has_ctalk {
                self.tell(to, content, None).await?
            } else {
                self.tell_words(to, content).await?
            });
        }
        Ok(Accepted { relay_id, ts: None })
    }

    async fn fetch(&self, wait: Duration) -> Result<Vec<Delivery>, RelayError> {
        let wait = self.patience(wait).await?;
        let deliveries = self.socket().next(self.clock.sleep(wait)).await?;
        let mut state = self.state();
        state.flow = match state.flow {
            Flow::QuietSince(_) if !deliveries.is_empty() => {
                Flow::QuietSince(self.clock.monotonic())
            }
            _ => Flow::Over,
        };
        Ok(deliveries)
    }

    fn take_buffered(&self) -> Vec<Delivery> {
        self.socket.get().map(Socket::take).unwrap_or_default()
    }

    /// Takes what waited before it goes: that comes a while after the connection, and is forgotten whether
    /// anybody reads it or not.
    async fn close(&self) -> Vec<Delivery> {
        let Some(socket) = self.socket.get() else {
            return Vec::new();
        };
        let mut taken = Vec::new();
        for _ in 0..MAX_BURSTS {
            match self.fetch(Duration::ZERO).await {
                Ok(deliveries) if !deliveries.is_empty() => taken.extend(deliveries),
                _ => break,
            }
        }
        taken.extend(socket.close().await);
        taken
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
