//! What it says: the content key, then segment by segment the content.

use core::{fmt, ops::Range};

use super::{
    content_key::ContentKey,
    failure::Failure,
    hint::hint,
    metadata::{Metadata, MetadataError},
    padding::padded_len,
    segment::{BodyCipher, SIGNATURE_LEN, USED_LEN},
    verify::{NotVerified, VerifiedHeader, VerifiedSegment},
    wrap::{WrapInfo, unwrap},
};
use crate::{
    identity::Identity,
    timestamp::{CLOCK_SKEW, Timestamp},
};

impl VerifiedHeader {
    /// Opens the envelope for `identity`, provided that it is alive at `now`, and its first
    /// segment, which holds the metadata.
    ///
    /// # Errors
    ///
    /// [`OpenError`]. Nothing was changed, so trying again with another identity is possible.
    pub fn open(
        &self,
        identity: &Identity,
        now: Timestamp,
        first: VerifiedSegment<'_>,
    ) -> Result<Opening, OpenError> {
        if self.created().is_after(now, CLOCK_SKEW) {
            return Err(OpenError::Future {
                created: self.created(),
            });
        }
        if now.is_after(self.expires(), CLOCK_SKEW) {
            return Err(OpenError::Expired {
                expires: self.expires(),
            });
        }
        let key = self.content_key(identity)?;
        let mut rest = SegmentOpener {
            cipher: key.into_body_cipher(&self.digest),
            next: 0,
            content_len: 0,
            slots_len: 0,
            content_ended: false,
        };
        let mut first = rest.open(first)?;
        let (metadata, length) = Metadata::decode(first.payload(), &self.sender)?;
        first.payload.start += length;
        Ok(Opening {
            metadata,
            first,
            rest,
        })
    }

    /// Takes the content key out of the wrap for one of the identity's keys.
    fn content_key(&self, identity: &Identity) -> Result<ContentKey, OpenError> {
        let me = identity.public_keys().verifying();
        let (xwing, wrap) = identity
            .xwing_secrets()
            .iter()
            .find_map(|xwing| {
                let hint = hint(&self.id(), me, xwing.public_key());
                Some((xwing, self.header.wrap(&hint)?))
            })
            .ok_or(OpenError::NotForMe)?;
        let info = WrapInfo::new(self.header.prefix());
        let key = unwrap(wrap, &info, me, xwing).ok_or(OpenError::Wrap)?;
        if !key.is_committed(&self.id(), &self.header.commitment) {
            return Err(OpenError::Commitment);
        }
        Ok(key)
    }
}

/// An envelope whose first segment was opened.
pub struct Opening {
    /// What the sender says about the payload.
    pub metadata: Metadata,
    /// The first segment.
    pub first: OpenedSegment,
    /// Opens the others.
    pub rest: SegmentOpener,
}

/// Opens the segments of one envelope, in their order.
pub struct SegmentOpener {
    cipher: BodyCipher,
    next: u32,
    content_len: u64,
    slots_len: u64,
    content_ended: bool,
}

impl SegmentOpener {
    /// Opens the segment that comes next. With the last one the padding is complete and is checked
    /// as a whole, so the payload is complete when [`OpenedSegment::is_last`] says so.
    ///
    /// # Errors
    ///
    /// [`OpenError::Tag`] or [`OpenError::Padding`]; what was opened before is not complete then.
    pub fn open(&mut self, segment: VerifiedSegment<'_>) -> Result<OpenedSegment, OpenError> {
        let VerifiedSegment { bytes, index, last } = segment;
        let mut buffer = bytes.into_owned();
        buffer.truncate(buffer.len().saturating_sub(SIGNATURE_LEN));
        self.cipher
            .decrypt(self.next, last, &mut buffer)
            .map_err(|_| OpenError::Tag { segment: index })?;
        self.next = self.next.saturating_add(1);

        let used = self
            .count(&buffer, last)
            .ok_or(OpenError::Padding { segment: index })?;
        Ok(OpenedSegment {
            buffer,
            payload: USED_LEN..USED_LEN + used,
            last,
        })
    }

    /// Checks the padding of a plaintext and returns how much of its slot is content.
    fn count(&mut self, plaintext: &[u8], last: bool) -> Option<usize> {
        let (used, slot) = plaintext.split_first_chunk::<USED_LEN>()?;
        let used = usize::try_from(u32::from_be_bytes(*used)).ok()?;
        let (_, zeros) = slot.split_at_checked(used)?;
        if zeros.iter().any(|byte| *byte != 0) || (self.content_ended && used > 0) {
            return None;
        }
        self.content_ended |= !zeros.is_empty();
        self.content_len += used as u64;
        self.slots_len += slot.len() as u64;
        if last && self.slots_len != padded_len(self.content_len) {
            return None;
        }
        Some(used)
    }
}

/// A segment of the payload.
pub struct OpenedSegment {
    buffer: Vec<u8>,
    /// Where in the buffer the payload is.
    payload: Range<usize>,
    last: bool,
}

impl OpenedSegment {
    /// The payload in this segment.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.buffer.get(self.payload.clone()).unwrap_or_default()
    }

    /// Whether the payload ends with it.
    #[must_use]
    pub const fn is_last(&self) -> bool {
        self.last
    }

    /// Gives the buffer back, for reading another segment into.
    #[must_use]
    pub fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }
}

impl fmt::Debug for OpenedSegment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            buffer: _,
            payload,
            last,
        } = self;
        formatter
            .debug_struct("OpenedSegment")
            .field("payload_len", &payload.len())
            .field("last", last)
            .finish_non_exhaustive()
    }
}

/// An envelope that was verified and is not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The content key is not the one that all recipients were promised.
    #[error("the envelope gives its recipients different keys; its sender is at fault")]
    Commitment,
    /// Its life is over.
    #[error("the envelope has expired; ask the sender to send it again")]
    Expired {
        /// Until when it could be opened.
        expires: Timestamp,
    },
    /// Sealed later than the clock allows.
    #[error(
        "the envelope was sealed in the future; compare this machine's clock with the sender's"
    )]
    Future {
        /// When it was sealed.
        created: Timestamp,
    },
    /// The content does not begin with metadata.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// No key of the identity is among the recipients.
    #[error(
        "the envelope is not for this identity, or for a key that it no longer has; \
         send the sender the current key card"
    )]
    NotForMe,
    /// A later segment that the sender did not sign.
    #[error(transparent)]
    NotVerified(#[from] NotVerified),
    /// Padding in another form than the one that there is.
    #[error(
        "segment {segment} of the envelope is padded wrongly; the sender's program is at fault"
    )]
    Padding {
        /// Which segment, from 0.
        segment: u32,
    },
    /// A segment that the content key does not open.
    #[error("segment {segment} of the envelope does not open; the sender's program is at fault")]
    Tag {
        /// Which segment, from 0.
        segment: u32,
    },
    /// The wrapped content key does not open.
    #[error("the envelope's key for this identity does not open; its sender is at fault")]
    Wrap,
}

impl OpenError {
    /// The class of the failure.
    #[must_use]
    pub const fn failure(&self) -> Failure {
        match self {
            Self::Expired { .. } | Self::Future { .. } => Failure::Expired,
            Self::NotForMe => Failure::NotForMe,
            Self::Commitment | Self::Tag { .. } | Self::Wrap => Failure::CannotOpen,
            Self::Metadata(_) | Self::Padding { .. } => Failure::Malformed,
            Self::NotVerified(error) => error.failure(),
        }
    }
}
