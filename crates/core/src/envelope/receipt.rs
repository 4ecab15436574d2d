//! A receipt: what became of a message at its recipient. Section 4.3 of `docs/ENVELOPE.md`.

use core::fmt;

use sha2::{Digest, Sha256};

use super::{
    failure::Failure,
    header::EnvelopeId,
    metadata::{Kind, Metadata},
};
use crate::json::{self, Members, ObjectError};

/// Most bytes of a receipt's payload that are looked at.
pub const MAX_RECEIPT_LEN: usize = 1024;

/// The content type of a receipt.
pub const RECEIPT_TYPE: &str = "application/json";

const OUTCOME: &str = "outcome";
const ATTEMPT: &str = "attempt";
const DIGEST: &str = "digest";

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReceiptOutcome {
    /// A handler ended well.
    Done,
    /// A handler gave up.
    Failed,
    /// The recipient does not want the message handled.
    Refused,
}

impl ReceiptOutcome {
    const ALL: [Self; 3] = [Self::Done, Self::Failed, Self::Refused];

    /// `done`, `failed` or `refused`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }

    /// The outcome with that word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|outcome| outcome.as_str() == word)
    }
}

impl fmt::Display for ReceiptOutcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What the recipient of a message says became of it.
///
/// It is sent as [`Self::metadata`] and [`Self::payload`] and proves as much as the envelope it came
/// in. It counts only from somebody to whom the message was sealed, which its reader has to check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Which message, by the id of its envelope.
    pub id: EnvelopeId,
    /// What became of it.
    pub outcome: ReceiptOutcome,
    /// How many times a handler was started for it.
    pub attempt: u32,
    /// SHA-256 of the result, that of no bytes where there is none.
    pub digest: [u8; 32],
}

impl Receipt {
    /// A receipt for the message `id`, whose handling gave `result`.
    #[must_use]
    pub fn new(id: EnvelopeId, outcome: ReceiptOutcome, attempt: u32, result: &[u8]) -> Self {
        Self {
            id,
            outcome,
            attempt,
            digest: Sha256::digest(result).into(),
        }
    }

    /// The metadata to seal it with.
    #[must_use]
    pub fn metadata(&self) -> Metadata {
        let mut metadata = Metadata::new(Kind::Receipt, RECEIPT_TYPE);
        metadata.reply_to = Some(self.id.to_string());
        metadata
    }

    /// The payload to seal: JSON.
    #[must_use]
    pub fn payload(&self) -> Vec<u8> {
        let payload = serde_json::json!({
            OUTCOME: self.outcome.as_str(),
            ATTEMPT: self.attempt,
            DIGEST: hex::encode(self.digest),
        });
        payload.to_string().into_bytes()
    }

    /// Reads a receipt out of an opened envelope. Members of the payload that are not known are not
    /// looked at.
    ///
    /// # Errors
    ///
    /// [`ReceiptError`].
    pub fn parse(metadata: &Metadata, payload: &[u8]) -> Result<Self, ReceiptError> {
        if metadata.kind != Kind::Receipt {
            return Err(ReceiptError::Kind {
                found: metadata.kind,
            });
        }
        if metadata.content_type != RECEIPT_TYPE {
            return Err(ReceiptError::ContentType);
        }
        let id = metadata.reply_to.as_deref().and_then(read_hex);
        let id = EnvelopeId::from_bytes(id.ok_or(ReceiptError::ReplyTo)?);
        if payload.len() > MAX_RECEIPT_LEN {
            return Err(ReceiptError::TooLong {
                found: payload.len(),
            });
        }
        let text = core::str::from_utf8(payload).map_err(|_| ReceiptError::NotAnObject)?;
        let members = Members::parse(text, &[OUTCOME, ATTEMPT, DIGEST])?;
        let text_of = |name| {
            let value = members.raw(name)?;
            json::string(value).ok()
        };
        let outcome = text_of(OUTCOME).and_then(|word| ReceiptOutcome::from_word(&word));
        let attempt = members
            .raw(ATTEMPT)
            .and_then(|value| serde_json::from_str(value.get()).ok());
        let digest = text_of(DIGEST).as_deref().and_then(read_hex);
        Ok(Self {
            id,
            outcome: outcome.ok_or(ReceiptError::Member { member: OUTCOME })?,
            attempt: attempt.ok_or(ReceiptError::Member { member: ATTEMPT })?,
            digest: digest.ok_or(ReceiptError::Member { member: DIGEST })?,
        })
    }
}

/// Exactly `N` bytes in lower-case hex digits.
fn read_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    (!text.contains(|digit: char| digit.is_ascii_uppercase())).then_some(bytes)
}

/// An opened envelope that is no receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// Another content type.
    #[error("the receipt is not {RECEIPT_TYPE}")]
    ContentType,
    /// A member twice.
    #[error("the receipt has two of {member}")]
    Duplicate {
        /// Which member.
        member: &'static str,
    },
    /// Another kind of message.
    #[error("a {found} is no receipt")]
    Kind {
        /// What it is.
        found: Kind,
    },
    /// A member that is missing or has a value that it cannot have.
    #[error("the receipt's {member} is missing or wrong")]
    Member {
        /// Which member.
        member: &'static str,
    },
    /// Not one JSON object.
    #[error("the receipt is not one JSON object")]
    NotAnObject,
    /// The reply-to is not the id of an envelope in lower-case hex digits.
    #[error("the receipt does not say which message it is for")]
    ReplyTo,
    /// Longer than [`MAX_RECEIPT_LEN`].
    #[error("the receipt has {found} bytes, more than the {MAX_RECEIPT_LEN} allowed")]
    TooLong {
        /// Bytes found.
        found: usize,
    },
}

impl From<ObjectError> for ReceiptError {
    fn from(error: ObjectError) -> Self {
        match error {
            ObjectError::Duplicate(member) => Self::Duplicate { member },
            ObjectError::NotAnObject { .. } => Self::NotAnObject,
        }
    }
}

impl ReceiptError {
    /// The class of the failure.
    #[must_use]
    pub const fn failure(&self) -> Failure {
        match self {
            Self::ContentType
            | Self::Duplicate { .. }
            | Self::Kind { .. }
            | Self::Member { .. }
            | Self::NotAnObject
            | Self::ReplyTo
            | Self::TooLong { .. } => Failure::Malformed,
        }
    }
}
