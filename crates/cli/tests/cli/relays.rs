//! A profile with several relays: named, registered at, preferred, sent over and received from.

use ctalk_relay::testing::TestRelay;
use serde_json::{Value, json};

use crate::support::{ADMIN_KEY, Sandbox, stderr, text};

/// A sandbox whose agents are at its own relay and at a second one, and know each other by their cards.
struct Both {
    sandbox: Sandbox,
    second: TestRelay,
}

impl Both {
    fn with(names: &[&str]) -> Self {
        let sandbox = Sandbox::with(names);
        let second = TestRelay::builder().admin_key(ADMIN_KEY).start_blocking();
        let admin_key = sandbox.at("admin-key");
        for name in names {
            let add = ["relays", "add", &second.url(), "--as", "second"];
            sandbox.run(name, &add).success();
            let register = ["register", "--on", "second", "--admin-key", &admin_key];
            sandbox.run(name, &register).success();
        }
        for name in names {
            let card = text(&sandbox.json(name, &["card"])[0]["card"]).to_owned();
            for other in names.iter().filter(|other| *other != name) {
                sandbox.run(other, &["contact", "add", &card]).success();
            }
        }
        Self { sandbox, second }
    }

    fn send(&self, args: &[&str]) -> Value {
        let args = [&["send", "bob"], args].concat();
        self.sandbox.json("alice", &args).remove(0)
    }

    fn received(&self) -> Vec<String> {
        let lines = self.sandbox.json("bob", &["recv"]);
        lines
            .iter()
            .map(|line| text(&line["payload"]).to_owned())
            .collect()
    }
}

#[test]
fn relays_are_listed_with_what_waits_for_them() {
    let mut both = Both::with(&["alice", "bob"]);
    let (first, second) = (both.sandbox.relay.url(), both.second.url());
    both.second.stop();
    let queued = ["send", "bob", "hello", "--via", "second"];
    both.sandbox.run("alice", &queued).code(6);
    let listed = both.sandbox.json("alice", &["relays"]);
    assert_eq!(
        listed[0],
        json!({
            "name": "clawtalk", "kind": "clawtalk", "url": first, "address": null,
            "state": "registered", "queued": 0, "lastError": null,
        })
    );
    assert_eq!(
        (&listed[1]["name"], &listed[1]["url"]),
        (&json!("second"), &json!(second))
    );
    both.sandbox
        .run("alice", &["relays", "add", "opendialogue+wss://od.example"])
        .success();
    let table = both.sandbox.run("alice", &["relays"]).success();
    let table = String::from_utf8(table.get_output().stdout.clone()).unwrap();
    let named = table.lines().last().unwrap();
    assert!(
        named.contains("opendialogue+wss://od.example/connect"),
        "{named}"
    );
    assert!(named.contains("named"), "{named}");
}

#[test]
fn a_relay_that_is_named_is_sent_over_and_all_are_received_from() {
    let both = Both::with(&["alice", "bob"]);
    assert_eq!(both.send(&["1"])["via"], "clawtalk");
    assert_eq!(both.send(&["2", "--via", "second"])["via"], "second");
    assert_eq!(both.second.stored().len(), 1);
    let mut received = both.received();
    received.sort_unstable();
    assert_eq!(received, ["1", "2"]);
}

#[test]
fn what_goes_over_all_relays_is_received_once() {
    let both = Both::with(&["alice", "bob"]);
    assert_eq!(both.send(&["hello", "--via", "all"])["state"], "sent");
    assert_eq!(both.second.stored().len(), 1);
    assert_eq!(both.sandbox.relay.stored().len(), 1);
    assert_eq!(both.received(), ["hello"]);
    assert!(both.received().is_empty());
}

#[test]
fn when_the_first_relay_is_away_the_next_one_is_used() {
    let mut both = Both::with(&["alice", "bob"]);
    both.sandbox.relay.stop();
    assert_eq!(both.send(&["hello"])["via"], "second");
    assert_eq!(both.received(), ["hello"]);
    assert!(both.sandbox.json("alice", &["outbox", "list"]).is_empty());
}

#[test]
fn the_relay_that_is_preferred_stands_first_on_the_card() {
    let both = Both::with(&["alice", "bob"]);
    both.sandbox
        .run("bob", &["relays", "prefer", "second"])
        .success();
    let card = both.sandbox.json("bob", &["card"]).remove(0);
    let (first, second) = (both.sandbox.relay.url(), both.second.url());
    assert_eq!(card["addresses"], json!([second, first]));
    both.sandbox
        .run("alice", &["contact", "add", text(&card["card"])])
        .success();
    assert_eq!(both.send(&["hello"])["via"], "second");
}

#[test]
fn a_second_relay_of_a_kind_has_a_number() {
    let sandbox = Sandbox::with(&["alice"]);
    let add = ["relays", "add", "https://r.example"];
    assert_eq!(sandbox.json("alice", &add)[0]["name"], "clawtalk-2");
    assert_eq!(sandbox.json("alice", &add)[0]["name"], "clawtalk-2");
}

#[test]
fn a_relay_that_is_removed_is_used_no_more() {
    let both = Both::with(&["alice", "bob"]);
    both.sandbox
        .run("alice", &["relays", "remove", "second"])
        .success();
    let output = both
        .sandbox
        .run("alice", &["relays", "remove", "second"])
        .code(2);
    assert!(stderr(&output).contains("ctalk relays"));
    assert_eq!(both.sandbox.json("alice", &["relays"]).len(), 1);
}

#[test]
fn names_and_addresses_that_make_no_sense_are_refused() {
    let sandbox = Sandbox::with(&["alice"]);
    for args in [
        &["relays", "add", "ftp://r.example"][..],
        &["relays", "add", "openclaw+ws://127.0.0.1:18789"],
        &["relays", "add", "https://r.example", "--as", "all"],
        &["relays", "prefer", "nobody"],
        &["register", "--on", "nobody"],
        &["send", "bob", "hello", "--via", "nobody"],
        &["send", "bob", "hello", "--relay", "nobody"],
    ] {
        sandbox.run("alice", args).code(2);
    }
}

#[test]
fn a_relay_of_an_earlier_version_is_the_first_one() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let url = sandbox.relay.url();
    let settings = format!("name = \"alice\"\nkey-store = \"plain\"\nrelay = \"{url}\"\n");
    std::fs::write(sandbox.profile("alice").join("profile.toml"), settings).unwrap();
    sandbox.run("alice", &["send", "bob", "hello"]).success();
    assert_eq!(sandbox.json("alice", &["relays"])[0]["name"], "clawtalk");
}
