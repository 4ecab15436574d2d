//! The content key sealed to one recipient: HPKE (RFC 9180) base mode with X-Wing, HKDF-SHA256 and
//! ChaCha20-Poly1305.

use hpke::{
    Deserializable, OpModeR, OpModeS, Serializable, aead::ChaCha20Poly1305, kdf::HkdfSha256,
    kem::XWing,
};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};

use super::content_key::ContentKey;
use crate::{
    keys::{self, VerifyingKey},
    label,
    xwing::{XWingKey, XWingSecret},
};

const ENCAPSULATION_LEN: usize = 1120;

/// Bytes of a wrap: encapsulation, then sealed content key and tag.
pub(crate) const WRAP_LEN: usize = ENCAPSULATION_LEN + 32 + 16;

/// An encapsulation and the content key sealed under it.
pub(super) type Wrap = [u8; WRAP_LEN];

/// What binds a wrap to everything before it in the header and to its recipient's identity.
pub(super) struct WrapInfo([u8; 32]);

impl WrapInfo {
    pub(super) fn new(prefix: &[u8]) -> Self {
        Self(Sha256::digest(prefix).into())
    }

    /// HPKE's `info`.
    fn of(&self, recipient: &VerifyingKey) -> Vec<u8> {
        [label::WRAP, &self.0, recipient.as_bytes()].concat()
    }
}

/// Appends a wrap of `key` for a recipient.
pub(super) fn wrap(
    key: &ContentKey,
    info: &WrapInfo,
    recipient: &VerifyingKey,
    xwing: &XWingKey,
    rng: &mut impl CryptoRng,
    wraps: &mut Vec<u8>,
) -> Result<(), hpke::HpkeError> {
    let (encapsulation, mut context) =
        hpke::setup_sender_with_rng::<ChaCha20Poly1305, HkdfSha256, XWing>(
            &OpModeS::Base,
            xwing.public_key(),
            &info.of(recipient),
            rng,
        )?;
    let sealed = context.seal(key.as_bytes(), b"")?;
    wraps.extend_from_slice(&encapsulation.to_bytes());
    wraps.extend_from_slice(&sealed);
    Ok(())
}

/// Opens the wrap that is for `recipient`, or says that it is not openable. A wrong one is final,
/// so there is one answer for all that can be wrong.
pub(super) fn unwrap(
    wrap: &Wrap,
    info: &WrapInfo,
    recipient: &VerifyingKey,
    xwing: &XWingSecret,
) -> Option<ContentKey> {
    let (encapsulation, sealed) = wrap.split_at_checked(ENCAPSULATION_LEN)?;
    keys::check_x25519(encapsulation.last_chunk()?).ok()?;
    let encapsulation = <XWing as hpke::Kem>::EncappedKey::from_bytes(encapsulation).ok()?;
    let mut context = hpke::setup_receiver::<ChaCha20Poly1305, HkdfSha256, XWing>(
        &OpModeR::Base,
        xwing.private_key(),
        &encapsulation,
        &info.of(recipient),
    )
    .ok()?;
    ContentKey::from_vec(context.open(sealed, b"").ok()?)
}
