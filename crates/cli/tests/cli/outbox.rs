//! `ctalk outbox`, `ctalk flush`, and how `ctalk send` uses them.

use std::fs;

use serde_json::Value;

use crate::support::{Sandbox, error_lines, lines, shell, stderr, text};

/// alice and bob, who have each other's cards, and the relay away.
fn apart() -> Sandbox {
    let mut sandbox = Sandbox::with(&["alice", "bob"]);
    sandbox.run("alice", &["send", "bob", "hello"]).success();
    sandbox.run("bob", &["recv"]).success();
    sandbox.relay.stop();
    sandbox
}

fn payloads(sandbox: &Sandbox, profile: &str) -> Vec<Value> {
    let received = sandbox.json(profile, &["recv"]);
    received
        .iter()
        .map(|line| line["payload"].clone())
        .collect()
}

#[test]
fn what_cannot_leave_is_exit_6_and_leaves_with_the_next_flush() {
    let mut sandbox = apart();
    let output = sandbox.run("alice", &["send", "bob", "later"]).code(6);
    assert!(stderr(&output).contains("hint: it stays in the outbox: `ctalk flush`"));
    let listed = sandbox.json("alice", &["outbox", "list"]);
    let [entry] = &listed[..] else {
        panic!("{listed:?}");
    };
    assert_eq!(entry["state"], "queued");
    assert_eq!(entry["attempts"], 1);
    assert_eq!(entry["to"], serde_json::json!(["bob"]));
    assert!(text(&entry["error"]).contains("cannot reach the relay"));
    let shown = sandbox.run("alice", &["outbox", "list"]).success();
    let shown = String::from_utf8(shown.get_output().stdout.clone()).unwrap();
    assert!(
        shown.starts_with("NUMBER  ID") && shown.contains("queued"),
        "{shown}"
    );

    let output = sandbox.run("alice", &["flush", "--json"]).code(6);
    assert_eq!(lines(&output)[0]["state"], "queued");
    sandbox.relay.restart();
    let flushed = sandbox.json("alice", &["flush"]);
    assert_eq!(
        (&flushed[0]["state"], &flushed[0]["id"]),
        (&"sent".into(), &entry["id"])
    );
    assert!(flushed[0]["relayId"].is_string());
    sandbox.run("alice", &["flush"]).success().stdout_eq("");
    assert_eq!(payloads(&sandbox, "bob"), ["later"]);
}

#[test]
fn nothing_leaves_a_store_of_a_newer_version_which_stays_as_it_is() {
    let mut sandbox = apart();
    sandbox.run("alice", &["send", "bob", "later"]).code(6);
    sandbox.relay.restart();
    let path = sandbox.profile("alice").join("store.sqlite");
    let mut newer = fs::read(&path).unwrap();
    // SQLite's own place for the version that migrations count.
    newer[60..64].copy_from_slice(&1000_u32.to_be_bytes());
    fs::write(&path, &newer).unwrap();
    for args in [&["send", "bob", "x"][..], &["flush"]] {
        let output = sandbox.run("alice", args).code(8);
        let stderr = stderr(&output);
        assert!(stderr.contains("has version 1000"), "{stderr}");
        assert!(stderr.contains("hint: use the newer ctalk"), "{stderr}");
        assert!(fs::read(&path).unwrap() == newer);
    }
    assert!(payloads(&sandbox, "bob").is_empty());
}

#[test]
fn no_wait_needs_no_relay_and_the_next_recv_sends() {
    let mut sandbox = apart();
    let queued = sandbox.json("alice", &["send", "bob", "offline", "--no-wait"]);
    assert_eq!(queued[0]["state"], "queued");
    assert!(queued[0]["id"].is_string() && queued[0]["relayId"].is_null());
    sandbox
        .run("alice", &["send", "nobody", "x", "--no-wait"])
        .code(6);
    sandbox.relay.restart();
    sandbox.run("alice", &["recv"]).success();
    assert_eq!(payloads(&sandbox, "bob"), ["offline"]);
}

#[test]
fn a_later_send_goes_behind_what_waits() {
    let mut sandbox = apart();
    sandbox.run("alice", &["send", "bob", "1"]).code(6);
    sandbox.relay.restart();
    let sent = sandbox.json("alice", &["send", "bob", "2"]);
    assert_eq!(sent[0]["state"], "sent");
    assert_eq!(payloads(&sandbox, "bob"), ["1", "2"]);
}

