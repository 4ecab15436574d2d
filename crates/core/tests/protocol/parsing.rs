//! Messages as bytes: limits, and whatever else may arrive.

use ctalk_core::{
    Fingerprint, Identity,
    classic::{BoxKeys, MAX_BOX_KEYS, MAX_MESSAGE_LEN, Malformed, Message},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{identity, parse, raw, relayed, seal, signed};

fn plain(payload: &str) -> String {
    format!(r#"{{"from":"a","to":"b","type":"request","payload":{payload}}}"#)
}

#[test]
fn a_message_is_read_up_to_the_limit_and_not_beyond() {
    let padded = |length: usize| {
        let empty = plain("\"\"").len();
        plain(&format!("\"{}\"", "x".repeat(length - empty)))
    };
    assert!(Message::parse(padded(MAX_MESSAGE_LEN).as_bytes()).is_ok());
    let found = MAX_MESSAGE_LEN + 1;
    let refused = Message::parse(padded(found).as_bytes()).unwrap_err();
    assert_eq!(refused, Malformed::TooLong { found });
}

#[test]
fn deep_nesting_is_refused_and_not_followed() {
    let deep = "[".repeat(MAX_MESSAGE_LEN / 4);
    let closed = format!("{deep}{}", "]".repeat(deep.len()));
    for text in [deep.clone(), plain(&deep), plain(&closed)] {
        assert!(Message::parse(text.as_bytes()).is_err());
    }
}

#[test]
fn bytes_that_are_not_utf8_are_refused() {
    let refused = Message::parse(b"{\"from\":\"\xff\"}").unwrap_err();
    assert_eq!(refused, Malformed::NotUtf8);
}

#[test]
fn claims_are_what_the_message_says() {
    let message = parse(&json!({
        "id": "1", "from": "a", "to": "b", "type": "response", "topic": "t",
        "correlationId": "c", "replyTo": "r", "ts": "now", "payload": null,
    }));
    let claims = message.claims();
    assert_eq!(claims.id.as_deref(), Some("1"));
    assert_eq!(claims.from, "a");
    assert_eq!(claims.to, "b");
    assert_eq!(claims.message_type, "response");
    assert_eq!(claims.topic.as_deref(), Some("t"));
    assert_eq!(claims.correlation_id.as_deref(), Some("c"));
    assert_eq!(claims.reply_to.as_deref(), Some("r"));
    assert_eq!(claims.ts.as_deref(), Some("now"));
}

#[test]
fn every_truncation_of_a_message_is_refused() {
    let whole = relayed(&seal(&identity(1), &identity(2), "1")).to_string();
    for length in 0..whole.len() {
        assert!(
            Message::parse(&whole.as_bytes()[..length]).is_err(),
            "{length}"
        );
    }
    assert!(Message::parse(whole.as_bytes()).is_ok());
}

#[test]
fn the_key_cache_starts_afresh_when_full() {
    let alice = identity(1);
    let mut keys = BoxKeys::default();
    let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
    let count = |keys: &BoxKeys| format!("{keys:?}");
    let first = *identity(2).public_keys().encryption();
    keys.get(&alice, &first);
    for _ in 1..MAX_BOX_KEYS {
        keys.get(
            &alice,
            Identity::generate(&mut rng).public_keys().encryption(),
        );
    }
    assert_eq!(count(&keys), format!("BoxKeys {{ count: {MAX_BOX_KEYS} }}"));
    // A key that is held costs no other one its place.
    keys.get(&alice, &first);
    assert_eq!(count(&keys), format!("BoxKeys {{ count: {MAX_BOX_KEYS} }}"));
    keys.get(&alice, identity(3).public_keys().encryption());
    assert_eq!(count(&keys), "BoxKeys { count: 1 }");
}

#[test]
fn the_key_cache_keeps_identities_apart() {
    let (alice, bob, carol) = (identity(1), identity(2), identity(3));
    let mut keys = BoxKeys::default();
    for recipient in [&bob, &carol] {
        let message = signed(&relayed(&seal(&alice, recipient, "1")));
        assert!(
            message
                .verify(alice.public_keys())
                .unwrap()
                .open(recipient, &mut keys)
                .is_ok()
        );
    }
    let message = signed(&relayed(&seal(&alice, &bob, "1")));
    assert!(
        message
            .verify(alice.public_keys())
            .unwrap()
            .open(&carol, &mut keys)
            .is_err()
    );
}

/// Goes as far as a message lets itself be taken. It must not panic.
fn take(message: &[u8]) {
    let (alice, bob, keys) = (identity(1), identity(2), &mut BoxKeys::default());
    match Message::parse(message) {
        Ok(Message::Signed(message)) => {
            if let Ok(message) = message.verify(alice.public_keys()) {
                let _ = message.open(&bob, keys);
            }
        }
        Ok(Message::Unsigned(message)) => {
            let _ = message.open(alice.public_keys(), &bob, keys);
        }
        Ok(Message::Plain(message)) => {
            let _ = message.accept();
        }
        Err(_) => {}
    }
}

/// JSON values of every kind, nested a little.
fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[A-Za-z0-9+/]{0,90}={0,2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes_can_be_parsed(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        take(&bytes);
        let text = String::from_utf8_lossy(&bytes);
        let _ = Identity::from_keygen_json(&text);
        let _ = text.parse::<Fingerprint>();
    }

    #[test]
    fn any_member_can_hold_anything(member in 0_usize..12, value in json_value()) {
        let names = [
            "id", "from", "to", "type", "topic", "correlationId", "replyTo", "ts", "encrypted",
            "payload", "nonce", "signature",
        ];
        let mut message = relayed(&seal(&identity(1), &identity(2), "1"));
        message[names[member]] = value;
        take(message.to_string().as_bytes());
    }

    #[test]
    fn any_byte_of_a_message_can_be_replaced(place in 0_usize..400, byte in any::<u8>()) {
        let mut message = relayed(&seal(&identity(1), &identity(2), "1")).to_string().into_bytes();
        let length = message.len();
        message[place % length] = byte;
        take(&message);
    }

    #[test]
    fn any_json_comes_back_as_it_was_sealed(value in json_value()) {
        let (alice, bob) = (identity(1), identity(2));
        let text = value.to_string();
        prop_assume!(serde_json::from_str::<Value>(raw(&text).get()).is_ok());
        let opened = signed(&relayed(&seal(&alice, &bob, &text)))
            .verify(alice.public_keys())
            .unwrap()
            .open(&bob, &mut BoxKeys::default())
            .unwrap();
        prop_assert_eq!(opened.payload().get(), text);
    }
}
