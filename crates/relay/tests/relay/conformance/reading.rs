//! Items 29 to 38.

use ctalk_relay::ManualClock;
use ctalk_relay::testing::TestRelay;
use serde_json::{Value, json};

use crate::support::{Api, message, register, text};

const NOON: i64 = 1_774_094_400_000;

/// The payloads of a page, which these tests number from 0.
async fn numbers(api: &Api, path: &str, key: &str) -> Vec<u64> {
    let messages = api.messages(path, key).await;
    messages
        .iter()
        .map(|message| message["payload"].as_u64().unwrap())
        .collect()
}

fn down(from: u64, to: u64) -> Vec<u64> {
    (to..=from).rev().collect()
}

#[tokio::test]
async fn item_29_a_page_is_the_newest_50_and_at_most_100() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    for number in 0..120 {
        api.send(&alice, "alice", json!(number)).await;
    }
    for (query, expected) in [
        ("", down(119, 70)),
        ("?limit=100", down(119, 20)),
        ("?limit=101", down(119, 20)),
        ("?limit=99999999999999999999", down(119, 20)),
        ("?limit=3", down(119, 117)),
        ("?limit=1&limit=9", down(119, 119)),
        ("?limit=0", vec![]),
        ("?limit=-5", vec![]),
        ("?limit=many", down(119, 70)),
        ("?limit=", down(119, 70)),
        ("?sort=asc&limit=3", vec![0, 1, 2]),
        ("?sort=up&limit=3", down(119, 117)),
        ("?sort=desc&limit=3", down(119, 117)),
    ] {
        let got = numbers(&api, &format!("/messages{query}"), &alice).await;
        assert_eq!(got, expected, "{query}");
    }
}

#[tokio::test]
async fn item_30_ten_identical_polls_return_ten_identical_pages() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    for number in 0..20 {
        api.send(&alice, "alice", json!(number)).await;
    }
    for path in [
        "/messages",
        "/messages?limit=7",
        "/messages?sort=asc&limit=7",
    ] {
        for key in [&alice, relay.admin_key()] {
            let first = api.get(path, key).await.text;
            for _ in 0..9 {
                assert_eq!(api.get(path, key).await.text, first);
            }
        }
    }
}

#[tokio::test]
async fn item_31_since_and_after_are_strict_and_after_wins() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    let mut times = Vec::new();
    for number in 0..4 {
        times.push(api.send(&alice, "alice", json!(number)).await.1);
    }
    let (first, last) = (&times[1], &times[3]);
    let everything = down(3, 0);
    for (query, expected) in [
        (format!("since={first}"), down(3, 2)),
        (format!("after={first}"), down(3, 2)),
        (format!("after={last}"), vec![]),
        (format!("since={last}&after={first}"), down(3, 2)),
        (format!("since={first}&after="), down(3, 2)),
        (
            format!("after={}", first.replace('Z', "%2B00:00")),
            down(3, 2),
        ),
        ("since=".to_owned(), everything.clone()),
        ("after=".to_owned(), everything.clone()),
        ("since=yesterday".to_owned(), everything.clone()),
        ("after=yesterday".to_owned(), everything.clone()),
        ("since=2000-01-01".to_owned(), everything.clone()),
        ("since=%ff%zz".to_owned(), everything.clone()),
        ("since=9000-01-01T00:00:00Z".to_owned(), vec![]),
    ] {
        let got = numbers(&api, &format!("/messages?{query}"), &alice).await;
        assert_eq!(got, expected, "{query}");
    }
}

#[tokio::test]
async fn item_32_paging_forwards_visits_every_message_once_within_one_millisecond() {
    // The clock stands still, so every message falls into the same millisecond.
    let relay = TestRelay::builder()
        .clock(ManualClock::new(NOON))
        .start()
        .await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    for number in 0..25 {
        api.send(&alice, "alice", json!(number)).await;
    }
    let mut seen = Vec::new();
    let mut after = String::new();
    loop {
        let path = format!("/messages?sort=asc&limit=7&after={after}");
        let page = api.get(&path, &alice).await.ok(200);
        let messages = page["messages"].as_array().unwrap();
        seen.extend(
            messages
                .iter()
                .map(|message| message["payload"].as_u64().unwrap()),
        );
        if messages.len() < 7 {
            break;
        }
        after = text(&page["newestTs"]);
    }
    assert_eq!(seen, (0..25).collect::<Vec<_>>());
}

