//! What a relay for tests does wrongly when told to.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::TcpStream;

use ctalk_relay::testing::{FaultCounts, Faults, TestRelay};
use serde_json::{Value, json};

use crate::support::{Api, message, register, text};

const SEALED: &str = "ctalk1.c2VhbGVkIGJ5dGVzIHRoYXQgbm9ib2R5IGhlcmUgY2FuIG9wZW4";

/// Two agents at a relay that does nothing wrong yet.
struct Scene {
    relay: TestRelay,
    api: Api,
    alice: String,
    bob: String,
}

impl Scene {
    async fn start() -> Self {
        let relay = TestRelay::start().await;
        Self {
            api: Api::of(&relay),
            alice: register(&relay, "alice"),
            bob: register(&relay, "bob"),
            relay,
        }
    }

    /// Sends a sealed message, whose number is its topic; `None` when no answer came.
    async fn send(&self, number: usize) -> Option<u16> {
        let mut body = message("bob", json!(SEALED));
        body["encrypted"] = json!(true);
        body["topic"] = json!(number.to_string());
        let header = format!("Bearer {}", self.alice);
        let body = Some(body.to_string());
        let answer = self
            .api
            .try_call("POST", "/messages", Some(&header), body)
            .await;
        answer.ok().map(|answer| answer.status)
    }

    async fn send_all(&self, count: usize) -> Vec<Option<u16>> {
        let mut answers = Vec::new();
        for number in 0..count {
            answers.push(self.send(number).await);
        }
        answers
    }

    async fn look(&self) -> Vec<Value> {
        let path = "/messages?sort=asc&limit=100";
        self.api.messages(path, &self.bob).await
    }

    fn stored(&self) -> Vec<Value> {
        let stored = self.relay.stored();
        let parsed = stored
            .iter()
            .map(|json| serde_json::from_str(json).unwrap());
        parsed.collect()
    }
}

fn topics(messages: &[Value]) -> Vec<String> {
    messages.iter().map(|each| text(&each["topic"])).collect()
}

#[tokio::test]
async fn a_dropped_request_was_carried_out_in_the_one_half_and_not_in_the_other() {
    let scene = Scene::start().await;
    scene.relay.fail(Faults {
        seed: 1,
        drop: 1.0,
        ..Faults::default()
    });
    assert_eq!(scene.send_all(50).await, [None; 50]);
    let stored = scene.stored().len();
    let counts = scene.relay.fault_counts();
    assert_eq!(counts.lost_answers, u64::try_from(stored).unwrap());
    assert_eq!(counts.lost_requests + counts.lost_answers, 50);
    assert!((10..=40).contains(&stored), "{stored}");
}

#[tokio::test]
async fn a_dropped_answer_ends_its_connection_before_the_first_byte() {
    let scene = Scene::start().await;
    scene.relay.fail(Faults {
        drop: 1.0,
        ..Faults::default()
    });
    let address = scene.relay.url().replace("http://", "");
    for _ in 0..8 {
        let mut connection = TcpStream::connect(&address).unwrap();
        connection
            .write_all(b"GET /health HTTP/1.1\r\nHost: relay\r\n\r\n")
            .unwrap();
        let mut answer = Vec::new();
        // An error is as good an end.
        let _ = connection.read_to_end(&mut answer);
        assert_eq!(answer, b"");
    }
    assert_ne!(scene.relay.fault_counts().lost_answers, 0);
}

#[tokio::test]
async fn a_damaged_copy_differs_in_one_character_and_comes_before_or_after_the_true_one() {
    let scene = Scene::start().await;
    scene.relay.fail(Faults {
        corrupt: 1.0,
        ..Faults::default()
    });
    assert_eq!(scene.send_all(20).await, [Some(201); 20]);
    let stored = scene.stored();
    assert_eq!(stored.len(), 40);
    let mut came_first = HashSet::new();
    for (number, pair) in stored.chunks(2).enumerate() {
        assert_eq!(topics(pair), [number.to_string(), number.to_string()]);
        let is_true = |copy: &Value| copy["payload"] == SEALED;
        assert_ne!(is_true(&pair[0]), is_true(&pair[1]));
        came_first.insert(is_true(&pair[0]));
        let damaged = if is_true(&pair[0]) {
            &pair[1]
        } else {
            &pair[0]
        };
        let damaged = damaged["payload"].as_str().unwrap().bytes();
        assert_eq!(damaged.len(), SEALED.len());
        let changed = damaged.zip(SEALED.bytes()).filter(|(one, two)| one != two);
        assert_eq!(changed.count(), 1);
    }
    assert_eq!(came_first.len(), 2);
    assert_eq!(scene.relay.fault_counts().corrupted, 20);
}

