//! What is said over one connection after the other.

use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};

use hyper::HeaderMap;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::{
    Credentials, content,
    variants::{self, Object},
};
use crate::{
    http::cleaned,
    relay::{
        Delivery, RelayError, random,
        socket::{Heard, Opening, Protocol},
    },
};

/// Most messages of one answer to a poll.
const POLL_LIMIT: usize = 100;
/// Most polled messages that are remembered, so that the same ones are told from further ones.
const MAX_SEEN: usize = 10_000;
/// Most refusals of key requests that wait to be sent.
const MAX_REFUSALS: usize = 16;

/// An action with its fields.
pub(super) struct Ask {
    pub(super) action: &'static str,
    pub(super) fields: Object,
}

/// What is known of the messages that came while there was no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Backlog {
    /// Nothing yet.
    Unknown,
    /// They are all here.
    Taken,
    /// The service does not give them out this way.
    Refused,
}

/// Messages that were polled before. Polling may or may not take them from the service, and there is no
/// other sign that nothing is left than that nothing new comes.
#[derive(Default)]
pub(super) struct Seen(HashSet<[u8; 32]>);

impl Seen {
    /// Takes those away that were here before. A message with an old id and another content is new.
    pub(super) fn fresh(&mut self, deliveries: Vec<Delivery>) -> Vec<Delivery> {
        let mut fresh = deliveries;
        fresh.retain(|delivery| self.0.insert(Sha256::digest(&delivery.raw).into()));
        fresh
    }

    /// Forgets all of them when they have become too many.
    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= MAX_SEEN
    }

    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

/// An agent's side of its connections.
pub(super) struct Session {
    /// What the agent's id is appended to, in turn.
    sockets: Vec<String>,
    attempts: usize,
    credentials: Credentials,
    /// What the ids of this connection's requests begin with.
    prefix: String,
    requests: u64,
    /// The ids of the requests that no answer came to.
    auth: Option<String>,
    poll: Option<String>,
    under_way: Option<String>,
    backlog: watch::Sender<Backlog>,
    polled: Seen,
    unasked: VecDeque<String>,
}

impl Session {
    pub(super) fn new(
        sockets: Vec<String>,
        credentials: Credentials,
    ) -> (Self, watch::Receiver<Backlog>) {
        let (backlog, watched) = watch::channel(Backlog::Unknown);
        let session = Self {
            sockets,
            attempts: 0,
            credentials,
            prefix: String::new(),
            requests: 0,
            auth: None,
            poll: None,
            under_way: None,
            backlog,
            polled: Seen::default(),
            unasked: VecDeque::new(),
        };
        (session, watched)
    }

    fn url(&self) -> String {
        let place = self.attempts.saturating_sub(1);
        let base = self
            .sockets
            .iter()
            .cycle()
            .nth(place % self.sockets.len().max(1));
        format!(
            "{}{}",
            base.map_or("", String::as_str),
            self.credentials.agent()
        )
    }

    /// A request's id and its frame.
    fn request(&mut self, action: &str, mut fields: Object) -> (String, String) {
        self.requests = self.requests.saturating_add(1);
        let id = format!("{}-{}", self.prefix, self.requests);
        fields.insert("action".to_owned(), action.into());
        fields.insert("request_id".to_owned(), id.clone().into());
        (id, Value::Object(fields).to_string())
    }

    fn ask_for_backlog(&mut self) {
        let mut fields = Object::new();
        fields.insert("limit".to_owned(), POLL_LIMIT.into());
        let (id, frame) = self.request("poll", fields);
        self.poll = Some(id);
        self.unasked.push_back(frame);
    }

