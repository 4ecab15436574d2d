//! Messages that are longer than a relay's messages may be: cut, lost, repeated, mixed up, contradicted
//! and put together.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use ctalk::{
    Content, Draft, Error, MAX_PAYLOAD, Notice, Reason, Received, Transfer,
    clock::Clock,
    core::{
        Card, Identity,
        envelope::{self, Kind, Metadata},
        part::{Part, Split},
    },
    store::EntryState,
};
use ctalk_relay::{
    ManualClock,
    testing::{Faults, TestRelay},
};
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};

use crate::{
    agents::{Agent, rng},
    scene::{DAY, NOW, Native, Scene, SetClock, at},
};

const SLICE: u16 = 2048;

fn long_draft(length: usize) -> Draft {
    let payload = (0..length).map(|place| (place % 251) as u8).collect();
    Draft::new(Content::Bytes(payload))
}

/// An envelope that takes three slices of [`SLICE`].
fn sealed(from: &Identity, to: &Card, created: i64) -> Vec<u8> {
    let metadata = Metadata::new(Kind::Request, "application/octet-stream");
    let sealed = envelope::seal(
        from,
        [to],
        &metadata,
        &[7; 3500],
        at(created),
        at(created + DAY),
        &mut rng(),
    )
    .unwrap();
    assert_eq!(sealed.len().div_ceil(SLICE.into()), 3);
    sealed
}

fn texts(from: &Identity, envelope: &[u8]) -> Vec<String> {
    let split = Split::new(from, envelope, SLICE).unwrap();
    split.texts(from, 0).collect()
}

fn signing_key(identity: &Identity) -> SigningKey {
    let keys: Value = serde_json::from_str(&identity.to_keygen_json()).unwrap();
    let pair = keys["signingPrivateKey"].as_str().unwrap();
    let pair = BASE64_STANDARD.decode(pair).unwrap();
    SigningKey::from_keypair_bytes(&pair.try_into().unwrap()).unwrap()
}

/// A part that its sender signed after `change`.
fn resigned(from: &Identity, text: &str, change: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut part = Part::from_text(text).unwrap();
    change(&mut part);
    let signed = part.len() - 64;
    let signature = signing_key(from).sign(&[b"ctalk/part/2", &part[..signed]].concat());
    part[signed..].copy_from_slice(&signature.to_bytes());
    format!("ctalk2p:{}", BASE64_URL_SAFE_NO_PAD.encode(part))
}

/// Gives bob a message with this payload, in the name of `from`.
fn inject(scene: &Scene, from: &str, id: &str, payload: &str) {
    let message = json!({"id": id, "from": from, "to": "bob", "type": "notification",
        "encrypted": true, "payload": payload, "ts": "2026-01-01T00:00:00.000Z"});
    scene.relay.inject("bob", &message.to_string());
}

fn bytes(message: &Received) -> &[u8] {
    message.payload.as_bytes()
}

/// A scene in which bob knows alice.
async fn acquainted() -> Scene {
    let mut scene = Scene::new().await;
    scene.meet().await;
    scene
}

/// Takes everything that waits for bob off the relay, and returns the payloads.
async fn intercept(scene: &Scene) -> Vec<Value> {
    let waiting: Vec<Value> = scene
        .relay
        .stored()
        .iter()
        .map(|text| serde_json::from_str(text).unwrap())
        .collect();
    for message in &waiting {
        let relay = ctalk::relay::clawtalk::ClawTalk::new(
            &scene.relay.url(),
            Some(scene.bob.key()),
            Arc::new(scene.clock.clone()),
        )
        .unwrap();
        assert!(relay.delete(message["id"].as_str().unwrap()).await.unwrap());
    }
    waiting
}

