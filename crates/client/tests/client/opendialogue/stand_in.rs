//! A stand-in for an OpenDialogue relay: its frames, checks, queue and REST calls, with everything in
//! memory, on a free port of this machine. What the real one does wrong it does, too.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, Request, State as Extracted},
    http::{HeaderMap, Response, StatusCode},
    routing::{get, patch, post},
};
use futures_util::{SinkExt, StreamExt};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::{
    net::TcpListener,
    sync::mpsc::{UnboundedSender, unbounded_channel},
    task::JoinHandle,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, handshake::derive_accept_key, protocol::Role},
};

/// The quirks and faults that a test can switch on.
#[derive(Default)]
pub(crate) struct Switches {
    /// How many messages wait for one agent at most; the shipped value where there is none.
    pub(crate) queue: Option<usize>,
    /// How many messages an agent may send in a minute.
    pub(crate) rate: Option<usize>,
    /// How far its clock is ahead, in milliseconds.
    pub(crate) clock_ahead: i64,
    /// It takes frames and does not answer them any more, heartbeats included.
    pub(crate) is_mute: bool,
}

#[derive(Default)]
struct State {
    agents: HashMap<String, Agent>,
    nonces: HashSet<String>,
    queued_ids: HashSet<String>,
    conversations: HashMap<String, (u64, u64)>,
    switches: Switches,
    now: i64,
    connections: usize,
    spoken: usize,
    pings: usize,
    pongs: usize,
}

struct Agent {
    secret: String,
    card: Value,
    online: Option<(usize, UnboundedSender<Message>, String)>,
    queue: VecDeque<Value>,
    sent: usize,
    blocked: HashSet<String>,
    allowed: Option<HashSet<String>>,
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

