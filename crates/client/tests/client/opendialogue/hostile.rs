//! What anybody can have an OpenDialogue relay do, and what the relay itself can.

use std::{sync::Arc, time::Duration};

use ctalk::{
    Reason, Trust,
    clock::{Clock, SystemClock},
    relay::{Relay, opendialogue::OpenDialogue},
};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio_tungstenite::tungstenite::Message;

use super::{LONG, Peer, StandIn, body, two};

/// The time between two heartbeats.
const BEAT: Duration = Duration::from_secs(30);

/// The machine's clock, but for heartbeats, which come when a test says so.
struct Beats(Arc<Semaphore>);

#[async_trait::async_trait]
impl Clock for Beats {
    fn now(&self) -> i64 {
        SystemClock.now()
    }

    async fn sleep(&self, duration: Duration) {
        if duration == BEAT {
            self.0.acquire().await.unwrap().forget();
        } else {
            SystemClock.sleep(duration).await;
        }
    }
}

/// Has the relay deliver something in somebody's name, as anybody can.
async fn speak(relay: &StandIn, message: serde_json::Value) {
    let url = relay.url().replace("opendialogue+ws", "http");
    let url = url.replace("/connect", "/api/message");
    let client = reqwest::Client::new();
    let answer = client.post(url).body(message.to_string()).send().await;
    assert!(answer.unwrap().status().is_success());
}

async fn exchange(relay: &StandIn, alice: &mut Peer, bob: &mut Peer) {
    alice.say("bob", "still here").await.unwrap();
    let (messages, _) = bob.receive(1).await;
    assert_eq!(
        messages.iter().map(body).collect::<Vec<_>>(),
        ["still here"]
    );
    assert_eq!(relay.pongs(), 0);
}

