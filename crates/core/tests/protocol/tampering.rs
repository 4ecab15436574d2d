//! What an attacker can do to a sealed message, and what comes of it.

use crate::support::{Ascending, METADATA, identity, parse, raw, relayed, seal, signed};
use ctalk_core::{
    Identity, PublicKeys,
    classic::{self, BoxKeys, CannotOpen, MAX_PAYLOAD_LEN, Message, Opened, SealError},
    trust::{self, KeyHolder, KeyPart},
};
use serde_json::{Value, json};

const PAYLOAD: &str = r#"{"text":"the plan"}"#;

fn message() -> Value {
    relayed(&seal(&identity(1), &identity(2), PAYLOAD))
}

fn open(message: &Value, sender: &Identity, recipient: &Identity) -> Opened {
    signed(message)
        .verify(sender.public_keys())
        .unwrap()
        .open(recipient, &mut BoxKeys::default())
        .unwrap()
}

/// Whether the message gets as far as a payload from `identity(1)` for `identity(2)`.
fn is_accepted(message: &Value) -> bool {
    let Ok(Message::Signed(message)) = Message::parse(message.to_string().as_bytes()) else {
        return false;
    };
    let Ok(message) = message.verify(identity(1).public_keys()) else {
        return false;
    };
    message.open(&identity(2), &mut BoxKeys::default()).is_ok()
}

fn with(member: &str, value: &str) -> Value {
    let mut message = message();
    message[member] = json!(value);
    message
}

#[test]
fn a_sealed_message_opens_to_what_was_sealed() {
    assert!(is_accepted(&message()));
    let opened = open(&message(), &identity(1), &identity(2));
    assert_eq!(opened.payload().get(), PAYLOAD);
    assert_eq!(opened.sender(), identity(1).public_keys());
    assert_eq!(opened.claims().topic.as_deref(), Some("sync"));
    assert_eq!(opened.claims().id.as_deref(), Some("m-1"));
    assert_eq!(opened.into_payload().get(), PAYLOAD);
}

#[test]
fn both_directions_share_one_box_key() {
    let (alice, bob) = (identity(1), identity(2));
    let answer = relayed(&seal(&bob, &alice, "1"));
    assert_eq!(open(&answer, &bob, &alice).payload().get(), "1");
}

#[test]
fn every_strict_prefix_of_a_covered_member_is_refused() {
    for member in [
        "signature",
        "payload",
        "nonce",
        "topic",
        "correlationId",
        "type",
        "to",
    ] {
        let whole = message()[member].as_str().unwrap().to_owned();
        for length in 0..whole.len() {
            let prefix = &whole[..length];
            assert!(
                !is_accepted(&with(member, prefix)),
                "{member} cut to {length}"
            );
        }
        assert!(is_accepted(&with(member, &whole)), "{member} whole");
    }
}

#[test]
fn every_flipped_bit_of_a_covered_member_is_refused() {
    for member in [
        "signature",
        "payload",
        "nonce",
        "topic",
        "correlationId",
        "type",
        "to",
    ] {
        let whole = message()[member].as_str().unwrap().to_owned();
        for place in 0..whole.len() {
            // Bit 7 would leave ASCII, and with it UTF-8.
            for bit in 0..7 {
                let mut text = whole.clone().into_bytes();
                text[place] ^= 1 << bit;
                let text = String::from_utf8(text).unwrap();
                if member == "signature" && is_other_spelling(&whole, &text) {
                    continue;
                }
                assert!(
                    !is_accepted(&with(member, &text)),
                    "{member}[{place}] bit {bit}: {text:?}"
                );
            }
        }
    }
}

/// Whether two signatures differ only in the four unused bits before the padding.
fn is_other_spelling(left: &str, right: &str) -> bool {
    let value = |text: &str| {
        let digit = text.as_bytes()[85];
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        alphabet
            .iter()
            .position(|other| *other == digit)
            .map(|value| value >> 4)
    };
    left[..85] == right[..85] && left[86..] == right[86..] && value(left) == value(right)
}

#[test]
fn a_missing_member_that_was_signed_is_refused() {
    for member in ["topic", "correlationId"] {
        let mut message = message();
        message.as_object_mut().unwrap().remove(member);
        assert!(!is_accepted(&message), "{member}");
    }
}

#[test]
fn what_the_signature_does_not_cover_can_be_altered() {
    for member in ["id", "from", "replyTo", "ts"] {
        assert!(is_accepted(&with(member, "altered")), "{member}");
    }
}

#[test]
fn another_recipient_cannot_open_the_box() {
    let verified = signed(&message())
        .verify(identity(1).public_keys())
        .unwrap();
    let refused = verified.open(&identity(3), &mut BoxKeys::default());
    assert_eq!(refused.unwrap_err(), CannotOpen::WrongKeys);
}

