//! Who is connected, what each of them asked, and where answers go.
//!
//! Nothing that a client says of itself decides that: an answer goes where its question came from, and an
//! envelope's question is told by the envelope's own id. Whoever shows the same envelope again, over a new
//! connection, is answered there; to anybody else a sealed answer is of no use.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use super::auth::Visitor;
use crate::relay::{
    Delivery, RelayError,
    openclaw::{
        content::{begins_one, whole},
        frame::{ChatMessage, ChatType, Frame},
        random_id,
    },
};

/// Messages that wait to be stored.
const MAX_ARRIVED: usize = 32;
/// Frames that wait for one client to take them, and most bytes of several.
const MAX_WAITING: usize = 256;
const MAX_WAITING_BYTES: usize = 8 << 20;
/// Messages of one client in the clear that are not answered yet; before there are fewer, nothing more of it
/// is read.
const MAX_OPEN: usize = 16;
/// Questions whose askers are remembered, and signers whose last question is.
const MAX_ASKS: usize = 4096;
/// Connections that are told of the answer to one question; the latest ones.
const MAX_ASKERS: usize = 4;

/// A connection's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Line(u64);

/// A frame for a client, which counts as waiting until it is taken.
pub(super) struct Said {
    pub(super) frame: String,
    length: usize,
    waiting: Arc<AtomicUsize>,
}

impl Drop for Said {
    fn drop(&mut self) {
        self.waiting.fetch_sub(self.length, Ordering::Relaxed);
    }
}

pub(super) struct Desk {
    takes_plaintext: bool,
    arrive: mpsc::Sender<Delivery>,
    pub(super) arrived: tokio::sync::Mutex<mpsc::Receiver<Delivery>>,
    state: Mutex<State>,
    is_closed: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    last: u64,
    lines: HashMap<Line, Client>,
    asks: HashMap<String, Ask>,
    /// Their ids, oldest first.
    order: VecDeque<String>,
    /// The latest question of each signer.
    routes: HashMap<String, Route>,
}

struct Client {
    frames: mpsc::Sender<Said>,
    /// Bytes of frames that wait.
    waiting: Arc<AtomicUsize>,
    open: Arc<Semaphore>,
}

/// A question.
#[derive(Default)]
struct Ask {
    /// Who asked, and what they call it.
    askers: VecDeque<(Line, String)>,
    /// Lets the client ask something else.
    _open: Option<OwnedSemaphorePermit>,
}

struct Route {
    ask: String,
    /// Whether the question was new: anybody can show an old envelope.
    is_handled: bool,
}

