//! Receipts: asked for, missed, and given by whom they were asked of.

use std::sync::Arc;

use ctalk::{
    Draft, Error, Notice, Reason,
    core::envelope::{self, EnvelopeId, Receipt, ReceiptOutcome},
    relay::{Body, Destination, Outgoing, Relay, clawtalk::ClawTalk},
    store::{OutboxEntry, OutboxState},
    wire::MessageType,
};
use ctalk_relay::testing::Faults;

use crate::{
    agents::{body, text_draft},
    scene::{DAY, Native, Scene, at},
};

const MINUTE: i64 = 60 * 1000;

fn asking(text: &str) -> Draft {
    Draft {
        receipt: true,
        ..text_draft(text)
    }
}

fn outbox(native: &Native) -> Vec<OutboxEntry> {
    let mut entries = Vec::new();
    let store = native.agent.client.store();
    store.each_outgoing(|entry| entries.push(entry)).unwrap();
    entries
}

/// Sends alice a receipt of `from`'s for the message with this id.
async fn give(scene: &Scene, from: &Native, id: &str, outcome: ReceiptOutcome) {
    let bytes: [u8; 16] = hex::decode(id).unwrap().try_into().unwrap();
    let receipt = Receipt::new(EnvelopeId::from_bytes(bytes), outcome, 2, b"result");
    let now = at(scene.now());
    let sealed = envelope::seal(
        &from.identity(),
        [&scene.alice.card],
        &receipt.metadata(),
        &receipt.payload(),
        now,
        at(scene.now() + DAY),
        &mut crate::agents::rng(),
    );
    let clock = Arc::new(scene.clock.clone());
    let relay = ClawTalk::new(&scene.relay.url(), Some(from.key()), clock).unwrap();
    let outgoing = Outgoing {
        to: Destination::Agent("alice".to_owned()),
        message_type: MessageType::Notification,
        topic: None,
        correlation_id: None,
        reply_to: None,
        ttl: None,
        body: Body::Native(envelope::to_text(&sealed.unwrap())),
    };
    relay.send(&outgoing).await.unwrap();
}

async fn ask(scene: &mut Scene, to: &[&str]) -> String {
    let outcomes = scene.alice.send(to, &asking("tell me")).await;
    let sent = outcomes.into_iter().next().unwrap().unwrap();
    sent.id.unwrap()
}

#[tokio::test]
async fn a_message_leaves_the_outbox_with_the_last_receipt() {
    let mut scene = Scene::new().await;
    let carol = Native::register(&scene.relay, "carol", &scene.clock, true).await;
    let id = ask(&mut scene, &["bob", "carol"]).await;
    let states = |scene: &Scene| {
        let entries = outbox(&scene.alice);
        entries.iter().map(|entry| entry.state).collect::<Vec<_>>()
    };
    assert_eq!(states(&scene), [OutboxState::Sent]);
    give(&scene, &scene.bob, &id, ReceiptOutcome::Done).await;
    let (messages, set_aside) = scene.alice.receive().await;
    assert!(messages.is_empty() && set_aside.is_empty(), "{set_aside:?}");
    assert_eq!(states(&scene), [OutboxState::Sent]);
    give(&scene, &carol, &id, ReceiptOutcome::Refused).await;
    let _ = scene.alice.receive().await;
    assert!(states(&scene).is_empty());
    let receipts = scene.alice.agent.client.store().receipts(&id).unwrap();
    let outcomes: Vec<_> = receipts.iter().map(|receipt| receipt.outcome).collect();
    assert_eq!(outcomes, [ReceiptOutcome::Done, ReceiptOutcome::Refused]);
    assert_eq!(receipts[0].attempt, 2);
}

#[tokio::test]
async fn a_receipt_that_comes_again_is_absorbed_and_the_first_one_counts() {
    let mut scene = Scene::new().await;
    let id = ask(&mut scene, &["bob"]).await;
    for outcome in [ReceiptOutcome::Done, ReceiptOutcome::Failed] {
        give(&scene, &scene.bob, &id, outcome).await;
        let (messages, set_aside) = scene.alice.receive().await;
        assert!(messages.is_empty() && set_aside.is_empty(), "{set_aside:?}");
    }
    let receipts = scene.alice.agent.client.store().receipts(&id).unwrap();
    assert_eq!(receipts.len(), 1);
    assert_eq!(receipts[0].outcome, ReceiptOutcome::Done);
}

