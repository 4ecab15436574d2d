//! What the two statements about the end of an identity, [`Succession`](crate::Succession) and
//! [`Revocation`](crate::Revocation), have in common. Section 2 of `docs/TRUST.md`.

use core::fmt;

use crate::{
    card::kind_name,
    encoding,
    envelope::Failure,
    fingerprint::Fingerprint,
    identity::Identity,
    keys::{KeyError, VerifyingKey},
    reader::{Reader, Truncated},
    timestamp::Timestamp,
};

const MAGIC: &[u8; 5] = b"ctalk";
const VERSION: u8 = 2;
const SUITE: u8 = 1;
/// Magic, kind, version, suite and time.
const START_LEN: usize = 16;
const KEY_LEN: usize = 32;
const SIGNATURE_LEN: usize = 64;

/// Most bytes of a statement's one-line form that are looked at: more than any has, so that one of a
/// newer version is told as such.
const MAX_STATEMENT_TEXT_LEN: usize = 16 * 1024;

/// Which of the statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatementKind {
    /// A [`Revocation`](crate::Revocation).
    Revocation,
    /// A [`Succession`](crate::Succession).
    Succession,
}

impl StatementKind {
    /// What the one-line form begins with.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Revocation => "ctalk-revocation:",
            Self::Succession => "ctalk-succession:",
        }
    }

    const fn byte(self) -> u8 {
        match self {
            Self::Revocation => b'r',
            Self::Succession => b's',
        }
    }
}

impl fmt::Display for StatementKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Revocation => "revocation",
            Self::Succession => "succession",
        })
    }
}

/// Bytes or a text that are no statement, or a statement that nobody may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatementError {
    /// A key that must not be used.
    #[error("the {kind} is unusable: {error}")]
    Key {
        /// Which statement was read.
        kind: StatementKind,
        /// The key and its defect.
        error: KeyError,
    },
    /// Bytes missing, or bytes after the end.
    #[error("a {kind} has {expected} bytes and this has {found}; copy all of it and nothing else")]
    Length {
        /// Which statement was read.
        kind: StatementKind,
        /// Bytes of such a statement.
        expected: usize,
        /// Bytes found.
        found: usize,
    },
    /// A version or suite that this program does not know.
    #[error("the {kind} has version {version}, suite {suite}; update ctalk to read it")]
    Newer {
        /// Which statement was read.
        kind: StatementKind,
        /// Version found.
        version: u8,
        /// Suite found.
        suite: u8,
    },
    /// Other bytes.
    #[error("this is no {kind}")]
    NotAStatement {
        /// Which statement was read.
        kind: StatementKind,
    },
    /// A signature is not that of the key it should be of.
    #[error("the {kind} was not signed by {claimed}; ask for it again")]
    NotVerified {
        /// Which statement was read.
        kind: StatementKind,
        /// Whose signature it claims to be.
        claimed: Fingerprint,
    },
    /// An identity as its own successor.
    #[error("{identity} cannot succeed itself; the new identity must be another one")]
    SameIdentity {
        /// Old and new identity.
        identity: Fingerprint,
    },
    /// Not the one-line form.
    #[error(
        "a {kind} in text is one line, {} and base64url without padding; \
         copy all of it and nothing else",
        kind.prefix()
    )]
    Text {
        /// Which statement was read.
        kind: StatementKind,
    },
    /// A time beyond the calendar.
    #[error("the {kind}'s time is beyond the calendar")]
    Time {
        /// Which statement was read.
        kind: StatementKind,
    },
    /// Something else of ctalk's.
    #[error("this is no {kind} but {}", kind_name(*found))]
    WrongKind {
        /// Which statement was read.
        kind: StatementKind,
        /// The byte that tells the kind.
        found: u8,
    },
}

impl StatementError {
    /// The class of the failure.
    #[must_use]
    pub const fn failure(&self) -> Failure {
        match self {
            Self::Newer { .. } => Failure::Newer,
            Self::NotVerified { .. } => Failure::NotVerified,
            Self::Key { .. }
            | Self::Length { .. }
            | Self::NotAStatement { .. }
            | Self::SameIdentity { .. }
            | Self::Text { .. }
            | Self::Time { .. }
            | Self::WrongKind { .. } => Failure::Malformed,
        }
    }
}

