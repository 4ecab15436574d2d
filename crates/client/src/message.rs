//! Messages as callers see them: what is sent, what was received, why one was set aside.

use core::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};
use ctalk_wire::MessageType;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::{
    error::{Class, Error},
    sanitize::Hygiene,
    store::EntryState,
};

/// What a message says.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Content {
    /// Text, `text/plain`.
    Text(String),
    /// JSON as written, `application/json`.
    Json(Box<RawValue>),
    /// Bytes of any other kind. Only envelopes carry them.
    Bytes(Vec<u8>),
}

impl Content {
    /// Takes JSON text as it stands.
    ///
    /// # Errors
    /// The parser's error when it is not JSON.
    pub fn from_json(text: String) -> Result<Self, serde_json::Error> {
        RawValue::from_string(text).map(Self::Json)
    }

    /// Text where the bytes are UTF-8, and else bytes.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        String::from_utf8(bytes).map_or_else(|error| Self::Bytes(error.into_bytes()), Self::Text)
    }

    /// `text/plain`, `application/json` or `application/octet-stream`.
    #[must_use]
    pub const fn content_type(&self) -> &'static str {
        match self {
            Self::Text(_) => TEXT,
            Self::Json(_) => JSON,
            Self::Bytes(_) => "application/octet-stream",
        }
    }

    /// The content as it stands in an envelope.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Json(json) => json.get().as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }

    /// Reads a payload as the content type says; what is not what it says stays bytes.
    pub(crate) fn from_native(content_type: &str, payload: Vec<u8>) -> Self {
        match String::from_utf8(payload) {
            Ok(text) if content_type == TEXT => Self::Text(text),
            Ok(text) if content_type == JSON => {
                match serde_json::from_str::<Box<RawValue>>(&text) {
                    Ok(json) if is_json(&text) => Self::Json(json),
                    _ => Self::Bytes(text.into_bytes()),
                }
            }
            Ok(text) => Self::Bytes(text.into_bytes()),
            Err(error) => Self::Bytes(error.into_bytes()),
        }
    }

    /// The payload in ClawTalk's format: JSON as it is, text as `{"text": …}`.
    pub(crate) fn to_classic(&self) -> Result<Box<RawValue>, Error> {
        match self {
            Self::Text(text) => serde_json::value::to_raw_value(&TextPayload { text: text.into() })
                .map_err(|_| Error::NotText),
            Self::Json(json) => Ok(json.clone()),
            Self::Bytes(_) => Err(Error::NotText),
        }
    }

    /// Reads a payload in ClawTalk's format; exactly `{"text": …}` is text.
    pub(crate) fn from_classic(payload: Box<RawValue>) -> Self {
        match serde_json::from_str::<TextPayload<'_>>(payload.get()) {
            Ok(payload) => Self::Text(payload.text.into_owned()),
            Err(_) => Self::Json(payload),
        }
    }
}

const TEXT: &str = "text/plain";
const JSON: &str = "application/json";

/// Whether every part of a text is JSON that a strict reader can represent.
fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(text).is_ok()
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct TextPayload<'a> {
    text: std::borrow::Cow<'a, str>,
}

/// How bytes stand in JSON: standard base64 with padding.
#[derive(Serialize)]
struct Base64Payload {
    base64: String,
}

impl Serialize for Content {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => text.serialize(serializer),
            Self::Bytes(bytes) => {
                let base64 = BASE64_STANDARD.encode(bytes);
                Base64Payload { base64 }.serialize(serializer)
            }
            Self::Json(json) if !json.get().contains(['\n', '\r']) => json.serialize(serializer),
            Self::Json(json) => {
                // Line ends stand between JSON tokens only, never within a string, so a blank in
                // their place keeps the value and makes it fit on one line.
                let line = json.get().replace(['\n', '\r'], " ");
                match RawValue::from_string(line) {
                    Ok(line) => line.serialize(serializer),
                    Err(_) => json.serialize(serializer),
                }
            }
        }
    }
}

/// A message about to be sent.
#[derive(Clone, Debug)]
pub struct Draft {
    /// What it says.
    pub content: Content,
    /// What it is for.
    pub message_type: MessageType,
    /// Conversation label; the relay sees it unless it is in an envelope.
    pub topic: Option<String>,
    /// Show the topic to the relay even beside an envelope.
    pub public_topic: bool,
    /// Pairs requests with responses; the relay sees it unless it is in an envelope.
    pub correlation_id: Option<String>,
    /// The id of the message this one answers; the relay sees it, and may change it, unless it is in
    /// an envelope.
    pub reply_to: Option<String>,
    /// How long it lives, in seconds: at the relay, whose default counts when absent, and in an
    /// envelope, 7 days when absent and at most 30.
    pub ttl: Option<u64>,
    /// The name of the file that it is; only envelopes carry it.
    pub name: Option<String>,
    /// A key of the caller's, under which this message is delivered once: sent again under the same
    /// key by the same identity, it has the same outcome and nothing leaves, however much later.
    pub idempotency_key: Option<String>,
    /// Ask each recipient for a receipt, which only recipients with a key card give. The message stays
    /// in the outbox until all of them came, and is sent again, as the same envelope, where they are
    /// overdue.
    pub receipt: bool,
}

