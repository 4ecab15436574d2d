//! What debug output and errors must not say.

use ctalk_core::{
    Identity,
    classic::{BoxKeys, Message},
};
use serde_json::{Value, json};

use crate::support::{identity, parse, relayed, seal, signed};

const SECRET: &str = "hunter2";

#[test]
fn an_identity_shows_only_its_fingerprint() {
    let identity = identity(1);
    assert_eq!(
        format!("{identity:?}"),
        format!(
            "Identity {{ fingerprint: Fingerprint({}), .. }}",
            identity.public_keys().fingerprint()
        )
    );
    let keygen: Value = serde_json::from_str(&identity.to_keygen_json()).unwrap();
    for member in ["privateKey", "signingPrivateKey"] {
        let secret = keygen[member].as_str().unwrap();
        assert!(!format!("{identity:#?}").contains(secret), "{member}");
    }
}

#[test]
fn box_keys_show_only_their_number() {
    let (alice, bob) = (identity(1), identity(2));
    let mut keys = BoxKeys::default();
    assert_eq!(
        format!("{:?}", keys.get(&alice, bob.public_keys().encryption())),
        "BoxKey(..)"
    );
    assert_eq!(format!("{keys:?}"), "BoxKeys { count: 1 }");
}

#[test]
fn payloads_are_in_no_debug_output() {
    let (alice, bob) = (identity(1), identity(2));
    let keys = &mut BoxKeys::default();
    let message = relayed(&seal(&alice, &bob, &format!("{SECRET:?}")));

    let opened = signed(&message)
        .verify(alice.public_keys())
        .unwrap()
        .open(&bob, keys)
        .unwrap();
    assert!(opened.payload().get().contains(SECRET));
    assert!(!format!("{opened:?}").contains(SECRET));

    let mut unsigned = message;
    unsigned.as_object_mut().unwrap().remove("signature");
    let Message::Unsigned(unsigned) = parse(&unsigned) else {
        panic!("signed or plain")
    };
    let opened = unsigned.open(alice.public_keys(), &bob, keys).unwrap();
    assert!(opened.payload().get().contains(SECRET));
    assert!(!format!("{opened:?}").contains(SECRET));

    let plain = parse(&json!({"from": "a", "to": "b", "type": "request", "payload": SECRET}));
    assert!(!format!("{plain:?}").contains(SECRET));
    let Message::Plain(plain) = plain else {
        panic!("boxed")
    };
    let accepted = plain.accept();
    assert!(accepted.payload().get().contains(SECRET));
    assert!(!format!("{accepted:?}").contains(SECRET));
}

#[test]
fn errors_do_not_repeat_what_they_refuse() {
    let message = json!({
        "from": "a", "to": "b", "type": "request", "encrypted": true,
        "payload": "AAAAAAAAAAAAAAAAAAAAAAAA", "nonce": "A".repeat(32),
    });
    for member in [
        "from",
        "to",
        "type",
        "topic",
        "encrypted",
        "payload",
        "nonce",
        "signature",
    ] {
        for value in [json!([SECRET]), json!({SECRET: SECRET})] {
            let mut message = message.clone();
            message[member] = value;
            let error = Message::parse(message.to_string().as_bytes()).unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(text.contains(member), "{text}");
            assert!(!text.contains(SECRET), "{text}");
        }
    }
    for member in ["encrypted", "payload", "nonce", "signature"] {
        let mut message = message.clone();
        message[member] = json!(SECRET);
        let error = Message::parse(message.to_string().as_bytes()).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(SECRET), "{error:?}");
    }
    for text in [SECRET, &format!("[{SECRET:?}]"), &format!("{{{SECRET:?}")] {
        let error = Message::parse(text.as_bytes()).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(SECRET), "{error:?}");
        let error = Identity::from_keygen_json(text).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(SECRET), "{error:?}");
    }
    for member in ["publicKey", "privateKey", "signingKey", "signingPrivateKey"] {
        let mut keygen: Value = serde_json::from_str(&identity(1).to_keygen_json()).unwrap();
        for value in [json!(SECRET), json!([SECRET]), json!(SECRET.repeat(44))] {
            keygen[member] = value;
            let error = Identity::from_keygen_json(&keygen.to_string()).unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(!text.contains(SECRET), "{text}");
        }
    }
}
