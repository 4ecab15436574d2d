//! Several threads, clients and processes with one profile.

use std::{
    collections::BTreeSet,
    ptr,
    sync::{Barrier, mpsc},
    thread,
};

use serde_json::json;

use super::agents::{Agent, Gate, Scene, attempt, stopper};
use crate::{client::*, code::ctalk_code, message::*, stopper::ctalk_stopper_stop};

#[test]
fn a_thread_that_waits_for_messages_lets_others_commit_and_send() {
    let scene = Scene::new();
    let (alice, bob) = (scene.agent("alice"), scene.agent("bob"));
    alice.say("bob", "hello");
    let message = bob.take();
    let bell = stopper();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| bob.next(CTALK_FOREVER, bell.get()).map(|got| got.is_some()));
        // Else it would be this thread that has its turn first.
        while bob.next(0, ptr::null()).unwrap().is_some() {}
        message.commit().unwrap();
        bob.say("alice", "hello yourself");
        // SAFETY: what is given outlives the call.
        attempt(|error| unsafe { ctalk_stopper_stop(bell.get(), error) }).unwrap();
        let failed = waiting.join().unwrap().unwrap_err();
        assert_eq!(failed.code, ctalk_code::CTALK_INTERRUPTED);
    });
    assert_eq!(alice.take().text(), "hello yourself");
}

#[test]
fn two_threads_that_wait_for_messages_share_them() {
    let scene = Scene::new();
    let gate = Gate::to(&scene.url());
    let (alice, bob) = (scene.agent("alice"), scene.agent_through(&gate.url, "bob"));
    let together = Barrier::new(3);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                together.wait();
                for _ in 0..4 {
                    bob.take().commit().unwrap();
                }
            });
        }
        together.wait();
        for number in 0..8 {
            alice.say("bob", &number.to_string());
        }
    });
    assert!(bob.has_nothing());
    // Neither broke off what the other one asked the relay.
    assert!(gate.connections() < 20, "{}", gate.connections());
}

#[test]
fn a_thread_whose_time_is_over_while_another_one_waits_gets_nothing() {
    let scene = Scene::new();
    let bob = scene.agent("bob");
    let bell = stopper();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| bob.next(CTALK_FOREVER, bell.get()).map(|got| got.is_some()));
        assert!(bob.next(1, ptr::null()).unwrap().is_none());
        // SAFETY: what is given outlives the call.
        attempt(|error| unsafe { ctalk_stopper_stop(bell.get(), error) }).unwrap();
        let failed = waiting.join().unwrap().unwrap_err();
        assert_eq!(failed.code, ctalk_code::CTALK_INTERRUPTED);
    });
}

#[test]
fn many_threads_send_over_one_client_and_each_message_comes_once() {
    let scene = Scene::new();
    let (alice, bob) = (scene.agent("alice"), scene.agent("bob"));
    thread::scope(|scope| {
        for thread in 0..4 {
            let alice = &alice;
            scope.spawn(move || {
                for message in 0..5 {
                    alice.say("bob", &format!("{thread}/{message}"));
                }
            });
        }
    });
    let mut said = BTreeSet::new();
    while let Some(message) = bob.next(0, ptr::null()).unwrap() {
        assert!(said.insert(message.text()));
        message.commit().unwrap();
    }
    assert_eq!(said.len(), 20);
}

#[test]
fn of_two_clients_of_one_profile_each_message_is_in_one_hand_only() {
    let scene = Scene::new();
    let (alice, bob) = (scene.agent("alice"), scene.agent("bob"));
    let other = Agent::open(&json!({ "folder": scene.profile("bob") })).unwrap();
    alice.say("bob", "hello");
    let message = bob.take();
    assert!(other.has_nothing());
    message.commit().unwrap();
    assert!(other.has_nothing());
}

#[test]
fn to_free_a_client_ends_the_calls_that_use_it() {
    let scene = Scene::new();
    let (alice, bob) = (scene.agent("alice"), scene.agent("bob"));
    let (got, taken) = mpsc::channel();
    thread::scope(|scope| {
        let bob = &bob;
        let waiting = scope.spawn(move || {
            got.send(bob.take()).unwrap();
            // It waits for the next one.
            bob.next(CTALK_FOREVER, ptr::null())
                .map(|got| got.is_some())
        });
        alice.say("bob", "hello");
        let message = taken.recv().unwrap();
        message.commit().unwrap();
        ctalk_client_free(bob.0.get());
        let failed = waiting.join().unwrap().unwrap_err();
        assert_eq!(failed.code, ctalk_code::CTALK_WRONG_HANDLE);
    });
}

#[test]
fn a_freed_client_and_one_that_is_none_are_wrong() {
    let scene = Scene::new();
    let alice = scene.agent("alice");
    let handle = alice.0.0;
    drop(alice);
    // SAFETY: what is given outlives the call.
    let failed = attempt(|error| unsafe { ctalk_client_flush(handle, ptr::null(), error) });
    assert_eq!(failed.unwrap_err().code, ctalk_code::CTALK_WRONG_HANDLE);
    // SAFETY: what is given outlives the call.
    let failed = attempt(|error| unsafe { ctalk_client_flush(ptr::null(), ptr::null(), error) });
    assert_eq!(failed.unwrap_err().code, ctalk_code::CTALK_NULL_POINTER);
    let bob = scene.agent("bob");
    let as_message = bob.0.0.cast::<ctalk_message>();
    // SAFETY: what is given outlives the call.
    let failed = attempt(|error| unsafe { ctalk_message_commit(as_message, error) });
    assert_eq!(failed.unwrap_err().code, ctalk_code::CTALK_WRONG_HANDLE);
    assert_eq!(ctalk_message_attempt(as_message), 0);
    ctalk_client_free(handle);
}