#[tokio::test]
async fn pings_of_the_relay_are_not_answered() {
    let relay = StandIn::start().await;
    let (mut alice, mut bob) = two(&relay).await;
    bob.connect(&relay).await;
    for _ in 0..5 {
        relay.push(bob.id(), Message::text(r#"{"type":"ping"}"#));
    }
    exchange(&relay, &mut alice, &mut bob).await;
    assert_eq!(relay.connections(), 2);
}

#[tokio::test]
async fn a_session_that_somebody_forged_takes_nobodys_key() {
    let relay = StandIn::start().await;
    let (mut alice, mut bob) = two(&relay).await;
    bob.connect(&relay).await;
    let forged = json!({"from": alice.id(), "to": bob.id(), "type": "session", "content": "x"});
    speak(&relay, forged).await;
    let key = json!({"type": "session", "session_key": "0".repeat(64), "expires_in": 3600});
    relay.push(bob.id(), Message::text(key.to_string()));
    bob.say("alice", "with the right key").await.unwrap();
    exchange(&relay, &mut alice, &mut bob).await;
}

#[tokio::test]
async fn an_envelope_in_another_name_is_its_signers() {
    let relay = StandIn::start().await;
    let (mut alice, mut bob) = two(&relay).await;
    let mallory = Peer::register(&relay, "mallory").await;
    bob.connect(&relay).await;
    alice.connect(&relay).await;
    // Alice's envelope, as the relay has it, delivered as if mallory had sent it.
    let sealed = alice.sealed_for("bob", "from alice");
    let forged = json!({"from": mallory.id(), "to": bob.id(), "content": sealed});
    speak(&relay, forged.clone()).await;
    speak(&relay, forged).await;
    let (messages, _) = bob.receive(2).await;
    let [message] = &messages[..] else {
        panic!("{messages:?}")
    };
    assert_eq!(message.from.as_deref(), Some("alice"));
    assert_eq!(message.relay_from, mallory.id());
}

#[tokio::test]
async fn words_of_somebody_without_ctalk_are_nobodys_and_plain() {
    let relay = StandIn::start().await;
    let (alice, mut bob) = two(&relay).await;
    bob.connect(&relay).await;
    let mallory = Peer::register(&relay, "mallory").await;
    let words = json!({"from": mallory.id(), "to": bob.id(), "content": "hello \u{200b}there"});
    speak(&relay, words).await;
    let (messages, _) = bob.receive(1).await;
    let [message] = &messages[..] else {
        panic!("{messages:?}")
    };
    assert_eq!(message.trust, Trust::Plaintext);
    // Somebody whose card is known would not speak like that.
    let words = json!({"from": alice.id(), "to": bob.id(), "content": "send me money"});
    speak(&relay, words).await;
    let (messages, set_aside) = bob.receive(1).await;
    assert!(messages.is_empty(), "{messages:?}");
    assert_eq!(set_aside[0].reason, Reason::Downgrade);
}

#[tokio::test]
async fn several_envelopes_in_one_message_are_several_messages() {
    let relay = StandIn::start().await;
    let (alice, mut bob) = two(&relay).await;
    bob.connect(&relay).await;
    let sealed = ["one", "two"].map(|text| alice.sealed_for("bob", text));
    let content = format!("[2 messages]\n[1] {}\n[2] {}", sealed[0], sealed[1]);
    speak(
        &relay,
        json!({"from": alice.id(), "to": bob.id(), "content": content}),
    )
    .await;
    let (messages, _) = bob.receive(2).await;
    assert_eq!(
        messages.iter().map(body).collect::<Vec<_>>(),
        ["one", "two"]
    );
}

#[tokio::test]
async fn frames_that_make_no_sense_end_nothing() {
    let relay = StandIn::start().await;
    let (mut alice, mut bob) = two(&relay).await;
    bob.connect(&relay).await;
    let text = |content: &str, timestamp: &str| {
        format!(
            r#"{{"type":"text","id":"1","from":"{}","to":"{}","content":{content},"timestamp":{timestamp}}}"#,
            alice.id(),
            bob.id()
        )
    };
    let frames = [
        Message::text(""),
        Message::text("null"),
        Message::text("[]"),
        Message::text("{}"),
        Message::text(r#"{"type":7}"#),
        Message::text(r#"{"type":"no such"}"#),
        Message::text(r#"{"type":"error","code":"INVALID_CONTENT","message":"x"}"#),
        Message::text(r#"{"type":"status","status":"sent","message_id":"x"}"#),
        Message::text(r#"{"type":"conversation_ended","conversation_id":"","reason":"ttl"}"#),
        Message::text(text(r#""\ud800""#, "1")),
        Message::text(text("7", "1")),
        Message::text(text(r#""x""#, "1.5")),
        Message::binary(vec![0xff, 0xfe]),
    ];
    for frame in frames {
        relay.push(bob.id(), frame);
    }
    exchange(&relay, &mut alice, &mut bob).await;
    assert_eq!(relay.connections(), 2, "a connection was made anew");
}

#[tokio::test]
async fn a_frame_that_is_too_large_costs_one_connection_and_no_memory() {
    let relay = StandIn::start().await;
    let (mut alice, mut bob) = two(&relay).await;
    bob.connect(&relay).await;
    relay.push(bob.id(), Message::text("x".repeat(64 << 20)));
    while bob.connect_anew(&relay).await {}
    exchange(&relay, &mut alice, &mut bob).await;
    assert_eq!(relay.connections(), 3);
}

#[tokio::test]
async fn a_line_whose_heartbeats_go_unanswered_is_dead() {
    let relay = StandIn::start().await;
    let (mut alice, bob) = two(&relay).await;
    let beats = Arc::new(Semaphore::new(0));
    let clock = Arc::new(Beats(Arc::clone(&beats)));
    let adapter = OpenDialogue::new(&relay.url(), bob.credentials.clone(), clock).unwrap();
    assert!(
        adapter
            .fetch(Duration::from_millis(1))
            .await
            .unwrap()
            .is_empty()
    );
    // Answered ones are no reason: what comes after an answer shows that it came.
    for answered in 1..=4 {
        beats.add_permits(1);
        while relay.pings() < answered {
            tokio::task::yield_now().await;
        }
        alice.say("bob", "1").await.unwrap();
        assert_eq!(adapter.fetch(LONG).await.unwrap().len(), 1);
    }
    assert_eq!(relay.connections(), 2);

    relay.switch(|switches| switches.is_mute = true);
    beats.add_permits(3);
    while relay.connections() < 3 {
        tokio::task::yield_now().await;
    }
    relay.switch(|switches| switches.is_mute = false);
    alice.say("bob", "2").await.unwrap();
    assert_eq!(adapter.fetch(LONG).await.unwrap().len(), 1);
}
