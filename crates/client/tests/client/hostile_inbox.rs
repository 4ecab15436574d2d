//! What a hostile relay or agent can put into an inbox is reported by class, and every neighbour
//! of it is delivered.

use std::time::Duration;

use crate::{
    agents::{Agent, body, new_identity, rng},
    scene::NOW,
};
use ctalk::{
    Class, Contract, Error, Filter, Next, Reason, SetAside, Trust,
    core::{
        Identity,
        classic::{self, BoxKeys, Metadata},
    },
    relay::{Relay, clawtalk::ClawTalk},
    store::EntryState,
};
use ctalk_relay::testing::TestRelay;
use serde_json::{Value, json, value::to_raw_value};

/// A sealed message as the relay would list it.
fn sealed(from: (&str, &Identity), to: (&str, &Identity), payload: &Value) -> Value {
    let metadata = Metadata {
        to: to.0,
        message_type: "request",
        topic: None,
        correlation_id: None,
    };
    let sealed = classic::seal(
        from.1,
        &mut BoxKeys::default(),
        to.1.public_keys().encryption(),
        &metadata,
        &to_raw_value(payload).unwrap(),
        &mut rng(),
    )
    .unwrap();
    json!({
        "id": fresh_id(), "from": from.0, "to": to.0, "type": "request", "encrypted": true,
        "payload": sealed.payload, "nonce": sealed.nonce, "signature": sealed.signature,
        "ts": "2026-03-21T10:11:12.345Z",
    })
}

fn fresh_id() -> String {
    use rand_core::Rng;
    let mut bytes = [0; 16];
    rng().fill_bytes(&mut bytes);
    hex::encode(bytes)
}

/// Alice, whom Bob knows; Carol, whom he does not; and what Bob finds after `poison` was put
/// between two honest messages.
struct Scene {
    relay: TestRelay,
    alice: Agent,
    carol: Agent,
    bob: Agent,
}

impl Scene {
    async fn new() -> Self {
        let relay = TestRelay::start().await;
        let mut scene = Self {
            alice: Agent::register(&relay, "alice"),
            carol: Agent::register(&relay, "carol"),
            bob: Agent::register(&relay, "bob"),
            relay,
        };
        scene.alice.say("bob", "hello").await;
        assert_eq!(scene.bob.receive_all().await.0.len(), 1);
        scene
    }

    fn by_alice(&self, payload: &Value) -> Value {
        sealed(
            ("alice", &self.alice.identity),
            ("bob", &self.bob.identity),
            payload,
        )
    }

    /// Injects raw items between two messages of Alice and returns what was set aside.
    async fn set_aside_among(&mut self, poison: &[String]) -> Vec<SetAside> {
        self.alice.say("bob", "before").await;
        for item in poison {
            self.relay.inject("bob", item);
        }
        self.alice.say("bob", "after").await;
        let (messages, set_aside) = self.bob.receive_all().await;
        let mut bodies: Vec<String> = messages.iter().map(body).collect();
        bodies.sort();
        assert_eq!(bodies, ["after", "before"], "{set_aside:?}");
        let (again, repeated) = self.bob.receive_all().await;
        assert!(
            again.is_empty() && repeated.is_empty(),
            "nothing is reported twice"
        );
        set_aside
    }

    async fn refused(&mut self, poison: String) -> SetAside {
        let mut set_aside = self.set_aside_among(std::slice::from_ref(&poison)).await;
        assert_eq!(set_aside.len(), 1, "{poison}: {set_aside:?}");
        set_aside.remove(0)
    }
}

