//! The classes of failure that every implementation agrees on.

use core::fmt;

/// Why a card or an envelope was refused, as section 8 of `docs/ENVELOPE.md` has it.
///
/// The errors of this crate say more; each has a method `failure` that gives its class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Failure {
    /// Not the format, in its outer form or, after opening, in the inner one.
    Malformed,
    /// A version or suite that this program does not know.
    Newer,
    /// The sender's key or a signature is not accepted.
    NotVerified,
    /// Too old, or from the future.
    Expired,
    /// No key of this identity opens it.
    NotForMe,
    /// Made for this identity but not openable.
    CannotOpen,
}

impl Failure {
    /// The name of the class in the specification and the test vectors.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Newer => "newer",
            Self::NotVerified => "not-verified",
            Self::Expired => "expired",
            Self::NotForMe => "not-for-me",
            Self::CannotOpen => "cannot-open",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