#[tokio::test]
async fn a_message_that_is_too_long_for_the_relay_arrives_whole() {
    let mut scene = Scene::new().await;
    let draft = long_draft(3_000_000);
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    scene
        .alice
        .agent
        .client
        .on_transfer(move |progress| tell.lock().unwrap().push(progress));
    let sent = scene.alice.send(&["bob"], &draft).await.remove(0).unwrap();

    let parts = scene.relay.stored();
    assert!(parts.len() > 60, "{}", parts.len());
    for part in &parts {
        assert!(part.len() < 65_536);
        let part: Value = serde_json::from_str(part).unwrap();
        assert!(part["payload"].as_str().unwrap().starts_with("ctalk2p:"));
        assert_eq!(part["type"], "notification");
    }
    let told = std::mem::take(&mut *told.lock().unwrap());
    assert_eq!(told.len(), parts.len());
    assert!(told.is_sorted_by_key(|progress| progress.done));
    let &Transfer { done, total } = told.last().unwrap();
    assert_eq!(done, total);

    let (messages, set_aside) = scene.bob.receive().await;
    assert!(set_aside.is_empty(), "{set_aside:?}");
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].id, sent.id);
    assert_eq!(messages[0].from.as_deref(), Some("alice"));
    assert!(bytes(&messages[0]) == draft.content.as_bytes());
    assert!(scene.relay.stored().is_empty());
}

#[tokio::test]
async fn what_fits_into_one_message_is_one_and_several_share_what_does_not() {
    let mut scene = Scene::new().await;
    let mut carol = Native::register(&scene.relay, "carol", &scene.clock, true).await;
    scene.alice.send(&["bob"], &long_draft(30_000)).await;
    assert_eq!(scene.relay.stored().len(), 1);
    assert_eq!(scene.bob.receive().await.0.len(), 1);
    let draft = long_draft(100_000);
    for sent in scene.alice.send(&["bob", "carol"], &draft).await {
        sent.unwrap();
    }
    // The relay has a copy of each for both.
    assert_eq!(scene.relay.stored().len(), 2 * 3);
    for agent in [&mut scene.bob, &mut carol] {
        let (messages, set_aside) = agent.receive().await;
        assert!(set_aside.is_empty(), "{set_aside:?}");
        assert!(bytes(&messages[0]) == draft.content.as_bytes());
    }
}

#[tokio::test]
async fn more_than_64_mib_are_not_sent() {
    let mut scene = Scene::new().await;
    let draft = Draft::new(Content::Bytes(vec![0; MAX_PAYLOAD + 1]));
    let names = ["bob".to_owned()];
    let refused = scene.alice.agent.client.send(&names, &draft).await;
    assert!(matches!(
        refused,
        Err(Error::PayloadTooLong { found }) if found == MAX_PAYLOAD + 1
    ));
    assert!(scene.relay.stored().is_empty());
}

#[tokio::test]
async fn parts_come_in_any_order_several_times_and_over_restarts() {
    let mut scene = acquainted().await;
    let draft = long_draft(250_000);
    scene.alice.send(&["bob"], &draft).await.remove(0).unwrap();
    let mut parts = intercept(&scene).await;
    parts.reverse();
    let last = parts.pop().unwrap();
    for (place, part) in parts.iter().enumerate() {
        for copy in ["a", "b"] {
            let payload = part["payload"].as_str().unwrap();
            inject(&scene, "alice", &format!("{copy}{place}"), payload);
        }
        let (messages, set_aside) = scene.bob.receive().await;
        assert!(messages.is_empty() && set_aside.is_empty(), "{set_aside:?}");
        // Another process, with nothing but what is on disk.
        scene.bob.agent.client = scene.bob.client(&scene.relay.url(), &scene.clock);
    }
    let payload = last["payload"].as_str().unwrap();
    inject(&scene, "alice", "last", payload);
    let (messages, set_aside) = scene.bob.receive().await;
    assert!(set_aside.is_empty(), "{set_aside:?}");
    assert_eq!(messages.len(), 1);
    assert!(bytes(&messages[0]) == draft.content.as_bytes());

    // Later copies change nothing, not even all of them.
    parts.push(last);
    for (place, part) in parts.iter().enumerate() {
        let payload = part["payload"].as_str().unwrap();
        inject(&scene, "alice", &format!("c{place}"), payload);
    }
    let (messages, set_aside) = scene.bob.receive().await;
    assert!(messages.is_empty() && set_aside.is_empty(), "{set_aside:?}");
}

