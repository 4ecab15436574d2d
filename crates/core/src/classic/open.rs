//! From a parsed message to its payload. No step goes back.

use core::fmt;

use serde_json::value::RawValue;
use zeroize::Zeroize;

use super::{
    box_key::{BoxKey, BoxKeys, TAG_LEN},
    canonical::{Metadata, canonical},
    message::{Claims, PlainMessage, SealedBox, SignedMessage, UnsignedMessage},
    seen::SeenKey,
};
use crate::{Fingerprint, Identity, PublicKeys, json};

impl SignedMessage {
    /// Checks the signature over the members as received, with the keys of the agent that the
    /// caller holds to be the sender.
    ///
    /// # Errors
    ///
    /// [`NotVerified`] when the sender's signing key did not sign exactly this.
    pub fn verify(self, sender: &PublicKeys) -> Result<VerifiedMessage, NotVerified> {
        let Self {
            claims,
            sealed,
            signature,
        } = self;
        let metadata = Metadata {
            to: &claims.to,
            message_type: &claims.message_type,
            topic: claims.topic.as_deref(),
            correlation_id: claims.correlation_id.as_deref(),
        };
        let signed = canonical(&metadata, &sealed.payload, &sealed.nonce);
        if !sender.verifying().verifies(signed.as_bytes(), &signature) {
            return Err(NotVerified {
                sender: sender.fingerprint(),
            });
        }
        let seen_key = SeenKey::of_box(
            sender.encryption(),
            &sealed.nonce_bytes,
            &sealed.payload_bytes,
        );
        Ok(VerifiedMessage {
            claims,
            sealed,
            sender: *sender,
            seen_key,
        })
    }
}

/// A message signed by a known key. Only [`SignedMessage::verify`] makes one.
///
/// The signature proves who signed, not who wrote: whoever holds the box key of the sender's X25519
/// key may have made the box. It also does not prove that the message is new.
#[derive(Debug)]
pub struct VerifiedMessage {
    claims: Claims,
    sealed: SealedBox,
    sender: PublicKeys,
    seen_key: SeenKey,
}

impl VerifiedMessage {
    /// Opens the box that the sender made for `identity`.
    ///
    /// # Errors
    ///
    /// [`CannotOpen`] when the box was made with other keys or holds no JSON.
    pub fn open(self, identity: &Identity, keys: &mut BoxKeys) -> Result<Opened, CannotOpen> {
        let Self {
            claims,
            sealed,
            sender,
            seen_key,
        } = self;
        let payload = open_box(sealed, keys.get(identity, sender.encryption()))?;
        Ok(Opened {
            claims,
            payload,
            sender,
            seen_key,
        })
    }

    /// The keys that the message was verified with.
    #[must_use]
    pub const fn sender(&self) -> &PublicKeys {
        &self.sender
    }

    /// What relay and sender say about the message.
    #[must_use]
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// What tells this message from another one.
    #[must_use]
    pub const fn seen_key(&self) -> SeenKey {
        self.seen_key
    }
}

/// A message signed by a known key and sealed for us. Only [`VerifiedMessage::open`] makes one.
#[must_use = "handle the payload once, then record the seen key"]
pub struct Opened {
    claims: Claims,
    payload: Box<RawValue>,
    sender: PublicKeys,
    seen_key: SeenKey,
}

impl Opened {
    /// The keys that the message was verified with.
    #[must_use]
    pub const fn sender(&self) -> &PublicKeys {
        &self.sender
    }

    /// What relay and sender say about the message.
    #[must_use]
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// What the sender sealed, byte for byte; every part of it has a JSON value.
    #[must_use]
    pub fn payload(&self) -> &RawValue {
        &self.payload
    }

    /// What tells this message from another one.
    #[must_use]
    pub const fn seen_key(&self) -> SeenKey {
        self.seen_key
    }

    /// Gives the payload away.
    #[must_use]
    pub fn into_payload(self) -> Box<RawValue> {
        self.payload
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            claims,
            payload: _,
            sender,
            seen_key,
        } = self;
        formatter
            .debug_struct("Opened")
            .field("claims", claims)
            .field("sender", sender)
            .field("seen_key", seen_key)
            .finish_non_exhaustive()
    }
}

