//! What all parts of one envelope say alike.

use core::{fmt, ops::Range};

use sha2::{Digest, Sha256};

use super::{MAX_SLICE_LEN, MAX_SPLIT_LEN, MIN_SLICE_LEN, PartError, WholeError, read_time};
use crate::{
    envelope::{EnvelopeId, Header, MAX_LIFE},
    reader::Reader,
    timestamp::{CLOCK_SKEW, Timestamp},
};

/// The envelope that parts belong to. Equal in all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    /// The Ed25519 key of whoever claims to have sent it.
    pub(super) sender: [u8; 32],
    pub(super) id: EnvelopeId,
    pub(super) expires: Timestamp,
    pub(super) digest: [u8; 32],
    pub(super) length: u32,
    pub(super) slice_len: u16,
}

impl Whole {
    /// Reads what follows the suite, and the index that stands between.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<(Self, u16), PartError> {
        let id = EnvelopeId::from_bytes(*reader.array()?);
        let index = reader.u16()?;
        let slice_len = reader.u16()?;
        let length = u32::from_be_bytes(*reader.array()?);
        let expires = read_time(reader)?;
        if !(MIN_SLICE_LEN..=MAX_SLICE_LEN).contains(&slice_len) {
            return Err(PartError::SliceLen { found: slice_len });
        }
        if length <= u32::from(slice_len) || length > MAX_SPLIT_LEN {
            return Err(PartError::Total { found: length });
        }
        let whole = Self {
            sender: *reader.array()?,
            id,
            expires,
            digest: *reader.array()?,
            length,
            slice_len,
        };
        Ok((whole, index))
    }

    /// Writes what [`Self::read`] reads.
    pub(super) fn write(&self, index: u16, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self.id.as_bytes());
        bytes.extend_from_slice(&index.to_be_bytes());
        bytes.extend_from_slice(&self.slice_len.to_be_bytes());
        bytes.extend_from_slice(&self.length.to_be_bytes());
        bytes.extend_from_slice(&self.expires.as_millis().to_be_bytes());
        bytes.extend_from_slice(&self.sender);
        bytes.extend_from_slice(&self.digest);
    }

    /// The Ed25519 key of the sender that is named; proven in a [`VerifiedPart`](super::VerifiedPart).
    #[must_use]
    pub const fn sender(&self) -> &[u8; 32] {
        &self.sender
    }

    /// The envelope's id.
    #[must_use]
    pub const fn id(&self) -> EnvelopeId {
        self.id
    }

    /// Until when the envelope may be opened: after that its parts are worth nothing.
    #[must_use]
    pub const fn expires(&self) -> Timestamp {
        self.expires
    }

    /// SHA-256 of the envelope.
    #[must_use]
    pub const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// Bytes of the envelope, more than one slice and at most [`MAX_SPLIT_LEN`].
    #[must_use]
    pub const fn length(&self) -> u32 {
        self.length
    }

    /// Bytes of every slice but the last, which has the rest.
    #[must_use]
    pub const fn slice_len(&self) -> u16 {
        self.slice_len
    }

    /// How many parts there are: 2 to 49,152.
    #[must_use]
    pub fn count(&self) -> u16 {
        let count = self.length.div_ceil(u32::from(self.slice_len));
        u16::try_from(count).unwrap_or(u16::MAX)
    }

    /// Where in the envelope the slice of part `index` stands; none where there is no such part.
    #[must_use]
    pub fn range(&self, index: u16) -> Option<Range<usize>> {
        let start = u32::from(index) * u32::from(self.slice_len);
        let end = self.length.min(start + u32::from(self.slice_len));
        (start < end).then_some(start as usize..end as usize)
    }

    pub(super) fn slice_len_of(&self, index: u16) -> Option<usize> {
        self.range(index).map(|range| range.len())
    }

    /// Whether the parts of this envelope are worth keeping at `now`.
    ///
    /// # Errors
    ///
    /// [`PartError::Expired`], and [`PartError::Future`] for an end that no envelope of today has.
    pub fn check_life(&self, now: Timestamp) -> Result<(), PartError> {
        let expires = self.expires;
        if now.is_after(expires, CLOCK_SKEW) {
            return Err(PartError::Expired { expires });
        }
        if expires.is_after(now, MAX_LIFE + CLOCK_SKEW) {
            return Err(PartError::Future { expires });
        }
        Ok(())
    }

    /// What another part says differently of the same envelope.
    ///
    /// # Errors
    ///
    /// [`WholeError::Conflict`]. Its sender signed two envelopes under one id, or lies: none of both is
    /// to be put together.
    pub fn agree(&self, other: &Self) -> Result<(), WholeError> {
        let fact = if self.sender != other.sender {
            Fact::Sender
        } else if self.id != other.id {
            Fact::Id
        } else if self.expires != other.expires {
            Fact::Expires
        } else if self.length != other.length {
            Fact::Length
        } else if self.slice_len != other.slice_len {
            Fact::SliceLen
        } else if self.digest != other.digest {
            Fact::Digest
        } else {
            return Ok(());
        };
        Err(WholeError::Conflict { fact })
    }

    /// Lets `envelope` pass, all slices in their order, when it is what its parts said.
    ///
    /// # Errors
    ///
    /// [`WholeError`].
    pub fn join(&self, envelope: Vec<u8>) -> Result<Vec<u8>, WholeError> {
        let told = Self::of(&envelope, self.slice_len)?;
        self.agree(&told)?;
        Ok(envelope)
    }

    /// What the parts of `envelope` have to say.
    pub(super) fn of(envelope: &[u8], slice_len: u16) -> Result<Self, WholeError> {
        let (header, _) = Header::parse(envelope)?;
        let claims = header.claims();
        let found = envelope.len();
        let length = u32::try_from(found)
            .ok()
            .filter(|length| *length <= MAX_SPLIT_LEN)
            .ok_or(WholeError::TooLong { found })?;
        Ok(Self {
            sender: claims.sender,
            id: claims.id,
            expires: claims.expires,
            digest: Sha256::digest(envelope).into(),
            length,
            slice_len,
        })
    }
}

/// Something that all parts of an envelope say alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// [`Whole::sender`].
    Sender,
    /// [`Whole::id`].
    Id,
    /// [`Whole::expires`].
    Expires,
    /// [`Whole::length`].
    Length,
    /// [`Whole::slice_len`].
    SliceLen,
    /// [`Whole::digest`].
    Digest,
}

impl fmt::Display for Fact {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Sender => "sender",
            Self::Id => "id",
            Self::Expires => "end",
            Self::Length => "length",
            Self::SliceLen => "length of a slice",
            Self::Digest => "digest",
        })
    }
}
