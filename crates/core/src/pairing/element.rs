//! Elements of SPAKE2 as they are on the wire.

use curve25519_dalek::{edwards::CompressedEdwardsY, traits::IsIdentity};

/// Bytes of an element.
pub(super) const ELEMENT_LEN: usize = 32;

/// A point of the prime-order subgroup of edwards25519 in its canonical encoding, not the neutral one.
///
/// RFC 9382 section 6 demands that group membership is checked; `spake2` takes every point.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Element([u8; ELEMENT_LEN]);

impl Element {
    /// An element that the other side sent, or none if it is not acceptable.
    pub(super) fn from_bytes(bytes: &[u8; ELEMENT_LEN]) -> Option<Self> {
        // Points with a second encoding (y below 19, or x = 0) are not in the subgroup or are neutral.
        CompressedEdwardsY(*bytes)
            .decompress()
            .filter(|point| point.is_torsion_free() && !point.is_identity())
            .map(|_| Self(*bytes))
    }

    /// An element that this side made, which needs no check.
    pub(super) const fn own(bytes: [u8; ELEMENT_LEN]) -> Self {
        Self(bytes)
    }

    pub(super) const fn as_bytes(&self) -> &[u8; ELEMENT_LEN] {
        &self.0
    }
}