impl Draft {
    /// A request with this content and nothing optional.
    #[must_use]
    pub const fn new(content: Content) -> Self {
        Self {
            content,
            message_type: MessageType::Request,
            topic: None,
            public_topic: false,
            correlation_id: None,
            reply_to: None,
            ttl: None,
            name: None,
            idempotency_key: None,
            receipt: false,
        }
    }
}

/// How far a message has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Progress {
    /// It is in the outbox.
    Queued,
    /// The relay has it.
    Sent,
    /// Its receipt says that it was handled.
    Done,
}

/// What became of a message for one recipient.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sent {
    /// The contact, or the relay's name for somebody who got plaintext.
    pub to: String,
    /// The message's id: the envelope's, else the relay's if it gave one.
    pub id: Option<String>,
    /// The relay's id, if it gave one.
    pub relay_id: Option<String>,
    /// The relay's time, if it gave one.
    pub ts: Option<String>,
    /// The name of the relay that it went over, where the agent has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// The format.
    pub format: Format,
    /// Whether it was sealed and signed.
    pub encrypted: bool,
    /// The recipient's fingerprint; absent for plaintext.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Whether the recipient's keys were pinned just now.
    pub pinned: bool,
    /// How far it has come.
    pub state: Progress,
}

/// How much is known about who sent a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Trust {
    /// Signed by the key of a contact that the user verified.
    Verified,
    /// Signed by a key that is pinned to a contact.
    Pinned,
    /// Signed by the key that the relay shows for the sender, which is pinned to nobody.
    Unknown,
    /// Encrypted, but nobody signed it.
    Unsigned,
    /// Neither encrypted nor signed: anybody on the way may have written it.
    Plaintext,
}

impl Trust {
    /// The word used in JSON and output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Pinned => "pinned",
            Self::Unknown => "unknown",
            Self::Unsigned => "unsigned",
            Self::Plaintext => "plaintext",
        }
    }
}

/// A message's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Format {
    /// ctalk's envelope.
    Native,
    /// ClawTalk's box and signature.
    Classic,
    /// Plain JSON.
    Plain,
}

impl Format {
    /// The word used in JSON and output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Classic => "classic",
            Self::Plain => "plain",
        }
    }
}

/// A message that was received. Whether it is to be believed stands in `trust`: only `from` and
/// `fingerprint` name somebody whose key signed it, and they are absent where nobody's did.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Received {
    /// The message's id: 32 hex digits for an envelope, else the relay's.
    pub id: Option<String>,
    /// The relay's id.
    pub relay_id: Option<String>,
    /// The contact whose key signed it; `None` when nobody's did.
    pub from: Option<String>,
    /// Who sent it by the relay's word.
    pub relay_from: String,
    /// Fingerprint of the keys that signed it, 64 hex digits.
    pub fingerprint: Option<String>,
    /// The recipient's name.
    pub to: String,
    /// `request`, `response` or `notification`, or whatever a plaintext sender wrote.
    #[serde(rename = "type")]
    pub message_type: String,
    /// Conversation label.
    pub topic: Option<String>,
    /// Pairs requests with responses.
    pub correlation_id: Option<String>,
    /// The id of the message this one answers; not protected by ClawTalk's signature.
    pub reply_to: Option<String>,
    /// The relay's time.
    pub ts: Option<String>,
    /// When its sender sealed it, signed; only envelopes say so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The format.
    pub format: Format,
    /// Whether it was encrypted.
    pub encrypted: bool,
    /// What is known about the sender.
    pub trust: Trust,
    /// What the payload is: `text/plain`, `application/json`, or what the sender of an envelope says.
    pub content_type: String,
    /// The name of the file that the payload is, as the sender wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it says.
    pub payload: Content,
    /// What [`sanitize`](crate::sanitize()) found; `None` where that was not asked for.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub hygiene: Option<Hygiene>,
}

