//! Key cards: by them an identity says which keys it uses now. Section 3 of `docs/ENVELOPE.md`.

use core::{fmt, hash};

use crate::{
    encoding::{self, LineError},
    envelope::Failure,
    fingerprint::Fingerprint,
    identity::Identity,
    keys::{EncryptionKey, KeyError, PublicKeys, VerifyingKey},
    label,
    reader::{Reader, Truncated},
    timestamp::{CLOCK_SKEW, Timestamp},
    xwing::XWingKey,
};

/// Most bytes of a card.
pub const MAX_CARD_LEN: usize = 3000;

/// What a card's one-line form begins with.
pub const CARD_PREFIX: &str = "ctalk-card:";

/// Most bytes of a card's one-line form.
pub const MAX_CARD_TEXT_LEN: usize = CARD_PREFIX.len() + MAX_CARD_LEN.div_ceil(3) * 4;

/// Most bytes of the name on a card.
pub const MAX_CARD_NAME_LEN: usize = 64;

/// Most addresses on a card.
pub const MAX_CARD_ADDRESSES: usize = 8;

/// Most bytes of an address on a card.
pub const MAX_CARD_ADDRESS_LEN: usize = 255;

const MAGIC: &[u8; 5] = b"ctalk";
const KIND: u8 = b'c';
const VERSION: u8 = 2;
const SUITE: u8 = 1;
const SIGNATURE_LEN: usize = 64;
/// A name of one byte and no address.
const MIN_CARD_LEN: usize = 1313 + 1 + 1 + SIGNATURE_LEN;

/// What an identity states on a card besides its keys.
#[derive(Clone, Copy, Debug)]
pub struct CardStatement<'a> {
    /// The name that the identity suggests for itself: 1 to [`MAX_CARD_NAME_LEN`] bytes without
    /// control characters.
    pub name: &'a str,
    /// Grows with every new card of the identity.
    pub serial: u64,
    /// When the card was made.
    pub created: Timestamp,
    /// Until when others may seal to it; later than `created`.
    pub expires: Timestamp,
    /// Where to reach the identity, the preferred place first: at most [`MAX_CARD_ADDRESSES`], all
    /// different, each 1 to [`MAX_CARD_ADDRESS_LEN`] bytes without control characters.
    pub addresses: &'a [&'a str],
}

/// A card whose signature was verified. There is no other.
///
/// What it says is the word of whoever holds its signing key, and it can be out of date:
/// [`Self::check_current`] and [`trust::card_update`](crate::trust::card_update) are the rules.
#[derive(Clone)]
pub struct Card {
    bytes: Box<[u8]>,
    serial: u64,
    created: Timestamp,
    expires: Timestamp,
    keys: PublicKeys,
    xwing: XWingKey,
    name: String,
    addresses: Vec<String>,
}