#[tokio::test]
async fn item_32_ts_rises_strictly_over_deletions_clock_steps_and_restarts() {
    let clock = ManualClock::new(NOON);
    let mut relay = TestRelay::builder().clock(clock.clone()).start().await;
    let mut api = Api::of(&relay);
    let (alice, bob) = (register(&relay, "alice"), register(&relay, "bob"));
    let mut newest = String::new();
    for step in 0..12 {
        match step {
            3 => clock.set(NOON - 3_600_000),
            6 => {
                relay.restart();
                api = Api::of(&relay);
            }
            9 => clock.set(NOON),
            _ => {}
        }
        let mut body = message("", json!(step));
        body["to"] = if step % 2 == 0 {
            json!(["alice", "bob"])
        } else {
            json!("bob")
        };
        let sent = api.post("/messages", &alice, body).await.ok(201);
        let ts = text(&sent["ts"]);
        assert!(ts > newest, "{ts} after {newest} in step {step}");
        newest = ts;
        let path = format!("/messages/{}", text(&sent["id"]));
        assert_eq!(api.delete(&path, &bob).await.status, 204);
    }
}

#[tokio::test]
async fn item_33_pages_tell_their_count_and_times_in_both_orders() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    for empty in ["/messages", "/messages?sort=asc", "/messages?topic=none"] {
        let page = api.get(empty, &alice).await.ok(200);
        assert_eq!(page, json!({"messages": [], "count": 0}));
    }
    let mut times = Vec::new();
    for number in 0..5 {
        times.push(api.send(&alice, "alice", json!(number)).await.1);
    }
    for (query, oldest, newest) in [("", 2, 4), ("&sort=desc", 2, 4), ("&sort=asc", 0, 2)] {
        let page = api
            .get(&format!("/messages?limit=3{query}"), &alice)
            .await
            .ok(200);
        assert_eq!(page["count"], 3);
        assert_eq!(page["oldestTs"], times[oldest]);
        assert_eq!(page["newestTs"], times[newest]);
        assert_eq!(page["cursor"], page["oldestTs"]);
    }
    let none = api.get("/messages?limit=0", &alice).await.ok(200);
    assert_eq!(none, json!({"messages": [], "count": 0}));
}

#[tokio::test]
async fn item_34_topics_filter_exactly_and_before_the_limit() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    let topics = [
        json!("sync"),
        json!("Sync"),
        json!("a b&c"),
        json!(""),
        Value::Null,
    ];
    for number in 0..20 {
        let mut body = message("alice", json!(number));
        body["topic"] = topics[number % 5].clone();
        api.post("/messages", &alice, body).await.ok(201);
    }
    for name in ["topic", "channel"] {
        for (query, expected) in [
            ("sync", vec![15, 10, 5, 0]),
            ("sync&limit=2", vec![15, 10]),
            ("sync&limit=2&sort=asc", vec![0, 5]),
            ("Sync", vec![16, 11, 6, 1]),
            ("SYNC", vec![]),
            ("syn", vec![]),
            ("a+b%26c", vec![17, 12, 7, 2]),
            ("", down(19, 0)),
        ] {
            for key in [&alice, relay.admin_key()] {
                let got = numbers(&api, &format!("/messages?{name}={query}"), key).await;
                assert_eq!(got, expected, "{name}={query}");
            }
        }
    }
    let got = numbers(&api, "/messages?topic=sync&channel=Sync", &alice).await;
    assert_eq!(got, [15, 10, 5, 0], "topic wins");
}

