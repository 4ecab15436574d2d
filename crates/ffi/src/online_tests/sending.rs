//! Profiles, registration, sending and calls.

use std::{ptr, thread};

use serde_json::json;

use super::agents::{
    Agent, Scene, attempt, create_profile, obtain_json, start_relay, stopper, text,
};
use crate::{
    client::*,
    code::ctalk_code,
    message::*,
    relay::ctalk_relay_url,
    stopper::{ctalk_stopper_fd, ctalk_stopper_stop},
};

#[test]
fn a_client_says_whose_it_is_and_shows_its_card() {
    let scene = Scene::new();
    let folder = scene.profile("alice");
    create_profile(&folder, "alice").unwrap();
    let agent = Agent::open(&json!({ "folder": folder })).unwrap();
    // SAFETY: what is given outlives the call.
    let whoami =
        obtain_json(|out, error| unsafe { ctalk_client_whoami(agent.0.0, out, error) }).unwrap();
    assert_eq!(whoami["name"], "alice");
    assert_eq!(whoami["profile"], "alice");
    assert_eq!(whoami["keyStore"], "plain");
    assert_eq!(whoami["relay"], json!(null));
}

#[test]
fn what_cannot_be_opened_says_why() {
    let scene = Scene::new();
    let code = |options| Agent::open(&options).err().map(|failed| failed.code);
    let missing = json!({ "folder": scene.profile("nobody") });
    assert_eq!(code(missing), Some(ctalk_code::CTALK_NO_PROFILE));
    assert_eq!(code(json!({})), Some(ctalk_code::CTALK_BAD_OPTIONS));
    let unknown = json!({ "folder": "x", "password": "x" });
    assert_eq!(code(unknown), Some(ctalk_code::CTALK_BAD_OPTIONS));

    let folder = scene.profile("alice");
    create_profile(&folder, "alice").unwrap();
    let agent = Agent::open(&json!({ "folder": folder })).unwrap();
    let failed = agent.send(b"hello", &json!({ "to": "bob" })).unwrap_err();
    assert!(failed.message.contains("no relay is known"), "{failed:?}");
}

#[test]
fn to_one_recipient_a_failure_is_the_calls_and_to_several_it_stands_in_the_answer() {
    let scene = Scene::new();
    let (alice, _bob) = (scene.agent("alice"), scene.agent("bob"));
    let failed = alice
        .send(b"hello", &json!({ "to": "nobody" }))
        .unwrap_err();
    assert_eq!(failed.code, ctalk_code::CTALK_RELAY_REFUSED);
    let both = json!({ "to": ["bob", "nobody"], "topic": "greetings" });
    let outcomes = alice.send(b"hello", &both).unwrap();
    assert_eq!(outcomes[0]["to"], "bob");
    assert_eq!(outcomes[0]["state"], "sent");
    assert_eq!(outcomes[0]["pinned"], true);
    assert_eq!(outcomes[1]["to"], "nobody");
    assert_eq!(outcomes[1]["class"], "relay-refused");
    let events = alice.events();
    assert_eq!(events[0]["event"], "pinned");
    assert_eq!(events[0]["name"], "bob");
    assert!(alice.events().is_empty());
}

#[test]
fn options_that_make_no_sense_send_nothing() {
    let scene = Scene::new();
    let (alice, bob) = (scene.agent("alice"), scene.agent("bob"));
    for (data, options, code) in [
        (&b"hello"[..], json!({}), ctalk_code::CTALK_BAD_OPTIONS),
        (
            b"hello",
            json!({ "to": [] }),
            ctalk_code::CTALK_BAD_RECIPIENTS,
        ),
        (
            b"hello",
            json!({ "to": "bob", "tpoic": "x" }),
            ctalk_code::CTALK_BAD_OPTIONS,
        ),
        (
            b"hello",
            json!({ "to": "bob", "type": "poem" }),
            ctalk_code::CTALK_BAD_OPTIONS,
        ),
        (
            b"{",
            json!({ "to": "bob", "contentType": "application/json" }),
            ctalk_code::CTALK_MALFORMED,
        ),
        (
            b"\xff",
            json!({ "to": "bob", "contentType": "text/plain" }),
            ctalk_code::CTALK_NOT_UTF8,
        ),
        (
            b"hello",
            json!({ "to": "bob", "contentType": "image/png" }),
            ctalk_code::CTALK_BAD_OPTIONS,
        ),
        (
            b"hello",
            json!({ "to": "bob", "plaintext": true, "noWait": true }),
            ctalk_code::CTALK_BAD_OPTIONS,
        ),
    ] {
        let failed = alice.send(data, &options).unwrap_err();
        assert_eq!(failed.code, code, "{options}: {}", failed.message);
    }
    assert!(bob.has_nothing());
}

