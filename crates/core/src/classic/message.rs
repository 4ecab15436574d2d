//! A message as the relay hands it over: grammar and limits, no keys.

use core::fmt;

use serde_json::value::RawValue;

use super::box_key::{NONCE_LEN, TAG_LEN};
use crate::{
    encoding::{self, Base64Error},
    json::{self, Members, ObjectError},
};

/// Most bytes of one message as relayed.
///
/// A request body has at most 65,536 characters. Those are at most 192 KiB of UTF-8, and up to 4.4
/// times as many where the relay writes `1e20` as 21 digits.
pub const MAX_MESSAGE_LEN: usize = 512 * 1024;

const MEMBERS: &[&str] = &[
    "id",
    "from",
    "to",
    "type",
    "topic",
    "correlationId",
    "replyTo",
    "ts",
    "encrypted",
    "payload",
    "nonce",
    "signature",
];

/// A message of which only the form was checked. Nothing in it may be trusted.
#[derive(Debug)]
pub enum Message {
    /// Boxed and signed; [`SignedMessage::verify`] is the way on.
    Signed(SignedMessage),
    /// Boxed and not signed; [`UnsignedMessage::open`] is the way on.
    Unsigned(UnsignedMessage),
    /// In plain text, whatever signature it carries; [`PlainMessage::accept`] is the way on.
    Plain(PlainMessage),
}

impl Message {
    /// Reads one item of a relay's message list.
    ///
    /// Unknown members are ignored, `null` stands for an absent optional member, and a message is
    /// boxed when `encrypted` is `true`; `false`, `null`, `0`, `""` and absence mean plain text.
    ///
    /// # Errors
    ///
    /// [`Malformed`], before any cryptography; relay or sender is at fault.
    pub fn parse(json: &[u8]) -> Result<Self, Malformed> {
        if json.len() > MAX_MESSAGE_LEN {
            return Err(Malformed::TooLong { found: json.len() });
        }
        let text = str::from_utf8(json).map_err(|_| Malformed::NotUtf8)?;
        let members = Members::parse(text, MEMBERS)?;
        let claims = Claims {
            id: optional(&members, "id")?,
            from: required(&members, "from")?,
            to: required(&members, "to")?,
            message_type: required(&members, "type")?,
            topic: optional(&members, "topic")?,
            correlation_id: optional(&members, "correlationId")?,
            reply_to: optional(&members, "replyTo")?,
            ts: optional(&members, "ts")?,
        };
        let payload = members
            .raw("payload")
            .ok_or(Malformed::Missing { member: "payload" })?;
        match members.raw("encrypted").map(RawValue::get) {
            Some("true") => {}
            None | Some("false" | "null" | "0" | "\"\"") => {
                return PlainMessage::parse(claims, payload).map(Self::Plain);
            }
            Some(_) => {
                return Err(Malformed::WrongType {
                    member: "encrypted",
                    expected: "a boolean",
                });
            }
        }
        let sealed = SealedBox::parse(payload, &members)?;
        let Some(text) = optional(&members, "signature")? else {
            return Ok(Self::Unsigned(UnsignedMessage { claims, sealed }));
        };
        let mut signature = [0; 64];
        decode_into(&text, &mut signature, "signature")?;
        Ok(Self::Signed(SignedMessage {
            claims,
            sealed,
            signature,
        }))
    }

    /// What relay and sender say about the message; nothing of it is proven.
    #[must_use]
    pub const fn claims(&self) -> &Claims {
        match self {
            Self::Signed(message) => message.claims(),
            Self::Unsigned(message) => message.claims(),
            Self::Plain(message) => message.claims(),
        }
    }
}

/// What relay and sender say about a message.
///
/// Even after verification only `to`, `message_type`, `topic` and `correlation_id` are the
/// sender's; the rest stays the relay's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The relay's id for the message.
    pub id: Option<String>,
    /// The relay's name for the sender.
    pub from: String,
    /// The relay's name for the recipient.
    pub to: String,
    /// `request`, `response` or `notification`, if the sender keeps to the protocol.
    pub message_type: String,
    /// Conversation label.
    pub topic: Option<String>,
    /// Pairs requests with responses.
    pub correlation_id: Option<String>,
    /// The id of the message that this one answers. Never covered by a signature.
    pub reply_to: Option<String>,
    /// When the relay says it stored the message.
    pub ts: Option<String>,
}

/// A box with a signature that nobody has checked.
#[derive(Debug)]
pub struct SignedMessage {
    pub(super) claims: Claims,
    pub(super) sealed: SealedBox,
    pub(super) signature: [u8; 64],
}

impl SignedMessage {
    /// What relay and sender say about the message; nothing of it is proven.
    #[must_use]
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }
}

/// A box without a signature.
#[derive(Debug)]
pub struct UnsignedMessage {
    pub(super) claims: Claims,
    pub(super) sealed: SealedBox,
}

impl UnsignedMessage {
    /// What relay and sender say about the message; nothing of it is proven.
    #[must_use]
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }
}

