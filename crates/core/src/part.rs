//! Parts: an envelope that is longer than a relay's messages may be, cut into signed slices. Byte for
//! byte they are described in section 7.1 of `docs/ENVELOPE.md`.
//!
//! [`Split`] cuts an envelope. A received [`Part`] is parsed and nothing else, a [`VerifiedPart`] was
//! signed by the sender that it names; both say of which [`Whole`] they are a part. All parts of an
//! envelope agree on that. What the slices make together is what [`Whole::join`] lets pass, an envelope
//! of which nothing more is proven than that its parts come from the sender that it names.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use ctalk_core::{Card, CardStatement, Identity, Timestamp, XWingSecret, envelope::{self, Kind, Metadata}};
//! use ctalk_core::part::{Part, Split, slice_len_for};
//!
//! # let mut rng = getrandom::rand_core::UnwrapErr(getrandom::SysRng);
//! # let now = Timestamp::from_millis(1_800_000_000_000).ok_or("late")?;
//! # let tomorrow = now.checked_add(std::time::Duration::from_secs(86_400)).ok_or("late")?;
//! # let alice = Identity::generate(&mut rng);
//! # let bob = Identity::generate(&mut rng).with_xwing(XWingSecret::generate(&mut rng));
//! # let statement = CardStatement { name: "bob", serial: 1, created: now, expires: tomorrow, addresses: &[] };
//! # let card = Card::sign(&bob, bob.xwing_keys().next().ok_or("no key")?, &statement)?;
//! # let metadata = Metadata::new(Kind::Request, "text/plain");
//! # let sealed = envelope::seal(&alice, [&card], &metadata, &[b'?'; 9000], now, tomorrow, &mut rng)?;
//! let split = Split::new(&alice, &sealed, slice_len_for(4096).ok_or("too small a relay")?)?;
//! let mut slices = Vec::new();
//! for text in split.texts(&alice, 0) {
//!     let bytes = Part::from_text(&text)?;
//!     let part = Part::parse(&bytes)?.verify()?;
//!     assert_eq!(part.whole(), split.whole());
//!     part.whole().check_life(now)?;
//!     slices.push(part.slice().to_vec());
//! }
//! assert_eq!(split.whole().join(slices.concat())?, sealed);
//! # Ok(())
//! # }
//! ```

mod error;
mod split;
mod whole;

use core::fmt;

use crate::{
    encoding,
    fingerprint::Fingerprint,
    keys::VerifyingKey,
    label,
    reader::{Reader, Truncated},
    timestamp::Timestamp,
};

pub use error::{PartError, SplitError, WholeError};
pub use split::{Split, slice_len_for};
pub use whole::{Fact, Whole};

/// What the one-line form of a part begins with.
pub const PART_PREFIX: &str = "ctalk2p:";

/// Least bytes of a slice that is not the last one.
pub const MIN_SLICE_LEN: u16 = 2_048;

/// Most bytes of a slice: what fits into a text of 60,000 characters.
pub const MAX_SLICE_LEN: u16 = 44_800;

/// Most bytes of an envelope that is sent in parts: 96 MiB.
pub const MAX_SPLIT_LEN: u32 = 96 * 1024 * 1024;

/// Most characters of the one-line form of a part.
pub const MAX_PART_TEXT_LEN: usize = 59_966;

const MAGIC: &[u8; 5] = b"ctalk";
const KIND: u8 = b'p';
const VERSION: u8 = 2;
const SUITE: u8 = 1;
/// Bytes before the slice.
const START_LEN: usize = 104;
const SIGNATURE_LEN: usize = 64;
const MIN_LEN: usize = START_LEN + 1 + SIGNATURE_LEN;
const MAX_LEN: usize = START_LEN + MAX_SLICE_LEN as usize + SIGNATURE_LEN;

/// A part within limits and in its one encoding. Nothing here may be trusted yet.
#[derive(Clone)]
pub struct Part<'b> {
    whole: Whole,
    index: u16,
    slice: &'b [u8],
    /// Everything before the signature.
    signed: &'b [u8],
    signature: &'b [u8; SIGNATURE_LEN],
}

