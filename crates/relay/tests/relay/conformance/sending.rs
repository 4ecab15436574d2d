//! Items 17 to 28.

use std::collections::HashSet;
use std::time::Duration;

use ctalk_relay::testing::TestRelay;
use ctalk_relay::{ManualClock, RateLimit};
use serde_json::{Value, json};

use crate::support::{Api, message, register, text};

#[tokio::test]
async fn item_17_a_receiver_gets_the_id_and_ts_of_the_201_and_the_true_sender() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let (alice, bob) = (register(&relay, "alice"), register(&relay, "bob"));
    let mut body = message("bob", json!({"text": "hi"}));
    for (member, value) in [
        ("from", json!("eve")),
        ("id", json!("00000000-0000-4000-8000-000000000000")),
        ("ts", json!("2000-01-01T00:00:00.000Z")),
        ("ttl", json!(3600)),
        ("colour", json!("red")),
    ] {
        body[member] = value;
    }
    let sent = api.post("/messages", &alice, body).await.ok(201);
    let id = text(&sent["id"]);
    let uuid = uuid_parts(&id);
    assert_eq!(uuid, [8, 4, 4, 4, 12], "{id}");
    assert_eq!(id, id.to_lowercase());
    assert_eq!(&id[14..15], "4", "version 4");
    assert!("89ab".contains(&id[19..20]), "variant");
    let got = api.messages("/messages", &bob).await;
    let expected = json!({
        "id": sent["id"], "from": "alice", "type": "request", "encrypted": false,
        "payload": {"text": "hi"}, "ts": sent["ts"], "to": "bob",
    });
    assert_eq!(got, [expected]);
}

fn uuid_parts(id: &str) -> Vec<usize> {
    assert!(
        id.bytes()
            .all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
    );
    id.split('-').map(str::len).collect()
}

#[tokio::test]
async fn item_18_required_members_and_types_are_checked() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    for member in ["to", "type", "encrypted", "payload"] {
        let mut body = message("alice", json!("hi"));
        body.as_object_mut().unwrap().remove(member);
        api.post("/messages", &alice, body)
            .await
            .error(400, "BAD_REQUEST");
    }
    for (member, value) in [
        ("to", json!("")),
        ("to", Value::Null),
        ("type", json!("Request")),
        ("type", json!("message")),
        ("type", json!("")),
        ("type", json!(1)),
        ("type", Value::Null),
        ("topic", json!(1)),
        ("topic", json!("x".repeat(257))),
        ("correlationId", json!({})),
        ("replyTo", json!(true)),
        ("nonce", json!([])),
        ("signature", json!(1)),
    ] {
        let mut body = message("alice", json!("hi"));
        body[member] = value;
        let answer = api.post("/messages", &alice, body).await;
        assert_eq!(answer.status, 400, "{member}");
        answer.error(400, "BAD_REQUEST");
    }
    for junk in ["", "junk", "{", "[]", "5", "{\"to\":\"alice\"", "\u{0}"] {
        let answer = api
            .call("POST", "/messages", Some(&alice), Some(junk.to_owned()))
            .await;
        answer.error(400, "BAD_REQUEST");
    }
    assert!(api.messages("/messages", &alice).await.is_empty());
    for kind in ["request", "response", "notification"] {
        let mut body = message("alice", json!(""));
        body["type"] = json!(kind);
        api.post("/messages", &alice, body).await.ok(201);
    }
    let got = api.messages("/messages?sort=asc", &alice).await;
    let kinds: Vec<_> = got.iter().map(|message| text(&message["type"])).collect();
    assert_eq!(kinds, ["request", "response", "notification"]);
    assert!(
        got.iter()
            .all(|message| message["payload"] == "" && message["encrypted"] == false)
    );
}