/// Why a message was set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reason {
    /// It breaks the format.
    Malformed,
    /// The relay's directory holds no usable keys for the sender.
    UnknownSender,
    /// The signature is not the sender's.
    NotVerified,
    /// The sender's keys are not the pinned ones any more.
    KeyChanged,
    /// The sender shows a key that belongs to somebody else.
    KeyConflict,
    /// The box does not open, or holds no JSON.
    CannotOpen,
    /// It is addressed to another name.
    Misaddressed,
    /// It was handled already and comes again.
    Replayed,
    /// An envelope whose life is over, or from the future.
    Expired,
    /// In a weaker format than its sender uses, or than is required: not an envelope.
    Downgrade,
    /// From an identity that has ended.
    Ended,
    /// From a blocked contact.
    Blocked,
    /// From somebody who is not verified, where that is required.
    Unverified,
    /// A message of a pairing that no open code was waiting for.
    Pairing,
    /// The user's policy does not allow it, or wants a decision first.
    Policy,
    /// Nobody signed it, and there is a handler, which gets signed messages only unless the user
    /// decides otherwise.
    Unsigned,
    /// The handler failed, or was tried too often.
    Handler,
    /// The guard before the handler refused it.
    Guard,
    /// A part of an envelope that contradicts the others, makes no envelope with them, or for which
    /// there is no room.
    Part,
    /// A receipt for a message that its sender was not sent, or that asked for none; or a response to a
    /// call that has its response, or is over.
    Unasked,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 20] = [
        Self::Malformed,
        Self::UnknownSender,
        Self::NotVerified,
        Self::KeyChanged,
        Self::KeyConflict,
        Self::CannotOpen,
        Self::Misaddressed,
        Self::Replayed,
        Self::Expired,
        Self::Downgrade,
        Self::Ended,
        Self::Blocked,
        Self::Unverified,
        Self::Pairing,
        Self::Policy,
        Self::Unsigned,
        Self::Handler,
        Self::Guard,
        Self::Part,
        Self::Unasked,
    ];

    /// The word used in JSON, output and the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownSender => "unknown-sender",
            Self::NotVerified => "not-verified",
            Self::KeyChanged => "key-changed",
            Self::KeyConflict => "key-conflict",
            Self::CannotOpen => "cannot-open",
            Self::Misaddressed => "misaddressed",
            Self::Replayed => "replayed",
            Self::Expired => "expired",
            Self::Downgrade => "downgrade",
            Self::Ended => "ended",
            Self::Blocked => "blocked",
            Self::Unverified => "unverified",
            Self::Pairing => "pairing",
            Self::Policy => "policy",
            Self::Unsigned => "unsigned",
            Self::Handler => "handler",
            Self::Guard => "guard",
            Self::Part => "part",
            Self::Unasked => "unasked",
        }
    }

    pub(crate) fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }

    /// The class that callers branch on.
    #[must_use]
    pub const fn class(self) -> Class {
        match self {
            Self::Malformed => Class::Malformed,
            Self::NotVerified | Self::Replayed | Self::Unsigned => Class::NotVerified,
            Self::Handler => Class::RemoteFailed,
            Self::CannotOpen => Class::CannotOpen,
            Self::Expired
            | Self::Blocked
            | Self::Pairing
            | Self::Policy
            | Self::Guard
            | Self::Part
            | Self::Unasked => Class::Refused,
            Self::UnknownSender
            | Self::Downgrade
            | Self::Ended
            | Self::Unverified
            | Self::KeyChanged
            | Self::KeyConflict
            | Self::Misaddressed => Class::NotTrusted,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A message that was set aside just now, or is held for the user to decide on.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SetAside {
    /// Its number in the local inbox.
    pub number: i64,
    /// Where it stands now: held or quarantined.
    pub state: EntryState,
    /// The relay's id.
    pub relay_id: Option<String>,
    /// Who sent it by the relay's word, where that can be read.
    pub relay_from: Option<String>,
    /// Why.
    pub reason: Reason,
    /// The same in words.
    pub detail: String,
}

#[cfg(test)]
mod tests {
    use super::{Content, Reason};

    fn classic(json: &str) -> Content {
        Content::from_classic(serde_json::value::RawValue::from_string(json.to_owned()).unwrap())
    }

    #[test]
    fn exactly_a_text_member_reads_back_as_text() {
        assert!(matches!(classic(r#"{"text":"a\nb"}"#), Content::Text(text) if text == "a\nb"));
        for json in [
            r#"{"text":1}"#,
            r#"{"text":"a","more":1}"#,
            r#""a""#,
            "[]",
            "{}",
        ] {
            assert!(matches!(classic(json), Content::Json(_)), "{json}");
        }
    }

    #[test]
    fn json_comes_out_on_one_line_with_its_numbers_as_written() {
        let content = classic("{\n \"n\": 1.50,\r\n \"b\": 12345678901234567890123 }");
        let line = serde_json::to_string(&content).unwrap();
        assert_eq!(line, "{  \"n\": 1.50,   \"b\": 12345678901234567890123 }");
    }

    #[test]
    fn every_reason_is_read_back_from_its_word() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_text(reason.as_str()), Some(reason));
        }
    }
}
