//! What the sender says about a payload, sealed together with it.

use core::fmt;

use crate::{
    card::{Card, CardError, MAX_CARD_LEN},
    keys::VerifyingKey,
    reader::{Reader, Truncated},
};

/// Most bytes of topic, correlation id and reply-to each.
pub const MAX_LABEL_LEN: usize = 1024;

/// Most bytes of a content type.
pub const MAX_CONTENT_TYPE_LEN: usize = 255;

/// Most bytes of a file's name.
pub const MAX_NAME_LEN: usize = 255;

/// The bit of the kind's byte by which the sender asks for a receipt.
const RECEIPT_MARK: u8 = 0x80;

/// What kind of message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Asks for a response.
    Request = 1,
    /// Answers a request.
    Response = 2,
    /// Asks for nothing.
    Notification = 3,
    /// Says that a message was handled.
    Receipt = 4,
    /// Carries a key card.
    Card = 5,
    /// Hands an identity over to the next one.
    Succession = 6,
    /// Belongs to a pairing.
    Pairing = 7,
}

impl Kind {
    const ALL: [Self; 7] = [
        Self::Request,
        Self::Response,
        Self::Notification,
        Self::Receipt,
        Self::Card,
        Self::Succession,
        Self::Pairing,
    ];

    /// Whether a message of this kind may ask for a receipt: what a user sends, and nothing that ctalk
    /// sends for itself, a receipt least of all.
    #[must_use]
    pub const fn may_ask_for_receipt(self) -> bool {
        matches!(self, Self::Request | Self::Response | Self::Notification)
    }

    /// The name as ClawTalk writes message types, in lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Response => "response",
            Self::Notification => "notification",
            Self::Receipt => "receipt",
            Self::Card => "card",
            Self::Succession => "succession",
            Self::Pairing => "pairing",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What the sender says about a payload. Only recipients can read it.
#[derive(Clone, PartialEq, Eq)]
pub struct Metadata {
    /// What kind of message it is.
    pub kind: Kind,
    /// Whether the sender asks for a [`Receipt`](super::Receipt); only where
    /// [`Kind::may_ask_for_receipt`].
    pub receipt: bool,
    /// What the message is about, at most [`MAX_LABEL_LEN`] bytes.
    pub topic: Option<String>,
    /// What ties a request to its response, at most [`MAX_LABEL_LEN`] bytes.
    pub correlation_id: Option<String>,
    /// Which message this one answers, at most [`MAX_LABEL_LEN`] bytes.
    pub reply_to: Option<String>,
    /// The payload's media type: 1 to [`MAX_CONTENT_TYPE_LEN`] characters of printable ASCII.
    pub content_type: String,
    /// The name of the file that the payload is, at most [`MAX_NAME_LEN`] bytes of any text.
    pub name: Option<String>,
    /// The sender's current card.
    pub card: Option<Card>,
}

impl Metadata {
    /// Metadata with nothing optional in it.
    #[must_use]
    pub fn new(kind: Kind, content_type: impl Into<String>) -> Self {
        Self {
            kind,
            receipt: false,
            topic: None,
            correlation_id: None,
            reply_to: None,
            content_type: content_type.into(),
            name: None,
            card: None,
        }
    }

    /// The encoding, provided that `sender` may say it.
    pub(super) fn encode(&self, sender: &VerifyingKey) -> Result<Vec<u8>, MetadataError> {
        let Self {
            kind,
            receipt,
            topic,
            correlation_id,
            reply_to,
            content_type,
            name,
            card,
        } = self;
        if *receipt && !kind.may_ask_for_receipt() {
            return Err(MetadataError::Receipt { kind: *kind });
        }
        let mark = if *receipt { RECEIPT_MARK } else { 0 };
        let mut bytes = vec![kind_code(*kind) | mark];
        for (field, value) in [
            (Field::Topic, topic),
            (Field::CorrelationId, correlation_id),
            (Field::ReplyTo, reply_to),
        ] {
            write_optional(&mut bytes, field, value.as_ref().map(String::as_bytes))?;
        }
        if !is_content_type(content_type.as_bytes()) {
            return Err(MetadataError::ContentType);
        }
        write(&mut bytes, Field::ContentType, content_type.as_bytes())?;
        write_optional(&mut bytes, Field::Name, name.as_ref().map(String::as_bytes))?;
        if card
            .as_ref()
            .is_some_and(|card| card.signing_key() != sender)
        {
            return Err(MetadataError::ForeignCard);
        }
        write_optional(&mut bytes, Field::Card, card.as_ref().map(Card::as_bytes))?;
        Ok(bytes)
    }

