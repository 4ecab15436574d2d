//! ClawTalk messages: as a relay hands them over, and what a sender may have put into a box.

use std::{cell::RefCell, sync::LazyLock};

use base64::{Engine, engine::general_purpose::STANDARD};
use crypto_box::{SalsaBox, SecretKey, aead::Aead};
use ctalk_core::classic::{
    self, BoxKeys, CannotOpen, Claims, MAX_PAYLOAD_LEN, Message, Metadata, SealError, Sealed,
};
use serde_json::{Value, json, value::RawValue};

use super::people::{ALICE, ALICES_ENCRYPTION_SECRET, BOB, Ring};

const NONCE: [u8; 24] = [7; 24];

thread_local! {
    static KEYS: RefCell<BoxKeys> = RefCell::default();
}

/// Takes `data` as a relayed message, then as what is in a box.
pub(crate) fn check(data: &[u8]) -> bool {
    boxed(data);
    let Ok(message) = Message::parse(data) else {
        return false;
    };
    relayed(message, data);
    true
}

/// What was read stands in the text, and what is sealed with the same words arrives.
fn relayed(message: Message, data: &[u8]) {
    let claims = message.claims().clone();
    // A second reader refuses more, such as a lone surrogate in a member that nobody asks for.
    if let Ok(value) = serde_json::from_slice::<Value>(data) {
        assert_eq!(words(&value), claims);
    }
    match message {
        Message::Signed(message) => {
            if let Ok(message) = message.verify(ALICE.public_keys()) {
                assert_eq!(message.claims(), &claims);
                let _ = with_keys(|keys| message.open(&BOB, keys));
            }
            arrives(&claims, &raw("{}"));
        }
        Message::Unsigned(message) => {
            let _ = with_keys(|keys| message.open(ALICE.public_keys(), &BOB, keys));
            arrives(&claims, &raw("[]"));
        }
        Message::Plain(message) => {
            let message = message.accept();
            assert_eq!(message.claims(), &claims);
            assert!(!message.was_encrypted());
            arrives(&claims, message.payload());
        }
    }
}

/// Alice seals `payload` under the words of `claims`; the relay lists it; bob reads it.
fn arrives(claims: &Claims, payload: &RawValue) {
    let metadata = Metadata {
        to: &claims.to,
        message_type: &claims.message_type,
        topic: claims.topic.as_deref(),
        correlation_id: claims.correlation_id.as_deref(),
    };
    let bob = BOB.public_keys().encryption();
    let rng = &mut Ring::new(NONCE.to_vec());
    let sealed = with_keys(|keys| classic::seal(&ALICE, keys, bob, &metadata, payload, rng));
    let Sealed {
        payload: text,
        nonce,
        signature,
    } = match sealed {
        Ok(sealed) => sealed,
        Err(SealError::TooLong { found }) => {
            assert!(found == payload.get().len() && found > MAX_PAYLOAD_LEN);
            return;
        }
        Err(error) => panic!("what was accepted can be sealed: {error}"),
    };
    let listed = json!({
        "id": claims.id, "from": claims.from, "to": claims.to, "type": claims.message_type,
        "topic": claims.topic, "correlationId": claims.correlation_id, "replyTo": claims.reply_to,
        "ts": claims.ts, "encrypted": true, "payload": text, "nonce": nonce, "signature": signature,
    });
    let Message::Signed(message) = Message::parse(listed.to_string().as_bytes()).unwrap() else {
        panic!("it has a signature");
    };
    let message = message.verify(ALICE.public_keys()).unwrap();
    let opened = with_keys(|keys| message.open(&BOB, keys)).unwrap();
    assert_eq!(opened.claims(), claims);
    assert_eq!(opened.payload().get(), payload.get());
}

/// Whatever is in a box, it comes out as it is, or as no JSON.
fn boxed(data: &[u8]) {
    static KEY: LazyLock<SalsaBox> = LazyLock::new(|| {
        let bob = *BOB.public_keys().encryption().as_bytes();
        SalsaBox::new(
            &bob.into(),
            &SecretKey::from_bytes(ALICES_ENCRYPTION_SECRET),
        )
    });
    let sealed = KEY.encrypt(&NONCE.into(), data).unwrap();
    let listed = json!({
        "from": "alice", "to": "bob", "type": "request", "encrypted": true,
        "payload": STANDARD.encode(sealed), "nonce": STANDARD.encode(NONCE),
    });
    // Refused only where the box is longer than messages are.
    let Ok(message) = Message::parse(listed.to_string().as_bytes()) else {
        assert!(data.len() > MAX_PAYLOAD_LEN);
        return;
    };
    let Message::Unsigned(message) = message else {
        panic!("it has no signature");
    };
    match with_keys(|keys| message.open(ALICE.public_keys(), &BOB, keys)) {
        Ok(opened) => {
            let text = core::str::from_utf8(data).unwrap();
            assert_eq!(
                opened.payload().get(),
                text.trim_matches([' ', '\t', '\n', '\r'])
            );
            assert!(serde_json::from_str::<Value>(text).is_ok());
        }
        Err(error) => {
            assert_eq!(error, CannotOpen::NotJson);
            assert!(serde_json::from_slice::<Value>(data).is_err());
        }
    }
}

/// The claims as another reader finds them.
fn words(value: &Value) -> Claims {
    let optional = |name: &str| match &value[name] {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => panic!("{name} is {other}"),
    };
    let required = |name: &str| optional(name).unwrap();
    Claims {
        id: optional("id"),
        from: required("from"),
        to: required("to"),
        message_type: required("type"),
        topic: optional("topic"),
        correlation_id: optional("correlationId"),
        reply_to: optional("replyTo"),
        ts: optional("ts"),
    }
}

fn with_keys<T>(step: impl FnOnce(&mut BoxKeys) -> T) -> T {
    KEYS.with_borrow_mut(step)
}

fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}