#[tokio::test]
async fn item_35_nobody_sees_or_deletes_another_inbox_and_reading_consumes_nothing() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let (alice, bob) = (register(&relay, "alice"), register(&relay, "bob"));
    let (id, _) = api.send(&alice, "bob", json!(1)).await;
    assert_eq!(api.messages("/messages", &alice).await.len(), 0);
    let path = format!("/messages/{id}");
    api.delete(&path, &alice).await.error(404, "NOT_FOUND");
    for _ in 0..3 {
        assert_eq!(numbers(&api, "/messages", &bob).await, [1]);
    }
}

#[tokio::test]
async fn item_36_the_admin_sees_every_copy_and_moves_nobodys_last_seen() {
    let clock = ManualClock::new(NOON);
    let relay = TestRelay::builder().clock(clock.clone()).start().await;
    let api = Api::of(&relay);
    let admin = relay.admin_key();
    let alice = register(&relay, "alice");
    let _ = ["bob", "carol"].map(|name| register(&relay, name));
    let seen = async || text(&api.agent(&alice, "alice").await["lastSeen"]);
    let (_, first) = api.send(&alice, "broadcast", json!(0)).await;
    clock.advance(std::time::Duration::from_secs(1));
    let before = seen().await;
    assert_eq!(numbers(&api, "/messages", admin).await, [0, 0]);
    let page = api.get("/messages?limit=1&sort=asc", admin).await.ok(200);
    assert_eq!(
        (&page["count"], &page["messages"][0]["to"]),
        (&json!(1), &json!("bob"))
    );
    assert_eq!(seen().await, before);
    for number in 1..4 {
        api.send(&alice, "carol", json!(number)).await;
    }
    assert_eq!(numbers(&api, "/messages", admin).await, [3, 2, 1, 0, 0]);
    assert_eq!(
        numbers(&api, "/messages?sort=asc", admin).await,
        [0, 0, 1, 2, 3]
    );
    assert_eq!(numbers(&api, "/messages?limit=2", admin).await, [3, 2]);
    assert_eq!(
        numbers(&api, &format!("/messages?after={first}"), admin).await,
        [3, 2, 1]
    );
    assert_eq!(
        numbers(&api, &format!("/messages?since={first}"), admin).await,
        [3, 2, 1]
    );
    let page = api.get("/messages", admin).await.ok(200);
    assert_eq!(page["oldestTs"], first);
    assert_eq!(page["count"], 5);
    let to: Vec<_> = api.messages("/messages?sort=asc&limit=2", admin).await;
    assert_eq!(
        (&to[0]["to"], &to[1]["to"]),
        (&json!("bob"), &json!("carol"))
    );
}

#[tokio::test]
async fn item_36_a_broadcast_that_reaches_over_the_edge_of_an_admin_page_is_cut_there() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    let others: Vec<_> = (0..103)
        .map(|number| register(&relay, &format!("agent-{number}")))
        .collect();
    let (_, ts) = api.send(&alice, "broadcast", json!(7)).await;
    let path = "/messages?sort=asc&limit=100";
    let page = api.get(path, relay.admin_key()).await.ok(200);
    assert_eq!(
        (&page["count"], &page["newestTs"]),
        (&json!(100), &json!(ts))
    );
    // All copies have one time: what did not fit is not after it.
    let next = format!("{path}&after={ts}");
    assert!(api.messages(&next, relay.admin_key()).await.is_empty());
    assert_eq!(relay.stored().len(), 103);
    for key in others {
        assert_eq!(numbers(&api, "/messages", &key).await, [7]);
    }
}

#[tokio::test]
async fn item_36_the_admins_view_can_be_switched_off() {
    let relay = TestRelay::builder().admin_view(false).start().await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    api.send(&alice, "alice", json!("private")).await;
    for path in ["/messages", "/messages?limit=0", "/messages?wait=1"] {
        let refused = api.get(path, relay.admin_key()).await;
        refused.error(403, "FORBIDDEN");
    }
    assert_eq!(api.messages("/messages", &alice).await.len(), 1);
}

