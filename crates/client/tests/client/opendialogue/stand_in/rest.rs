//! The REST calls, which anybody may make for anybody.

use std::sync::{Arc, Mutex};

use axum::{
    Json,
    extract::{Path, Query, State as Extracted},
    http::{StatusCode, Uri},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Agent, State, check::deliver, hash};

type Shared = Extracted<Arc<Mutex<State>>>;
type Answer = (StatusCode, Json<Value>);

fn ok(body: Value) -> Answer {
    (StatusCode::OK, Json(body))
}

fn refused(status: StatusCode, why: &str) -> Answer {
    (status, Json(json!({ "error": why })))
}

fn unknown() -> Answer {
    refused(StatusCode::NOT_FOUND, "未找到")
}

pub(super) async fn register(Extracted(state): Shared, body: String) -> Answer {
    let body: Value = serde_json::from_str(&body).unwrap_or_default();
    let Some(name) = body["name"].as_str().filter(|name| !name.is_empty()) else {
        return refused(StatusCode::BAD_REQUEST, "缺少 name");
    };
    let mut state = state.lock().unwrap();
    let id = (10_000_000 + state.agents.len()).to_string();
    let secret = hash(&id);
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
        queue: Default::default(),
        sent: 0,
        blocked: Vec::new(),
        allowed: Vec::new(),
        hears_only_allowed: false,
    };
    state.agents.insert(id.clone(), agent);
    let answer = json!({ "agent_id": id, "agent_secret": secret, "card": card });
    (StatusCode::CREATED, Json(answer))
}

pub(super) async fn show(Extracted(state): Shared, Path(id): Path<String>) -> Answer {
    let state = state.lock().unwrap();
    match state.agents.get(&id) {
        None => unknown(),
        Some(agent) => {
            let mut card = agent.card.clone();
            if card.get("description").is_none() {
                card["description"] = Value::Null;
            }
            ok(json!({ "card": card, "online": agent.online.is_some() }))
        }
    }
}

pub(super) async fn change_card(
    Extracted(state): Shared,
    Path(id): Path<String>,
    body: String,
) -> Answer {
    let change: Value = serde_json::from_str(&body).unwrap();
    let mut state = state.lock().unwrap();
    let Some(agent) = state.agents.get_mut(&id) else {
        return unknown();
    };
    for name in ["name", "version", "capabilities", "description"] {
        if let Some(value) = change.get(name) {
            agent.card[name] = value.clone();
        }
    }
    ok(json!({ "ok": true }))
}

fn is_block(uri: &Uri) -> bool {
    uri.path().ends_with("/block")
}

/// Puts an agent on one of the lists.
pub(super) async fn list(
    Extracted(state): Shared,
    Path(id): Path<String>,
    uri: Uri,
    body: String,
) -> Answer {
    change_list(&state, &id, &uri, &body, true)
}

pub(super) async fn unlist(
    Extracted(state): Shared,
    Path(id): Path<String>,
    uri: Uri,
    body: String,
) -> Answer {
    change_list(&state, &id, &uri, &body, false)
}

fn change_list(state: &Mutex<State>, id: &str, uri: &Uri, body: &str, adds: bool) -> Answer {
    let Ok(body) = serde_json::from_str::<Value>(body) else {
        return refused(StatusCode::INTERNAL_SERVER_ERROR, "");
    };
    let name = if is_block(uri) {
        "blocked_id"
    } else {
        "allowed_id"
    };
    let Some(other) = body[name].as_str() else {
        return refused(StatusCode::BAD_REQUEST, "缺少");
    };
    let mut state = state.lock().unwrap();
    let Some(agent) = state.agents.get_mut(id) else {
        return unknown();
    };
    agent
        .blocked
        .retain(|(blocked, _)| !is_block(uri) || blocked != other);
    agent
        .allowed
        .retain(|allowed| is_block(uri) || allowed != other);
    if adds && is_block(uri) {
        let reason = body["reason"].as_str().map(str::to_owned);
        agent.blocked.push((other.to_owned(), reason));
    } else if adds {
        agent.allowed.push(other.to_owned());
    }
    ok(json!({ "ok": true }))
}

pub(super) async fn lists(Extracted(state): Shared, Path(id): Path<String>, uri: Uri) -> Answer {
    let state = state.lock().unwrap();
    let Some(agent) = state.agents.get(&id) else {
        return unknown();
    };
    if is_block(&uri) {
        let blocked = agent.blocked.iter();
        let blocklist: Vec<_> = blocked
            .map(|(id, why)| json!({ "blocked_id": id, "reason": why, "created_at": 1 }))
            .collect();
        return ok(json!({ "agent_id": id, "blocklist": blocklist }));
    }
    let allowed = agent.allowed.iter();
    let allowlist: Vec<_> = allowed
        .map(|id| json!({ "allowed_id": id, "created_at": 1 }))
        .collect();
    ok(json!({
        "agent_id": id,
        "allowlist_enabled": agent.hears_only_allowed,
        "allowlist": allowlist,
    }))
}

pub(super) async fn set_mode(
    Extracted(state): Shared,
    Path(id): Path<String>,
    body: String,
) -> Answer {
    let body: Value = serde_json::from_str(&body).unwrap();
    let Some(enabled) = body["enabled"].as_bool() else {
        return refused(StatusCode::BAD_REQUEST, "enabled");
    };
    let mut state = state.lock().unwrap();
    let Some(agent) = state.agents.get_mut(&id) else {
        return unknown();
    };
    agent.hears_only_allowed = enabled;
    ok(json!({ "ok": true, "allowlist_enabled": enabled }))
}

/// A message in anybody's name, past every check.
pub(super) async fn speak(Extracted(state): Shared, body: String) -> Answer {
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
        "conversation_id": body.get("conversation_id").cloned().unwrap_or_else(|| json!("0".repeat(32))),
        "timestamp": state.now(),
        "nonce": format!("{number:032x}"),
    });
    let to = body["to"].as_str().unwrap().to_owned();
    match deliver(&mut state, &to, message) {
        true => ok(json!({ "status": "sent" })),
        false => (StatusCode::ACCEPTED, Json(json!({ "status": "offline" }))),
    }
}

#[derive(Deserialize)]
pub(super) struct Last {
    last: usize,
}

pub(super) async fn history(
    Extracted(state): Shared,
    Path(id): Path<String>,
    Query(Last { last }): Query<Last>,
) -> Answer {
    let state = state.lock().unwrap();
    let of_it = |message: &&Value| message["conversation_id"] == *id;
    let kept: Vec<_> = state.history.iter().filter(of_it).collect();
    let Some(first) = kept.first() else {
        return unknown();
    };
    let messages = kept.iter().enumerate().map(|(turn, message)| {
        json!({
            "turn_number": turn + 1,
            "from_agent_id": message["from"],
            "type": message["type"],
            "content": message["content"],
            "timestamp": message["timestamp"],
        })
    });
    // By turns, which are not in the order of time where a counter began again.
    let messages: Vec<_> = messages.rev().take(last).collect();
    ok(json!({
        "conversation": {
            "conversation_id": id,
            "initiator_id": first["from"],
            "participant_id": first["to"],
            "max_turns": first["max_turns"],
            "current_turn": kept.len(),
            "status": "active",
            "created_at": 1,
            "updated_at": 1,
        },
        "messages": messages,
        "total": kept.len(),
    }))
}
