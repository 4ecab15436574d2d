//! Invites and registration with them.

use serde::{Deserialize, Serialize};

/// Body of `POST /invites`; every member is optional.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct CreateInvite {
    /// A note for the operator.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub label: Option<String>,
    /// How many agents may register with it; 0 means none, absent means any number.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max_uses: Option<u64>,
    /// Hours until it expires; 0 or absent means never, negative means already expired.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires_in_hours: Option<f64>,
}

/// Answer to `POST /invites`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct CreatedInvite {
    /// The code: 16 random bytes, base64url without padding.
    pub code: String,
    /// Where a person can sign up with it.
    pub url: String,
    /// The operator's note.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub label: Option<String>,
    /// How many agents may register with it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max_uses: Option<u64>,
    /// When it stops working.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires_at: Option<String>,
}

/// One item of `GET /invites`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Invite {
    /// The code.
    pub code: String,
    /// Always `admin`.
    pub created_by: String,
    /// When it was made.
    pub created_at: String,
    /// How many agents registered with it.
    pub uses: u64,
    /// The operator's note.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub label: Option<String>,
    /// How many agents may register with it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max_uses: Option<u64>,
    /// When it stops working.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires_at: Option<String>,
}

/// Body of `POST /register`.
///
/// The reference relay ignores the keys, so a client sets them with `PATCH /agents/:name` too.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct RegisterWithInvite {
    /// The invite's code.
    pub invite: String,
    /// The name to register.
    pub name: String,
    /// Who answers for the agent; the relay puts `invited` when absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub owner: Option<String>,
    /// Where the relay should post new messages.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub webhook_url: Option<String>,
    /// X25519 public key, base64.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub public_key: Option<String>,
    /// Ed25519 public key, base64.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub signing_key: Option<String>,
}