impl Card {
    /// Signs a card for `identity`, to whose X-Wing key `xwing` envelopes shall be sealed.
    ///
    /// # Errors
    ///
    /// [`CardError`] for a statement that breaks a rule of [`CardStatement`], or
    /// [`CardError::NotHeld`] for a key that the identity could not open envelopes with.
    pub fn sign(
        identity: &Identity,
        xwing: &XWingKey,
        statement: &CardStatement<'_>,
    ) -> Result<Self, CardError> {
        if !identity.xwing_keys().any(|held| held == xwing) {
            return Err(CardError::NotHeld);
        }
        let CardStatement {
            name,
            serial,
            created,
            expires,
            addresses,
        } = *statement;
        let mut bytes = Vec::with_capacity(MAX_CARD_LEN);
        bytes.extend_from_slice(label::CARD);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&[KIND, VERSION, SUITE]);
        bytes.extend_from_slice(&serial.to_be_bytes());
        bytes.extend_from_slice(&created.as_millis().to_be_bytes());
        bytes.extend_from_slice(&expires.as_millis().to_be_bytes());
        bytes.extend_from_slice(identity.public_keys().verifying().as_bytes());
        bytes.extend_from_slice(identity.public_keys().encryption().as_bytes());
        bytes.extend_from_slice(xwing.as_bytes());
        bytes.push(u8::try_from(name.len()).map_err(|_| CardError::Name)?);
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(u8::try_from(addresses.len()).map_err(|_| CardError::Addresses)?);
        for address in addresses {
            let length = u16::try_from(address.len()).map_err(|_| CardError::Addresses)?;
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(address.as_bytes());
        }
        let signature = identity.sign(&bytes);
        bytes.extend_from_slice(&signature);
        // Reading it back applies every rule, so that nothing is signed that others refuse.
        Self::parse(bytes.get(label::CARD.len()..).unwrap_or_default())
    }

    /// Reads a card and checks its signature.
    ///
    /// # Errors
    ///
    /// The first rule of the specification that the bytes break.
    pub fn parse(bytes: &[u8]) -> Result<Self, CardError> {
        Self::read(bytes, Trust::Nothing)
    }

    /// Takes back what [`Self::as_bytes`] gave out, and leaves out the costly checks that it passed
    /// then: the signature, and whether the X25519 keys are in the right group. Not for bytes from
    /// anywhere else.
    ///
    /// # Errors
    ///
    /// Those of [`Self::parse`] but for these checks.
    pub fn from_stored(bytes: &[u8]) -> Result<Self, CardError> {
        Self::read(bytes, Trust::Stored)
    }

    fn read(bytes: &[u8], trust: Trust) -> Result<Self, CardError> {
        if bytes.len() < MIN_CARD_LEN {
            return Err(CardError::Truncated);
        }
        if bytes.len() > MAX_CARD_LEN {
            return Err(CardError::TooLong { found: bytes.len() });
        }
        let mut reader = Reader::new(bytes);
        if reader.array()? != MAGIC {
            return Err(CardError::NotACard);
        }
        let [kind, version, suite] = *reader.array()?;
        if kind != KIND {
            return Err(CardError::WrongKind { found: kind });
        }
        if version != VERSION || suite != SUITE {
            return Err(CardError::Newer { version, suite });
        }
        let serial = reader.u64()?;
        let created = Timestamp::from_millis(reader.u64()?).ok_or(CardError::Times)?;
        let expires = Timestamp::from_millis(reader.u64()?).ok_or(CardError::Times)?;
        if expires <= created {
            return Err(CardError::Times);
        }
        let signing_key = reader.array()?;
        let encryption_key = reader.array()?;
        let xwing_key = reader.array()?;
        let length = usize::from(reader.u8()?);
        let name = text(reader.bytes(length)?, MAX_CARD_NAME_LEN).ok_or(CardError::Name)?;
        let addresses = read_addresses(&mut reader)?;
        let signed = bytes
            .len()
            .checked_sub(reader.rest().len())
            .and_then(|length| bytes.get(..length))
            .unwrap_or_default();
        let signature = reader.array()?;
        if !reader.rest().is_empty() {
            return Err(CardError::Trailing);
        }

        let verifying = VerifyingKey::from_bytes(*signing_key)?;
        let (encryption, xwing) = match trust {
            Trust::Nothing => (
                EncryptionKey::from_bytes(*encryption_key)?,
                XWingKey::from_bytes(xwing_key)?,
            ),
            Trust::Stored => (
                EncryptionKey::from_stored(*encryption_key),
                XWingKey::from_stored(xwing_key)?,
            ),
        };
        let keys = PublicKeys::new(encryption, verifying);
        if trust == Trust::Nothing
            && !verifying.verifies(&[label::CARD, signed].concat(), signature)
        {
            return Err(CardError::NotVerified {
                claimed: Fingerprint::native(&verifying),
            });
        }
        Ok(Self {
            bytes: bytes.into(),
            serial,
            created,
            expires,
            keys,
            xwing,
            name: name.to_owned(),
            addresses,
        })
    }

    /// Reads the one-line form: [`CARD_PREFIX`] and base64url without padding, nothing around it.
    ///
    /// # Errors
    ///
    /// [`CardError::Text`] or [`CardError::TextTooLong`], and those of [`Self::parse`].
    pub fn from_text(text: &str) -> Result<Self, CardError> {
        if text.len() > MAX_CARD_TEXT_LEN {
            return Err(CardError::TextTooLong { found: text.len() });
        }
        match encoding::decode_line(CARD_PREFIX, text) {
            Ok(bytes) => Self::parse(&bytes),
            Err(LineError::Prefix | LineError::Alphabet) => Err(CardError::Text),
        }
    }

    /// Writes the one-line form, without a line end.
    #[must_use]
    pub fn to_text(&self) -> String {
        encoding::encode_line(CARD_PREFIX, &self.bytes)
    }

    /// The card as it was signed.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The digest of the signing key, for people to compare; the same on all cards of an identity.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::native(self.signing_key())
    }

    /// The key that is the identity.
    #[must_use]
    pub const fn signing_key(&self) -> &VerifyingKey {
        self.keys.verifying()
    }

    /// The keys of the ClawTalk format.
    #[must_use]
    pub const fn public_keys(&self) -> &PublicKeys {
        &self.keys
    }

    /// The key that envelopes are sealed to.
    #[must_use]
    pub const fn xwing_key(&self) -> &XWingKey {
        &self.xwing
    }

    /// The name that the identity suggests for itself. Not unique, and not to be believed.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Grows with every new card of the identity.
    #[must_use]
    pub const fn serial(&self) -> u64 {
        self.serial
    }

    /// When the card was made.
    #[must_use]
    pub const fn created(&self) -> Timestamp {
        self.created
    }

    /// The last moment at which others may seal to it.
    #[must_use]
    pub const fn expires(&self) -> Timestamp {
        self.expires
    }

    /// Where to reach the identity, the preferred place first.
    pub fn addresses(&self) -> impl Iterator<Item = &str> {
        self.addresses.iter().map(String::as_str)
    }

    /// Whether others may seal to the card at `now`.
    #[must_use]
    pub fn is_current(&self, now: Timestamp) -> bool {
        self.check_current(now).is_ok()
    }

    /// Checks that others may seal to the card at `now`.
    ///
    /// # Errors
    ///
    /// [`CardNotCurrent`] for a card that has expired, or that was created more than
    /// [`CLOCK_SKEW`] after `now`.
    pub fn check_current(&self, now: Timestamp) -> Result<(), CardNotCurrent> {
        let fingerprint = self.fingerprint();
        if self.created.is_after(now, CLOCK_SKEW) {
            return Err(CardNotCurrent::Future { fingerprint });
        }
        if now > self.expires {
            return Err(CardNotCurrent::Expired { fingerprint });
        }
        Ok(())
    }
}