#[tokio::test]
async fn broken_forms_are_malformed() {
    let mut scene = Scene::new().await;
    let good = scene.by_alice(&json!({"n": 1}));
    let with = |member: &str, value: Value| {
        let mut item = good.clone();
        item[member] = value;
        item["id"] = json!(fresh_id());
        item.to_string()
    };
    let payload = good["payload"].as_str().unwrap();
    let poison = [
        with("nonce", json!("gIGCg4SFhoeIiYqLjI2Oj5CRkpOUlZ=")),
        with("nonce", json!("AAAA")),
        with("signature", json!("AAAA")),
        with("signature", json!("*".repeat(88))),
        with("payload", json!(format!("{}*", &payload[1..]))),
        with("payload", json!("AAAA")),
        with("payload", json!(7)),
        with("encrypted", json!("maybe")),
        with("from", json!(["alice"])),
        with("from", json!("al\u{202e}ice")),
        with("from", json!("a".repeat(10_000))),
        with("to", Value::Null),
        with("topic", json!(1)),
        with("nonce", json!("")),
        with("id", json!(fresh_id())).replacen("\"type\":", "\"topic\":\"\\ud800\",\"type\":", 1),
        format!("{{\"id\":\"{}\",\"from\":\"alice\"}}", fresh_id()),
        format!(
            "{{\"id\":\"{}\",\"junk\":\"{}\"}}",
            fresh_id(),
            "x".repeat(64 << 10)
        ),
        "17".to_owned(),
        "[]".to_owned(),
        "null".to_owned(),
    ];
    let set_aside = scene.set_aside_among(&poison).await;
    for (item, raw) in set_aside.iter().zip(&poison) {
        assert_eq!(item.reason, Reason::Malformed, "{item:?} {raw:.200}");
    }
    assert_eq!(set_aside.len(), poison.len());
}

#[tokio::test]
async fn flipped_bits_are_not_verified() {
    let mut scene = Scene::new().await;
    for member in [
        "payload",
        "nonce",
        "signature",
        "topic",
        "correlationId",
        "type",
    ] {
        let mut item = scene.by_alice(&json!("x"));
        let value = item[member].as_str().unwrap_or("").to_owned();
        let altered = match value.strip_prefix('A') {
            Some(rest) => format!("B{rest}"),
            None => format!("A{}", value.get(1..).unwrap_or("")),
        };
        item[member] = json!(altered);
        let refused = scene.refused(item.to_string()).await;
        assert_eq!(refused.reason, Reason::NotVerified, "{member}: {refused:?}");
        assert_eq!(refused.relay_from.as_deref(), Some("alice"));
    }
}

#[tokio::test]
async fn signed_boxes_without_readable_json_cannot_be_opened() {
    let mut scene = Scene::new().await;
    let (alice, bob) = (&scene.alice.identity, &scene.bob.identity);
    let poison: Vec<String> = [
        b"not json".as_slice(),
        b"\xff\xfe",
        br#""\ud800""#,
        b"",
        b"{} {}",
        b"1e999",
    ]
    .map(|plaintext| {
        let metadata = Metadata {
            to: "bob",
            message_type: "request",
            topic: None,
            correlation_id: None,
        };
        let (payload, nonce) = boxed(alice, bob, plaintext);
        let signature = sign_canonical(alice, &metadata, &payload, &nonce);
        json!({
            "id": fresh_id(), "from": "alice", "to": "bob", "type": "request", "encrypted": true,
            "payload": payload, "nonce": nonce, "signature": signature,
        })
        .to_string()
    })
    .into();
    let set_aside = scene.set_aside_among(&poison).await;
    assert_eq!(set_aside.len(), poison.len());
    for item in set_aside {
        assert_eq!(item.reason, Reason::CannotOpen, "{item:?}");
    }
}

/// A NaCl box of any bytes, made with the plain primitive.
fn boxed(from: &Identity, to: &Identity, plaintext: &[u8]) -> (String, String) {
    use base64::{Engine, prelude::BASE64_STANDARD};
    use crypto_box::{PublicKey, SalsaBox, SecretKey, aead::Aead};
    let secret = SecretKey::from_slice(&keygen_bytes(from, "privateKey")).unwrap();
    let public = PublicKey::from(*to.public_keys().encryption().as_bytes());
    let nonce = [7; 24];
    let sealed = SalsaBox::new(&public, &secret)
        .encrypt(&nonce.into(), plaintext)
        .unwrap();
    (
        BASE64_STANDARD.encode(sealed),
        BASE64_STANDARD.encode(nonce),
    )
}

fn sign_canonical(from: &Identity, metadata: &Metadata<'_>, payload: &str, nonce: &str) -> String {
    use base64::{Engine, prelude::BASE64_STANDARD};
    use ed25519_dalek::{Signer, SigningKey};
    let canonical = format!(
        r#"{{"to":"{}","type":"{}","encrypted":true,"payload":"{payload}","nonce":"{nonce}"}}"#,
        metadata.to, metadata.message_type
    );
    let secret: [u8; 64] = keygen_bytes(from, "signingPrivateKey").try_into().unwrap();
    let key = SigningKey::from_keypair_bytes(&secret).unwrap();
    BASE64_STANDARD.encode(key.sign(canonical.as_bytes()).to_bytes())
}

