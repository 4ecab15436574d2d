//! Who sent it: the signatures, and with them the order and the end of the segments.

use sha2::{Digest, Sha256};
use std::borrow::Cow;

use super::{
    chain::Chain,
    failure::Failure,
    header::{Claims, EnvelopeId, Header},
    segment::{SIGNATURE_LEN, Segment},
};
use crate::{
    fingerprint::Fingerprint,
    keys::{KeyError, VerifyingKey},
    timestamp::Timestamp,
};

impl Header {
    /// Checks the signature of the first segment, which covers the header.
    ///
    /// # Errors
    ///
    /// [`NotVerified`] when the sender that the header names did not sign exactly this.
    pub fn verify(
        self,
        first: Segment<'_>,
    ) -> Result<(VerifiedHeader, VerifiedSegment<'_>, SegmentVerifier), NotVerified> {
        let sender = VerifyingKey::from_bytes(self.claims.sender)?;
        let mut verifier = SegmentVerifier {
            sender,
            chain: Chain::new(&self.bytes),
            ended: false,
        };
        let first = verifier.verify(first)?;
        let header = VerifiedHeader {
            digest: Sha256::digest(&self.bytes).into(),
            header: self,
            sender,
        };
        Ok((header, first, verifier))
    }
}

/// A header that its sender signed. Only [`Header::verify`] makes one.
#[derive(Debug)]
pub struct VerifiedHeader {
    pub(super) header: Header,
    pub(super) sender: VerifyingKey,
    pub(super) digest: [u8; 32],
}

impl VerifiedHeader {
    /// The key that signed.
    #[must_use]
    pub const fn sender(&self) -> &VerifyingKey {
        &self.sender
    }

    /// The envelope's id, which another sender may have used too.
    #[must_use]
    pub const fn id(&self) -> EnvelopeId {
        self.claims().id
    }

    /// When the envelope was sealed.
    #[must_use]
    pub const fn created(&self) -> Timestamp {
        self.claims().created
    }

    /// Until when it may be opened.
    #[must_use]
    pub const fn expires(&self) -> Timestamp {
        self.claims().expires
    }

    /// How many keys it was sealed to.
    #[must_use]
    pub const fn recipients(&self) -> u16 {
        self.claims().recipients
    }

    /// SHA-256 of the header. One sender and id with two digests are two envelopes, of which the
    /// second is refused.
    #[must_use]
    pub const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    const fn claims(&self) -> &Claims {
        self.header.claims()
    }
}

/// A segment that the sender signed, for this place in this envelope. Only [`Header::verify`] and
/// [`SegmentVerifier::verify`] make one.
pub struct VerifiedSegment<'b> {
    /// With the signature at the end.
    pub(super) bytes: Cow<'b, [u8]>,
    pub(super) index: u32,
    pub(super) last: bool,
}

impl VerifiedSegment<'_> {
    /// Whether the envelope ends with it.
    #[must_use]
    pub const fn is_last(&self) -> bool {
        self.last
    }

    /// The same with bytes of its own.
    #[must_use]
    pub fn into_owned(self) -> VerifiedSegment<'static> {
        VerifiedSegment {
            bytes: Cow::Owned(self.bytes.into_owned()),
            index: self.index,
            last: self.last,
        }
    }
}

/// Checks the signatures of the segments of one envelope, in their order.
pub struct SegmentVerifier {
    sender: VerifyingKey,
    chain: Chain,
    ended: bool,
}

impl SegmentVerifier {
    /// Checks that the sender signed this segment, after those before it.
    ///
    /// # Errors
    ///
    /// [`NotVerified`] also for a segment that is missing, repeated or in another place, and for
    /// one after the last.
    pub fn verify<'b>(&mut self, segment: Segment<'b>) -> Result<VerifiedSegment<'b>, NotVerified> {
        let Segment { bytes, last } = segment;
        let index = self.chain.index();
        let refuse = || NotVerified::Signature {
            sender: Fingerprint::native(&self.sender),
            segment: index,
        };
        let (sealed, signature) = bytes
            .split_last_chunk::<SIGNATURE_LEN>()
            .filter(|_| !self.ended)
            .ok_or_else(refuse)?;
        let digest = Sha256::digest(sealed).into();
        if !self
            .sender
            .verifies(&self.chain.statement(last, &digest), signature)
        {
            return Err(refuse());
        }
        self.ended = last;
        if !last && self.chain.advance(&digest).is_err() {
            self.ended = true;
        }
        Ok(VerifiedSegment { bytes, index, last })
    }
}

/// An envelope that its sender did not make like this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotVerified {
    /// The sender's key must not be used.
    #[error("the envelope's sender is no one: {0}")]
    SenderKey(#[from] KeyError),
    /// The signature is not the sender's.
    #[error(
        "segment {segment} of the envelope was not signed like this by {sender}; it was altered, \
         cut off or made by somebody else, so ask the sender to send it again"
    )]
    Signature {
        /// Whom the envelope names as its sender.
        sender: Fingerprint,
        /// Which segment, from 0.
        segment: u32,
    },
}

impl NotVerified {
    /// The class of the failure.
    #[must_use]
    pub const fn failure(&self) -> Failure {
        match self {
            Self::SenderKey(_) | Self::Signature { .. } => Failure::NotVerified,
        }
    }
}