#[tokio::test]
async fn item_37_deleting_removes_exactly_the_own_copy() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let admin = relay.admin_key();
    let alice = register(&relay, "alice");
    let (bob, carol) = (register(&relay, "bob"), register(&relay, "carol"));
    let (id, _) = api.send(&alice, "broadcast", json!(7)).await;
    let path = format!("/messages/{id}");
    let gone = api.delete(&path, &bob).await;
    assert_eq!((gone.status, gone.text.as_str()), (204, ""));
    api.delete(&path, &bob).await.error(404, "NOT_FOUND");
    let unknown = "/messages/00000000-0000-4000-8000-000000000000";
    let upper = format!("/messages/{}", id.to_uppercase());
    let escaped = format!("/messages/%{:x}{}", id.as_bytes()[0], &id[1..]);
    for path in [
        unknown,
        "/messages/",
        "/messages/x",
        "/messages/%zz",
        &upper,
        &escaped,
    ] {
        api.delete(path, &carol).await.error(404, "NOT_FOUND");
    }
    assert!(numbers(&api, "/messages", &bob).await.is_empty());
    assert_eq!(numbers(&api, "/messages", &carol).await, [7]);
    let left = api.messages("/messages", admin).await;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0]["to"], "carol");
    assert_eq!(api.delete(&path, &carol).await.status, 204);
    assert_eq!(api.messages("/messages", admin).await.len(), 0);
}

#[tokio::test]
async fn item_38_channels_are_the_topics_of_own_live_messages() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let (alice, bob) = (register(&relay, "alice"), register(&relay, "bob"));
    let carol = register(&relay, "carol");
    let channels = async |key: &str| {
        let answer = api.get("/channels", key).await.ok(200);
        let mut topics: Vec<_> = answer.as_array().unwrap().iter().map(text).collect();
        topics.sort();
        topics
    };
    let send = async |topic: Value| {
        let mut body = message("bob", json!(1));
        body["topic"] = topic;
        text(&api.post("/messages", &alice, body).await.ok(201)["id"])
    };
    assert!(channels(&alice).await.is_empty());
    let mut ids = Vec::new();
    for topic in [
        json!("sync"),
        json!("sync"),
        json!("a"),
        json!("\u{e9}"),
        json!(""),
        Value::Null,
    ] {
        ids.push(send(topic).await);
    }
    let all = ["a", "sync", "\u{e9}"];
    assert_eq!(channels(&bob).await, all, "received");
    assert_eq!(channels(&alice).await, all, "sent");
    assert!(channels(&carol).await.is_empty(), "foreign");
    for (at, expected) in [(0, all.as_slice()), (1, &["a", "\u{e9}"]), (2, &["\u{e9}"])] {
        assert_eq!(
            api.delete(&format!("/messages/{}", ids[at]), &bob)
                .await
                .status,
            204
        );
        assert_eq!(channels(&bob).await, expected);
        assert_eq!(channels(&alice).await, expected);
    }
}

#[tokio::test]
async fn item_33_a_page_of_the_largest_messages_is_whole() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    // 180 KB each, so the page is read in many parts.
    let mut times = Vec::new();
    let mut payloads = Vec::new();
    for number in 0..30 {
        let payload = format!("{number} {}", "\u{2028}".repeat(60_000));
        times.push(api.send(&alice, "alice", json!(payload)).await.1);
        payloads.push(payload);
    }
    for key in [&alice, relay.admin_key()] {
        let page = api.get("/messages?sort=asc&limit=100", key).await.ok(200);
        let got = page["messages"].as_array().unwrap();
        let got: Vec<_> = got
            .iter()
            .map(|message| text(&message["payload"]))
            .collect();
        assert!(got == payloads, "{} messages", got.len());
        assert_eq!(page["count"], 30);
        assert_eq!(page["oldestTs"], times[0]);
        assert_eq!(page["newestTs"], times[29]);
        assert_eq!(page["cursor"], times[0]);
    }
    assert_eq!(relay.stored().len(), 30);
}
