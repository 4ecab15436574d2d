//! Sending: `POST /messages` and `POST /messages/batch`.

use std::collections::HashSet;
use std::fmt::Write;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use ctalk_wire::{ErrorBody, MessageType, Recipients, SendMessage, Sent};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::openapi::Messages;
use crate::api_error::ApiError;
use crate::auth::AgentCaller;
use crate::body::{BatchText, Members, Text, fits};
use crate::clock::iso;
use crate::http::App;
use crate::store::{Agent, Audited, NewMessage, Storing};
use crate::{Audit, validate};

/// How long a message is kept unless its sender says otherwise, in seconds: 30 days.
const DEFAULT_TTL: f64 = 30.0 * 86_400.0;
/// The longest that a message is kept, in seconds: 90 days.
const MAX_TTL: f64 = 90.0 * 86_400.0;

/// The most messages in a batch.
const MAX_BATCH: usize = 100;

/// Send a message.
#[utoipa::path(
    post,
    path = "/messages",
    tag = "messages",
    request_body = SendMessage,
    responses(
        (status = 201, description = "The message is on disk", body = Sent),
        (
            status = 429,
            description = "`RATE_LIMITED`, or `QUOTA_EXCEEDED` where an inbox is full",
            body = ErrorBody,
        ),
    ),
    security(("agent" = [])),
)]
pub(super) async fn send(
    State(app): State<Arc<App>>,
    AgentCaller(sender): AgentCaller,
    body: Text,
) -> Result<(StatusCode, Json<Sent>), ApiError> {
    let addressed = address(&app, &sender, &body.members()?)?;
    let mut outcomes = store(&app, vec![addressed]).await?;
    let sent = outcomes.pop().ok_or_else(ApiError::internal)?;
    Ok((StatusCode::CREATED, Json(sent?)))
}

/// Answer to `POST /messages/batch`: what became of each message, in their order.
#[derive(Serialize, ToSchema)]
pub(super) struct Batch {
    results: Vec<Outcome>,
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum Outcome {
    Sent(Sent),
    Refused(ErrorBody),
}

/// Send many messages at once.
#[utoipa::path(
    post,
    path = "/messages/batch",
    tag = "messages",
    request_body = Messages,
    responses((status = 200, description = "What became of each, in their order", body = Batch)),
    security(("agent" = [])),
)]
pub(super) async fn send_batch(
    State(app): State<Arc<App>>,
    AgentCaller(sender): AgentCaller,
    body: BatchText,
) -> Result<Json<Batch>, ApiError> {
    let members = body.members()?;
    let expected = "an array of at most 100 messages";
    let messages: Option<Vec<&RawValue>> = members.optional("messages", expected)?;
    let messages = messages
        .filter(|messages| messages.len() <= MAX_BATCH)
        .ok_or_else(|| ApiError::bad_request(format!("`messages` must be {expected}")))?;
    let mut addressed = Vec::with_capacity(messages.len());
    let mut refused = Vec::with_capacity(messages.len());
    for message in messages {
        let message = message.get();
        let members = fits(message).and_then(|()| Members::of(message));
        match members.and_then(|members| address(&app, &sender, &members)) {
            Ok(message) => {
                addressed.push(message);
                refused.push(None);
            }
            Err(error) => refused.push(Some(error.into_body())),
        }
    }
    let mut outcomes = store(&app, addressed).await?.into_iter();
    let results = refused.into_iter().map(|refused| match refused {
        Some(error) => Ok(Outcome::Refused(error)),
        None => match outcomes.next().ok_or_else(ApiError::internal)? {
            Ok(sent) => Ok(Outcome::Sent(sent)),
            Err(error) => Ok(Outcome::Refused(error.into_body())),
        },
    });
    Ok(Json(Batch {
        results: results.collect::<Result<_, ApiError>>()?,
    }))
}

/// A message that may be stored, and the names in its `to` that nobody has.
struct Addressed {
    message: NewMessage,
    unknown: Vec<String>,
}