    async fn listen(address: &str, state: Arc<Mutex<State>>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/connect", get(connect))
            .route("/api/agent/register", post(register))
            .route("/api/agent/{id}", get(show))
            .route("/api/agent/{id}/card", patch(change_card))
            .route("/api/message", post(speak))
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

    /// How many heartbeats it answered.
    pub(crate) fn pings(&self) -> usize {
        self.state().pings
    }

    /// How many frames `{"type":"pong"}` it got, which it takes for messages.
    pub(crate) fn pongs(&self) -> usize {
        self.state().pongs
    }

    pub(crate) fn is_online(&self, agent: &str) -> bool {
        let state = self.state();
        let online = state.agents[agent].online.as_ref();
        online.is_some_and(|(_, frames, _)| !frames.is_closed())
    }

    pub(crate) fn capabilities(&self, agent: &str) -> Value {
        self.state().agents[agent].card["capabilities"].clone()
    }

    pub(crate) fn block(&self, agent: &str, blocked: &str) {
        let mut state = self.state();
        let agent = state.agents.get_mut(agent).unwrap();
        agent.blocked.insert(blocked.to_owned());
    }

    pub(crate) fn allow_only(&self, agent: &str, allowed: &[&str]) {
        let mut state = self.state();
        let allowed = allowed.iter().map(|id| (*id).to_owned()).collect();
        state.agents.get_mut(agent).unwrap().allowed = Some(allowed);
    }

    /// How many messages wait for an agent.
    pub(crate) fn waiting(&self, agent: &str) -> usize {
        self.state().agents[agent].queue.len()
    }

    /// Has a frame come over an agent's connection, whatever it is.
    pub(crate) fn push(&self, agent: &str, frame: impl Into<Message>) {
        let state = self.state();
        let (_, frames, _) = state.agents[agent].online.as_ref().unwrap();
        frames.send(frame.into()).unwrap();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

type Shared = Extracted<Arc<Mutex<State>>>;

async fn register(Extracted(state): Shared, body: String) -> (StatusCode, Json<Value>) {
    let body: Value = serde_json::from_str(&body).unwrap_or_default();
    let Some(name) = body["name"].as_str().filter(|name| !name.is_empty()) else {
        return (
            StatusCode::BAD_REQUEST,
            Json(json!({ "error": "缺少 name" })),
        );
    };
    let mut state = state.lock().unwrap();
    let id = (10_000_000 + state.agents.len()).to_string();
    let secret = hex::encode(Sha256Of(&id).bytes());
    let card = json!({
        "agent_id": id,
        "name": name,
        "version": body["version"],
        "capabilities": body.get("capabilities").cloned().unwrap_or_else(|| json!(["text"])),
        "created_at": 0,
        "updated_at": 0,
    });
    let agent = Agent {
        secret: secret.clone(),
        card: card.clone(),
        online: None,
        queue: VecDeque::new(),
        sent: 0,
        blocked: HashSet::new(),
        allowed: None,
    };
    state.agents.insert(id.clone(), agent);
    let answer = json!({ "agent_id": id, "agent_secret": secret, "card": card });
    (StatusCode::CREATED, Json(answer))
}

/// Something that looks random and is not.
struct Sha256Of<'a>(&'a str);

impl Sha256Of<'_> {
    fn bytes(&self) -> Vec<u8> {
        use sha2::Digest;
        Sha256::digest(self.0).to_vec()
    }
}

async fn show(Extracted(state): Shared, Path(id): Path<String>) -> (StatusCode, Json<Value>) {
    let state = state.lock().unwrap();
    match state.agents.get(&id) {
        None => (StatusCode::NOT_FOUND, Json(json!({ "error": "未找到" }))),
        Some(agent) => {
            let shown = json!({ "card": agent.card, "online": agent.online.is_some() });
            (StatusCode::OK, Json(shown))
        }
    }
}

/// From anybody.
async fn change_card(
    Extracted(state): Shared,
    Path(id): Path<String>,
    body: String,
) -> (StatusCode, Json<Value>) {
    let change: Value = serde_json::from_str(&body).unwrap();
    let mut state = state.lock().unwrap();
    let Some(agent) = state.agents.get_mut(&id) else {
        return (StatusCode::NOT_FOUND, Json(json!({ "error": "未找到" })));
    };
    for name in ["name", "version", "capabilities", "description"] {
        if let Some(value) = change.get(name) {
            agent.card[name] = value.clone();
        }
    }
    (StatusCode::OK, Json(json!({ "ok": true })))
}

/// A message in anybody's name, past every check.
async fn speak(Extracted(state): Shared, body: String) -> (StatusCode, Json<Value>) {
    let body: Value = serde_json::from_str(&body).unwrap();
    let mut state = state.lock().unwrap();
    state.spoken += 1;
    let number = state.spoken;
    let message = json!({
        "id": format!("{number:016x}"),
        "from": body["from"],
        "to": body["to"],
        "type": body.get("type").cloned().unwrap_or_else(|| json!("text")),
        "content": body["content"],
        "conversation_id": "00000000000000000000000000000000",
        "timestamp": state.now,
        "nonce": format!("{number:032x}"),
    });
    let to = body["to"].as_str().unwrap().to_owned();
    match deliver(&mut state, &to, message) {
        true => (StatusCode::OK, Json(json!({ "status": "sent" }))),
        false => (StatusCode::ACCEPTED, Json(json!({ "status": "offline" }))),
    }
}

async fn connect(Extracted(shared): Shared, request: Request) -> Response<Body> {
    let refused = |status: StatusCode, why: &'static str| {
        Response::builder()
            .status(status)
            .body(Body::from(why))
            .unwrap()
    };
    let header = |headers: &HeaderMap, name: &str| {
        let value = headers.get(name)?.to_str().ok()?;
        Some(value.to_owned())
    };
    let headers = request.headers();
    if header(headers, "upgrade").as_deref() != Some("websocket") {
        return refused(StatusCode::NOT_FOUND, "not found");
    }
    let Some(agent) = header(headers, "x-agent-id") else {
        return refused(StatusCode::BAD_REQUEST, "x-agent-id");
    };
    let [Some(timestamp), Some(nonce), Some(signature)] =
        ["x-timestamp", "x-nonce", "x-signature"].map(|name| header(headers, name))
    else {
        return refused(StatusCode::UNAUTHORIZED, "signature");
    };
    let accept = derive_accept_key(headers["sec-websocket-key"].as_bytes());
    {
        let state = shared.lock().unwrap();
        let Some(known) = state.agents.get(&agent) else {
            return refused(StatusCode::UNAUTHORIZED, "agent");
        };
        let material = format!("{agent}|{agent}|server|connect|connect||{timestamp}|{nonce}");
        if mac(&known.secret, &material) != signature {
            return refused(StatusCode::UNAUTHORIZED, "signature");
        }
    }
    tokio::spawn(async move {
        let upgraded = hyper::upgrade::on(request).await.unwrap();
        let io = hyper_util::rt::TokioIo::new(upgraded);
        let socket = WebSocketStream::from_raw_socket(io, Role::Server, None).await;
        serve(shared, agent, socket).await;
    });
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header("upgrade", "websocket")
        .header("connection", "upgrade")
        .header("sec-websocket-accept", accept)
        .body(Body::empty())
        .unwrap()
}

