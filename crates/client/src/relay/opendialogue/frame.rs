//! Frames as they stand on the wire: JSON objects with a `type`.

use serde::{Deserialize, Serialize};

/// The one kind of message that carries something.
pub(super) const TEXT: &str = "text";
/// The kind that ends a conversation.
pub(super) const END: &str = "end";

/// A message on its way to the relay.
#[derive(Serialize)]
pub(super) struct Outbound<'a> {
    pub(super) id: &'a str,
    pub(super) from: &'a str,
    pub(super) to: &'a str,
    #[serde(rename = "type")]
    pub(super) kind: &'a str,
    pub(super) content: &'a str,
    pub(super) conversation_id: &'a str,
    /// In milliseconds since the Unix epoch.
    pub(super) timestamp: i64,
    pub(super) nonce: &'a str,
    pub(super) signature: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) turn_number: Option<u64>,
    /// How many messages the conversation may have. The relay reads it only where it knows nothing of the
    /// conversation, which it may forget at any time, so that every message has it.
    pub(super) max_turns: u32,
}

/// A frame from the relay.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Inbound {
    /// The connection works, and this is its key.
    Session { session_key: String },
    /// Not to be answered: a `pong` is judged as a message.
    Ping,
    /// The answer to a heartbeat.
    Pong,
    /// What became of a message: `sent` to a socket, or `queued`.
    Status { status: Status, message_id: String },
    /// A frame was refused; which one is not said.
    Error { code: String },
    /// A message.
    Text(Message),
    /// A conversation is over, or was for a moment. A hint, and no order.
    ConversationEnded { conversation_id: String },
    /// Everything else. What others type or have read is nothing to store.
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    Sent,
    Queued,
    #[serde(other)]
    Unknown,
}

/// A message as it is delivered. Nothing in it may be believed.
#[derive(Clone, Deserialize, Serialize)]
pub(super) struct Message {
    pub(super) id: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) content: String,
    /// In milliseconds since the Unix epoch.
    pub(super) timestamp: i64,
}
