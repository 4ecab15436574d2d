//! Where trust, the inbox and time meet: copied keys, wrong clocks, two processes, handlers that fail.

use std::{convert::Infallible, time::Duration};

use ctalk::{
    Error, Filter, Format, Next, Reason,
    core::{
        XWingSecret,
        classic::{self, BoxKeys, Metadata},
        envelope::{self, Kind},
        trust::Standing,
    },
    store::{Learned, NewKeys, Store},
};
use ctalk_relay::testing::Lie;
use rand_core::{TryCryptoRng, TryRng};
use serde_json::json;

use crate::{
    agents::{body, new_identity, rng, text_draft},
    scene::{DAY, NOW, Native, Scene, at, sign},
};

#[tokio::test]
async fn whoever_copies_an_xwing_key_keeps_nobody_from_writing_to_its_owner() {
    let mut scene = Scene::new().await;
    scene.bob.say("alice", "1").await.unwrap();
    let mut mallory = Native::register(&scene.relay, "mallory", &scene.clock, false).await;
    let mallorys = |serial, xwing| sign(&mallory.agent.identity, xwing, "mallory", serial, NOW);
    let stolen = mallorys(1, &scene.alice.xwing).to_text();
    let own = XWingSecret::generate(&mut rng());
    let (first, next) = (
        mallorys(2, &own).to_text(),
        XWingSecret::generate(&mut rng()),
    );
    mallory.publish(&scene.relay, &[stolen], &scene.clock).await;
    mallory.say("bob", "hi").await.unwrap();
    assert_eq!(scene.one_refused().await.reason, Reason::KeyConflict);
    // With a key of his own he is let in, and then shows alice's next one before bob has seen it.
    mallory.publish(&scene.relay, &[first], &scene.clock).await;
    mallory.say("bob", "hi").await.unwrap();
    assert_eq!(scene.bob.receive().await.0.len(), 1);
    let copied = sign(&mallory.agent.identity, &next, "mallory", 3, NOW).to_text();
    mallory.publish(&scene.relay, &[copied], &scene.clock).await;
    scene.clock.advance(DAY);
    scene.bob.say("mallory", "hi").await.unwrap();
    let renewed = sign(&scene.alice.agent.identity, &next, "alice", 2, NOW);
    scene
        .alice
        .publish(&scene.relay, &[renewed.to_text()], &scene.clock)
        .await;
    scene.bob.say("alice", "2").await.unwrap();
    assert_eq!(scene.bob.contact("alice").unwrap().card, Some(renewed));
}

#[tokio::test]
async fn what_was_not_settled_is_handed_over_again_to_whoever_receives_next() {
    let mut scene = Scene::new().await;
    scene.alice.say("bob", "keep me").await.unwrap();
    let client = &mut scene.bob.agent.client;
    client.fetch(Duration::ZERO).await.unwrap();
    for attempt in 1..=3 {
        let mut receiving = client.receive(Filter::default()).unwrap();
        let Some(Next::Message(handover)) = client.next(&mut receiving).await.unwrap() else {
            panic!("no message")
        };
        assert_eq!(handover.attempt, attempt);
        receiving.rewind();
        assert!(client.next(&mut receiving).await.unwrap().is_none());
    }
    assert_eq!(scene.bob.receive().await.0.len(), 1);
}

#[tokio::test]
async fn a_copy_that_was_set_aside_is_not_handled_after_the_envelopes_life() {
    let mut scene = Scene::new().await;
    let mut draft = text_draft("pay once");
    draft.ttl = Some(60);
    scene.alice.send(&["bob"], &draft).await.remove(0).unwrap();
    let mut copy = scene.last_stored();
    copy["from"] = json!("nobody");
    copy["id"] = json!("copy");
    copy["ts"] = json!("2000-01-01T00:00:00.000Z");
    scene.relay.inject("bob", &copy.to_string());
    let (messages, set_aside) = scene.bob.receive().await;
    assert_eq!((messages.len(), set_aside.len()), (1, 1));
    let copy = set_aside[0].number;
    for days in [1, 88, 2] {
        scene.clock.advance(days * DAY);
        // A commit sweeps up what need not be remembered any more.
        let card = sign(
            &scene.bob.agent.identity,
            &scene.bob.xwing,
            "bob",
            2 + days.cast_unsigned(),
            scene.now(),
        );
        scene
            .bob
            .publish(&scene.relay, &[card.to_text()], &scene.clock)
            .await;
        scene.alice.say("bob", "other").await.unwrap();
        assert_eq!(scene.bob.receive().await.0.len(), 1);
        scene.bob.agent.client.store_mut().retry(copy).unwrap();
        let (messages, _) = scene.bob.receive().await;
        assert!(messages.is_empty(), "handled twice: {}", body(&messages[0]));
    }
}