#[tokio::test]
async fn item_19_payloads_and_metadata_come_back_as_they_were_sent() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    let payloads = [
        "\"text\"",
        "\"\\u00e9\\n\\\"\"",
        "\"\u{e9}\u{2028}\"",
        "{\"b\":1,\"a\":[{}]}",
        "[1,2]",
        "[]",
        "5",
        "-0.0",
        "1.50",
        "12345678901234567890123",
        "1.7e308",
        "null",
        "true",
        "\"\\ud800\"",
        "{\"a\" : 1}",
    ];
    for payload in payloads {
        let body = format!(
            "{{\"to\":\"alice\",\"type\":\"request\",\"encrypted\":false,\"payload\": {payload} }}"
        );
        api.call("POST", "/messages", Some(&alice), Some(body))
            .await
            .ok(201);
    }
    let answer = api.get("/messages?sort=asc", &alice).await;
    let mut rest = answer.text.as_str();
    for payload in payloads {
        let expected = format!("\"payload\":{payload},\"ts\"");
        let at = rest.find(&expected);
        let at = at.unwrap_or_else(|| panic!("{payload} is not in {rest}"));
        rest = &rest[at + expected.len()..];
    }

    let mut body = message("alice", json!("box"));
    let metadata = [
        ("topic", json!("sync \"\u{1}\u{7f}\u{2028}/\\\n\u{e9}")),
        ("correlationId", json!("")),
        ("replyTo", Value::Null),
        ("nonce", json!("gIGCg4SFhoeIiYqLjI2Oj5CRkpOUlZaX")),
        ("signature", json!("no base64 at all \u{1f980}")),
        ("encrypted", json!(true)),
    ];
    for (member, value) in &metadata {
        body[*member] = value.clone();
    }
    api.post("/messages", &alice, body).await.ok(201);
    let got = api.messages("/messages?limit=1", &alice).await;
    for (member, value) in metadata {
        assert_eq!(got[0].get(member), Some(&value), "{member}");
    }
}

fn body_of(units: usize, unit: &str) -> String {
    let head = "{\"to\":\"alice\",\"type\":\"request\",\"encrypted\":false,\"payload\":\"";
    format!("{head}{}\"}}", unit.repeat(units - head.len() - 2))
}

#[tokio::test]
async fn item_20_a_body_may_have_65536_utf16_units() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    let post = async |body| {
        api.call("POST", "/messages", Some(&alice), Some(body))
            .await
    };
    for unit in ["x", "\u{e9}", "\u{2028}"] {
        post(body_of(65_536, unit)).await.ok(201);
        post(body_of(65_537, unit))
            .await
            .error(400, "PAYLOAD_TOO_LARGE");
    }
    for junk in [
        "x".repeat(65_537),
        "x".repeat(196_609),
        "x".repeat(1_000_000),
    ] {
        post(junk).await.error(400, "PAYLOAD_TOO_LARGE");
    }
    post("x".repeat(65_536)).await.error(400, "BAD_REQUEST");
    assert_eq!(api.messages("/messages", &alice).await.len(), 3);
}

#[tokio::test]
async fn item_21_names_match_in_any_case_and_arrive_in_the_registered_spelling() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let bob = register(&relay, "BoB");
    for to in ["bob", "BOB", "BoB"] {
        api.send(&bob, to, json!(to)).await;
    }
    let got = api.messages("/messages", &bob).await;
    assert_eq!(got.len(), 3);
    assert!(got.iter().all(|message| message["to"] == "BoB"));
}

#[tokio::test]
async fn item_22_a_multicast_is_one_copy_for_each_known_agent() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let keys = ["alice", "bob", "carol"].map(|name| register(&relay, name));
    let dave = register(&relay, "dave");
    let mut body = message("", json!("hi"));
    body["to"] = json!(["bob", "nobody", "BOB", "Carol", "bob", "alice", "", "carol"]);
    let sent = api.post("/messages", &keys[0], body).await.ok(201);
    for (key, name) in keys.iter().zip(["alice", "bob", "carol"]) {
        let got = api.messages("/messages", key).await;
        assert_eq!(got.len(), 1, "{name}");
        assert_eq!(got[0]["to"], name);
        assert_eq!(got[0]["id"], sent["id"]);
        assert_eq!(got[0]["ts"], sent["ts"]);
    }
    assert_eq!(api.messages("/messages", &dave).await.len(), 0);
    let mut body = message("", json!("hi"));
    body["to"] = json!(["bob"]);
    api.post("/messages", &dave, body).await.ok(201);
    assert_eq!(api.messages("/messages", &keys[1]).await[0]["to"], "bob");
}

