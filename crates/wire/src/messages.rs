//! Sending and reading messages.

use core::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What a message is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum MessageType {
    /// Expects a response.
    #[default]
    Request,
    /// Answers a request.
    Response,
    /// Expects nothing.
    Notification,
}

impl MessageType {
    /// The type as it stands in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Response => "response",
            Self::Notification => "notification",
        }
    }
}

impl fmt::Display for MessageType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The `to` of a [`SendMessage`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum Recipients {
    /// One agent, or everybody but the sender when it reads `broadcast`.
    One(String),
    /// Every named agent.
    Many(Vec<String>),
}

/// Body of `POST /messages`, as a client writes it.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct SendMessage {
    /// Who gets it.
    pub to: Recipients,
    /// What it is for.
    #[serde(rename = "type")]
    pub message_type: MessageType,
    /// Conversation label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// Pairs requests with responses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// The id of the message this one answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// Whether `payload` is a NaCl box.
    pub encrypted: bool,
    /// Any JSON value; a base64 string when encrypted.
    #[cfg_attr(feature = "schema", schema(value_type = serde_json::Value))]
    pub payload: Box<RawValue>,
    /// The box's 24-byte nonce, base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// Ed25519 signature of the canonical string, base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// Life on the relay in seconds; not relayed to the receiver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u64>,
}

/// Answer to `POST /messages`: the message is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Sent {
    /// The relay's id, one for all recipients: a lower-case UUID v4.
    pub id: String,
    /// The relay's time, one for all recipients.
    pub ts: String,
    /// Those of the names in `to` that got no copy, as they were given. The reference relay does not
    /// tell.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub undelivered: Vec<String>,
}

/// One recipient's copy of a message, as stored, listed and pushed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// The relay's id.
    pub id: String,
    /// The sender by the relay's word.
    pub from: String,
    /// What it is for.
    #[serde(rename = "type")]
    pub message_type: MessageType,
    /// Conversation label.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub topic: Option<String>,
    /// Pairs requests with responses.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub correlation_id: Option<String>,
    /// The id of the message this one answers.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reply_to: Option<String>,
    /// Whether the sender says that `payload` is a NaCl box; usually a boolean.
    #[cfg_attr(feature = "schema", schema(value_type = serde_json::Value))]
    pub encrypted: Box<RawValue>,
    /// What the sender submitted.
    #[cfg_attr(feature = "schema", schema(value_type = serde_json::Value))]
    pub payload: Box<RawValue>,
    /// The box's nonce, base64.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub nonce: Option<String>,
    /// The sender's signature, base64.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub signature: Option<String>,
    /// When the relay stored it.
    pub ts: String,
    /// This copy's recipient, in the registered spelling.
    pub to: String,
}

/// Answer to `GET /messages`, as a client reads it. What else stands in it (`count`, the times of
/// the oldest and the newest message) follows from the messages, and the reference relay leaves it
/// out.
#[derive(Debug, Deserialize)]
pub struct Listing {
    /// The messages, raw, so that a reader takes them one by one; at most [`MAX_LISTED`].
    #[serde(deserialize_with = "crate::bounded::list::<_, _, MAX_LISTED>")]
    pub messages: Vec<Box<RawValue>>,
}

/// Most items that a client takes from one [`Listing`]; relays give at most 100.
pub const MAX_LISTED: usize = 1000;