/// No randomness at all, so that two envelopes have one id.
struct Always;

impl TryRng for Always {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(7)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(7)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.fill(7);
        Ok(())
    }
}

impl TryCryptoRng for Always {}

#[tokio::test]
async fn the_same_id_under_another_header_is_set_aside() {
    let mut scene = Scene::new().await;
    let mut texts = Vec::new();
    for content in ["first", "second"] {
        let metadata = envelope::Metadata::new(Kind::Request, "text/plain");
        let life = if content == "first" { DAY } else { 2 * DAY };
        let sealed = envelope::seal(
            &scene.alice.identity(),
            [&scene.bob.card],
            &metadata,
            content.as_bytes(),
            at(NOW),
            at(NOW + life),
            &mut Always,
        );
        texts.push(envelope::to_text(&sealed.unwrap()));
    }
    for (id, text) in ["1", "2"].iter().zip(texts) {
        let item = json!({"id": id, "from": "alice", "to": "bob", "type": "notification",
            "encrypted": true, "payload": text, "ts": "2026-01-01T00:00:00.000Z"});
        scene.relay.inject("bob", &item.to_string());
    }
    let (messages, set_aside) = scene.bob.receive().await;
    assert_eq!(messages.iter().map(body).collect::<Vec<_>>(), ["first"]);
    let reasons: Vec<_> = set_aside.iter().map(|aside| aside.reason).collect();
    assert_eq!(reasons, [Reason::Replayed]);
}

#[tokio::test]
async fn a_card_of_a_former_identity_does_not_land_on_the_new_one() {
    let mut scene = Scene::new().await;
    scene.bob.say("alice", "1").await.unwrap();
    let path = scene.bob.agent.folder.path().join("store.sqlite");
    let mut other = Store::open(&path, Some(&scene.relay.url())).unwrap();
    let before = scene.bob.contact("alice").unwrap();
    // Another process accepts alice's new keys, while this one still judges an envelope of the old.
    let fresh = new_identity();
    let card = sign(&fresh, &XWingSecret::generate(&mut rng()), "alice", 1, NOW);
    let new = NewKeys {
        keys: fresh.public_keys(),
        card: Some(&card),
        learned: Learned::Accepted,
        standing: Standing::Pinned,
    };
    assert!(other.replace_keys(&before, &new, NOW).unwrap());
    let xwing = XWingSecret::generate(&mut rng());
    let thiefs = sign(&scene.alice.agent.identity, &xwing, "alice", 9, NOW);
    let store = scene.bob.agent.client.store_mut();
    assert!(!store.set_card(&before, &thiefs, NOW).unwrap());
    assert!(!store.replace_keys(&before, &new, NOW).unwrap());
    let verified = store.change_standing(&before, Standing::after_verification);
    assert_eq!(verified.unwrap(), None);
    assert_eq!(scene.bob.contact("alice").unwrap().card, Some(card));
}

#[tokio::test]
async fn a_message_that_is_dropped_while_it_is_in_hand_is_still_remembered() {
    let mut scene = Scene::new().await;
    scene.alice.say("bob", "once").await.unwrap();
    let stored = scene.last_stored();
    let client = &mut scene.bob.agent.client;
    client.fetch(Duration::ZERO).await.unwrap();
    let mut receiving = client.receive(Filter::default()).unwrap();
    let Some(Next::Message(handover)) = client.next(&mut receiving).await.unwrap() else {
        panic!("no message")
    };
    let entries = client.store().entries_named(stored["id"].as_str().unwrap());
    let number = entries.unwrap()[0].number;
    client.store_mut().drop_entry(number, NOW).unwrap();
    client.commit(*handover).unwrap();
    drop(receiving);
    scene.relay.inject("bob", &stored.to_string());
    assert!(scene.bob.receive().await.0.is_empty(), "handled twice");
}

#[tokio::test]
async fn what_was_refused_by_a_clock_that_was_behind_can_be_retried() {
    let mut scene = Scene::new().await;
    scene.alice.say("bob", "hi").await.unwrap();
    scene.clock.advance(-DAY);
    let refused = scene.one_refused().await;
    assert_eq!(refused.reason, Reason::Expired);
    scene.clock.advance(DAY);
    let store = scene.bob.agent.client.store_mut();
    store.retry(refused.number).unwrap();
    assert_eq!(scene.bob.receive().await.0.len(), 1);
}

