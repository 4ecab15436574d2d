//! `/invites`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, Uri};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ctalk_wire::{CreateInvite, CreatedInvite, ErrorBody, Invite};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api_error::ApiError;
use crate::auth::AdminCaller;
use crate::body::{Members, Text};
use crate::clock::iso;
use crate::http::{App, decoded_last_segment};
use crate::store::{InviteRow, NewInvite};
use crate::validate;

const HOUR_MS: f64 = 3_600_000.0;
/// The longest life of an invite, so that its end stays a date: 100 years.
const MAX_HOURS: f64 = 100.0 * 365.25 * 24.0;

/// Make an invite.
#[utoipa::path(
    post,
    path = "/invites",
    tag = "operator",
    request_body = Option<CreateInvite>,
    responses((status = 201, description = "The invite", body = CreatedInvite)),
    security(("admin" = [])),
)]
pub(super) async fn create(
    State(app): State<Arc<App>>,
    _: AdminCaller,
    headers: HeaderMap,
    body: Text,
) -> Result<(StatusCode, Json<CreatedInvite>), ApiError> {
    let members = if body.is_json() {
        body.members()?
    } else {
        Members::default()
    };
    let label = members.text("label")?;
    if let Some(label) = &label {
        validate::label("label", label)?;
    }
    let max_uses: Option<u32> = members.optional("maxUses", "a whole number")?;
    let hours: Option<f64> = members.optional("expiresInHours", "a number")?;
    let expires_ms = hours
        .filter(|hours| *hours != 0.0)
        .map(|hours| expiry(app.clock.now_ms(), hours));
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|_| ApiError::internal())?;
    let code = URL_SAFE_NO_PAD.encode(random);
    app.store
        .add_invite(NewInvite {
            code: code.clone(),
            label: label.clone(),
            max_uses: max_uses.map(i64::from),
            expires_ms,
        })
        .await?;
    let created = CreatedInvite {
        url: format!("{}/signup?invite={code}", base_url(&headers, &app)),
        code,
        label,
        max_uses: max_uses.map(u64::from),
        expires_at: expires_ms.map(iso),
    };
    Ok((StatusCode::CREATED, Json(created)))
}

fn expiry(now_ms: i64, hours: f64) -> i64 {
    let life_ms = hours.clamp(-MAX_HOURS, MAX_HOURS) * HOUR_MS;
    // The clamp keeps the value far inside i64.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "clamped to 100 years above"
    )]
    now_ms.saturating_add(life_ms as i64)
}

/// The URL under which the caller reached this relay.
fn base_url(headers: &HeaderMap, app: &App) -> String {
    headers
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .and_then(|host| host.parse::<Authority>().ok())
        .map_or_else(
            || app.url.clone(),
            |host| format!("{}://{host}", app.scheme()),
        )
}

/// Every invite.
#[utoipa::path(
    get,
    path = "/invites",
    tag = "operator",
    responses((status = 200, description = "Oldest first", body = Vec<Invite>)),
    security(("admin" = [])),
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    _: AdminCaller,
) -> Result<Json<Vec<Invite>>, ApiError> {
    let invites = app.store.list_invites().await?;
    Ok(Json(invites.into_iter().map(shown).collect()))
}

fn shown(invite: InviteRow) -> Invite {
    Invite {
        code: invite.code,
        created_by: "admin".to_owned(),
        created_at: iso(invite.created_ms),
        uses: invite.uses.unsigned_abs(),
        label: invite.label,
        max_uses: invite.max_uses.map(i64::unsigned_abs),
        expires_at: invite.expires_ms.map(iso),
    }
}

/// Answer to `DELETE /invites/:code`.
#[derive(Serialize, ToSchema)]
#[schema(as = DeletedInvite)]
pub(super) struct Deleted {
    deleted: bool,
    code: String,
}

/// Delete an invite.
#[utoipa::path(
    delete,
    path = "/invites/{code}",
    tag = "operator",
    params(("code" = String, Path, description = "The code of an invite")),
    responses(
        (status = 200, description = "It was deleted", body = Deleted),
        (status = 404, description = "There is no such invite", body = ErrorBody),
    ),
    security(("admin" = [])),
)]
pub(super) async fn remove(
    State(app): State<Arc<App>>,
    _: AdminCaller,
    uri: Uri,
) -> Result<Json<Deleted>, ApiError> {
    let code = decoded_last_segment(&uri)?;
    if !app.store.delete_invite(code.clone()).await? {
        return Err(ApiError::not_found("there is no such invite"));
    }
    Ok(Json(Deleted {
        deleted: true,
        code,
    }))
}
