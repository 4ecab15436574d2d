//! The audit log.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Which end of a message an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum AuditDirection {
    /// It was sent.
    Sent,
    /// It was received.
    Received,
}

impl AuditDirection {
    /// The direction as it stands in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Received => "received",
        }
    }
}

/// One entry of `GET /audit`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// The relay's id of the message.
    pub message_id: String,
    /// Which end of the message this is about.
    pub direction: AuditDirection,
    /// The sender, by the word of whoever logged it.
    pub from: String,
    /// The recipient, by the same word.
    pub to: String,
    /// Conversation label.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub topic: Option<String>,
    /// Pairs requests with responses.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub correlation_id: Option<String>,
    /// What the message said.
    #[cfg_attr(feature = "schema", schema(value_type = serde_json::Value))]
    pub payload: Box<RawValue>,
    /// When it was sent or received, by the word of whoever logged it.
    pub ts: String,
    /// The agent that logged it, or `_system` for the relay.
    pub logged_by: String,
    /// When it was logged.
    pub logged_at: String,
}

/// Answer to `GET /audit`, as a client reads it.
#[derive(Debug, Deserialize)]
pub struct AuditPage {
    /// The entries, raw, so that a reader takes them one by one.
    #[serde(deserialize_with = "crate::bounded::list::<_, _, MAX_ENTRIES>")]
    pub entries: Vec<Box<RawValue>>,
    /// When the last of them was logged; absent when there is none.
    #[serde(default)]
    pub cursor: Option<String>,
}

/// Most entries that a client takes from one [`AuditPage`]; relays give at most 200.
const MAX_ENTRIES: usize = 1000;
