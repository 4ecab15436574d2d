//! What a relay tells about the webhooks it posts to.

use serde::{Deserialize, Serialize};

/// Answer to `GET /webhooks`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Webhooks {
    /// Those that fail first, then in registration order; at most 1,000.
    pub webhooks: Vec<Webhook>,
    /// How many there are, listed or not.
    pub total: u64,
}

/// One agent's webhook. Counts begin anew when its URL changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    /// Whose it is.
    pub agent: String,
    /// Where it is, without user, path and query: scheme, host and port.
    pub target: String,
    /// All of its URL, which only the agent itself is shown.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub url: Option<String>,
    /// Messages that are still to be posted.
    pub queued: u64,
    /// Messages that were posted and taken.
    pub delivered: u64,
    /// Messages that were given up, 24 hours after they came.
    pub failed: u64,
    /// Messages that were not queued because too many were.
    pub skipped: u64,
    /// When a message was last taken.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_delivered: Option<String>,
    /// The last attempt that failed; it counts no more when it is older than `last_delivered`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_failure: Option<WebhookFailure>,
}

/// An attempt to post a message that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct WebhookFailure {
    /// When it failed.
    pub ts: String,
    /// `refused` (an address that the relay's operator does not allow), `unreachable`, `timeout`,
    /// `broken` (the connection, or what came was no HTTP) or `answer` (with no 2xx).
    pub reason: String,
    /// The status, when there was an answer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub status: Option<u16>,
}

/// Body of `PATCH /agents/:name` that changes nothing but the webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SetWebhook<'u> {
    /// Where to post new messages; `null` is nowhere.
    pub webhook_url: Option<&'u str>,
}

/// Answer to `POST /agents/:name/webhook-secret`: the only place where the secret is ever shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct WebhookSecretMade {
    /// The agent's name.
    pub name: String,
    /// What its webhooks are signed with from now on.
    pub webhook_secret: String,
}
