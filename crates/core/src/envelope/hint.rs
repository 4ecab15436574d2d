//! By what a recipient finds its wrap, and nobody who lacks its card does.

use sha2::{Digest, Sha256};

use super::header::EnvelopeId;
use crate::{keys::VerifyingKey, label, xwing::XWingKey};

/// Bytes of a hint.
pub(crate) const HINT_LEN: usize = 16;

/// The beginning of a SHA-256 over the id and both keys that a wrap is for.
pub(super) type Hint = [u8; HINT_LEN];

/// The hint at the identity of `signing_key` in the envelope `id`, sealed to `xwing_key`.
pub(super) fn hint(id: &EnvelopeId, signing_key: &VerifyingKey, xwing_key: &XWingKey) -> Hint {
    let digest = Sha256::new()
        .chain_update(label::HINT)
        .chain_update(id.as_bytes())
        .chain_update(signing_key.as_bytes())
        .chain_update(xwing_key.as_bytes())
        .finalize();
    let mut hint = [0; HINT_LEN];
    for (byte, digest) in hint.iter_mut().zip(digest) {
        *byte = digest;
    }
    hint
}