    /// The answer to a request, which may come in any order.
    fn answer(&mut self, mut frame: Object) -> Heard<Value> {
        let id = frame.get("request_id").and_then(Value::as_str);
        let is_ok = frame.get("ok").and_then(Value::as_bool);
        let is = |request: &Option<String>| request.as_deref() == id && id.is_some();
        // The first answer may have no id.
        if is(&self.auth) || self.auth.is_some() && id.is_none() {
            self.auth = None;
            let data = frame.get("data").and_then(|data| data.get("authenticated"));
            if is_ok != Some(true) || data == Some(&Value::Bool(false)) {
                return Heard::Refused(RelayError::Unauthorized { url: self.url() });
            }
            self.ask_for_backlog();
            return Heard::Ready;
        }
        if is(&self.poll) {
            self.poll = None;
            let data = frame.remove("data").filter(|_| is_ok == Some(true));
            return self.polled(data);
        }
        if is(&self.under_way) {
            self.under_way = None;
            return Heard::Answer(match is_ok {
                Some(true) => Ok(frame.remove("data").unwrap_or_default()),
                Some(false) => Err(refusal(&frame)),
                None => Err(RelayError::BadAnswer {
                    url: self.url(),
                    why: "it says neither yes nor no".to_owned(),
                }),
            });
        }
        Heard::Nothing
    }

    /// Messages that waited, after which there may be more.
    fn polled(&mut self, data: Option<Value>) -> Heard<Value> {
        let Some(messages) = data.and_then(|data| variants::list(data, variants::MESSAGES)) else {
            self.backlog.send_replace(Backlog::Refused);
            return Heard::Nothing;
        };
        let fresh = self.polled.fresh(self.deliveries(&messages));
        if fresh.is_empty() || self.polled.is_full() {
            self.backlog.send_replace(Backlog::Taken);
        } else {
            self.ask_for_backlog();
        }
        Heard::Delivered(fresh)
    }

    fn deliveries(&self, messages: &[Value]) -> Vec<Delivery> {
        let me = self.credentials.agent();
        messages
            .iter()
            .filter_map(|message| content::delivery(message, me))
            .collect()
    }
}

impl Protocol for Session {
    type Ask = Ask;
    /// What the service says of an action that it did.
    type Answer = Value;

    const BEAT: Duration = Duration::from_secs(25);
    const PING: &'static str = "ping";

    fn open(&mut self) -> Result<Opening, RelayError> {
        self.attempts = self.attempts.saturating_add(1);
        self.prefix = random::<4>()?;
        (self.poll, self.under_way) = (None, None);
        self.unasked.clear();
        self.polled.forget();
        self.backlog.send_replace(Backlog::Unknown);
        let mut fields = Object::new();
        fields.insert("token".to_owned(), self.credentials.token().into());
        let (id, frame) = self.request("auth", fields);
        self.auth = Some(id);
        self.unasked.push_back(frame);
        Ok(Opening {
            url: self.url(),
            headers: HeaderMap::new(),
        })
    }

    fn write(&mut self, ask: Ask) -> Result<String, RelayError> {
        let (id, frame) = self.request(ask.action, ask.fields);
        self.under_way = Some(id);
        Ok(frame)
    }

    fn read(&mut self, frame: &str) -> Heard<Value> {
        if frame.trim() == "pong" {
            return Heard::Pong;
        }
        // What is no frame is nobody's answer, and must not end the connection: others may have the service
        // push almost anything.
        let Ok(Value::Object(mut frame)) = serde_json::from_str(frame) else {
            return Heard::Nothing;
        };
        match frame.get("type").and_then(Value::as_str) {
            Some("action_result") => self.answer(frame),
            Some("new_message") => {
                let message = frame.remove("message");
                Heard::Delivered(self.deliveries(message.as_slice()))
            }
            Some("e2e_key_request") => {
                // Whoever asks, and for whatever key.
                if self.unasked.len() < MAX_REFUSALS {
                    let refusal = json!({
                        "type": "e2e_key_response",
                        "request_id": frame.get("request_id"),
                        "ok": false,
                        "error": "e2e_not_configured",
                    });
                    self.unasked.push_back(refusal.to_string());
                }
                Heard::Nothing
            }
            _ => Heard::Nothing,
        }
    }

    fn unasked(&mut self) -> Option<String> {
        self.unasked.pop_front()
    }
}

/// What the service refused, in words for people: it has no codes here.
fn refusal(frame: &Object) -> RelayError {
    let words = variants::text(frame, &["error", "detail", "message"]);
    RelayError::Refused {
        status: 400,
        code: ctalk_wire::ErrorCode::Unknown,
        text: words.map_or_else(
            || "it gave no reason that can be read".to_owned(),
            |words| cleaned(&words),
        ),
    }
}