fn keygen_bytes(identity: &Identity, member: &str) -> Vec<u8> {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let keygen: Value = serde_json::from_str(&identity.to_keygen_json()).unwrap();
    BASE64_STANDARD
        .decode(keygen[member].as_str().unwrap())
        .unwrap()
}

#[tokio::test]
async fn a_replay_under_another_id_is_set_aside() {
    let mut scene = Scene::new().await;
    let mut item = scene.by_alice(&json!("pay"));
    scene.relay.inject("bob", &item.to_string());
    assert_eq!(scene.bob.receive_all().await.0.len(), 1);
    item["id"] = json!(fresh_id());
    item["ts"] = json!("2026-04-01T00:00:00.000Z");
    assert_eq!(
        scene.refused(item.to_string()).await.reason,
        Reason::Replayed
    );
}

#[tokio::test]
async fn a_replay_in_another_base64_spelling_is_set_aside() {
    let mut scene = Scene::new().await;
    // 17 bytes of box leave two open bits before the padding.
    let mut item = scene.by_alice(&json!(1));
    scene.relay.inject("bob", &item.to_string());
    assert_eq!(scene.bob.receive_all().await.0.len(), 1);
    let payload = item["payload"].as_str().unwrap().to_owned();
    let respelled = respell(&payload);
    assert_ne!(payload, respelled);
    item["payload"] = json!(respelled);
    item["id"] = json!(fresh_id());
    // The signature covers the spelling, so only an unsigned copy gets as far.
    item.as_object_mut().unwrap().remove("signature");
    assert_eq!(
        scene.refused(item.to_string()).await.reason,
        Reason::Replayed
    );
}

/// Another base64 text for the same bytes: the last character before the padding is changed in its
/// open bits.
fn respell(base64: &str) -> String {
    let alphabet: Vec<char> = ('A'..='Z')
        .chain('a'..='z')
        .chain('0'..='9')
        .chain(['+', '/'])
        .collect();
    let text = base64.trim_end_matches('=');
    let padding = base64.len() - text.len();
    assert!(padding > 0);
    let last = text.chars().next_back().unwrap();
    let value = alphabet.iter().position(|letter| *letter == last).unwrap();
    format!(
        "{}{}{}",
        &text[..text.len() - 1],
        alphabet[value ^ 1],
        "=".repeat(padding)
    )
}

#[tokio::test]
async fn a_message_for_somebody_else_is_refused_whatever_the_relay_writes_on_it() {
    let mut scene = Scene::new().await;
    let for_carol = sealed(
        ("alice", &scene.alice.identity),
        ("carol", &scene.carol.identity),
        &json!("secret"),
    );
    let as_it_is = scene.refused(for_carol.to_string()).await;
    assert_eq!(as_it_is.reason, Reason::Misaddressed, "{as_it_is:?}");
    let mut readdressed = for_carol;
    readdressed["to"] = json!("bob");
    readdressed["id"] = json!(fresh_id());
    assert_eq!(
        scene.refused(readdressed.to_string()).await.reason,
        Reason::NotVerified
    );
}

#[tokio::test]
async fn a_message_sealed_to_me_under_another_name_is_misaddressed() {
    let mut scene = Scene::new().await;
    let item = sealed(
        ("alice", &scene.alice.identity),
        ("carol", &scene.bob.identity),
        &json!(1),
    );
    assert_eq!(
        scene.refused(item.to_string()).await.reason,
        Reason::Misaddressed
    );
}

#[tokio::test]
async fn anothers_message_resent_by_a_third_agent_is_not_verified() {
    let mut scene = Scene::new().await;
    let mut item = scene.by_alice(&json!("mine"));
    item["from"] = json!("carol");
    assert_eq!(
        scene.refused(item.to_string()).await.reason,
        Reason::NotVerified
    );
    assert!(
        scene.bob.client.store().contact("carol").unwrap().is_none(),
        "carol is not pinned"
    );
}

