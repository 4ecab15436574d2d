//! An envelope that lies whole in memory: `Envelope`, then `Verified`, then `Opened`. No step goes
//! back.

use core::fmt;

use super::{
    header::{Claims, EnvelopeId, Header, ParseError},
    metadata::Metadata,
    open::{OpenError, Opening},
    segment::{SEGMENT_LEN, SLOT_LEN, Segment},
    verify::{NotVerified, SegmentVerifier, VerifiedHeader, VerifiedSegment},
};
use crate::{identity::Identity, keys::VerifyingKey, timestamp::Timestamp};

/// Bytes of a segment that are not its slot.
const SEGMENT_OVERHEAD: usize = SEGMENT_LEN - SLOT_LEN;

/// An envelope within limits and in its one encoding. Nothing here may be trusted yet.
pub struct Envelope<'b> {
    header: Header,
    first: Segment<'b>,
    rest: &'b [u8],
}

impl<'b> Envelope<'b> {
    /// Splits `bytes` into header and segments without any cryptography.
    ///
    /// # Errors
    ///
    /// The first rule of the specification that the bytes break.
    pub fn parse(bytes: &'b [u8]) -> Result<Self, ParseError> {
        let (header, body) = Header::parse(bytes)?;
        let mut segments = segments(body).enumerate();
        let (_, first) = segments.next().ok_or(ParseError::Truncated)?;
        let first = first?;
        for (index, segment) in segments {
            segment?;
            u32::try_from(index).map_err(|_| ParseError::TooManySegments)?;
        }
        let rest = body.get(first.bytes.len()..).unwrap_or_default();
        Ok(Self {
            header,
            first,
            rest,
        })
    }

    /// What the envelope says of itself, unproven.
    #[must_use]
    pub const fn claims(&self) -> &Claims {
        self.header.claims()
    }

    /// Bytes of content and padding together: about how long the content is.
    #[must_use]
    pub fn padded_len(&self) -> usize {
        let body = self.first.bytes.len() + self.rest.len();
        body - body.div_ceil(SEGMENT_LEN) * SEGMENT_OVERHEAD
    }

    /// Checks the signature over header and first segment, as received.
    ///
    /// # Errors
    ///
    /// [`NotVerified`] when the sender that the envelope names did not sign exactly this.
    pub fn verify(self) -> Result<Verified<'b>, NotVerified> {
        let Self {
            header,
            first,
            rest,
        } = self;
        let (header, first, verifier) = header.verify(first)?;
        Ok(Verified {
            header,
            first,
            verifier,
            rest,
        })
    }
}

impl fmt::Debug for Envelope<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Envelope")
            .field("claims", self.claims())
            .finish_non_exhaustive()
    }
}

/// An envelope with a proven sender. Only [`Envelope::verify`] makes one.
///
/// Segments after the first are verified when they are opened, or by [`Self::verify_all`].
pub struct Verified<'b> {
    header: VerifiedHeader,
    first: VerifiedSegment<'b>,
    verifier: SegmentVerifier,
    rest: &'b [u8],
}

impl Verified<'_> {
    /// What the sender signed about the envelope.
    #[must_use]
    pub const fn header(&self) -> &VerifiedHeader {
        &self.header
    }

    /// Checks the signatures of all segments without opening any, and returns the header.
    ///
    /// # Errors
    ///
    /// [`NotVerified`] when one of them was altered or is missing.
    pub fn verify_all(self) -> Result<VerifiedHeader, NotVerified> {
        let Self {
            header,
            first: _,
            mut verifier,
            rest,
        } = self;
        // Parsing refused every segment of an impossible length.
        for segment in segments(rest).flatten() {
            verifier.verify(segment)?;
        }
        Ok(header)
    }

    /// Opens the envelope for `identity`, provided that it is alive at `now`. Changes no state.
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    pub fn open(self, identity: &Identity, now: Timestamp) -> Result<Opened, OpenError> {
        let Self {
            header,
            first,
            mut verifier,
            rest,
        } = self;
        let Opening {
            metadata,
            first,
            rest: mut opener,
        } = header.open(identity, now, first)?;
        let mut payload = Vec::with_capacity(first.payload().len() + rest.len());
        payload.extend_from_slice(first.payload());
        for segment in segments(rest).flatten() {
            let segment = opener.open(verifier.verify(segment)?)?;
            payload.extend_from_slice(segment.payload());
        }
        Ok(Opened {
            sender: *header.sender(),
            id: header.id(),
            created: header.created(),
            expires: header.expires(),
            header_digest: *header.digest(),
            metadata,
            payload,
        })
    }
}

impl fmt::Debug for Verified<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Verified")
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

/// What a proven sender sealed for us. Only [`Verified::open`] makes one.
#[must_use = "handle the payload once, then remember sender, id and header digest"]
pub struct Opened {
    /// The key that signed.
    pub sender: VerifyingKey,
    /// The envelope's id; together with `sender` what tells a repetition.
    pub id: EnvelopeId,
    /// When it was sealed.
    pub created: Timestamp,
    /// Until when it could be opened, and has to be remembered.
    pub expires: Timestamp,
    /// SHA-256 of the header: another one under the same sender and id is to be refused.
    pub header_digest: [u8; 32],
    /// What the sender says about the payload.
    pub metadata: Metadata,
    /// The payload, byte for byte.
    pub payload: Vec<u8>,
}

impl fmt::Debug for Opened {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            sender,
            id,
            created,
            expires,
            header_digest: _,
            metadata: _,
            payload: _,
        } = self;
        formatter
            .debug_struct("Opened")
            .field("sender", sender)
            .field("id", id)
            .field("created", created)
            .field("expires", expires)
            .finish_non_exhaustive()
    }
}

/// The segments of a body, or of its end. None are empty, because chunks are not.
fn segments(body: &[u8]) -> impl Iterator<Item = Result<Segment<'_>, ParseError>> {
    let count = body.len().div_ceil(SEGMENT_LEN);
    body.chunks(SEGMENT_LEN)
        .enumerate()
        .map(move |(place, bytes)| Segment::parse(bytes, place + 1 == count))
}
