//! Pinned keys: when they are told, when they are refused, and the way out.

use serde_json::json;
use snapbox::str;

use crate::support::{Sandbox, error_lines, stderr, text};

#[test]
fn a_changed_key_is_refused_with_both_fingerprints_until_it_is_accepted() {
    let sandbox = Sandbox::classic(&["alice", "bob"]);
    sandbox.run("alice", &["send", "bob", "first"]).success();
    let pinned = sandbox.json("alice", &["contact", "show", "bob"]).remove(0);
    let (public_key, signing_key) = sandbox.foreign_keys();
    sandbox
        .relay
        .set_agent_keys("bob", &public_key, &signing_key);
    let offered = sandbox.json("alice", &["agents"]).remove(1);
    assert_eq!(
        [&offered["contact"], &offered["changed"]],
        [&json!("pinned"), &json!(true)]
    );
    assert!(
        sandbox.json("alice", &["agents"])[0]
            .get("changed")
            .is_none()
    );

    let refused = sandbox
        .run("alice", &["send", "bob", "second", "--json"])
        .code(5);
    let error = error_lines(&refused).remove(0);
    assert_eq!(
        [&error["class"], &error["code"]],
        [&json!("not-trusted"), &json!(5)]
    );
    for fingerprint in [&pinned["fingerprint"], &offered["fingerprint"]] {
        let told = text(&error["error"]).replace(' ', "");
        assert!(told.contains(text(fingerprint)), "{told}");
    }
    assert!(text(&error["error"]).contains("publicKey and signingKey"));
    assert_eq!(sandbox.stored().len(), 1);

    let other = text(&pinned["fingerprint"]);
    sandbox
        .run("alice", &["contact", "accept-key", "bob", other])
        .code(5);
    let grouped: Vec<_> = text(&offered["fingerprint"]).as_bytes().chunks(4).collect();
    let words: Vec<_> = grouped
        .iter()
        .map(|group| str::from_utf8(group).unwrap())
        .collect();
    let accept = [&["contact", "accept-key", "bob"][..], &words].concat();
    sandbox.run("alice", &accept).success();
    let accepted = sandbox.json("alice", &["contact", "show", "bob"]).remove(0);
    assert_eq!(
        [
            &accepted["fingerprint"],
            &accepted["learned"],
            &accepted["standing"]
        ],
        [
            &offered["fingerprint"],
            &json!("accepted"),
            &json!("pinned")
        ]
    );
    sandbox
        .run("alice", &["send", "bob", "third"])
        .success()
        .stderr_eq("");
}

#[test]
fn each_key_that_changed_alone_is_named() {
    let sandbox = Sandbox::classic(&["alice", "bob"]);
    sandbox.run("alice", &["send", "bob", "first"]).success();
    let bob = sandbox.json("bob", &["whoami"]).remove(0);
    let (own_public_key, own_signing_key) = (text(&bob["publicKey"]), text(&bob["signingKey"]));
    let (public_key, signing_key) = sandbox.foreign_keys();
    sandbox
        .relay
        .set_agent_keys("bob", &public_key, own_signing_key);
    let refused = sandbox.run("alice", &["send", "bob", "x"]).code(5);
    assert!(stderr(&refused).starts_with("error: the keys of `bob` changed: publicKey changed"));
    sandbox
        .relay
        .set_agent_keys("bob", own_public_key, &signing_key);
    let refused = sandbox.run("alice", &["send", "bob", "x"]).code(5);
    assert!(stderr(&refused).starts_with("error: the keys of `bob` changed: signingKey changed"));
}