#[tokio::test]
async fn an_agent_that_registers_anothers_encryption_key_cannot_pass_messages_on_as_its_own() {
    for alice_is_known in [true, false] {
        let mut scene = Scene::new().await;
        if !alice_is_known {
            assert!(
                scene
                    .bob
                    .client
                    .store_mut()
                    .remove_contact("alice")
                    .unwrap()
            );
        }
        let mallory = new_identity();
        let _ = scene.relay.register(
            "mallory",
            &scene.alice.identity.public_keys().encryption().to_base64(),
            &mallory.public_keys().verifying().to_base64(),
        );
        // Alice's box to Bob, signed again by Mallory.
        let stolen = scene.by_alice(&json!("alice wrote this"));
        let (payload, nonce) = (
            stolen["payload"].as_str().unwrap(),
            stolen["nonce"].as_str().unwrap(),
        );
        let metadata = Metadata {
            to: "bob",
            message_type: "request",
            topic: None,
            correlation_id: None,
        };
        let mut item = stolen.clone();
        item["from"] = json!("mallory");
        item["signature"] = json!(sign_canonical(&mallory, &metadata, payload, nonce));
        scene.relay.inject("bob", &item.to_string());
        let (messages, set_aside) = scene.bob.receive_all().await;
        assert!(messages.is_empty(), "{messages:?}");
        assert_eq!(set_aside[0].reason, Reason::KeyConflict);
        assert!(set_aside[0].detail.contains("mallory") && set_aside[0].detail.contains("alice"));
        assert!(
            scene
                .bob
                .client
                .store()
                .contact("mallory")
                .unwrap()
                .is_none()
        );
    }
}

#[tokio::test]
async fn whoever_knows_the_fingerprint_can_settle_a_conflict() {
    let mut scene = Scene::new().await;
    assert!(
        scene
            .bob
            .client
            .store_mut()
            .remove_contact("alice")
            .unwrap()
    );
    let alice = *scene.alice.identity.public_keys();
    let mallory = new_identity();
    let _ = scene.relay.register(
        "mallory",
        &alice.encryption().to_base64(),
        &mallory.public_keys().verifying().to_base64(),
    );
    let error = scene.bob.try_say("alice", "hi").await.unwrap_err();
    assert!(matches!(error, Error::KeyConflict(_)), "{error}");
    assert_eq!(error.class(), Class::NotTrusted);
    scene
        .bob
        .client
        .accept_key("alice", alice.fingerprint())
        .await
        .unwrap();
    scene.bob.say("alice", "hi").await;
    let error = scene.bob.try_say("mallory", "hi").await.unwrap_err();
    assert!(matches!(error, Error::KeyConflict(_)), "{error}");
}

#[tokio::test]
async fn a_relay_that_shows_my_own_key_for_somebody_is_found_out() {
    let mut scene = Scene::new().await;
    let me = *scene.bob.identity.public_keys();
    scene.relay.set_agent_keys(
        "carol",
        &me.encryption().to_base64(),
        &scene.carol.identity.public_keys().verifying().to_base64(),
    );
    let error = scene.bob.try_say("carol", "hi").await.unwrap_err();
    assert!(matches!(error, Error::KeyConflict(_)), "{error}");
}

#[tokio::test]
async fn a_malformed_directory_entry_damages_only_its_owner() {
    let mut scene = Scene::new().await;
    scene.relay.set_agent_keys("carol", "*not base64*", "");
    let entries = adapter(&scene).directory().await.unwrap();
    assert_eq!(entries.len(), 3);
    let error = scene.bob.try_say("carol", "hi").await.unwrap_err();
    assert!(matches!(error, Error::BadKeys { .. }), "{error}");
    scene.bob.say("alice", "hi").await;
    let item = sealed(
        ("carol", &scene.carol.identity),
        ("bob", &scene.bob.identity),
        &json!(1),
    );
    assert_eq!(
        scene.refused(item.to_string()).await.reason,
        Reason::UnknownSender
    );
}

fn adapter(scene: &Scene) -> ClawTalk {
    let key = ctalk::relay::clawtalk::BearerKey::new(scene.bob.api_key.clone());
    let clock = std::sync::Arc::new(ctalk::clock::SystemClock);
    ClawTalk::new(&scene.relay.url(), Some(key), clock).unwrap()
}

#[tokio::test]
async fn swapping_the_encryption_key_alone_stops_sending_with_both_fingerprints_named() {
    swapping("publicKey changed", |old, new| {
        (new.encryption().to_base64(), old.verifying().to_base64())
    })
    .await;
}

