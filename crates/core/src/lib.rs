//! ctalk without I/O: identities, key cards and statements of an identity's end, safety numbers, trust
//! rules, the native envelope and the ClawTalk message format.
//!
//! Bytes and plain values go in, bytes and plain values come out. Nothing here reads a disk, a
//! network, a clock or the environment; randomness is an argument.
//!
//! A received [`envelope`] passes through types that each prove one more thing, and no step goes
//! back: [`envelope::Envelope`] is parsed and nothing else, [`envelope::Verified`] has a proven
//! sender, [`envelope::Opened`] was also sealed for us and has a payload.
//!
//! An envelope that is too long for a relay goes in [`part`]s.
//!
//! By [`pairing`], two people who share a short code get each other's cards without believing the relay
//! between them.
//!
//! A received [`classic`] message does the same: [`classic::Message`] is parsed and nothing else,
//! [`classic::VerifiedMessage`] was signed by a known key, [`classic::Opened`] was also sealed for us
//! and has a payload. What came unsigned or unencrypted ends as [`classic::Unauthenticated`], which
//! never becomes one of the others.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use ctalk_core::{Identity, classic};
//!
//! # let mut rng = getrandom::rand_core::UnwrapErr(getrandom::SysRng);
//! let (alice, bob) = (Identity::generate(&mut rng), Identity::generate(&mut rng));
//!
//! let metadata =
//!     classic::Metadata { to: "bob", message_type: "request", topic: None, correlation_id: None };
//! let payload = serde_json::value::to_raw_value("a question")?;
//! let sealed = classic::seal(
//!     &alice,
//!     &mut classic::BoxKeys::default(),
//!     bob.public_keys().encryption(),
//!     &metadata,
//!     &payload,
//!     &mut rng,
//! )?;
//!
//! let relayed = serde_json::json!({
//!     "id": "1", "from": "alice", "to": "bob", "type": "request", "encrypted": true,
//!     "payload": sealed.payload, "nonce": sealed.nonce, "signature": sealed.signature,
//! });
//! let classic::Message::Signed(message) = classic::Message::parse(relayed.to_string().as_bytes())?
//! else {
//!     return Err("not signed".into());
//! };
//! let opened =
//!     message.verify(alice.public_keys())?.open(&bob, &mut classic::BoxKeys::default())?;
//! assert_eq!(opened.payload().get(), r#""a question""#);
//! # Ok(())
//! # }
//! ```

mod card;
mod encoding;
mod fingerprint;
mod identity;
mod json;
mod keygen;
mod keys;
#[cfg(test)]
mod known_answers;
mod label;
mod reader;
mod revocation;
mod safety_number;
mod statement;
mod succession;
mod timestamp;
mod xwing;

pub mod classic;
pub mod envelope;
pub mod pairing;
pub mod part;
pub mod trust;

pub use card::{
    CARD_PREFIX, Card, CardError, CardNotCurrent, CardStatement, MAX_CARD_ADDRESS_LEN,
    MAX_CARD_ADDRESSES, MAX_CARD_LEN, MAX_CARD_NAME_LEN, MAX_CARD_TEXT_LEN,
};
pub use fingerprint::{Fingerprint, FingerprintError};
pub use identity::Identity;
pub use keygen::{KeygenError, MAX_KEYGEN_JSON_LEN};
pub use keys::{EncryptionKey, KeyDefect, KeyError, KeyName, PublicKeys, VerifyingKey};
pub use revocation::Revocation;
pub use safety_number::{
    SAFETY_DIGITS, SAFETY_PREFIX, SAFETY_WORDS, SafetyNumber, SafetyNumberError,
};
pub use statement::{StatementError, StatementKind};
pub use succession::Succession;
pub use timestamp::{CLOCK_SKEW, Timestamp};
pub use xwing::{XWING_KEY_LEN, XWING_SEED_LEN, XWingKey, XWingSecret};
