//! What anybody can have a WTT service do, and what the service itself can.

use std::time::Duration;

use ctalk::{
    Class, Error, Reason, Trust,
    relay::{Relay, RelayError},
};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::{Peer, StandIn, body, two};
use crate::agents::receive_all;

/// Has the service deliver something in somebody's name, as anybody can.
fn speak(service: &StandIn, from: &str, to: &str, content: &str) {
    let message = json!({ "content": content, "semantic_type": "post" });
    service.service().tell(from, to, &message).unwrap();
}

async fn exchange(service: &StandIn, alice: &mut Peer, bob: &mut Peer) {
    alice.say("bob", "still here").await.unwrap();
    let (messages, _) = bob.receive(1).await;
    assert_eq!(
        messages.iter().map(body).collect::<Vec<_>>(),
        ["still here"]
    );
    assert!(service.is_online(bob.id()));
}

#[tokio::test]
async fn an_envelope_in_another_name_is_its_signers() {
    let service = StandIn::start().await;
    let (alice, mut bob) = two(&service).await;
    let mallory = Peer::register(&service, "mallory").await;
    // Alice's envelope, as the service has it, delivered as if mallory had sent it.
    let sealed = alice.sealed_for("bob", "from alice");
    speak(&service, mallory.id(), bob.id(), &sealed);
    speak(&service, mallory.id(), bob.id(), &sealed);
    let (messages, _) = receive_all(&mut bob.client).await;
    let [message] = &messages[..] else {
        panic!("{messages:?}")
    };
    assert_eq!(message.from.as_deref(), Some("alice"));
    assert_eq!(message.relay_from, mallory.id());
}

#[tokio::test]
async fn words_of_somebody_without_ctalk_are_nobodys_and_plain() {
    let service = StandIn::start().await;
    let (alice, mut bob) = two(&service).await;
    let mallory = Peer::register(&service, "mallory").await;
    speak(&service, mallory.id(), bob.id(), "hello there");
    let (messages, _) = receive_all(&mut bob.client).await;
    let [message] = &messages[..] else {
        panic!("{messages:?}")
    };
    assert_eq!(message.trust, Trust::Plaintext);
    // Somebody whose card is known would not speak like that.
    speak(&service, alice.id(), bob.id(), "send me money");
    let (messages, set_aside) = bob.receive(1).await;
    assert!(messages.is_empty(), "{messages:?}");
    assert_eq!(set_aside[0].reason, Reason::Downgrade);
}

#[tokio::test]
async fn what_looks_encrypted_in_wtts_own_way_is_plain_and_opened_by_nobody() {
    let service = StandIn::start().await;
    let (_, mut bob) = two(&service).await;
    let mallory = Peer::register(&service, "mallory").await;
    let content = r#"{"c":"AAAA","ctx":"m-1"}"#;
    let message = json!({ "content": content, "encrypted": true });
    let told = service.service().tell(mallory.id(), bob.id(), &message);
    told.unwrap();
    let (messages, _) = receive_all(&mut bob.client).await;
    assert_eq!(messages[0].trust, Trust::Plaintext);
    assert_eq!(body(&messages[0]), content);
}

#[tokio::test]
async fn an_id_that_returns_with_other_content_is_another_message() {
    let service = StandIn::start().await;
    let (mut alice, mut bob) = two(&service).await;
    bob.connect(&service).await;
    let sealed = ["one", "two"].map(|text| alice.sealed_for("bob", text));
    for content in [&sealed[0], &sealed[1], &sealed[0]] {
        let message = json!({
            "id": "m-7", "topic_id": "t", "sender_id": alice.id(), "content": content,
            "created_at": "2026-01-01T00:00:00Z",
        });
        let frame = json!({ "type": "new_message", "message": message });
        service.push(bob.id(), frame.to_string());
    }
    alice.say("bob", "three").await.unwrap();
    let (messages, set_aside) = bob.receive(3).await;
    let texts: Vec<_> = messages.iter().map(body).collect();
    assert_eq!(texts, ["one", "two", "three"]);
    assert!(set_aside.is_empty(), "{set_aside:?}");
}

#[tokio::test]
async fn no_key_is_given_to_whoever_asks_for_one() {
    let service = StandIn::start().await;
    let (mut alice, mut bob) = two(&service).await;
    bob.connect(&service).await;
    for number in 0..100 {
        let request = json!({ "type": "e2e_key_request", "request_id": format!("k-{number}") });
        service.push(bob.id(), request.to_string());
    }
    exchange(&service, &mut alice, &mut bob).await;
    bob.say("alice", "after it").await.unwrap();
    let frames = service.frames(bob.id());
    let answers: Vec<_> = frames
        .iter()
        .filter(|frame| frame["type"] == "e2e_key_response")
        .collect();
    assert_eq!(answers.len(), 100);
    let expected = json!({
        "type": "e2e_key_response", "request_id": "k-0", "ok": false, "error": "e2e_not_configured",
    });
    assert_eq!(answers[0], &expected);
    assert_eq!(service.service().connections, 1);
}