#[tokio::test]
async fn a_whole_message_is_handed_over_again_until_it_is_committed() {
    let mut scene = acquainted().await;
    let draft = long_draft(100_000);
    scene.alice.send(&["bob"], &draft).await.remove(0).unwrap();
    scene.bob.agent.client.fetch(Duration::ZERO).await.unwrap();
    let handover = scene.bob.agent.peek_next().await.unwrap();
    assert!(bytes(&handover.message) == draft.content.as_bytes());
    drop(handover);
    scene.bob.agent.client = scene.bob.client(&scene.relay.url(), &scene.clock);
    let handover = scene.bob.agent.peek_next().await.unwrap();
    assert!(bytes(&handover.message) == draft.content.as_bytes());
    assert_eq!(handover.attempt, 2);
    scene.bob.agent.client.commit(handover).unwrap();
    assert!(scene.bob.agent.peek_next().await.is_none());
}

#[tokio::test]
async fn parts_survive_a_relay_that_repeats_and_mixes_them_up() {
    let mut scene = acquainted().await;
    scene.relay.fail(Faults {
        seed: 7,
        duplicate: 0.5,
        delay: 0.5,
        reorder: 1.0,
        ..Faults::default()
    });
    let draft = long_draft(400_000);
    scene.alice.send(&["bob"], &draft).await.remove(0).unwrap();
    let mut received = Vec::new();
    while !scene.relay.stored().is_empty() {
        let (messages, set_aside) = scene.bob.receive().await;
        assert!(set_aside.is_empty(), "{set_aside:?}");
        received.extend(messages);
    }
    assert!(scene.relay.fault_counts().duplicated > 0);
    assert_eq!(received.len(), 1);
    assert!(bytes(&received[0]) == draft.content.as_bytes());
}

#[tokio::test]
async fn a_part_that_contradicts_the_others_is_set_aside_and_harms_none() {
    let mut scene = acquainted().await;
    let alice = scene.alice.identity();
    let envelope = sealed(&alice, &scene.bob.card, NOW);
    let mut other = envelope.clone();
    *other.last_mut().unwrap() ^= 1;
    let (parts, others) = (texts(&alice, &envelope), texts(&alice, &other));
    inject(&scene, "alice", "1", &parts[0]);
    inject(&scene, "alice", "2", &others[1]);
    let aside = scene.one_refused().await;
    assert_eq!(aside.reason, Reason::Part);
    assert_eq!(aside.state, EntryState::Quarantined);
    // The same of the same envelope, with another slice.
    let other = resigned(&alice, &parts[0], |part| part[104] ^= 1);
    inject(&scene, "alice", "0", &other);
    assert_eq!(scene.one_refused().await.reason, Reason::Part);
    inject(&scene, "alice", "3", &parts[1]);
    inject(&scene, "alice", "4", &parts[2]);
    let (messages, set_aside) = scene.bob.receive().await;
    assert!(set_aside.is_empty(), "{set_aside:?}");
    assert_eq!(bytes(&messages[0]), [7; 3500]);
}

#[tokio::test]
async fn parts_that_are_not_what_they_make_are_set_aside_and_let_go() {
    let mut scene = acquainted().await;
    let alice = scene.alice.identity();
    // The sender claims a later end than the envelope has.
    let parts = texts(&alice, &sealed(&alice, &scene.bob.card, NOW));
    for (place, text) in parts.iter().enumerate() {
        let text = resigned(&alice, text, |part| {
            let expires = u64::try_from(NOW + 2 * DAY).unwrap().to_be_bytes();
            part[32..40].copy_from_slice(&expires);
        });
        inject(&scene, "alice", &format!("p{place}"), &text);
    }
    assert_eq!(scene.one_refused().await.reason, Reason::Part);
    assert!(scene.bob.receive().await.1.is_empty());
}

#[tokio::test]
async fn an_envelope_in_parts_is_verified_like_any_other() {
    let mut scene = acquainted().await;
    let alice = scene.alice.identity();
    let mut envelope = sealed(&alice, &scene.bob.card, NOW);
    *envelope.last_mut().unwrap() ^= 1;
    for (place, text) in texts(&alice, &envelope).iter().enumerate() {
        inject(&scene, "alice", &format!("p{place}"), text);
    }
    assert_eq!(scene.one_refused().await.reason, Reason::NotVerified);
}

