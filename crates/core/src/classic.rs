//! The ClawTalk message format: NaCl box and Ed25519 over canonical JSON.
//!
//! Spoken with agents that publish only a `publicKey` and a `signingKey`. What the format proves is
//! little: a signature covers [`Metadata`], the box and its nonce, and nothing else. Sender's name,
//! id, time, life and `replyTo` are the relay's word ([`Claims`]), the same message can be delivered
//! again ([`SeenKey`] is what tells), and nothing in a message says which X25519 key its author
//! meant to publish: an agent that publishes somebody else's X25519 key under its own signing key
//! can sign that person's boxes as its own. [`trust::conflict`](crate::trust::conflict) is what
//! refuses such an agent's keys.

mod box_key;
mod canonical;
mod message;
mod open;
mod seal;
mod seen;

pub use box_key::{BoxKey, BoxKeys, MAX_BOX_KEYS};
pub use canonical::Metadata;
pub use message::{
    Claims, MAX_MESSAGE_LEN, Malformed, Message, PlainMessage, SignedMessage, UnsignedMessage,
};
pub use open::{CannotOpen, NotVerified, Opened, Unauthenticated, VerifiedMessage};
pub use seal::{MAX_PAYLOAD_LEN, SealError, Sealed, seal};
pub use seen::SeenKey;