#[tokio::test]
async fn item_23_a_broadcast_reaches_everybody_but_its_sender() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    let broadcast = message("broadcast", json!("all"));
    let alone = api.post("/messages", &alice, broadcast.clone()).await;
    alone.error(400, "BAD_REQUEST");
    let others = ["bob", "carol"].map(|name| register(&relay, name));
    let sent = api.post("/messages", &alice, broadcast).await.ok(201);
    for (key, name) in others.iter().zip(["bob", "carol"]) {
        let got = api.messages("/messages", key).await;
        assert_eq!(got.len(), 1);
        assert_eq!((&got[0]["to"], &got[0]["id"]), (&json!(name), &sent["id"]));
    }
    assert_eq!(api.messages("/messages", &alice).await.len(), 0);
    for to in [json!(["broadcast"]), json!("Broadcast")] {
        let mut body = message("", json!("hi"));
        body["to"] = to;
        api.post("/messages", &alice, body).await.ok(201);
    }
    let mut body = message("", json!("hi"));
    body["to"] = json!([]);
    api.post("/messages", &alice, body)
        .await
        .error(400, "BAD_REQUEST");
    assert_eq!(relay.stored().len(), 2, "only the broadcast was delivered");
}

#[tokio::test]
async fn item_24_unknown_recipients_are_201_and_sending_to_oneself_works() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    let (id, _) = api.send(&alice, "nobody", json!("hi")).await;
    assert_eq!(uuid_parts(&id), [8, 4, 4, 4, 12]);
    assert_eq!(relay.stored().len(), 0);
    api.send(&alice, "alice", json!("hi")).await;
    assert_eq!(api.messages("/messages", &alice).await.len(), 1);
}

const WINDOW_START: i64 = 1_774_094_400_000;

#[tokio::test]
async fn item_25_the_eleventh_send_in_a_window_is_429() {
    let clock = ManualClock::new(WINDOW_START);
    let relay = TestRelay::builder()
        .clock(clock.clone())
        .rate_limit(RateLimit::default())
        .start()
        .await;
    let api = Api::of(&relay);
    let (alice, bob) = (register(&relay, "alice"), register(&relay, "bob"));
    register(&relay, "carol");
    let send = async |key: &str, to: &str| api.post("/messages", key, message(to, json!(1))).await;

    for _ in 0..20 {
        api.post("/messages", &alice, json!({}))
            .await
            .error(400, "BAD_REQUEST");
        let answer = api
            .call("POST", "/messages", Some(&alice), Some("junk".to_owned()))
            .await;
        answer.error(400, "BAD_REQUEST");
    }
    send(&alice, "broadcast").await.ok(201);
    let mut nobody = message("", json!(1));
    nobody["to"] = json!([]);
    api.post("/messages", &alice, nobody)
        .await
        .error(400, "BAD_REQUEST");
    for _ in 0..8 {
        send(&alice, "bob").await.ok(201);
    }
    clock.advance(Duration::from_millis(9_999));
    send(&alice, "bob").await.error(429, "RATE_LIMITED");
    api.post("/messages", &alice, json!({}))
        .await
        .error(400, "BAD_REQUEST");
    send(&bob, "alice").await.ok(201);
    assert_eq!(
        api.messages("/messages", &alice).await.len(),
        1,
        "reads are unaffected"
    );
    assert_eq!(api.messages("/messages", &bob).await.len(), 9);

    clock.advance(Duration::from_millis(1));
    for _ in 0..10 {
        send(&alice, "bob").await.ok(201);
    }
    send(&alice, "bob").await.error(429, "RATE_LIMITED");
}

const DAY: Duration = Duration::from_secs(86_400);

