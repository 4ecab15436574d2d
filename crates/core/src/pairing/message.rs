//! The four messages of a pairing: grammar, and cards that are signed and current. Nothing here knows
//! whether the other side knows the code.

use core::fmt;

use rand_core::CryptoRng;

use super::{
    element::{ELEMENT_LEN, Element},
    error::MessageError,
    exchange::{TAG_LEN, Tag},
};
use crate::{
    card::{Card, MAX_CARD_LEN},
    encoding::{self, LineError},
    reader::Reader,
    timestamp::Timestamp,
};

/// What the one-line form of a message begins with.
pub const MESSAGE_PREFIX: &str = "ctalk-pair:";

/// Most bytes of a message.
pub const MAX_MESSAGE_LEN: usize = START_LEN + SESSION_LEN + ELEMENT_LEN + MAX_CARD_LEN;

/// Most bytes of a message's one-line form.
pub const MAX_MESSAGE_TEXT_LEN: usize = MESSAGE_PREFIX.len() + MAX_MESSAGE_LEN.div_ceil(3) * 4;

const MAGIC: &[u8; 5] = b"ctalk";
const KIND: u8 = b'j';
const VERSION: u8 = 2;
const SUITE: u8 = 1;
/// Magic, kind, version, suite and step.
const START_LEN: usize = 9;
const SESSION_LEN: usize = 16;

const REQUEST: u8 = 1;
const ANSWER: u8 = 2;
const JOINER_CONFIRMATION: u8 = 3;
const INVITER_CONFIRMATION: u8 = 4;

/// The random id that the joiner gives an attempt, shown as 32 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId([u8; SESSION_LEN]);

impl SessionId {
    pub(super) fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut id = [0; SESSION_LEN];
        rng.fill_bytes(&mut id);
        Self(id)
    }

    /// The 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SessionId({self})")
    }
}

/// What both sides say before either can prove anything. The card is that of whoever sent it.
#[derive(Clone)]
pub(super) struct Introduction {
    pub(super) session: SessionId,
    pub(super) element: Element,
    pub(super) card: Card,
}

impl fmt::Debug for Introduction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            session,
            element: _,
            card: _,
        } = self;
        formatter
            .debug_struct("Introduction")
            .field("session", session)
            .finish_non_exhaustive()
    }
}

/// One side's proof that it knows the code.
pub(super) struct Confirmation {
    pub(super) session: SessionId,
    pub(super) tag: Tag,
}

impl fmt::Debug for Confirmation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { session, tag: _ } = self;
        formatter
            .debug_struct("Confirmation")
            .field("session", session)
            .finish_non_exhaustive()
    }
}

/// First message, from the joiner: its element and card. The card cannot be taken out.
#[derive(Debug)]
pub struct Request(pub(super) Introduction);

/// Second message, from the inviter: its element and card. The card cannot be taken out.
#[derive(Debug)]
pub struct Answer(pub(super) Introduction);

/// Third message: the joiner proves that it knows the code.
#[derive(Debug)]
pub struct JoinerConfirmation(pub(super) Confirmation);

/// Fourth message: the inviter proves that it knows the code.
#[derive(Debug)]
pub struct InviterConfirmation(pub(super) Confirmation);

/// A message of a pairing, which anybody can have made.
#[derive(Debug)]
pub enum Message {
    /// First, from the joiner.
    Request(Request),
    /// Second, from the inviter.
    Answer(Answer),
    /// Third, from the joiner.
    JoinerConfirmation(JoinerConfirmation),
    /// Fourth, from the inviter.
    InviterConfirmation(InviterConfirmation),
}