#[tokio::test]
async fn parts_that_nobody_or_somebody_else_signed_are_not_stored() {
    let mut scene = acquainted().await;
    let alice = scene.alice.identity();
    let parts = texts(&alice, &sealed(&alice, &scene.bob.card, NOW));
    let mut forged = parts[0].clone();
    // The last character holds bits of the signature.
    let last = if forged.pop() == Some('A') { 'Q' } else { 'A' };
    forged.push(last);
    inject(&scene, "alice", "1", &forged);
    assert_eq!(scene.one_refused().await.reason, Reason::NotVerified);
    inject(&scene, "alice", "2", "ctalk2p:AAAA");
    assert_eq!(scene.one_refused().await.reason, Reason::Malformed);
    let contact = scene.bob.contact("alice").unwrap();
    let store = scene.bob.agent.client.store_mut();
    store
        .set_standing(&contact, ctalk::core::trust::Standing::Blocked)
        .unwrap();
    inject(&scene, "alice", "3", &parts[0]);
    assert_eq!(scene.one_refused().await.reason, Reason::Blocked);
}

#[tokio::test]
async fn parts_are_given_up_when_their_envelope_has_expired() {
    let mut scene = acquainted().await;
    let alice = scene.alice.identity();
    let parts = texts(&alice, &sealed(&alice, &scene.bob.card, NOW));
    inject(&scene, "alice", "1", &parts[0]);
    inject(&scene, "alice", "2", &parts[1]);
    assert!(scene.bob.receive().await.0.is_empty());
    scene.clock.advance(DAY + 10 * 60 * 1000);
    inject(&scene, "alice", "3", &parts[2]);
    assert_eq!(scene.one_refused().await.reason, Reason::Expired);
}

/// The first part of an envelope that is said to have so many bytes, and of which no other part comes.
fn endless(from: &Identity, to: &Card, created: i64, length: u32) -> String {
    of_length(from, &texts(from, &sealed(from, to, created))[0], length)
}

/// A part of an envelope that is said to have so many bytes.
fn of_length(from: &Identity, text: &str, length: u32) -> String {
    resigned(from, text, |part| {
        part[28..32].copy_from_slice(&length.to_be_bytes());
    })
}

/// What bob refuses of such an envelope.
async fn refused(scene: &mut Scene, from: &str, identity: &Identity, length: u32) -> Vec<Reason> {
    let text = endless(identity, &scene.bob.card, scene.now(), length);
    inject(scene, from, &text[text.len() - 40..], &text);
    let (messages, set_aside) = scene.bob.receive().await;
    assert!(messages.is_empty());
    set_aside.iter().map(|aside| aside.reason).collect()
}

#[tokio::test]
async fn envelopes_that_never_end_take_no_more_than_their_contacts_room() {
    let mut scene = acquainted().await;
    let alice = scene.alice.identity();
    for reasons in [&[][..], &[], &[Reason::Part]] {
        assert_eq!(
            refused(&mut scene, "alice", &alice, 80 << 20).await,
            reasons
        );
    }
    // What is given up makes room.
    scene.clock.advance(2 * DAY);
    assert_eq!(refused(&mut scene, "alice", &alice, 80 << 20).await, []);
}

#[tokio::test]
async fn parts_that_there_is_no_room_for_are_told_of_once_for_each_envelope() {
    let mut scene = acquainted().await;
    let alice = scene.alice.identity();
    for _ in 0..2 {
        assert_eq!(refused(&mut scene, "alice", &alice, 80 << 20).await, []);
    }
    for envelope in 0..2 {
        let sealed = sealed(&alice, &scene.bob.card, scene.now());
        for (place, text) in texts(&alice, &sealed).iter().take(2).enumerate() {
            let text = of_length(&alice, text, 80 << 20);
            inject(&scene, "alice", &format!("{envelope}-{place}"), &text);
        }
    }
    let (messages, set_aside) = scene.bob.receive().await;
    assert!(messages.is_empty());
    let told: Vec<_> = set_aside
        .iter()
        .map(|aside| aside.relay_id.clone())
        .collect();
    assert_eq!(told, [Some("0-0".to_owned()), Some("1-0".to_owned())]);
    let mut kept = 0;
    let store = scene.bob.agent.client.store();
    store
        .each_entry(EntryState::Quarantined, |_| kept += 1)
        .unwrap();
    assert_eq!(kept, 4);
}

/// What bob was told of messages that did not come in full.
fn unfinished(scene: &mut Scene) -> Vec<(Option<String>, u64)> {
    let notices = scene.bob.agent.client.take_notices().into_iter();
    let unfinished = notices.filter_map(|notice| match notice {
        Notice::Unfinished { from, messages } => Some((from, messages)),
        _ => None,
    });
    unfinished.collect()
}