async fn serve<S>(shared: Arc<Mutex<State>>, agent: String, socket: WebSocketStream<S>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let (mut sink, mut stream) = socket.split();
    let (frames, mut outgoing) = unbounded_channel::<Message>();
    let number = {
        let mut state = shared.lock().unwrap();
        state.connections += 1;
        let number = state.connections;
        let key = hex::encode(Sha256Of(&format!("{agent}{number}")).bytes());
        let session = json!({ "type": "session", "session_key": key, "expires_in": 3600 });
        frames.send(Message::text(session.to_string())).unwrap();
        let known = state.agents.get_mut(&agent).unwrap();
        // A former connection stays open and gets nothing any more: its sender goes, and nothing closes it.
        known.online = Some((number, frames.clone(), key));
        for waiting in std::mem::take(&mut known.queue) {
            deliver(&mut state, &agent, waiting);
        }
        number
    };
    drop(frames);
    let is_current = |state: &State| {
        let online = state.agents[&agent].online.as_ref();
        online.is_some_and(|(current, ..)| *current == number)
    };
    loop {
        let frame = tokio::select! {
            frame = outgoing.recv() => match frame {
                Some(frame) => {
                    if sink.send(frame).await.is_err() {
                        break;
                    }
                    continue;
                }
                // Displaced, or dropped by the test.
                None => {
                    if shared.lock().unwrap().agents[&agent].online.is_none() {
                        return;
                    }
                    // Deaf, but open.
                    while stream.next().await.is_some_and(|frame| frame.is_ok()) {}
                    return;
                }
            },
            frame = stream.next() => frame,
        };
        let Some(Ok(frame)) = frame else { break };
        let Message::Text(text) = frame else { continue };
        let mut state = shared.lock().unwrap();
        if !is_current(&state) || state.switches.is_mute {
            continue;
        }
        for answer in judge(&mut state, &agent, &text) {
            let (_, frames, _) = state.agents[&agent].online.as_ref().unwrap();
            let _ = frames.send(Message::text(answer.to_string()));
        }
    }
    let mut state = shared.lock().unwrap();
    if is_current(&state) {
        state.agents.get_mut(&agent).unwrap().online = None;
    }
}

/// What the sender of a frame is told.
fn judge(state: &mut State, sender: &str, text: &str) -> Vec<Value> {
    let Ok(frame) = serde_json::from_str::<Value>(text) else {
        return Vec::new();
    };
    if frame["type"] == "ping" {
        state.pings += 1;
        return vec![json!({ "type": "pong" })];
    }
    if frame["type"] == "pong" {
        state.pongs += 1;
    }
    match check(state, sender, &frame) {
        Err(code) => {
            let mut answers = vec![json!({ "type": "error", "code": code, "message": "被拒绝" })];
            if code == "CONVERSATION_ENDED" {
                answers.push(json!({
                    "type": "conversation_ended",
                    "conversation_id": frame["conversation_id"],
                    "reason": "max_turns",
                }));
            }
            answers
        }
        Ok(()) => {
            let to = frame["to"].as_str().unwrap();
            let is_online = deliver(state, to, frame.clone());
            let status = if is_online { "sent" } else { "queued" };
            vec![json!({ "type": "status", "status": status, "message_id": frame["id"] })]
        }
    }
}

