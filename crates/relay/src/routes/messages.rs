//! `/messages`.

use std::collections::HashSet;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use ctalk_wire::{MessageType, Recipients, Sent};
use tokio::time::Instant;

use crate::api_error::ApiError;
use crate::auth::{AgentCaller, Caller, KeyHash};
use crate::body::{Members, Text};
use crate::clock::{iso, parse_iso};
use crate::config::Paging;
use crate::http::{App, last_segment};
use crate::listener::{Heard, Listener};
use crate::store::{Agent, Filter, Inbox, NewMessage, StoredPage};
use crate::validate;

use super::page;

/// How long a message is kept unless its sender says otherwise, in seconds: 30 days.
const DEFAULT_TTL: f64 = 30.0 * 86_400.0;
/// The longest that a message is kept, in seconds: 90 days.
const MAX_TTL: f64 = 90.0 * 86_400.0;

/// Messages in a page when the caller does not say.
const DEFAULT_LIMIT: u32 = 50;
/// The most messages in a page.
const MAX_LIMIT: u32 = 100;
/// The longest that a request waits for a message: proxies commonly end one that is silent longer.
const MAX_WAIT: Duration = Duration::from_secs(60);

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

pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    key: KeyHash,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let query = query.unwrap_or_default();
    let filter = filter(&query, app.paging);
    let page = match caller {
        Caller::Admin => app.store.page(Inbox::Everyone, filter).await?,
        Caller::Agent(agent) => {
            app.store.directory().saw(&agent, app.clock.now_ms());
            let wait = wait(&query, app.paging);
            if wait.is_zero() || filter.limit == 0 {
                app.store.page(Inbox::Of(agent.id), filter).await?
            } else {
                let mut listener = Listener::new(Arc::clone(&app), agent, key)?;
                match listener.listen(&filter, Instant::now() + wait).await? {
                    Heard::Messages(page) => page,
                    Heard::Nothing | Heard::Stopping => StoredPage::default(),
                    Heard::Dismissed => return Err(ApiError::unauthorized()),
                }
            }
        }
    };
    Ok(page::respond(Arc::clone(&app.store), page, app.paging))
}

/// How long to wait for a message when there is none: at most a minute, by default not at all.
fn wait(query: &str, paging: Paging) -> Duration {
    let seconds = parameter(query, "wait").filter(|_| paging == Paging::Full);
    let seconds = seconds.and_then(|seconds| seconds.parse().ok());
    seconds.map_or(Duration::ZERO, |seconds| {
        Duration::from_secs(seconds).min(MAX_WAIT)
    })
}

/// The first of the query's parameters with this name, unless it is empty.
pub(super) fn parameter(query: &str, name: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes())
        .find(|(key, value)| key == name && !value.is_empty())
        .map(|(_, value)| value.into_owned())
}

/// Reads the query. Of parameters with one name the first counts; what cannot be read is ignored.
fn filter(query: &str, paging: Paging) -> Filter {
    let full = paging == Paging::Full;
    let parameter = |name: &str| parameter(query, name);
    let parameter_of_ours = |name| parameter(name).filter(|_| full);
    let after = parameter_of_ours("after").or_else(|| parameter("since"));
    Filter {
        after_ms: after.and_then(|after| parse_iso(&after)),
        topic: parameter("topic").or_else(|| parameter_of_ours("channel")),
        oldest_first: parameter_of_ours("sort").as_deref() == Some("asc"),
        limit: parameter("limit").map_or(DEFAULT_LIMIT, |limit| parse_limit(&limit)),
    }
}

/// A number up to 100; none at all below zero; 50 when it is no whole number.
fn parse_limit(text: &str) -> u32 {
    use core::num::IntErrorKind::{NegOverflow, PosOverflow};
    match text.parse::<i64>() {
        Ok(number) => u32::try_from(number.max(0)).map_or(MAX_LIMIT, |limit| limit.min(MAX_LIMIT)),
        Err(error) if *error.kind() == PosOverflow => MAX_LIMIT,
        Err(error) if *error.kind() == NegOverflow => 0,
        Err(_) => DEFAULT_LIMIT,
    }
}

pub(super) async fn remove(
    State(app): State<Arc<App>>,
    AgentCaller(agent): AgentCaller,
    uri: Uri,
) -> Result<StatusCode, ApiError> {
    let id = last_segment(&uri).to_owned();
    if !app.store.delete(agent.id, id).await? {
        return Err(ApiError::not_found(
            "there is no such message in your inbox",
        ));
    }
    Ok(StatusCode::NO_CONTENT)
}