impl UnsignedMessage {
    /// Opens a box that nobody signed, with the keys of the agent that the message claims to be
    /// from. That it opens proves only that one of the two key holders made it.
    ///
    /// # Errors
    ///
    /// [`CannotOpen`] when the box was made with other keys or holds no JSON.
    pub fn open(
        self,
        claimed_sender: &PublicKeys,
        identity: &Identity,
        keys: &mut BoxKeys,
    ) -> Result<Unauthenticated, CannotOpen> {
        let Self { claims, sealed } = self;
        let seen_key = SeenKey::of_box(
            claimed_sender.encryption(),
            &sealed.nonce_bytes,
            &sealed.payload_bytes,
        );
        let payload = open_box(sealed, keys.get(identity, claimed_sender.encryption()))?;
        Ok(Unauthenticated {
            claims,
            payload,
            was_encrypted: true,
            seen_key,
        })
    }
}

impl PlainMessage {
    /// Takes a message that anybody on the way may have written or read.
    pub fn accept(self) -> Unauthenticated {
        let Self { claims, payload } = self;
        let seen_key = SeenKey::plain(&claims.from, claims.id.as_deref(), payload.get());
        Unauthenticated {
            claims,
            payload,
            was_encrypted: false,
            seen_key,
        }
    }
}

/// A payload of unproven origin. It never becomes an [`Opened`].
#[must_use = "handle the payload once, then record the seen key"]
pub struct Unauthenticated {
    claims: Claims,
    payload: Box<RawValue>,
    was_encrypted: bool,
    seen_key: SeenKey,
}

impl Unauthenticated {
    /// What relay and sender say about the message; nothing of it is proven.
    #[must_use]
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// What the message holds; every part of it has a JSON value.
    #[must_use]
    pub fn payload(&self) -> &RawValue {
        &self.payload
    }

    /// Whether the payload came in a box, unreadable for the relay, or in plain text.
    #[must_use]
    pub const fn was_encrypted(&self) -> bool {
        self.was_encrypted
    }

    /// What tells this message from another one.
    #[must_use]
    pub const fn seen_key(&self) -> SeenKey {
        self.seen_key
    }

    /// Gives the payload away.
    #[must_use]
    pub fn into_payload(self) -> Box<RawValue> {
        self.payload
    }
}

impl fmt::Debug for Unauthenticated {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            claims,
            payload: _,
            was_encrypted,
            seen_key,
        } = self;
        formatter
            .debug_struct("Unauthenticated")
            .field("claims", claims)
            .field("was_encrypted", was_encrypted)
            .field("seen_key", seen_key)
            .finish_non_exhaustive()
    }
}

/// A signature that the sender's signing key did not make over this message.
///
/// The relay altered or re-addressed it, somebody else wrote it, or the sender signed something
/// else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the signature is not that of {sender} over this message; \
     ask the sender to send it again, and compare fingerprints if that fails too"
)]
pub struct NotVerified {
    /// The keys that were tried.
    pub sender: Fingerprint,
}

/// A box that gives no payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CannotOpen {
    /// The box was not made between the sender's published key and ours.
    #[error(
        "the box was not made with the sender's publicKey for ours; \
         the sender may hold an old key of ours"
    )]
    WrongKeys,
    /// The sender sealed something that is not UTF-8 JSON text with a value.
    #[error("the box holds no readable JSON; the sender's program is at fault")]
    NotJson,
}

/// Opens a box; what is left of a plaintext that is no JSON is wiped.
fn open_box(sealed: SealedBox, key: &BoxKey) -> Result<Box<RawValue>, CannotOpen> {
    let SealedBox {
        payload: _,
        nonce: _,
        payload_bytes: mut bytes,
        nonce_bytes,
    } = sealed;
    key.open(&nonce_bytes, &mut bytes)
        .map_err(|_| CannotOpen::WrongKeys)?;
    let payload = bytes
        .get(TAG_LEN..)
        .and_then(|plaintext| serde_json::from_slice::<Box<RawValue>>(plaintext).ok())
        .filter(|payload| json::has_value(payload));
    bytes.zeroize();
    payload.ok_or(CannotOpen::NotJson)
}
