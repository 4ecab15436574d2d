//! How much an inbox may hold.

use ctalk_relay::Quota;
use ctalk_relay::testing::TestRelay;
use serde_json::{Value, json};

use crate::support::{Api, message, register};

fn multicast(to: Value) -> Value {
    json!({"to": to, "type": "request", "encrypted": false, "payload": 1})
}

const THREE_MESSAGES: Quota = Quota {
    messages: 3,
    bytes: 1 << 20,
};

#[tokio::test]
async fn a_full_inbox_takes_nothing_until_something_was_deleted() {
    let relay = TestRelay::builder().quota(THREE_MESSAGES).start().await;
    let api = Api::of(&relay);
    let (alice, bob) = (register(&relay, "alice"), register(&relay, "bob"));
    for number in 0..3 {
        api.send(&bob, "alice", json!(number)).await;
    }
    for _ in 0..2 {
        let refused = api.post("/messages", &bob, message("alice", json!(3)));
        refused.await.error(429, "QUOTA_EXCEEDED");
        // Others are not concerned.
        api.send(&alice, "bob", json!(0)).await;
    }
    let first = &api.messages("/messages?sort=asc", &alice).await[0]["id"];
    let path = format!("/messages/{}", first.as_str().unwrap());
    assert_eq!(api.delete(&path, &alice).await.status, 204);
    api.send(&bob, "alice", json!(3)).await;
    let refused = api.post("/messages", &bob, message("alice", json!(4)));
    refused.await.error(429, "QUOTA_EXCEEDED");
}

#[tokio::test]
async fn a_full_inbox_ends_a_message_that_names_it_and_a_broadcast_goes_past_it() {
    let relay = TestRelay::builder().quota(THREE_MESSAGES).start().await;
    let api = Api::of(&relay);
    let (alice, bob) = (register(&relay, "alice"), register(&relay, "bob"));
    register(&relay, "carol");
    for number in 0..3 {
        api.send(&bob, "alice", json!(number)).await;
    }
    let both = json!(["alice", "carol", "nobody"]);
    let refused = api.post("/messages", &bob, multicast(both)).await;
    refused.error(429, "QUOTA_EXCEEDED");
    assert!(refused.text.contains("alice") && !refused.text.contains("carol"));
    assert_eq!(relay.stored().len(), 3);
    let all = multicast(json!("broadcast"));
    let sent = api.post("/messages", &bob, all).await.ok(201);
    assert_eq!(sent["undelivered"], json!(["alice"]));
    assert_eq!(relay.stored().len(), 4);
    // In a batch it is one message's affair.
    let batch = json!({"messages": [
        message("carol", json!(1)), message("alice", json!(2)), message("carol", json!(3)),
        message("carol", json!(4)),
    ]});
    let sent = api.post("/messages/batch", &bob, batch).await.ok(200);
    let codes: Vec<_> = (0..4)
        .map(|at| sent["results"][at]["code"].clone())
        .collect();
    let full = json!("QUOTA_EXCEEDED");
    assert_eq!(codes, [Value::Null, full.clone(), Value::Null, full]);
    assert_eq!(api.messages("/messages", &alice).await.len(), 3);
}

#[tokio::test]
async fn the_admin_sets_quotas_and_agents_see_their_own() {
    let mut relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let admin = relay.admin_key().to_owned();
    let (alice, bob) = (register(&relay, "alice"), register(&relay, "bob"));
    let usage = api.get("/agents/alice/quota", &alice).await.ok(200);
    let default = json!({
        "messages": 0, "bytes": 0, "maxMessages": 100_000, "maxBytes": 1 << 30,
    });
    assert_eq!(usage, default);
    let limits = json!({"maxMessages": 1});
    let set = api.patch("/agents/alice/quota", &admin, limits).await;
    assert_eq!(set.ok(200)["maxMessages"], 1);
    api.send(&bob, "alice", json!("\u{e9}")).await;
    relay.restart();
    let api = Api::of(&relay);
    let usage = api.get("/agents/alice/quota", &admin).await.ok(200);
    assert_eq!(usage["bytes"], relay.stored()[0].len());
    assert_eq!(usage["messages"], 1);
    assert_eq!(usage["maxBytes"], 1 << 30);
    let full = api.post("/messages", &bob, message("alice", json!(2)));
    full.await.error(429, "QUOTA_EXCEEDED");
    let limits = json!({"maxMessages": 50, "maxBytes": 1});
    api.patch("/agents/alice/quota", &admin, limits)
        .await
        .ok(200);
    let full = api.post("/messages", &bob, message("alice", json!(2)));
    full.await.error(429, "QUOTA_EXCEEDED");
    let limits = json!({"maxBytes": null});
    let set = api.patch("/agents/alice/quota", &admin, limits).await;
    let set = set.ok(200);
    assert_eq!(
        (&set["maxMessages"], &set["maxBytes"]),
        (&json!(50), &json!(1 << 30))
    );
    api.send(&bob, "alice", json!(2)).await;
    // What no limit can be is none.
    let limits = json!({"maxMessages": u64::MAX, "maxBytes": i64::MAX});
    let set = api.patch("/agents/alice/quota", &admin, limits).await;
    let set = set.ok(200);
    assert_eq!((set.get("maxMessages"), set.get("maxBytes")), (None, None));
    for limit in [json!(-1), json!(1.5), json!("x"), json!(true)] {
        let bad = json!({"maxBytes": limit});
        let refused = api.patch("/agents/alice/quota", &admin, bad).await;
        refused.error(400, "BAD_REQUEST");
    }
    api.get("/agents/alice/quota", &bob)
        .await
        .error(403, "FORBIDDEN");
    api.get("/agents/nobody/quota", &admin)
        .await
        .error(404, "NOT_FOUND");
}