/// What is known of the bytes of a card.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trust {
    Nothing,
    /// They passed every check before.
    Stored,
}

impl PartialEq for Card {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Card {}

impl hash::Hash for Card {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.bytes.hash(state);
    }
}

impl fmt::Debug for Card {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Card")
            .field("fingerprint", &self.fingerprint())
            .field("name", &self.name)
            .field("serial", &self.serial)
            .field("created", &self.created)
            .field("expires", &self.expires)
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

/// A card that nothing may be sealed to now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CardNotCurrent {
    /// Created later than the clock allows.
    #[error(
        "the key card of {fingerprint} was created in the future; \
         compare this machine's clock with its owner's"
    )]
    Future {
        /// Whose card.
        fingerprint: Fingerprint,
    },
    /// Its life is over.
    #[error("the key card of {fingerprint} has expired; ask its owner for the current one")]
    Expired {
        /// Whose card.
        fingerprint: Fingerprint,
    },
}

/// Bytes or a text that are no card, or a statement that no card can make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CardError {
    /// Two addresses, too many or too long ones, or control characters in one.
    #[error(
        "a key card has at most {MAX_CARD_ADDRESSES} addresses, all different, each of 1 to \
         {MAX_CARD_ADDRESS_LEN} bytes without control characters"
    )]
    Addresses,
    /// A key that must not be used.
    #[error("the key card is unusable: {0}")]
    Key(#[from] KeyError),
    /// No name, a longer one, or control characters in it.
    #[error("a key card has a name of 1 to {MAX_CARD_NAME_LEN} bytes without control characters")]
    Name,
    /// A version or suite that this program does not know.
    #[error("the key card has version {version}, suite {suite}; update ctalk to read it")]
    Newer {
        /// Version found.
        version: u8,
        /// Suite found.
        suite: u8,
    },
    /// Other bytes.
    #[error("this is no key card")]
    NotACard,
    /// An X-Wing key that the signing identity does not hold.
    #[error("the X-Wing key for the card is not one of this identity's")]
    NotHeld,
    /// The signature is not that of the card's own signing key.
    #[error(
        "the key card was not signed by {claimed}, whose card it claims to be; ask for it again"
    )]
    NotVerified {
        /// Whose card it claims to be.
        claimed: Fingerprint,
    },
    /// Not the one-line form.
    #[error(
        "a key card in text is one line, {CARD_PREFIX} and base64url without padding; \
         copy all of it and nothing else"
    )]
    Text,
    /// A text longer than [`MAX_CARD_TEXT_LEN`].
    #[error("the text has {found} bytes and that of a key card at most {MAX_CARD_TEXT_LEN}")]
    TextTooLong {
        /// Bytes found.
        found: usize,
    },
    /// A time beyond the calendar, or an end that is not after the beginning.
    #[error("the key card's times are not in order")]
    Times,
    /// Longer than [`MAX_CARD_LEN`].
    #[error("the key card has {found} bytes, more than the {MAX_CARD_LEN} allowed")]
    TooLong {
        /// Bytes found.
        found: usize,
    },
    /// Something after the signature.
    #[error("the key card has bytes after its end")]
    Trailing,
    /// The bytes end within the card.
    #[error("the key card is cut off; copy all of it")]
    Truncated,
    /// Something else of ctalk's.
    #[error("this is no key card but {}", kind_name(*found))]
    WrongKind {
        /// The byte that tells the kind.
        found: u8,
    },
}

