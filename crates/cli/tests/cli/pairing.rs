//! `ctalk pair`: two processes, a relay, and a code.

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Running, Sandbox, error_lines, on_a_terminal, stderr, text};

/// Starts an inviter and returns it with its code.
fn invite<'s>(sandbox: &'s Sandbox, profile: &str) -> (Running<'s>, String) {
    let inviter = sandbox.start(profile, &["pair", "--json"]);
    let line: Value = serde_json::from_str(&inviter.line()).unwrap();
    assert!(text(&line["expires"]).ends_with('Z'));
    (inviter, text(&line["code"]).to_owned())
}

/// The contact that a process ends with.
fn contact(process: Running<'_>) -> Value {
    let (status, stdout, stderr) = process.end();
    assert_eq!(status.code(), Some(0), "{stderr:?}");
    assert_eq!(stdout.len(), 1, "{stdout:?}");
    serde_json::from_str(&stdout[0]).unwrap()
}

#[test]
fn two_processes_pair_and_both_contacts_are_verified() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let (inviter, code) = invite(&sandbox, "alice");
    let words: Vec<_> = code.rsplitn(5, '-').collect();
    assert_eq!((words.len(), words[4]), (5, "alice"));
    sandbox.file(
        "code",
        format!("{}\n", code.to_uppercase().replace("ALICE", "alice")),
    );
    let joiner = sandbox.start(
        "bob",
        &["pair", &sandbox.at("code"), "--as", "my-alice", "--json"],
    );
    let (bob, alice) = (contact(inviter), contact(joiner));
    for (contact, owner, name, address) in [
        (bob, "bob", "bob", "bob"),
        (alice, "alice", "my-alice", "alice"),
    ] {
        assert_eq!(contact["name"], name);
        assert_eq!(contact["address"], address);
        assert_eq!(contact["standing"], "verified");
        assert_eq!(contact["learned"], "paired");
        let own = &sandbox.json(owner, &["whoami"])[0];
        assert_eq!(contact["fingerprint"], own["fingerprint"]);
    }
    sandbox.run("bob", &["send", "my-alice", "hello"]).success();
    let received = sandbox.json("alice", &["recv"]);
    assert_eq!(
        (&received[0]["from"], &received[0]["trust"]),
        (&"bob".into(), &"verified".into())
    );
}

#[test]
fn pairing_works_beside_a_follower_and_hands_it_nothing() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let follow = ["recv", "--follow", "--interval", "0.1", "--json"];
    let followers = ["alice", "bob"].map(|name| sandbox.start(name, &follow));
    // Both receive before the pairing begins.
    sandbox.run("alice", &["send", "bob", "one"]).success();
    sandbox.run("bob", &["send", "alice", "one"]).success();
    for follower in &followers {
        assert!(follower.line().contains(r#""trust":"pinned""#));
    }
    let (inviter, code) = invite(&sandbox, "alice");
    sandbox.file("code", &code);
    let joiner = sandbox.start("bob", &["pair", &sandbox.at("code"), "--json"]);
    assert_eq!(contact(inviter)["standing"], "verified");
    assert_eq!(contact(joiner)["standing"], "verified");
    sandbox.run("bob", &["send", "alice", "two"]).success();
    let line = followers[0].line();
    assert!(line.contains(r#""payload":"two""#) && line.contains(r#""trust":"verified""#));
    for follower in followers {
        follower.signal(Signal::TERM);
        let (status, stdout, stderr) = follower.end();
        assert_eq!((status.code(), stdout.len()), (Some(0), 0));
        assert!(!stderr.iter().any(|line| line.contains("set aside")));
    }
}

#[test]
fn a_wrong_code_ends_the_inviter_with_3() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let (inviter, code) = invite(&sandbox, "alice");
    let (start, last) = code.rsplit_once('-').unwrap();
    let other = if last == "zoo" { "abandon" } else { "zoo" };
    sandbox.file("code", format!("{start}-{other}"));
    let _joiner = sandbox.start("bob", &["pair", &sandbox.at("code")]);
    let (status, stdout, stderr) = inviter.end();
    assert_eq!((status.code(), stdout.len()), (Some(3), 0));
    assert!(stderr[0].contains("make a new code"), "{stderr:?}");
    assert!(sandbox.json("alice", &["contact", "list"]).is_empty());
    assert!(sandbox.json("bob", &["contact", "list"]).is_empty());
}

#[test]
fn nobody_who_comes_in_time_is_12() {
    let sandbox = Sandbox::with(&["alice"]);
    let output = sandbox.run("alice", &["pair", "--timeout", "1"]).code(12);
    assert!(stderr(&output).contains("nobody used the code in time"));
}

#[test]
fn a_killed_inviter_is_gone_with_its_code() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let (inviter, code) = invite(&sandbox, "alice");
    inviter.signal(Signal::KILL);
    let (status, stdout, _) = inviter.end();
    assert_eq!((status.code(), stdout.len()), (None, 0));
    sandbox.file("code", &code);
    sandbox
        .run("bob", &["pair", &sandbox.at("code"), "--timeout", "1"])
        .code(12);
    // The lock went with the process, and the request is no message.
    assert!(sandbox.json("alice", &["recv"]).is_empty());
    let listed = sandbox.json("alice", &["inbox", "list"]);
    assert_eq!((listed.len(), &listed[0]["reason"]), (1, &"pairing".into()));
    let (_inviter, _) = invite(&sandbox, "alice");
}

#[test]
fn codes_that_are_none_are_refused_without_repeating_them() {
    let sandbox = Sandbox::with(&["bob"]);
    for (code, text) in [
        (
            "alice-hotel-obvious-captain",
            "a pairing code is a name and 4 words",
        ),
        (
            "alice-hotel-obvious-captain-wagonn",
            "word 4 of the 4 words",
        ),
        ("", "a pairing code is a name and 4 words"),
    ] {
        let piped = sandbox
            .command("bob")
            .args(["pair", "-", "--json"])
            .stdin(code);
        let output = sandbox.finish(piped).code(10);
        let error = &error_lines(&output)[0];
        assert!(self::text(&error["error"]).contains(text), "{error}");
        assert!(!stderr(&output).contains("captain"));
    }
    let output = sandbox.run("bob", &["pair", "alice-a-b-c-d"]).code(10);
    assert!(stderr(&output).contains("other users can read arguments"));
    sandbox.run("bob", &["pair", "--timeout", "601"]).code(2);
    sandbox.run("bob", &["pair", "--as", "../x"]).code(2);
}

#[test]
fn a_code_can_be_typed_and_ends_with_enter() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let (inviter, code) = invite(&sandbox, "alice");
    let typed = format!("{}\n", code.replace('-', " "));
    let shown = on_a_terminal(&sandbox, "bob", "pair -", false, &typed);
    assert!(shown.contains("type the code, and Enter:"), "{shown}");
    assert!(shown.contains("verified"), "{shown}");
    assert_eq!(contact(inviter)["name"], "bob");
}
