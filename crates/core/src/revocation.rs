//! Revocations: by them an identity ends without a successor. Section 2 of `docs/TRUST.md`.

use core::fmt;

use crate::{
    Identity, StatementError, StatementKind, Timestamp, VerifyingKey,
    fingerprint::Fingerprint,
    label,
    statement::{self, Unread},
};

const KIND: StatementKind = StatementKind::Revocation;

/// An identity's word that nothing it signs counts any more. Only a verified one is a value.
///
/// Final, whatever time it says: [`trust::revocation`](crate::trust::revocation).
#[derive(Clone)]
pub struct Revocation {
    bytes: Box<[u8]>,
    created: Timestamp,
    identity: VerifyingKey,
}

impl Revocation {
    /// Ends `identity`. There is no way back once somebody else has read it.
    #[must_use]
    pub fn sign(identity: &Identity, now: Timestamp) -> Self {
        Self {
            bytes: statement::sign(KIND, now, &[(label::REVOCATION, identity)]),
            created: now,
            identity: *identity.public_keys().verifying(),
        }
    }

    /// Reads a revocation and checks its signature.
    ///
    /// # Errors
    ///
    /// The first rule of the specification that the bytes break.
    pub fn parse(bytes: &[u8]) -> Result<Self, StatementError> {
        let mut unread = Unread::new(KIND, 1, bytes)?;
        let identity = unread.key()?;
        unread.check_signature(label::REVOCATION, &identity)?;
        Ok(Self {
            bytes: bytes.into(),
            created: unread.created(),
            identity,
        })
    }

    /// Reads the one-line form: `ctalk-revocation:` and base64url without padding, nothing around it.
    ///
    /// # Errors
    ///
    /// [`StatementError::Text`], and those of [`Self::parse`].
    pub fn from_text(text: &str) -> Result<Self, StatementError> {
        Self::parse(&statement::from_text(KIND, text)?)
    }

    /// Writes the one-line form, without a line end.
    #[must_use]
    pub fn to_text(&self) -> String {
        statement::to_text(KIND, &self.bytes)
    }

    /// The statement as it was signed: 112 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// When it was signed, as the identity says.
    #[must_use]
    pub const fn created(&self) -> Timestamp {
        self.created
    }

    /// The identity that ends.
    #[must_use]
    pub const fn identity(&self) -> &VerifyingKey {
        &self.identity
    }
}

impl PartialEq for Revocation {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Revocation {}

impl fmt::Debug for Revocation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Revocation")
            .field("identity", &Fingerprint::native(&self.identity))
            .field("created", &self.created)
            .finish_non_exhaustive()
    }
}
