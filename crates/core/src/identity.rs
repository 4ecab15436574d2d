//! An agent's own keys.

use core::fmt;

use ed25519_dalek::Signer;
use rand_core::CryptoRng;
use x25519_dalek::StaticSecret;
use zeroize::Zeroizing;

use crate::keys::{EncryptionKey, PublicKeys, VerifyingKey};

/// An agent's secret keys with their public halves.
///
/// The secrets live on the heap in one place, are wiped when the identity is dropped, and appear in
/// no output but [`Identity::to_keygen_json`]. The two keys are independent of each other.
pub struct Identity {
    secrets: Box<Secrets>,
    public_keys: PublicKeys,
}

struct Secrets {
    encryption: StaticSecret,
    signing: ed25519_dalek::SigningKey,
}

impl Identity {
    /// Makes a new identity from 64 bytes of `rng`, which must be fit for long-lived keys.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut encryption = Zeroizing::new([0; 32]);
        let mut signing = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *encryption);
        rng.fill_bytes(&mut *signing);
        Self::from_secrets(&encryption, &signing)
    }

    /// An X25519 secret and an Ed25519 seed.
    pub(crate) fn from_secrets(encryption: &[u8; 32], signing: &[u8; 32]) -> Self {
        let secrets = Box::new(Secrets {
            encryption: StaticSecret::from(*encryption),
            signing: ed25519_dalek::SigningKey::from_bytes(signing),
        });
        let public_keys = PublicKeys::new(
            EncryptionKey::of(&secrets.encryption),
            VerifyingKey::of(&secrets.signing),
        );
        Self {
            secrets,
            public_keys,
        }
    }

    /// What others need to write to this identity and to verify what it wrote.
    #[must_use]
    pub const fn public_keys(&self) -> &PublicKeys {
        &self.public_keys
    }

    /// The X25519 secret, as it was made or imported.
    pub(crate) fn encryption_secret(&self) -> &[u8; 32] {
        self.secrets.encryption.as_bytes()
    }

    /// The Ed25519 seed.
    pub(crate) fn signing_seed(&self) -> &[u8; 32] {
        self.secrets.signing.as_bytes()
    }

    /// Ed25519 over exactly `message`.
    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.secrets.signing.sign(message).to_bytes()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            secrets: _,
            public_keys,
        } = self;
        formatter
            .debug_struct("Identity")
            .field("fingerprint", &public_keys.fingerprint())
            .finish_non_exhaustive()
    }
}
