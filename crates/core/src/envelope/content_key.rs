//! The secret that an envelope has for all its recipients, and what is derived from it.

use hkdf::Hkdf;
use rand_core::CryptoRng;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{header::EnvelopeId, segment::BodyCipher};
use crate::label;

/// 32 random bytes, on the heap in one place and wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct ContentKey(Box<[u8; 32]>);

impl ContentKey {
    pub(super) fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut key = Self(Box::new([0; 32]));
        rng.fill_bytes(&mut *key.0);
        key
    }

    /// Takes what a wrap held, without leaving a copy.
    pub(super) fn from_vec(bytes: Vec<u8>) -> Option<Self> {
        match Box::<[u8; 32]>::try_from(bytes) {
            Ok(bytes) => Some(Self(bytes)),
            Err(mut bytes) => {
                bytes.zeroize();
                None
            }
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// `HKDF(K, id, L_COMMITMENT)`: no other key has the same one.
    pub(super) fn commitment(&self, id: &EnvelopeId) -> [u8; 32] {
        let mut commitment = [0; 32];
        self.derive(id.as_bytes(), label::COMMITMENT, &mut commitment);
        commitment
    }

    /// Whether the commitment is to this key, in constant time.
    pub(super) fn is_committed(&self, id: &EnvelopeId, commitment: &[u8; 32]) -> bool {
        self.commitment(id).ct_eq(commitment).into()
    }

    /// `HKDF(K, SHA-256(header), L_BODY)` as the cipher of the body.
    pub(super) fn into_body_cipher(self, header_digest: &[u8; 32]) -> BodyCipher {
        let mut key = Zeroizing::new([0; 32]);
        self.derive(header_digest, label::BODY, &mut key);
        BodyCipher::new(&key)
    }

    #[allow(
        clippy::expect_used,
        reason = "HKDF refuses only outputs beyond 255 hashes, and this is one"
    )]
    fn derive(&self, salt: &[u8], label: &[u8], output: &mut [u8; 32]) {
        Hkdf::<Sha256>::new(Some(salt), &*self.0)
            .expand(label, output)
            .expect("32 bytes are one hash");
    }
}
