//! What can be wrong with a part, with all of them together, and with an envelope to be cut.

use super::{Fact, MAX_SLICE_LEN, MAX_SPLIT_LEN, MIN_SLICE_LEN, PART_PREFIX};
use crate::{
    card::kind_name,
    envelope::{Failure, ParseError},
    fingerprint::Fingerprint,
    keys::KeyError,
    timestamp::Timestamp,
};

/// Bytes or a text that are no part, or a part that must not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PartError {
    /// The life of its envelope is over.
    #[error("the part's envelope has expired; ask the sender to send it again")]
    Expired {
        /// Until when it could be opened.
        expires: Timestamp,
    },
    /// Its envelope lives longer than one of today can.
    #[error(
        "the part's envelope expires later than any does that was sealed by now; \
         compare this machine's clock with the sender's"
    )]
    Future {
        /// Until when it could be opened.
        expires: Timestamp,
    },
    /// A place behind the last part.
    #[error("the part is number {found}, counted from 0, of only {count}")]
    Index {
        /// Place found.
        found: u16,
        /// How many parts there are.
        count: u16,
    },
    /// Too few bytes for any part, or too many.
    #[error("no part has {found} bytes; it was cut off or something follows it")]
    Length {
        /// Bytes found.
        found: usize,
    },
    /// A version or suite that this program does not know.
    #[error("the part has version {version}, suite {suite}; update ctalk to read it")]
    Newer {
        /// Version found.
        version: u8,
        /// Suite found.
        suite: u8,
    },
    /// Other bytes.
    #[error("this is no part of an envelope")]
    NotAPart,
    /// The signature is not the sender's.
    #[error(
        "the part was not signed like this by {sender}; it was altered, cut off or made by somebody \
         else, so ask the sender to send it again"
    )]
    NotVerified {
        /// Whom the part names as its sender.
        sender: Fingerprint,
    },
    /// The sender's key must not be used.
    #[error("the part's sender is no one: {0}")]
    SenderKey(#[from] KeyError),
    /// A slice of another length than its place has.
    #[error(
        "the part's slice has {found} bytes where it needs {expected}; it was cut off or altered"
    )]
    Slice {
        /// Bytes that a slice at this place has.
        expected: usize,
        /// Bytes found.
        found: usize,
    },
    /// A slice length that must not be.
    #[error("the part's slices have {found} bytes, not {MIN_SLICE_LEN} to {MAX_SLICE_LEN}")]
    SliceLen {
        /// Bytes found.
        found: u16,
    },
    /// Not the one-line form.
    #[error(
        "a part in text is one line, {PART_PREFIX} and base64url without padding; \
         copy all of it and nothing else"
    )]
    Text,
    /// A time beyond the calendar.
    #[error("the part's time is beyond the calendar")]
    Time,
    /// An envelope that fits into one slice, or is longer than [`MAX_SPLIT_LEN`].
    #[error(
        "the part's envelope has {found} bytes, which must be more than one slice and at most \
         {MAX_SPLIT_LEN}"
    )]
    Total {
        /// Bytes found.
        found: u32,
    },
    /// Something else of ctalk's.
    #[error("this is no part of an envelope but {}", kind_name(*found))]
    WrongKind {
        /// The byte that tells the kind.
        found: u8,
    },
}

impl PartError {
    /// The class of the failure.
    #[must_use]
    pub const fn failure(&self) -> Failure {
        match self {
            Self::Expired { .. } | Self::Future { .. } => Failure::Expired,
            Self::Newer { .. } => Failure::Newer,
            Self::NotVerified { .. } | Self::SenderKey(_) => Failure::NotVerified,
            Self::Index { .. }
            | Self::Length { .. }
            | Self::NotAPart
            | Self::Slice { .. }
            | Self::SliceLen { .. }
            | Self::Text
            | Self::Time
            | Self::Total { .. }
            | Self::WrongKind { .. } => Failure::Malformed,
        }
    }
}

/// Parts that do not make one envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WholeError {
    /// Two parts of an envelope, or its parts and itself, differ in what they say of it.
    #[error("the parts of the envelope do not agree on its {fact}; the sender is at fault")]
    Conflict {
        /// In what they differ.
        fact: Fact,
    },
    /// What the parts make is no envelope.
    #[error("what was sent in parts is refused: {0}")]
    NotAnEnvelope(#[from] ParseError),
    /// Longer than [`MAX_SPLIT_LEN`].
    #[error(
        "the envelope has {found} bytes, and at most {MAX_SPLIT_LEN} can be sent in parts; \
         seal it into a file and hand that over another way"
    )]
    TooLong {
        /// Bytes found.
        found: usize,
    },
}

impl WholeError {
    /// The class of the failure.
    #[must_use]
    pub const fn failure(&self) -> Failure {
        match self {
            Self::Conflict { .. } | Self::TooLong { .. } => Failure::Malformed,
            Self::NotAnEnvelope(error) => error.failure(),
        }
    }
}

/// An envelope that cannot be cut into parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SplitError {
    /// Sealed by somebody else.
    #[error("only the sender of an envelope can cut it into parts")]
    Foreign,
    /// It fits into one slice.
    #[error("the envelope is short enough to be sent whole")]
    Short,
    /// A slice length that must not be.
    #[error("slices have {MIN_SLICE_LEN} to {MAX_SLICE_LEN} bytes, not {found}")]
    SliceLen {
        /// Bytes found.
        found: u16,
    },
    /// No envelope, or too long.
    #[error(transparent)]
    Whole(#[from] WholeError),
}
