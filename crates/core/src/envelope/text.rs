//! The one-line form, which passes through everything that carries text.

use super::failure::Failure;
use crate::encoding::{self, LineError};

/// What the one-line form begins with.
pub const TEXT_PREFIX: &str = "ctalk2:";

/// Writes [`TEXT_PREFIX`] and `envelope` in base64url without padding, without a line end.
#[must_use]
pub fn to_text(envelope: &[u8]) -> String {
    encoding::encode_line(TEXT_PREFIX, envelope)
}

/// Reads what [`to_text`] writes and nothing around it. The caller has bounded the text; the bytes
/// need not be an envelope.
///
/// # Errors
///
/// [`TextError`].
pub fn from_text(text: &str) -> Result<Vec<u8>, TextError> {
    encoding::decode_line(TEXT_PREFIX, text).map_err(|error| match error {
        LineError::Prefix => TextError::Prefix,
        LineError::Alphabet => TextError::Alphabet,
    })
}

/// A text that is not the one-line form of an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// Characters outside the URL-safe base64 alphabet, padding, or unused bits that are not zero.
    #[error("the envelope's text is damaged; copy all of the line and nothing else")]
    Alphabet,
    /// Another beginning.
    #[error("an envelope in text begins with {TEXT_PREFIX}, and this does not")]
    Prefix,
}

impl TextError {
    /// The class of the failure.
    #[must_use]
    pub const fn failure(&self) -> Failure {
        match self {
            Self::Alphabet | Self::Prefix => Failure::Malformed,
        }
    }
}
