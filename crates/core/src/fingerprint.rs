//! The digest of an agent's keys that people compare.

use core::{fmt, str::FromStr};

use sha2::{Digest, Sha256};

use crate::{
    keys::{PublicKeys, VerifyingKey},
    label,
};

/// A labelled SHA-256 of an agent's keys, compared whole.
///
/// Shown as 64 lower-case hex digits in groups of four: 79 characters. Read with any grouping.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// SHA-256 of label, signing key and encryption key.
    pub(crate) fn classic(keys: &PublicKeys) -> Self {
        let digest = Sha256::new()
            .chain_update(label::FINGERPRINT_CLASSIC)
            .chain_update(keys.verifying().as_bytes())
            .chain_update(keys.encryption().as_bytes())
            .finalize();
        Self(digest.into())
    }

    /// SHA-256 of label and signing key: the fingerprint of an identity that has a key card, which
    /// stays the same while its other keys are replaced.
    #[must_use]
    pub fn native(signing_key: &VerifyingKey) -> Self {
        let digest = Sha256::new()
            .chain_update(label::FINGERPRINT_NATIVE)
            .chain_update(signing_key.as_bytes())
            .finalize();
        Self(digest.into())
    }

    /// A fingerprint that was stored before.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes of the digest.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// 64 lower-case hex digits without grouping.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (pairs, _) = self.0.as_chunks::<2>();
        for (place, [first, second]) in pairs.iter().enumerate() {
            let separator = if place == 0 { "" } else { " " };
            write!(formatter, "{separator}{first:02x}{second:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Fingerprint({self})")
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    /// Reads 64 hex digits of either case; spaces, colons and dashes between them are skipped.
    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let mut digits = [0; 64];
        let mut found = 0;
        for character in text
            .chars()
            .filter(|character| !matches!(character, ' ' | ':' | '-'))
        {
            if !character.is_ascii_hexdigit() {
                return Err(FingerprintError::NotHex);
            }
            if let (Some(digit), Ok(byte)) = (digits.get_mut(found), u8::try_from(character)) {
                *digit = byte;
            }
            found += 1;
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes)
            .ok()
            .filter(|()| found == digits.len())
            .ok_or(FingerprintError::Length { found })?;
        Ok(Self(bytes))
    }
}

/// A text that is not a fingerprint. Fingerprints are compared whole, so a part of one is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FingerprintError {
    /// A character that is neither a hex digit nor a separator.
    #[error("a fingerprint has only hex digits, spaces, colons and dashes")]
    NotHex,
    /// Too few or too many digits.
    #[error("a fingerprint has 64 hex digits and this has {found}; give all of them")]
    Length {
        /// Hex digits found.
        found: usize,
    },
}