#[test]
fn a_message_is_verified_with_the_keys_of_its_sender_only() {
    let refused = signed(&message())
        .verify(identity(3).public_keys())
        .unwrap_err();
    assert_eq!(refused.sender, identity(3).public_keys().fingerprint());
}

/// Mallory publishes Alice's X25519 key under her own signing key and signs Alice's box anew.
fn resigned_by_mallory() -> (PublicKeys, Value) {
    let (alice, mallory) = (identity(1), identity(3));
    let sealed = seal(&alice, &identity(2), PAYLOAD);
    let mut message = relayed(&sealed);
    message["from"] = json!("mallory");
    // ctalk signs only what it sealed itself, so the signature is made with the library below.
    let keygen: Value = serde_json::from_str(&mallory.to_keygen_json()).unwrap();
    let secret = keygen["signingPrivateKey"].as_str().unwrap();
    let text = format!(
        r#"{{"to":"bob","type":"request","topic":"sync","correlationId":"c-1","encrypted":true,"payload":"{}","nonce":"{}"}}"#,
        sealed.payload, sealed.nonce
    );
    message["signature"] = json!(sign(secret, &text));
    let keys = PublicKeys::new(
        *alice.public_keys().encryption(),
        *mallory.public_keys().verifying(),
    );
    (keys, message)
}

fn sign(signing_private_key: &str, text: &str) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use ed25519_dalek::{Signer, SigningKey};

    let bytes: [u8; 64] = STANDARD
        .decode(signing_private_key)
        .unwrap()
        .try_into()
        .unwrap();
    let key = SigningKey::from_keypair_bytes(&bytes).unwrap();
    STANDARD.encode(key.sign(text.as_bytes()).to_bytes())
}

#[test]
fn a_box_signed_anew_under_a_borrowed_key_is_the_new_signers_message() {
    let (mallory, message) = resigned_by_mallory();
    let opened = signed(&message)
        .verify(&mallory)
        .unwrap()
        .open(&identity(2), &mut BoxKeys::default())
        .unwrap();
    assert_eq!(opened.sender(), &mallory);
    assert_ne!(opened.sender(), identity(1).public_keys());
    // The box is still the same, so whoever is second is told apart by it.
    assert_eq!(
        opened.seen_key(),
        open(&self::message(), &identity(1), &identity(2)).seen_key()
    );
}

#[test]
fn the_borrowed_key_is_a_conflict() {
    let (mallory, _) = resigned_by_mallory();
    let alice = identity(1);
    let held = [(KeyHolder::Contact("alice"), alice.public_keys())];
    let conflict = trust::conflict("mallory", &mallory, held).unwrap_err();
    assert_eq!(conflict.part, KeyPart::Encryption);
    assert_eq!(conflict.holder.as_deref(), Some("alice"));
}

#[test]
fn a_message_without_its_signature_is_unauthenticated_and_the_same_message() {
    let mut stripped = message();
    stripped.as_object_mut().unwrap().remove("signature");
    let Message::Unsigned(unsigned) = parse(&stripped) else {
        panic!("signed or plain")
    };
    let (alice, bob) = (identity(1), identity(2));
    let opened = unsigned
        .open(alice.public_keys(), &bob, &mut BoxKeys::default())
        .unwrap();
    assert!(opened.was_encrypted());
    assert_eq!(opened.payload().get(), PAYLOAD);
    assert_eq!(opened.seen_key(), open(&message(), &alice, &bob).seen_key());
}

#[test]
fn an_unsigned_box_can_be_sent_back_to_its_author() {
    let mut reflected = message();
    reflected.as_object_mut().unwrap().remove("signature");
    let Message::Unsigned(unsigned) = parse(&reflected) else {
        panic!("signed or plain")
    };
    let (alice, bob) = (identity(1), identity(2));
    let opened = unsigned
        .open(bob.public_keys(), &alice, &mut BoxKeys::default())
        .unwrap();
    assert_eq!(opened.payload().get(), PAYLOAD);
}

#[test]
fn an_unsigned_box_does_not_open_with_the_keys_of_a_third() {
    let mut stripped = message();
    stripped.as_object_mut().unwrap().remove("signature");
    let Message::Unsigned(unsigned) = parse(&stripped) else {
        panic!("signed or plain")
    };
    let refused = unsigned.open(
        identity(3).public_keys(),
        &identity(2),
        &mut BoxKeys::default(),
    );
    assert_eq!(refused.unwrap_err(), CannotOpen::WrongKeys);
}

#[test]
fn the_seen_key_does_not_depend_on_what_the_relay_says() {
    let (alice, bob) = (identity(1), identity(2));
    let first = open(&message(), &alice, &bob).seen_key();
    for member in ["id", "from", "replyTo", "ts"] {
        assert_eq!(
            open(&with(member, "altered"), &alice, &bob).seen_key(),
            first,
            "{member}"
        );
    }
}