/// A message in plain text.
pub struct PlainMessage {
    pub(super) claims: Claims,
    pub(super) payload: Box<RawValue>,
}

impl PlainMessage {
    fn parse(claims: Claims, payload: &RawValue) -> Result<Self, Malformed> {
        if !json::has_value(payload) {
            return Err(Malformed::WrongType {
                member: "payload",
                expected: "readable JSON",
            });
        }
        Ok(Self {
            claims,
            payload: payload.to_owned(),
        })
    }

    /// What relay and sender say about the message; nothing of it is proven.
    #[must_use]
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }
}

impl fmt::Debug for PlainMessage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { claims, payload: _ } = self;
        formatter
            .debug_struct("PlainMessage")
            .field("claims", claims)
            .finish_non_exhaustive()
    }
}

/// A box as text, which is what was signed, and as bytes.
#[derive(Debug)]
pub(super) struct SealedBox {
    pub(super) payload: String,
    pub(super) nonce: String,
    pub(super) payload_bytes: Vec<u8>,
    pub(super) nonce_bytes: [u8; NONCE_LEN],
}

impl SealedBox {
    fn parse(payload: &RawValue, members: &Members<'_>) -> Result<Self, Malformed> {
        let payload = json::string(payload).map_err(|_| Malformed::WrongType {
            member: "payload",
            expected: "a string",
        })?;
        let nonce = required(members, "nonce")?;
        let mut nonce_bytes = [0; NONCE_LEN];
        decode_into(&nonce, &mut nonce_bytes, "nonce")?;
        let payload_bytes =
            encoding::decode(&payload).map_err(|_| Malformed::NotBase64 { member: "payload" })?;
        if payload_bytes.len() < TAG_LEN {
            return Err(Malformed::BoxTooShort {
                found: payload_bytes.len(),
            });
        }
        Ok(Self {
            payload,
            nonce,
            payload_bytes,
            nonce_bytes,
        })
    }
}

/// A message that does not keep to the format. No variant carries what the message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// Longer than [`MAX_MESSAGE_LEN`].
    #[error("the message has {found} bytes, more than the {MAX_MESSAGE_LEN} allowed")]
    TooLong {
        /// Bytes found.
        found: usize,
    },
    /// Not UTF-8.
    #[error("the message is not UTF-8")]
    NotUtf8,
    /// Not JSON, or not an object.
    #[error("the message is not a JSON object (line {line}, column {column})")]
    NotAnObject {
        /// Line of the fault, from 1.
        line: usize,
        /// Column of the fault in bytes.
        column: usize,
    },
    /// A member that stands in the message twice.
    #[error("the message has {member} twice")]
    Duplicate {
        /// Its name.
        member: &'static str,
    },
    /// A member that is needed.
    #[error("the message has no {member}")]
    Missing {
        /// Its name.
        member: &'static str,
    },
    /// A member of another type than the format says; a string with a lone surrogate escape is
    /// none.
    #[error("{member} of the message is not {expected}")]
    WrongType {
        /// Its name.
        member: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// A member that is not padded standard base64.
    #[error("{member} of the message is not padded standard base64")]
    NotBase64 {
        /// Its name.
        member: &'static str,
    },
    /// A member whose base64 has the wrong length.
    #[error("{member} of the message has {found} bytes of base64 where {expected} are needed")]
    WrongLength {
        /// Its name.
        member: &'static str,
        /// Bytes of base64 text needed.
        expected: usize,
        /// Bytes of base64 text found.
        found: usize,
    },
    /// A box shorter than its own tag.
    #[error("the message's box has {found} bytes, fewer than its tag of {TAG_LEN}")]
    BoxTooShort {
        /// Bytes found.
        found: usize,
    },
}

impl From<ObjectError> for Malformed {
    fn from(error: ObjectError) -> Self {
        match error {
            ObjectError::NotAnObject { line, column } => Self::NotAnObject { line, column },
            ObjectError::Duplicate(member) => Self::Duplicate { member },
        }
    }
}

fn optional(members: &Members<'_>, member: &'static str) -> Result<Option<String>, Malformed> {
    match members.raw(member) {
        None => Ok(None),
        Some(value) if value.get() == "null" => Ok(None),
        Some(value) => json::string(value)
            .map(Some)
            .map_err(|_| Malformed::WrongType {
                member,
                expected: "a string",
            }),
    }
}

fn required(members: &Members<'_>, member: &'static str) -> Result<String, Malformed> {
    optional(members, member)?.ok_or(Malformed::Missing { member })
}

fn decode_into<const N: usize>(
    text: &str,
    bytes: &mut [u8; N],
    member: &'static str,
) -> Result<(), Malformed> {
    encoding::decode_into(text, bytes).map_err(|error| match error {
        Base64Error::Length { expected, found } => Malformed::WrongLength {
            member,
            expected,
            found,
        },
        Base64Error::Alphabet => Malformed::NotBase64 { member },
    })
}
