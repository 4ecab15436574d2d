//! The pieces of a body: `ciphertext ‖ tag ‖ signature`, each holding `used ‖ slot`.

use std::borrow::Cow;

use aead_stream::{NewStream, StreamBE32, StreamPrimitive};
use chacha20poly1305::ChaCha20Poly1305;

use super::header::ParseError;

/// Most bytes of a segment's slot, which content and padding share.
pub const SLOT_LEN: usize = 1_048_572;

/// Bytes of every segment but the last.
pub const SEGMENT_LEN: usize = USED_LEN + SLOT_LEN + TAG_LEN + SIGNATURE_LEN;

/// Least bytes of the last segment: a slot of one byte.
pub(crate) const MIN_SEGMENT_LEN: usize = USED_LEN + 1 + TAG_LEN + SIGNATURE_LEN;

/// Bytes before a slot, which count the content in it.
pub(super) const USED_LEN: usize = 4;

const TAG_LEN: usize = 16;

/// Bytes of the signature after the tag.
pub(super) const SIGNATURE_LEN: usize = 64;

/// A received segment of a possible length. Nothing here may be trusted yet.
pub struct Segment<'b> {
    pub(super) bytes: Cow<'b, [u8]>,
    pub(super) last: bool,
}

impl<'b> Segment<'b> {
    /// Takes the bytes of one segment: [`SEGMENT_LEN`] of the body, or what is left of it. `last`
    /// says whether the body ends with it.
    ///
    /// # Errors
    ///
    /// [`ParseError::SegmentLength`], or [`ParseError::Truncated`] where there is nothing.
    pub fn parse(bytes: impl Into<Cow<'b, [u8]>>, last: bool) -> Result<Self, ParseError> {
        let bytes = bytes.into();
        let least = if last { MIN_SEGMENT_LEN } else { SEGMENT_LEN };
        match bytes.len() {
            0 => Err(ParseError::Truncated),
            found if (least..=SEGMENT_LEN).contains(&found) => Ok(Self { bytes, last }),
            found => Err(ParseError::SegmentLength { found }),
        }
    }
}

/// ChaCha20-Poly1305 over the segments of one body, with the nonces of STREAM. Its key is on the
/// heap and wiped when dropped.
pub(super) struct BodyCipher(Box<StreamBE32<ChaCha20Poly1305>>);

impl BodyCipher {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        // The nonce's fixed part is zero because no key serves a second body.
        Self(Box::new(StreamBE32::new(key.into(), &[0; 7].into())))
    }

    /// Replaces the plaintext by the ciphertext and appends the tag.
    pub(super) fn encrypt(
        &self,
        index: u32,
        last: bool,
        segment: &mut Vec<u8>,
    ) -> Result<(), aead_stream::aead::Error> {
        self.0.encrypt_in_place(index, last, b"", segment)
    }

    /// Checks the tag, takes it off and replaces the ciphertext by the plaintext.
    pub(super) fn decrypt(
        &self,
        index: u32,
        last: bool,
        segment: &mut Vec<u8>,
    ) -> Result<(), aead_stream::aead::Error> {
        self.0.decrypt_in_place(index, last, b"", segment)
    }
}
