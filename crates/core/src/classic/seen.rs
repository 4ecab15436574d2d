//! What tells a message from the same one delivered again.

use sha2::{Digest, Sha256};

use super::box_key::NONCE_LEN;
use crate::{keys::EncryptionKey, label};

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

    /// One key for a box whoever signed it, or nobody: neither a relay that takes the signature off
    /// nor an agent that puts its own on somebody else's box must have the message handled twice.
    pub(super) fn of_box(sender: &EncryptionKey, nonce: &[u8; NONCE_LEN], sealed: &[u8]) -> Self {
        Self::digest(label::SEEN_BOX, &[sender.as_bytes(), nonce, sealed])
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys are kept for months, so their making is fixed. Expected values computed with Python's
    /// hashlib.
    #[test]
    fn seen_keys_are_made_as_they_always_were() {
        let sender =
            EncryptionKey::from_base64("B6N8vBQgk8i3VdwbEOhstCY3StFqqFPtC9/AsrhtHHw=").unwrap();
        let nonce = core::array::from_fn(|place| 0x80 + u8::try_from(place).unwrap());
        for (key, expected) in [
            (
                SeenKey::of_box(&sender, &nonce, b"sealed"),
                "910ff33988a4baae7c874c00c05010e897c20f29fc10a7d81b2c9bca71ef2ce3",
            ),
            (
                SeenKey::plain("alice", Some("m-1"), "\"hi\""),
                "4cf7f9c2ad63f27b7d4aa979fb96929efd4ddd7ed709ff03c60e467302e6397b",
            ),
            (
                SeenKey::plain("alice", None, "\"hi\""),
                "6d70fe105961273d9122c9513170a30f3df362715a21fa996bf33dfb0d595f93",
            ),
        ] {
            assert_eq!(hex::encode(key.as_bytes()), expected);
        }
    }
}