#[tokio::test]
async fn a_receipt_that_was_not_asked_of_its_sender_is_set_aside() {
    let mut scene = Scene::new().await;
    let carol = Native::register(&scene.relay, "carol", &scene.clock, true).await;
    scene.alice.say("carol", "hello").await.unwrap();
    let asked = ask(&mut scene, &["bob"]).await;
    let unasked = scene
        .alice
        .say("bob", "no receipt")
        .await
        .unwrap()
        .id
        .unwrap();
    give(&scene, &carol, &asked, ReceiptOutcome::Done).await;
    give(&scene, &scene.bob, &unasked, ReceiptOutcome::Done).await;
    give(&scene, &scene.bob, &"0".repeat(32), ReceiptOutcome::Done).await;
    let (messages, set_aside) = scene.alice.receive().await;
    assert!(messages.is_empty());
    let reasons: Vec<_> = set_aside.iter().map(|aside| aside.reason).collect();
    assert_eq!(reasons, [Reason::Unasked; 3]);
    assert_eq!(outbox(&scene.alice).len(), 1, "it still misses bob's");
}

#[tokio::test]
async fn a_message_that_the_relay_lost_is_sent_again_until_its_receipt_comes() {
    let mut scene = Scene::new().await;
    scene.alice.say("bob", "0").await.unwrap();
    let _ = scene.bob.receive().await;
    let swallow = Faults {
        seed: 1,
        swallow: 1.0,
        ..Faults::default()
    };
    scene.relay.fail(swallow);
    let id = ask(&mut scene, &["bob"]).await;
    scene.relay.fail(Faults::default());
    let alice = &mut scene.alice.agent.client;
    alice.flush_due().await.unwrap();
    assert!(
        scene.bob.receive().await.0.is_empty(),
        "it is not overdue yet"
    );
    scene.clock.advance(MINUTE);
    alice.flush_due().await.unwrap();
    let (messages, _) = scene.bob.receive().await;
    let received: Vec<_> = messages
        .iter()
        .map(|one| (body(one), one.id.clone()))
        .collect();
    assert_eq!(received, [("tell me".to_owned(), Some(id.clone()))]);

    // Once more, which bob does not notice, and then no more.
    scene.clock.advance(5 * MINUTE);
    alice.flush_due().await.unwrap();
    assert_eq!(scene.relay.stored().len(), 1);
    let (messages, set_aside) = scene.bob.receive().await;
    assert!(messages.is_empty() && set_aside.is_empty());
    give(&scene, &scene.bob, &id, ReceiptOutcome::Done).await;
    let _ = scene.alice.receive().await;
    scene.clock.advance(DAY);
    scene.alice.agent.client.flush_due().await.unwrap();
    assert!(scene.relay.stored().is_empty());
}

#[tokio::test]
async fn a_message_that_misses_its_receipt_holds_back_no_other() {
    let mut scene = Scene::new().await;
    let _ = ask(&mut scene, &["bob"]).await;
    scene.alice.say("bob", "next").await.unwrap();
    let (messages, _) = scene.bob.receive().await;
    assert_eq!(
        messages.iter().map(body).collect::<Vec<_>>(),
        ["tell me", "next"]
    );
}

#[tokio::test]
async fn a_receipt_that_never_comes_is_said_at_the_end_of_the_message() {
    let mut scene = Scene::new().await;
    let _ = ask(&mut scene, &["bob"]).await;
    scene.clock.advance(8 * DAY);
    let client = &mut scene.alice.agent.client;
    client.flush_due().await.unwrap();
    let notices = client.take_notices();
    assert!(
        matches!(notices[..], [Notice::NoReceipt { .. }]),
        "{notices:?}"
    );
    assert!(outbox(&scene.alice).is_empty());
}

#[tokio::test]
async fn a_refused_message_that_a_relay_shows_many_times_is_answered_now_and_then() {
    let mut scene = Scene::new().await;
    scene.alice.say("bob", "0").await.unwrap();
    let _ = scene.bob.receive().await;
    let policy = scene.bob.agent.folder.path().join("policy.toml");
    std::fs::write(policy, "[default]\nmax-size = 3").unwrap();
    scene.bob.agent.client = scene.bob.client(&scene.relay.url(), &scene.clock);
    let _ = ask(&mut scene, &["bob"]).await;
    let message = scene.last_stored();
    let mut show = async |copy: u32| {
        let mut shown = message.clone();
        shown["id"] = format!("copy {copy}").into();
        scene.relay.inject("bob", &shown.to_string());
        let (messages, set_aside) = scene.bob.receive().await;
        assert!(messages.is_empty());
        assert!(set_aside.iter().all(|aside| aside.reason == Reason::Policy));
        outbox(&scene.bob).len()
    };
    for copy in 0..5 {
        assert_eq!(show(copy).await, 1);
    }
    scene.clock.advance(MINUTE);
    for copy in 5..10 {
        assert_eq!(show(copy).await, 2, "it may have got lost");
    }
}

#[tokio::test]
async fn no_receipt_is_asked_of_whom_no_key_card_is_known() {
    let mut scene = Scene::new().await;
    scene.relay.set_agent_capabilities("bob", &[]);
    let outcomes = scene.alice.send(&["bob"], &asking("x")).await;
    assert!(
        matches!(outcomes[..], [Err(Error::NoCard { .. })]),
        "{outcomes:?}"
    );
}
