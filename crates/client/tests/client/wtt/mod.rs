//! ctalk over WTT: what that service does, what it does wrong, and what others can have it do.

mod connection;
mod hostile;
mod names;
mod peer;
mod rest;
mod service;
mod stand_in;
mod tasks;
mod topics;

use std::time::Duration;

use ctalk::{Class, Error, relay::wtt::register};

use self::{
    peer::{LONG, Peer, two},
    stand_in::StandIn,
};
use crate::agents::{body, receive_all, text_draft};

#[tokio::test]
async fn a_message_is_pushed_to_who_is_there_and_answered() {
    let service = StandIn::start().await;
    let (mut alice, mut bob) = two(&service).await;
    bob.connect(&service).await;
    let sent = alice.say("bob", "hello").await.unwrap();
    let (messages, _) = bob.receive(1).await;
    let [message] = &messages[..] else {
        panic!("{messages:?}")
    };
    assert_eq!((body(message), &message.id), ("hello".to_owned(), &sent.id));
    assert_eq!(message.from.as_deref(), Some("alice"));
    assert_eq!(message.relay_from, alice.id());
    bob.say("alice", "and back").await.unwrap();
    assert_eq!(alice.receive(1).await.0.len(), 1);
    // Whoever listens sends over the connection that it has.
    assert_eq!(service.actions(bob.id(), "p2p"), 1);
}

#[tokio::test]
async fn whoever_only_sends_does_not_connect_and_takes_nothing_away() {
    let service = StandIn::start().await;
    let (mut alice, mut bob) = two(&service).await;
    alice.say("bob", "waits").await.unwrap();
    bob.say("alice", "mine").await.unwrap();
    assert_eq!(service.service().connections, 0);
    let (messages, _) = receive_all(&mut bob.client).await;
    assert_eq!(messages.iter().map(body).collect::<Vec<_>>(), ["waits"]);
}

#[tokio::test]
async fn calls_carry_the_token_in_both_headers() {
    let service = StandIn::start().await;
    let (mut alice, bob) = two(&service).await;
    alice.say("bob", "hello").await.unwrap();
    let calls = service.calls("POST /messages/p2p");
    let token = service.service().agents[alice.id()].token.clone();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].token.as_ref(), Some(&token));
    assert_eq!(calls[0].bearer.as_ref(), Some(&token));
    for target in ["target_id", "target_agent_id"] {
        assert_eq!(calls[0].body[target], bob.id());
    }
}

#[tokio::test]
async fn what_is_sent_is_a_bare_envelope_that_nobody_answers() {
    let service = StandIn::start().await;
    let (mut alice, mut bob) = two(&service).await;
    let mut draft = text_draft("hello");
    draft.topic = Some("gold".to_owned());
    draft.correlation_id = Some("c-1".to_owned());
    alice.send("bob", &draft).await.unwrap();
    let call = service.calls("POST /messages/p2p").remove(0);
    let content = call.body["content"].as_str().unwrap();
    assert!(
        content.starts_with("ctalk2:") && content.is_ascii(),
        "{content}"
    );
    assert!(content.chars().all(|character| !character.is_whitespace()));
    assert_eq!(call.body["semantic_type"], "notification");
    // What a message is about is inside.
    assert!(!call.body.to_string().contains("gold"));
    bob.connect(&service).await;
    bob.say("alice", "and back").await.unwrap();
    let frames = service.frames(bob.id());
    let frame = frames
        .iter()
        .find(|frame| frame["action"] == "p2p")
        .unwrap();
    assert_eq!(frame["encrypted"], true);
    for target in ["target_id", "target_agent_id"] {
        assert_eq!(frame[target], alice.id());
    }
}

#[tokio::test]
async fn a_text_of_many_lines_arrives_whole() {
    let service = StandIn::start().await;
    let (mut alice, mut bob) = two(&service).await;
    let text = "first line\nsecond line\n\n[TASK_RUN] action=run task_id=1";
    alice.say("bob", text).await.unwrap();
    let (messages, _) = receive_all(&mut bob.client).await;
    assert_eq!(messages.iter().map(body).collect::<Vec<_>>(), [text]);
}

#[tokio::test]
async fn what_is_longer_than_a_message_goes_in_parts_of_at_most_4000_characters() {
    let service = StandIn::start().await;
    let (mut alice, mut bob) = two(&service).await;
    bob.connect(&service).await;
    let long = "0123456789".repeat(10_000);
    alice.say("bob", &long).await.unwrap();
    let received = loop {
        let (messages, _) = bob.receive(1).await;
        if !messages.is_empty() {
            break messages;
        }
    };
    assert_eq!(received.iter().map(body).collect::<Vec<_>>(), [long]);
    let calls = service.calls("POST /messages/p2p");
    assert!(calls.len() > 30, "{}", calls.len());
    for call in calls {
        let content = call.body["content"].as_str().unwrap();
        assert!(content.chars().count() <= 4000, "{}", content.len());
    }
}

#[tokio::test]
async fn nothing_is_sent_to_somebody_without_a_card() {
    let service = StandIn::start().await;
    let mut alice = Peer::register(&service, "alice").await;
    let bob = Peer::register(&service, "bob").await;
    let error = alice.say(bob.id(), "hello").await.unwrap_err();
    assert_ne!(error.class(), Class::Unexpected, "{error}");
    assert!(service.calls("POST /messages").is_empty());
}

#[tokio::test]
async fn an_agent_that_does_not_exist_is_refused_in_the_services_words() {
    for lists_reasons in [false, true] {
        let service = StandIn::start().await;
        service.switch(|switches| switches.lists_reasons = lists_reasons);
        let (mut alice, bob) = two(&service).await;
        service.service().agents.remove(bob.id());
        let error = alice.say("bob", "hello").await.unwrap_err();
        assert_eq!(error.class(), Class::RelayRefused);
        assert!(error.to_string().contains("Agent not found"), "{error}");
    }
}

#[tokio::test]
async fn a_person_binds_an_agent_with_a_code() {
    for other_names in [false, true] {
        let service = StandIn::start().await;
        service.switch(|switches| switches.other_names = other_names);
        let alice = Peer::register(&service, "alice").await;
        let code = alice.adapter(&service).claim_code().await.unwrap();
        assert_eq!(code.life, Duration::from_secs(900));
        let known = service.service().agents[alice.id()].code.clone();
        assert_eq!(Some(code.code), known);
    }
}

#[tokio::test]
async fn no_id_is_made_up_where_the_service_registers_nobody() {
    let service = StandIn::start().await;
    for (status, body, says) in [
        (200, r#"{"agent_id":"agent-000000000001"}"#, "token"),
        (200, r#"{"agent_id":"../x","agent_token":"t"}"#, "id"),
        (200, r#"{"agent_id":"agent-1","agent_token":""}"#, "token"),
        (200, "[]", "token"),
        (200, "<html>maintenance</html>", "token"),
        (502, "<html>bad gateway</html>", "502"),
        (401, r#"{"detail":"no"}"#, "key"),
        (307, "", "elsewhere"),
    ] {
        service.switch(|switches| switches.answers = Some((status, body.to_owned())));
        let error = register(&service.url(), "alice").await.unwrap_err();
        assert!(error.to_string().contains(says), "{body}: {error}");
        assert_eq!(Error::Relay(error).class(), Class::RelayRefused);
    }
    assert!(service.service().agents.is_empty());
}
