//! `ctalk serve openclaw` and `ctalk chat`: host, handler and client as real processes.

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Running, Sandbox, lines, stderr};

/// Starts bob's host; returns it with its address for `ctalk chat`.
fn serve<'s>(sandbox: &'s Sandbox, more: &[&str]) -> (Running<'s>, String) {
    let serve = ["serve", "openclaw", "--listen", "127.0.0.1:0"];
    let host = sandbox.start("bob", &[&serve, more].concat());
    let talk = host.talk();
    let address = talk.strip_prefix("listening on ws://").unwrap();
    let url = format!("openclaw+ws://{address}/ws");
    (host, url)
}

/// Alice and bob, who have each other's cards.
fn acquainted() -> Sandbox {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    for (one, other) in [("alice", "bob"), ("bob", "alice")] {
        sandbox.run(one, &["contact", "add", other]).success();
    }
    sandbox
}

#[test]
fn a_handler_answers_what_was_sealed_and_the_contact_is_named_once() {
    let sandbox = acquainted();
    let (host, url) = serve(&sandbox, &["--exec", "tr a-z A-Z"]);
    sandbox
        .run("alice", &["chat", &url, "--to", "bob", "hello"])
        .success()
        .stdout_eq("HELLO");
    // From now on it is known who is there, and stdin is one message.
    sandbox
        .finish(
            sandbox
                .command("alice")
                .args(["chat", &url])
                .stdin("two\nlines\n"),
        )
        .success()
        .stdout_eq("TWO\nLINES");
    host.signal(Signal::TERM);
    assert_eq!(host.end().0.code(), Some(0));
}

#[test]
fn each_line_is_a_message_and_each_frame_a_line_of_json() {
    let sandbox = acquainted();
    let (_host, url) = serve(&sandbox, &["--exec", "tr a-z A-Z"]);
    let chat = ["--json", "chat", &url, "--to", "bob", "--lines"];
    let output = sandbox.finish(sandbox.command("alice").args(chat).stdin("one\n\ntwo\n"));
    let events = lines(&output.success());
    let texts: Vec<_> = events
        .iter()
        .filter(|event| event["event"] == "message")
        .map(|message| {
            assert_eq!(
                (&message["from"], &message["trust"]),
                (&"bob".into(), &"pinned".into())
            );
            message["payload"].clone()
        })
        .collect();
    assert_eq!(texts, ["ONE", "TWO"]);
    let answered = events.iter().filter(|event| event["event"] == "answered");
    assert!(answered.map(|event| &event["how"]).eq(["sealed", "sealed"]));
    assert!(events.iter().any(|event| event["event"] == "typing"));
}

#[test]
fn nothing_is_said_in_the_clear_unless_it_is_asked_for_on_both_sides() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let (host, url) = serve(&sandbox, &["--exec", "tr a-z A-Z"]);
    let output = sandbox
        .run("alice", &["chat", &url, "--to", "bob", "hello"])
        .code(5);
    assert!(
        stderr(&output).contains("nothing was sent"),
        "{}",
        stderr(&output)
    );
    let output = sandbox
        .run("alice", &["chat", &url, "--plaintext", "hello"])
        .code(7);
    assert!(stderr(&output).contains("this agent takes envelopes only"));
    host.signal(Signal::TERM);
    drop(host);
    let handler = r#"sh -c 'echo "$CTALK_TRUST ${CTALK_FROM-nobody} $CTALK_TOPIC"; cat'"#;
    let (_host, url) = serve(&sandbox, &["--plaintext", "--exec", handler]);
    sandbox
        .run(
            "alice",
            &["chat", &url, "--plaintext", "--group", "g", "hello"],
        )
        .success()
        .stdout_eq("plaintext nobody group:g\nhello\n");
    // Whoever is no profile's can do so, too.
    let output = sandbox.run(
        "nobody",
        &[
            "--json",
            "chat",
            &url,
            "--plaintext",
            "hi",
            "--message-id",
            "m1",
        ],
    );
    let events = lines(&output.success());
    let response = events
        .iter()
        .find(|event| event["event"] == "response")
        .unwrap();
    assert_eq!(response["messageId"], "m1");
}

#[test]
fn what_a_handler_says_is_shown_while_it_says_it() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let handler = "sh -c 'echo one; sleep 0.5; echo two'";
    let (_host, url) = serve(&sandbox, &["--plaintext", "--exec", handler]);
    let output = sandbox.run("alice", &["--json", "chat", &url, "--plaintext", "go"]);
    let events = lines(&output.success());
    let said = |kind: &str| -> Vec<Value> {
        let events = events.iter().filter(|event| event["event"] == kind);
        events.map(|event| event["content"].clone()).collect()
    };
    assert_eq!(said("stream").first(), Some(&"one\n".into()));
    assert_eq!(said("response"), ["one\ntwo\n"]);
}

#[test]
fn a_token_is_given_in_a_file_and_never_in_the_address() {
    let sandbox = acquainted();
    let (_host, url) = serve(&sandbox, &["--exec", "cat"]);
    let bad = format!("{url}?token=s3cret");
    let output = sandbox
        .run("alice", &["chat", &bad, "--to", "bob", "x"])
        .code(2);
    assert!(!stderr(&output).contains("s3cret"));
    sandbox.file("token", "s3cret\n");
    let token = sandbox.at("token");
    sandbox
        .run(
            "alice",
            &["chat", &url, "--to", "bob", "--token", &token, "x"],
        )
        .success();
}

#[test]
fn what_cannot_be_answered_or_heard_has_its_exit_code() {
    let sandbox = acquainted();
    let (host, url) = serve(&sandbox, &["--exec", "false"]);
    sandbox
        .run("alice", &["chat", &url, "--to", "bob", "x"])
        .code(11);
    host.signal(Signal::TERM);
    assert_eq!(host.end().0.code(), Some(0));
    sandbox
        .run("alice", &["chat", &url, "--plaintext", "x"])
        .code(6);
    sandbox
        .run(
            "alice",
            &["chat", &url, "--to", "bob", "--timeout", "1s", "x"],
        )
        .code(12);
    for url in ["http://127.0.0.1/ws", "openclaw+ws://claw.example/ws"] {
        sandbox
            .run("alice", &["chat", url, "--plaintext", "x"])
            .code(2);
    }
    sandbox
        .run(
            "bob",
            &[
                "serve",
                "openclaw",
                "--listen",
                "0.0.0.0:0",
                "--plaintext",
                "--exec",
                "cat",
            ],
        )
        .code(2);
    let anybody =
        "--listen 0.0.0.0:0 --plaintext --auth https://a.example --auth-optional --exec cat";
    let args: Vec<&str> = ["serve", "openclaw"]
        .into_iter()
        .chain(anybody.split(' '))
        .collect();
    sandbox.run("bob", &args).code(2);
    sandbox
        .run("bob", &["serve", "openclaw", "--listen", "127.0.0.1:0"])
        .code(2);
}

#[test]
fn what_the_profile_requires_stops_what_is_in_the_clear() {
    let sandbox = acquainted();
    let settings = sandbox.profile("alice").join("profile.toml");
    let before = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, format!("{before}require = [\"native\"]\n")).unwrap();
    let (_host, url) = serve(&sandbox, &["--plaintext", "--exec", "cat"]);
    let refused = sandbox.run("alice", &["chat", &url, "--plaintext", "hello"]);
    refused.code(5);
}