impl Desk {
    pub(super) fn new(takes_plaintext: bool) -> Self {
        let (arrive, arrived) = mpsc::channel(MAX_ARRIVED);
        Self {
            takes_plaintext,
            arrive,
            arrived: tokio::sync::Mutex::new(arrived),
            state: Mutex::default(),
            is_closed: watch::Sender::new(false),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn connect(&self) -> (Line, mpsc::Receiver<Said>) {
        let (frames, said) = mpsc::channel(MAX_WAITING);
        let mut state = self.state();
        state.last += 1;
        let line = Line(state.last);
        let client = Client {
            frames,
            waiting: Arc::default(),
            open: Arc::new(Semaphore::new(MAX_OPEN)),
        };
        state.lines.insert(line, client);
        (line, said)
    }

    pub(super) fn disconnect(&self, line: Line) {
        self.state().lines.remove(&line);
    }

    /// Ends every connection.
    pub(super) fn close(&self) {
        self.is_closed.send_replace(true);
    }

    pub(super) async fn closed(&self) {
        let mut is_closed = self.is_closed.subscribe();
        // It cannot fail while this is here.
        let _ = is_closed.wait_for(|is_closed| *is_closed).await;
    }

    pub(super) fn connections(&self) -> usize {
        self.state().lines.len()
    }

    /// Takes what a client said, to be stored; or says why not.
    pub(super) async fn take(
        &self,
        line: Line,
        visitor: &Visitor,
        message: ChatMessage,
    ) -> Option<Frame> {
        let message_id = message.message_id.clone();
        let refused = |error: &str| {
            Some(Frame::Error {
                message_id: message_id.clone(),
                error: error.to_owned(),
            })
        };
        let Ok(made_up) = random_id() else {
            return refused("Failed to process message: out of randomness");
        };
        let name = message_id.clone().unwrap_or_else(|| made_up.clone());
        let found = whole(&message.content);
        if found.is_empty() && begins_one(&message.content) {
            return refused("Failed to process message: no envelope in it is whole");
        }
        if found.is_empty() {
            if !self.takes_plaintext {
                return refused("Failed to process message: this agent takes envelopes only");
            }
            let open = self.state().lines.get(&line)?.open.clone();
            let open = open.acquire_owned().await.ok();
            let raw = plain(&made_up, &name, line, visitor, message);
            self.state().ask(&made_up, line, name, open);
            self.arrive(made_up, raw.into_bytes()).await;
            return None;
        }
        for found in found {
            {
                let mut state = self.state();
                state.ask(&found.id, line, name.clone(), None);
                state.route(found.fingerprint, &found.id, false);
            }
            self.arrive(found.id, found.text.into_bytes()).await;
        }
        None
    }

    async fn arrive(&self, id: String, raw: Vec<u8>) {
        let delivery = Delivery {
            relay_id: Some(id),
            sent_at: None,
            raw: raw.into(),
        };
        // Nobody takes it any more at the end.
        let _ = self.arrive.send(delivery).await;
    }

    /// Tells whoever asked last that the agent is at work.
    pub(super) fn typing(&self, ask: &str) {
        let state = &mut self.state();
        let asker = state.asks.get(ask).and_then(|ask| ask.askers.back());
        if let Some((line, _)) = asker.cloned() {
            let _ = state.say(line, &Frame::Typing);
        }
    }

    /// Tells whoever asked what the agent has said so far.
    pub(super) fn stream(&self, ask: &str, content: &str) {
        let _ = self.state().tell(ask, |message_id| Frame::Stream {
            message_id: Some(message_id),
            content: content.to_owned(),
            done: false,
        });
    }

    /// Tells whoever asked what the agent says; false when they are gone.
    pub(super) fn respond(&self, ask: &str, content: &str) -> bool {
        self.state().tell(ask, |message_id| Frame::Response {
            message_id: Some(message_id),
            content: content.to_owned(),
            done: Some(true),
        })
    }

    /// Tells whoever asked that there is no answer.
    pub(super) fn fail(&self, ask: &str, error: &str) {
        let _ = self.state().tell(ask, |message_id| Frame::Error {
            message_id: Some(message_id),
            error: error.to_owned(),
        });
    }

    /// Forgets a question.
    pub(super) fn forget(&self, ask: &str) {
        let state = &mut self.state();
        state.asks.remove(ask);
        state.order.retain(|known| known != ask);
    }

    /// This question of this signer is being handled.
    pub(super) fn handles(&self, signer: &str, ask: &str) {
        self.state().route(signer.to_owned(), ask, true);
    }

    /// Hands a sealed answer to the signer whose question was handled last.
    pub(super) fn answer(&self, signer: &str, text: &str) -> Result<(), RelayError> {
        let ask = self
            .state()
            .routes
            .get(signer)
            .map(|route| route.ask.clone());
        if ask.is_some_and(|ask| self.respond(&ask, text)) {
            return Ok(());
        }
        // Others may be there.
        Err(RelayError::Refused {
            status: 503,
            code: ctalk_wire::ErrorCode::Unknown,
            text: "its recipient is not connected".to_owned(),
        })
    }
}

impl State {
    fn ask(&mut self, id: &str, line: Line, name: String, open: Option<OwnedSemaphorePermit>) {
        if !self.asks.contains_key(id) {
            if self.order.len() >= MAX_ASKS
                && let Some(oldest) = self.order.pop_front()
            {
                self.asks.remove(&oldest);
            }
            self.order.push_back(id.to_owned());
        }
        let ask = self.asks.entry(id.to_owned()).or_default();
        ask._open = open;
        ask.askers.retain(|(known, _)| *known != line);
        if ask.askers.len() >= MAX_ASKERS {
            ask.askers.pop_front();
        }
        ask.askers.push_back((line, name));
    }

    fn route(&mut self, signer: String, ask: &str, is_handled: bool) {
        let known = self.routes.get(&signer);
        let may_replace = match known {
            Some(known) => is_handled || !known.is_handled,
            None => is_handled || self.routes.len() < MAX_ASKS,
        };
        if may_replace {
            let ask = ask.to_owned();
            self.routes.insert(signer, Route { ask, is_handled });
        }
    }

    /// Says something to everybody who asked; false when nobody of them is there.
    fn tell(&mut self, ask: &str, frame: impl Fn(String) -> Frame) -> bool {
        let askers = self.asks.get(ask).map(|ask| ask.askers.clone());
        let mut is_told = false;
        for (line, message_id) in askers.unwrap_or_default() {
            is_told |= self.say(line, &frame(message_id));
        }
        is_told
    }

    /// Says something to a client; whoever takes nothing is let go.
    fn say(&mut self, line: Line, frame: &Frame) -> bool {
        let Some(client) = self.lines.get(&line) else {
            return false;
        };
        let Ok(frame) = serde_json::to_string(frame) else {
            return false;
        };
        let length = frame.len();
        let before = client.waiting.fetch_add(length, Ordering::Relaxed);
        let said = Said {
            frame,
            length,
            waiting: Arc::clone(&client.waiting),
        };
        let is_taken = (before == 0 || before + length <= MAX_WAITING_BYTES)
            && client.frames.try_send(said).is_ok();
        if !is_taken {
            self.lines.remove(&line);
        }
        is_taken
    }
}

/// A message in the clear as it is stored: a plain one of ClawTalk's.
fn plain(id: &str, name: &str, line: Line, visitor: &Visitor, message: ChatMessage) -> String {
    // Who is known speaks for himself alone.
    let claimed = message.sender_id.filter(|_| !visitor.is_known);
    let sender = claimed
        .or_else(|| visitor.id.clone())
        .unwrap_or_else(|| format!("connection-{}", line.0));
    let is_group = message.chat_type == Some(ChatType::Group);
    let group = is_group.then(|| message.group_id.unwrap_or_default());
    json!({
        "id": id,
        "from": sender,
        "to": "agent",
        "type": "request",
        "topic": group.map(|group| format!("group:{group}")),
        "correlationId": name,
        "replyTo": message.reply_to_message_id,
        "encrypted": false,
        "payload": { "text": message.content },
    })
    .to_string()
}
