//! Public keys: what a contact publishes and what is pinned.

use core::{
    fmt,
    hash::{Hash, Hasher},
};

use curve25519_dalek::MontgomeryPoint;

use crate::{
    encoding::{self, Base64Error},
    fingerprint::Fingerprint,
};

/// An X25519 public key, ClawTalk's `publicKey`.
///
/// X25519 treats many encodings as the same key: the unused top bit, coordinates above the field's
/// prime, and points that differ by one of small order. Only the one encoding that key generation
/// produces is accepted, a canonical point of the prime-order subgroup. So two keys that open the
/// same box are equal here, and a key of small order is none.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct EncryptionKey([u8; 32]);

impl EncryptionKey {
    /// Checks 32 bytes, the little-endian u-coordinate of RFC 7748.
    ///
    /// # Errors
    ///
    /// [`KeyDefect::NotCanonical`] or [`KeyDefect::WrongGroup`].
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, KeyError> {
        let refuse = |defect| KeyError {
            key: KeyName::PublicKey,
            defect,
        };
        if !is_canonical_coordinate(&bytes) {
            return Err(refuse(KeyDefect::NotCanonical));
        }
        // Either sign of the point serves: both lie in the same subgroup.
        match MontgomeryPoint(bytes).to_edwards(0) {
            Some(point) if point.is_torsion_free() => Ok(Self(bytes)),
            _ => Err(refuse(KeyDefect::WrongGroup)),
        }
    }

    /// Takes 32 bytes that were [`as_bytes`](Self::as_bytes) of a key before, from a place that
    /// only this program writes. Spares the check of the group, which takes some 45 microseconds.
    #[must_use]
    pub const fn from_stored(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads 44 characters of padded standard base64.
    ///
    /// # Errors
    ///
    /// Those of [`Self::from_bytes`], [`KeyDefect::Length`] and [`KeyDefect::NotBase64`].
    pub fn from_base64(text: &str) -> Result<Self, KeyError> {
        Self::from_bytes(decode(text, KeyName::PublicKey)?)
    }

    /// The public half of a secret key, which needs no check.
    pub(crate) fn of(secret: &x25519_dalek::StaticSecret) -> Self {
        Self(x25519_dalek::PublicKey::from(secret).to_bytes())
    }

    /// The 32 bytes of RFC 7748.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// 44 characters of padded standard base64.
    #[must_use]
    pub fn to_base64(&self) -> String {
        encoding::encode(self.as_bytes())
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("EncryptionKey")
            .field(&self.to_base64())
            .finish()
    }
}

/// An Ed25519 public key, ClawTalk's `signingKey`: canonical and not of small order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct VerifyingKey(ed25519_dalek::VerifyingKey);

impl VerifyingKey {
    /// Checks 32 bytes, the compressed point of RFC 8032.
    ///
    /// # Errors
    ///
    /// [`KeyDefect::NotCanonical`], [`KeyDefect::WrongGroup`] for bytes that are no point, or
    /// [`KeyDefect::Weak`].
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, KeyError> {
        let refuse = |defect| KeyError {
            key: KeyName::SigningKey,
            defect,
        };
        let key = ed25519_dalek::VerifyingKey::from_bytes(&bytes)
            .map_err(|_| refuse(KeyDefect::WrongGroup))?;
        if key.to_edwards().compress().to_bytes() != bytes {
            return Err(refuse(KeyDefect::NotCanonical));
        }
        if key.is_weak() {
            return Err(refuse(KeyDefect::Weak));
        }
        Ok(Self(key))
    }

    /// Reads 44 characters of padded standard base64.
    ///
    /// # Errors
    ///
    /// Those of [`Self::from_bytes`], [`KeyDefect::Length`] and [`KeyDefect::NotBase64`].
    pub fn from_base64(text: &str) -> Result<Self, KeyError> {
        Self::from_bytes(decode(text, KeyName::SigningKey)?)
    }

    /// The public half of a secret key, which needs no check.
    pub(crate) fn of(secret: &ed25519_dalek::SigningKey) -> Self {
        Self(secret.verifying_key())
    }

    /// Whether this key made `signature` over exactly `message`. Canonical, without cofactor, and
    /// no small-order points.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        self.0.verify_strict(message, &signature).is_ok()
    }

    /// The 32 bytes of RFC 8032.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// 44 characters of padded standard base64.
    #[must_use]
    pub fn to_base64(&self) -> String {
        encoding::encode(self.as_bytes())
    }
}

impl Hash for VerifyingKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("VerifyingKey")
            .field(&self.to_base64())
            .finish()
    }
}

/// Both public keys of an agent that speaks the ClawTalk format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PublicKeys {
    encryption: EncryptionKey,
    verifying: VerifyingKey,
}

impl PublicKeys {
    /// Joins two keys that were published together.
    #[must_use]
    pub const fn new(encryption: EncryptionKey, verifying: VerifyingKey) -> Self {
        Self {
            encryption,
            verifying,
        }
    }

    /// Reads the `publicKey` and `signingKey` of a directory entry.
    ///
    /// # Errors
    ///
    /// The first of the two keys that is not acceptable, and why.
    pub fn from_base64(public_key: &str, signing_key: &str) -> Result<Self, KeyError> {
        Ok(Self::new(
            EncryptionKey::from_base64(public_key)?,
            VerifyingKey::from_base64(signing_key)?,
        ))
    }

