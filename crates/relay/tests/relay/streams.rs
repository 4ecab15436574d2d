//! `GET /messages/stream`.

use std::time::Duration;

use ctalk_relay::ManualClock;
use ctalk_relay::testing::TestRelay;
use reqwest::Response;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::{Api, SOON, register, text, until_waiting};

/// A stream as a client reads it.
struct Events {
    response: Response,
    buffer: String,
}

impl Events {
    async fn open(api: &Api, query: &str, key: &str, last: Option<&str>) -> Self {
        let response = api.stream(query, key, last).await;
        assert_eq!(response.status(), 200);
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("content-type"), "text/event-stream");
        assert_eq!(header("access-control-allow-origin"), "*");
        assert!(header("cache-control").contains("no-store"));
        let mut events = Self {
            response,
            buffer: String::new(),
        };
        assert_eq!(
            events.block().await.unwrap(),
            ":",
            "it says at once that it is open"
        );
        events
    }

    /// What stands before the next empty line; `None` at the stream's end.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.buffer.split_once("\n\n") {
                let block = block.to_owned();
                self.buffer = rest.to_owned();
                return Some(block);
            }
            let chunk = timeout(SOON, self.response.chunk()).await.unwrap();
            let chunk = chunk.unwrap()?;
            self.buffer.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next message and its event's id.
    async fn next(&mut self) -> (String, Value) {
        loop {
            let block = self.block().await.unwrap();
            if block == ":" {
                continue;
            }
            let (id, data) = block.split_once('\n').unwrap();
            let id = id.strip_prefix("id: ").unwrap();
            let data = data.strip_prefix("data: ").unwrap();
            assert!(!data.contains(['\n', '\r']), "one line of data");
            let message: Value = serde_json::from_str(data).unwrap();
            assert_eq!(message["ts"], id);
            return (id.to_owned(), message);
        }
    }

    async fn payload(&mut self) -> Value {
        self.next().await.1["payload"].clone()
    }
}

#[tokio::test]
async fn a_stream_brings_what_is_stored_and_then_each_message_as_it_is_committed() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let (alice, bob) = (register(&relay, "alice"), register(&relay, "bob"));
    // More than is read at a time.
    for number in 0..70 {
        api.send(&bob, "alice", json!(number)).await;
    }
    let mut events = Events::open(&api, "", &alice, None).await;
    for number in 0..70 {
        assert_eq!(events.payload().await, number);
    }
    for number in 70..80 {
        api.send(&alice, "bob", json!("for somebody else")).await;
        let (id, ts) = api.send(&bob, "alice", json!(number)).await;
        let (event, message) = events.next().await;
        assert_eq!((&message["id"], &event), (&json!(id), &ts));
        let page = api.messages("/messages?limit=1", &alice).await;
        assert_eq!(message, page[0], "the same envelope as in the inbox");
    }
}

#[tokio::test]
async fn a_stream_resumes_after_the_last_event_and_leaves_out_what_was_deleted() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    let mut sent = Vec::new();
    for number in 0..5 {
        sent.push(api.send(&alice, "alice", json!(number)).await);
    }
    let gone = api
        .delete(&format!("/messages/{}", sent[3].0), &alice)
        .await;
    assert_eq!(gone.status, 204);
    let after = |number: usize| format!("?after={}", sent[number].1);
    for (query, last, first) in [
        (String::new(), Some(sent[2].1.as_str()), 4),
        (after(1), None, 2),
        // The header of a reconnecting client is newer than the URL it began with.
        (after(0), Some(&sent[3].1), 4),
        (after(1), Some("junk"), 2),
        ("?after=junk".to_owned(), None, 0),
    ] {
        let mut events = Events::open(&api, &query, &alice, last).await;
        assert_eq!(events.payload().await, first, "{query} {last:?}");
    }
}

#[tokio::test]
async fn a_stream_shows_one_topic_when_asked_and_keeps_line_breaks_out_of_its_lines() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    let mut events = Events::open(&api, "?topic=b", &alice, None).await;
    for topic in ["a", "b"] {
        let body = format!(
            "{{\"to\":\"alice\",\"type\":\"request\",\"encrypted\":false,\"topic\":\"{topic}\",
              \"payload\":{{\r\n\"x\":\r[\n\n1, \"\\n\"]}}}}"
        );
        api.call("POST", "/messages", Some(&alice), Some(body))
            .await
            .ok(201);
    }
    let (_, message) = events.next().await;
    assert_eq!(message["topic"], "b");
    assert_eq!(message["payload"], json!({"x": [1, "\n"]}));
}

#[tokio::test]
async fn a_silent_stream_has_heartbeats_and_its_agent_is_online() {
    const NOON: i64 = 1_774_094_400_000;
    let clock = ManualClock::new(NOON);
    let relay = TestRelay::builder()
        .clock(clock.clone())
        .heartbeat(Duration::from_millis(1))
        .start()
        .await;
    let api = Api::of(&relay);
    let (alice, bob) = (register(&relay, "alice"), register(&relay, "bob"));
    let mut events = Events::open(&api, "", &alice, None).await;
    clock.advance(Duration::from_secs(3600));
    for _ in 0..20 {
        assert_eq!(events.block().await.unwrap(), ":");
    }
    let seen = api.agent(&bob, "alice").await;
    assert_eq!(seen["online"], true);
    assert_eq!(text(&seen["lastSeen"]), "2026-03-21T13:00:00.000Z");
}

