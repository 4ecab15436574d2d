//! Sending and deleting many messages at once, and names that nobody has.

use ctalk_relay::testing::TestRelay;
use serde_json::{Value, json};

use crate::support::{Api, message, register};

fn batch(messages: impl IntoIterator<Item = Value>) -> Value {
    json!({"messages": messages.into_iter().collect::<Vec<_>>()})
}

fn multicast(to: Value) -> Value {
    json!({"to": to, "type": "request", "encrypted": false, "payload": 1})
}

#[tokio::test]
async fn names_that_nobody_has_are_told_to_the_sender() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    register(&relay, "Bob");
    for (to, undelivered) in [
        (json!("bob"), None),
        (json!("broadcast"), None),
        (json!("nobody"), Some(json!(["nobody"]))),
        (
            json!(["x", "bob", "Y", "x", "BOB", "broadcast"]),
            Some(json!(["x", "Y", "broadcast"])),
        ),
    ] {
        let sent = api.post("/messages", &alice, multicast(to.clone())).await;
        let sent = sent.ok(201);
        assert_eq!(sent.get("undelivered"), undelivered.as_ref(), "{to}");
    }
    assert_eq!(relay.stored().len(), 3);
}

#[tokio::test]
async fn a_batch_tells_in_order_what_became_of_each_message() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let (alice, bob) = (register(&relay, "alice"), register(&relay, "bob"));
    let long = message("bob", json!("x".repeat(65_536)));
    let sent = api
        .post(
            "/messages/batch",
            &alice,
            batch([
                message("bob", json!(0)),
                json!({}),
                json!(5),
                message("nobody", json!(1)),
                long,
                message("BOB", json!(2)),
                multicast(json!([])),
                message("broadcast", json!(3)),
            ]),
        )
        .await
        .ok(200);
    let results = sent["results"].as_array().unwrap();
    let codes: Vec<_> = results.iter().map(|each| each["code"].as_str()).collect();
    const BAD: Option<&str> = Some("BAD_REQUEST");
    let long = Some("PAYLOAD_TOO_LARGE");
    assert_eq!(codes, [None, BAD, BAD, None, long, None, BAD, None]);
    assert_eq!(results[3]["undelivered"], json!(["nobody"]));
    let inbox = api.messages("/messages?sort=asc", &bob).await;
    assert_eq!(inbox.len(), 3);
    for ((copy, result), payload) in inbox.iter().zip([0, 5, 7]).zip([0, 2, 3]) {
        assert_eq!(copy["payload"], payload);
        assert_eq!(copy["id"], results[result]["id"]);
        assert_eq!(copy["ts"], results[result]["ts"]);
        assert_eq!(copy["from"], "alice");
    }
}

#[tokio::test]
async fn a_batch_is_bounded_in_count_and_bytes() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    let many = |count| batch((0..count).map(|number| message("alice", json!(number))));
    api.post("/messages/batch", &alice, many(101))
        .await
        .error(400, "BAD_REQUEST");
    let sent = api.post("/messages/batch", &alice, many(100)).await.ok(200);
    assert_eq!(sent["results"].as_array().unwrap().len(), 100);
    let none = api.post("/messages/batch", &alice, many(0)).await.ok(200);
    assert_eq!(none, json!({"results": []}));
    let large = "x".repeat(60_000);
    let sized = |count| batch((0..count).map(|_| message("alice", json!(large))));
    api.post("/messages/batch", &alice, sized(18))
        .await
        .error(400, "PAYLOAD_TOO_LARGE");
    api.post("/messages/batch", &alice, sized(17)).await.ok(200);
    for body in [
        json!({}),
        json!({"messages": null}),
        json!({"messages": {}}),
        json!([]),
    ] {
        api.post("/messages/batch", &alice, body)
            .await
            .error(400, "BAD_REQUEST");
    }
    assert_eq!(relay.stored().len(), 117);
}

#[tokio::test]
async fn each_message_of_a_batch_counts_against_the_rate_limit() {
    let limit = "3/3600s".parse().unwrap();
    let relay = TestRelay::builder().rate_limit(limit).start().await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    let five = [
        message("alice", json!(0)),
        json!({}),
        message("alice", json!(1)),
        message("alice", json!(2)),
        message("alice", json!(3)),
    ];
    let sent = api
        .post("/messages/batch", &alice, batch(five))
        .await
        .ok(200);
    assert_eq!(sent["results"][3].get("code"), None);
    assert_eq!(sent["results"][4]["code"], "RATE_LIMITED");
    let refused = api.post("/messages", &alice, message("alice", json!(4)));
    refused.await.error(429, "RATE_LIMITED");
    assert_eq!(relay.stored().len(), 3);
}

#[tokio::test]
async fn a_batch_that_cannot_be_stored_is_not_stored_in_part() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    relay.fill_disk();
    let large = "x".repeat(60_000);
    let many = || batch((0..17).map(|_| message("alice", json!(large))));
    api.post("/messages/batch", &alice, many())
        .await
        .error(500, "INTERNAL_ERROR");
    assert_eq!(relay.stored().len(), 0);
    relay.empty_disk();
    api.post("/messages/batch", &alice, many()).await.ok(200);
    assert_eq!(relay.stored().len(), 17);
}

#[tokio::test]
async fn many_messages_are_deleted_at_once_and_only_the_callers_own() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let (alice, bob) = (register(&relay, "alice"), register(&relay, "bob"));
    let (first, _) = api.send(&bob, "alice", json!(1)).await;
    let (second, _) = api.send(&bob, "alice", json!(2)).await;
    let (third, _) = api.send(&bob, "alice", json!(3)).await;
    let (foreign, _) = api.send(&alice, "bob", json!(4)).await;
    let ids = json!({"ids": [first, "unknown", second, foreign, first]});
    let done = api.post("/messages/delete", &alice, ids).await.ok(200);
    let missing = json!(["unknown", foreign, first]);
    assert_eq!(done, json!({"deleted": 2, "missing": missing}));
    let left = api.messages("/messages", &alice).await;
    assert_eq!((left.len(), &left[0]["id"]), (1, &json!(third)));
    assert_eq!(api.messages("/messages", &bob).await.len(), 1);
    let many = |count| json!({"ids": vec!["x"; count]});
    api.post("/messages/delete", &alice, many(1000))
        .await
        .ok(200);
    for body in [
        many(1001),
        json!({}),
        json!({"ids": "x"}),
        json!({"ids": [1]}),
    ] {
        api.post("/messages/delete", &alice, body)
            .await
            .error(400, "BAD_REQUEST");
    }
}
