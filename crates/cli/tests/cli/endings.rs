//! Identities that hand over to a new one, or end for good.

use serde_json::{Value, json};
use snapbox::str;

use crate::support::{Sandbox, error_lines, lines, stderr, text};

/// Alice and bob know each other.
fn acquainted() -> Sandbox {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    sandbox.run("alice", &["send", "bob", "hello"]).success();
    sandbox.run("bob", &["recv"]).success();
    sandbox
}

fn fingerprint(sandbox: &Sandbox, name: &str) -> Value {
    sandbox.json(name, &["whoami"])[0]["fingerprint"].clone()
}

#[test]
fn contacts_follow_an_identity_that_hands_over_and_what_is_under_way_to_it_arrives() {
    let sandbox = acquainted();
    let former = fingerprint(&sandbox, "bob");
    let verify = ["contact", "verify", "bob", text(&former)];
    sandbox.run("alice", &verify).success();
    let refused = sandbox.run("bob", &["succeed"]).code(2);
    assert!(stderr(&refused).contains("--yes"));
    assert_eq!(fingerprint(&sandbox, "bob"), former);

    let done = sandbox.json("bob", &["succeed", "--yes"]).remove(0);
    let next = fingerprint(&sandbox, "bob");
    assert_ne!(next, former);
    assert_eq!(
        [&done["name"], &done["former"], &done["fingerprint"]],
        [&json!("bob"), &former, &next]
    );
    assert_eq!(done["told"], json!(["alice"]));
    let listed = sandbox.relay.agent_capabilities("bob");
    let card = sandbox.json("bob", &["card"]).remove(0);
    assert_eq!(
        listed,
        [text(&card["card"]), text(&done["succession"])],
        "and nothing of the former identity"
    );

    // Alice has not heard of it: within a day she does not ask the directory.
    let sent = sandbox.json("alice", &["send", "bob", "late"]).remove(0);
    assert_eq!(sent["fingerprint"], former);
    let received = sandbox.json("bob", &["recv"]);
    assert_eq!(received[0]["payload"], "late");

    let told = sandbox.run("alice", &["recv", "--json"]).success();
    assert!(lines(&told).is_empty());
    assert_eq!(
        error_lines(&told),
        [json!({
            "notice": "succeeded", "contact": "bob", "former": former,
            "fingerprint": next, "standing": "pinned"
        })]
    );
    let contact = sandbox.json("alice", &["contact", "show", "bob"]).remove(0);
    assert_eq!(
        [&contact["fingerprint"], &contact["learned"]],
        [&next, &json!("succession")]
    );
    let sent = sandbox.json("alice", &["send", "bob", "hello"]).remove(0);
    assert_eq!(sent["fingerprint"], next);
    sandbox.run("bob", &["recv"]).success();
    sandbox.run("bob", &["send", "alice", "still me"]).success();
    let received = sandbox.json("alice", &["recv"]).remove(0);
    assert_eq!(
        [&received["from"], &received["trust"]],
        [&json!("bob"), &json!("pinned")]
    );
}

