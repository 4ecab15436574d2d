//! What can be wrong with a message, and how a pairing fails.

use super::message::{MAX_MESSAGE_LEN, MAX_MESSAGE_TEXT_LEN, MESSAGE_PREFIX};
use crate::{
    card::{CardError, CardNotCurrent, kind_name},
    envelope::Failure,
    reader::Truncated,
};

/// Bytes that are not a usable message. It changed nothing: a pairing that waits goes on waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// A card that breaks a rule.
    #[error("the pairing message is unusable: {0}")]
    Card(#[from] CardError),
    /// An element outside the group.
    #[error("the pairing message has no acceptable SPAKE2 element")]
    Element,
    /// A version or suite that this program does not know.
    #[error("the pairing message has version {version}, suite {suite}; update ctalk to read it")]
    Newer {
        /// Version found.
        version: u8,
        /// Suite found.
        suite: u8,
    },
    /// Other bytes.
    #[error("this is no pairing message")]
    NotAMessage,
    /// A card that nothing may be sealed to now.
    #[error("the pairing message is unusable: {0}")]
    NotCurrent(#[from] CardNotCurrent),
    /// None of the four messages.
    #[error("the pairing message has step {found}, and there are 1 to 4")]
    Step {
        /// Step found.
        found: u8,
    },
    /// Not the one-line form.
    #[error(
        "a pairing message in text is one line, {MESSAGE_PREFIX} and base64url without padding"
    )]
    Text,
    /// A text longer than [`MAX_MESSAGE_TEXT_LEN`].
    #[error(
        "the text has {found} bytes and that of a pairing message at most {MAX_MESSAGE_TEXT_LEN}"
    )]
    TextTooLong {
        /// Bytes found.
        found: usize,
    },
    /// Longer than [`MAX_MESSAGE_LEN`].
    #[error("the pairing message has {found} bytes, more than the {MAX_MESSAGE_LEN} allowed")]
    TooLong {
        /// Bytes found.
        found: usize,
    },
    /// Something after a confirmation.
    #[error("the pairing message has bytes after its end")]
    Trailing,
    /// The bytes end within the message.
    #[error("the pairing message is cut off")]
    Truncated,
    /// Something else of ctalk's.
    #[error("this is no pairing message but {}", kind_name(*found))]
    WrongKind {
        /// The byte that tells the kind.
        found: u8,
    },
}

impl MessageError {
    /// The class of the failure.
    #[must_use]
    pub const fn failure(&self) -> Failure {
        match self {
            Self::Card(error) => error.failure(),
            Self::Newer { .. } => Failure::Newer,
            Self::NotCurrent(_) => Failure::Expired,
            Self::Element
            | Self::NotAMessage
            | Self::Step { .. }
            | Self::Text
            | Self::TextTooLong { .. }
            | Self::TooLong { .. }
            | Self::Trailing
            | Self::Truncated
            | Self::WrongKind { .. } => Failure::Malformed,
        }
    }
}

impl From<Truncated> for MessageError {
    fn from(Truncated: Truncated) -> Self {
        Self::Truncated
    }
}

/// A pairing that failed for good. Its code must not be used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PairingError {
    /// The other side's confirmation is not the one that the code and both cards give.
    #[error(
        "pairing failed: the other side did not prove that it knows the code; it was mistyped, or \
         somebody interfered; make a new code and try again"
    )]
    NotConfirmed,
    /// A message of another attempt.
    #[error("pairing failed: a message belongs to another attempt; make a new code and try again")]
    OtherSession,
    /// The other side's element is this side's own.
    #[error(
        "pairing failed: somebody sent this side's own message back; make a new code and try again"
    )]
    Reflected,
}

impl PairingError {
    /// The class of the failure.
    #[must_use]
    pub const fn failure(&self) -> Failure {
        match self {
            Self::NotConfirmed | Self::OtherSession | Self::Reflected => Failure::NotVerified,
        }
    }
}