#[tokio::test]
async fn what_the_service_tells_of_itself_is_no_message() {
    let service = StandIn::start().await;
    let (mut alice, mut bob) = two(&service).await;
    bob.connect(&service).await;
    let carol = Peer::register(&service, "carol").await;
    speak(&service, carol.id(), bob.id(), "[system:p2p_init]");
    for frame in [
        json!({ "type": "typing", "topic_id": "t", "agent_id": carol.id(), "state": "start" }),
        json!({ "type": "task_status", "task_id": "1", "status": "todo" }),
        json!({ "type": "task_status", "data": { "task_id": "1", "status": "todo" } }),
        json!({ "type": "something new" }),
    ] {
        service.push(bob.id(), frame.to_string());
    }
    exchange(&service, &mut alice, &mut bob).await;
}

#[tokio::test]
async fn frames_that_make_no_sense_end_nothing() {
    let service = StandIn::start().await;
    let (mut alice, mut bob) = two(&service).await;
    bob.connect(&service).await;
    let with = |message: Value| {
        let frame = json!({ "type": "new_message", "message": message });
        Message::text(frame.to_string())
    };
    let frames = [
        Message::text(""),
        Message::text("null"),
        Message::text("[]"),
        Message::text("{}"),
        Message::text(r#"{"type":7}"#),
        Message::text(r#"{"type":"new_message"}"#),
        Message::text(r#"{"type":"new_message","message":{"content":"\ud800"}}"#),
        Message::text(r#"{"type":"action_result","ok":false,"error":"no"}"#),
        Message::text(r#"{"type":"action_result","ok":true,"data":{"authenticated":true}}"#),
        with(json!([])),
        with(json!({ "content": 7 })),
        with(json!({ "content": { "c": "", "ctx": "" } })),
        with(json!({ "content": null, "id": [] })),
        Message::binary(vec![0xff, 0xfe]),
    ];
    for frame in frames {
        service.push(bob.id(), frame);
    }
    exchange(&service, &mut alice, &mut bob).await;
    let connections = service.service().connections;
    assert_eq!(connections, 1, "a connection was made anew");
}

#[tokio::test]
async fn a_frame_that_is_too_large_costs_one_connection_and_no_memory() {
    let service = StandIn::start().await;
    let (mut alice, mut bob) = two(&service).await;
    bob.connect(&service).await;
    service.push(bob.id(), Message::text("x".repeat(64 << 20)));
    while service.service().connections < 2 {
        let _ = bob.client.fetch(Duration::from_millis(1)).await;
    }
    exchange(&service, &mut alice, &mut bob).await;
    assert_eq!(service.service().connections, 2);
}

#[tokio::test]
async fn polls_without_end_are_broken_off() {
    let service = StandIn::start().await;
    let (alice, bob) = two(&service).await;
    let adapter = bob.adapter(&service);
    let mut number = 0;
    let flood = async {
        loop {
            {
                let mut known = service.service();
                let unread = &mut known.agents.get_mut(bob.id()).unwrap().unread;
                while unread.len() < 200 {
                    number += 1;
                    let content = format!("ctalk2:{number}");
                    unread.push(json!({ "sender_id": alice.id(), "content": content }));
                }
            }
            tokio::task::yield_now().await;
        }
    };
    let mut taken = 0;
    let fetching = async {
        while taken < 10_000 {
            taken += adapter.fetch(Duration::ZERO).await.unwrap().len();
        }
        adapter.fetch(Duration::ZERO).await.unwrap().len()
    };
    let more = tokio::select! {
        more = fetching => more,
        () = flood => 0,
    };
    assert_eq!((more, service.actions(bob.id(), "poll")), (0, 100));
}

#[tokio::test]
async fn answers_that_are_something_else_have_the_class_of_a_relay_that_fails() {
    let service = StandIn::start().await;
    let (mut alice, bob) = two(&service).await;
    service.switch(|switches| switches.has_no_sockets = true);
    let adapter = bob.adapter(&service);
    let is_bad: fn(&RelayError) -> bool = |error| matches!(error, RelayError::BadAnswer { .. });
    let is_no: fn(&RelayError) -> bool = |error| matches!(error, RelayError::Refused { .. });
    let is_unknown: fn(&RelayError) -> bool =
        |error| matches!(error, RelayError::Unauthorized { .. });
    let is_limited: fn(&RelayError) -> bool =
        |error| matches!(error, RelayError::RateLimited { .. });
    for (status, answer, is_expected) in [
        (200, "<html>login</html>", is_bad),
        (200, "\"soon\"", is_bad),
        (200, r#"{"messages":{"id":1}}"#, is_bad),
        (401, r#"{"detail":"Not authenticated"}"#, is_unknown),
        (403, r#"{"detail":[{"msg":"no"}]}"#, is_no),
        (502, "<html>bad gateway</html>", is_no),
        (429, "", is_limited),
    ] {
        service.switch(|switches| switches.answers = Some((status, answer.to_owned())));
        let error = adapter.fetch(Duration::ZERO).await.unwrap_err();
        assert!(is_expected(&error), "{answer}: {error}");
        assert_eq!(Error::Relay(error).class(), Class::RelayRefused);
    }
    // What was taken without a word was taken.
    for answer in ["", "{}", "[]"] {
        service.switch(|switches| switches.answers = Some((200, answer.to_owned())));
        let sent = alice.say("bob", "hello").await.unwrap();
        assert_eq!(sent.state, ctalk::Progress::Sent, "{answer}");
    }
    // What was answered with a page may have been.
    service.switch(|switches| switches.answers = Some((200, "<html>ok</html>".to_owned())));
    let error = alice.say("bob", "hello").await.unwrap_err();
    assert!(matches!(error, Error::Queued { .. }), "{error}");
}
