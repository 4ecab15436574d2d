//! The symmetric key between two X25519 keys, and a cache of them.

use core::{fmt, hint};
use std::collections::BTreeMap;

use crypto_box::{SalsaBox, SecretKey, aead::AeadInPlace};

use crate::{identity::Identity, keys::EncryptionKey};

/// Bytes of a box's nonce.
pub(crate) const NONCE_LEN: usize = 24;

/// Bytes that a box is longer than what is in it: its Poly1305 tag, which stands first.
pub(crate) const TAG_LEN: usize = 16;

/// Most keys that [`BoxKeys`] holds.
pub const MAX_BOX_KEYS: usize = 1024;

/// The NaCl box key between an identity and a peer: X25519, then HSalsa20.
///
/// Both sides compute the same key, so a box proves only that one of the two made it. The key is
/// wiped when dropped.
pub struct BoxKey(Box<SalsaBox>);

impl BoxKey {
    /// Computes the key, which takes a scalar multiplication; [`BoxKeys`] spares repeating it.
    #[must_use]
    pub fn new(identity: &Identity, peer: &EncryptionKey) -> Self {
        let mut secret = SecretKey::from_bytes(*identity.encryption_secret());
        let key = Box::new(SalsaBox::new(&(*peer.as_bytes()).into(), &secret));
        // `SecretKey` wipes its scalar when dropped but not the bytes it was made from.
        secret = SecretKey::from_bytes([0; 32]);
        hint::black_box(&secret);
        Self(key)
    }

    /// Encrypts what follows the first [`TAG_LEN`] bytes of `sealed` and puts the tag into them.
    pub(crate) fn seal(&self, nonce: &[u8; NONCE_LEN], sealed: &mut [u8]) -> Result<(), BoxError> {
        let (tag, text) = sealed.split_first_chunk_mut::<TAG_LEN>().ok_or(BoxError)?;
        *tag = self
            .0
            .encrypt_in_place_detached(nonce.into(), &[], text)
            .map_err(|_| BoxError)?
            .into();
        Ok(())
    }

    /// Checks the tag and decrypts in place. The plaintext is what follows the first [`TAG_LEN`]
    /// bytes; nothing is decrypted when the tag is wrong.
    pub(crate) fn open(&self, nonce: &[u8; NONCE_LEN], sealed: &mut [u8]) -> Result<(), BoxError> {
        let (tag, text) = sealed.split_first_chunk_mut::<TAG_LEN>().ok_or(BoxError)?;
        self.0
            .decrypt_in_place_detached(nonce.into(), &[], text, (&*tag).into())
            .map_err(|_| BoxError)
    }
}

impl fmt::Debug for BoxKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        formatter.debug_tuple("BoxKey").finish_non_exhaustive()
    }
}

/// A box that this key did not make, or that is too short to be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BoxError;

/// The box keys in use, at most [`MAX_BOX_KEYS`].
///
/// When full it starts afresh, which costs each peer one scalar multiplication.
#[derive(Default)]
pub struct BoxKeys {
    /// By our own and the peer's X25519 public key.
    keys: BTreeMap<([u8; 32], [u8; 32]), BoxKey>,
}

impl BoxKeys {
    /// The key between `identity` and `peer`, computed at the first call.
    pub fn get(&mut self, identity: &Identity, peer: &EncryptionKey) -> &BoxKey {
        let own = identity.public_keys().encryption();
        let pair = (*own.as_bytes(), *peer.as_bytes());
        if self.keys.len() >= MAX_BOX_KEYS && !self.keys.contains_key(&pair) {
            self.keys.clear();
        }
        self.keys
            .entry(pair)
            .or_insert_with(|| BoxKey::new(identity, peer))
    }
}

impl fmt::Debug for BoxKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { keys } = self;
        formatter
            .debug_struct("BoxKeys")
            .field("count", &keys.len())
            .finish()
    }
}
