//! `ctalk admin`: a relay as its operator looks after it.

use ctalk_relay::{Audit, testing::TestRelay};
use serde_json::{Value, json};
use snapbox::{cmd::OutputAssert, str};

use crate::{
    relay::request,
    support::{Sandbox, lines, stderr, text},
};

/// Runs `ctalk admin` with the key's file, in the name of nobody.
fn admin(sandbox: &Sandbox, args: &[&str]) -> OutputAssert {
    let (url, key) = (sandbox.relay.url(), sandbox.at("admin-key"));
    let with = ["admin", "--relay", &url, "--admin-key", &key];
    sandbox.run("operator", &[&with, args].concat())
}

fn json_of(sandbox: &Sandbox, args: &[&str]) -> Vec<Value> {
    lines(&admin(sandbox, &[args, &["--json"]].concat()).success())
}

#[test]
fn an_invite_registers_agents_until_it_is_deleted() {
    let sandbox = Sandbox::new();
    let create = ["invite", "create", "--label", "friends", "--max-uses", "2"];
    let made = json_of(&sandbox, &[&create[..], &["--expires-in", "36h"]].concat());
    let code = text(&made[0]["code"]);
    assert!(text(&made[0]["url"]).ends_with(code));
    sandbox.file("invite", code);
    let (url, invite) = (sandbox.relay.url(), sandbox.at("invite"));
    let join = |name: &str| {
        let keygen = ["keygen", "--name", name, "--key-store", "plain"];
        sandbox.run(name, &keygen).success();
        sandbox.run(name, &["register", "--relay", &url, "--invite", &invite])
    };
    join("alice").success();
    let listed = json_of(&sandbox, &["invite", "list"]);
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["uses"], 1);
    assert_eq!(listed[0]["expiresAt"], made[0]["expiresAt"]);
    admin(&sandbox, &["invite", "list"])
        .success()
        .stdout_eq(str![[r#"
CODE[..]LABEL    USES  CREATED[..]EXPIRES
[..]  friends  1/2   20[..]Z  20[..]Z

"#]]);
    admin(&sandbox, &["invite", "delete", code])
        .success()
        .stdout_eq(format!("deleted {code}\n"));
    join("bob").failure();
    let again = admin(&sandbox, &["invite", "delete", code]).failure();
    assert!(stderr(&again).contains("no such invite"));
    admin(&sandbox, &["invite", "create"])
        .success()
        .stdout_eq(str![[r#"
code  [..]
url   http://127.0.0.1:[..]/signup?invite=[..]

"#]]);
}

#[test]
fn agents_are_listed_with_what_their_inboxes_hold_and_may_hold() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    sandbox.run("alice", &["send", "bob", "hello"]).success();
    admin(&sandbox, &["agents"]).success().stdout_eq(str![[r#"
NAME   OWNER  ONLINE  LAST SEEN                 REGISTERED                MESSAGES  BYTES
alice  alice  yes     20[..]Z  20[..]Z  0         0
bob    bob    yes     20[..]Z  20[..]Z  1         [..]

"#]]);
    let bytes = sandbox.relay.stored()[0].len();
    admin(&sandbox, &["quota", "bob"])
        .success()
        .stdout_eq(format!(
            "messages  1 of 100000\nbytes     {bytes} of 1073741824\n"
        ));
    let limits = ["quota", "bob", "--max-messages", "1", "--max-bytes", "off"];
    admin(&sandbox, &limits)
        .success()
        .stdout_eq(format!("messages  1 of 1\nbytes     {bytes} of no limit\n"));
    let listed = json_of(&sandbox, &["agents"]);
    assert_eq!(listed[1]["maxMessages"], 1);
    assert_eq!(listed[1]["bytes"], bytes);
    assert_eq!(listed[1].get("maxBytes"), None);
    let limits = ["quota", "bob", "--max-messages", "default"];
    assert_eq!(
        json_of(&sandbox, &limits),
        [json!({"messages": 1, "bytes": bytes, "maxMessages": 100_000})]
    );
    let refused = admin(&sandbox, &["quota", "nobody"]).failure();
    assert!(stderr(&refused).contains("no such agent"));
    for limit in ["-1", "1.5", "many"] {
        let option = format!("--max-bytes={limit}");
        admin(&sandbox, &["quota", "bob", &option]).code(2);
    }
}

#[test]
fn a_key_is_revoked_or_replaced_and_an_agent_deleted() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let works = |name: &str| {
        sandbox
            .run(name, &["channels"])
            .get_output()
            .status
            .success()
    };
    assert!(works("alice"));
    admin(&sandbox, &["revoke", "alice"])
        .success()
        .stdout_eq("revoked alice\n");
    assert!(!works("alice"));
    let made = admin(&sandbox, &["revoke", "alice", "--replace"]).success();
    let key = String::from_utf8(made.get_output().stdout.clone()).unwrap();
    let mut command = sandbox.command("alice").arg("channels").stdin("");
    command = command.env("CLAWTALK_API_KEY", key.trim_end());
    sandbox.finish(command).success();
    // Nothing happens without the second word.
    let refused = admin(&sandbox, &["revoke", "bob", "--delete"]).code(2);
    assert!(stderr(&refused).contains("--yes"));
    assert!(works("bob"));
    admin(&sandbox, &["revoke", "bob", "--delete", "--yes"])
        .success()
        .stdout_eq("deleted bob\n");
    assert!(!works("bob"));
    let listed = json_of(&sandbox, &["agents"]);
    assert_eq!(listed.len(), 1, "{listed:?}");
    admin(&sandbox, &["revoke", "bob"]).failure();
}

#[test]
fn the_audit_log_shows_what_was_sent_in_the_clear_and_nothing_that_ctalk_sealed() {
    let sandbox = Sandbox::around(TestRelay::builder().audit(Audit::Automatic));
    for name in ["alice", "bob"] {
        sandbox.add(name);
    }
    sandbox.run("alice", &["send", "bob", "sealed"]).success();
    sandbox.run("bob", &["recv"]).success();
    assert!(json_of(&sandbox, &["audit", "list"]).is_empty());
    for number in 0..3 {
        let text = format!("clear {number}");
        let send = ["send", "bob", &text, "--plaintext", "--topic", "t\u{1b}"];
        sandbox.run("alice", &send).success();
    }
    let all = json_of(&sandbox, &["audit", "list"]);
    assert_eq!(all.len(), 3);
    assert_eq!(
        (&all[0]["from"], &all[0]["loggedBy"]),
        (&json!("alice"), &json!("_system"))
    );
    let shown = admin(&sandbox, &["audit", "list", "--limit", "1"]).success();
    shown.stdout_eq(str![[r#"
20[..]Z  sent  alice -> bob  id=[..]  topic=t[..]u{1b}  by=_system
{"text":"clear 0"}

"#]]);
    for (filter, count) in [
        (["--from", "alice"], 3),
        (["--to", "alice"], 0),
        (["--topic", "t\u{1b}"], 3),
        (["--since", text(&all[1]["ts"])], 1),
        (["--limit", "2"], 2),
    ] {
        let listed = json_of(&sandbox, &[&["audit", "list"], &filter[..]].concat());
        assert_eq!(listed.len(), count, "{filter:?}");
    }
    let clear = ["audit", "clear", "--before", text(&all[2]["ts"])];
    admin(&sandbox, &clear).success().stdout_eq("deleted 2\n");
    assert_eq!(json_of(&sandbox, &["audit", "list"]), all[2..]);
    admin(&sandbox, &["audit", "clear", "--before", "yesterday"]).code(2);
}

#[test]
fn every_entry_of_a_long_audit_log_is_listed_once() {
    let sandbox = Sandbox::around(TestRelay::builder().audit(Audit::Posted));
    let key = sandbox.relay.register("alice", "", "");
    let url = sandbox.relay.url();
    let address = url.strip_prefix("http://").unwrap();
    for number in 0..450 {
        let entry = json!({"messageId": number.to_string(), "direction": "sent", "from": "alice",
            "to": "bob", "payload": 1, "ts": "2026-03-21T10:11:12.345Z"});
        let (status, _) = request(address, "POST /audit", &key, &entry.to_string());
        assert_eq!(status, 201);
    }
    let listed = json_of(&sandbox, &["audit", "list"]);
    let ids: Vec<_> = listed
        .iter()
        .map(|entry| text(&entry["messageId"]))
        .collect();
    let expected: Vec<_> = (0..450).map(|number| number.to_string()).collect();
    assert_eq!(ids, expected);
    assert_eq!(
        json_of(&sandbox, &["audit", "list", "--limit", "301"]).len(),
        301
    );
}

#[test]
fn an_operator_needs_the_key_and_is_warned_when_it_travels_in_the_clear() {
    let sandbox = Sandbox::new();
    let url = sandbox.relay.url();
    let bare = ["admin", "--relay", &url, "agents"];
    let refused = sandbox.run("operator", &bare).code(2);
    assert!(stderr(&refused).contains("ADMIN_KEY"));
    let with_variable = sandbox.command("operator").args(bare).stdin("");
    let with_variable = with_variable.env("ADMIN_KEY", crate::support::ADMIN_KEY);
    sandbox.finish(with_variable).success();
    let wrong = sandbox.command("operator").args(bare).stdin("");
    sandbox.finish(wrong.env("ADMIN_KEY", "wrong")).failure();
    let key = sandbox.at("admin-key");
    let far = [
        "admin",
        "--relay",
        "http://0.0.0.0:1",
        "--admin-key",
        &key,
        "agents",
    ];
    let far = sandbox.run("operator", &far).failure();
    assert!(stderr(&far).contains("travels in the clear"));
}
