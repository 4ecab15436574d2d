//! WTT ("Want To Talk"): a service where agents meet in topics and in pairs, over one WebSocket for each
//! agent and over REST.
//!
//! Senders are parameters there, which anybody may choose, and knowing an agent's id may be enough to
//! listen to what is pushed to it: nothing that the service says of a sender counts. What was sent while
//! an agent was away comes when it polls, which it does on every connection; nothing tells that a message
//! arrived, and any may come twice, with another content, too.

mod address;
mod cards;
mod content;
mod credentials;
mod post;
mod rest;
mod session;
mod topics;
mod variants;

use std::{
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use ctalk_core::{Card, classic::Malformed};
pub use reqwest::Method;
use tokio::sync::watch;

use self::{
    address::{address, is_id},
    post::{Post, given_id},
    rest::Rest,
    session::{Backlog, Seen, Session},
};
pub use self::{
    credentials::Credentials,
    rest::{ClaimCode, register},
    topics::{Conversation, Member, NewTopic, Past, Topic, topic_address},
};
use super::{
    Accepted, Body, Delivery, Destination, Incoming, Outgoing, Relay, RelayError, chat::spoken,
    clawtalk::BearerKey, socket::Socket,
};
use crate::{client::as_millis, clock::Clock, store::Stored};

/// Longest text, in characters: what passes the hosts of WTT's own plugin in one piece.
const LONGEST_TEXT: usize = 4000;
/// The time between two polls while there is no connection.
const POLL_PAUSE: Duration = Duration::from_secs(30);
/// How long the first answers on a connection are waited for.
const PATIENCE: Duration = Duration::from_secs(15);

/// One agent's connection to a WTT service.
pub struct Wtt {
    url: String,
    sockets: Vec<String>,
    rest: Arc<Rest>,
    credentials: Credentials,
    clock: Arc<dyn Clock>,
    /// From the first call that listens on.
    socket: OnceLock<(Socket<Session>, watch::Receiver<Backlog>)>,
    polled: Arc<Mutex<Polled>>,
}

/// What polling over REST brought.
#[derive(Default)]
struct Polled {
    seen: Seen,
    waiting: Vec<Delivery>,
    /// When it was polled last, by the monotonic clock.
    at: Option<i64>,
}

impl Wtt {
    /// Prepares a connection to the service at `url`: `wtt+https://HOST`, or with `http` for one on this
    /// machine. `user` is a token of a user whose agent this is, which some calls need. Nothing is sent
    /// before the first call that needs it, which needs a runtime of Tokio.
    ///
    /// # Errors
    /// [`RelayError::BadUrl`], or [`RelayError::Unreachable`] when the system offers no TLS roots.
    pub fn new(
        url: &str,
        credentials: Credentials,
        user: Option<BearerKey>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, RelayError> {
        let address = address(url)?;
        Ok(Self {
            rest: Arc::new(Rest::new(&address.rest, Some(credentials.clone()), user)?),
            url: address.url,
            sockets: address.sockets,
            credentials,
            clock,
            socket: OnceLock::new(),
            polled: Arc::default(),
        })
    }

    /// The agent's id, which is its address.
    #[must_use]
    pub fn agent(&self) -> &str {
        self.credentials.agent()
    }

    /// Asks for a code with which a person binds the agent to an account in the console.
    ///
    /// # Errors
    /// Any [`RelayError`].
    pub async fn claim_code(&self) -> Result<ClaimCode, RelayError> {
        self.rest.claim_code(self.agent()).await
    }

    /// Makes one of the calls that nothing else here is for: tasks, delegations and what else the service
    /// does with text that it can read. `path` is its segments; the last one may be empty, where the call
    /// ends with a slash. The service's answer is handed on as it is.
    ///
    /// # Errors
    /// Any [`RelayError`].
    pub async fn call(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&serde_json::Value>,
    ) -> Result<serde_json::Value, RelayError> {
        let (last, others) = path.split_last().unwrap_or((&"", &[]));
        if !others.iter().all(|segment| is_id(segment)) || !(last.is_empty() || is_id(last)) {
            return Err(RelayError::Unsupported {
                what: "something that cannot be an id",
            });
        }
        let path = format!("/{}", path.join("/"));
        self.rest.call_as_user(method, &path, query, body).await
    }

    fn socket(&self) -> &(Socket<Session>, watch::Receiver<Backlog>) {
        self.socket.get_or_init(|| {
            let (session, backlog) = Session::new(self.sockets.clone(), self.credentials.clone());
            let socket = Socket::start(session, &self.url, Arc::clone(&self.clock));
            (socket, backlog)
        })
    }

    fn polled(&self) -> MutexGuard<'_, Polled> {
        self.polled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a text over. The id that the service gave it, if it did.
    async fn hand_over(&self, post: &Post<'_>) -> Result<Option<String>, RelayError> {
        let answer = match self.listening().await {
            Some(socket) => socket.ask(post.action()).await?,
            None => post.call(&self.rest, self.agent()).await?,
        };
        Ok(given_id(answer))
    }

    /// The socket, where this process listens and the connection works. Nobody connects to send: to connect
    /// is to poll, which may take messages from the service that nobody is there to store, and whether
    /// another process's connection would still get anything is not known.
    async fn listening(&self) -> Option<&Socket<Session>> {
        let (socket, _) = self.socket.get()?;
        socket.ready().await.is_ok().then_some(socket)
    }

    /// Waits for pushes for as long as `wait`; where there is no connection, until it is time to poll.
    async fn turn(&self, wait: Duration) -> Result<Vec<Delivery>, RelayError> {
        let (socket, backlog) = self.socket();
        let waited = async {
            let pause = if socket.ready().await.is_ok() {
                let mut backlog = backlog.clone();
                tokio::select! {
                    _ = backlog.wait_for(|backlog| *backlog != Backlog::Unknown) => {}
                    () = self.clock.sleep(PATIENCE) => {}
                }
                wait
            } else {
                wait.min(self.until_poll())
            };
            self.clock.sleep(pause).await;
        };
        match socket.next(waited).await {
            Err(error @ RelayError::Unauthorized { .. }) => return Err(error),
            Ok(pushed) if !pushed.is_empty() || *backlog.borrow() == Backlog::Taken => {
                return Ok(pushed);
            }
            Ok(_) | Err(_) => {}
        }
        if wait.is_zero() || self.until_poll().is_zero() {
            self.poll().await
        } else {
            Ok(Vec::new())
        }
    }

    /// How long it is until it may be polled again.
    fn until_poll(&self) -> Duration {
        let passed = self.polled().at.map_or(i64::MAX, |at| {
            self.clock.monotonic().saturating_sub(at).max(0)
        });
        let left = as_millis(POLL_PAUSE).saturating_sub(passed).max(0);
        Duration::from_millis(left.unsigned_abs())
    }

    /// Asks for what waits, over REST. What comes may be gone from the service, so that it is kept whatever
    /// becomes of the caller.
    async fn poll(&self) -> Result<Vec<Delivery>, RelayError> {
        let (rest, polled) = (Arc::clone(&self.rest), Arc::clone(&self.polled));
        let me = self.agent().to_owned();
        self.polled().at = Some(self.clock.monotonic());
        let polling = tokio::spawn(async move {
            let messages = rest.waiting(&me).await?;
            let deliveries = messages
                .iter()
                .filter_map(|message| content::delivery(message, &me));
            let mut polled = polled.lock().unwrap_or_else(PoisonError::into_inner);
            if polled.seen.is_full() {
                polled.seen.forget();
            }
            let fresh = polled.seen.fresh(deliveries.collect());
            polled.waiting.extend(fresh);
            Ok(())
        });
        let ended = RelayError::Unsupported {
            what: "anything after its runtime ended",
        };
        polling.await.unwrap_or(Err(ended))?;
        Ok(std::mem::take(&mut self.polled().waiting))
    }
}

#[async_trait]
impl Relay for Wtt {
    fn url(&self) -> &str {
        &self.url
    }

    fn longest_text(&self) -> usize {
        LONGEST_TEXT
    }

    async fn send(&self, outgoing: &Outgoing) -> Result<Accepted, RelayError> {
        let words;
        let (content, is_sealed) = match &outgoing.body {
            Body::Native(text) | Body::Pairing(text) => (text, true),
            Body::Plaintext(json) => {
                words = spoken(json.get());
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
            relay_id = self.hand_over(&Post::new(to, content, is_sealed)?).await?;
        }
        Ok(Accepted { relay_id, ts: None })
    }

    async fn fetch(&self, wait: Duration) -> Result<Vec<Delivery>, RelayError> {
        let mut left = wait;
        loop {
            let turn = left.min(POLL_PAUSE);
            left -= turn;
            let deliveries = self.turn(turn).await?;
            if left.is_zero() || !deliveries.is_empty() {
                return Ok(deliveries);
            }
        }
    }

    fn take_buffered(&self) -> Vec<Delivery> {
        let mut taken = std::mem::take(&mut self.polled().waiting);
        if let Some((socket, _)) = self.socket.get() {
            taken.extend(socket.take());
        }
        taken
    }

    async fn close(&self) -> Vec<Delivery> {
        let mut taken = std::mem::take(&mut self.polled().waiting);
        if let Some((socket, _)) = self.socket.get() {
            taken.extend(socket.close().await);
        }
        taken
    }

    /// What was handed out does not come again by itself.
    async fn acknowledge(&self, stored: Stored) -> Result<usize, RelayError> {
        Ok(stored.into_relay_ids().len().max(1))
    }

    /// Puts the card where others look for it; they take no card from there before they verified it.
    async fn publish(
        &self,
        _name: &str,
        card: &Card,
        successions: &[String],
    ) -> Result<(), RelayError> {
        self.publish_card(card, successions).await
    }

    fn read(&self, raw: &[u8]) -> Result<Incoming, Malformed> {
        content::read(raw)
    }
}

/// Checks a service's address and spells it as it is kept.
pub(super) fn normalise_url(text: &str) -> Result<String, RelayError> {
    Ok(address(text)?.url)
}
