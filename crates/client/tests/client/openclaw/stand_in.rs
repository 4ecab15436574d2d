//! A stand-in for the server of OpenClaw's WebSocket channel with a host behind it: its greeting, login, errors,
//! typing, duplicates and busy sessions, and answers by a script. What the real one does wrong it does, too.

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, mpsc},
    task::{AbortHandle, JoinSet},
};
use tokio_tungstenite::{
    accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{ErrorResponse, Request, Response},
        protocol::CloseFrame,
    },
};

/// What the host does about one message.
#[derive(Clone)]
pub(crate) enum Step {
    /// It answers, cut as hosts cut.
    Answer(String),
    /// It shows a text as it grows.
    Stream(Vec<String>),
    /// It sends this, with the message's id where there is `"messageId": true`.
    Frame(Value),
    /// It sends whatever this is.
    Raw(Message),
    /// It waits until it is told to go on.
    Wait(Arc<Notify>),
    /// It closes the connection with this code.
    Close(u16),
    /// It is gone without a word.
    Vanish,
    /// It stops reading and writing, and stays.
    Freeze,
}

type Script = Arc<dyn Fn(&Value) -> Vec<Step> + Send + Sync>;

#[derive(Clone)]
struct Rules {
    script: Script,
    /// The token that lets somebody in.
    token: Option<String>,
    /// The login takes until this.
    slow_login: Option<Arc<Notify>>,
}

struct State {
    rules: Rules,
    connections: usize,
    /// What was asked for when connecting.
    queries: Vec<String>,
    /// Messages that were taken.
    taken: Vec<Value>,
    /// Frames that came while nobody listened, and were lost.
    lost: usize,
    tasks: Vec<AbortHandle>,
}

pub(crate) struct StandIn {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    server: AbortHandle,
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.stop();
    }
}

impl StandIn {
    /// Answers by this script.
    pub(crate) async fn start(
        script: impl Fn(&Value) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        let state = State {
            rules: Rules {
                script: Arc::new(script),
                token: None,
                slow_login: None,
            },
            connections: 0,
            queries: Vec::new(),
            taken: Vec::new(),
            lost: 0,
            tasks: Vec::new(),
        };
        Self::listen("127.0.0.1:0".parse().unwrap(), Arc::new(Mutex::new(state))).await
    }

    /// Says back whatever it is told.
    pub(crate) async fn echo() -> Self {
        Self::start(|message| vec![Step::Answer(content(message).to_owned())]).await
    }

