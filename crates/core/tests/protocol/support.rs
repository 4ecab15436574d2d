//! Fixed keys, fixed randomness and relayed messages for tests.

use core::convert::Infallible;

use ctalk_core::{
    Identity,
    classic::{self, BoxKeys, Message, Metadata, Sealed, SignedMessage},
};
use rand_core::{TryCryptoRng, TryRng};
use serde_json::{Value, json, value::RawValue};

/// Ascending bytes, as the protocol's vectors use them for keys and nonces.
pub(crate) struct Ascending(pub(crate) u8);

impl TryRng for Ascending {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)
            .map(|()| u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)
            .map(|()| u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for byte in bytes {
            *byte = self.0;
            self.0 = self.0.wrapping_add(1);
        }
        Ok(())
    }
}

impl TryCryptoRng for Ascending {}

/// An identity of its own for each number.
pub(crate) fn identity(number: u8) -> Identity {
    Identity::generate(&mut Ascending(number))
}

pub(crate) fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap()
}

/// A message with every member that a signature covers.
pub(crate) const METADATA: Metadata<'_> = Metadata {
    to: "bob",
    message_type: "request",
    topic: Some("sync"),
    correlation_id: Some("c-1"),
};

/// `payload` sealed by `sender` for `recipient` with [`METADATA`].
pub(crate) fn seal(sender: &Identity, recipient: &Identity, payload: &str) -> Sealed {
    classic::seal(
        sender,
        &mut BoxKeys::default(),
        recipient.public_keys().encryption(),
        &METADATA,
        &raw(payload),
        &mut Ascending(0x80),
    )
    .unwrap()
}

/// What a relay would list for `sealed`.
pub(crate) fn relayed(sealed: &Sealed) -> Value {
    json!({
        "id": "m-1",
        "from": "alice",
        "to": METADATA.to,
        "type": METADATA.message_type,
        "topic": METADATA.topic,
        "correlationId": METADATA.correlation_id,
        "encrypted": true,
        "payload": sealed.payload,
        "nonce": sealed.nonce,
        "signature": sealed.signature,
        "ts": "2026-03-21T10:11:12.345Z",
    })
}

pub(crate) fn parse(message: &Value) -> Message {
    Message::parse(message.to_string().as_bytes()).unwrap()
}

pub(crate) fn signed(message: &Value) -> SignedMessage {
    match parse(message) {
        Message::Signed(message) => message,
        other => panic!("not signed: {other:?}"),
    }
}