/// Checks a message and counts it against its sender's rate limit.
fn address(app: &App, sender: &Arc<Agent>, members: &Members<'_>) -> Result<Addressed, ApiError> {
    let to = recipients_named(members)?;
    let envelope = envelope_members(members)?;
    let topic = topic(members)?;
    let audited = audited(app, members)?;
    let ttl_ms = ttl_ms(members)?;
    if !sender.may_send(app.rate_limit, app.clock.now_ms()) {
        app.metrics.rate_limited.inc();
        return Err(ApiError::rate_limited(format!(
            "more than {} messages; wait for the next window",
            app.rate_limit
        )));
    }
    let is_broadcast = matches!(&to, Recipients::One(name) if name == validate::BROADCAST);
    let (recipients, unknown) = resolve(app, sender, to)?;
    Ok(Addressed {
        message: NewMessage {
            id: message_id()?,
            sender: Arc::clone(sender),
            recipients,
            is_broadcast,
            topic,
            ttl_ms,
            audited,
            members: envelope,
        },
        unknown,
    })
}

/// Stores all of these messages, or none, but for those that name somebody with a full inbox.
async fn store(
    app: &App,
    addressed: Vec<Addressed>,
) -> Result<Vec<Result<Sent, ApiError>>, ApiError> {
    let mut messages = Vec::with_capacity(addressed.len());
    let mut sent = Vec::with_capacity(addressed.len());
    for Addressed { message, unknown } in addressed {
        sent.push((message.id.clone(), unknown));
        messages.push(message);
    }
    let storing = app.store.send(messages).await?;
    let outcomes = sent.into_iter().zip(storing);
    let outcomes = outcomes.map(|((id, mut undelivered), storing)| match storing {
        Storing::Done(stored) => {
            undelivered.extend(stored.missed);
            Ok(Sent {
                id,
                ts: iso(stored.ts),
                undelivered,
            })
        }
        Storing::Full(names) => Err(ApiError::quota_exceeded(format!(
            "nothing was sent: the inbox is full of {}",
            names.join(", ")
        ))),
    });
    Ok(outcomes.collect())
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

/// What the relay itself puts into its audit log: nothing of what is encrypted.
fn audited(app: &App, members: &Members<'_>) -> Result<Option<Audited>, ApiError> {
    let is_plain = members.raw("encrypted").is_some_and(validate::is_falsy);
    if app.audit != Audit::Automatic || !is_plain {
        return Ok(None);
    }
    let payload = members.optional("payload", "JSON")?;
    Ok(Some(Audited {
        // What is no valid Unicode is left out.
        correlation_id: members.text("correlationId").unwrap_or_default(),
        payload: payload.unwrap_or_else(|| RawValue::NULL.to_owned()),
    }))
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

/// The agents that `to` means, each once, and the names that nobody has, as they were given.
fn resolve(
    app: &App,
    sender: &Agent,
    to: Recipients,
) -> Result<(Vec<Arc<Agent>>, Vec<String>), ApiError> {
    let directory = app.store.directory();
    let names = match to {
        Recipients::One(name) if name == validate::BROADCAST => {
            let mut others = directory.all();
            others.retain(|agent| agent.id != sender.id);
            if others.is_empty() {
                return Err(ApiError::bad_request(
                    "there is nobody else to broadcast to",
                ));
            }
            return Ok((others, Vec::new()));
        }
        Recipients::One(name) => vec![name],
        Recipients::Many(names) if names.is_empty() => {
            return Err(ApiError::bad_request("`to` names nobody"));
        }
        Recipients::Many(names) => names,
    };
    let mut seen = HashSet::new();
    let mut unheard = HashSet::new();
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for name in names {
        match directory.by_name(&name) {
            Some(agent) if seen.insert(agent.id) => known.push(agent),
            Some(_) => {}
            None if unheard.insert(name.clone()) => unknown.push(name),
            None => {}
        }
    }
    Ok((known, unknown))
}

fn message_id() -> Result<String, ApiError> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|_| ApiError::internal())?;
    let id = uuid::Builder::from_random_bytes(random).into_uuid();
    Ok(id.hyphenated().to_string())
}
