//! The WebSocket of an agent.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    body::Body,
    extract::{Request, State as Extracted},
    http::{HeaderMap, Response, StatusCode},
};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, handshake::derive_accept_key, protocol::Role},
};

use super::{
    Online, State,
    check::{check, deliver},
    frames, hash, mac,
};

/// How long what waits takes to come where it comes late.
const LATE: Duration = Duration::from_millis(200);

pub(super) async fn connect(
    Extracted(shared): Extracted<Arc<Mutex<State>>>,
    request: Request,
) -> Response<Body> {
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
        // Whoever asked may have gone.
        if let Ok(upgraded) = hyper::upgrade::on(request).await {
            let io = hyper_util::rt::TokioIo::new(upgraded);
            let socket = WebSocketStream::from_raw_socket(io, Role::Server, None).await;
            serve(shared, agent, socket).await;
        }
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
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sink, mut stream) = socket.split();
    let (frames, mut outgoing) = frames();
    let number = {
        let mut state = shared.lock().unwrap();
        state.connections += 1;
        let number = state.connections;
        let key = hash(&format!("{agent}{number}"));
        if !state.switches.is_silent {
            let session = json!({ "type": "session", "session_key": key, "expires_in": 3600 });
            frames.send(Message::text(session.to_string())).unwrap();
        }
        let known = state.agents.get_mut(&agent).unwrap();
        // A former connection stays open and gets nothing any more: its sender goes, and nothing closes it.
        known.online = Some(Online {
            number,
            frames: frames.clone(),
            key,
        });
        if state.switches.is_late {
            let (shared, agent) = (Arc::clone(&shared), agent.clone());
            tokio::spawn(async move {
                tokio::time::sleep(LATE).await;
                let mut state = shared.lock().unwrap();
                let online = state.agents[&agent].online.as_ref();
                if online.is_some_and(|online| online.number == number) {
                    hand_out(&mut state, &agent);
                }
            });
        } else if !state.switches.is_silent {
            hand_out(&mut state, &agent);
        }
        number
    };
    drop(frames);
    let is_current = |state: &State| {
        let online = state.agents[&agent].online.as_ref();
        online.is_some_and(|online| online.number == number)
    };
    loop {
        let frame = tokio::select! {
            frame = outgoing.recv() => match frame {
                Some(frame) => {
                    if sink.send(frame).await.is_err() {
                        break;
                    }
                    shared.lock().unwrap().written += 1;
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
        if is_current(&state) {
            heed(&mut state, &agent, &text);
        }
    }
    let mut state = shared.lock().unwrap();
    if is_current(&state) {
        state.agents.get_mut(&agent).unwrap().online = None;
    }
}

/// Gives out what waits for an agent.
fn hand_out(state: &mut State, agent: &str) {
    let queue = std::mem::take(&mut state.agents.get_mut(agent).unwrap().queue);
    for mut waiting in queue {
        for lost in ["turn_number", "max_turns"] {
            waiting.as_object_mut().unwrap().remove(lost);
        }
        deliver(state, agent, waiting);
    }
}

/// Does what a frame asks for, and says so.
fn heed(state: &mut State, sender: &str, text: &str) {
    let Ok(frame) = serde_json::from_str::<Value>(text) else {
        return;
    };
    if frame["type"] == "ping" {
        state.pings += 1;
        if !state.switches.is_mute {
            state.say(sender, &[json!({ "type": "pong" })]);
        }
        return;
    }
    if state.switches.is_mute {
        return;
    }
    if frame["type"] == "pong" {
        state.pongs += 1;
    }
    let answers = judge(state, sender, &frame);
    if state
        .faults
        .as_mut()
        .is_some_and(|faults| faults.loses_answer())
    {
        return;
    }
    if state.switches.holds_answers {
        state.answers.push_back((sender.to_owned(), answers));
        state.most_answers = state.most_answers.max(state.answers.len());
    } else {
        state.say(sender, &answers);
    }
}

/// What the sender of a frame is told.
fn judge(state: &mut State, sender: &str, frame: &Value) -> Vec<Value> {
    let ended = |reason: &str| {
        json!({
            "type": "conversation_ended",
            "conversation_id": frame["conversation_id"],
            "reason": reason,
        })
    };
    if let Err(code) = check(state, sender, frame) {
        let mut answers = vec![json!({ "type": "error", "code": code, "message": "被拒绝" })];
        if code == "CONVERSATION_ENDED" {
            answers.push(ended("max_turns"));
        }
        return answers;
    }
    let to = frame["to"].as_str().unwrap();
    if frame["type"] == "end" {
        let conversation = frame["conversation_id"].as_str().unwrap();
        state.conversations.remove(conversation);
        let ended = ended("participant_ended");
        if state.agents.contains_key(to) {
            state.say(to, std::slice::from_ref(&ended));
        }
        return vec![ended];
    }
    state.history.push(frame.clone());
    let is_online = deliver(state, to, frame.clone());
    let status = if is_online { "sent" } else { "queued" };
    vec![json!({ "type": "status", "status": status, "message_id": frame["id"] })]
}
