//! A stand-in for a WTT service on a free port of this machine, over REST and WebSockets.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Query, Request, State as Extracted},
    http::{HeaderMap, Response, StatusCode},
};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    task::JoinHandle,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, handshake::derive_accept_key, protocol::Role},
};

use super::{
    rest,
    service::{Call, Service, Switches},
};

/// The service. It ends with this.
pub(crate) struct StandIn {
    service: Arc<Mutex<Service>>,
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

    async fn listen(address: &str, service: Arc<Mutex<Service>>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&service));
        let server = tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        Self {
            service,
            address,
            server,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("wtt+http://{}", self.address)
    }

    /// Ends it and every connection.
    pub(crate) fn stop(&self) {
        self.server.abort();
        self.drop_connections();
    }

    /// Begins again at the same address, with what it knew.
    pub(crate) async fn restart(mut self) -> Self {
        self.stop();
        // Its listener goes with it, which the next one needs gone.
        let _ = (&mut self.server).await;
        let service = Arc::clone(&self.service);
        let address = self.address.to_string();
        drop(self);
        Self::listen(&address, service).await
    }

    pub(crate) fn switch(&self, change: impl FnOnce(&mut Switches)) {
        change(&mut self.service().switches);
    }

    /// Breaks every connection off without a word.
    pub(crate) fn drop_connections(&self) {
        for agent in self.service().agents.values_mut() {
            agent.sockets.clear();
        }
    }

    pub(crate) fn is_online(&self, agent: &str) -> bool {
        let service = self.service();
        let mut sockets = service.agents[agent].sockets.iter();
        sockets.any(|(_, frames)| !frames.is_closed())
    }

    /// Has a frame come over an agent's connections, whatever it is.
    pub(crate) fn push(&self, agent: &str, frame: impl Into<Message>) {
        let frame = frame.into();
        for (_, frames) in &self.service().agents[agent].sockets {
            frames.send(frame.clone()).unwrap();
        }
    }

    /// Frames that an agent sent over its sockets, as JSON, heartbeats as texts.
    pub(crate) fn frames(&self, agent: &str) -> Vec<Value> {
        let service = self.service();
        let sent = service.frames.iter().filter(|(sender, _)| sender == agent);
        sent.map(|(_, frame)| serde_json::from_str(frame).unwrap_or_else(|_| json!(frame)))
            .collect()
    }

    /// How often an agent asked for an action over its sockets.
    pub(crate) fn actions(&self, agent: &str, action: &str) -> usize {
        let frames = self.frames(agent);
        frames
            .iter()
            .filter(|frame| frame["action"] == action)
            .count()
    }

    /// REST calls whose lines begin so.
    pub(crate) fn calls(&self, line: &str) -> Vec<Call> {
        let service = self.service();
        let calls = service
            .calls
            .iter()
            .filter(|call| call.line.starts_with(line));
        calls.cloned().collect()
    }

    pub(crate) fn service(&self) -> MutexGuard<'_, Service> {
        self.service.lock().unwrap()
    }
}

type Shared = Arc<Mutex<Service>>;

fn response(status: u16, kind: &str, body: impl Into<Body>) -> Response<Body> {
    let status = StatusCode::from_u16(status).unwrap();
    let builder = Response::builder().status(status);
    builder
        .header("content-type", kind)
        .body(body.into())
        .unwrap()
}

async fn answer(
    Extracted(shared): Extracted<Shared>,
    Query(query): Query<HashMap<String, String>>,
    request: Request,
) -> Response<Body> {
    let path = request.uri().path().to_owned();
    if let Some(agent) = path.strip_prefix("/ws/") {
        return upgrade(shared, agent.to_owned(), request);
    }
    let method = request.method().to_string();
    let line = format!("{method} {}", request.uri());
    let header = |headers: &HeaderMap, name: &str| {
        let value = headers.get(name)?.to_str().ok()?;
        Some(value.to_owned())
    };
    let token = header(request.headers(), "x-agent-token");
    let bearer = header(request.headers(), "authorization");
    let bearer = bearer.and_then(|value| Some(value.strip_prefix("Bearer ")?.to_owned()));
    let bytes = to_bytes(request.into_body(), usize::MAX).await.unwrap();
    let call = Call {
        line,
        token,
        bearer,
        body: serde_json::from_slice(&bytes).unwrap_or_default(),
    };
    let mut service = shared.lock().unwrap();
    service.calls.push(call.clone());
    if let Some((status, body)) = &service.switches.answers {
        return response(*status, "text/html", body.clone());
    }
    // A slash too many or too few leads elsewhere, where nobody follows with a body.
    if ["/topics", "/messages", "/tasks/"].contains(&&*path) {
        return response(307, "text/plain", "");
    }
    match rest::answer(&mut service, &method, &path, &query, &call) {
        Ok(body) if service.switches.wraps_objects && body.is_object() => {
            response(200, "application/json", json!({ "data": body }).to_string())
        }
        Ok(Value::Null) => response(204, "application/json", ""),
        Ok(body) => response(200, "application/json", body.to_string()),
        Err((status, why)) => {
            let body = rest::refusal(&service, why);
            response(status, "application/json", body.to_string())
        }
    }
}

fn upgrade(shared: Shared, agent: String, request: Request) -> Response<Body> {
    {
        let mut service = shared.lock().unwrap();
        service.paths.push(request.uri().to_string());
        if service.switches.has_no_sockets || !service.agents.contains_key(&agent) {
            return response(404, "text/plain", "no such place");
        }
    }
    let accept = derive_accept_key(request.headers()["sec-websocket-key"].as_bytes());
    tokio::spawn(async move {
        let upgraded = hyper::upgrade::on(request).await.unwrap();
        let io = hyper_util::rt::TokioIo::new(upgraded);
        let socket = WebSocketStream::from_raw_socket(io, Role::Server, None).await;
        let (frames, outgoing) = unbounded_channel();
        let number = {
            let mut service = shared.lock().unwrap();
            service.connections += 1;
            let number = service.connections;
            // Whoever knows the id, token or not.
            let known = service.agents.get_mut(&agent).unwrap();
            known.sockets.push((number, frames));
            number
        };
        serve(&shared, &agent, number, socket, outgoing).await;
        let mut service = shared.lock().unwrap();
        let known = service.agents.get_mut(&agent).unwrap();
        known.sockets.retain(|(other, _)| *other != number);
    });
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header("upgrade", "websocket")
        .header("connection", "upgrade")
        .header("sec-websocket-accept", accept)
        .body(Body::empty())
        .unwrap()
}

async fn serve<S>(
    shared: &Shared,
    agent: &str,
    number: usize,
    socket: WebSocketStream<S>,
    mut outgoing: UnboundedReceiver<Message>,
) where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let (mut sink, mut stream) = socket.split();
    let mut is_known = false;
    loop {
        let frame = tokio::select! {
            frame = outgoing.recv() => {
                // None when it was dropped by the test.
                let Some(frame) = frame else { return };
                if sink.send(frame).await.is_err() {
                    return;
                }
                continue;
            }
            frame = stream.next() => frame,
        };
        let Some(Ok(frame)) = frame else { return };
        let Message::Text(text) = frame else { continue };
        let mut service = shared.lock().unwrap();
        let Some(answer) = service.judge(agent, &mut is_known, &text) else {
            continue;
        };
        let sockets = &service.agents[agent].sockets;
        if let Some((_, frames)) = sockets.iter().find(|(other, _)| *other == number) {
            let _ = frames.send(answer);
        }
    }
}