impl CardError {
    /// The class of the failure.
    #[must_use]
    pub const fn failure(&self) -> Failure {
        match self {
            Self::Newer { .. } => Failure::Newer,
            Self::NotVerified { .. } => Failure::NotVerified,
            Self::Addresses
            | Self::Key(_)
            | Self::Name
            | Self::NotACard
            | Self::NotHeld
            | Self::Text
            | Self::TextTooLong { .. }
            | Self::Times
            | Self::TooLong { .. }
            | Self::Trailing
            | Self::Truncated
            | Self::WrongKind { .. } => Failure::Malformed,
        }
    }
}

impl From<Truncated> for CardError {
    fn from(Truncated: Truncated) -> Self {
        Self::Truncated
    }
}

/// What the kind byte after the magic stands for.
pub(crate) const fn kind_name(kind: u8) -> &'static str {
    match kind {
        b'c' => "a key card",
        b'e' => "an envelope",
        b'j' => "a pairing message",
        b'p' => "a part of an envelope",
        b'r' => "a revocation",
        b's' => "a succession",
        _ => "something of an unknown kind",
    }
}

fn read_addresses(reader: &mut Reader<'_>) -> Result<Vec<String>, CardError> {
    let count = usize::from(reader.u8()?);
    if count > MAX_CARD_ADDRESSES {
        return Err(CardError::Addresses);
    }
    let mut addresses: Vec<String> = Vec::with_capacity(count);
    for _ in 0..count {
        let length = usize::from(reader.u16()?);
        if length > MAX_CARD_ADDRESS_LEN {
            return Err(CardError::Addresses);
        }
        let address = text(reader.bytes(length)?, MAX_CARD_ADDRESS_LEN)
            .filter(|address| !addresses.iter().any(|other| other == address))
            .ok_or(CardError::Addresses)?;
        addresses.push(address.to_owned());
    }
    Ok(addresses)
}

/// UTF-8 of 1 to `most` bytes without characters of category Cc.
fn text(bytes: &[u8], most: usize) -> Option<&str> {
    core::str::from_utf8(bytes)
        .ok()
        .filter(|text| !text.is_empty() && text.len() <= most)
        .filter(|text| !text.chars().any(char::is_control))
}
