//! Why a stream was not sealed, opened or read.

use std::io;

use ctalk_core::envelope::{
    Failure, NotVerified, OpenError, ParseError, SealError, TEXT_PREFIX, TextError,
};

use crate::error::Class;

/// A stream that could not be sealed, opened or read to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The reader failed.
    #[error("cannot read the input: {0}")]
    Read(#[source] io::Error),
    /// The writer failed.
    #[error("cannot write the output: {0}")]
    Write(#[source] io::Error),
    /// The system gave no second thread.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] io::Error),
    /// An envelope in text with white space or the marks of a quotation before it.
    #[error(
        "there is white space or `>` before the envelope; it is one line that begins with \
         {TEXT_PREFIX}, so remove everything around it"
    )]
    Surrounded,
    /// Not the one-line form.
    #[error(transparent)]
    Text(#[from] TextError),
    /// Not an envelope.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// The sender did not make it like this.
    #[error(transparent)]
    NotVerified(#[from] NotVerified),
    /// It does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It cannot be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
}

impl StreamError {
    /// The class that callers branch on.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Read(_) => Class::Usage,
            Self::Write(_) | Self::Thread(_) => Class::Unexpected,
            Self::Surrounded => Class::Malformed,
            Self::Text(error) => Class::of(error.failure()),
            Self::Parse(error) => Class::of(error.failure()),
            Self::NotVerified(error) => Class::of(error.failure()),
            Self::Open(error) => Class::of(error.failure()),
            Self::Seal(error) => match error {
                SealError::Card(_) | SealError::Wrap { .. } => Class::NotTrusted,
                SealError::DuplicateRecipient { .. }
                | SealError::Life
                | SealError::NoRecipients
                | SealError::TooManyRecipients => Class::Usage,
                _ => Class::Malformed,
            },
        }
    }

    /// What the user can do about it, where that is known and the text does not say it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Seal(SealError::Card(_)) => {
                Some("its owner prints the current one with `ctalk card`".to_owned())
            }
            Self::Open(OpenError::NotForMe) => {
                Some("`ctalk card` prints it; `--profile` chooses another identity".to_owned())
            }
            _ => None,
        }
    }
}

impl Class {
    /// The class of a refused envelope or card.
    #[must_use]
    pub const fn of(failure: Failure) -> Self {
        match failure {
            Failure::NotVerified => Self::NotVerified,
            Failure::Expired => Self::Refused,
            Failure::NotForMe | Failure::CannotOpen => Self::CannotOpen,
            // Also what a later version of the core may add.
            _ => Self::Malformed,
        }
    }
}
