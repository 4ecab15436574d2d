//! `/agents/:name/key`: replacing and revoking API keys.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use ctalk_wire::{ErrorBody, Registered};
use serde::Serialize;
use utoipa::ToSchema;

use super::agents::{changeable, unknown};
use crate::api_error::ApiError;
use crate::auth::{AdminCaller, Caller, KeyHash, new_api_key};
use crate::http::{App, decoded_parent_segment};

/// Replace an agent's API key.
#[utoipa::path(
    post,
    path = "/agents/{name}/key",
    tag = "agents",
    params(("name" = String, Path, description = "An agent, as it is registered")),
    responses(
        (status = 201, description = "The new key, which is shown only now", body = Registered),
        (status = 403, description = "That is another agent's record", body = ErrorBody),
        (status = 404, description = "There is no such agent", body = ErrorBody),
    ),
    security(("agent" = []), ("admin" = [])),
)]
pub(super) async fn replace(
    State(app): State<Arc<App>>,
    caller: Caller,
    presented: KeyHash,
    uri: Uri,
) -> Result<(StatusCode, Json<Registered>), ApiError> {
    let name = decoded_parent_segment(&uri)?;
    // Of two who replace the same key at once, one is too late.
    let (held, too_late): (_, fn() -> ApiError) = match caller {
        Caller::Agent(_) => (Some(presented), ApiError::unauthorized),
        Caller::Admin => (None, unknown),
    };
    let agent = changeable(&app, caller, &name)?;
    let api_key = new_api_key()?;
    let key = Some(KeyHash::of(&api_key));
    if !app.store.set_key(agent, key, held).await? {
        return Err(too_late());
    }
    let registered = Registered {
        name,
        api_key,
        webhook_secret: None,
    };
    Ok((StatusCode::CREATED, Json(registered)))
}

/// Answer to `DELETE /agents/:name/key`.
#[derive(Serialize, ToSchema)]
#[schema(as = RevokedKey)]
pub(super) struct Revoked {
    name: String,
    revoked: bool,
}

/// End an agent's API key.
#[utoipa::path(
    delete,
    path = "/agents/{name}/key",
    tag = "operator",
    params(("name" = String, Path, description = "An agent, as it is registered")),
    responses(
        (status = 200, description = "It ended", body = Revoked),
        (status = 404, description = "There is no such agent", body = ErrorBody),
    ),
    security(("admin" = [])),
)]
pub(super) async fn revoke(
    State(app): State<Arc<App>>,
    _: AdminCaller,
    uri: Uri,
) -> Result<Json<Revoked>, ApiError> {
    let name = decoded_parent_segment(&uri)?;
    let agent = changeable(&app, Caller::Admin, &name)?;
    if !app.store.set_key(agent, None, None).await? {
        return Err(unknown());
    }
    Ok(Json(Revoked {
        name,
        revoked: true,
    }))
}
