//! `/agents/:name/quota`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde::Serialize;

use super::agents::{changeable, unknown};
use crate::api_error::ApiError;
use crate::auth::{AdminCaller, Caller};
use crate::body::{Members, Text};
use crate::http::{App, decoded_parent_segment};
use crate::store::{QuotaPatch, Usage};

/// What an inbox holds and may hold. Limits that are off are left out.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shown {
    messages: u64,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_messages: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_bytes: Option<u64>,
}

impl From<Usage> for Shown {
    fn from(usage: Usage) -> Self {
        let limit = |limit| (limit != u64::MAX).then_some(limit);
        Self {
            messages: usage.messages,
            bytes: usage.bytes,
            max_messages: limit(usage.quota.messages),
            max_bytes: limit(usage.quota.bytes),
        }
    }
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<Shown>, ApiError> {
    let agent = changeable(&app, caller, &decoded_parent_segment(&uri)?)?;
    let usage = app.store.usage(agent).await?.ok_or_else(unknown)?;
    Ok(Json(usage.into()))
}

pub(super) async fn change(
    State(app): State<Arc<App>>,
    _: AdminCaller,
    uri: Uri,
    body: Text,
) -> Result<Json<Shown>, ApiError> {
    let agent = changeable(&app, Caller::Admin, &decoded_parent_segment(&uri)?)?;
    let members = body.members()?;
    let patch = QuotaPatch {
        messages: limit(&members, "maxMessages")?,
        bytes: limit(&members, "maxBytes")?,
    };
    let usage = app.store.set_quota(agent, patch).await?;
    Ok(Json(usage.ok_or_else(unknown)?.into()))
}

/// A limit that is named; `null` is the relay's default.
fn limit(members: &Members<'_>, name: &str) -> Result<Option<Option<u64>>, ApiError> {
    let expected = "a whole number that is not negative, or null";
    let limit: Option<u64> = members.optional(name, expected)?;
    Ok(members.raw(name).map(|_| limit))
}
