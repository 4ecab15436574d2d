//! `policy.toml` and what is held because of it.

use std::fs;

use serde_json::Value;
use snapbox::str;

use crate::support::{Sandbox, stderr};

fn set_policy(sandbox: &Sandbox, profile: &str, policy: &str) {
    fs::write(sandbox.profile(profile).join("policy.toml"), policy).unwrap();
}

fn payloads(lines: &[Value]) -> Vec<&Value> {
    lines.iter().map(|line| &line["payload"]).collect()
}

#[test]
fn a_stranger_waits_until_it_is_accepted() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    set_policy(&sandbox, "bob", "strangers = \"hold\"\n");
    sandbox.run("alice", &["send", "bob", "one"]).success();
    sandbox
        .run("bob", &["recv", "--peek"])
        .success()
        .stdout_eq("")
        .stderr_eq(str![[r#"
held: alice: `strangers` in the policy: alice is no contact

"#]]);
    sandbox
        .run("bob", &["recv"])
        .success()
        .stdout_eq("")
        .stderr_eq(str![[r#"
held: alice: `strangers` in the policy: alice is no contact
hint: ctalk inbox show [..], then accept [..] or reject [..]

"#]]);
    assert!(sandbox.json("bob", &["contact", "list"]).is_empty());
    sandbox
        .run("bob", &["inbox", "list", "--state", "held"])
        .success()
        .stdout_eq(str![[r#"
NUMBER  ID  [..]  FROM   AGE  ATTEMPTS  NEXT  REASON  DETAIL
[..]  alice  [..] s  0         -     held    `strangers` in the policy: alice is no contact

"#]]);
    let held = sandbox.json("bob", &["inbox", "list"]).remove(0);
    assert_eq!([&held["state"], &held["reason"]], ["held", "policy"]);
    let number = held["number"].to_string();

    let accepted = sandbox.json("bob", &["inbox", "accept", &number]);
    assert_eq!(accepted[0]["state"], "new");
    let received = sandbox.json("bob", &["recv"]);
    assert_eq!(payloads(&received), ["one"]);
    let contact = sandbox.json("bob", &["contact", "list"]).remove(0);
    assert_eq!(contact["name"], "alice");
    sandbox.run("alice", &["send", "bob", "two"]).success();
    assert_eq!(payloads(&sandbox.json("bob", &["recv"])), ["two"]);
}

#[test]
fn a_rejected_message_is_gone() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    set_policy(&sandbox, "bob", "allow-list = true\n");
    sandbox.run("alice", &["send", "bob", "one"]).success();
    sandbox.run("bob", &["recv"]).success();
    let held = sandbox.json("bob", &["inbox", "list"]).remove(0);
    let number = held["number"].to_string();
    sandbox
        .run("bob", &["inbox", "reject", &number])
        .success()
        .stdout_eq(str![[r#"
[..]  rejected

"#]]);
    sandbox.run("bob", &["recv"]).success().stdout_eq("");
    assert!(sandbox.json("bob", &["inbox", "list"]).is_empty());
    let done = sandbox.json("bob", &["inbox", "list", "--state", "done"]);
    assert_eq!(done[0]["number"], held["number"]);
}

#[test]
fn only_held_messages_are_accepted_or_rejected() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    set_policy(&sandbox, "bob", "strangers = \"refuse\"\n");
    sandbox.run("alice", &["send", "bob", "one"]).success();
    let output = sandbox.run("bob", &["recv"]).code(9);
    assert!(stderr(&output).contains("set aside: alice: policy: `strangers`"));
    let aside = sandbox.json("bob", &["inbox", "list"]).remove(0);
    assert_eq!(
        [&aside["state"], &aside["reason"]],
        ["quarantined", "policy"]
    );
    let number = aside["number"].to_string();
    for command in ["accept", "reject"] {
        sandbox
            .run("bob", &["inbox", command, &number])
            .code(2)
            .stdout_eq("")
            .stderr_eq(str![[r#"
error: message [..] is quarantined, not held
hint: `ctalk inbox list --state held` shows what waits for a decision

"#]]);
    }
    sandbox
        .run("bob", &["inbox", "list", "--state", "hold"])
        .code(2);
    assert_eq!(sandbox.json("bob", &["inbox", "list"]).len(), 1);
}

#[test]
fn retry_leaves_held_messages_to_accept_and_reject() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    set_policy(&sandbox, "bob", "strangers = \"hold\"\n");
    sandbox.run("alice", &["send", "bob", "one"]).success();
    sandbox.run("bob", &["recv"]).success();
    let held = sandbox.json("bob", &["inbox", "list"]).remove(0);
    let number = held["number"].to_string();
    sandbox
        .run("bob", &["inbox", "retry", &number])
        .code(2)
        .stderr_eq(str![[r#"
error: message [..] is held, and waits for a decision
hint: ctalk inbox accept [..], or ctalk inbox reject [..]

"#]]);
}

#[test]
fn a_policy_with_an_unknown_key_stops_recv_and_names_the_line() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    set_policy(&sandbox, "bob", "[contact.alice]\nmax-sise = 3\n");
    sandbox.run("alice", &["send", "bob", "one"]).success();
    let output = sandbox.run("bob", &["recv"]).code(8).stdout_eq("");
    let talk = stderr(&output);
    assert!(talk.contains("policy.toml"), "{talk}");
    assert!(talk.contains("line 2"), "{talk}");
    assert!(
        talk.contains("max-sise") && talk.contains("hint: "),
        "{talk}"
    );
    set_policy(
        &sandbox,
        "bob",
        "[contact.alice]\nmax-size = 3\n[stranger]\n",
    );
    sandbox.run("bob", &["recv"]).success();
}