fn check(state: &mut State, sender: &str, frame: &Value) -> Result<(), &'static str> {
    let text = |name: &str| frame[name].as_str();
    let (
        Some(id),
        Some(from),
        Some(to),
        Some(kind),
        Some(content),
        Some(conversation),
        Some(timestamp),
        Some(nonce),
        Some(signature),
    ) = (
        text("id"),
        text("from"),
        text("to"),
        text("type"),
        text("content"),
        text("conversation_id"),
        frame["timestamp"].as_i64(),
        text("nonce"),
        text("signature"),
    )
    else {
        return Err("INVALID_CONTENT");
    };
    if !["text", "typing", "read_receipt", "end"].contains(&kind) {
        return Err("INVALID_MESSAGE_TYPE");
    }
    state.now = jiff::Timestamp::now().as_millisecond() + state.switches.clock_ahead;
    if (timestamp - state.now).abs() > 5 * 60 * 1000 {
        return Err("TIMESTAMP_EXPIRED");
    }
    if content.encode_utf16().count() * 4 > 65_536 {
        return Err("MESSAGE_TOO_LARGE");
    }
    if content.chars().any(|character| {
        matches!(character, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}'
            | '\u{200b}'..='\u{200d}' | '\u{feff}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    }) {
        return Err("INVALID_CONTENT");
    }
    if from != sender {
        return Err("UNAUTHORIZED");
    }
    if !state.nonces.insert(nonce.to_owned()) {
        return Err("REPLAY_ATTACK");
    }
    let (_, _, key) = state.agents[sender].online.as_ref().unwrap();
    let turn = frame.get("turn_number").map(Value::to_string);
    let mut material = vec![id, from, to, kind, content, conversation];
    material.extend(turn.as_deref());
    let timestamp = timestamp.to_string();
    material.extend([&*timestamp, nonce]);
    if mac(key, &material.join("|")) != signature {
        return Err("INVALID_SIGNATURE");
    }
    let rate = state.switches.rate.unwrap_or(60);
    let known = state.agents.get_mut(sender).unwrap();
    if known.sent >= rate {
        return Err("RATE_LIMITED");
    }
    known.sent += 1;
    if let Some(receiver) = state.agents.get(to) {
        if receiver.blocked.contains(sender) {
            return Err("AGENT_BLOCKED");
        }
        let allowed = receiver.allowed.as_ref();
        if allowed.is_some_and(|allowed| !allowed.contains(sender)) {
            return Err("NOT_IN_ALLOWLIST");
        }
    }
    if !conversation.is_empty() {
        let limit = frame["max_turns"].as_u64().unwrap_or(20);
        let counted = state.conversations.entry(conversation.to_owned());
        let (turns, limit) = counted.or_insert((0, limit));
        if turns >= limit {
            state.conversations.remove(conversation);
            return Err("CONVERSATION_ENDED");
        }
        *turns += 1;
    }
    Ok(())
}

/// Whether the receiver is connected; else the message waits, with at most nine others.
fn deliver(state: &mut State, to: &str, mut message: Value) -> bool {
    let limit = state.switches.queue.unwrap_or(10);
    let delivered_at = state.now;
    let Some(receiver) = state.agents.get_mut(to) else {
        return false;
    };
    if let Some((_, frames, key)) = &receiver.online {
        let part = |name: &str| match &message[name] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let signed = [
            "id",
            "from",
            "to",
            "type",
            "content",
            "conversation_id",
            "timestamp",
            "nonce",
        ]
        .map(part)
        .join("|");
        message["signature"] = mac(key, &signed).into();
        message["delivered_at"] = delivered_at.into();
        // What is written to a dead socket is lost and nobody is told.
        let _ = frames.send(Message::text(message.to_string()));
        return true;
    }
    let id = message["id"].as_str().unwrap_or_default().to_owned();
    if state.queued_ids.insert(id) {
        receiver.queue.push_back(message);
        while receiver.queue.len() > limit {
            receiver.queue.pop_front();
        }
    }
    false
}

fn mac(key: &str, material: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(material.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}
