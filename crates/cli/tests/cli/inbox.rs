//! What `recv` takes, leaves and sets aside.

use std::{fs::OpenOptions, process::Stdio};

use serde_json::{Value, json};
use snapbox::str;

use ctalk_relay::testing::TestRelay;

use crate::support::{Running, Sandbox, lines, on_a_terminal, shell, stderr, text};

/// A message for bob that alice sent, with something done to it, delivered by the relay.
fn inject(sandbox: &Sandbox, content: &str, id: &str, change: impl FnOnce(&mut Value)) {
    let sent = sandbox.json("alice", &["send", "bob", content]).remove(0);
    sandbox.run("bob", &["ack", text(&sent["id"])]).success();
    let mut message = sent_message(sandbox, &sent);
    message["id"] = json!(id);
    change(&mut message);
    sandbox.relay.inject("bob", &message.to_string());
}

/// Sends once more what `sent` told of, because the relay has deleted it by now.
fn sent_message(sandbox: &Sandbox, sent: &Value) -> Value {
    sandbox
        .run("alice", &["send", "bob", text(&sent["id"])])
        .success();
    let stored = sandbox.stored().pop().unwrap();
    sandbox.run("bob", &["ack", text(&stored["id"])]).success();
    stored
}

#[test]
fn a_bad_message_is_set_aside_and_its_neighbours_arrive() {
    let sandbox = Sandbox::classic(&["alice", "bob"]);
    sandbox.run("alice", &["send", "bob", "before"]).success();
    inject(&sandbox, "x", "bad-1", |message| {
        message["topic"] = json!("forged")
    });
    sandbox.run("alice", &["send", "bob", "after"]).success();
    let output = sandbox.run("bob", &["recv", "--json"]).code(9);
    let payloads: Vec<_> = lines(&output)
        .iter()
        .map(|line| line["payload"].clone())
        .collect();
    assert_eq!(payloads, ["before", "after"]);
    let talk = stderr(&output);
    assert!(talk.contains("set aside: alice: not-verified: "), "{talk}");
    sandbox
        .run("bob", &["recv"])
        .success()
        .stdout_eq("")
        .stderr_eq("");

    let listed = sandbox.json("bob", &["inbox", "list"]).remove(0);
    assert_eq!(
        [
            &listed["relayId"],
            &listed["relayFrom"],
            &listed["state"],
            &listed["reason"]
        ],
        ["bad-1", "alice", "quarantined", "not-verified"]
    );
    sandbox
        .run("bob", &["inbox", "list"])
        .success()
        .stdout_eq(str![[r#"
NUMBER  ID     FROM   AGE  ATTEMPTS  NEXT  REASON        DETAIL
[..]       bad-1  alice  [..] s  0         -     not-verified  the signature [..]

"#]]);
    let shown = sandbox.json("bob", &["inbox", "show", "bad-1"]).remove(0);
    assert_eq!(shown["message"]["topic"], "forged");
    assert_eq!(shown["number"], listed["number"]);
    let number = listed["number"].to_string();
    sandbox
        .run("bob", &["inbox", "show", &number])
        .success()
        .stdout_eq(str![[r#"
number    [..]
id        bad-1
from      alice
time      20[..]Z
state     quarantined
reason    not-verified
detail    the signature [..]
attempts  0
due       -
{[..]"topic":"forged"[..]}

"#]]);

    sandbox
        .run("bob", &["inbox", "drop", "bad-1", "no-such"])
        .code(2)
        .stdout_eq("")
        .stderr_eq(str![[r#"
error: the inbox holds no message `no-such`
hint: `ctalk inbox list` shows them all

"#]]);
    assert_eq!(sandbox.json("bob", &["inbox", "list"]).len(), 1);
    sandbox.run("bob", &["inbox", "retry", "bad-1"]).success();
    sandbox
        .run("bob", &["inbox", "list"])
        .success()
        .stdout_eq(str![[r#"
NUMBER  ID     FROM   AGE  ATTEMPTS  NEXT  REASON  DETAIL
[..]       bad-1  alice  [..] s  0         now   new     -

"#]]);
    sandbox.run("bob", &["recv"]).code(9).stdout_eq("");
    sandbox
        .run("bob", &["inbox", "drop", "bad-1"])
        .success()
        .stdout_eq(str![[r#"
[..]  bad-1  dropped

"#]]);
    sandbox
        .run("bob", &["inbox", "list", "--json"])
        .success()
        .stdout_eq("");
}

#[test]
fn an_envelope_that_was_set_aside_is_listed_with_its_claimed_sender() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    inject(&sandbox, "x", "bad-1", |message| {
        message["payload"] = json!("ctalk2:AAAA");
    });
    sandbox.run("bob", &["recv"]).code(9);
    let listed = sandbox.json("bob", &["inbox", "list"]).remove(0);
    assert_eq!(
        [&listed["relayId"], &listed["relayFrom"]],
        ["bad-1", "alice"]
    );
}

#[test]
fn a_retry_delivers_what_was_set_aside_for_a_changed_key_that_was_accepted() {
    let sandbox = Sandbox::classic(&["alice", "bob"]);
    sandbox.run("alice", &["send", "bob", "old key"]).success();
    sandbox.run("bob", &["recv"]).success();
    std::fs::remove_dir_all(sandbox.profile("alice")).unwrap();
    sandbox
        .run(
            "alice",
            &["keygen", "--name", "alice2", "--key-store", "plain"],
        )
        .success();
    sandbox.register("alice").success();
    sandbox.relay.set_agent_capabilities("alice2", &[]);
    let keys = sandbox.json("alice", &["whoami"]).remove(0);
    // The relay now shows under the old name the keys that its owner made anew.
    sandbox.run("alice", &["send", "bob", "new key"]).success();
    let mut message = sandbox.stored().remove(0);
    sandbox.run("bob", &["ack", text(&message["id"])]).success();
    message["from"] = json!("alice");
    sandbox.relay.inject("bob", &message.to_string());
    let (other_public_key, other_signing_key) = sandbox.foreign_keys();
    sandbox
        .relay
        .set_agent_keys("alice2", &other_public_key, &other_signing_key);
    sandbox
        .relay
        .set_agent_keys("alice", text(&keys["publicKey"]), text(&keys["signingKey"]));

    let output = sandbox.run("bob", &["recv"]).code(9).stdout_eq("");
    assert!(stderr(&output).contains("set aside: alice: key-changed: "));
    let fingerprint = text(&keys["classicFingerprint"]);
    sandbox
        .run("bob", &["contact", "accept-key", "alice", fingerprint])
        .success();
    sandbox
        .run("bob", &["inbox", "retry", text(&message["id"])])
        .success();
    assert_eq!(sandbox.json("bob", &["recv"])[0]["payload"], "new key");
}

#[test]
fn filters_leave_the_rest_in_the_inbox() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let mut sent = Vec::new();
    for (content, topic) in [("1", "a"), ("2", "b"), ("3", "a"), ("4", "b")] {
        sent.extend(sandbox.json("alice", &["send", "bob", content, "--topic", topic]));
    }
    let received = |args: &[&str]| {
        let messages = sandbox.json("bob", args);
        messages
            .iter()
            .map(|message| text(&message["payload"]).to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(received(&["recv", "--count", "1"]), ["1"]);
    assert_eq!(received(&["recv", "--topic", "a"]), ["3"]);
    assert_eq!(received(&["recv", "--topic", "c"]), [""; 0]);
    assert_eq!(received(&["recv", "--since", text(&sent[2]["ts"])]), ["4"]);
    assert_eq!(received(&["recv", "--since", "9999999999999"]), [""; 0]);
    assert_eq!(received(&["recv"]), ["2"]);
}

#[test]
fn a_peek_changes_nothing() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    for content in ["1", "2"] {
        sandbox.run("alice", &["send", "bob", content]).success();
    }
    for _ in 0..2 {
        let peeked = sandbox.json("bob", &["recv", "--peek"]);
        let seen: Vec<_> = peeked
            .iter()
            .map(|line| [&line["payload"], &line["trust"]])
            .collect();
        assert_eq!(json!(seen), json!([["1", "unknown"], ["2", "unknown"]]));
    }
    assert_eq!(
        sandbox
            .json("bob", &["recv", "--peek", "--count", "1"])
            .len(),
        1
    );
    assert_eq!(sandbox.stored().len(), 2);
    sandbox
        .run("bob", &["contact", "list", "--json"])
        .success()
        .stdout_eq("");
    sandbox
        .run("bob", &["inbox", "list", "--json"])
        .success()
        .stdout_eq("");
    assert_eq!(sandbox.json("bob", &["recv"]).len(), 2);
}

#[test]
fn a_message_that_could_not_be_printed_is_printed_by_the_next_recv() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    sandbox.run("alice", &["send", "bob", "precious"]).success();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    for (stdout, why) in [
        (Stdio::from(writer), "Broken pipe"),
        (Stdio::from(full), "No space left"),
    ] {
        let mut recv = sandbox.std_command("bob");
        let output = recv
            .args(["recv", "--json"])
            .stdin(Stdio::null())
            .stdout(stdout)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        let talk = String::from_utf8(output.stderr).unwrap();
        assert!(
            talk.contains("cannot write to stdout") && talk.contains(why),
            "{talk}"
        );
        assert!(!talk.contains("precious"));
    }
    assert!(sandbox.stored().is_empty(), "it is in the local inbox");
    assert_eq!(sandbox.json("bob", &["recv"])[0]["payload"], "precious");
    assert!(sandbox.json("bob", &["recv"]).is_empty());
}

#[test]
fn what_cannot_be_stored_stays_at_the_relay() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    sandbox.run("bob", &["contact", "list"]).success();
    sandbox.run("alice", &["send", "bob", "precious"]).success();
    // No file may grow, as on a full disk.
    let full = r#"trap "" XFSZ; ulimit -f 0; exec "$@""#;
    let output = sandbox
        .finish(shell(&sandbox, "bob", full, &["recv"]).stdin(""))
        .code(8);
    assert!(
        stderr(&output).starts_with("error: the store "),
        "{}",
        stderr(&output)
    );
    assert_eq!(sandbox.stored().len(), 1);
    assert_eq!(sandbox.json("bob", &["recv"])[0]["payload"], "precious");
}

#[test]
fn what_was_stored_is_printed_even_if_the_relay_is_away() {
    let mut sandbox = Sandbox::with(&["alice", "bob"]);
    for content in ["1", "2"] {
        sandbox.run("alice", &["send", "bob", content]).success();
    }
    assert_eq!(
        sandbox.json("bob", &["recv", "--count", "1"])[0]["payload"],
        "1"
    );
    sandbox.relay.stop();
    let output = sandbox.run("bob", &["recv", "--json"]).code(6);
    assert_eq!(lines(&output)[0]["payload"], "2");
}

#[test]
fn two_processes_receive_for_one_profile_and_each_message_is_printed_by_one() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let follow = [
        "recv",
        "--follow",
        "--interval",
        "0.1",
        "--count",
        "1",
        "--json",
    ];
    let followers = [sandbox.start("bob", &follow), sandbox.start("bob", &follow)];
    for content in ["one", "two"] {
        sandbox.run("alice", &["send", "bob", content]).success();
    }
    let mut printed = followers.map(|follower| {
        // What is printed is committed when they have ended.
        let (status, lines, _) = follower.end();
        assert_eq!((status.code(), lines.len()), (Some(0), 1));
        let line: Value = serde_json::from_str(&lines[0]).unwrap();
        line["payload"].as_str().unwrap().to_owned()
    });
    printed.sort();
    assert_eq!(printed, ["one", "two"]);
    sandbox.run("bob", &["recv"]).success().stdout_eq("");
}

#[test]
fn a_relay_that_pages_only_by_deleting_is_emptied_in_order_and_peeked_in_part() {
    let sandbox = Sandbox::around(TestRelay::builder().reference_paging(true));
    for name in ["alice", "bob"] {
        sandbox.add(name);
    }
    sandbox
        .run("alice", &["send", "bob", "n", "--plaintext"])
        .success();
    let mut message = sandbox.stored().remove(0);
    sandbox.run("bob", &["ack", text(&message["id"])]).success();
    for number in 0..101 {
        message["id"] = json!(format!("id-{number}"));
        message["payload"] = json!(number);
        message["ts"] = json!(format!(
            "2026-01-01T00:00:{:02}.{:03}Z",
            number / 10,
            number % 10
        ));
        sandbox.relay.inject("bob", &message.to_string());
    }
    let peeked = sandbox.run("bob", &["recv", "--peek", "--json"]).success();
    assert_eq!(lines(&peeked).len(), 100);
    assert!(stderr(&peeked).contains("shows at most 100 messages"));
    let received = sandbox.json("bob", &["recv"]);
    let numbers: Vec<_> = received.iter().map(|line| &line["payload"]).collect();
    assert_eq!(json!(numbers), json!((0..101).collect::<Vec<_>>()));
}

#[test]
fn foreign_text_reaches_a_terminal_only_escaped() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let text = "\u{1b}[2J\u{202e}evil\n[pinned]  carol  request";
    sandbox
        .run(
            "alice",
            &["send", "bob", text, "--topic", "\u{1b}]0;title\u{7}"],
        )
        .success();
    sandbox.run("alice", &["send", "bob", text]).success();
    let shown = on_a_terminal(&sandbox, "bob", "recv --count 1", true, "");
    let (colour, reset) = ("\u{1b}[32m", "\u{1b}[0m");
    assert!(
        shown.contains(&format!("{colour}[pinned]{reset}  alice  request")),
        "{shown:?}"
    );
    assert!(shown.contains(r"topic=\u{1b}]0;title\u{7}"), "{shown:?}");
    assert!(
        shown.contains("\n  \\u{1b}[2J\\u{202e}evil\n  [pinned]  carol  request\n"),
        "{shown:?}"
    );

    let shown = on_a_terminal(&sandbox, "bob", "recv --json", true, "");
    let line = shown.lines().last().unwrap();
    assert!(!line.chars().any(char::is_control), "{line:?}");
    assert_eq!(
        serde_json::from_str::<Value>(line).unwrap()["payload"],
        text
    );
}

#[test]
fn colours_stay_off_when_they_are_not_wanted() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    sandbox.run("alice", &["send", "bob", "x"]).success();
    let shown = on_a_terminal(&sandbox, "bob", "recv", false, "");
    assert!(
        shown.contains("[pinned]  alice") && !shown.contains('\u{1b}'),
        "{shown:?}"
    );
}

#[test]
fn a_follower_stops_at_its_limit() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let arguments = [
        "recv",
        "--follow",
        "--interval",
        "0.1",
        "--count",
        "2",
        "--json",
    ];
    let follower: Running<'_> = sandbox.start("bob", &arguments);
    for content in ["1", "2", "3"] {
        sandbox.run("alice", &["send", "bob", content]).success();
    }
    let (status, printed, _) = follower.end();
    assert_eq!((status.code(), printed.len()), (Some(0), 2));
    assert_eq!(sandbox.json("bob", &["recv"])[0]["payload"], "3");
}

#[test]
fn an_envelope_is_exported_as_it_was_received_and_can_be_opened() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    sandbox.run("alice", &["send", "bob", "kept"]).success();
    let sent = sandbox.stored().pop().unwrap();
    // Nobody takes this topic, so that the message stays.
    sandbox.run("bob", &["recv", "--topic", "none"]).success();
    let number = sandbox.json("bob", &["inbox", "list"])[0]["number"].to_string();
    sandbox
        .run("bob", &["inbox", "export", &number])
        .success()
        .stdout_eq(format!("{}\n", text(&sent["payload"])));
    let file = sandbox.path("kept.ctalk");
    let path = file.to_str().unwrap();
    let export = ["inbox", "export", &number, "-o", path];
    sandbox.run("bob", &export).success().stdout_eq("");
    sandbox
        .run("bob", &["open", path])
        .success()
        .stdout_eq("kept");
    sandbox.run("bob", &export).code(2);
    sandbox.run("bob", &["inbox", "export", "no-such"]).code(2);
}

#[test]
fn what_is_no_envelope_is_exported_as_the_relay_showed_it() {
    let sandbox = Sandbox::classic(&["alice", "bob"]);
    inject(&sandbox, "x", "bad-1", |message| {
        message["topic"] = json!("forged")
    });
    sandbox.run("bob", &["recv"]).code(9);
    let exported = sandbox.run("bob", &["inbox", "export", "bad-1"]).success();
    let exported: Value = serde_json::from_slice(&exported.get_output().stdout).unwrap();
    assert_eq!([&exported["id"], &exported["topic"]], ["bad-1", "forged"]);
}

#[test]
fn the_profile_bounds_the_inbox_and_recv_says_what_was_dropped() {
    let sandbox = Sandbox::classic(&["alice", "bob"]);
    let path = sandbox.profile("bob").join("profile.toml");
    let settings = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{settings}\n[inbox]\nmessages = 1\n")).unwrap();
    for id in ["bad-1", "bad-2"] {
        inject(&sandbox, id, id, |message| {
            message["topic"] = json!("forged")
        });
    }
    let output = sandbox.run("bob", &["recv"]).code(9);
    let talk = stderr(&output);
    let warning = "the oldest 1 of the quarantined messages were dropped";
    assert!(talk.contains(warning), "{talk}");
    let listed = sandbox.json("bob", &["inbox", "list"]);
    let ids: Vec<_> = listed.iter().map(|shown| &shown["relayId"]).collect();
    assert_eq!(ids, ["bad-2"]);
}