#[tokio::test]
async fn messages_that_do_not_come_in_full_in_time_are_told_of() {
    let mut scene = acquainted().await;
    let stranger = Agent::register(&scene.relay, "stranger").identity;
    let alice = scene.alice.identity();
    for (name, identity, length) in [("alice", &alice, 6000), ("stranger", &stranger, 6000)] {
        for _ in 0..2 {
            assert_eq!(refused(&mut scene, name, identity, length).await, []);
        }
    }
    // One that came in full is none of them.
    for (place, text) in texts(&alice, &sealed(&alice, &scene.bob.card, NOW))
        .iter()
        .enumerate()
    {
        inject(&scene, "alice", &place.to_string(), text);
    }
    assert_eq!(scene.bob.receive().await.0.len(), 1);
    scene.clock.advance(DAY);
    assert!(scene.bob.receive().await.0.is_empty());
    assert_eq!(unfinished(&mut scene), [], "clocks may differ");
    scene.clock.advance(10 * 60 * 1000);
    assert!(scene.bob.receive().await.0.is_empty());
    let expected = [(None, 2), (Some("alice".to_owned()), 2)];
    assert_eq!(unfinished(&mut scene), expected);
    assert_eq!(unfinished(&mut scene), []);
}

#[tokio::test]
async fn a_stranger_pushes_out_the_least_filled_envelope_of_strangers_and_no_other() {
    let mut scene = acquainted().await;
    let carol = Native::register(&scene.relay, "carol", &scene.clock, true).await;
    let stranger = Agent::register(&scene.relay, "stranger").identity;
    let senders = [
        ("alice", scene.alice.identity()),
        ("carol", carol.identity()),
    ];
    let mut last = Vec::new();
    for (name, identity) in &senders {
        let mut parts = texts(identity, &sealed(identity, &scene.bob.card, NOW));
        last.extend(parts.pop());
        for (place, text) in parts.iter().enumerate() {
            inject(&scene, name, &format!("{name}{place}"), text);
        }
    }
    for _ in 0..5 {
        assert_eq!(
            refused(&mut scene, "stranger", &stranger, 80 << 20).await,
            []
        );
    }
    for ((name, _), text) in senders.iter().zip(&last) {
        inject(&scene, name, &format!("{name} last"), text);
        let (messages, set_aside) = scene.bob.receive().await;
        assert!(set_aside.is_empty(), "{set_aside:?}");
        assert_eq!(messages[0].from.as_deref(), Some(*name));
    }
}

#[tokio::test]
async fn strangers_make_room_for_contacts_where_there_is_none_left() {
    let mut scene = acquainted().await;
    let stranger = Agent::register(&scene.relay, "stranger").identity;
    let most = 96 << 20;
    assert_eq!(refused(&mut scene, "stranger", &stranger, most).await, []);
    let mut contacts = vec![("alice", scene.alice.identity())];
    for name in ["carol", "dave"] {
        let mut native = Native::register(&scene.relay, name, &scene.clock, true).await;
        native.say("bob", "hello").await.unwrap();
        assert_eq!(scene.bob.receive().await.0.len(), 1);
        contacts.push((name, native.identity()));
    }
    let mut reasons = Vec::new();
    for (name, identity) in &contacts {
        for _ in 0..2 {
            reasons.extend(refused(&mut scene, name, identity, most).await);
        }
    }
    // 480 of 512 MiB are with contacts now, and none of strangers is left to make room.
    assert_eq!(reasons, [Reason::Part]);
    assert_eq!(
        refused(&mut scene, "stranger", &stranger, most).await,
        [Reason::Part]
    );
}

/// How many messages are in alice's outbox.
fn queued(scene: &Scene) -> usize {
    let mut queued = 0;
    let store = scene.alice.agent.client.store();
    store.each_outgoing(|_| queued += 1).unwrap();
    queued
}

