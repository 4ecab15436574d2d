//! Long polls.

use std::time::Duration;

use ctalk_relay::testing::TestRelay;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::support::{Answer, Api, SOON, register, until_waiting};

/// A request in the background.
fn start(api: &Api, path: &str, key: &str) -> JoinHandle<Answer> {
    let (api, path, key) = (api.clone(), path.to_owned(), key.to_owned());
    tokio::spawn(async move { api.get(&path, &key).await })
}

#[track_caller]
fn payloads(page: &Value) -> Vec<Value> {
    let messages = page["messages"].as_array().unwrap().iter();
    messages.map(|each| each["payload"].clone()).collect()
}

#[tokio::test]
async fn a_long_poll_answers_at_once_when_there_is_something() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    let (_, ts) = api.send(&alice, "alice", json!(1)).await;
    let page = timeout(SOON, api.get("/messages?wait=60", &alice)).await;
    assert_eq!(payloads(&page.unwrap().ok(200)), [json!(1)]);
    // What asks for no wait, or for no message, gets none, whatever there is.
    for query in ["", "wait=0", "wait=-1", "wait=soon", "wait=60&limit=0"] {
        let path = format!("/messages?after={ts}&{query}");
        let page = timeout(SOON, api.get(&path, &alice)).await.unwrap();
        assert_eq!(page.ok(200), json!({"messages": [], "count": 0}), "{query}");
    }
}

#[tokio::test]
async fn a_long_poll_waits_for_the_next_message_that_it_asks_for() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let (alice, bob) = (register(&relay, "alice"), register(&relay, "bob"));
    let (_, ts) = api.send(&bob, "alice", json!("before")).await;
    // More than any wait is cut, not refused.
    let path = format!("/messages?wait=99999&after={ts}&topic=wanted");
    let poll = start(&api, &path, &alice);
    until_waiting(&relay, "alice", 1).await;
    api.send(&bob, "alice", json!("of no topic")).await;
    api.send(&alice, "bob", json!("for somebody else")).await;
    let about = |topic: &str| {
        json!({
            "to": ["alice", "bob"], "type": "request", "encrypted": false,
            "payload": topic, "topic": topic,
        })
    };
    api.post("/messages", &bob, about("other")).await.ok(201);
    assert_eq!(relay.waiting("alice"), 1, "it waits on");
    api.post("/messages", &bob, about("wanted")).await.ok(201);
    let page = timeout(SOON, poll).await.unwrap().unwrap().ok(200);
    assert_eq!(payloads(&page), [json!("wanted")]);
    assert_eq!(page["count"], 1);
    until_waiting(&relay, "alice", 0).await;
}

#[tokio::test]
async fn a_long_poll_that_nothing_comes_to_ends_with_an_empty_page_when_its_time_is_up() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    let began = Instant::now();
    let page = api.get("/messages?wait=1", &alice).await.ok(200);
    assert_eq!(page, json!({"messages": [], "count": 0}));
    assert!(began.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn the_seventeenth_request_that_waits_is_429_and_a_peer_that_goes_away_frees_its_place() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let (alice, bob) = (register(&relay, "alice"), register(&relay, "bob"));
    let mut polls: Vec<_> = (0..16)
        .map(|_| start(&api, "/messages?wait=60", &alice))
        .collect();
    until_waiting(&relay, "alice", 16).await;
    let refused = api.get("/messages?wait=60", &alice).await;
    refused.error(429, "RATE_LIMITED");
    // Who does not wait needs no place, and others have their own.
    api.get("/messages", &alice).await.ok(200);
    let other = start(&api, "/messages?wait=60", &bob);
    until_waiting(&relay, "bob", 1).await;
    for poll in polls.drain(..8) {
        poll.abort();
    }
    until_waiting(&relay, "alice", 8).await;
    api.send(&bob, "alice", json!(1)).await;
    for poll in polls {
        let page = timeout(SOON, poll).await.unwrap().unwrap().ok(200);
        assert_eq!(payloads(&page), [json!(1)]);
    }
    other.abort();
}

#[tokio::test]
async fn a_wait_ends_with_the_agent() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    let poll = start(&api, "/messages?wait=60", &alice);
    until_waiting(&relay, "alice", 1).await;
    api.delete("/agents/alice", &alice).await.ok(200);
    let answer = timeout(SOON, poll).await.unwrap().unwrap();
    answer.error(401, "UNAUTHORIZED");
}
