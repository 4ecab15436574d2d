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
    /// Which of the two keys.
    pub key: KeyName,
    /// What is wrong with it.
    pub defect: KeyDefect,
}

/// One of an agent's two public keys, by its name in the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyName {
    /// `publicKey`, the X25519 key.
    PublicKey,
    /// `signingKey`, the Ed25519 key.
    SigningKey,
}

impl fmt::Display for KeyName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::PublicKey => "publicKey",
            Self::SigningKey => "signingKey",
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

/// Whether a little-endian number is below the field's prime 2^255 - 19.
fn is_canonical_coordinate(bytes: &[u8; 32]) -> bool {
    let [low, middle @ .., high] = bytes;
    match high {
        0..0x7f => true,
        0x7f => *low < 0xed || middle.iter().any(|byte| *byte != 0xff),
        _ => false,
    }
}