#[test]
fn a_succession_that_the_directory_shows_is_told_in_words() {
    let sandbox = acquainted();
    // Carol learns of bob by the directory alone, because she has no address that he knows.
    sandbox.add("carol");
    sandbox.run("carol", &["contact", "add", "bob"]).success();
    sandbox.run("bob", &["succeed", "--yes"]).success();
    sandbox
        .run("carol", &["contact", "add", "bob"])
        .success()
        .stderr_eq(str![[r#"
warning: bob's identity [..] was succeeded by [..], which is pinned; compare the safety number with bob
known already

"#]]);
    sandbox
        .run("carol", &["contact", "add", "bob"])
        .success()
        .stderr_eq("known already\n");
}

#[test]
fn handing_over_goes_on_where_it_failed() {
    let mut sandbox = acquainted();
    let former = fingerprint(&sandbox, "bob");
    sandbox.relay.stop();
    sandbox.run("bob", &["succeed", "--yes"]).code(6);
    assert_eq!(fingerprint(&sandbox, "bob"), former, "nothing was made");

    sandbox.relay.restart();
    // With a card and a succession the entry would hold more than the relay takes.
    sandbox.relay.set_agent_capabilities("bob", &["x"; 63]);
    sandbox.run("bob", &["succeed", "--yes"]).code(7);
    let next = fingerprint(&sandbox, "bob");
    assert_ne!(
        next, former,
        "it is in the key store before it is published"
    );
    sandbox.relay.set_agent_capabilities("bob", &[]);
    let done = sandbox.json("bob", &["succeed", "--yes"]).remove(0);
    assert_eq!([&done["former"], &done["fingerprint"]], [&former, &next]);
    assert_eq!(fingerprint(&sandbox, "bob"), next, "and no third one");
    assert_eq!(done["told"], json!(["alice"]));
}

#[test]
fn several_identities_in_a_row_are_followed_at_once() {
    let sandbox = acquainted();
    sandbox.run("bob", &["succeed", "--yes"]).success();
    sandbox.run("bob", &["succeed", "--yes"]).success();
    sandbox.run("alice", &["contact", "add", "bob"]).success();
    let contact = sandbox.json("alice", &["contact", "show", "bob"]).remove(0);
    assert_eq!(contact["fingerprint"], fingerprint(&sandbox, "bob"));
    // The envelopes that say the same come afterwards, and are no news.
    sandbox
        .run("alice", &["recv"])
        .success()
        .stdout_eq("")
        .stderr_eq("");
}

#[test]
fn a_revoked_identity_speaks_no_more() {
    let sandbox = acquainted();
    let fingerprint = fingerprint(&sandbox, "bob");
    sandbox.run("bob", &["revoke"]).code(2).stdout_eq("");
    sandbox
        .relay
        .set_agent_capabilities("bob", &["chat", "ctalk-card:old"]);
    for _ in 0..2 {
        let done = sandbox.json("bob", &["revoke", "--yes"]).remove(0);
        assert_eq!(done["fingerprint"], fingerprint);
        assert_eq!(
            sandbox.relay.agent_capabilities("bob"),
            ["chat", text(&done["revocation"])]
        );
    }
    let card = text(&sandbox.json("alice", &["card"])[0]["card"]).to_owned();
    let file = sandbox.file("content", "x");
    for args in [
        &["send", "alice", "x"][..],
        &["send", "alice", "x", "--plaintext"],
        &["send", "--broadcast", "--plaintext", "x"],
        &["seal", "--armor", "--to", &card, &file],
        &["card"],
        &["card", "--publish"],
        &["rotate"],
        &["succeed", "--yes"],
    ] {
        let refused = sandbox.run("bob", args).code(2).stdout_eq("");
        let told = stderr(&refused);
        assert!(told.contains("this profile's identity has ended"), "{told}");
    }
    sandbox.register("bob").code(2);
    assert_eq!(sandbox.relay.agent_capabilities("bob").len(), 2);
    // What is under way to it can still be read.
    sandbox.run("alice", &["send", "bob", "late"]).success();
    assert_eq!(sandbox.json("bob", &["recv"])[0]["payload"], "late");
}

#[test]
fn a_revoked_contact_is_refused_by_every_command() {
    let sandbox = acquainted();
    let fingerprint = fingerprint(&sandbox, "bob");
    let own = text(&sandbox.json("alice", &["card"])[0]["card"]).to_owned();
    let card = text(&sandbox.json("bob", &["card"])[0]["card"]).to_owned();
    let content = sandbox.file("content", "x");
    let sealed = sandbox.path("sealed").display().to_string();
    sandbox
        .run("bob", &["seal", "--to", &own, "-o", &sealed, &content])
        .success();
    sandbox.run("bob", &["send", "alice", "late"]).success();
    sandbox.run("bob", &["revoke", "--yes"]).success();

    sandbox
        .run("alice", &["contact", "add", "bob"])
        .code(5)
        .stdout_eq("")
        .stderr_eq(str![[r#"
warning: bob's identity [..] was revoked by its owner
error: `bob`: [..] was revoked by its owner; ask the contact by other means for a new card
hint: ask bob for the present card (`ctalk card`) and add it: ctalk contact add FILE

"#]]);
    let named = text(&fingerprint);
    for args in [
        &["send", "bob", "x"][..],
        &["contact", "add", "bob"],
        &["contact", "add", &card],
        &["contact", "accept-key", "bob", named],
        &["contact", "verify", "bob", named],
        &["seal", "--armor", "--to", "bob", &content],
        &["seal", "--armor", "--to", &card, &content],
        &["open", &sealed],
        &["open", "--any-sender", &sealed],
        &["verify", &sealed],
    ] {
        let refused = sandbox.run("alice", args).code(5).stdout_eq("");
        assert!(stderr(&refused).contains("was revoked"), "{args:?}");
    }
    let refused = sandbox.run("alice", &["recv"]).code(9).stdout_eq("");
    assert!(stderr(&refused).starts_with("set aside: bob: ended: "));
}
