//! Waiting for what becomes of a message.

use rustix::process::Signal;

use crate::support::{Sandbox, stderr};

#[test]
fn a_call_prints_what_the_other_sides_handler_says_beside_a_recv_that_follows() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let follow = ["recv", "--follow", "--interval", "0.1"];
    let handler = ["--exec", "tr a-z A-Z", "--reply"];
    let bob = sandbox.start("bob", &[&follow[..], &handler].concat());
    let alice = sandbox.start("alice", &follow);
    sandbox
        .run("alice", &["call", "bob", "hello"])
        .success()
        .stdout_eq("HELLO");
    let sent = sandbox
        .json("alice", &["send", "bob", "again", "--wait", "done"])
        .remove(0);
    assert_eq!(sent["state"], "done");
    for running in [bob, alice] {
        running.signal(Signal::TERM);
        assert_eq!(running.end().0.code(), Some(0));
    }
}

#[test]
fn what_nobody_answers_in_time_is_exit_12_and_only_a_message_stays_in_the_outbox() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let output = sandbox
        .run("alice", &["call", "bob", "hello", "--timeout", "1s"])
        .code(12)
        .stdout_eq("");
    assert!(!stderr(&output).contains("ctalk outbox list"));
    let wait = ["send", "bob", "hi", "--wait", "done", "--timeout", "1s"];
    let output = sandbox.run("alice", &wait).code(12);
    assert!(stderr(&output).contains("ctalk outbox list"));
    assert_eq!(sandbox.json("alice", &["outbox", "list"]).len(), 1);
}
