//! What the relay checks of a message, in its order, and what it does with one that it takes.

use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

use super::{State, mac};

pub(super) fn check(state: &mut State, sender: &str, frame: &Value) -> Result<(), &'static str> {
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
    if (timestamp - state.now()).abs() > 5 * 60 * 1000 {
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
    let key = &state.agents[sender].online.as_ref().unwrap().key;
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
        if receiver
            .blocked
            .iter()
            .any(|(blocked, _)| blocked == sender)
        {
            return Err("AGENT_BLOCKED");
        }
        if receiver.hears_only_allowed && !receiver.allowed.iter().any(|id| id == sender) {
            return Err("NOT_IN_ALLOWLIST");
        }
    }
    if !conversation.is_empty() && kind != "end" {
        let said = frame["max_turns"].as_u64().unwrap_or(20);
        let limit = state.switches.turns.unwrap_or(said);
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
pub(super) fn deliver(state: &mut State, to: &str, message: Value) -> bool {
    let limit = state.switches.queue.unwrap_or(10);
    let Some(receiver) = state.agents.get_mut(to) else {
        return false;
    };
    if receiver.online.is_none() {
        let id = message["id"].as_str().unwrap_or_default().to_owned();
        if state.queued_ids.insert(id) {
            receiver.queue.push_back(message);
            while receiver.queue.len() > limit {
                receiver.queue.pop_front();
            }
        }
        return false;
    }
    let mut now = vec![(to.to_owned(), message)];
    if let Some(faults) = &mut state.faults {
        now = faults.upset(now, &mut state.delayed);
    }
    for (to, message) in now {
        write(state, &to, message);
    }
    true
}

/// Writes a message to a connection, signed with its key.
fn write(state: &State, to: &str, mut message: Value) {
    let Some(online) = &state.agents[to].online else {
        return;
    };
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
    message["signature"] = mac(&online.key, &signed).into();
    message["delivered_at"] = state.now().into();
    // What is written to a dead socket is lost and nobody is told.
    let _ = online.frames.send(Message::text(message.to_string()));
}
