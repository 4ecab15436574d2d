//! What stands before the body: grammar only, no key is used and nothing is believed.

use core::{fmt, str::FromStr, time::Duration};

use super::{
    failure::Failure,
    hint::{HINT_LEN, Hint},
    segment::{MIN_SEGMENT_LEN, SEGMENT_LEN},
    wrap::{WRAP_LEN, Wrap},
};
use crate::{
    card::kind_name,
    reader::{Reader, Truncated},
    timestamp::Timestamp,
};

/// Most recipients of an envelope.
pub const MAX_RECIPIENTS: usize = 1024;

/// Longest life of an envelope: 30 days.
pub const MAX_LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Bytes of a header before its hints: enough for [`Header::length`].
pub const HEADER_START_LEN: usize = 106;

/// Most bytes of a header.
pub const MAX_HEADER_LEN: usize = HEADER_START_LEN + MAX_RECIPIENTS * (HINT_LEN + WRAP_LEN);

const MAGIC: &[u8; 5] = b"ctalk";
const KIND: u8 = b'e';
const VERSION: u8 = 2;
const SUITE: u8 = 1;

/// The random id of an envelope, shown as 32 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnvelopeId([u8; 16]);

impl EnvelopeId {
    /// An id that was stored before.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for EnvelopeId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for EnvelopeId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "EnvelopeId({self})")
    }
}

impl FromStr for EnvelopeId {
    type Err = EnvelopeIdError;

    /// Reads 32 hex digits of either case.
    fn from_str(text: &str) -> Result<Self, EnvelopeIdError> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| EnvelopeIdError)?;
        Ok(Self(bytes))
    }
}

/// A text that is not the id of an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the id of an envelope has 32 hex digits")]
pub struct EnvelopeIdError;

/// What an envelope says of itself to everyone. Nothing of it is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The Ed25519 key of whoever claims to have sent it; any 32 bytes.
    pub sender: [u8; 32],
    /// The envelope's id.
    pub id: EnvelopeId,
    /// When it was sealed.
    pub created: Timestamp,
    /// Until when it may be opened.
    pub expires: Timestamp,
    /// How many keys it was sealed to, 1 to [`MAX_RECIPIENTS`].
    pub recipients: u16,
}

/// A header within limits and in its one encoding. Nothing here may be trusted yet.
///
/// [`Self::verify`](Self::verify) is the next step.
pub struct Header {
    pub(super) bytes: Box<[u8]>,
    pub(super) claims: Claims,
    pub(super) commitment: [u8; 32],
}

impl Header {
    /// How long the header is that begins with `start`, of which [`HEADER_START_LEN`] bytes
    /// suffice: for readers of streams. At most [`MAX_HEADER_LEN`].
    ///
    /// # Errors
    ///
    /// [`ParseError`] when no envelope begins like this.
    pub fn length(start: &[u8]) -> Result<usize, ParseError> {
        let (claims, _) = read_start(start)?;
        Ok(HEADER_START_LEN + usize::from(claims.recipients) * (HINT_LEN + WRAP_LEN))
    }

    /// Reads a header off the front of `bytes` and returns it with what follows it.
    ///
    /// # Errors
    ///
    /// The first rule of the specification that the bytes break.
    pub fn parse(bytes: &[u8]) -> Result<(Self, &[u8]), ParseError> {
        let (claims, commitment) = read_start(bytes)?;
        let mut reader = Reader::new(bytes);
        reader.bytes(HEADER_START_LEN)?;
        let recipients = usize::from(claims.recipients);
        let (hints, _) = reader.bytes(recipients * HINT_LEN)?.as_chunks::<HINT_LEN>();
        if !hints.is_sorted_by(|left, right| left < right) {
            return Err(ParseError::HintOrder);
        }
        reader.bytes(recipients * WRAP_LEN)?;
        let header = bytes.strip_suffix(reader.rest()).unwrap_or_default();
        let header = Self {
            bytes: header.into(),
            claims,
            commitment,
        };
        Ok((header, reader.rest()))
    }

    /// What the header says, unproven.
    #[must_use]
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Everything before the wraps, which is what they are bound to.
    pub(super) fn prefix(&self) -> &[u8] {
        let recipients = usize::from(self.claims.recipients);
        let length = HEADER_START_LEN + recipients * HINT_LEN;
        self.bytes.get(..length).unwrap_or_default()
    }

    /// The wrap at the place of `hint`, if the hint is there.
    pub(super) fn wrap(&self, hint: &Hint) -> Option<&Wrap> {
        let recipients = usize::from(self.claims.recipients);
        let mut reader = Reader::new(&self.bytes);
        reader.bytes(HEADER_START_LEN).ok()?;
        let (hints, _) = reader.bytes(recipients * HINT_LEN).ok()?.as_chunks();
        let place = hints.binary_search(hint).ok()?;
        let (wraps, _) = reader.rest().as_chunks();
        wraps.get(place)
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            bytes: _,
            claims,
            commitment: _,
        } = self;
        formatter
            .debug_struct("Header")
            .field("claims", claims)
            .finish_non_exhaustive()
    }
}

