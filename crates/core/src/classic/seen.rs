//! What tells a message from the same one delivered again.

use sha2::{Digest, Sha256};

use super::box_key::NONCE_LEN;
use crate::{keys::PublicKeys, label};

/// A labelled SHA-256 of what makes a message itself, for the list of those already handled.
///
/// The relay's id is no part of it where a box is: a relay can put any id on a message. The box
/// enters as bytes, so that another base64 spelling of it is still the same message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SeenKey([u8; 32]);

impl SeenKey {
    /// The 32 bytes of the digest.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// One key for the signed box and for the same box without its signature: a relay that takes
    /// the signature off must not have the message handled twice.
    pub(super) fn of_box(sender: &PublicKeys, nonce: &[u8; NONCE_LEN], sealed: &[u8]) -> Self {
        let (encryption, verifying) = (sender.encryption(), sender.verifying());
        Self::digest(
            label::SEEN_BOX,
            &[encryption.as_bytes(), verifying.as_bytes(), nonce, sealed],
        )
    }

    pub(super) fn plain(from: &str, id: Option<&str>, payload: &str) -> Self {
        match id {
            Some(id) => {
                let fields = [from.as_bytes(), payload.as_bytes(), id.as_bytes()];
                Self::digest(label::SEEN_PLAIN, &fields)
            }
            None => Self::digest(label::SEEN_PLAIN, &[from.as_bytes(), payload.as_bytes()]),
        }
    }

    /// SHA-256 of the label and, for each field, its length as eight big-endian bytes and itself.
    fn digest(label: &[u8], fields: &[&[u8]]) -> Self {
        let mut hash = Sha256::new_with_prefix(label);
        for field in fields {
            // A `usize` has at most 64 bits on every platform that Rust knows.
            let length = u64::try_from(field.len()).unwrap_or(u64::MAX);
            hash.update(length.to_be_bytes());
            hash.update(field);
        }
        Self(hash.finalize().into())
    }
}