#[tokio::test]
async fn verifying_and_writing_in_the_clear_refuse_what_receiving_refuses() {
    let mut scene = Scene::new().await;
    scene.bob.say("alice", "1").await.unwrap();
    // Alice's own message, in the classic format.
    let metadata = Metadata {
        to: "bob",
        message_type: "request",
        topic: None,
        correlation_id: None,
    };
    let payload = serde_json::value::to_raw_value(&json!({ "text": "old" })).unwrap();
    let sealed = classic::seal(
        &scene.alice.agent.identity,
        &mut BoxKeys::default(),
        scene.bob.agent.identity.public_keys().encryption(),
        &metadata,
        &payload,
        &mut rng(),
    );
    let sealed = sealed.unwrap();
    let item = json!({
        "id": "c", "from": "alice", "to": "bob", "type": "request", "encrypted": true,
        "payload": sealed.payload, "nonce": sealed.nonce, "signature": sealed.signature,
    });
    let item = item.to_string();
    let client = &mut scene.bob.agent.client;
    let reason = |outcome| match outcome {
        Err(Error::Message { reason, .. }) => Some(reason),
        _ => None,
    };
    let verified = ctalk::verify(client.store(), item.as_bytes());
    assert_eq!(reason(verified), Some(Reason::Downgrade));
    let contact = client.store().contact("alice").unwrap().unwrap();
    let blocked = client
        .store_mut()
        .change_standing(&contact, |_| Standing::Blocked);
    assert_eq!(blocked.unwrap(), Some(Standing::Blocked));
    let verified = ctalk::verify(client.store(), item.as_bytes());
    assert_eq!(reason(verified), Some(Reason::Blocked));
    let names = ["alice".to_owned()];
    let mut outcomes = client
        .send_plaintext(&names, &text_draft("x"))
        .await
        .unwrap();
    let error = outcomes.remove(0).unwrap_err();
    assert!(matches!(error, Error::Blocked { .. }), "{error}");
}

#[tokio::test]
async fn accepting_keys_takes_no_contact_back_to_the_classic_format() {
    let mut scene = Scene::new().await;
    scene.alice.say("bob", "1").await.unwrap();
    let fresh = new_identity();
    // Bob's true new keys, without his new card.
    scene.relay.lie([Lie::Entry {
        agent: "bob".to_owned(),
        public_key: fresh.public_keys().encryption().to_base64(),
        signing_key: fresh.public_keys().verifying().to_base64(),
        capabilities: Vec::new(),
    }]);
    let fingerprint = fresh.public_keys().fingerprint();
    let client = &mut scene.alice.agent.client;
    let error = client.accept_key("bob", fingerprint).await.unwrap_err();
    assert!(matches!(error, Error::NoCard { .. }), "{error}");
    let sent = scene.alice.say("bob", "2").await.unwrap();
    assert_eq!(sent.format, Format::Native);
}

#[tokio::test]
async fn a_contact_under_two_names_gets_a_message_once_and_stops_nobody_elses() {
    let mut scene = Scene::new().await;
    let mut carol = Native::register(&scene.relay, "carol", &scene.clock, true).await;
    let client = &mut scene.bob.agent.client;
    client.add_contact("alice", Some("al")).await.unwrap();
    // Somebody registers under the name that alice has here.
    Native::register(&scene.relay, "al", &scene.clock, true).await;
    let all = client.everyone_else().await.unwrap();
    let outcomes = client.send(&all, &text_draft("all")).await.unwrap();
    let ids: Vec<_> = outcomes
        .into_iter()
        .map(|outcome| outcome.unwrap().id.unwrap())
        .collect();
    assert_eq!(ids.len(), 3);
    assert!(ids.iter().all(|id| *id == ids[0]));
    for agent in [&mut scene.alice, &mut carol] {
        assert_eq!(agent.receive().await.0.len(), 1);
    }
}

#[tokio::test]
async fn more_recipients_than_fit_into_one_message_get_several_envelopes() {
    let mut scene = Scene::new().await;
    let mut others = Vec::new();
    for number in 0..60 {
        let name = format!("agent{number}");
        others.push(Native::register(&scene.relay, &name, &scene.clock, true).await);
    }
    let client = &mut scene.bob.agent.client;
    let all = client.everyone_else().await.unwrap();
    let outcomes = client.send(&all, &text_draft("all")).await.unwrap();
    let ids: std::collections::BTreeSet<_> = outcomes
        .into_iter()
        .map(|outcome| outcome.unwrap().id)
        .collect();
    assert_eq!(ids.len(), 2);
    for agent in others.iter_mut().step_by(20) {
        assert_eq!(agent.receive().await.0.len(), 1);
    }
}