    async fn listen(address: SocketAddr, state: Arc<Mutex<State>>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::clone(&state);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let task = tokio::spawn(serve(stream, Arc::clone(&shared)));
                shared.lock().unwrap().tasks.push(task.abort_handle());
            }
        });
        Self {
            address,
            state,
            server: server.abort_handle(),
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("openclaw+ws://{}/ws", self.address)
    }

    /// Ends it and every connection, without a word.
    pub(crate) fn stop(&self) {
        self.server.abort();
        for task in self.state().tasks.drain(..) {
            task.abort();
        }
    }

    /// Begins again at the same address.
    pub(crate) async fn restart(self) -> Self {
        self.stop();
        let (address, state) = (self.address, Arc::clone(&self.state));
        drop(self);
        loop {
            // Until the former listener is gone.
            if TcpListener::bind(address).await.is_ok() {
                return Self::listen(address, state).await;
            }
            tokio::task::yield_now().await;
        }
    }

    pub(crate) fn lets_in(&self, token: &str) {
        self.state().rules.token = Some(token.to_owned());
    }

    pub(crate) fn login_takes_until(&self, then: &Arc<Notify>) {
        self.state().rules.slow_login = Some(Arc::clone(then));
    }

    pub(crate) fn answers(&self, script: impl Fn(&Value) -> Vec<Step> + Send + Sync + 'static) {
        self.state().rules.script = Arc::new(script);
    }

    pub(crate) fn connections(&self) -> usize {
        self.state().connections
    }

    pub(crate) fn queries(&self) -> Vec<String> {
        self.state().queries.clone()
    }

    pub(crate) fn taken(&self) -> Vec<Value> {
        self.state().taken.clone()
    }

    pub(crate) fn lost(&self) -> usize {
        self.state().lost
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

pub(crate) fn content(message: &Value) -> &str {
    message["content"].as_str().unwrap()
}

/// What goes out over one connection.
enum Out {
    Frame(Message),
    Close(u16),
    Vanish,
    Freeze,
}

#[expect(clippy::result_large_err, reason = "the type of what checks requests")]
async fn serve(stream: TcpStream, shared: Arc<Mutex<State>>) {
    let mut query = String::new();
    let check = |request: &Request, response: Response| {
        if request.uri().path() != "/ws" {
            let mut refused = ErrorResponse::new(None);
            *refused.status_mut() = hyper::StatusCode::BAD_REQUEST;
            return Err(refused);
        }
        request
            .uri()
            .query()
            .unwrap_or_default()
            .clone_into(&mut query);
        Ok(response)
    };
    let Ok(mut socket) = accept_hdr_async(stream, check).await else {
        return;
    };
    let rules = {
        let mut state = shared.lock().unwrap();
        state.connections += 1;
        state.queries.push(query.clone());
        state.rules.clone()
    };
    if let Some(then) = &rules.slow_login {
        loop {
            tokio::select! {
                () = then.notified() => break,
                frame = socket.next() => match frame {
                    Some(Ok(Message::Text(_))) => shared.lock().unwrap().lost += 1,
                    Some(Ok(_)) => {}
                    _ => return,
                },
            }
        }
    }
    let given = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("token="));
    if let Some(token) = &rules.token
        && given != Some(token)
    {
        let (error, reason) = match given {
            None => (
                "Token required. Connect with ?token=YOUR_TOKEN",
                "Token required",
            ),
            Some(_) => (
                "Authentication failed: auth_failed",
                "Authentication failed",
            ),
        };
        let frame = json!({ "type": "chat.error", "error": error }).to_string();
        let _ = socket.send(Message::text(frame)).await;
        let close = CloseFrame {
            code: 4401.into(),
            reason: reason.into(),
        };
        let _ = socket.close(Some(close)).await;
        while let Some(Ok(_)) = socket.next().await {}
        return;
    }
    let greeting =
        json!({ "type": "chat.response", "content": "Connected to WebSocket chat server" });
    let _ = socket.send(Message::text(greeting.to_string())).await;
    let (out, mut outgoing) = mpsc::unbounded_channel();
    let mut session = Session {
        shared,
        out,
        ids: HashSet::new(),
        busy: Arc::default(),
        runs: JoinSet::new(),
    };
    loop {
        tokio::select! {
            out = outgoing.recv() => match out.unwrap() {
                Out::Frame(frame) => {
                    if socket.send(frame).await.is_err() {
                        return;
                    }
                }
                Out::Close(code) => {
                    let close = CloseFrame { code: code.into(), reason: "".into() };
                    let _ = socket.close(Some(close)).await;
                }
                Out::Vanish => return,
                Out::Freeze => std::future::pending().await,
            },
            frame = socket.next() => match frame {
                Some(Ok(Message::Text(text))) => session.take(text.as_bytes()),
                Some(Ok(Message::Binary(bytes))) => session.take(&bytes),
                Some(Ok(_)) => {}
                _ => return,
            },
        }
    }
}

/// One connection, whose sender has one session.
struct Session {
    shared: Arc<Mutex<State>>,
    out: mpsc::UnboundedSender<Out>,
    ids: HashSet<String>,
    /// What was said while something runs; `None` while nothing does.
    busy: Arc<Mutex<Option<Vec<String>>>>,
    runs: JoinSet<()>,
}

fn frame(out: &mpsc::UnboundedSender<Out>, frame: &Value) {
    let _ = out.send(Out::Frame(Message::text(frame.to_string())));
}

