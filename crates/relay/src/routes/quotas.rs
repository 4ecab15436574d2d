//! `/agents/:name/quota`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use ctalk_wire::Usage;

use super::agents::{changeable, unknown};
use crate::api_error::ApiError;
use crate::auth::{AdminCaller, Caller};
use crate::body::{Members, Text};
use crate::http::{App, decoded_parent_segment};
use crate::store::QuotaPatch;

pub(super) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<Usage>, ApiError> {
    let agent = changeable(&app, caller, &decoded_parent_segment(&uri)?)?;
    let usage = app.store.usage(agent).await?.ok_or_else(unknown)?;
    Ok(Json(usage.shown()))
}

pub(super) async fn change(
    State(app): State<Arc<App>>,
    _: AdminCaller,
    uri: Uri,
    body: Text,
) -> Result<Json<Usage>, ApiError> {
    let agent = changeable(&app, Caller::Admin, &decoded_parent_segment(&uri)?)?;
    let members = body.members()?;
    let patch = QuotaPatch {
        messages: limit(&members, "maxMessages")?,
        bytes: limit(&members, "maxBytes")?,
    };
    let usage = app.store.set_quota(agent, patch).await?;
    Ok(Json(usage.ok_or_else(unknown)?.shown()))
}

/// A limit that is named; `null` is the relay's default.
fn limit(members: &Members<'_>, name: &str) -> Result<Option<Option<u64>>, ApiError> {
    let expected = "a whole number that is not negative, or null";
    let limit: Option<u64> = members.optional(name, expected)?;
    Ok(members.raw(name).map(|_| limit))
}