/// Writes everything before the wraps. `hints` are sorted and as many as `claims` says.
pub(super) fn write_prefix(
    claims: &Claims,
    commitment: &[u8; 32],
    hints: impl IntoIterator<Item = Hint>,
) -> Vec<u8> {
    let mut prefix = Vec::with_capacity(HEADER_START_LEN);
    prefix.extend_from_slice(MAGIC);
    prefix.extend_from_slice(&[KIND, VERSION, SUITE]);
    prefix.extend_from_slice(claims.id.as_bytes());
    prefix.extend_from_slice(&claims.created.as_millis().to_be_bytes());
    prefix.extend_from_slice(&claims.expires.as_millis().to_be_bytes());
    prefix.extend_from_slice(&claims.sender);
    prefix.extend_from_slice(commitment);
    prefix.extend_from_slice(&claims.recipients.to_be_bytes());
    for hint in hints {
        prefix.extend_from_slice(&hint);
    }
    prefix
}

/// Whether an envelope may live from `created` to `expires`.
pub(super) fn is_life(created: Timestamp, expires: Timestamp) -> bool {
    created < expires && !expires.is_after(created, MAX_LIFE)
}

/// Reads the first [`HEADER_START_LEN`] bytes: claims and commitment.
fn read_start(bytes: &[u8]) -> Result<(Claims, [u8; 32]), ParseError> {
    let mut reader = Reader::new(Reader::new(bytes).bytes(HEADER_START_LEN)?);
    if reader.array()? != MAGIC {
        return Err(ParseError::NotAnEnvelope);
    }
    let [kind, version, suite] = *reader.array()?;
    if kind != KIND {
        return Err(ParseError::WrongKind { found: kind });
    }
    if version != VERSION || suite != SUITE {
        return Err(ParseError::Newer { version, suite });
    }
    let id = EnvelopeId(*reader.array()?);
    let created = Timestamp::from_millis(reader.u64()?).ok_or(ParseError::Life)?;
    let expires = Timestamp::from_millis(reader.u64()?).ok_or(ParseError::Life)?;
    if !is_life(created, expires) {
        return Err(ParseError::Life);
    }
    let sender = *reader.array()?;
    let commitment = *reader.array()?;
    let recipients = reader.u16()?;
    if recipients == 0 || usize::from(recipients) > MAX_RECIPIENTS {
        return Err(ParseError::Recipients {
            found: recipients.into(),
        });
    }
    let claims = Claims {
        sender,
        id,
        created,
        expires,
        recipients,
    };
    Ok((claims, commitment))
}

/// Bytes that are no envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// Hints that are not in strictly ascending order.
    #[error("the envelope's recipients are not in order; the sender's program is at fault")]
    HintOrder,
    /// A time beyond the calendar, an end that is not after the beginning, or a life longer than
    /// [`MAX_LIFE`].
    #[error(
        "the envelope's times are not in order, or more than {} days apart; \
         the sender's program is at fault",
        MAX_LIFE.as_secs() / (24 * 60 * 60)
    )]
    Life,
    /// A version or suite that this program does not know.
    #[error("the envelope has version {version}, suite {suite}; update ctalk to read it")]
    Newer {
        /// Version found.
        version: u8,
        /// Suite found.
        suite: u8,
    },
    /// Other bytes.
    #[error("this is no envelope")]
    NotAnEnvelope,
    /// No recipient, or more than [`MAX_RECIPIENTS`].
    #[error("the envelope has {found} recipients where 1 to {MAX_RECIPIENTS} are allowed")]
    Recipients {
        /// Number found.
        found: usize,
    },
    /// A segment of an impossible length.
    #[error(
        "the envelope has a segment of {found} bytes where only the last may have less than \
         {SEGMENT_LEN}, and no less than {MIN_SEGMENT_LEN}; it was cut off or altered"
    )]
    SegmentLength {
        /// Bytes found.
        found: usize,
    },
    /// The bytes end within the header, or after it.
    #[error("the envelope is cut off; ask for it again")]
    Truncated,
    /// More segments than can be counted.
    #[error("the envelope has too many segments")]
    TooManySegments,
    /// Something else of ctalk's.
    #[error("this is no envelope but {}", kind_name(*found))]
    WrongKind {
        /// The byte that tells the kind.
        found: u8,
    },
}

impl ParseError {
    /// The class of the failure.
    #[must_use]
    pub const fn failure(&self) -> Failure {
        match self {
            Self::Newer { .. } => Failure::Newer,
            Self::HintOrder
            | Self::Life
            | Self::NotAnEnvelope
            | Self::Recipients { .. }
            | Self::SegmentLength { .. }
            | Self::Truncated
            | Self::TooManySegments
            | Self::WrongKind { .. } => Failure::Malformed,
        }
    }
}

impl From<Truncated> for ParseError {
    fn from(Truncated: Truncated) -> Self {
        Self::Truncated
    }
}
