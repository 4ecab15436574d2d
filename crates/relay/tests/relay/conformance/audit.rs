//! Items 39 to 42.

use std::time::Duration;

use ctalk_relay::testing::TestRelay;
use ctalk_relay::{Audit, ManualClock};
use serde_json::{Value, json};

use crate::support::{Api, message, register, text};

const NOON: i64 = 1_774_094_400_000;

fn entry(id: &str, ts: &str) -> Value {
    json!({
        "messageId": id, "direction": "sent", "from": "alice", "to": "bob",
        "payload": {"text": "hi"}, "ts": ts,
    })
}

/// `entry` with one member changed, or without it.
fn with(mut entry: Value, name: &str, value: Option<Value>) -> Value {
    let members = entry.as_object_mut().unwrap();
    match value {
        Some(value) => members.insert(name.to_owned(), value),
        None => members.remove(name),
    };
    entry
}

async fn entries(api: &Api, relay: &TestRelay, query: &str) -> Vec<Value> {
    let page = api.get(&format!("/audit{query}"), relay.admin_key()).await;
    page.ok(200)["entries"].as_array().unwrap().clone()
}

async fn ids(api: &Api, relay: &TestRelay, query: &str) -> Vec<String> {
    let entries = entries(api, relay, query).await;
    entries
        .iter()
        .map(|entry| text(&entry["messageId"]))
        .collect()
}

async fn auditing(clock: &ManualClock) -> TestRelay {
    let relay = TestRelay::builder().audit(Audit::Posted);
    relay.clock(clock.clone()).start().await
}

#[tokio::test]
async fn item_39_entries_are_checked_attributed_and_replaced() {
    let relay = auditing(&ManualClock::new(NOON)).await;
    let api = Api::of(&relay);
    let (alice, bob) = (register(&relay, "alice"), register(&relay, "bob"));
    let good = entry("m1", "2026-03-21T11:00:00.000Z");
    for name in ["messageId", "direction", "from", "to", "payload", "ts"] {
        let empty = [None, Some(json!("")), Some(Value::Null)];
        for value in empty {
            let body = with(good.clone(), name, value);
            let refused = api.post("/audit", &alice, body).await;
            refused.error(400, "BAD_REQUEST");
        }
    }
    for (name, value) in [
        ("payload", json!(0)),
        ("payload", json!(-0.0)),
        ("payload", json!(false)),
        ("direction", json!("Sent")),
        ("direction", json!(5)),
        ("messageId", json!(5)),
        ("to", json!(["bob"])),
        ("ts", json!("x".repeat(257))),
        ("topic", json!(5)),
    ] {
        let body = with(good.clone(), name, Some(value));
        let refused = api.post("/audit", &alice, body).await;
        refused.error(400, "BAD_REQUEST");
    }
    for body in ["junk", "null", "[]", ""] {
        let refused = api
            .call("POST", "/audit", Some(&alice), Some(body.to_owned()))
            .await;
        refused.error(400, "BAD_REQUEST");
    }
    let padding = 65_536
        - with(good.clone(), "payload", Some(json!("x")))
            .to_string()
            .len();
    let longest = with(
        good.clone(),
        "payload",
        Some(json!("x".repeat(padding + 1))),
    );
    let longer = with(
        good.clone(),
        "payload",
        Some(json!("x".repeat(padding + 2))),
    );
    assert_eq!(longest.to_string().len(), 65_536);
    api.post("/audit", &alice, longest).await.ok(201);
    for body in [longer.to_string(), "x".repeat(65_537)] {
        let refused = api.call("POST", "/audit", Some(&alice), Some(body)).await;
        refused.error(400, "PAYLOAD_TOO_LARGE");
    }

    let full = with(good.clone(), "topic", Some(json!("t")));
    let full = with(full, "correlationId", Some(json!("c")));
    let full = with(full, "loggedBy", Some(json!("bob")));
    let posted = api.post("/audit", &alice, full.clone()).await;
    assert_eq!(posted.ok(201), json!({"ok": true}));
    let listed = entries(&api, &relay, "").await;
    let expected = with(full, "loggedBy", Some(json!("alice")));
    // Later than the entry that it replaces, so that whoever reads on sees it.
    let expected = with(
        expected,
        "loggedAt",
        Some(json!("2026-03-21T12:00:00.001Z")),
    );
    assert_eq!(listed, [expected]);

    // Nobody changes what another has logged.
    api.post("/audit", &bob, good.clone()).await.ok(201);
    let received = with(good, "direction", Some(json!("received")));
    api.post("/audit", &alice, received).await.ok(201);
    let later = entry("m1", "2026-03-21T11:00:00.001Z");
    api.post("/audit", &alice, later).await.ok(201);
    let by: Vec<_> = entries(&api, &relay, "").await;
    let by: Vec<_> = by.iter().map(|entry| text(&entry["loggedBy"])).collect();
    assert_eq!(by, ["alice", "bob", "alice", "alice"]);
}