impl Message {
    /// Reads a message that came at `now`. Whether the other side knows the code is not yet known.
    ///
    /// # Errors
    ///
    /// The first rule of the specification that the bytes break, or [`MessageError::NotCurrent`].
    pub fn parse(bytes: &[u8], now: Timestamp) -> Result<Self, MessageError> {
        if bytes.len() > MAX_MESSAGE_LEN {
            return Err(MessageError::TooLong { found: bytes.len() });
        }
        let mut reader = Reader::new(bytes);
        if reader.array()? != MAGIC {
            return Err(MessageError::NotAMessage);
        }
        let [kind, version, suite] = *reader.array()?;
        if kind != KIND {
            return Err(MessageError::WrongKind { found: kind });
        }
        if version != VERSION || suite != SUITE {
            return Err(MessageError::Newer { version, suite });
        }
        match reader.u8()? {
            REQUEST => introduction(reader, now).map(|read| Self::Request(Request(read))),
            ANSWER => introduction(reader, now).map(|read| Self::Answer(Answer(read))),
            JOINER_CONFIRMATION => {
                confirmation(reader).map(|read| Self::JoinerConfirmation(JoinerConfirmation(read)))
            }
            INVITER_CONFIRMATION => confirmation(reader)
                .map(|read| Self::InviterConfirmation(InviterConfirmation(read))),
            found => Err(MessageError::Step { found }),
        }
    }

    /// Reads the one-line form: [`MESSAGE_PREFIX`] and base64url without padding, nothing around it.
    ///
    /// # Errors
    ///
    /// [`MessageError::Text`] or [`MessageError::TextTooLong`], and those of [`Self::parse`].
    pub fn from_text(text: &str, now: Timestamp) -> Result<Self, MessageError> {
        if text.len() > MAX_MESSAGE_TEXT_LEN {
            return Err(MessageError::TextTooLong { found: text.len() });
        }
        match encoding::decode_line(MESSAGE_PREFIX, text) {
            Ok(bytes) => Self::parse(&bytes, now),
            Err(LineError::Prefix | LineError::Alphabet) => Err(MessageError::Text),
        }
    }

    /// The message as it is sent.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let (step, session, value, card): (_, _, &[u8; 32], &[u8]) = match self {
            Self::Request(Request(said)) => {
                let Introduction {
                    session,
                    element,
                    card,
                } = said;
                (REQUEST, session, element.as_bytes(), card.as_bytes())
            }
            Self::Answer(Answer(said)) => {
                let Introduction {
                    session,
                    element,
                    card,
                } = said;
                (ANSWER, session, element.as_bytes(), card.as_bytes())
            }
            Self::JoinerConfirmation(JoinerConfirmation(said)) => {
                (JOINER_CONFIRMATION, &said.session, said.tag.as_bytes(), &[])
            }
            Self::InviterConfirmation(InviterConfirmation(said)) => (
                INVITER_CONFIRMATION,
                &said.session,
                said.tag.as_bytes(),
                &[],
            ),
        };
        [
            &MAGIC[..],
            &[KIND, VERSION, SUITE, step],
            session.as_bytes(),
            value,
            card,
        ]
        .concat()
    }

    /// Writes the one-line form, without a line end.
    #[must_use]
    pub fn to_text(&self) -> String {
        encoding::encode_line(MESSAGE_PREFIX, &self.to_bytes())
    }

    /// The attempt that the message claims to belong to.
    #[must_use]
    pub const fn session(&self) -> &SessionId {
        match self {
            Self::Request(Request(said)) | Self::Answer(Answer(said)) => &said.session,
            Self::JoinerConfirmation(JoinerConfirmation(said))
            | Self::InviterConfirmation(InviterConfirmation(said)) => &said.session,
        }
    }
}

fn introduction(mut reader: Reader<'_>, now: Timestamp) -> Result<Introduction, MessageError> {
    let session = SessionId(*reader.array()?);
    let element = Element::from_bytes(reader.array()?).ok_or(MessageError::Element)?;
    // A card ends with its signature and refuses anything after it.
    let card = Card::parse(reader.rest())?;
    card.check_current(now)?;
    Ok(Introduction {
        session,
        element,
        card,
    })
}

fn confirmation(mut reader: Reader<'_>) -> Result<Confirmation, MessageError> {
    let session = SessionId(*reader.array()?);
    let tag: &[u8; TAG_LEN] = reader.array()?;
    if !reader.rest().is_empty() {
        return Err(MessageError::Trailing);
    }
    Ok(Confirmation {
        session,
        tag: Tag::received(tag),
    })
}
