//! Receiving: one by one, and with a handler.

use std::{ffi::c_void, ptr};

use serde_json::{Value, json};

use super::agents::{Agent, Failed, Scene, attempt, chars, text, view};
use crate::{client::*, code::ctalk_code, message::*};

#[test]
fn a_message_arrives_as_it_was_sent_and_not_again_once_it_is_committed() {
    let scene = Scene::new();
    let (alice, bob) = (scene.agent("alice"), scene.agent("bob"));
    let options = json!({
        "to": "bob", "type": "notification", "topic": "lab", "correlationId": "c-1",
        "replyTo": "r-1", "contentType": "application/json",
    });
    let sent = alice.send(br#"{"n":1.50}"#, &options).unwrap();
    let message = bob.take();
    let handle = message.0.0;
    assert_eq!(message.text(), r#"{"n":1.50}"#);
    assert_eq!(text(ctalk_message_content_type(handle)), "application/json");
    assert_eq!(
        text(ctalk_message_id(handle)),
        sent[0]["id"].as_str().unwrap()
    );
    assert_eq!(text(ctalk_message_from(handle)), "alice");
    assert_eq!(text(ctalk_message_relay_from(handle)), "alice");
    assert_eq!(text(ctalk_message_fingerprint(handle)).len(), 64);
    assert_eq!(text(ctalk_message_trust(handle)), "pinned");
    assert_eq!(text(ctalk_message_type(handle)), "notification");
    assert_eq!(text(ctalk_message_topic(handle)), "lab");
    assert_eq!(text(ctalk_message_correlation_id(handle)), "c-1");
    assert_eq!(text(ctalk_message_reply_to(handle)), "r-1");
    assert_eq!(message.attempt(), 1);
    let line: Value = serde_json::from_slice(&view(ctalk_message_json(handle))).unwrap();
    assert_eq!(line["payload"], json!({ "n": 1.5 }));
    assert_eq!(line["attempt"], 1);
    assert_eq!(line["trust"], "pinned");
    message.commit().unwrap();
    assert!(bob.has_nothing());
}

#[test]
fn a_message_without_end_comes_again_when_its_client_was_freed() {
    let scene = Scene::new();
    let (alice, bob) = (scene.agent("alice"), scene.agent("bob"));
    alice.say("bob", "hello");
    let message = bob.take();
    drop(bob);
    let failed = message.commit().unwrap_err();
    assert_eq!(failed.code, ctalk_code::CTALK_WRONG_HANDLE);
    // What it says is there all the same.
    assert_eq!(message.text(), "hello");
    let bob = Agent::open(&json!({ "folder": scene.profile("bob") })).unwrap();
    let again = bob.take();
    assert_eq!((again.text(), again.attempt()), ("hello".to_owned(), 2));
    again.commit().unwrap();
    assert!(bob.has_nothing());
}

#[test]
fn a_message_that_is_freed_without_a_word_is_tried_again() {
    let scene = Scene::new();
    let (alice, bob) = (scene.agent("alice"), scene.agent("bob"));
    bob.follow(&json!({ "retryAfterMs": 1 })).unwrap();
    alice.say("bob", "hello");
    drop(bob.take());
    let again = bob.take();
    assert_eq!(again.attempt(), 2);
    again.retry().unwrap();
    let again = bob.take();
    assert_eq!(again.attempt(), 3);
    again.commit().unwrap();
}

#[test]
fn the_first_word_on_what_became_of_a_message_counts() {
    let scene = Scene::new();
    let (alice, bob) = (scene.agent("alice"), scene.agent("bob"));
    alice.say("bob", "hello");
    let message = bob.take();
    message.reject().unwrap();
    for failed in [
        message.commit(),
        message.retry(),
        message.reject(),
        message.reply(b""),
    ] {
        assert_eq!(failed.unwrap_err().code, ctalk_code::CTALK_ALREADY_SETTLED);
    }
    assert!(bob.has_nothing());
}

#[test]
fn after_its_last_attempt_a_message_is_dead() {
    let scene = Scene::new();
    let (alice, bob) = (scene.agent("alice"), scene.agent("bob"));
    bob.follow(&json!({ "retryAfterMs": 1, "maxAttempts": 2 }))
        .unwrap();
    alice.say("bob", "hello");
    for attempt in [1, 2] {
        let message = bob.take();
        assert_eq!(message.attempt(), attempt);
        message.retry().unwrap();
    }
    assert!(bob.has_nothing());
}

#[test]
fn only_a_signed_request_is_answered_and_stays_in_hand_else() {
    let scene = Scene::new();
    let (alice, bob) = (scene.agent("alice"), scene.agent("bob"));
    let options = json!({ "to": "bob", "type": "notification" });
    alice.send(b"hello", &options).unwrap();
    let message = bob.take();
    let failed = message.reply(b"hello yourself").unwrap_err();
    assert_eq!(failed.code, ctalk_code::CTALK_NOT_ASKED);
    message.commit().unwrap();
    bob.flush().unwrap();
    assert!(alice.has_nothing());
}

#[test]
fn what_nobody_signed_is_held_unless_it_is_asked_for() {
    let scene = Scene::new();
    let (alice, bob) = (scene.agent("alice"), scene.agent("bob"));
    let options = json!({ "to": "bob", "plaintext": true });
    alice.send(b"hello", &options).unwrap();
    assert!(bob.has_nothing());
    let events = bob.events();
    assert_eq!(events[0]["event"], "set-aside");
    assert_eq!(events[0]["state"], "held");
    bob.follow(&json!({ "unsigned": true })).unwrap();
    alice.send(b"hello again", &options).unwrap();
    let message = bob.take();
    assert_eq!(message.text(), "hello again");
    assert_eq!(text(ctalk_message_from(message.0.0)), "");
    assert_eq!(text(ctalk_message_relay_from(message.0.0)), "alice");
    assert_eq!(text(ctalk_message_trust(message.0.0)), "plaintext");
    message.commit().unwrap();
}

/// What a handler saw, and what it says to each message.
#[derive(Default)]
struct Script {
    answers: Vec<u32>,
    seen: Vec<(String, u32)>,
}

unsafe extern "C" fn play(user: *mut c_void, message: *const ctalk_message) -> u32 {
    // SAFETY: tests give a script that nobody else uses meanwhile.
    let script = unsafe { &mut *user.cast::<Script>() };
    let said = text(ctalk_message_payload(message));
    script.seen.push((said, ctalk_message_attempt(message)));
    script.answers[script.seen.len() - 1]
}

fn run(agent: &Agent, options: &Value, script: &mut Script) -> Result<(), Failed> {
    let options = options.to_string();
    let (options, len) = chars(&options);
    let user = (&raw mut *script).cast();
    // SAFETY: what is given outlives the call.
    attempt(|error| unsafe {
        ctalk_client_run(
            agent.0.0,
            options,
            len,
            Some(play),
            user,
            ptr::null(),
            error,
        )
    })
}

#[test]
fn a_handler_commits_retries_and_rejects() {
    let scene = Scene::new();
    let (alice, bob) = (scene.agent("alice"), scene.agent("bob"));
    bob.follow(&json!({ "retryAfterMs": 1 })).unwrap();
    for said in ["one", "two", "three"] {
        alice.say("bob", said);
    }
    let mut script = Script {
        answers: vec![CTALK_COMMIT, CTALK_RETRY, CTALK_COMMIT, CTALK_REJECT],
        ..Script::default()
    };
    run(&bob, &json!({ "count": 4 }), &mut script).unwrap();
    let seen: Vec<_> = script
        .seen
        .iter()
        .map(|(said, at)| (said.as_str(), *at))
        .collect();
    assert_eq!(seen, [("one", 1), ("two", 1), ("two", 2), ("three", 1)]);
    // Without an end it would wait for ever.
    run(&bob, &json!({ "idleMs": 0 }), &mut script).unwrap();
    assert_eq!(script.seen.len(), 4);
}

#[test]
fn a_handler_that_answers_nonsense_or_stops_ends_the_run_and_keeps_its_message() {
    let scene = Scene::new();
    let (alice, bob) = (scene.agent("alice"), scene.agent("bob"));
    bob.follow(&json!({ "retryAfterMs": 1 })).unwrap();
    alice.say("bob", "hello");
    let mut script = Script {
        answers: vec![4711, CTALK_STOP, CTALK_COMMIT],
        ..Script::default()
    };
    let failed = run(&bob, &json!({}), &mut script).unwrap_err();
    assert_eq!(failed.code, ctalk_code::CTALK_BAD_CALLBACK);
    run(&bob, &json!({}), &mut script).unwrap();
    run(&bob, &json!({ "count": 1 }), &mut script).unwrap();
    let attempts: Vec<_> = script.seen.iter().map(|(_, attempt)| *attempt).collect();
    assert_eq!(attempts, [1, 2, 3]);
    assert!(bob.has_nothing());
}

#[test]
fn without_a_handler_nothing_runs() {
    let scene = Scene::new();
    let bob = scene.agent("bob");
    // SAFETY: what is given outlives the call.
    let failed = attempt(|error| unsafe {
        let none = ptr::null();
        ctalk_client_run(bob.0.0, none, 0, None, ptr::null_mut(), ptr::null(), error)
    });
    assert_eq!(failed.unwrap_err().code, ctalk_code::CTALK_NULL_POINTER);
}
