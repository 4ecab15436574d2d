//! `/audit`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use ctalk_wire::{AuditDirection, AuditEntry, ErrorBody};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::messages::{DEFAULT_LIMIT, parameter, parse_limit};
use super::openapi::{AuditLog, NewAuditEntry};
use crate::api_error::ApiError;
use crate::auth::{AdminCaller, AgentCaller};
use crate::body::{Members, Text};
use crate::clock::{iso, parse_iso};
use crate::http::App;
use crate::store::AuditFilter;
use crate::{Audit, validate};

/// The most entries in a page.
const MAX_LIMIT: u32 = 200;

/// Answer to `POST /audit`.
#[derive(Serialize, ToSchema)]
pub(super) struct Logged {
    ok: bool,
}

/// Write an entry into the audit log.
#[utoipa::path(
    post,
    path = "/audit",
    tag = "audit",
    request_body = NewAuditEntry,
    responses(
        (status = 201, description = "It was logged", body = Logged),
        (status = 403, description = "This relay keeps no audit log", body = ErrorBody),
    ),
    security(("agent" = [])),
)]
pub(super) async fn log(
    State(app): State<Arc<App>>,
    AgentCaller(agent): AgentCaller,
    body: Result<Text, ApiError>,
) -> Result<(StatusCode, Json<Logged>), ApiError> {
    if app.audit == Audit::Off {
        return Err(ApiError::forbidden("this relay keeps no audit log"));
    }
    let entry = entry(&body?.members()?, agent.name.clone())?;
    app.store.log_audit(entry).await?;
    Ok((StatusCode::CREATED, Json(Logged { ok: true })))
}

fn entry(members: &Members<'_>, logged_by: String) -> Result<AuditEntry, ApiError> {
    let required = |name| {
        let text = members.required_text(name)?;
        validate::label(name, &text)?;
        Ok::<_, ApiError>(text)
    };
    let optional = |name| {
        let text = members.text(name)?.filter(|text| !text.is_empty());
        text.map_or(Ok(None), |text| {
            validate::label(name, &text)?;
            Ok::<_, ApiError>(Some(text))
        })
    };
    let message_id = required("messageId")?;
    let direction = required("direction")?;
    let (from, to) = (required("from")?, required("to")?);
    let payload: Option<Box<RawValue>> = members.optional("payload", "JSON")?;
    let payload = payload.filter(|payload| !validate::is_falsy(payload.get()));
    let payload = payload.ok_or_else(|| ApiError::bad_request("`payload` is required"))?;
    validate::readable("payload", payload.get())?;
    let ts = required("ts")?;
    let direction = [AuditDirection::Sent, AuditDirection::Received]
        .into_iter()
        .find(|known| known.as_str() == direction)
        .ok_or_else(|| ApiError::bad_request("`direction` must be `sent` or `received`"))?;
    Ok(AuditEntry {
        message_id,
        direction,
        from,
        to,
        topic: optional("topic")?,
        correlation_id: optional("correlationId")?,
        payload,
        ts,
        logged_by,
        logged_at: String::new(),
    })
}

/// Entries of the audit log in the order in which they were logged.
#[utoipa::path(
    get,
    path = "/audit",
    tag = "audit",
    params(
        (
            "after" = Option<String>,
            Query,
            description = "Only entries logged later: an ISO 8601 time",
        ),
        (
            "since" = Option<String>,
            Query,
            description = "Only entries about later messages: an ISO 8601 time",
        ),
        ("limit" = Option<String>, Query, description = "At most so many entries: 50, at most 200"),
        (
            "from" = Option<String>,
            Query,
            description = "Only entries about messages from this agent",
        ),
        ("to" = Option<String>, Query, description = "Only entries about messages to this agent"),
        ("topic" = Option<String>, Query, description = "Only entries about this topic"),
    ),
    responses((status = 200, description = "One page", body = AuditLog)),
    security(("admin" = [])),
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    _: AdminCaller,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let query = query.unwrap_or_default();
    let time = |name| parse_iso(&parameter(&query, name)?);
    let limit = parameter(&query, "limit");
    let filter = AuditFilter {
        after_ms: time("after"),
        since_ms: time("since"),
        from: parameter(&query, "from"),
        to: parameter(&query, "to"),
        topic: parameter(&query, "topic"),
        limit: limit.map_or(DEFAULT_LIMIT, |limit| parse_limit(&limit, MAX_LIMIT)),
    };
    let entries = app.store.list_audit(filter).await?;
    let cursor = entries.last().map_or_else(String::new, |last| {
        format!(",\"cursor\":\"{}\"", iso(last.at_ms))
    });
    let entries: Vec<_> = entries.iter().map(|entry| entry.json.as_str()).collect();
    let page = format!("{{\"entries\":[{}]{cursor}}}", entries.join(","));
    Ok(([(CONTENT_TYPE, "application/json")], page).into_response())
}

/// Answer to `DELETE /audit`.
#[derive(Serialize, ToSchema)]
#[schema(as = ClearedAuditLog)]
pub(super) struct Cleared {
    deleted: usize,
}

/// Delete entries of the audit log.
#[utoipa::path(
    delete,
    path = "/audit",
    tag = "audit",
    params(
        (
            "before" = String,
            Query,
            description = "Entries about messages from before this ISO 8601 time",
        ),
    ),
    responses((status = 200, description = "How many there were", body = Cleared)),
    security(("admin" = [])),
)]
pub(super) async fn clear(
    State(app): State<Arc<App>>,
    _: AdminCaller,
    RawQuery(query): RawQuery,
) -> Result<Json<Cleared>, ApiError> {
    let before = parameter(query.as_deref().unwrap_or_default(), "before")
        .ok_or_else(|| ApiError::bad_request("`before` is required: a time in the query"))?;
    let deleted = match parse_iso(&before) {
        Some(before_ms) => app.store.delete_audit(before_ms).await?,
        None => 0,
    };
    Ok(Json(Cleared { deleted }))
}