    /// The key that boxes are sealed to.
    #[must_use]
    pub const fn encryption(&self) -> &EncryptionKey {
        &self.encryption
    }

    /// The key that signatures are checked with.
    #[must_use]
    pub const fn verifying(&self) -> &VerifyingKey {
        &self.verifying
    }

    /// One digest of both keys, for people to compare.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::classic(self)
    }
}

/// A public key that must not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} {defect}; ask the key's owner to publish it again")]
pub struct KeyError {
    /// Which of the keys.
    pub key: KeyName,
    /// What is wrong with it.
    pub defect: KeyDefect,
}

/// One of an agent's public keys; the first two by their names in the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyName {
    /// `publicKey`, the X25519 key.
    PublicKey,
    /// `signingKey`, the Ed25519 key.
    SigningKey,
    /// The X-Wing key of a key card.
    XWingKey,
}

impl fmt::Display for KeyName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::PublicKey => "publicKey",
            Self::SigningKey => "signingKey",
            Self::XWingKey => "X-Wing key",
        })
    }
}

/// What is wrong with a public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyDefect {
    /// The text is too short or too long.
    #[error("has {found} bytes of base64 where 44 are needed")]
    Length {
        /// Bytes of base64 text found.
        found: usize,
    },
    /// The text is not padded standard base64.
    #[error("is not padded standard base64")]
    NotBase64,
    /// Another encoding of a key than the one that key generation produces.
    #[error("is not in its one canonical encoding")]
    NotCanonical,
    /// Not a point of the group the key must lie in; X25519 keys of small order included.
    #[error("is not a point of the right group")]
    WrongGroup,
    /// An Ed25519 key of small order, under which almost any signature passes.
    #[error("is a weak key")]
    Weak,
}

fn decode(text: &str, key: KeyName) -> Result<[u8; 32], KeyError> {
    let mut bytes = [0; 32];
    encoding::decode_into(text, &mut bytes)
        .map(|()| bytes)
        .map_err(|error| KeyError {
            key,
            defect: match error {
                Base64Error::Length { expected: _, found } => KeyDefect::Length { found },
                Base64Error::Alphabet => KeyDefect::NotBase64,
            },
        })
}

/// The coordinates of the points of small order on curve25519 and its twist, canonical and
/// little-endian. X25519 with any of them gives zero, whatever the other key is.
const SMALL_ORDER: [[u8; 32]; 5] = [
    [0; 32],
    *b"\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    *b"\xec\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\
       \xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
    *b"\xe0\xeb\x7a\x7c\x3b\x41\xb8\xae\x16\x56\xe3\xfa\xf1\x9f\xc4\x6a\
       \xda\x09\x8d\xeb\x9c\x32\xb1\xfd\x86\x62\x05\x16\x5f\x49\xb8\x00",
    *b"\x5f\x9c\x95\xbc\xa3\x50\x8c\x24\xb1\xd0\xb1\x55\x9c\x83\xef\x5b\
       \x04\x44\x5c\xc4\x58\x1c\x8e\x86\xd8\x22\x4e\xdd\xd0\x9f\x11\x57",
];

/// Checks the X25519 part of an X-Wing key or encapsulation: canonical and not of small order.
pub(crate) fn check_x25519(bytes: &[u8; 32]) -> Result<(), KeyDefect> {
    if !is_canonical_coordinate(bytes) {
        return Err(KeyDefect::NotCanonical);
    }
    if SMALL_ORDER.contains(bytes) {
        return Err(KeyDefect::WrongGroup);
    }
    Ok(())
}

/// Whether a little-endian number is below the field's prime 2^255 - 19.
fn is_canonical_coordinate(bytes: &[u8; 32]) -> bool {
    let [low, middle @ .., high] = bytes;
    match high {
        0..0x7f => true,
        0x7f => *low < 0xed || middle.iter().any(|byte| *byte != 0xff),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_coordinate_of_small_order_is_refused_because_x25519_gives_zero() {
        let secret = x25519_dalek::StaticSecret::from([7; 32]);
        for bytes in SMALL_ORDER {
            let shared = secret.diffie_hellman(&x25519_dalek::PublicKey::from(bytes));
            assert!(!shared.was_contributory(), "{bytes:?}");
            assert_eq!(
                check_x25519(&bytes),
                Err(KeyDefect::WrongGroup),
                "{bytes:?}"
            );
        }
        for (place, bytes) in SMALL_ORDER.iter().enumerate() {
            assert!(is_canonical_coordinate(bytes));
            assert!(!SMALL_ORDER[..place].contains(bytes));
        }
    }

    #[test]
    fn coordinates_on_the_twist_are_accepted_as_x25519_values() {
        let mut bytes = [0; 32];
        bytes[0] = 2;
        assert_eq!(check_x25519(&bytes), Ok(()));
    }

    #[test]
    fn a_coordinate_from_the_prime_upwards_is_not_canonical() {
        for low in 0xed..=0xff {
            let mut bytes = [0xff; 32];
            bytes[0] = low;
            bytes[31] = 0x7f;
            assert_eq!(check_x25519(&bytes), Err(KeyDefect::NotCanonical));
        }
        let mut bytes = [2; 32];
        bytes[31] = 0x80;
        assert_eq!(check_x25519(&bytes), Err(KeyDefect::NotCanonical));
    }
}
