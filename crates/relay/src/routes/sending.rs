//! Sending: `POST /messages`.

use std::collections::HashSet;
use std::fmt::Write;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use ctalk_wire::{MessageType, Recipients, Sent};

use crate::api_error::ApiError;
use crate::auth::AgentCaller;
use crate::body::{Members, Text};
use crate::clock::iso;
use crate::http::App;
use crate::store::{Agent, NewMessage};
use crate::validate;

/// How long a message is kept unless its sender says otherwise, in seconds: 30 days.
const DEFAULT_TTL: f64 = 30.0 * 86_400.0;
/// The longest that a message is kept, in seconds: 90 days.
const MAX_TTL: f64 = 90.0 * 86_400.0;

pub(super) async fn send(
    State(app): State<Arc<App>>,
    AgentCaller(sender): AgentCaller,
    body: Text,
) -> Result<(StatusCode, Json<Sent>), ApiError> {
    let members = body.members()?;
    let to = recipients_named(&members)?;
    let envelope = envelope_members(&members)?;
    let topic = topic(&members)?;
    let ttl_ms = ttl_ms(&members)?;
    if !sender.may_send(app.rate_limit, app.clock.now_ms()) {
        return Err(ApiError::rate_limited(format!(
            "more than {} messages; wait for the next window",
            app.rate_limit
        )));
    }
    let recipients = resolve(&app, &sender, to)?;
    let id = message_id()?;
    let ts = app
        .store
        .send(NewMessage {
            id: id.clone(),
            sender,
            recipients,
            topic,
            ttl_ms,
            members: envelope,
        })
        .await?;
    Ok((StatusCode::CREATED, Json(Sent { id, ts: iso(ts) })))
}

fn recipients_named(members: &Members<'_>) -> Result<Recipients, ApiError> {
    let expected = "a name, an array of names or `broadcast`";
    match members.optional("to", expected)? {
        Some(Recipients::One(name)) if !name.is_empty() => Ok(Recipients::One(name)),
        Some(Recipients::Many(names)) => Ok(Recipients::Many(names)),
        _ => Err(ApiError::bad_request("`to` is required")),
    }
}

/// The envelope's members from `type` to `signature`, each as it was sent.
fn envelope_members(members: &Members<'_>) -> Result<String, ApiError> {
    let kind = members.required_raw("type")?;
    let encrypted = members.required_raw("encrypted")?;
    let payload = members.required_raw("payload")?;
    // An enum's variant may also be written as an object, which is no string.
    let kind: Option<MessageType> = Some(kind)
        .filter(|raw| raw.starts_with('"'))
        .and_then(|raw| serde_json::from_str(raw).ok());
    let kind = kind.ok_or_else(|| {
        ApiError::bad_request("`type` must be `request`, `response` or `notification`")
    })?;
    validate::readable("encrypted", encrypted)?;
    validate::readable("payload", payload)?;
    let mut envelope = format!("\"type\":\"{kind}\"");
    let mut add = |name: &str, raw: &str| {
        // Writing to a string cannot fail.
        let _ = write!(envelope, ",\"{name}\":{raw}");
    };
    let text = |name: &str| match members.raw(name) {
        Some(raw) if raw != "null" && !raw.starts_with('"') => {
            Err(ApiError::bad_request(format!("`{name}` must be a string")))
        }
        raw => Ok(raw),
    };
    for name in ["topic", "correlationId", "replyTo"] {
        if let Some(raw) = text(name)? {
            add(name, raw);
        }
    }
    add("encrypted", encrypted);
    add("payload", payload);
    for name in ["nonce", "signature"] {
        if let Some(raw) = text(name)? {
            add(name, raw);
        }
    }
    Ok(envelope)
}

/// The topic to list the message under; an empty one is none.
fn topic(members: &Members<'_>) -> Result<Option<String>, ApiError> {
    let topic = members.optional::<String>("topic", "a string of valid Unicode")?;
    let topic = topic.filter(|topic| !topic.is_empty());
    if let Some(topic) = &topic {
        validate::label("topic", topic)?;
    }
    Ok(topic)
}

/// The message's life in milliseconds, from `ttl` in seconds.
fn ttl_ms(members: &Members<'_>) -> Result<i64, ApiError> {
    let expected = "a positive number of seconds";
    let ttl = members.optional("ttl", expected)?.unwrap_or(DEFAULT_TTL);
    if ttl <= 0.0 {
        return Err(ApiError::bad_request(format!("`ttl` must be {expected}")));
    }
    #[expect(clippy::cast_possible_truncation, reason = "at most 90 days")]
    Ok((ttl.min(MAX_TTL) * 1000.0).ceil() as i64)
}

/// The agents that `to` means, each once. Unknown names are left out.
fn resolve(app: &App, sender: &Agent, to: Recipients) -> Result<Vec<Arc<Agent>>, ApiError> {
    let directory = app.store.directory();
    match to {
        Recipients::One(name) if name == validate::BROADCAST => {
            let mut others = directory.all();
            others.retain(|agent| agent.id != sender.id);
            if others.is_empty() {
                return Err(ApiError::bad_request(
                    "there is nobody else to broadcast to",
                ));
            }
            Ok(others)
        }
        Recipients::One(name) => Ok(directory.by_name(&name).into_iter().collect()),
        Recipients::Many(names) if names.is_empty() => {
            Err(ApiError::bad_request("`to` names nobody"))
        }
        Recipients::Many(names) => {
            let mut seen = HashSet::new();
            let known = names.iter().filter_map(|name| directory.by_name(name));
            Ok(known.filter(|agent| seen.insert(agent.id)).collect())
        }
    }
}

fn message_id() -> Result<String, ApiError> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|_| ApiError::internal())?;
    let id = uuid::Builder::from_random_bytes(random).into_uuid();
    Ok(id.hyphenated().to_string())
}
