//! A stand-in for an OpenDialogue relay: its frames, checks, queue and REST calls, with everything in
//! memory, on a free port of this machine. What the real one does wrong it does, too, and more of it where
//! a test says so.

mod check;
mod faults;
mod rest;
mod socket;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Router,
    routing::{get, patch, post, put},
};
use ctalk::clock::{Clock, SystemClock};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use tokio::{
    net::TcpListener,
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::JoinHandle,
};
use tokio_tungstenite::tungstenite::Message;

pub(crate) use self::faults::{Counts, Faults};

/// The quirks and faults that a test can switch on.
#[derive(Default)]
pub(crate) struct Switches {
    /// How many messages wait for one agent at most; the shipped value where there is none.
    pub(crate) queue: Option<usize>,
    /// How many messages an agent may send in a minute.
    pub(crate) rate: Option<usize>,
    /// How far its clock is ahead, in milliseconds.
    pub(crate) clock_ahead: i64,
    /// How many messages a conversation may have, whatever a frame says.
    pub(crate) turns: Option<u64>,
    /// It takes frames and does not answer them any more, heartbeats included.
    pub(crate) is_mute: bool,
    /// It opens connections and says nothing over them.
    pub(crate) is_silent: bool,
    /// It keeps the answers to messages until [`StandIn::answer`].
    pub(crate) holds_answers: bool,
    /// What waits for an agent comes some time after it connected.
    pub(crate) is_late: bool,
}

#[derive(Default)]
struct State {
    agents: HashMap<String, Agent>,
    nonces: HashSet<String>,
    queued_ids: HashSet<String>,
    /// How many messages each had, and how many it may have.
    conversations: HashMap<String, (u64, u64)>,
    /// All messages that were taken, for ever.
    history: Vec<Value>,
    switches: Switches,
    faults: Option<Faults>,
    /// Messages that come later than others.
    delayed: Vec<(String, Value)>,
    clock: Option<Arc<dyn Clock>>,
    connections: usize,
    spoken: usize,
    pings: usize,
    pongs: usize,
    written: usize,
    /// The answers that are kept back, and to whom.
    answers: VecDeque<(String, Vec<Value>)>,
    most_answers: usize,
}

struct Agent {
    secret: String,
    card: Value,
    online: Option<Online>,
    queue: VecDeque<Value>,
    sent: usize,
    blocked: Vec<(String, Option<String>)>,
    allowed: Vec<String>,
    hears_only_allowed: bool,
}

/// An agent's present connection.
struct Online {
    number: usize,
    frames: UnboundedSender<Message>,
    key: String,
}

impl State {
    fn now(&self) -> i64 {
        let clock: &dyn Clock = self.clock.as_deref().unwrap_or(&SystemClock);
        clock.now() + self.switches.clock_ahead
    }

    /// Writes frames to an agent's connection.
    fn say(&self, agent: &str, frames: &[Value]) {
        if let Some(online) = &self.agents[agent].online {
            for frame in frames {
                // What is written to a dead socket is lost and nobody is told.
                let _ = online.frames.send(Message::text(frame.to_string()));
            }
        }
    }
}

/// The relay. It ends with this.
pub(crate) struct StandIn {
    state: Arc<Mutex<State>>,
    address: SocketAddr,
    server: JoinHandle<()>,
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.stop();
    }
}

impl StandIn {
    pub(crate) async fn start() -> Self {
        Self::listen("127.0.0.1:0", Arc::default()).await
    }

    /// As [`StandIn::start`], by this clock, with what goes wrong by itself.
    pub(crate) async fn start_with(clock: Arc<dyn Clock>, faults: Option<Faults>) -> Self {
        let state = State {
            clock: Some(clock),
            faults,
            ..State::default()
        };
        Self::listen("127.0.0.1:0", Arc::new(Mutex::new(state))).await
    }