#[tokio::test]
async fn swapping_the_signing_key_alone_stops_sending_with_both_fingerprints_named() {
    swapping("signingKey changed", |old, new| {
        (old.encryption().to_base64(), new.verifying().to_base64())
    })
    .await;
}

#[tokio::test]
async fn swapping_both_keys_stops_sending_with_both_fingerprints_named() {
    swapping("publicKey and signingKey changed", |_, new| {
        (new.encryption().to_base64(), new.verifying().to_base64())
    })
    .await;
}

async fn swapping(
    names_the_key: &str,
    swap: impl Fn(&ctalk::core::PublicKeys, &ctalk::core::PublicKeys) -> (String, String),
) {
    let mut scene = Scene::new().await;
    let old = *scene.alice.identity.public_keys();
    let (encryption, signing) = swap(&old, new_identity().public_keys());
    scene.relay.set_agent_keys("alice", &encryption, &signing);
    let offered = ctalk::core::PublicKeys::from_base64(&encryption, &signing).unwrap();
    let stored_before = scene.relay.stored().len();

    let error = scene.bob.try_say("alice", "secret").await.unwrap_err();
    assert_eq!(error.class(), Class::NotTrusted);
    let text = error.to_string();
    for part in [
        names_the_key,
        "alice",
        &old.fingerprint().to_string(),
        &offered.fingerprint().to_string(),
    ] {
        assert!(text.contains(part), "{part} is missing in: {text}");
    }
    assert_eq!(
        scene.relay.stored().len(),
        stored_before,
        "nothing was sent"
    );
    // Messages that verify under the pinned key still do.
    scene.alice.say("bob", "still me").await;
    assert_eq!(scene.bob.receive_all().await.0.len(), 1);

    let error = scene
        .bob
        .client
        .accept_key("alice", old.fingerprint())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::OtherFingerprint { .. }), "{error}");
    scene
        .bob
        .client
        .accept_key("alice", offered.fingerprint())
        .await
        .unwrap();
    assert_eq!(
        scene
            .bob
            .client
            .store()
            .contact("alice")
            .unwrap()
            .unwrap()
            .keys,
        offered
    );
    scene.bob.say("alice", "trusted again").await;
}

#[tokio::test]
async fn messages_under_a_new_key_are_set_aside_until_it_is_accepted() {
    for replace_encryption in [true, false] {
        let mut scene = Scene::new().await;
        // Alice comes back with one new key, as after a reinstallation.
        let old: Value = serde_json::from_str(&scene.alice.identity.to_keygen_json()).unwrap();
        let mut keygen: Value = serde_json::from_str(&new_identity().to_keygen_json()).unwrap();
        let kept = if replace_encryption {
            ["signingKey", "signingPrivateKey"]
        } else {
            ["publicKey", "privateKey"]
        };
        for member in kept {
            keygen[member] = old[member].clone();
        }
        let renewed = Identity::from_keygen_json(&keygen.to_string()).unwrap();
        let keys = renewed.public_keys();
        scene.relay.set_agent_keys(
            "alice",
            &keys.encryption().to_base64(),
            &keys.verifying().to_base64(),
        );
        let item = sealed(
            ("alice", &renewed),
            ("bob", &scene.bob.identity),
            &json!({"text": "new"}),
        );
        let refused = scene.refused(item.to_string()).await;
        assert_eq!(refused.reason, Reason::KeyChanged, "{refused:?}");
        let changed = if replace_encryption {
            "publicKey changed"
        } else {
            "signingKey changed"
        };
        assert!(refused.detail.contains(changed), "{}", refused.detail);
        assert!(refused.detail.contains(&keys.fingerprint().to_string()));

        scene
            .bob
            .client
            .accept_key("alice", keys.fingerprint())
            .await
            .unwrap();
        scene.bob.client.store_mut().retry(refused.number).unwrap();
        let (messages, set_aside) = scene.bob.receive_all().await;
        assert_eq!(
            messages.iter().map(body).collect::<Vec<_>>(),
            ["new"],
            "{set_aside:?}"
        );
    }
}