impl<'b> Part<'b> {
    /// Reads the one-line form and nothing around it. The bytes need not be a part.
    ///
    /// # Errors
    ///
    /// [`PartError::Text`].
    pub fn from_text(text: &str) -> Result<Vec<u8>, PartError> {
        if text.len() > MAX_PART_TEXT_LEN {
            return Err(PartError::Text);
        }
        encoding::decode_line(PART_PREFIX, text).map_err(|_| PartError::Text)
    }

    /// Reads a part without any cryptography.
    ///
    /// # Errors
    ///
    /// The first rule of the specification that the bytes break.
    pub fn parse(bytes: &'b [u8]) -> Result<Self, PartError> {
        let length = PartError::Length { found: bytes.len() };
        if !(MIN_LEN..=MAX_LEN).contains(&bytes.len()) {
            return Err(length);
        }
        let (signed, signature) = bytes.split_last_chunk().ok_or(length)?;
        let mut reader = Reader::new(signed);
        if reader.array()? != MAGIC {
            return Err(PartError::NotAPart);
        }
        let [kind, version, suite] = *reader.array()?;
        if kind != KIND {
            return Err(PartError::WrongKind { found: kind });
        }
        if version != VERSION || suite != SUITE {
            return Err(PartError::Newer { version, suite });
        }
        let (whole, index) = Whole::read(&mut reader)?;
        let slice = reader.rest();
        let expected = whole.slice_len_of(index).ok_or_else(|| PartError::Index {
            found: index,
            count: whole.count(),
        })?;
        if slice.len() != expected {
            return Err(PartError::Slice {
                expected,
                found: slice.len(),
            });
        }
        Ok(Self {
            whole,
            index,
            slice,
            signed,
            signature,
        })
    }

    /// Of what it claims to be a part, unproven.
    #[must_use]
    pub const fn claims(&self) -> &Whole {
        &self.whole
    }

    /// Checks the signature over everything else.
    ///
    /// # Errors
    ///
    /// [`PartError::SenderKey`] or [`PartError::NotVerified`] when the sender that the part names did
    /// not sign exactly this.
    pub fn verify(self) -> Result<VerifiedPart<'b>, PartError> {
        let sender = VerifyingKey::from_bytes(self.whole.sender)?;
        if !sender.verifies(&statement(self.signed), self.signature) {
            return Err(PartError::NotVerified {
                sender: Fingerprint::native(&sender),
            });
        }
        Ok(VerifiedPart {
            sender,
            whole: self.whole,
            index: self.index,
            slice: self.slice,
        })
    }
}

impl fmt::Debug for Part<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Part")
            .field("whole", &self.whole)
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}

/// A part with a proven sender. Only [`Part::verify`] makes one.
///
/// What the sender says in it is not proven by that: whether the parts make an envelope shows only when
/// all of them are there.
#[derive(Clone)]
pub struct VerifiedPart<'b> {
    sender: VerifyingKey,
    whole: Whole,
    index: u16,
    slice: &'b [u8],
}

impl<'b> VerifiedPart<'b> {
    /// The key that signed.
    #[must_use]
    pub const fn sender(&self) -> &VerifyingKey {
        &self.sender
    }

    /// Of what it is a part.
    #[must_use]
    pub const fn whole(&self) -> &Whole {
        &self.whole
    }

    /// Its place among the parts, from 0.
    #[must_use]
    pub const fn index(&self) -> u16 {
        self.index
    }

    /// Its bytes of the envelope, those at [`Whole::range`] of its index.
    #[must_use]
    pub const fn slice(&self) -> &'b [u8] {
        self.slice
    }
}

impl fmt::Debug for VerifiedPart<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("VerifiedPart")
            .field("whole", &self.whole)
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}

/// What the sender signs of a part.
fn statement(signed: &[u8]) -> Vec<u8> {
    [label::PART, signed].concat()
}

/// A time, or why it is none.
fn read_time(reader: &mut Reader<'_>) -> Result<Timestamp, PartError> {
    Timestamp::from_millis(reader.u64()?).ok_or(PartError::Time)
}

impl From<Truncated> for PartError {
    /// Lengths were checked before, so no input meets this.
    fn from(Truncated: Truncated) -> Self {
        Self::Length { found: 0 }
    }
}
