//! Writing a message.

use rand_core::CryptoRng;
use serde_json::value::RawValue;

use super::{
    box_key::{BoxKeys, NONCE_LEN, TAG_LEN},
    canonical::{Metadata, canonical},
};
use crate::{encoding, identity::Identity, json, keys::EncryptionKey};

/// Most bytes of JSON text in one message.
///
/// With a longer one the box in base64 alone would exceed the 65,536 characters of a relay's
/// request body. Metadata counts too, so the relay can refuse a payload a little below this.
pub const MAX_PAYLOAD_LEN: usize = 65_536 / 4 * 3 - TAG_LEN;

/// The three members of a message that sealing makes, each in padded standard base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The box: Poly1305 tag, then ciphertext.
    pub payload: String,
    /// The box's 24-byte nonce.
    pub nonce: String,
    /// The 64-byte Ed25519 signature of the canonical string.
    pub signature: String,
}

/// Encrypts `payload` to `recipient` under a nonce from `rng` and signs the result with `metadata`.
///
/// The payload is sealed as it stands, byte for byte. `ttl` is not signed: put it beside these
/// members in the request.
///
/// # Errors
///
/// [`SealError`] when no recipient could read the payload; the caller is at fault.
pub fn seal(
    identity: &Identity,
    keys: &mut BoxKeys,
    recipient: &EncryptionKey,
    metadata: &Metadata<'_>,
    payload: &RawValue,
    rng: &mut impl CryptoRng,
) -> Result<Sealed, SealError> {
    let text = payload.get().as_bytes();
    if text.len() > MAX_PAYLOAD_LEN {
        return Err(SealError::TooLong { found: text.len() });
    }
    if !json::has_value(payload) {
        return Err(SealError::NoValue);
    }
    let mut nonce = [0; NONCE_LEN];
    rng.fill_bytes(&mut nonce);
    let mut sealed = Vec::with_capacity(TAG_LEN + text.len());
    sealed.extend_from_slice(&[0; TAG_LEN]);
    sealed.extend_from_slice(text);
    // The cipher fails only where its keystream ends, far beyond this length.
    keys.get(identity, recipient)
        .seal(&nonce, &mut sealed)
        .map_err(|_| SealError::TooLong { found: text.len() })?;

    let (payload, nonce) = (encoding::encode(&sealed), encoding::encode(&nonce));
    let signature = identity.sign(canonical(metadata, &payload, &nonce).as_bytes());
    Ok(Sealed {
        payload,
        nonce,
        signature: encoding::encode(&signature),
    })
}

/// A payload that cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// Longer than [`MAX_PAYLOAD_LEN`].
    #[error(
        "the payload has {found} bytes and a message carries at most {MAX_PAYLOAD_LEN}; split it"
    )]
    TooLong {
        /// Bytes found.
        found: usize,
    },
    /// JSON that strict readers refuse: a lone surrogate escape, a number out of range, or
    /// nesting deeper than 127 levels.
    #[error(
        "the payload has a lone surrogate escape, a number out of range or more than 127 levels of nesting"
    )]
    NoValue,
}