#[tokio::test]
async fn a_message_that_is_not_encrypted_is_not_damaged() {
    let scene = Scene::start().await;
    scene.relay.fail(Faults {
        corrupt: 1.0,
        ..Faults::default()
    });
    scene.api.send(&scene.alice, "bob", json!("plain")).await;
    assert_eq!(scene.stored().len(), 1);
}

#[tokio::test]
async fn a_swallowed_message_is_answered_like_any_other_and_not_stored() {
    let scene = Scene::start().await;
    scene.relay.fail(Faults {
        swallow: 1.0,
        ..Faults::default()
    });
    let (id, ts) = scene.api.send(&scene.alice, "bob", json!(1)).await;
    assert_eq!((id.len(), ts.len()), (36, 24));
    assert!(scene.stored().is_empty());
    assert_eq!(scene.relay.fault_counts().swallowed, 1);
}

#[tokio::test]
async fn a_duplicate_is_the_same_message_under_another_id() {
    let scene = Scene::start().await;
    scene.relay.fail(Faults {
        duplicate: 1.0,
        ..Faults::default()
    });
    scene.send(0).await;
    let stored = scene.stored();
    assert_eq!(stored.len(), 2);
    assert_ne!(stored[0]["id"], stored[1]["id"]);
    assert_eq!(stored[0]["payload"], stored[1]["payload"]);
    assert_eq!(scene.relay.fault_counts().duplicated, 1);
}

#[tokio::test]
async fn a_delayed_message_is_found_by_a_later_look() {
    let scene = Scene::start().await;
    scene.relay.fail(Faults {
        delay: 1.0,
        ..Faults::default()
    });
    scene.send_all(20).await;
    let mut found = Vec::new();
    for _ in 0..9 {
        found.push(scene.look().await.len());
    }
    assert_eq!((found[0], found[8]), (0, 20));
    assert!(found.is_sorted() && found[4] > 0, "{found:?}");
    assert_eq!(scene.relay.fault_counts().delayed, 20);
}

#[tokio::test]
async fn a_reordered_look_finds_the_same_messages_with_rising_times() {
    let scene = Scene::start().await;
    scene.send_all(20).await;
    let before = scene.look().await;
    scene.relay.fail(Faults {
        reorder: 1.0,
        ..Faults::default()
    });
    let after = scene.look().await;
    let times =
        |messages: &[Value]| -> Vec<_> { messages.iter().map(|each| text(&each["ts"])).collect() };
    assert_eq!(times(&before), times(&after));
    assert_ne!(topics(&before), topics(&after));
    let sorted = |messages: &[Value]| {
        let mut topics = topics(messages);
        topics.sort();
        topics
    };
    assert_eq!(sorted(&before), sorted(&after));
    assert_eq!(scene.relay.fault_counts().reordered, 1);
}

/// What becomes of 60 sends, with looks of the recipient among them or after them.
async fn fates(seed: u64, looks_between: bool) -> (Vec<Option<u16>>, FaultCounts) {
    let scene = Scene::start().await;
    scene.relay.fail(Faults {
        seed,
        drop: 0.3,
        corrupt: 0.3,
        swallow: 0.3,
        duplicate: 0.3,
        ..Faults::default()
    });
    let mut answers = Vec::new();
    for number in 0..60 {
        answers.push(scene.send(number).await);
        if looks_between {
            let header = format!("Bearer {}", scene.bob);
            // It may be dropped, too.
            let _ = scene
                .api
                .try_call("GET", "/messages", Some(&header), None)
                .await;
        }
    }
    let mut counts = scene.relay.fault_counts();
    // The looks' own are among these.
    (counts.lost_requests, counts.lost_answers) = (0, 0);
    (answers, counts)
}

#[tokio::test]
async fn a_seed_gives_an_agents_sends_the_same_faults_whatever_others_do_meanwhile() {
    let first = fates(7, false).await;
    assert_eq!(first, fates(7, true).await);
    assert_ne!(first, fates(8, false).await);
}

#[tokio::test]
async fn a_relay_does_nothing_wrong_before_it_is_told_to() {
    let scene = Scene::start().await;
    assert_eq!(scene.send_all(20).await, [Some(201); 20]);
    assert_eq!(scene.look().await.len(), 20);
    assert_eq!(scene.relay.fault_counts(), FaultCounts::default());
}