#[test]
fn what_the_relay_cannot_take_now_is_queued_and_leaves_later() {
    let data = tempfile::tempdir().unwrap();
    let mut scene = Scene::new();
    scene.relay = start_relay(&json!({ "folder": data.path(), "adminKey": "key-of-the-test" }));
    let port = scene
        .url()
        .rsplit_once(':')
        .unwrap()
        .1
        .parse::<u16>()
        .unwrap();
    let (alice, bob) = (scene.agent("alice"), scene.agent("bob"));
    alice.say("bob", "first");
    crate::relay::ctalk_relay_free(scene.relay.0);
    let failed = alice.send(b"second", &json!({ "to": "bob" })).unwrap_err();
    assert_eq!(failed.code, ctalk_code::CTALK_QUEUED);
    let outcomes = alice.send(b"third", &json!({ "to": "bob", "noWait": true }));
    assert_eq!(outcomes.unwrap()[0]["state"], "queued");
    assert_eq!(
        alice.flush().unwrap_err().code,
        ctalk_code::CTALK_RELAY_UNREACHABLE
    );
    let options = json!({ "folder": data.path(), "adminKey": "key-of-the-test", "port": port });
    scene.relay = start_relay(&options);
    assert_eq!(text(ctalk_relay_url(scene.relay.0)), scene.url());
    alice.flush().unwrap();
    for said in ["first", "second", "third"] {
        let message = bob.take();
        assert_eq!(message.text(), said);
        message.commit().unwrap();
    }
    assert!(bob.has_nothing());
}

#[test]
fn a_call_gets_what_the_other_side_replies() {
    let scene = Scene::new();
    let (alice, bob) = (scene.agent("alice"), scene.agent("bob"));
    let bob = thread::spawn(move || {
        let request = bob.take();
        assert_eq!(text(ctalk_message_type(request.0.0)), "request");
        request.reply(b"forty-two").unwrap();
        bob.flush().unwrap();
        bob
    });
    let response = alice
        .call(b"six times seven?", &json!({ "to": "bob" }), ptr::null())
        .unwrap();
    assert_eq!(response.text(), "forty-two");
    assert_eq!(text(ctalk_message_type(response.0.0)), "response");
    assert_eq!(text(ctalk_message_from(response.0.0)), "bob");
    let again = response.commit().unwrap_err();
    assert_eq!(again.code, ctalk_code::CTALK_ALREADY_SETTLED);
    bob.join().unwrap();
    assert!(alice.has_nothing());
}

#[test]
fn a_call_that_nobody_answers_ends_in_time_or_when_it_is_stopped() {
    let scene = Scene::new();
    let (alice, _bob) = (scene.agent("alice"), scene.agent("bob"));
    let options = json!({ "to": "bob", "timeoutMs": 1 });
    let failed = alice
        .call(b"anybody?", &options, ptr::null())
        .err()
        .unwrap();
    assert_eq!(failed.code, ctalk_code::CTALK_TIMED_OUT);
    let bell = stopper();
    thread::scope(|scope| {
        scope.spawn(|| {
            // SAFETY: what is given outlives the call.
            attempt(|error| unsafe { ctalk_stopper_stop(bell.get(), error) }).unwrap();
        });
        let failed = alice
            .call(b"anybody?", &json!({ "to": "bob" }), bell.get())
            .err();
        assert_eq!(failed.unwrap().code, ctalk_code::CTALK_INTERRUPTED);
    });
}

#[test]
fn a_byte_written_to_a_stoppers_descriptor_stops_what_waits() {
    let scene = Scene::new();
    let alice = scene.agent("alice");
    let bell = stopper();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| alice.next(CTALK_FOREVER, bell.get()).err().unwrap());
        // SAFETY: the stopper owns the descriptor, and lives.
        let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(ctalk_stopper_fd(bell.get())) };
        rustix::io::write(fd, b"!").unwrap();
        assert_eq!(waiting.join().unwrap().code, ctalk_code::CTALK_INTERRUPTED);
    });
    // It stays stopped.
    let failed = alice.next(0, bell.get()).err().unwrap();
    assert_eq!(failed.code, ctalk_code::CTALK_INTERRUPTED);
    assert_eq!(ctalk_stopper_fd(ptr::null()), -1);
}
