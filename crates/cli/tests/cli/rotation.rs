//! `ctalk rotate`, and keys that are replaced on use.

use std::{fs, time::Duration};

use ctalk::{
    clock::{Clock, SystemClock},
    core::{Card, CardStatement, Timestamp, XWingSecret},
    keystore::{Keystore, Kind, PassphraseSource},
};
use serde_json::{Value, json};
use snapbox::str;

use crate::support::{Sandbox, error_lines, stderr, text};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn card(sandbox: &Sandbox, name: &str) -> Value {
    sandbox.json(name, &["card"]).remove(0)
}

fn listed(sandbox: &Sandbox, name: &str) -> Vec<String> {
    sandbox.relay.agent_capabilities(name)
}

/// Gives the profile a key and a card of this age; the former key is retired.
fn make_key(sandbox: &Sandbox, name: &str, age: Duration) -> Card {
    let folder = sandbox.profile(name);
    let (_, secrets) = Keystore::open(&folder, Kind::Plain, PassphraseSource::None).unwrap();
    let secret = XWingSecret::generate(&mut rand_core::UnwrapErr(getrandom::SysRng));
    let (key, seed) = (secret.public_key().clone(), secret.seed());
    let now = u64::try_from(SystemClock.now()).unwrap();
    let created = now - u64::try_from(age.as_millis()).unwrap();
    let created = Timestamp::from_millis(created).unwrap();
    let statement = CardStatement {
        name,
        serial: created.as_millis(),
        created,
        expires: created.checked_add(30 * DAY).unwrap(),
        addresses: &[&sandbox.relay.url()],
    };
    let identity = secrets.unlock().unwrap().with_xwing(secret);
    let card = Card::sign(&identity, &key, &statement).unwrap();
    let seed: String = seed.iter().map(|byte| format!("{byte:02x}")).collect();
    let path = folder.join("keys.plain.json");
    let mut store: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let former = store["xwing"]["seed"].take();
    store["retired"] = json!([{"seed": former, "until": Timestamp::MAX.as_millis()}]);
    store["xwing"] = json!({"seed": seed, "card": card.to_text()});
    fs::write(path, store.to_string()).unwrap();
    card
}

