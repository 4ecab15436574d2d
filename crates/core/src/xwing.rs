//! The rotating key that envelopes are sealed to: X-Wing, which is X25519 and ML-KEM-768 in one.

use core::{fmt, hash};

use hpke::{Deserializable, Serializable, kem::XWing};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::keys::{self, KeyDefect, KeyError, KeyName};

/// Bytes of an X-Wing public key: 1,184 of ML-KEM-768, then 32 of X25519.
pub const XWING_KEY_LEN: usize = 1216;

/// Bytes of the seed that an X-Wing secret is.
pub const XWING_SEED_LEN: usize = 32;

type PublicKey = <XWing as hpke::Kem>::PublicKey;
type PrivateKey = <XWing as hpke::Kem>::PrivateKey;

/// An X-Wing public key with canonical coefficients and an X25519 part that is canonical and not of
/// small order.
#[derive(Clone)]
pub struct XWingKey {
    bytes: Box<[u8; XWING_KEY_LEN]>,
    key: Box<PublicKey>,
}

impl XWingKey {
    /// Checks 1,216 bytes: the modulus check of FIPS 203 section 7.2 and the X25519 part.
    ///
    /// # Errors
    ///
    /// [`KeyDefect::NotCanonical`] or [`KeyDefect::WrongGroup`].
    pub fn from_bytes(bytes: &[u8; XWING_KEY_LEN]) -> Result<Self, KeyError> {
        let refuse = |defect| KeyError {
            key: KeyName::XWingKey,
            defect,
        };
        // The X25519 part is the last 32 bytes; the crate takes any there.
        if let Some(x25519) = bytes.last_chunk() {
            keys::check_x25519(x25519).map_err(refuse)?;
        }
        Self::from_stored(bytes)
    }

    /// Takes back a key that was checked before.
    pub(crate) fn from_stored(bytes: &[u8; XWING_KEY_LEN]) -> Result<Self, KeyError> {
        let key = PublicKey::from_bytes(bytes).map_err(|_| KeyError {
            key: KeyName::XWingKey,
            defect: KeyDefect::NotCanonical,
        })?;
        Ok(Self {
            bytes: Box::new(*bytes),
            key: Box::new(key),
        })
    }

    /// ML-KEM-768's encapsulation key, then X25519's coordinate.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; XWING_KEY_LEN] {
        &self.bytes
    }

    /// The key as HPKE takes it.
    pub(crate) const fn public_key(&self) -> &PublicKey {
        &self.key
    }
}

impl PartialEq for XWingKey {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for XWingKey {}

impl hash::Hash for XWingKey {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.bytes.hash(state);
    }
}

impl fmt::Debug for XWingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes, key: _ } = self;
        let start = bytes.first_chunk::<8>().map(hex::encode);
        formatter
            .debug_tuple("XWingKey")
            .field(&start.unwrap_or_default())
            .finish_non_exhaustive()
    }
}

/// An X-Wing secret with its public half. Wiped when dropped.
pub struct XWingSecret {
    secret: Box<PrivateKey>,
    public: XWingKey,
}

impl XWingSecret {
    /// Makes a new secret from 32 bytes of `rng`.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut seed = Zeroizing::new([0; XWING_SEED_LEN]);
        rng.fill_bytes(&mut *seed);
        Self::from_seed(&seed)
    }

    /// A secret that was stored before.
    #[must_use]
    #[allow(
        clippy::expect_used,
        reason = "the crate refuses nothing but other lengths, and the type has this one"
    )]
    pub fn from_seed(seed: &[u8; XWING_SEED_LEN]) -> Self {
        let secret = Box::new(PrivateKey::from_bytes(seed).expect("a seed has 32 bytes"));
        let key = Box::new(<XWing as hpke::Kem>::sk_to_pk(&secret));
        let mut bytes = Box::new([0; XWING_KEY_LEN]);
        key.write_exact(&mut *bytes);
        Self {
            secret,
            public: XWingKey { bytes, key },
        }
    }

    /// The secret's 32 bytes, for storing.
    #[must_use]
    pub fn seed(&self) -> Zeroizing<[u8; XWING_SEED_LEN]> {
        let mut seed = Zeroizing::new([0; XWING_SEED_LEN]);
        self.secret.write_exact(&mut *seed);
        seed
    }

    /// The public half, which a key card carries.
    #[must_use]
    pub const fn public_key(&self) -> &XWingKey {
        &self.public
    }

    /// The key as HPKE takes it.
    pub(crate) const fn private_key(&self) -> &PrivateKey {
        &self.secret
    }
}

impl fmt::Debug for XWingSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { secret: _, public } = self;
        formatter
            .debug_struct("XWingSecret")
            .field("public", public)
            .finish_non_exhaustive()
    }
}