    /// Reads the metadata of `sender` off the front of its content and says how long it is.
    pub(super) fn decode(
        content: &[u8],
        sender: &VerifyingKey,
    ) -> Result<(Self, usize), MetadataError> {
        let mut reader = Reader::new(content);
        let code = reader.u8()?;
        let kind = Kind::ALL
            .into_iter()
            .find(|kind| kind_code(*kind) == code & !RECEIPT_MARK)
            .ok_or(MetadataError::Kind { found: code })?;
        let receipt = code & RECEIPT_MARK != 0;
        if receipt && !kind.may_ask_for_receipt() {
            return Err(MetadataError::Receipt { kind });
        }
        let topic = read_optional_text(&mut reader, Field::Topic)?;
        let correlation_id = read_optional_text(&mut reader, Field::CorrelationId)?;
        let reply_to = read_optional_text(&mut reader, Field::ReplyTo)?;
        let content_type = read(&mut reader, Field::ContentType)?;
        if !is_content_type(content_type) {
            return Err(MetadataError::ContentType);
        }
        let content_type = text(content_type, Field::ContentType)?;
        let name = read_optional_text(&mut reader, Field::Name)?;
        let card = match read_optional(&mut reader, Field::Card)? {
            Some(bytes) => Some(Card::parse(bytes)?),
            None => None,
        };
        if card
            .as_ref()
            .is_some_and(|card| card.signing_key() != sender)
        {
            return Err(MetadataError::ForeignCard);
        }
        let metadata = Self {
            kind,
            receipt,
            topic,
            correlation_id,
            reply_to,
            content_type,
            name,
            card,
        };
        Ok((metadata, content.len().saturating_sub(reader.rest().len())))
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            receipt: _,
            topic: _,
            correlation_id: _,
            reply_to: _,
            content_type: _,
            name: _,
            card: _,
        } = self;
        formatter
            .debug_struct("Metadata")
            .field("kind", kind)
            .finish_non_exhaustive()
    }
}

/// A field of [`Metadata`] with a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Field {
    /// [`Metadata::topic`].
    Topic,
    /// [`Metadata::correlation_id`].
    CorrelationId,
    /// [`Metadata::reply_to`].
    ReplyTo,
    /// [`Metadata::content_type`].
    ContentType,
    /// [`Metadata::name`].
    Name,
    /// [`Metadata::card`].
    Card,
}

impl Field {
    const fn limit(self) -> usize {
        match self {
            Self::Topic | Self::CorrelationId | Self::ReplyTo => MAX_LABEL_LEN,
            Self::ContentType => MAX_CONTENT_TYPE_LEN,
            Self::Name => MAX_NAME_LEN,
            Self::Card => MAX_CARD_LEN,
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Topic => "topic",
            Self::CorrelationId => "correlation id",
            Self::ReplyTo => "reply-to",
            Self::ContentType => "content type",
            Self::Name => "name",
            Self::Card => "card",
        })
    }
}

/// Metadata that cannot be sealed, or that came out of an envelope and is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// The card is no card.
    #[error("the card in the message is refused: {0}")]
    Card(#[from] CardError),
    /// Empty, too long, or other characters than printable ASCII.
    #[error("the content type is not 1 to {MAX_CONTENT_TYPE_LEN} characters of printable ASCII")]
    ContentType,
    /// The card is somebody else's.
    #[error("the card in the message is not its sender's")]
    ForeignCard,
    /// A kind of message that is not defined.
    #[error("the message is of kind {found}, which is not defined")]
    Kind {
        /// Code found.
        found: u8,
    },
    /// A mark before an optional field that is neither 0 nor 1.
    #[error("the {field} of the message is neither absent nor present")]
    Mark {
        /// Which field.
        field: Field,
    },
    /// A text that is not UTF-8.
    #[error("the {field} of the message is not UTF-8")]
    NotUtf8 {
        /// Which field.
        field: Field,
    },
    /// The wish for a receipt on a message that gets none.
    #[error("a {kind} gets no receipt; ask for none")]
    Receipt {
        /// What kind of message it is.
        kind: Kind,
    },
    /// A field over its limit.
    #[error("the {field} has {found} bytes, more than the {} allowed", field.limit())]
    TooLong {
        /// Which field.
        field: Field,
        /// Bytes found.
        found: usize,
    },
    /// The content ends within the metadata.
    #[error("the message ends within its metadata")]
    Truncated,
}

impl From<Truncated> for MetadataError {
    fn from(Truncated: Truncated) -> Self {
        Self::Truncated
    }
}

const fn kind_code(kind: Kind) -> u8 {
    kind as u8
}

/// Whether a content type keeps its rules.
fn is_content_type(bytes: &[u8]) -> bool {
    (1..=MAX_CONTENT_TYPE_LEN).contains(&bytes.len())
        && bytes.iter().all(|byte| (0x20..=0x7e).contains(byte))
}

fn write(bytes: &mut Vec<u8>, field: Field, value: &[u8]) -> Result<(), MetadataError> {
    let found = value.len();
    let length = u16::try_from(found)
        .ok()
        .filter(|_| found <= field.limit())
        .ok_or(MetadataError::TooLong { field, found })?;
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(value);
    Ok(())
}

fn write_optional(
    bytes: &mut Vec<u8>,
    field: Field,
    value: Option<&[u8]>,
) -> Result<(), MetadataError> {
    bytes.push(value.is_some().into());
    value.map_or(Ok(()), |value| write(bytes, field, value))
}

fn read<'b>(reader: &mut Reader<'b>, field: Field) -> Result<&'b [u8], MetadataError> {
    let found = usize::from(reader.u16()?);
    if found > field.limit() {
        return Err(MetadataError::TooLong { field, found });
    }
    Ok(reader.bytes(found)?)
}

fn read_optional<'b>(
    reader: &mut Reader<'b>,
    field: Field,
) -> Result<Option<&'b [u8]>, MetadataError> {
    match reader.u8()? {
        0 => Ok(None),
        1 => read(reader, field).map(Some),
        _ => Err(MetadataError::Mark { field }),
    }
}

fn read_optional_text(
    reader: &mut Reader<'_>,
    field: Field,
) -> Result<Option<String>, MetadataError> {
    read_optional(reader, field)?
        .map(|bytes| text(bytes, field))
        .transpose()
}

fn text(bytes: &[u8], field: Field) -> Result<String, MetadataError> {
    match core::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(MetadataError::NotUtf8 { field }),
    }
}
