//! `/agents` and `/register`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequest, Request, State};
use axum::http::{StatusCode, Uri};
use ctalk_wire::{Agent, ErrorBody, RegisterAgent, RegisterWithInvite, Registered};
use serde::Serialize;
use utoipa::ToSchema;

use super::openapi::AgentChanges;
use super::webhooks::new_secret;
use crate::address::Network;
use crate::api_error::ApiError;
use crate::auth::{AdminCaller, AgentCaller, Caller, KeyHash, new_api_key};
use crate::body::{Members, Text};
use crate::http::{App, decoded_last_segment};
use crate::store::{
    Agent as Registrant, AgentPatch, InviteRefusal, NewAgent, NewWebhook, Registration,
};
use crate::validate;

/// Who answers for an agent that registered itself and named nobody.
const DEFAULT_OWNER: &str = "invited";

/// Register an agent.
#[utoipa::path(
    post,
    path = "/agents",
    tag = "operator",
    request_body = RegisterAgent,
    responses(
        (
            status = 201,
            description = "The agent and its API key, which is shown only now",
            body = Registered,
        ),
        (status = 409, description = "The name is taken, in any letter case", body = ErrorBody),
    ),
    security(("admin" = [])),
)]
pub(super) async fn register(
    State(app): State<Arc<App>>,
    _: AdminCaller,
    body: Text,
) -> Result<(StatusCode, Json<Registered>), ApiError> {
    let members = body.members()?;
    let name = members.required_text("name")?;
    let owner = members.required_text("owner")?;
    let public_key = members.required_text("publicKey")?;
    let signing_key = members.required_text("signingKey")?;
    validate::agent_name(&name)?;
    validate::public_key(&members, "publicKey")?;
    validate::public_key(&members, "signingKey")?;
    add(&app, name, owner, public_key, signing_key, &members, None).await
}

/// Register oneself with an invite.
#[utoipa::path(
    post,
    path = "/register",
    tag = "agents",
    request_body = RegisterWithInvite,
    responses(
        (
            status = 201,
            description = "The agent and its API key, which is shown only now",
            body = Registered,
        ),
        (status = 403, description = "The invite is unknown, expired or used up", body = ErrorBody),
        (status = 409, description = "The name is taken or retired", body = ErrorBody),
        (
            status = 429,
            description = "`RATE_LIMITED`: too many attempts from one address",
            body = ErrorBody,
        ),
    ),
)]
pub(super) async fn register_with_invite(
    State(app): State<Arc<App>>,
    network: Network,
    request: Request,
) -> Result<(StatusCode, Json<Registered>), ApiError> {
    // Before its body takes memory.
    if !app.registrations.admit(network, app.clock.now_ms()) {
        return Err(ApiError::rate_limited(format!(
            "more than {} attempts to register from one address; wait for the next window",
            app.registrations.limit()
        )));
    }
    let body = Text::from_request(request, &app).await?;
    let members = body.members()?;
    let invite = members.required_text("invite")?;
    let name = members.required_text("name")?;
    validate::agent_name(&name)?;
    let owner = members.text("owner")?.filter(|owner| !owner.is_empty());
    let owner = owner.unwrap_or_else(|| DEFAULT_OWNER.to_owned());
    let public_key = validate::public_key(&members, "publicKey")?.unwrap_or_default();
    let signing_key = validate::public_key(&members, "signingKey")?.unwrap_or_default();
    let invite = Some(invite);
    add(&app, name, owner, public_key, signing_key, &members, invite).await
}

async fn add(
    app: &App,
    name: String,
    owner: String,
    public_key: String,
    signing_key: String,
    members: &Members<'_>,
    invite: Option<String>,
) -> Result<(StatusCode, Json<Registered>), ApiError> {
    validate::label("owner", &owner)?;
    let api_key = new_api_key()?;
    let webhook = new_webhook(members)?;
    let webhook_secret = webhook.as_ref().map(|webhook| webhook.secret.reveal());
    let agent = NewAgent {
        name: name.clone(),
        owner,
        public_key,
        signing_key,
        capabilities: validate::capabilities(members)?,
        webhook,
        key_hash: KeyHash::of(&api_key),
    };
    match app.store.register(agent, invite).await? {
        Registration::Done => {
            let registered = Registered {
                name,
                api_key,
                webhook_secret,
            };
            Ok((StatusCode::CREATED, Json(registered)))
        }
        Registration::NameRetired => Err(ApiError::conflict(
            "an agent of this name was deleted; only the operator gives the name away again",
        )),
        Registration::NameTaken => Err(ApiError::conflict(
            "the name is taken, perhaps in other letter case",
        )),
        Registration::Invite(refusal) => Err(ApiError::forbidden(match refusal {
            InviteRefusal::Expired => "the invite has expired",
            InviteRefusal::Unknown => "there is no such invite",
            InviteRefusal::UsedUp => "the invite is used up",
        })),
    }
}

/// The directory of agents.
#[utoipa::path(
    get,
    path = "/agents",
    tag = "agents",
    responses(
        (
            status = 200,
            description = "In registration order, the caller included",
            body = Vec<Agent>,
        ),
    ),
    security(("agent" = [])),
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    _: AgentCaller,
) -> Result<Json<Vec<Agent>>, ApiError> {
    Ok(Json(app.store.list_agents().await?))
}

