//! Messages between agents over a real relay: whole, in order, and none lost.

use std::{
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use crate::agents::{Agent, body, draft, text_draft};
use ctalk::{
    Content, Filter, Next, Trust,
    clock::{Clock, SystemClock},
    relay::{Relay, clawtalk::ClawTalk},
    store::Store,
    wire::MessageType,
};
use ctalk_relay::{ManualClock, testing::TestRelay};
use tempfile::TempDir;

#[tokio::test]
async fn every_field_and_any_json_arrives_as_sent() {
    let relay = TestRelay::start().await;
    let (mut alice, mut bob) = (
        Agent::register(&relay, "alice"),
        Agent::register(&relay, "bob"),
    );
    let json =
        r#"{"text":"hé\u0000\u001fllo 🦀\u2028","n":12345678901234567890.50,"deep":[[null,true]]}"#;
    let mut sent = draft(Content::from_json(json.to_owned()).unwrap());
    sent.message_type = MessageType::Response;
    sent.topic = Some("t\u{1}\u{7f}\u{2028}/\"\\\né".to_owned());
    sent.correlation_id = Some(String::new());
    sent.reply_to = Some("an id".to_owned());
    sent.ttl = Some(3600);
    let outcome = alice
        .client
        .send(&["bob".to_owned()], &sent)
        .await
        .unwrap()
        .remove(0)
        .unwrap();
    assert!(outcome.pinned && outcome.encrypted);

    let (messages, set_aside) = bob.receive_all().await;
    assert!(set_aside.is_empty(), "{set_aside:?}");
    let [message] = messages.as_slice() else {
        panic!("{messages:?}")
    };
    assert_eq!(body(message), json);
    assert_eq!(message.topic, sent.topic);
    assert_eq!(message.correlation_id, sent.correlation_id);
    assert_eq!(message.reply_to, sent.reply_to);
    assert_eq!(message.message_type, "response");
    assert_eq!(message.from.as_deref(), Some("alice"));
    assert_eq!(message.relay_from, "alice");
    assert_eq!(message.to, "bob");
    assert_eq!(message.trust, Trust::Pinned);
    assert_eq!(message.id, outcome.id);
    assert_eq!(message.ts, outcome.ts);
    let fingerprint = alice.identity.public_keys().fingerprint().to_hex();
    assert_eq!(message.fingerprint.as_ref(), Some(&fingerprint));
    assert!(
        relay
            .stored()
            .iter()
            .all(|envelope| !envelope.contains("deep"))
    );
}

#[tokio::test]
async fn a_committed_message_never_comes_again() {
    let relay = TestRelay::start().await;
    let (mut alice, mut bob) = (
        Agent::register(&relay, "alice"),
        Agent::register(&relay, "bob"),
    );
    alice.say("bob", "once").await;
    let stored = relay.stored().remove(0);
    assert_eq!(bob.receive_all().await.0.len(), 1);
    let mut bob = bob.restart(&relay.url(), "bob");
    // The relay delivers the very same copy again, as after a lost acknowledgement.
    relay.inject("bob", &stored);
    let (messages, set_aside) = bob.receive_all().await;
    assert!(
        messages.is_empty() && set_aside.is_empty(),
        "{messages:?} {set_aside:?}"
    );
}

#[tokio::test]
async fn a_message_that_was_not_committed_comes_again_after_a_restart() {
    let relay = TestRelay::start().await;
    let (mut alice, mut bob) = (
        Agent::register(&relay, "alice"),
        Agent::register(&relay, "bob"),
    );
    alice.say("bob", "hold me").await;
    bob.client.fetch(Duration::ZERO).await.unwrap();
    assert_eq!(
        bob.waiting().await,
        0,
        "it was stored here, so the relay may forget it"
    );
    assert_eq!(body(&bob.peek_next().await.unwrap().message), "hold me");
    let mut bob = bob.restart(&relay.url(), "bob");
    let (messages, _) = bob.receive_all().await;
    assert_eq!(messages.iter().map(body).collect::<Vec<_>>(), ["hold me"]);
}

#[tokio::test]
async fn what_cannot_be_stored_stays_at_the_relay() {
    let relay = TestRelay::start().await;
    let (mut alice, mut bob) = (
        Agent::register(&relay, "alice"),
        Agent::register(&relay, "bob"),
    );
    alice.say("bob", "precious").await;
    let file = bob.folder.path().join("store.sqlite");
    let saboteur = rusqlite::Connection::open(&file).unwrap();
    saboteur
        .execute_batch(
            "CREATE TRIGGER full BEFORE INSERT ON inbox
             BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END",
        )
        .unwrap();
    let error = bob.client.fetch(Duration::ZERO).await.unwrap_err();
    assert_eq!(error.class(), ctalk::Class::LocalStore, "{error}");
    saboteur.execute_batch("DROP TRIGGER full").unwrap();
    let (messages, _) = bob.receive_all().await;
    assert_eq!(messages.iter().map(body).collect::<Vec<_>>(), ["precious"]);
}

#[tokio::test]
async fn five_thousand_waiting_messages_arrive_in_order() {
    let relay = TestRelay::start().await;
    five_thousand(&relay).await;
}

#[tokio::test]
async fn five_thousand_waiting_messages_arrive_in_order_from_a_relay_that_pages_by_deleting() {
    let relay = TestRelay::builder().reference_paging(true).start().await;
    five_thousand(&relay).await;
}

async fn five_thousand(relay: &TestRelay) {
    const MESSAGES: usize = 5000;
    let (mut alice, mut bob) = (
        Agent::register(relay, "alice"),
        Agent::register(relay, "bob"),
    );
    for number in 0..MESSAGES {
        alice.say("bob", &number.to_string()).await;
    }
    let (messages, set_aside) = bob.receive_all().await;
    assert!(set_aside.is_empty(), "{set_aside:?}");
    let received: Vec<String> = messages.iter().map(body).collect();
    let expected: Vec<String> = (0..MESSAGES).map(|number| number.to_string()).collect();
    assert_eq!(received, expected);
    assert_eq!(bob.waiting().await, 0);
}

#[tokio::test]
async fn peeking_changes_nothing_and_says_when_a_relay_may_hold_more() {
    let relay = TestRelay::builder().reference_paging(true).start().await;
    let (mut alice, mut bob) = (
        Agent::register(&relay, "alice"),
        Agent::register(&relay, "bob"),
    );
    for number in 0..101 {
        alice.say("bob", &number.to_string()).await;
    }
    for _ in 0..2 {
        let peek = bob.client.peek(Filter::default()).await.unwrap();
        assert!(peek.truncated);
        assert_eq!(peek.messages.len(), 100);
        let first = peek.messages[0].as_ref().unwrap();
        assert_eq!(first.trust, Trust::Unknown, "peeking pins nobody");
    }
    assert!(bob.client.store().contacts().unwrap().is_empty());
    assert_eq!(bob.receive_all().await.0.len(), 101);
}

#[tokio::test]
async fn peeking_at_ctalks_relay_shows_everything() {
    let relay = TestRelay::start().await;
    let (mut alice, mut bob) = (
        Agent::register(&relay, "alice"),
        Agent::register(&relay, "bob"),
    );
    for number in 0..250 {
        alice.say("bob", &number.to_string()).await;
    }
    let peek = bob.client.peek(Filter::default()).await.unwrap();
    assert!(!peek.truncated);
    let bodies: Vec<String> = peek
        .messages
        .iter()
        .map(|message| body(message.as_ref().unwrap()))
        .collect();
    assert_eq!(
        bodies,
        (0..250)
            .map(|number| number.to_string())
            .collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_filter_leaves_the_rest_in_the_inbox() {
    let relay = TestRelay::start().await;
    let (mut alice, mut bob) = (
        Agent::register(&relay, "alice"),
        Agent::register(&relay, "bob"),
    );
    for topic in ["sync", "alert", "sync"] {
        let mut message = text_draft(topic);
        message.topic = Some(topic.to_owned());
        alice
            .client
            .send(&["bob".to_owned()], &message)
            .await
            .unwrap()
            .remove(0)
            .unwrap();
    }
    bob.client.fetch(Duration::ZERO).await.unwrap();
    let filter = Filter {
        topic: Some("alert".to_owned()),
        since: None,
    };
    let mut receiving = bob.client.receive(filter).unwrap();
    let Some(Next::Message(alert)) = bob.client.next(&mut receiving).await.unwrap() else {
        panic!("no alert")
    };
    assert_eq!(body(&alert.message), "alert");
    bob.client.commit(*alert).unwrap();
    assert!(bob.client.next(&mut receiving).await.unwrap().is_none());
    drop(receiving);
    let (rest, _) = bob.receive_all().await;
    assert_eq!(rest.iter().map(body).collect::<Vec<_>>(), ["sync", "sync"]);
}

#[tokio::test]
async fn plaintext_goes_out_only_when_asked_for_and_is_marked() {
    let relay = TestRelay::start().await;
    let (alice, mut bob) = (
        Agent::register(&relay, "alice"),
        Agent::register(&relay, "bob"),
    );
    let mut alice = alice;
    let draft = text_draft("for everyone to read");
    alice
        .client
        .send_plaintext(&["bob".to_owned()], &draft)
        .await
        .unwrap()
        .remove(0)
        .unwrap();
    alice.client.broadcast_plaintext(&draft).await.unwrap();
    let (messages, set_aside) = bob.receive_all().await;
    assert!(set_aside.is_empty(), "{set_aside:?}");
    assert_eq!(messages.len(), 2);
    for message in messages {
        assert_eq!(message.trust, Trust::Plaintext);
        assert_eq!((message.from, message.fingerprint), (None, None));
        assert_eq!(message.relay_from, "alice");
        assert!(!message.encrypted);
    }
    assert!(
        bob.client.store().contacts().unwrap().is_empty(),
        "plaintext pins nobody"
    );
}

#[tokio::test]
async fn another_spelling_of_a_name_is_the_same_recipient() {
    let relay = TestRelay::start().await;
    let (mut alice, mut bob) = (
        Agent::register(&relay, "alice"),
        Agent::register(&relay, "Bob"),
    );
    assert!(alice.say("bob", "1").await.pinned);
    assert!(!alice.say("BOB", "2").await.pinned);
    assert_eq!(alice.say("Bob", "3").await.to, "Bob");
    let (messages, set_aside) = bob.receive_all().await;
    assert_eq!((messages.len(), set_aside.len()), (3, 0));
}

#[tokio::test]
async fn a_rate_limit_slows_sending_down_and_loses_nothing() {
    let now = ManualClock::new(1_700_000_000_000);
    let limit = "10/10s".parse().unwrap();
    let relay = TestRelay::builder()
        .rate_limit(limit)
        .clock(now.clone())
        .start()
        .await;
    let clock = Arc::new(RelaysClock(now));
    let start = clock.now();
    let mut alice = Agent::register_with(&relay, "alice", clock.clone());
    let mut bob = Agent::register_with(&relay, "bob", clock.clone());
    for number in 0..25 {
        alice.say("bob", &number.to_string()).await;
    }
    assert!(
        clock.now() - start >= 10_000,
        "25 sends need more than two windows of ten"
    );
    let (messages, _) = bob.receive_all().await;
    let bodies: Vec<String> = messages.iter().map(body).collect();
    assert_eq!(
        bodies,
        (0..25).map(|number| number.to_string()).collect::<Vec<_>>()
    );
}

/// Client and relay on one clock, which moves when the client sleeps.
struct RelaysClock(ManualClock);

#[async_trait::async_trait]
impl Clock for RelaysClock {
    fn now(&self) -> i64 {
        ctalk_relay::Clock::now_ms(&self.0)
    }

    async fn sleep(&self, duration: Duration) {
        self.0.advance(duration);
    }
}

#[tokio::test]
async fn nobody_sends_to_themselves_or_without_a_key() {
    let relay = TestRelay::start().await;
    let mut alice = Agent::register(&relay, "alice");
    let error = alice.try_say("Alice", "note to myself").await.unwrap_err();
    assert!(
        matches!(&error, ctalk::Error::Myself { name } if name == "alice"),
        "{error}"
    );
    let clock = Arc::new(SystemClock);
    let keyless = ClawTalk::new(&relay.url(), None, clock).unwrap();
    let error = ctalk::Error::from(keyless.directory().await.unwrap_err());
    assert_eq!(error.class(), ctalk::Class::RelayRefused);
    assert!(error.to_string().contains("no API key"), "{error}");
    assert!(error.hint().unwrap().contains("ctalk register"));
}

#[test]
fn whoever_opens_a_new_store_waits_for_another_process_that_makes_it() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("store.sqlite");
    let mut other = rusqlite::Connection::open(&path).unwrap();
    let making = other
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .unwrap();
    let (opened, outcome) = mpsc::channel();
    thread::spawn(move || opened.send(Store::open(&path, None).map(|_| ())));
    let waiting = outcome.recv_timeout(Duration::from_millis(100));
    assert!(waiting.is_err(), "{waiting:?}");
    making.commit().unwrap();
    outcome.recv().unwrap().unwrap();
}