#[tokio::test]
async fn sending_goes_on_after_a_crash_at_the_part_that_the_relay_did_not_confirm() {
    let mut scene = acquainted().await;
    let draft = long_draft(600_000);
    let names = ["bob".to_owned()];
    let client = &mut scene.alice.agent.client;
    let sent = client.enqueue(&names, &draft).await.unwrap().remove(0);
    scene.relay.fail(Faults {
        seed: 3,
        drop: 0.3,
        ..Faults::default()
    });
    let mut runs = 0;
    while queued(&scene) > 0 {
        // Each time in another process, with nothing but what is on disk.
        scene.alice.agent.client = scene.alice.client(&scene.relay.url(), &scene.clock);
        scene.alice.agent.client.flush().await.unwrap();
        runs += 1;
    }
    let lost_answers = scene.relay.fault_counts().lost_answers;
    scene.relay.fail(Faults::default());
    assert!(runs > 3 && lost_answers > 0, "{runs} {lost_answers}");
    // Nothing is repeated but the parts of which no answer told that they had arrived.
    let parts = (600_000 / 44_800 + 1) + lost_answers;
    assert_eq!(scene.relay.stored().len() as u64, parts);
    let (messages, set_aside) = scene.bob.receive().await;
    assert!(set_aside.is_empty(), "{set_aside:?}");
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].id, sent.unwrap().id);
    assert!(bytes(&messages[0]) == draft.content.as_bytes());
}

#[tokio::test]
async fn a_rate_limit_slows_parts_down_and_breaks_nothing_off() {
    let now = ManualClock::new(NOW);
    let relay = TestRelay::builder()
        .rate_limit("2/10s".parse().unwrap())
        .clock(now.clone())
        .start()
        .await;
    let clock = SetClock::new();
    let mut alice = Native::register(&relay, "alice", &clock, true).await;
    let mut bob = Native::register(&relay, "bob", &clock, true).await;
    // More windows than one message may wait for.
    let draft = long_draft(3_000_000);
    let names = ["bob".to_owned()];
    let sending = alice.agent.client.send(&names, &draft);
    // The relay's clock moves with every pause.
    let moving = async {
        loop {
            now.set(Clock::now(&clock));
            tokio::task::yield_now().await;
        }
    };
    let sent = tokio::select! {
        sent = sending => sent.unwrap().remove(0),
        () = moving => unreachable!(),
    };
    sent.unwrap();
    assert!(Clock::now(&clock) - NOW > 300_000);
    let (messages, set_aside) = bob.receive().await;
    assert!(set_aside.is_empty(), "{set_aside:?}");
    assert!(bytes(&messages[0]) == draft.content.as_bytes());
}

#[tokio::test]
async fn parts_that_came_in_time_make_a_message_however_late_they_are_looked_at() {
    let mut scene = acquainted().await;
    let alice = scene.alice.identity();
    let parts = texts(&alice, &sealed(&alice, &scene.bob.card, NOW));
    for (place, text) in parts.iter().enumerate() {
        inject(&scene, "alice", &format!("p{place}"), text);
    }
    scene.bob.agent.client.fetch(Duration::ZERO).await.unwrap();
    scene.clock.advance(2 * DAY);
    let (messages, set_aside) = scene.bob.receive().await;
    assert!(set_aside.is_empty(), "{set_aside:?}");
    assert_eq!(bytes(&messages[0]), [7; 3500]);
}

#[tokio::test]
async fn a_receipt_that_got_lost_is_repeated_when_all_parts_come_again() {
    let mut scene = acquainted().await;
    let draft = Draft {
        receipt: true,
        ..long_draft(100_000)
    };
    let sent = scene.alice.send(&["bob"], &draft).await.remove(0).unwrap();
    assert_eq!(scene.bob.receive().await.0.len(), 1);
    scene.relay.fail(Faults {
        swallow: 1.0,
        ..Faults::default()
    });
    scene.bob.agent.client.flush_due().await.unwrap();
    assert!(scene.relay.stored().is_empty());

    scene.relay.fail(Faults::default());
    scene.clock.advance(60_000);
    scene.alice.agent.client.flush_due().await.unwrap();
    assert!(scene.relay.stored().len() > 1, "it is sent again");
    let (messages, set_aside) = scene.bob.receive().await;
    assert!(messages.is_empty() && set_aside.is_empty(), "{set_aside:?}");
    scene.bob.agent.client.flush_due().await.unwrap();
    assert_eq!(scene.relay.stored().len(), 1, "one receipt for all parts");
    let _ = scene.alice.receive().await;
    let store = scene.alice.agent.client.store();
    assert_eq!(store.receipts(&sent.id.unwrap()).unwrap().len(), 1);
    assert_eq!(queued(&scene), 0);
}