/// One entry of the directory, found in any letter case.
#[utoipa::path(
    get,
    path = "/agents/{name}",
    tag = "agents",
    params(("name" = String, Path, description = "An agent, as it is registered")),
    responses(
        (status = 200, description = "The entry", body = Agent),
        (status = 404, description = "There is no such agent", body = ErrorBody),
    ),
    security(("agent" = []), ("admin" = [])),
)]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    _: Caller,
    uri: Uri,
) -> Result<Json<Agent>, ApiError> {
    let name = decoded_last_segment(&uri)?;
    let agent = app.store.directory().by_name(&name).ok_or_else(unknown)?;
    let shown = app.store.show_agent(agent).await?;
    shown.map(Json).ok_or_else(unknown)
}

/// The agent whose record `caller` may change: its own, or any for the operator. The name counts
/// letter by letter.
pub(super) fn changeable(
    app: &App,
    caller: Caller,
    name: &str,
) -> Result<Arc<Registrant>, ApiError> {
    match caller {
        Caller::Agent(agent) if agent.name == name => Ok(agent),
        Caller::Agent(_) => Err(ApiError::forbidden("that is another agent's record")),
        Caller::Admin => app
            .store
            .directory()
            .by_name(name)
            .filter(|agent| agent.name == name)
            .ok_or_else(unknown),
    }
}

pub(super) fn unknown() -> ApiError {
    ApiError::not_found("there is no such agent")
}

/// Answer to `PATCH /agents/:name`.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Changed {
    name: String,
    updated: bool,
    /// What webhooks are signed with, when the patch set one.
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_secret: Option<String>,
}

/// Change an entry of the directory: one's own, or any for the operator.
#[utoipa::path(
    patch,
    path = "/agents/{name}",
    tag = "agents",
    params(("name" = String, Path, description = "An agent, as it is registered")),
    request_body = AgentChanges,
    responses(
        (status = 200, description = "It was changed", body = Changed),
        (status = 403, description = "That is another agent's record", body = ErrorBody),
        (status = 404, description = "There is no such agent", body = ErrorBody),
    ),
    security(("agent" = []), ("admin" = [])),
)]
pub(super) async fn change(
    State(app): State<Arc<App>>,
    caller: Caller,
    uri: Uri,
    body: Result<Text, ApiError>,
) -> Result<Json<Changed>, ApiError> {
    let name = decoded_last_segment(&uri)?;
    let agent = changeable(&app, caller, &name)?;
    let body = body?;
    let patch = read_patch(&body.members()?)?;
    let webhook = patch.webhook.as_ref().and_then(Option::as_ref);
    let secret = webhook.map(|webhook| webhook.secret.reveal());
    let has_secret = app.store.patch_agent(agent, patch).await?;
    Ok(Json(Changed {
        name,
        updated: true,
        webhook_secret: secret.filter(|_| has_secret),
    }))
}

/// Answer to `DELETE /agents/:name`.
#[derive(Serialize, ToSchema)]
#[schema(as = DeletedAgent)]
pub(super) struct Deleted {
    name: String,
    deleted: bool,
}

/// Delete an agent with its inbox and retire its name.
#[utoipa::path(
    delete,
    path = "/agents/{name}",
    tag = "agents",
    params(("name" = String, Path, description = "An agent, as it is registered")),
    responses(
        (status = 200, description = "It was deleted", body = Deleted),
        (status = 403, description = "That is another agent's record", body = ErrorBody),
        (status = 404, description = "There is no such agent", body = ErrorBody),
    ),
    security(("agent" = []), ("admin" = [])),
)]
pub(super) async fn remove(
    State(app): State<Arc<App>>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<Deleted>, ApiError> {
    let name = decoded_last_segment(&uri)?;
    let agent = changeable(&app, caller, &name)?;
    if !app.store.delete_agent(agent).await? {
        return Err(unknown());
    }
    Ok(Json(Deleted {
        name,
        deleted: true,
    }))
}

fn read_patch(members: &Members<'_>) -> Result<AgentPatch, ApiError> {
    let key = |name| {
        let key = validate::public_key(members, name)?;
        if key.is_none() && members.raw(name).is_some() {
            return Err(ApiError::bad_request(format!("`{name}` cannot be removed")));
        }
        Ok(key)
    };
    let named = |name| members.raw(name).is_some();
    Ok(AgentPatch {
        public_key: key("publicKey")?,
        signing_key: key("signingKey")?,
        capabilities: named("capabilities")
            .then(|| validate::capabilities(members))
            .transpose()?,
        webhook: named("webhookUrl")
            .then(|| new_webhook(members))
            .transpose()?,
    })
}

/// The webhook that `webhookUrl` asks for, with a secret of its own.
fn new_webhook(members: &Members<'_>) -> Result<Option<NewWebhook>, ApiError> {
    let Some(url) = validate::webhook_url(members)? else {
        return Ok(None);
    };
    let secret = new_secret()?;
    Ok(Some(NewWebhook { url, secret }))
}
