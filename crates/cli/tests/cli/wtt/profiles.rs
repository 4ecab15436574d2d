//! Profiles that are registered at a WTT service.

use serde_json::Value;
use snapbox::{assert_data_eq, str};
use tokio::runtime::Runtime;

use super::stand_in::StandIn;
use crate::support::{Sandbox, error_lines, stderr, text};

/// Agents that know each other's cards.
struct Registered {
    sandbox: Sandbox,
    service: StandIn,
    /// Where the service runs.
    _runtime: Runtime,
}

impl Registered {
    fn with(names: &[&str]) -> Self {
        let runtime = Runtime::new().unwrap();
        let service = runtime.block_on(StandIn::start());
        let sandbox = Sandbox::new();
        for name in names {
            let keygen = ["keygen", "--name", name, "--key-store", "plain"];
            sandbox.run(name, &keygen).success();
            sandbox
                .run(name, &["register", "--relay", &service.url()])
                .success();
        }
        for one in names {
            for other in names.iter().filter(|other| *other != one) {
                let card = sandbox.json(other, &["card"]).remove(0);
                sandbox
                    .run(one, &["contact", "add", text(&card["card"])])
                    .success();
            }
        }
        Self {
            sandbox,
            service,
            _runtime: runtime,
        }
    }

    fn json(&self, name: &str, args: &[&str]) -> Vec<Value> {
        self.sandbox.json(name, args)
    }
}

#[test]
fn messages_and_topics_go_over_one_service() {
    let place = Registered::with(&["alice", "bob"]);
    let sandbox = &place.sandbox;
    sandbox.run("alice", &["send", "bob", "hello"]).success();
    let received = place.json("bob", &["recv"]).remove(0);
    assert_eq!(
        (text(&received["from"]), text(&received["payload"])),
        ("alice", "hello")
    );

    let topic = place.json("alice", &["wtt", "create", "gold"]).remove(0);
    let topic = text(&topic["id"]).to_owned();
    sandbox.run("bob", &["wtt", "join", &topic]).success();
    let published = place
        .json("alice", &["wtt", "publish", &topic, "to all"])
        .remove(0);
    assert_eq!(published["readers"], serde_json::json!(["bob"]));
    assert_eq!(published["leftOut"], serde_json::json!([]));
    let received = place.json("bob", &["recv"]).remove(0);
    assert_eq!(
        (text(&received["id"]), text(&received["payload"])),
        (text(&published["id"]), "to all")
    );
    assert_eq!(received["topic"], *topic);

    let history = sandbox.run("bob", &["wtt", "history", &topic]).success();
    let shown = String::from_utf8(history.get_output().stdout.clone()).unwrap();
    assert_data_eq!(
        shown,
        str![[r#"
2026-01-02T03:[..]Z  alice (sealed)  to all

"#]]
    );
    // Whoever sealed it has not sealed it for itself.
    let history = place.json("alice", &["wtt", "history", &topic]).remove(0);
    assert_eq!(
        (&history["text"], &history["by"]),
        (&Value::Null, &Value::Null)
    );
}

#[test]
fn a_topic_that_nobody_could_read_gets_nothing() {
    let place = Registered::with(&["alice"]);
    let topic = place.json("alice", &["wtt", "create", "gold"]).remove(0);
    let publish = ["wtt", "publish", text(&topic["id"]), "secret"];
    let refused = place.sandbox.run("alice", &publish).code(5);
    assert!(
        stderr(&refused).contains("key card"),
        "{}",
        stderr(&refused)
    );
    assert!(place.service.calls("POST /messages").is_empty());
    let posts = place.service.service();
    assert!(posts.topics.iter().all(|topic| {
        topic
            .messages
            .iter()
            .all(|message| !text(&message["content"]).contains("secret"))
    }));
}

#[test]
fn cards_are_found_by_an_agents_id_and_pinned_by_nobody() {
    let place = Registered::with(&["alice", "bob"]);
    let card = place.json("alice", &["card"]).remove(0);
    let alice = place.json("alice", &["wtt", "whoami"]).remove(0);
    let shown = place
        .sandbox
        .run("bob", &["wtt", "cards", text(&alice["agent"])])
        .success();
    let cards = String::from_utf8(shown.get_output().stdout.clone()).unwrap();
    assert_eq!(cards.trim_end(), text(&card["card"]));
    assert!(stderr(&shown).contains("compare"), "{}", stderr(&shown));
}

#[test]
fn a_wrong_token_says_so() {
    let place = Registered::with(&["alice"]);
    for agent in place.service.service().agents.values_mut() {
        agent.token = "another".to_owned();
    }
    let refused = place.sandbox.run("alice", &["recv", "--json"]).code(7);
    assert_eq!(error_lines(&refused)[0]["class"], "relay-refused");
}
