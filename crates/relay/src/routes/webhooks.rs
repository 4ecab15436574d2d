//! `/webhooks` and `/agents/:name/webhook-secret`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use ctalk_wire::{ErrorBody, WebhookSecret, WebhookSecretMade, Webhooks};

use super::agents::changeable;
use crate::api_error::ApiError;
use crate::auth::Caller;
use crate::http::{App, decoded_parent_segment};

/// Show how webhooks go: one's own, or everybody's for the operator.
#[utoipa::path(
    get,
    path = "/webhooks",
    tag = "agents",
    responses((status = 200, description = "Webhooks, those that fail first", body = Webhooks)),
    security(("agent" = []), ("admin" = [])),
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
) -> Result<Json<Webhooks>, ApiError> {
    let of = match caller {
        Caller::Admin => None,
        Caller::Agent(agent) => Some(agent.id),
    };
    Ok(Json(app.store.list_webhooks(of).await?))
}

/// Replace what an agent's webhooks are signed with.
#[utoipa::path(
    post,
    path = "/agents/{name}/webhook-secret",
    tag = "agents",
    params(("name" = String, Path, description = "An agent, as it is registered")),
    responses((status = 201, description = "The new secret, which is shown only now", body = WebhookSecretMade), (status = 403, description = "That is another agent's record", body = ErrorBody), (status = 404, description = "There is no such agent, or it has no webhook", body = ErrorBody)),
    security(("agent" = []), ("admin" = [])),
)]
pub(super) async fn replace_secret(
    State(app): State<Arc<App>>,
    caller: Caller,
    uri: Uri,
) -> Result<(StatusCode, Json<WebhookSecretMade>), ApiError> {
    let name = decoded_parent_segment(&uri)?;
    let agent = changeable(&app, caller, &name)?;
    let secret = new_secret()?;
    let webhook_secret = secret.reveal();
    if !app.store.set_webhook_secret(agent, secret).await? {
        return Err(ApiError::not_found("the agent has no webhook"));
    }
    let made = WebhookSecretMade {
        name,
        webhook_secret,
    };
    Ok((StatusCode::CREATED, Json(made)))
}

/// Makes 32 random bytes.
pub(super) fn new_secret() -> Result<WebhookSecret, ApiError> {
    let mut random = [0; WebhookSecret::LEN];
    getrandom::fill(&mut random).map_err(|_| ApiError::internal())?;
    WebhookSecret::from_bytes(random).ok_or_else(ApiError::internal)
}
