//! Key cards: published, added as contacts, and what follows from having one.

use serde_json::{Value, json};
use snapbox::str;

use crate::support::{Sandbox, error_lines, stderr, text};

/// The capabilities that the relay lists for an agent.
fn capabilities(sandbox: &Sandbox, name: &str) -> Vec<String> {
    sandbox.relay.agent_capabilities(name)
}

fn card_of(sandbox: &Sandbox, name: &str) -> String {
    text(&sandbox.json(name, &["card"])[0]["card"]).to_owned()
}

#[test]
fn registering_publishes_exactly_the_card_that_card_prints() {
    let sandbox = Sandbox::with(&["alice"]);
    let card = card_of(&sandbox, "alice");
    assert_eq!(capabilities(&sandbox, "alice"), [card.as_str()]);
    sandbox.register("alice").success();
    assert_eq!(capabilities(&sandbox, "alice"), [card.as_str()]);
    let shown = sandbox.json("alice", &["card"]).remove(0);
    assert_eq!(shown["addresses"], json!([sandbox.relay.url()]));
}

#[test]
fn publishing_a_card_keeps_the_other_capabilities() {
    let sandbox = Sandbox::with(&["alice"]);
    let card = card_of(&sandbox, "alice");
    let listed = ["chat", "ctalk-card:old", "ctalk-card:older", "code"];
    sandbox.relay.set_agent_capabilities("alice", &listed);
    sandbox
        .run("alice", &["card", "--publish"])
        .success()
        .stdout_eq(format!("{card}\n"))
        .stderr_eq("");
    assert_eq!(
        capabilities(&sandbox, "alice"),
        ["chat", "code", card.as_str()]
    );
}

#[test]
fn a_card_cannot_be_published_before_registering() {
    let sandbox = Sandbox::new();
    let keygen = ["keygen", "--name", "alice", "--key-store", "plain"];
    sandbox.run("alice", &keygen).success();
    let output = sandbox.run("alice", &["card", "--publish"]).code(2);
    assert!(stderr(&output).contains("ctalk register"));
}