impl Session {
    fn take(&mut self, bytes: &[u8]) {
        let error =
            |error: &str| frame(&self.out, &json!({ "type": "chat.error", "error": error }));
        let Ok(message @ Value::Object(_)) = serde_json::from_slice::<Value>(bytes) else {
            return error("Failed to parse message");
        };
        if message["type"] != "chat.send"
            || message["content"] == ""
            || message["content"].is_null()
        {
            return error("Invalid message format. Expected: …");
        }
        frame(&self.out, &json!({ "type": "chat.typing" }));
        if !message["content"].is_string() {
            return error("Failed to parse message");
        }
        let id = match &message["messageId"] {
            Value::Null => "made-up".to_owned(),
            Value::String(id) => id.clone(),
            other => {
                let error = json!({
                    "type": "chat.error",
                    "messageId": other,
                    "error": "Failed to process message: it has no length",
                });
                return frame(&self.out, &error);
            }
        };
        if !self.ids.insert(id.clone()) {
            return;
        }
        let script = {
            let mut state = self.shared.lock().unwrap();
            state.taken.push(message.clone());
            Arc::clone(&state.rules.script)
        };
        let mut busy = self.busy.lock().unwrap();
        if let Some(waiting) = &mut *busy {
            waiting.push(content(&message).to_owned());
            return;
        }
        *busy = Some(Vec::new());
        drop(busy);
        let (out, busy) = (self.out.clone(), Arc::clone(&self.busy));
        self.runs.spawn(async move {
            frame(&out, &json!({ "type": "chat.typing" }));
            for step in script(&message) {
                play(step, &id, &out).await;
            }
            let waiting = busy.lock().unwrap().take().unwrap_or_default();
            if !waiting.is_empty() {
                let prompt = format!("[queued]\n\n{}", waiting.join("\n\n"));
                let message = json!({ "content": prompt });
                for step in script(&message) {
                    if let Step::Answer(text) = step {
                        for piece in cut(&text) {
                            stream(&piece, &id, &out);
                        }
                    }
                }
            }
        });
    }
}

fn stream(content: &str, id: &str, out: &mpsc::UnboundedSender<Out>) {
    let stream = json!({
        "type": "chat.stream",
        "messageId": id,
        "content": content,
        "done": false,
    });
    frame(out, &stream);
}

async fn play(step: Step, id: &str, out: &mpsc::UnboundedSender<Out>) {
    match step {
        Step::Answer(text) => {
            for piece in cut(&text) {
                let response = json!({
                    "type": "chat.response",
                    "messageId": id,
                    "content": piece,
                    "done": true,
                });
                frame(out, &response);
            }
        }
        Step::Stream(texts) => texts.iter().for_each(|text| stream(text, id, out)),
        Step::Frame(mut value) => {
            if value["messageId"] == true {
                value["messageId"] = id.into();
            }
            frame(out, &value);
        }
        Step::Raw(message) => drop(out.send(Out::Frame(message))),
        Step::Wait(then) => then.notified().await,
        Step::Close(code) => drop(out.send(Out::Close(code))),
        Step::Vanish => drop(out.send(Out::Vanish)),
        Step::Freeze => drop(out.send(Out::Freeze)),
    }
}

/// A text as hosts cut it: at every blank line, and each paragraph of more than 4000 characters at its last
/// line end, else at its last blank, else right there.
pub(crate) fn cut(text: &str) -> Vec<String> {
    const MOST: usize = 4000;
    let mut pieces = Vec::new();
    for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.is_empty()) {
        let mut rest = paragraph;
        while rest.len() > MOST {
            let head = &rest[..MOST];
            let at = head.rfind('\n').or_else(|| head.rfind(' ')).unwrap_or(MOST);
            pieces.push(rest[..at].to_owned());
            rest = rest[at..].trim_start();
        }
        pieces.push(rest.to_owned());
    }
    pieces
}

#[test]
fn the_stand_in_cuts_as_it_was_measured() {
    let lengths = |text: &str| cut(text).iter().map(String::len).collect::<Vec<_>>();
    assert_eq!(lengths(&"x".repeat(9001)), [4000, 4000, 1001]);
    let lines = vec!["y".repeat(35); 200].join("\n");
    assert!(lengths(&lines)[0] <= 4000);
    assert_eq!(cut("one\n\ntwo\nthree"), ["one", "two\nthree"]);
}