    async fn listen(address: &str, state: Arc<Mutex<State>>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let list = |add| post(add).delete(rest::unlist).get(rest::lists);
        let router = Router::new()
            .route("/connect", get(socket::connect))
            .route("/api/agent/register", post(rest::register))
            .route("/api/agent/{id}", get(rest::show))
            .route("/api/agent/{id}/card", patch(rest::change_card))
            .route("/api/agent/{id}/block", list(rest::list))
            .route("/api/agent/{id}/allow", list(rest::list))
            .route("/api/agent/{id}/allowlist-mode", put(rest::set_mode))
            .route("/api/message", post(rest::speak))
            .route("/api/conversation/{id}/history", get(rest::history))
            .with_state(Arc::clone(&state));
        let server = tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        Self {
            state,
            address,
            server,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("opendialogue+ws://{}/connect", self.address)
    }

    /// Ends it and every connection.
    pub(crate) fn stop(&self) {
        self.server.abort();
        self.drop_connections();
    }

    /// Begins again at the same address. What it held in memory alone is gone.
    pub(crate) async fn restart(mut self) -> Self {
        self.stop();
        // Its listener goes with it, which the next one needs gone.
        let _ = (&mut self.server).await;
        let state = Arc::clone(&self.state);
        let address = self.address.to_string();
        drop(self);
        {
            let mut state = state.lock().unwrap();
            state.conversations.clear();
            state.nonces.clear();
        }
        Self::listen(&address, state).await
    }

    pub(crate) fn switch(&self, change: impl FnOnce(&mut Switches)) {
        change(&mut self.state().switches);
    }

    /// Breaks every connection off without a word.
    pub(crate) fn drop_connections(&self) {
        for agent in self.state().agents.values_mut() {
            agent.online = None;
        }
    }

    pub(crate) fn connections(&self) -> usize {
        self.state().connections
    }

    /// How many heartbeats it got.
    pub(crate) fn pings(&self) -> usize {
        self.state().pings
    }

    /// How many frames `{"type":"pong"}` it got, which it takes for messages.
    pub(crate) fn pongs(&self) -> usize {
        self.state().pongs
    }

    /// How many frames went out.
    pub(crate) fn written(&self) -> usize {
        self.state().written
    }

    /// What went wrong so far.
    pub(crate) fn counts(&self) -> Counts {
        let state = self.state();
        state
            .faults
            .as_ref()
            .map(Faults::counts)
            .unwrap_or_default()
    }

    pub(crate) fn is_online(&self, agent: &str) -> bool {
        let state = self.state();
        let online = state.agents[agent].online.as_ref();
        online.is_some_and(|online| !online.frames.is_closed())
    }

    pub(crate) fn capabilities(&self, agent: &str) -> Value {
        self.state().agents[agent].card["capabilities"].clone()
    }

    /// Has something stand in an agent's card, as anybody can.
    pub(crate) fn set_capabilities(&self, agent: &str, capabilities: Value) {
        let mut state = self.state();
        state.agents.get_mut(agent).unwrap().card["capabilities"] = capabilities;
    }

    /// How many messages wait for an agent.
    pub(crate) fn waiting(&self, agent: &str) -> usize {
        self.state().agents[agent].queue.len()
    }

    /// All messages that were taken, oldest first.
    pub(crate) fn taken(&self) -> Vec<Value> {
        self.state().history.clone()
    }

    /// Has a frame come over an agent's connection, whatever it is.
    pub(crate) fn push(&self, agent: &str, frame: impl Into<Message>) {
        let state = self.state();
        let online = state.agents[agent].online.as_ref().unwrap();
        online.frames.send(frame.into()).unwrap();
    }

    /// How many answers are kept back now, and were at most.
    pub(crate) fn held_answers(&self) -> (usize, usize) {
        let state = self.state();
        (state.answers.len(), state.most_answers)
    }

    /// Gives the oldest answer out that is kept back.
    pub(crate) fn answer(&self) {
        let mut state = self.state();
        if let Some((agent, answers)) = state.answers.pop_front() {
            state.say(&agent, &answers);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

/// Something that looks random and is not, as hex.
fn hash(text: &str) -> String {
    use sha2::Digest;
    hex::encode(Sha256::digest(text))
}

/// The signature of what is sent, and of what is delivered.
fn mac(key: &str, material: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(material.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

/// A connection's frames, as they are written and as they are sent.
fn frames() -> (UnboundedSender<Message>, UnboundedReceiver<Message>) {
    unbounded_channel()
}
