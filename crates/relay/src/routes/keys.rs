//! `/agents/:name/key`: replacing and revoking API keys.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use ctalk_wire::Registered;
use serde::Serialize;

use super::agents::{changeable, unknown};
use crate::api_error::ApiError;
use crate::auth::{AdminCaller, Caller, KeyHash, new_api_key};
use crate::http::{App, decoded_parent_segment};

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
    Ok((StatusCode::CREATED, Json(Registered { name, api_key })))
}

/// Answer to `DELETE /agents/:name/key`.
#[derive(Serialize)]
pub(super) struct Revoked {
    name: String,
    revoked: bool,
}

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