#[tokio::test]
async fn item_40_entries_are_listed_oldest_first_within_limits_and_filters() {
    let clock = ManualClock::new(NOON);
    let relay = auditing(&clock).await;
    let api = Api::of(&relay);
    let (alice, admin) = (register(&relay, "alice"), relay.admin_key());
    let empty = api.get("/audit", admin).await.ok(200);
    assert_eq!(empty, json!({"entries": []}));
    // Their own times fall while they are logged one after the other.
    for number in 0..210 {
        let ts = format!(
            "2026-03-21T10:{:02}:{:02}.000Z",
            59 - number / 60,
            59 - number % 60
        );
        let mut body = entry(&format!("m{number}"), &ts);
        if number % 2 == 1 {
            body = with(body, "topic", Some(json!("odd")));
        }
        if number == 7 {
            body = with(body, "from", Some(json!("Alice")));
            body = with(body, "to", Some(json!("carol")));
        }
        api.post("/audit", &alice, body).await.ok(201);
    }
    let named = |numbers: &mut dyn Iterator<Item = u32>| -> Vec<String> {
        numbers.map(|number| format!("m{number}")).collect()
    };
    assert_eq!(ids(&api, &relay, "").await, named(&mut (0..50)));
    for (query, count) in [
        ("?limit=3", 3),
        ("?limit=200", 200),
        ("?limit=1000", 200),
        ("?limit=0", 0),
        ("?limit=-1", 0),
        ("?limit=many", 50),
        ("?from=&to=&topic=&since=", 50),
    ] {
        assert_eq!(ids(&api, &relay, query).await.len(), count, "{query}");
    }
    let odd = ids(&api, &relay, "?topic=odd&limit=3").await;
    assert_eq!(odd, ["m1", "m3", "m5"]);
    for query in ["?from=Alice", "?to=carol", "?from=Alice&to=carol&topic=odd"] {
        assert_eq!(ids(&api, &relay, query).await, ["m7"], "{query}");
    }
    for query in ["?topic=ODD", "?to=Carol", "?from=Alice&to=bob"] {
        assert!(ids(&api, &relay, query).await.is_empty(), "{query}");
    }
    let since = ids(&api, &relay, "?since=2026-03-21T10:59:57.000Z").await;
    assert_eq!(since, ["m0", "m1"], "strictly, by the entry's own time");
    assert_eq!(ids(&api, &relay, "?since=yesterday").await.len(), 50);
    // The cursor is when the last entry was logged, and `after` goes on there.
    let page = api.get("/audit?limit=2", admin).await.ok(200);
    assert_eq!(page["cursor"], page["entries"][1]["loggedAt"]);
    let mut seen = Vec::new();
    let mut query = "?limit=100".to_owned();
    loop {
        let page = api.get(&format!("/audit{query}"), admin).await.ok(200);
        let entries = page["entries"].as_array().unwrap();
        seen.extend(entries.iter().map(|entry| text(&entry["messageId"])));
        let Some(cursor) = page["cursor"].as_str() else {
            break;
        };
        query = format!("?limit=100&after={cursor}");
    }
    assert_eq!(seen, named(&mut (0..210)));
    // Thirty days later it is gone.
    clock.advance(Duration::from_secs(30 * 86_400 - 1));
    assert_eq!(ids(&api, &relay, "?limit=1").await, ["m0"]);
    clock.advance(Duration::from_secs(2));
    assert!(ids(&api, &relay, "").await.is_empty());
}