/// Makes a statement: its beginning, the signers' keys, and the signature of each over all of that
/// under its own label.
pub(crate) fn sign(
    kind: StatementKind,
    created: Timestamp,
    signers: &[(&[u8], &Identity)],
) -> Box<[u8]> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&[kind.byte(), VERSION, SUITE]);
    bytes.extend_from_slice(&created.as_millis().to_be_bytes());
    for (_, signer) in signers {
        bytes.extend_from_slice(signer.public_keys().verifying().as_bytes());
    }
    let signatures: Vec<_> = signers
        .iter()
        .map(|(label, signer)| signer.sign(&[*label, &bytes].concat()))
        .collect();
    bytes.extend_from_slice(&signatures.concat());
    bytes.into()
}

/// A statement that is being read: first all keys, then as many signatures.
pub(crate) struct Unread<'b> {
    kind: StatementKind,
    created: Timestamp,
    /// What the signatures cover.
    signed: &'b [u8],
    reader: Reader<'b>,
    wrong_length: StatementError,
}

impl<'b> Unread<'b> {
    /// Reads what precedes the keys, of which there are `keys`.
    pub(crate) fn new(
        kind: StatementKind,
        keys: usize,
        bytes: &'b [u8],
    ) -> Result<Self, StatementError> {
        let signed_len = START_LEN + keys * KEY_LEN;
        let expected = signed_len + keys * SIGNATURE_LEN;
        let wrong_length = StatementError::Length {
            kind,
            expected,
            found: bytes.len(),
        };
        let truncated = |Truncated| wrong_length;
        let mut reader = Reader::new(bytes);
        if reader.array().map_err(truncated)? != MAGIC {
            return Err(StatementError::NotAStatement { kind });
        }
        let [found, version, suite] = *reader.array().map_err(truncated)?;
        if found != kind.byte() {
            return Err(StatementError::WrongKind { kind, found });
        }
        if version != VERSION || suite != SUITE {
            return Err(StatementError::Newer {
                kind,
                version,
                suite,
            });
        }
        if bytes.len() != expected {
            return Err(wrong_length);
        }
        let created = Timestamp::from_millis(reader.u64().map_err(truncated)?)
            .ok_or(StatementError::Time { kind })?;
        let signed = bytes.get(..signed_len).ok_or(wrong_length)?;
        Ok(Self {
            kind,
            created,
            signed,
            reader,
            wrong_length,
        })
    }

    pub(crate) const fn created(&self) -> Timestamp {
        self.created
    }

    /// The next key.
    pub(crate) fn key(&mut self) -> Result<VerifyingKey, StatementError> {
        let bytes = self.reader.array().map_err(|Truncated| self.wrong_length)?;
        VerifyingKey::from_bytes(*bytes).map_err(|error| StatementError::Key {
            kind: self.kind,
            error,
        })
    }

    /// Checks that the next signature is that of `key`.
    pub(crate) fn check_signature(
        &mut self,
        label: &[u8],
        key: &VerifyingKey,
    ) -> Result<(), StatementError> {
        let signature = self.reader.array().map_err(|Truncated| self.wrong_length)?;
        if key.verifies(&[label, self.signed].concat(), signature) {
            Ok(())
        } else {
            Err(StatementError::NotVerified {
                kind: self.kind,
                claimed: Fingerprint::native(key),
            })
        }
    }
}

/// Writes the one-line form, without a line end.
pub(crate) fn to_text(kind: StatementKind, bytes: &[u8]) -> String {
    encoding::encode_line(kind.prefix(), bytes)
}

/// Reads what [`to_text`] writes and nothing around it.
pub(crate) fn from_text(kind: StatementKind, text: &str) -> Result<Vec<u8>, StatementError> {
    if text.len() > MAX_STATEMENT_TEXT_LEN {
        return Err(StatementError::Text { kind });
    }
    encoding::decode_line(kind.prefix(), text).map_err(|_| StatementError::Text { kind })
}