#[test]
fn contacts_are_listed_shown_and_removed() {
    let sandbox = Sandbox::with(&["alice", "bob", "carol"]);
    sandbox
        .run("alice", &["contact", "list", "--json"])
        .success()
        .stdout_eq("");
    sandbox
        .run("alice", &["send", "bob", "x", "--to", "carol"])
        .success();
    sandbox
        .run("alice", &["contact", "list"])
        .success()
        .stdout_eq(str![[r#"
NAME   STANDING  FORMAT  SINCE                     FINGERPRINT
bob    pinned    native  20[..]Z  [..]
carol  pinned    native  20[..]Z  [..]

"#]]);
    sandbox
        .run("alice", &["contact", "show", "bob"])
        .success()
        .stdout_eq(str![[r#"
name          bob
at the relay  bob
standing      pinned
learned       first-use
since         20[..]Z
fingerprint   [..]
public key    [..]=
signing key   [..]=
format        native
card expires  20[..]Z
notes         -

CARD           CREATED                   EXPIRES                   RECEIVED
[..]  20[..]Z  20[..]Z  20[..]Z

"#]]);
    sandbox
        .run("alice", &["contact", "remove", "bob"])
        .success()
        .stdout_eq("removed bob\n");
    for command in ["show", "remove"] {
        sandbox
            .run("alice", &["contact", command, "bob"])
            .code(2)
            .stdout_eq("")
            .stderr_eq(str![[r#"
error: there is no contact `bob`
hint: `ctalk contact list` shows them all

"#]]);
    }
    sandbox
        .run("alice", &["contact", "remove", "carol", "--json"])
        .success()
        .stdout_eq(str![[r#"
{"removed":"carol"}

"#]]);
}

#[test]
fn a_fingerprint_is_given_whole() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    sandbox
        .run("alice", &["contact", "accept-key", "bob", "1234", "5678"])
        .code(2)
        .stderr_eq(str![[r#"
error: a fingerprint has 64 hex digits and this has 8; give all of them

"#]]);
    sandbox
        .run("alice", &["contact", "accept-key", "bob", "bob's"])
        .code(2);
}

#[test]
fn an_entry_with_unusable_keys_hides_nobody_else() {
    let sandbox = Sandbox::with(&["alice", "bob", "carol"]);
    sandbox.relay.set_agent_keys("bob", "no key", "\u{1b}[2J");
    sandbox.relay.set_agent_capabilities("carol", &["chat"]);
    sandbox
        .run("alice", &["agents"])
        .success()
        .stdout_eq(str![[r#"
NAME   ONLINE  LAST SEEN                 CONTACT  FORMAT   FINGERPRINT
alice  yes     20[..]Z  -        native   [..] [..] [..]
bob    yes     20[..]Z  -        -        -
carol  yes     20[..]Z  -        classic  [..] [..] [..]

"#]]);
    assert_eq!(
        sandbox.json("alice", &["agents"])[1]["fingerprint"],
        json!(null)
    );
    sandbox.run("alice", &["send", "carol", "x"]).success();
    sandbox.run("alice", &["send", "bob", "x"]).code(5);
}

#[test]
fn verify_checks_a_message_of_a_contact_without_relay_or_key_store() {
    let sandbox = Sandbox::classic(&["alice", "bob"]);
    sandbox
        .run("alice", &["send", "bob", "to be pinned"])
        .success();
    sandbox.run("bob", &["recv"]).success();
    sandbox
        .run(
            "alice",
            &[
                "send",
                "bob",
                "sealed",
                "--topic",
                "sync",
                "--correlation-id",
                "c-1",
            ],
        )
        .success();
    let raw = sandbox.relay.stored().remove(0);
    let file = sandbox.file("message", &raw);
    std::fs::remove_file(sandbox.profile("bob").join("keys.plain.json")).unwrap();
    let dead_relay = |args: &[&str]| {
        let command = sandbox.command("bob").args(args).stdin(raw.clone());
        sandbox.finish(command)
    };
    dead_relay(&["verify", &file]).success().stdout_eq(str![[r#"
signed by       alice
fingerprint     [..]
trust           pinned
to              bob
type            request
topic           sync
correlation id  c-1

"#]]);
    let output = dead_relay(&["verify", "--json"]).success();
    let verified = crate::support::lines(&output).remove(0);
    assert_eq!(
        [
            &verified["from"],
            &verified["to"],
            &verified["topic"],
            &verified["correlationId"]
        ],
        ["alice", "bob", "sync", "c-1"]
    );
    for (topic, code) in [("sync", 0), ("sink", 3)] {
        let altered = sandbox.file("altered", raw.replace("sync", topic));
        sandbox.run("bob", &["verify", &altered]).code(code);
    }
    let foreign = sandbox.file(
        "foreign",
        raw.replace(r#""from":"alice""#, r#""from":"mallory""#),
    );
    sandbox
        .run("bob", &["verify", &foreign])
        .code(5)
        .stdout_eq("");
    let unsigned = sandbox.file("unsigned", raw.replace("signature", "signatur"));
    sandbox
        .run("bob", &["verify", &unsigned])
        .code(3)
        .stdout_eq("");
    for malformed in ["", "{}", "[]", "{\"from\":", "\u{0}"] {
        let malformed = sandbox.file("malformed", malformed);
        sandbox
            .run("bob", &["verify", &malformed])
            .code(10)
            .stdout_eq("");
    }
}
