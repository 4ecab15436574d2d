//! What anybody can have an OpenDialogue relay do, and what the relay itself can.

use std::time::Duration;

use ctalk::{
    Reason, Trust,
    relay::{Relay, RelayError},
};
use serde_json::json;
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    },
};

use super::{
    LONG, Peer, StandIn, body,
    clocks::{BEAT, Gated, PATIENCE},
    two, until,
};

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
    bob.until_it_connected_anew(&relay).await;
    exchange(&relay, &mut alice, &mut bob).await;
    assert_eq!(relay.connections(), 3);
}

#[tokio::test]
async fn text_that_is_no_utf8_costs_one_connection() {
    let relay = StandIn::start().await;
    let (mut alice, mut bob) = two(&relay).await;
    bob.connect(&relay).await;
    let bytes = b"{\"type\":\"text\",\"content\":\"\xff\xfe\"}".to_vec();
    let frame = Frame::message(bytes, OpCode::Data(Data::Text), true);
    relay.push(bob.id(), Message::Frame(frame));
    bob.until_it_connected_anew(&relay).await;
    exchange(&relay, &mut alice, &mut bob).await;
    assert_eq!(relay.connections(), 3);
}

#[tokio::test]
async fn the_conversation_that_a_message_is_said_to_be_of_changes_nothing() {
    let relay = StandIn::start().await;
    let (alice, mut bob) = two(&relay).await;
    bob.connect(&relay).await;
    let conversations = [
        json!(""),
        json!("another"),
        json!(7),
        json!(null),
        json!({}),
    ];
    for (number, conversation) in conversations.iter().enumerate() {
        let sealed = alice.sealed_for("bob", &number.to_string());
        let message = json!({
            "from": alice.id(),
            "to": bob.id(),
            "content": sealed,
            "conversation_id": conversation,
        });
        speak(&relay, message).await;
    }
    let (messages, _) = bob.receive(conversations.len()).await;
    let texts: Vec<_> = messages.iter().map(body).collect();
    assert_eq!(texts, ["0", "1", "2", "3", "4"]);
}

#[tokio::test]
async fn when_the_relay_says_that_a_message_was_sent_does_not_matter() {
    let relay = StandIn::start().await;
    let (alice, mut bob) = two(&relay).await;
    bob.connect(&relay).await;
    let frame = |timestamp: i64, content: &str| {
        let frame = json!({
            "type": "text",
            "id": timestamp.to_string(),
            "from": alice.id(),
            "to": bob.id(),
            "content": content,
            "timestamp": timestamp,
        });
        Message::text(frame.to_string())
    };
    // What the relay says of the time counts for nothing: here a day in 1970, and one in 2255.
    relay.push(bob.id(), frame(1, &alice.sealed_for("bob", "old")));
    relay.push(
        bob.id(),
        frame(9_000_000_000_000, &alice.sealed_for("bob", "new")),
    );
    let (messages, _) = bob.receive(2).await;
    let mut texts: Vec<_> = messages.iter().map(body).collect();
    texts.sort();
    assert_eq!(texts, ["new", "old"]);
}

#[tokio::test]
async fn a_frame_that_is_replayed_is_handled_once() {
    let relay = StandIn::start().await;
    let (mut alice, mut bob) = two(&relay).await;
    bob.connect(&relay).await;
    alice.say("bob", "once").await.unwrap();
    assert_eq!(bob.receive(1).await.0.len(), 1);
    let mut frame = relay.taken()[0].clone();
    relay.push(bob.id(), Message::text(frame.to_string()));
    frame["id"] = json!("another");
    relay.push(bob.id(), Message::text(frame.to_string()));
    alice.say("bob", "twice").await.unwrap();
    let mut texts = Vec::new();
    while !texts.contains(&"twice".to_owned()) {
        let (messages, set_aside) = bob.receive(1).await;
        assert!(set_aside.is_empty(), "{set_aside:?}");
        texts.extend(messages.iter().map(body));
    }
    assert_eq!(texts, ["twice"]);
}

#[tokio::test]
async fn a_flood_is_read_no_further_than_memory_is_set_aside_for_it() {
    const FRAMES: usize = 64;
    let relay = StandIn::start().await;
    let (alice, bob) = two(&relay).await;
    let adapter = bob.adapter_with(&relay, Gated::new(&[BEAT]));
    adapter.fetch(Duration::from_millis(1)).await.unwrap();
    let content = "x".repeat(1 << 20);
    for number in 0..FRAMES {
        let frame = json!({
            "type": "text",
            "id": number.to_string(),
            "from": alice.id(),
            "to": bob.id(),
            "content": content,
            "timestamp": 1,
        });
        relay.push(bob.id(), Message::text(frame.to_string()));
    }
    // Until nothing more goes out, although everybody had a turn often enough.
    let (mut written, mut still) = (0, 0);
    while written < 17 || still < 100_000 {
        tokio::task::yield_now().await;
        still = if relay.written() == written {
            still + 1
        } else {
            0
        };
        written = relay.written();
    }
    let mut waiting = adapter.take_buffered();
    let bytes: usize = waiting.iter().map(|delivery| delivery.raw.len()).sum();
    assert!((16 << 20..18 << 20).contains(&bytes), "{bytes}");
    while waiting.len() < FRAMES {
        waiting.extend(adapter.fetch(LONG).await.unwrap());
    }
    assert_eq!(relay.connections(), 1);
}

#[tokio::test]
async fn a_relay_that_opens_a_connection_and_says_nothing_is_given_up() {
    let relay = StandIn::start().await;
    let bob = Peer::register(&relay, "bob").await;
    relay.switch(|switches| switches.is_silent = true);
    let clock = Gated::new(&[PATIENCE]);
    let adapter = bob.adapter_with(&relay, clock.clone());
    let (answer, ()) = tokio::join!(adapter.fetch(Duration::ZERO), async {
        until(|| relay.connections() == 1).await;
        relay.switch(|switches| switches.is_silent = false);
        // One for the connection and one for its session.
        clock.open(PATIENCE, 2);
    });
    let error = answer.unwrap_err();
    assert!(matches!(error, RelayError::TimedOut { .. }), "{error}");
    until(|| relay.connections() > 1).await;
}