#[tokio::test]
async fn a_reader_that_does_not_read_loses_nothing_and_is_not_written_for() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    let mut events = Events::open(&api, "", &alice, None).await;
    // Far more than the sockets in between hold.
    let filling = "x".repeat(60_000);
    for number in 0..300 {
        api.send(&alice, "alice", json!([number, filling])).await;
    }
    for number in 0..300 {
        assert_eq!(events.payload().await[0], number);
    }
}

#[tokio::test]
async fn streams_take_places_and_free_them_when_their_reader_goes_away() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    let mut streams = Vec::new();
    for _ in 0..16 {
        streams.push(Events::open(&api, "", &alice, None).await);
    }
    let refused = api.stream("", &alice, None).await;
    assert_eq!(refused.status(), 429);
    drop(streams);
    until_waiting(&relay, "alice", 0).await;
}

#[tokio::test]
async fn a_stream_ends_with_its_agent_and_with_the_relay() {
    let mut relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let (alice, bob) = (register(&relay, "alice"), register(&relay, "bob"));
    let mut events = Events::open(&api, "", &alice, None).await;
    let mut others = Events::open(&api, "", &bob, None).await;
    api.delete("/agents/alice", &alice).await.ok(200);
    assert_eq!(events.block().await, None);
    api.send(&bob, "bob", json!(1)).await;
    let (id, _) = others.next().await;
    relay.restart();
    let mut others = Events::open(&Api::of(&relay), "", &bob, Some(&id)).await;
    api.send(&bob, "bob", json!(2)).await;
    assert_eq!(others.payload().await, 2);
}

/// The next message of a stream that has no ids, as the operator's.
async fn next_without_id(events: &mut Events) -> Value {
    let message = async {
        loop {
            let block = events.block().await.unwrap();
            if block != ":" {
                return serde_json::from_str(block.strip_prefix("data: ").unwrap()).unwrap();
            }
        }
    };
    // Heartbeats are no messages.
    timeout(SOON, message).await.unwrap()
}

#[tokio::test]
async fn the_operators_stream_brings_every_copy_that_is_stored_from_then_on() {
    let clock = ManualClock::new(1_774_094_400_000);
    let relay = TestRelay::builder().clock(clock).start().await;
    let api = Api::of(&relay);
    let (alice, bob) = (register(&relay, "alice"), register(&relay, "bob"));
    for number in 0..5 {
        // With each, the times in this inbox run further ahead of the clock.
        api.send(&bob, "alice", json!(number)).await;
    }
    let mut events = Events::open(&api, "", relay.admin_key(), None).await;
    for number in 5..8 {
        api.send(&bob, "alice", json!(number)).await;
        let event = next_without_id(&mut events).await;
        let log = api.messages("/messages?limit=1", relay.admin_key()).await;
        assert_eq!(event, log[0], "the same as in the operator's view");
        // Its time is before that of the one before it.
        let (id, _) = api.send(&alice, "bob", json!("earlier")).await;
        assert_eq!(next_without_id(&mut events).await["id"], id);
        // No message takes the place of a deleted one.
        let gone = api.delete(&format!("/messages/{id}"), &bob).await;
        assert_eq!(gone.status, 204);
    }
    let mut names: Vec<_> = (10..60).map(|number| format!("agent-{number}")).collect();
    for name in &names {
        register(&relay, name);
    }
    names.extend(["bob".to_owned()]);
    // More copies than are read at a time.
    let (id, _) = api.send(&alice, "broadcast", json!("all")).await;
    let mut got = Vec::new();
    for _ in &names {
        let event = next_without_id(&mut events).await;
        assert_eq!(event["id"], id);
        got.push(text(&event["to"]));
    }
    got.sort();
    assert_eq!(got, names);
    relay.inject("alice", "{\"id\":\"raw\"}");
    assert_eq!(next_without_id(&mut events).await["id"], "raw");
}

#[tokio::test]
async fn the_operator_has_no_stream_where_its_view_is_switched_off() {
    let relay = TestRelay::builder().admin_view(false).start().await;
    let api = Api::of(&relay);
    let refused = api.stream("", relay.admin_key(), None).await;
    assert_eq!(refused.status(), 403);
    let alice = register(&relay, "alice");
    Events::open(&api, "", &alice, None).await;
}

#[tokio::test]
async fn the_operators_streams_take_places_of_their_own() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    let mut streams = Vec::new();
    for _ in 0..16 {
        streams.push(Events::open(&api, "", relay.admin_key(), None).await);
    }
    let refused = api.stream("", relay.admin_key(), None).await;
    assert_eq!(refused.status(), 429);
    assert_eq!(relay.waiting("alice"), 0);
    Events::open(&api, "", &alice, None).await;
}