#[tokio::test]
async fn item_26_messages_expire() {
    let clock = ManualClock::new(WINDOW_START);
    let relay = TestRelay::builder().clock(clock.clone()).start().await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    let send = async |ttl: Value| {
        let mut body = message("alice", json!(1));
        body["topic"] = json!("t");
        body["ttl"] = ttl;
        api.post("/messages", &alice, body).await
    };
    for ttl in [
        json!(0),
        json!(-1),
        json!("60"),
        json!("soon"),
        json!([]),
        json!(false),
    ] {
        send(ttl).await.error(400, "BAD_REQUEST");
    }
    let count = async || api.messages("/messages", &alice).await.len();
    let channels = async || api.get("/channels", &alice).await.ok(200);
    send(json!(0.5)).await.ok(201);
    let second = text(&send(json!(1)).await.ok(201)["id"]);
    send(Value::Null).await.ok(201);
    send(json!(1e300)).await.ok(201);
    assert_eq!(count().await, 4);
    clock.advance(Duration::from_millis(499));
    assert_eq!(count().await, 4);
    clock.advance(Duration::from_millis(1));
    assert_eq!(count().await, 3);
    clock.advance(Duration::from_millis(500));
    assert_eq!(count().await, 2);
    api.delete(&format!("/messages/{second}"), &alice)
        .await
        .error(404, "NOT_FOUND");
    clock.advance(30 * DAY - Duration::from_millis(1001));
    assert_eq!(count().await, 2, "30 days less 1 ms");
    clock.advance(Duration::from_millis(1));
    assert_eq!(count().await, 1, "30 days");
    assert_eq!(channels().await, json!(["t"]));
    clock.advance(60 * DAY - Duration::from_millis(1));
    assert_eq!(count().await, 1, "90 days less 1 ms");
    clock.advance(Duration::from_millis(1));
    assert_eq!(count().await, 0, "90 days");
    assert_eq!(channels().await, json!([]));
    assert_eq!(api.messages("/messages", relay.admin_key()).await.len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn item_27_concurrent_sends_are_all_readable() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let target = register(&relay, "target");
    let senders: Vec<_> = (0..10)
        .map(|number| register(&relay, &format!("agent-{number}")))
        .collect();
    let sends: Vec<_> = (0..50)
        .map(|number| {
            let (api, key) = (api.clone(), senders[number % 10].clone());
            let send = async move { api.send(&key, "target", json!(number)).await };
            tokio::spawn(send)
        })
        .collect();
    let mut sent = HashSet::new();
    for send in sends {
        sent.insert(send.await.unwrap().0);
    }
    assert_eq!(sent.len(), 50);
    let got = api.messages("/messages?limit=100", &target).await;
    let read: HashSet<_> = got.iter().map(|message| text(&message["id"])).collect();
    assert_eq!(read, sent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn item_27_five_thousand_waiting_messages_are_all_kept_and_paged_in_order() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let target = register(&relay, "target");
    let sending: Vec<_> = (0..20)
        .map(|sender| {
            let key = register(&relay, &format!("agent-{sender}"));
            let api = api.clone();
            tokio::spawn(async move {
                for number in 0..250 {
                    api.send(&key, "target", json!([sender, number])).await;
                }
            })
        })
        .collect();
    for sender in sending {
        sender.await.unwrap();
    }
    let mut next = vec![0; 20];
    let mut after = String::new();
    loop {
        let page = api
            .get(
                &format!("/messages?sort=asc&limit=100&after={after}"),
                &target,
            )
            .await;
        let page = page.ok(200);
        for message in page["messages"].as_array().unwrap() {
            let [sender, number] = [0, 1].map(|at| message["payload"][at].as_u64().unwrap());
            let expected = &mut next[usize::try_from(sender).unwrap()];
            assert_eq!(number, *expected, "of sender {sender}");
            *expected += 1;
        }
        if page["count"] != 100 {
            break;
        }
        after = text(&page["newestTs"]);
    }
    assert_eq!(next, vec![250; 20]);
}

#[tokio::test]
async fn item_28_a_multicast_is_all_or_nothing() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    // So many that their copies fill several pages of the database, and the disk in between.
    let names: Vec<_> = (0..200).map(|number| format!("agent-{number}")).collect();
    let keys: Vec<_> = names.iter().map(|name| register(&relay, name)).collect();
    let mut body = message("", json!("x"));
    body["to"] = json!(names);
    api.post("/messages", &keys[0], body.clone()).await.ok(201);
    assert_eq!(relay.stored().len(), 200);
    relay.fill_disk();
    let refused = api.post("/messages", &keys[0], body.clone()).await;
    refused.error(500, "INTERNAL_ERROR");
    assert_eq!(relay.stored().len(), 200, "not one copy of the second");
    relay.empty_disk();
    api.post("/messages", &keys[0], body).await.ok(201);
    assert_eq!(relay.stored().len(), 400);
}