#[test]
fn the_seen_key_tells_boxes_apart() {
    let (alice, bob) = (identity(1), identity(2));
    let other = relayed(&seal(&alice, &bob, "2"));
    assert_ne!(
        open(&message(), &alice, &bob).seen_key(),
        open(&other, &alice, &bob).seen_key()
    );
    // Equal plaintext under another nonce is another message.
    let again = classic::seal(
        &alice,
        &mut BoxKeys::default(),
        bob.public_keys().encryption(),
        &METADATA,
        &raw(PAYLOAD),
        &mut Ascending(0x81),
    )
    .unwrap();
    assert_ne!(
        open(&message(), &alice, &bob).seen_key(),
        open(&relayed(&again), &alice, &bob).seen_key()
    );
}

#[test]
fn the_seen_key_is_the_same_before_and_after_opening() {
    let verified = signed(&message())
        .verify(identity(1).public_keys())
        .unwrap();
    let before = verified.seen_key();
    assert_eq!(
        verified
            .open(&identity(2), &mut BoxKeys::default())
            .unwrap()
            .seen_key(),
        before
    );
}

#[test]
fn another_base64_spelling_of_an_unsigned_box_is_the_same_message() {
    // A box of 17 bytes ends in one padding character after a digit with two unused bits.
    let mut stripped = relayed(&seal(&identity(1), &identity(2), "1"));
    stripped.as_object_mut().unwrap().remove("signature");
    let text = stripped["payload"].as_str().unwrap();
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let last = digits
        .iter()
        .position(|digit| *digit == text.as_bytes()[22])
        .unwrap();
    let mut respelled = stripped.clone();
    respelled["payload"] = json!(format!("{}{}=", &text[..22], char::from(digits[last + 1])));

    let key = |message: &Value| {
        let Message::Unsigned(unsigned) = parse(message) else {
            panic!("signed or plain")
        };
        let keys = &mut BoxKeys::default();
        unsigned
            .open(identity(1).public_keys(), &identity(2), keys)
            .unwrap()
            .seen_key()
    };
    assert_ne!(respelled["payload"], stripped["payload"]);
    assert_eq!(key(&respelled), key(&stripped));
}

#[test]
fn plain_messages_are_told_apart_by_sender_id_and_payload() {
    let key = |from: &str, id: Option<&str>, payload: &str| {
        let mut message = json!({"from": from, "to": "bob", "type": "request", "payload": payload});
        if let Some(id) = id {
            message["id"] = json!(id);
        }
        let Message::Plain(message) = parse(&message) else {
            panic!("not plain")
        };
        let message = message.accept();
        assert!(!message.was_encrypted());
        message.seen_key()
    };
    let first = key("alice", Some("1"), "x");
    assert_eq!(key("alice", Some("1"), "x"), first);
    assert_ne!(key("alicf", Some("1"), "x"), first);
    assert_ne!(key("alice", Some("2"), "x"), first);
    assert_ne!(key("alice", Some("1"), "y"), first);
    assert_ne!(key("alice", None, "x"), key("alice", Some(""), "x"));
    // Without length prefixes these two would be the same bytes.
    assert_ne!(key("a", Some("b"), "c"), key("ab", Some(""), "c"));
}

#[test]
fn payloads_are_sealed_up_to_the_limit_and_not_beyond() {
    let (alice, bob) = (identity(1), identity(2));
    let text = |length: usize| format!("\"{}\"", "x".repeat(length - 2));
    let sealed = seal(&alice, &bob, &text(MAX_PAYLOAD_LEN));
    assert_eq!(sealed.payload.len(), 65_536);
    assert_eq!(
        open(&relayed(&sealed), &alice, &bob).payload().get().len(),
        MAX_PAYLOAD_LEN
    );

    let refused = classic::seal(
        &alice,
        &mut BoxKeys::default(),
        bob.public_keys().encryption(),
        &METADATA,
        &raw(&text(MAX_PAYLOAD_LEN + 1)),
        &mut Ascending(0),
    );
    assert_eq!(
        refused.unwrap_err(),
        SealError::TooLong {
            found: MAX_PAYLOAD_LEN + 1
        }
    );
}

#[test]
fn what_no_strict_reader_can_read_is_not_sealed() {
    let nested = format!("{}{}", "[".repeat(128), "]".repeat(128));
    for payload in [r#""\ud800""#, "1e400", &nested] {
        let refused = classic::seal(
            &identity(1),
            &mut BoxKeys::default(),
            identity(2).public_keys().encryption(),
            &METADATA,
            &raw(payload),
            &mut Ascending(0),
        );
        assert_eq!(refused.unwrap_err(), SealError::NoValue, "{payload}");
    }
}
