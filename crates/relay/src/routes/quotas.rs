//! `/agents/:name/quota`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use ctalk_wire::{ErrorBody, PatchQuota, Usage};

use super::agents::{changeable, unknown};
use crate::api_error::ApiError;
use crate::auth::{AdminCaller, Caller};
use crate::body::{Members, Text};
use crate::http::{App, decoded_parent_segment};
use crate::store::QuotaPatch;

/// What an agent's inbox holds and may hold.
#[utoipa::path(
    get,
    path = "/agents/{name}/quota",
    tag = "agents",
    params(("name" = String, Path, description = "An agent, as it is registered")),
    responses(
        (status = 200, description = "Limits that are off are left out", body = Usage),
        (status = 403, description = "That is another agent's record", body = ErrorBody),
        (status = 404, description = "There is no such agent", body = ErrorBody),
    ),
    security(("agent" = []), ("admin" = [])),
)]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<Usage>, ApiError> {
    let agent = changeable(&app, caller, &decoded_parent_segment(&uri)?)?;
    let usage = app.store.usage(agent).await?.ok_or_else(unknown)?;
    Ok(Json(usage.shown()))
}

/// Change how much an agent's inbox may hold.
#[utoipa::path(
    patch,
    path = "/agents/{name}/quota",
    tag = "operator",
    params(("name" = String, Path, description = "An agent, as it is registered")),
    request_body = PatchQuota,
    responses(
        (status = 200, description = "What it holds and may hold now", body = Usage),
        (status = 404, description = "There is no such agent", body = ErrorBody),
    ),
    security(("admin" = [])),
)]
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
