//! Successions: by them an identity hands over to another one. Section 2 of `docs/TRUST.md`.

use core::fmt;

use crate::{
    Identity, StatementError, StatementKind, Timestamp, VerifyingKey,
    fingerprint::Fingerprint,
    label,
    statement::{self, Unread},
};

const KIND: StatementKind = StatementKind::Succession;

/// An old identity's word that a new one takes its place, signed by both. Only a verified one is a
/// value.
///
/// It says nothing about the new identity's other keys; its card does. What the word counts for is
/// decided by [`trust::succession`](crate::trust::succession).
#[derive(Clone)]
pub struct Succession {
    bytes: Box<[u8]>,
    created: Timestamp,
    old: VerifyingKey,
    new: VerifyingKey,
}

impl Succession {
    /// States that `new` succeeds `old`.
    ///
    /// # Errors
    ///
    /// [`StatementError::SameIdentity`].
    pub fn sign(old: &Identity, new: &Identity, now: Timestamp) -> Result<Self, StatementError> {
        let signers = [(label::SUCCESSION_OLD, old), (label::SUCCESSION_NEW, new)];
        let (old, new) = (old.public_keys().verifying(), new.public_keys().verifying());
        check_different(old, new)?;
        Ok(Self {
            bytes: statement::sign(KIND, now, &signers),
            created: now,
            old: *old,
            new: *new,
        })
    }

    /// Reads a succession and checks both signatures.
    ///
    /// # Errors
    ///
    /// The first rule of the specification that the bytes break.
    pub fn parse(bytes: &[u8]) -> Result<Self, StatementError> {
        let mut unread = Unread::new(KIND, 2, bytes)?;
        let old = unread.key()?;
        let new = unread.key()?;
        check_different(&old, &new)?;
        unread.check_signature(label::SUCCESSION_OLD, &old)?;
        unread.check_signature(label::SUCCESSION_NEW, &new)?;
        Ok(Self {
            bytes: bytes.into(),
            created: unread.created(),
            old,
            new,
        })
    }

    /// Reads the one-line form: `ctalk-succession:` and base64url without padding, nothing around it.
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

    /// The statement as it was signed: 208 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// When it was signed, as both identities say.
    #[must_use]
    pub const fn created(&self) -> Timestamp {
        self.created
    }

    /// The identity that ends.
    #[must_use]
    pub const fn predecessor(&self) -> &VerifyingKey {
        &self.old
    }

    /// The identity that takes its place.
    #[must_use]
    pub const fn successor(&self) -> &VerifyingKey {
        &self.new
    }
}

fn check_different(old: &VerifyingKey, new: &VerifyingKey) -> Result<(), StatementError> {
    if old == new {
        return Err(StatementError::SameIdentity {
            identity: Fingerprint::native(old),
        });
    }
    Ok(())
}

impl PartialEq for Succession {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Succession {}

impl fmt::Debug for Succession {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Succession")
            .field("old", &Fingerprint::native(&self.old))
            .field("new", &Fingerprint::native(&self.new))
            .field("created", &self.created)
            .finish_non_exhaustive()
    }
}