#[test]
fn rotating_publishes_a_new_card_and_still_opens_what_was_sealed_to_the_old_one() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let old = card(&sandbox, "bob");
    sandbox.run("alice", &["send", "bob", "before"]).success();
    let rotated = sandbox.json("bob", &["rotate"]).remove(0);
    let new = card(&sandbox, "bob");
    assert!(new["serial"].as_u64() > old["serial"].as_u64());
    for member in ["serial", "created", "expires"] {
        assert_eq!(rotated[member], new[member]);
    }
    assert_eq!(
        [&rotated["published"], &rotated["destroyed"]],
        [&json!(true), &json!(0)]
    );
    assert_eq!(listed(&sandbox, "bob"), [text(&new["card"])]);
    let received = sandbox.json("bob", &["recv"]);
    assert_eq!(received[0]["payload"], "before");
    sandbox
        .run("bob", &["rotate"])
        .success()
        .stdout_eq(str![[r#"
serial     [..]
created    20[..]Z
expires    20[..]Z
published  yes
destroyed  0

"#]])
        .stderr_eq("");
}

#[test]
fn destroying_old_keys_takes_a_second_word_and_what_was_not_received() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    sandbox.run("alice", &["send", "bob", "secret"]).success();
    let before = card(&sandbox, "bob");
    for half in ["--destroy-old", "--now"] {
        sandbox.run("bob", &["rotate", half]).code(2);
    }
    assert_eq!(card(&sandbox, "bob"), before);
    let rotate = ["rotate", "--now", "--destroy-old", "--json"];
    let output = sandbox.run("bob", &rotate).success();
    assert!(stderr(&output).contains("cannot be opened any more"));
    let shown = crate::support::lines(&output).remove(0);
    assert_eq!(shown["destroyed"], 1);
    let output = sandbox.run("bob", &["recv"]).code(9);
    assert!(stderr(&output).contains("cannot-open"));
    let store = fs::read(sandbox.profile("bob").join("keys.plain.json")).unwrap();
    let store: Value = serde_json::from_slice(&store).unwrap();
    assert!(store.get("retired").is_none());
}

#[test]
fn a_relay_that_is_away_only_delays_publishing() {
    let mut sandbox = Sandbox::with(&["alice", "bob"]);
    let old = listed(&sandbox, "bob");
    sandbox.relay.stop();
    let output = sandbox.run("bob", &["rotate", "--json"]).success();
    assert!(stderr(&output).contains("could not be published"));
    let rotated = crate::support::lines(&output).remove(0);
    assert_eq!(rotated["published"], false);
    let output = sandbox.run("bob", &["send", "alice", "hi", "--json"]);
    assert!(stderr(&output).contains("trying again at the next use"));
    assert_eq!(error_lines(&output)[0]["class"], "relay-unreachable");
    sandbox.relay.restart();
    assert_eq!(listed(&sandbox, "bob"), old);
    sandbox
        .run("bob", &["send", "alice", "hi"])
        .success()
        .stderr_eq("pinned alice [..]\n");
    assert_eq!(
        listed(&sandbox, "bob"),
        [text(&card(&sandbox, "bob")["card"])]
    );
}

#[test]
fn without_a_relay_the_card_is_only_made() {
    let sandbox = Sandbox::new();
    let keygen = ["keygen", "--name", "alice", "--key-store", "plain"];
    sandbox.run("alice", &keygen).success();
    let output = sandbox.run("alice", &["rotate", "--json"]).success();
    let rotated = crate::support::lines(&output).remove(0);
    assert_eq!(rotated["published"], false);
    assert_eq!(stderr(&output), "");
    assert_eq!(card(&sandbox, "alice")["serial"], rotated["serial"]);
}

#[test]
fn a_key_is_replaced_on_use_when_it_is_seven_days_old() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let admin_key = sandbox.at("admin-key");
    let url = sandbox.relay.url();
    let uses: [&[&str]; 4] = [
        &["send", "alice", "hi"],
        &["recv"],
        &["card", "--publish"],
        &["register", "--relay", &url, "--admin-key", &admin_key],
    ];
    for use_ in uses {
        let old = make_key(&sandbox, "bob", 7 * DAY);
        sandbox.run("bob", use_).success();
        let new = card(&sandbox, "bob");
        assert!(new["serial"].as_u64() > Some(old.serial()), "{use_:?}");
        assert_eq!(listed(&sandbox, "bob"), [text(&new["card"])], "{use_:?}");
    }
    let young = make_key(&sandbox, "bob", 6 * DAY);
    sandbox.run("bob", &["recv"]).success();
    assert_eq!(listed(&sandbox, "bob"), [young.to_text()]);
}

#[test]
fn a_receiver_that_runs_on_replaces_its_key_and_opens_what_is_sealed_to_those_of_others() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let old = make_key(&sandbox, "bob", 7 * DAY);
    let follow = ["recv", "--follow", "--interval", "0.1", "--json"];
    let receiver = sandbox.start("bob", &follow);
    let send = |message: &str| {
        // Looks at the directory, and so takes over the newest card.
        sandbox.run("alice", &["contact", "add", "bob"]).success();
        sandbox.run("alice", &["send", "bob", message]).success();
        let line: Value = serde_json::from_str(&receiver.line()).unwrap();
        assert_eq!(line["payload"], message);
        let shown = sandbox.json("alice", &["contact", "show", "bob"]);
        shown[0]["cardExpires"].clone()
    };
    let first = send("one");
    assert!(card(&sandbox, "bob")["serial"].as_u64() > Some(old.serial()));
    sandbox.run("bob", &["rotate"]).success();
    assert_ne!(send("two"), first, "sealed to another key");
}