#[tokio::test]
async fn item_41_entries_before_a_time_are_deleted() {
    let relay = auditing(&ManualClock::new(NOON)).await;
    let api = Api::of(&relay);
    let (alice, admin) = (register(&relay, "alice"), relay.admin_key());
    for (id, ts) in [
        ("m1", "2026-03-21T10:00:00.000Z"),
        ("m2", "2026-03-21T11:00:00.000Z"),
        ("m3", "2026-03-21T09:00:00.000Z"),
        ("m4", "once upon a time"),
    ] {
        api.post("/audit", &alice, entry(id, ts)).await.ok(201);
    }
    for query in ["", "?before=", "?after=2026-03-21T10:00:00.000Z"] {
        let refused = api.delete(&format!("/audit{query}"), admin).await;
        refused.error(400, "BAD_REQUEST");
    }
    for (before, deleted, left) in [
        ("yesterday", 0, vec!["m1", "m2", "m3", "m4"]),
        ("2026-03-21T10:00:00.000Z", 1, vec!["m1", "m2", "m4"]),
        ("2026-03-21T10:00:00.001Z", 1, vec!["m2", "m4"]),
        ("2100-01-01T00:00:00.000Z", 1, vec!["m4"]),
    ] {
        let answer = api.delete(&format!("/audit?before={before}"), admin).await;
        assert_eq!(answer.ok(200), json!({"deleted": deleted}), "{before}");
        assert_eq!(ids(&api, &relay, "").await, left);
    }
    // More than the relay deletes in one go.
    for number in 0..1100 {
        let body = entry(&number.to_string(), "2026-03-21T10:00:00.000Z");
        api.post("/audit", &alice, body).await.ok(201);
    }
    let path = "/audit?before=2100-01-01T00:00:00.000Z";
    let answer = api.delete(path, admin).await;
    assert_eq!(answer.ok(200), json!({"deleted": 1100}));
}

#[tokio::test]
async fn item_42_plaintext_copies_are_audited_when_asked_for_and_encrypted_ones_never() {
    let relay = TestRelay::builder().audit(Audit::Automatic).start().await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    register(&relay, "bob");
    register(&relay, "carol");
    for encrypted in [json!(true), json!(1), json!("no"), json!({})] {
        let body = with(
            message("bob", json!("sealed")),
            "encrypted",
            Some(encrypted),
        );
        api.post("/messages", &alice, body).await.ok(201);
    }
    let refused = with(message("bob", json!("refused")), "type", Some(json!("x")));
    api.post("/messages", &alice, refused)
        .await
        .error(400, "BAD_REQUEST");
    let body = json!({
        "to": ["BOB", "carol", "nobody", "bob"], "type": "request", "encrypted": false,
        "payload": {"text": "plain"}, "topic": "t", "correlationId": "c",
    });
    let sent = api.post("/messages", &alice, body).await.ok(201);
    let listed = entries(&api, &relay, "").await;
    assert_eq!(listed.len(), 2, "{listed:?}");
    for (entry, to) in listed.iter().zip(["bob", "carol"]) {
        let expected = json!({
            "messageId": sent["id"], "direction": "sent", "from": "alice", "to": to,
            "topic": "t", "correlationId": "c", "payload": {"text": "plain"}, "ts": sent["ts"],
            "loggedBy": "_system", "loggedAt": entry["loggedAt"],
        });
        assert_eq!(*entry, expected);
    }
    for (encrypted, payload) in [
        (json!(0), Value::Null),
        (Value::Null, json!(1)),
        (json!(""), json!("\u{e9}")),
    ] {
        let body = with(
            message("bob", payload.clone()),
            "encrypted",
            Some(encrypted),
        );
        let batch = json!({"messages": [body]});
        api.post("/messages/batch", &alice, batch).await.ok(200);
        let last = entries(&api, &relay, "").await.pop().unwrap();
        assert_eq!(last["payload"], payload);
    }
    assert_eq!(entries(&api, &relay, "").await.len(), 5);

    // Nobody can pose as the relay.
    let code = api.post("/invites", relay.admin_key(), json!({})).await;
    let code = text(&code.ok(201)["code"]);
    for name in ["_system", "_SYSTEM"] {
        let body = json!({"invite": code, "name": name});
        api.post("/register", "", body)
            .await
            .error(400, "BAD_REQUEST");
    }

    let relay = TestRelay::builder().audit(Audit::Posted).start().await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    api.send(&alice, "alice", json!("plain")).await;
    assert!(entries(&api, &relay, "").await.is_empty());

    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    api.send(&alice, "alice", json!("plain")).await;
    let refused = api.post("/audit", &alice, entry("m1", "2026-03-21T10:00:00Z"));
    refused.await.error(403, "FORBIDDEN");
    assert!(entries(&api, &relay, "").await.is_empty(), "off by default");
}