#[test]
fn what_the_relay_refuses_leaves_nothing_behind_unless_it_was_queued() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    // Longer than a topic may be at the relay.
    let topic = "t".repeat(1000);
    let send = ["send", "bob", "x", "--topic", &topic, "--public-topic"];
    sandbox.run("alice", &send).code(7);
    assert!(sandbox.json("alice", &["outbox", "list"]).is_empty());

    sandbox
        .run("alice", &[&send[..], &["--no-wait"]].concat())
        .success();
    let output = sandbox.run("alice", &["flush", "--json"]).code(7);
    assert_eq!(lines(&output)[0]["state"], "failed");
    let failed = sandbox.json("alice", &["outbox", "list"]);
    assert_eq!(failed[0]["state"], "failed");
    let findings = sandbox.run("alice", &["doctor"]).code(7);
    let findings = String::from_utf8(findings.get_output().stdout.clone()).unwrap();
    assert!(
        findings.contains("finding  outbox: the relay refuses"),
        "{findings}"
    );

    let number = failed[0]["number"].to_string();
    let retried = sandbox.json("alice", &["outbox", "retry", text(&failed[0]["id"])]);
    assert_eq!(retried[0]["state"], "queued");
    let warned = sandbox.run("alice", &["recv"]).success();
    assert!(
        stderr(&warned).contains("warning: the relay refuses message"),
        "{}",
        stderr(&warned)
    );
    let dropped = sandbox.json("alice", &["outbox", "drop", &number]);
    assert_eq!(dropped[0]["state"], "dropped");
    sandbox.run("alice", &["outbox", "drop", &number]).code(2);
    sandbox.run("alice", &["doctor"]).success();
}

#[test]
fn a_key_sends_once_and_refuses_other_content() {
    let mut sandbox = apart();
    let send =
        |text: &str| ["send", "bob", text, "--idempotency-key", "order-7"].map(str::to_owned);
    let args = send("pay 10");
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    sandbox.run("alice", &args).code(6);
    sandbox.relay.restart();
    let first = sandbox.json("alice", &args);
    let again = sandbox.json("alice", &args);
    assert_eq!(first[0]["id"], again[0]["id"]);
    assert_eq!(again[0]["state"], "sent");
    let other = send("pay 20");
    let other: Vec<_> = other.iter().map(String::as_str).chain(["--json"]).collect();
    let output = sandbox.run("alice", &other).code(2);
    assert!(text(&error_lines(&output)[0]["error"]).contains("idempotency key"));
    assert_eq!(payloads(&sandbox, "bob"), ["pay 10"]);
}

#[test]
fn two_processes_that_flush_at_once_send_each_message_once() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    sandbox.run("alice", &["send", "bob", "0"]).success();
    for number in 1..30 {
        let text = number.to_string();
        sandbox
            .run("alice", &["send", "bob", &text, "--no-wait"])
            .success();
    }
    let both = [(); 2].map(|()| sandbox.start("alice", &["flush", "--json"]));
    let flushed: usize = both.map(|one| one.end().1.len()).iter().sum();
    assert_eq!(flushed, 29);
    assert_eq!(sandbox.stored().len(), 30);
    let expected: Vec<Value> = (0..30).map(|number| number.to_string().into()).collect();
    assert_eq!(payloads(&sandbox, "bob"), expected);
}

#[test]
fn what_the_outbox_cannot_hold_is_not_sent() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    sandbox.run("alice", &["send", "bob", "hello"]).success();
    sandbox.run("bob", &["recv"]).success();
    // No file may grow, as on a full disk.
    let full = r#"trap "" XFSZ; ulimit -f 0; exec "$@""#;
    let send = ["send", "bob", "once", "--idempotency-key", "k"];
    let output = sandbox
        .finish(shell(&sandbox, "alice", full, &send).stdin(""))
        .code(8);
    assert!(stderr(&output).starts_with("error: the store "));
    assert!(sandbox.stored().is_empty());
    assert!(sandbox.json("alice", &["outbox", "list"]).is_empty());
    sandbox.run("alice", &send).success();
    assert_eq!(payloads(&sandbox, "bob"), ["once"]);
}
