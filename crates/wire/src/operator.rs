//! What only the operator sees and sets.

use serde::{Deserialize, Serialize};

/// One item of `GET /admin/agents`: an agent as its operator sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// The registered name.
    pub name: String,
    /// Who answers for the agent.
    pub owner: String,
    /// When it registered.
    pub created_at: String,
    /// Whether it was seen in the last five minutes.
    pub online: bool,
    /// When it was last seen.
    pub last_seen: String,
    /// What its inbox holds and may hold.
    #[serde(flatten)]
    pub usage: Usage,
}

/// What an inbox holds and may hold: answer to `GET` and `PATCH /agents/:name/quota`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Messages in the inbox.
    pub messages: u64,
    /// Bytes of their envelopes.
    pub bytes: u64,
    /// The most messages; absent without a limit.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max_messages: Option<u64>,
    /// The most bytes; absent without a limit.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max_bytes: Option<u64>,
}

/// Body of `PATCH /agents/:name/quota`. `None` leaves a limit as it is, `Some(None)` returns to the
/// relay's own; 2^63 - 1 and more is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct PatchQuota {
    /// The most messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<u64>))]
    pub max_messages: Option<Option<u64>>,
    /// The most bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<u64>))]
    pub max_bytes: Option<Option<u64>>,
}