#[tokio::test]
async fn unsigned_boxes_are_delivered_as_unsigned_and_pin_nobody() {
    let mut scene = Scene::new().await;
    let mut item = sealed(
        ("carol", &scene.carol.identity),
        ("bob", &scene.bob.identity),
        &json!("psst"),
    );
    item.as_object_mut().unwrap().remove("signature");
    scene.relay.inject("bob", &item.to_string());
    let (messages, set_aside) = scene.bob.receive_all().await;
    assert!(set_aside.is_empty(), "{set_aside:?}");
    assert_eq!(messages[0].trust, Trust::Unsigned);
    assert_eq!(
        (
            messages[0].from.as_deref(),
            messages[0].fingerprint.as_deref()
        ),
        (None, None)
    );
    assert!(scene.bob.client.store().contact("carol").unwrap().is_none());
}

#[tokio::test]
async fn a_sender_that_the_relay_does_not_list_is_unknown() {
    let mut scene = Scene::new().await;
    let item = sealed(
        ("nobody", &new_identity()),
        ("bob", &scene.bob.identity),
        &json!(1),
    );
    assert_eq!(
        scene.refused(item.to_string()).await.reason,
        Reason::UnknownSender
    );
}

#[tokio::test]
async fn a_failed_message_changes_nothing_but_the_quarantine() {
    let mut scene = Scene::new().await;
    let before = scene.bob.client.store().contacts().unwrap();
    let mut item = scene.by_alice(&json!("x"));
    item["topic"] = json!("added");
    let refused = scene.refused(item.to_string()).await;
    assert_eq!(scene.bob.client.store().contacts().unwrap(), before);
    let [entry] = &scene
        .bob
        .client
        .store()
        .entries_named(&refused.number.to_string())
        .unwrap()[..]
    else {
        panic!("not in the inbox")
    };
    assert_eq!(entry.raw, item.to_string().as_bytes(), "kept as received");
    scene
        .bob
        .client
        .store_mut()
        .drop_entry(refused.number, NOW)
        .unwrap();
    assert!(
        scene
            .bob
            .client
            .store()
            .entries_named(&refused.number.to_string())
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn an_unreachable_directory_leaves_a_strangers_message_new() {
    let mut scene = Scene::new().await;
    scene.carol.say("bob", "who am I?").await;
    scene.alice.say("bob", "behind the stranger").await;
    let mut altered = scene.by_alice(&json!("altered"));
    altered["topic"] = json!("added");
    scene.relay.inject("bob", &altered.to_string());
    scene.bob.client.fetch(Duration::ZERO).await.unwrap();
    let url = scene.relay.url();
    drop(scene.relay);
    let mut receiving = scene.bob.client.receive(Filter::default()).unwrap();
    let bob = &mut scene.bob.client;
    let Some(Next::SetAside(aside)) = bob.next(&mut receiving).await.unwrap() else {
        panic!("the altered message is the oldest")
    };
    assert_eq!(aside.reason, Reason::NotVerified);
    let Some(Next::Message(known)) = bob.next(&mut receiving).await.unwrap() else {
        panic!("a contact's message waits behind a stranger's")
    };
    assert_eq!(body(&known.message), "behind the stranger");
    bob.commit(*known).unwrap();
    let error = match bob.next(&mut receiving).await {
        Err(error) => error,
        Ok(next) => panic!("{next:?}"),
    };
    assert_eq!(error.class(), Class::RelayUnreachable, "{error} at {url}");
    assert!(
        bob.next(&mut receiving).await.unwrap().is_none(),
        "reported once"
    );
    let mut waiting = 0;
    bob.store()
        .each_entry(EntryState::New, |_| waiting += 1)
        .unwrap();
    assert_eq!(waiting, 1);
}

#[tokio::test]
async fn verifying_needs_no_relay_and_opens_nothing() {
    let mut scene = Scene::new().await;
    let item = scene.by_alice(&json!("x"));
    let verified = ctalk::verify(scene.bob.client.store(), item.to_string().as_bytes()).unwrap();
    assert_eq!(verified.contact.name, "alice");
    for (change, class) in [
        (json!({"topic": "added"}), Class::NotVerified),
        (json!({"from": "carol"}), Class::NotTrusted),
        (json!({"nonce": 3}), Class::Malformed),
        (json!({"encrypted": false}), Class::NotVerified),
    ] {
        let mut altered = item.clone();
        for (member, value) in change.as_object().unwrap() {
            altered[member] = value.clone();
        }
        let error = ctalk::verify(scene.bob.client.store(), altered.to_string().as_bytes())
            .err()
            .unwrap();
        assert_eq!(error.class(), class, "{change}: {error}");
    }
    let _ = scene.bob.receive_all().await;
}

#[tokio::test]
async fn a_handed_over_message_is_not_handed_over_again_within_one_run() {
    let mut scene = Scene::new().await;
    scene.alice.say("bob", "1").await;
    scene.alice.say("bob", "2").await;
    // Another copy of the second one, before that was committed.
    let mut copy: Value = serde_json::from_str(scene.relay.stored().last().unwrap()).unwrap();
    copy["id"] = json!(fresh_id());
    copy["ts"] = json!("2099-01-01T00:00:00.000Z");
    scene.relay.inject("bob", &copy.to_string());
    let bob = &mut scene.bob.client;
    bob.fetch(Duration::ZERO).await.unwrap();
    let contract = Contract {
        is_ordered: false,
        ..Contract::READER
    };
    let mut receiving = bob.receive_under(contract, Filter::default()).unwrap();
    let mut in_hand = Vec::new();
    for expected in ["1", "2"] {
        let Some(Next::Message(handover)) = bob.next(&mut receiving).await.unwrap() else {
            panic!("{expected} is missing")
        };
        assert_eq!(body(&handover.message), expected);
        in_hand.push(*handover);
    }
    let Some(Next::SetAside(aside)) = bob.next(&mut receiving).await.unwrap() else {
        panic!("the copy was handed over")
    };
    assert_eq!(aside.reason, Reason::Replayed);
    for handover in in_hand {
        bob.commit(handover).unwrap();
    }
}

#[tokio::test]
async fn a_handled_box_does_not_come_back_unsigned_under_another_name() {
    for is_listed in [true, false] {
        let mut scene = Scene::new().await;
        let mut item = scene.by_alice(&json!("pay 5"));
        scene.relay.inject("bob", &item.to_string());
        assert_eq!(scene.bob.receive_all().await.0.len(), 1);
        if is_listed {
            let _ = scene.relay.register(
                "mallory",
                &scene.alice.identity.public_keys().encryption().to_base64(),
                &new_identity().public_keys().verifying().to_base64(),
            );
            item["from"] = json!("mallory");
        }
        item.as_object_mut().unwrap().remove("signature");
        item["id"] = json!(fresh_id());
        let refused = scene.refused(item.to_string()).await;
        let expected = if is_listed {
            Reason::KeyConflict
        } else {
            Reason::Replayed
        };
        assert_eq!(refused.reason, expected, "{refused:?}");
    }
}

#[tokio::test]
async fn a_retired_key_serves_nobody_else() {
    let mut scene = Scene::new().await;
    let old = scene.by_alice(&json!("old secret order"));
    scene.relay.inject("bob", &old.to_string());
    assert_eq!(scene.bob.receive_all().await.0.len(), 1);
    let renewed = *new_identity().public_keys();
    scene.relay.set_agent_keys(
        "alice",
        &renewed.encryption().to_base64(),
        &renewed.verifying().to_base64(),
    );
    scene
        .bob
        .client
        .accept_key("alice", renewed.fingerprint())
        .await
        .unwrap();

    let mallory = new_identity();
    let _ = scene.relay.register(
        "mallory",
        &scene.alice.identity.public_keys().encryption().to_base64(),
        &mallory.public_keys().verifying().to_base64(),
    );
    let (payload, nonce) = (
        old["payload"].as_str().unwrap(),
        old["nonce"].as_str().unwrap(),
    );
    let metadata = Metadata {
        to: "bob",
        message_type: "request",
        topic: None,
        correlation_id: None,
    };
    let mut item = old.clone();
    item["from"] = json!("mallory");
    item["id"] = json!(fresh_id());
    item["signature"] = json!(sign_canonical(&mallory, &metadata, payload, nonce));
    scene.relay.inject("bob", &item.to_string());
    let (messages, set_aside) = scene.bob.receive_all().await;
    assert!(messages.is_empty(), "{messages:?}");
    assert!(
        matches!(set_aside[0].reason, Reason::KeyConflict | Reason::Replayed),
        "{set_aside:?}"
    );
    let error = scene.bob.try_say("mallory", "hi").await.unwrap_err();
    assert!(matches!(error, Error::KeyConflict(_)), "{error}");
}
