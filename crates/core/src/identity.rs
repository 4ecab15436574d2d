//! An agent's own keys.

use core::fmt;

use ed25519_dalek::Signer;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use rand_core::CryptoRng;
use sha2::Sha256;
use x25519_dalek::StaticSecret;
use zeroize::Zeroizing;

use crate::{
    keys::{EncryptionKey, PublicKeys, VerifyingKey},
    label,
    xwing::{XWingKey, XWingSecret},
};

/// An agent's secret keys with their public halves.
///
/// The secrets live on the heap, are wiped when the identity is dropped, and appear in no output but
/// [`Identity::to_keygen_json`], which has the two lasting ones. All are independent of each other.
pub struct Identity {
    secrets: Box<Secrets>,
    public_keys: PublicKeys,
}

struct Secrets {
    encryption: StaticSecret,
    signing: ed25519_dalek::SigningKey,
    /// Current and retired ones.
    xwing: Vec<XWingSecret>,
}

impl Identity {
    /// Makes a new identity from 64 bytes of `rng`, which must be fit for long-lived keys. It has no
    /// X-Wing key yet, so it can send envelopes and receive none; see [`Self::with_xwing`].
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
            xwing: Vec::new(),
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

    /// Adds a key that envelopes may be sealed to, current or retired.
    #[must_use]
    pub fn with_xwing(mut self, secret: XWingSecret) -> Self {
        self.secrets.xwing.push(secret);
        self
    }

    /// The public halves of the X-Wing keys, in the order they were added.
    pub fn xwing_keys(&self) -> impl Iterator<Item = &XWingKey> {
        self.secrets.xwing.iter().map(XWingSecret::public_key)
    }

    /// What others need to write to this identity in the ClawTalk format and to verify what it wrote.
    #[must_use]
    pub const fn public_keys(&self) -> &PublicKeys {
        &self.public_keys
    }

    /// A digest of `parts` and of where each ends, which only this identity can make: HMAC-SHA256 with
    /// a key that HKDF-SHA256 (RFC 5869) derives from the Ed25519 seed under a label of its own. It lets
    /// a store recognise what it saw before, without helping whoever finds the store to guess it.
    #[must_use]
    #[allow(
        clippy::expect_used,
        reason = "HKDF refuses only outputs beyond 255 hashes and HMAC no key"
    )]
    pub fn keyed_digest(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut key = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(None, self.signing_seed())
            .expand(label::DIGEST_KEY, &mut *key)
            .expect("32 bytes are one hash");
        let mut mac = Hmac::<Sha256>::new_from_slice(&*key).expect("any length is a key");
        for part in parts {
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            mac.update(&length.to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    /// The X25519 secret, as it was made or imported.
    pub(crate) fn encryption_secret(&self) -> &[u8; 32] {
        self.secrets.encryption.as_bytes()
    }

    /// The Ed25519 seed.
    pub(crate) fn signing_seed(&self) -> &[u8; 32] {
        self.secrets.signing.as_bytes()
    }

    /// The X-Wing keys with their secrets, in the order they were added.
    #[must_use]
    pub fn xwing_secrets(&self) -> &[XWingSecret] {
        &self.secrets.xwing
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

#[cfg(test)]
mod tests {
    use super::Identity;

    #[test]
    fn a_keyed_digest_is_of_its_identity_and_of_the_parts_as_they_are() {
        let (mine, other) = (
            Identity::from_secrets(&[1; 32], &[2; 32]),
            Identity::from_secrets(&[1; 32], &[3; 32]),
        );
        let digest = mine.keyed_digest(&[b"ab", b"c"]);
        // HMAC-SHA256 over the parts, each after its length in eight bytes, computed with Python's hmac.
        assert_eq!(
            hex::encode(digest),
            "c57bdcb2028544e2421ccd8d371b98e98782242bae8fdace091e2a3ce931c3d4"
        );
        assert_eq!(digest, mine.keyed_digest(&[b"ab", b"c"]));
        assert_ne!(digest, mine.keyed_digest(&[b"a", b"bc"]));
        assert_ne!(digest, mine.keyed_digest(&[b"abc"]));
        assert_ne!(digest, other.keyed_digest(&[b"ab", b"c"]));
    }
}
