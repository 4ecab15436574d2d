//! The native envelope: post-quantum, for several recipients, of any size. Byte for byte it is
//! described in `docs/ENVELOPE.md`.
//!
//! A message in memory is sealed by [`seal()`] and opened by [`Envelope::parse`],
//! [`Envelope::verify`] and [`Verified::open`]; each type is reachable only from the one before.
//! For what does not fit into memory the same steps go segment by segment, and on two threads:
//!
//! | | first thread | second thread |
//! | --- | --- | --- |
//! | sealing ([`Sealing`]) | reads content, [`SegmentCipher`] | [`SegmentSigner`], writes |
//! | opening ([`Header`]) | reads, [`SegmentVerifier`] | [`SegmentOpener`], writes content |
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use ctalk_core::{
//!     Card, CardStatement, Identity, Timestamp, XWingSecret,
//!     envelope::{self, Envelope, Kind, Metadata},
//! };
//!
//! # let mut rng = getrandom::rand_core::UnwrapErr(getrandom::SysRng);
//! # let now = Timestamp::from_millis(1_800_000_000_000).ok_or("late")?;
//! # let tomorrow = now.checked_add(std::time::Duration::from_secs(86_400)).ok_or("late")?;
//! let alice = Identity::generate(&mut rng);
//! let bob = Identity::generate(&mut rng).with_xwing(XWingSecret::generate(&mut rng));
//! let statement =
//!     CardStatement { name: "bob", serial: 1, created: now, expires: tomorrow, addresses: &[] };
//! let card = Card::sign(&bob, bob.xwing_keys().next().ok_or("no key")?, &statement)?;
//!
//! let metadata = Metadata::new(Kind::Request, "text/plain");
//! let sealed =
//!     envelope::seal(&alice, [&card], &metadata, b"a question", now, tomorrow, &mut rng)?;
//!
//! let opened = Envelope::parse(&sealed)?.verify()?.open(&bob, now)?;
//! assert_eq!(&opened.sender, alice.public_keys().verifying());
//! assert_eq!(opened.payload, b"a question");
//! # Ok(())
//! # }
//! ```

mod chain;
mod content_key;
mod failure;
mod header;
mod hint;
mod message;
mod metadata;
mod open;
mod padding;
mod receipt;
mod seal;
mod segment;
mod text;
mod verify;
mod wrap;

pub use failure::Failure;
pub use header::{
    Claims, EnvelopeId, EnvelopeIdError, HEADER_START_LEN, Header, MAX_HEADER_LEN, MAX_LIFE,
    MAX_RECIPIENTS, ParseError,
};
pub use message::{Envelope, Opened, Verified};
pub use metadata::{
    Field, Kind, MAX_CONTENT_TYPE_LEN, MAX_LABEL_LEN, MAX_NAME_LEN, Metadata, MetadataError,
};
pub use open::{OpenError, OpenedSegment, Opening, SegmentOpener};
pub use receipt::{MAX_RECEIPT_LEN, RECEIPT_TYPE, Receipt, ReceiptError, ReceiptOutcome};
pub use seal::{
    EncryptedSegment, FinalSegments, PlainSegment, SealError, Sealing, SegmentCipher,
    SegmentSigner, seal,
};
pub use segment::{SEGMENT_LEN, SLOT_LEN, Segment};
pub use text::{TEXT_PREFIX, TextError, from_text, to_text};
pub use verify::{NotVerified, SegmentVerifier, VerifiedHeader, VerifiedSegment};
