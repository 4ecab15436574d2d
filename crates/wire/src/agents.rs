//! The agent directory and health.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, value::RawValue};

/// An agent as the relay lists it in `GET /agents`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Agent {
    /// Registered name, in its registered spelling.
    pub name: String,
    /// What the agent says it can do; left out when never set.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub capabilities: Option<Vec<String>>,
    /// X25519 public key, base64; empty when the agent registered itself and set none yet.
    pub public_key: String,
    /// Ed25519 public key, base64; empty when the agent registered itself and set none yet.
    pub signing_key: String,
    /// Whether the agent was seen in the last five minutes.
    pub online: bool,
    /// When the agent was last seen.
    pub last_seen: String,
}

/// Answer to `GET /agents`, as a client reads it: at most [`MAX_AGENTS`] items.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct Directory {
    #[serde(deserialize_with = "crate::bounded::list::<_, _, MAX_AGENTS>")]
    items: Vec<Item>,
}

/// Most entries that a client takes from one [`Directory`].
pub const MAX_AGENTS: usize = 100_000;

impl Directory {
    /// The entries that have a name.
    #[must_use]
    pub fn into_entries(self) -> Vec<DirectoryEntry> {
        self.items.into_iter().filter_map(|item| item.0).collect()
    }
}

/// An item, which is kept if it is an entry. The raw text in between keeps what serde cannot
/// represent, such as a lone surrogate, from ending the whole list.
#[derive(Debug)]
struct Item(Option<DirectoryEntry>);

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self(DirectoryEntry::from_raw(&raw)))
    }
}

/// One item of `GET /agents` as a client must take it: only the name is certain.
///
/// Keys and capabilities of any wrong type read as absent, so that a malformed entry damages
/// nobody but its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// The name, which nothing has vouched for.
    pub name: String,
    /// The text claimed to be an X25519 public key.
    pub public_key: Option<String>,
    /// The text claimed to be an Ed25519 public key.
    pub signing_key: Option<String>,
    /// The string items of `capabilities`.
    pub capabilities: Vec<String>,
    /// Whether the relay says that the agent is online.
    pub online: Option<bool>,
    /// When the relay says that the agent was last seen.
    pub last_seen: Option<String>,
}

impl DirectoryEntry {
    /// Reads one list item; `None` when it is no object with a string `name`.
    #[must_use]
    pub fn from_raw(raw: &RawValue) -> Option<Self> {
        let Ok(Value::Object(mut item)) = serde_json::from_str(raw.get()) else {
            return None;
        };
        let mut text = |member: &str| match item.remove(member) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let name = text("name")?;
        let public_key = text("publicKey");
        let signing_key = text("signingKey");
        let last_seen = text("lastSeen");
        let capabilities = match item.remove("capabilities") {
            Some(Value::Array(items)) => items
                .into_iter()
                .filter_map(|item| match item {
                    Value::String(text) => Some(text),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        };
        Some(Self {
            name,
            public_key,
            signing_key,
            capabilities,
            online: item.get("online").and_then(Value::as_bool),
            last_seen,
        })
    }
}

/// Body of `POST /agents`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct RegisterAgent {
    /// The name to register.
    pub name: String,
    /// Who answers for the agent; never listed.
    pub owner: String,
    /// X25519 public key, base64.
    pub public_key: String,
    /// Ed25519 public key, base64.
    pub signing_key: String,
    /// What the agent says it can do.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub capabilities: Option<Vec<String>>,
    /// Where the relay should post new messages.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub webhook_url: Option<String>,
}

/// Answer to `POST /agents` and `POST /register`: the only place where the key is ever shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Registered {
    /// The registered name.
    pub name: String,
    /// The agent's API key.
    pub api_key: String,
    /// What its webhooks are signed with, when it registered with a webhook.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub webhook_secret: Option<String>,
}

/// Body of `PATCH /agents/:name` as ctalk sends it; members left out stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PatchAgent {
    /// New X25519 public key, base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// New Ed25519 public key, base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_key: Option<String>,
    /// New capabilities, replacing all former ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Vec<String>>,
}

/// Answer to `GET /health`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Health {
    /// `ok`, or `degraded` when the relay's storage fails.
    pub status: String,
    /// The relay's clock.
    pub ts: String,
    /// Number of registered agents; a text when the relay cannot count them.
    pub agents: Value,
}
