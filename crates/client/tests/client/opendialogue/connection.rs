//! The one connection of an agent: what keeps it, what ends it, and what is under way over it.

use std::{sync::Arc, time::Duration};

use ctalk::{
    clock::SystemClock,
    relay::{Relay, RelayError},
};

use super::{
    LONG, Peer, StandIn, body,
    clocks::{BEAT, Gated, PATIENCE},
    receive_all, saying, sealed, two, until,
};

/// Lets so many heartbeats go out, one after the other.
async fn beat(clock: &Gated, relay: &StandIn, times: usize) {
    for _ in 0..times {
        let before = relay.pings();
        clock.open(BEAT, 1);
        until(|| relay.pings() > before).await;
    }
}

#[tokio::test]
async fn a_line_is_dead_when_two_heartbeats_in_a_row_went_unanswered_and_not_before() {
    let relay = StandIn::start().await;
    let (mut alice, bob) = two(&relay).await;
    let clock = Gated::new(&[BEAT]);
    let adapter = bob.adapter_with(&relay, clock.clone());
    adapter.fetch(Duration::from_millis(1)).await.unwrap();
    // Answered ones are no reason: what comes after an answer shows that it came.
    for _ in 0..4 {
        beat(&clock, &relay, 1).await;
        alice.say("bob", "1").await.unwrap();
        assert_eq!(adapter.fetch(LONG).await.unwrap().len(), 1);
    }
    relay.switch(|switches| switches.is_mute = true);
    beat(&clock, &relay, 2).await;
    assert_eq!(relay.connections(), 2);
    clock.open(BEAT, 1);
    until(|| relay.connections() == 3).await;
    relay.switch(|switches| switches.is_mute = false);
    alice.say("bob", "2").await.unwrap();
    assert_eq!(adapter.fetch(LONG).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_line_that_another_connection_left_deaf_is_found_out() {
    let relay = StandIn::start().await;
    let (mut alice, bob) = two(&relay).await;
    let clock = Gated::new(&[BEAT]);
    let first = bob.adapter_with(&relay, clock.clone());
    first.fetch(Duration::from_millis(1)).await.unwrap();
    let second = bob.adapter(&relay);
    second.fetch(Duration::from_millis(1)).await.unwrap();
    assert_eq!(relay.connections(), 2);
    clock.open(BEAT, 3);
    until(|| relay.connections() == 3).await;
    alice.say("bob", "to the first").await.unwrap();
    assert_eq!(first.fetch(LONG).await.unwrap().len(), 1);
}

#[tokio::test]
async fn one_message_is_under_way_at_a_time_because_answers_name_none() {
    let relay = StandIn::start().await;
    let (alice, bob) = two(&relay).await;
    relay.switch(|switches| switches.holds_answers = true);
    let clock = Gated::new(&[BEAT]);
    let adapter = alice.adapter_with(&relay, clock.clone());
    let outgoing = saying(bob.id(), sealed());
    let (one, other, ()) = tokio::join!(adapter.send(&outgoing), adapter.send(&outgoing), async {
        for _ in 0..2 {
            until(|| relay.held_answers().0 == 1).await;
            // A second one would have had its turn with any of them.
            beat(&clock, &relay, 10).await;
            relay.answer();
        }
    });
    let ids = [one.unwrap().relay_id, other.unwrap().relay_id];
    assert_ne!(ids[0], ids[1]);
    assert_eq!(relay.held_answers(), (0, 1));
}

#[tokio::test]
async fn a_status_that_names_another_message_is_no_answer() {
    let relay = StandIn::start().await;
    let (alice, bob) = two(&relay).await;
    relay.switch(|switches| switches.holds_answers = true);
    let adapter = alice.adapter(&relay);
    let outgoing = saying(bob.id(), sealed());
    let (answer, ()) = tokio::join!(adapter.send(&outgoing), async {
        until(|| relay.held_answers().0 == 1).await;
        let other = r#"{"type":"status","status":"sent","message_id":"another"}"#;
        relay.push(alice.id(), other);
        relay.answer();
    });
    let id = relay.taken()[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(answer.unwrap().relay_id, Some(id));
}

#[tokio::test]
async fn an_answer_that_does_not_come_leaves_open_what_became_of_the_message() {
    let relay = StandIn::start().await;
    let (alice, bob) = two(&relay).await;
    let clock = Gated::new(&[PATIENCE]);
    let adapter = alice.adapter_with(&relay, clock.clone());
    let outgoing = saying(bob.id(), sealed());
    adapter.send(&outgoing).await.unwrap();
    relay.switch(|switches| switches.is_mute = true);
    let (answer, ()) = tokio::join!(adapter.send(&outgoing), async {
        clock.open(PATIENCE, 100);
    });
    let error = answer.unwrap_err();
    assert!(matches!(error, RelayError::TimedOut { .. }), "{error}");
}

#[tokio::test]
async fn every_attempt_has_an_id_of_its_own_because_the_queue_takes_none_twice() {
    let relay = StandIn::start().await;
    let (alice, bob) = two(&relay).await;
    let adapter = alice.adapter(&relay);
    let outgoing = saying(bob.id(), sealed());
    for _ in 0..3 {
        adapter.send(&outgoing).await.unwrap();
    }
    assert_eq!(relay.waiting(bob.id()), 3);
    let taken = relay.taken();
    for member in ["id", "nonce"] {
        let values: std::collections::BTreeSet<_> = taken
            .iter()
            .map(|message| message[member].to_string())
            .collect();
        assert_eq!(values.len(), 3, "{member}");
    }
}

#[tokio::test]
async fn a_run_that_only_sends_stores_what_the_relay_gives_out_late() {
    let relay = StandIn::start().await;
    let (mut alice, mut bob) = two(&relay).await;
    for text in ["1", "2"] {
        alice.say("bob", text).await.unwrap();
    }
    relay.switch(|switches| switches.is_late = true);
    bob.say("alice", "mine").await.unwrap();
    bob.client.close().await.unwrap();
    assert_eq!(relay.waiting(bob.id()), 0);
    let mut bob = bob.restart(&relay);
    let (messages, _) = receive_all(&mut bob.client).await;
    assert_eq!(messages.iter().map(body).collect::<Vec<_>>(), ["1", "2"]);
}

#[tokio::test]
async fn what_a_peer_types_and_has_read_is_nothing_to_store() {
    let relay = StandIn::start().await;
    let (mut alice, mut bob) = two(&relay).await;
    bob.connect(&relay).await;
    for kind in ["typing", "read_receipt", "end", "no such"] {
        let frame = serde_json::json!({
            "type": kind,
            "id": "1",
            "from": alice.id(),
            "to": bob.id(),
            "content": "",
            "timestamp": 1,
        });
        relay.push(bob.id(), frame.to_string());
    }
    alice.say("bob", "words").await.unwrap();
    let (messages, set_aside) = bob.receive(1).await;
    assert_eq!(messages.iter().map(body).collect::<Vec<_>>(), ["words"]);
    assert!(set_aside.is_empty(), "{set_aside:?}");
}

#[tokio::test]
async fn a_conversation_that_the_relay_calls_ended_goes_on() {
    let relay = StandIn::start().await;
    let (mut alice, mut bob) = two(&relay).await;
    bob.connect(&relay).await;
    alice.say("bob", "1").await.unwrap();
    let conversation = relay.taken()[0]["conversation_id"].clone();
    let ended = serde_json::json!({
        "type": "conversation_ended",
        "conversation_id": conversation,
        "reason": "participant_ended",
    });
    relay.push(alice.id(), ended.to_string());
    alice.say("bob", "2").await.unwrap();
    assert_eq!(bob.receive(2).await.0.len(), 2);
    assert_eq!(relay.taken()[1]["conversation_id"], conversation);
}

#[tokio::test]
async fn the_conversation_with_a_peer_is_the_same_in_every_process_and_another_with_each() {
    let relay = StandIn::start().await;
    let (alice, bob) = two(&relay).await;
    let carol = Peer::register(&relay, "carol").await;
    for _ in 0..2 {
        let adapter = alice.adapter_with(&relay, Arc::new(SystemClock));
        for agent in [&bob, &carol] {
            let said = adapter.send(&saying(agent.id(), sealed())).await;
            said.unwrap();
        }
    }
    let taken = relay.taken();
    let conversations: Vec<_> = taken
        .iter()
        .map(|message| message["conversation_id"].as_str().unwrap())
        .collect();
    assert_eq!(conversations[0], conversations[2]);
    assert_eq!(conversations[1], conversations[3]);
    assert_ne!(conversations[0], conversations[1]);
    let is_hex = |id: &str| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(conversations.iter().all(|id| is_hex(id)));
}