#[test]
fn a_contact_is_added_by_a_card_a_file_stdin_or_a_name_of_the_relay() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let card = card_of(&sandbox, "bob");
    let file = sandbox.file("card", format!("{card}\n"));
    let fingerprint = sandbox.json("bob", &["whoami"])[0]["fingerprint"].clone();
    for source in [card.as_str(), &file, "-", "bob"] {
        let command = sandbox
            .command("alice")
            .args(["contact", "add", source, "--as", "robert", "--json"])
            .stdin(format!("{card}\r\n"));
        let output = sandbox.finish(command).success().stderr_eq(str![[r#"
added and pinned

"#]]);
        let shown = crate::support::lines(&output).remove(0);
        assert_eq!(
            [&shown["name"], &shown["fingerprint"], &shown["format"]],
            [&json!("robert"), &fingerprint, &json!("native")],
            "{source}"
        );
        let address = if source == "bob" {
            json!("bob")
        } else {
            Value::Null
        };
        assert_eq!(shown["address"], address);
        let sent = sandbox.json("alice", &["send", "robert", "hi"]).remove(0);
        assert_eq!(
            [&sent["to"], &sent["pinned"]],
            [&json!("robert"), &json!(false)]
        );
        sandbox
            .run("alice", &["contact", "remove", "robert"])
            .success();
    }
    assert_eq!(sandbox.json("bob", &["recv"]).len(), 4);
    sandbox
        .run("alice", &["contact", "add", "bob"])
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

"#]]);
    sandbox
        .run("alice", &["-q", "contact", "add", &card, "--as", "other"])
        .success()
        .stdout_eq(str![[r#"
name          bob
...
"#]]);
}

#[test]
fn what_is_no_card_of_somebody_else_is_not_added() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let card = card_of(&sandbox, "bob");
    let own = card_of(&sandbox, "alice");
    let middle = card.len() / 2;
    let other = if card.as_bytes()[middle] == b'A' {
        "B"
    } else {
        "A"
    };
    let forged = format!("{}{other}{}", &card[..middle], &card[middle + 1..]);
    let two = sandbox.file("two", format!("{card}\n{card}\n"));
    let quoted = sandbox.file("quoted", format!("> {card}\n"));
    for (source, code) in [
        (own.as_str(), 5),
        (&forged, 3),
        (&card[..100], 10),
        (&two, 10),
        (&quoted, 10),
        ("alice", 2),
        ("nobody", 7),
        ("./no-such-file", 2),
    ] {
        let output = sandbox.run("alice", &["contact", "add", source]).code(code);
        assert_eq!(output.get_output().stdout, b"", "{source}");
    }
    for name in ["../x", "-rf", "a b", "x", "broadcast"] {
        let name = format!("--as={name}");
        sandbox
            .run("alice", &["contact", "add", &card, &name])
            .code(2);
    }
    assert!(sandbox.json("alice", &["contact", "list"]).is_empty());
}

#[test]
fn a_card_that_is_not_the_pinned_ones_is_exit_5() {
    let sandbox = Sandbox::with(&["alice", "bob", "carol"]);
    let (bobs, carols) = (card_of(&sandbox, "bob"), card_of(&sandbox, "carol"));
    sandbox.relay.set_agent_capabilities("bob", &[&carols]);
    let output = sandbox
        .run("alice", &["send", "bob", "x", "--json"])
        .code(5);
    assert_eq!(error_lines(&output)[0]["class"], "not-trusted");
    sandbox
        .relay
        .set_agent_capabilities("bob", &[&bobs, &carols]);
    sandbox.run("alice", &["contact", "add", "bob"]).code(5);
    sandbox.relay.set_agent_capabilities("bob", &[&bobs]);
    sandbox.run("alice", &["contact", "add", "bob"]).success();
    // His name is taken for anybody else.
    sandbox
        .run("alice", &["contact", "add", &carols, "--as", "Bob"])
        .code(5);
    sandbox
        .run(
            "alice",
            &[
                "contact",
                "accept-key",
                "bob",
                text(&sandbox.json("carol", &["whoami"])[0]["fingerprint"]),
            ],
        )
        .code(5);
    sandbox
        .run(
            "alice",
            &[
                "contact",
                "accept-key",
                "bob",
                text(&sandbox.json("bob", &["whoami"])[0]["fingerprint"]),
            ],
        )
        .success();
    assert!(sandbox.stored().is_empty());
}

#[test]
fn nothing_but_envelopes_is_taken_from_somebody_with_a_card() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    sandbox.run("alice", &["send", "bob", "sealed"]).success();
    sandbox.run("bob", &["recv"]).success();
    sandbox
        .run("alice", &["send", "bob", "open", "--plaintext"])
        .success();
    sandbox.relay.set_agent_capabilities("bob", &[]);
    sandbox
        .run("alice", &["contact", "remove", "bob"])
        .success();
    sandbox.run("alice", &["send", "bob", "boxed"]).success();
    let output = sandbox.run("bob", &["recv"]).code(9).stdout_eq("");
    assert_eq!(
        stderr(&output)
            .matches("set aside: alice: downgrade: ")
            .count(),
        2
    );
}

#[test]
fn an_envelope_lives_for_30_days_at_most() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let month = 30 * 24 * 60 * 60;
    let send = |ttl: u64| {
        let ttl = ttl.to_string();
        sandbox.run("alice", &["send", "bob", "x", "--ttl", &ttl])
    };
    send(month).success();
    send(month + 1).code(2).stdout_eq("").stderr_eq(str![[r#"
error: an envelope lives at most 30 days

"#]]);
    assert_eq!(sandbox.stored().len(), 1);
}

#[test]
fn only_envelopes_carry_bytes_that_are_no_text() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let file = sandbox.file("photo.png", [0x89, b'P', 0, 0xff]);
    sandbox
        .run("alice", &["send", "bob", "--file", &file])
        .success();
    let received = sandbox.json("bob", &["recv"]).remove(0);
    assert_eq!(
        [
            &received["payload"],
            &received["contentType"],
            &received["name"]
        ],
        [
            &json!({"base64": "iVAA/w=="}),
            &json!("application/octet-stream"),
            &json!("photo.png")
        ]
    );
}

#[test]
fn a_contact_is_sealed_to_by_name_while_its_card_lasts() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    sandbox.run("alice", &["contact", "add", "bob"]).success();
    let seal = sandbox
        .command("alice")
        .args(["seal", "--to", "bob", "--armor"])
        .stdin("by name");
    let sealed = sandbox.finish(seal).success().get_output().stdout.clone();
    sandbox.run("bob", &["contact", "add", "alice"]).success();
    let open = sandbox.command("bob").arg("open").stdin(sealed);
    sandbox.finish(open).success().stdout_eq("by name");
}
