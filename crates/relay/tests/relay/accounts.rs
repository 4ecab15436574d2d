//! Agents as their operator sees them.

use std::time::Duration;

use ctalk_relay::testing::TestRelay;
use ctalk_relay::{ManualClock, Quota};
use serde_json::json;

use crate::support::{Api, KEY, register};

const NOON: i64 = 1_774_094_400_000;

#[tokio::test]
async fn the_operator_sees_every_agent_with_owner_presence_and_what_its_inbox_holds() {
    let clock = ManualClock::new(NOON);
    let quota = Quota {
        bytes: u64::MAX,
        ..Quota::default()
    };
    let relay = TestRelay::builder().clock(clock.clone()).quota(quota);
    let relay = relay.start().await;
    let (api, admin) = (Api::of(&relay), relay.admin_key());
    let listed = api.get("/admin/agents", admin).await.ok(200);
    assert_eq!(listed, json!([]));
    let body = json!({"name": "bob", "owner": "Olga", "publicKey": KEY, "signingKey": KEY});
    let bob = api.post("/agents", admin, body).await.ok(201);
    let bob = bob["apiKey"].as_str().unwrap().to_owned();
    let gone = register(&relay, "gone");
    api.delete("/agents/gone", &gone).await.ok(200);
    clock.advance(Duration::from_secs(300));
    let alice = register(&relay, "alice");
    api.send(&alice, "bob", json!(1)).await;
    let limits = json!({"maxMessages": 7});
    api.patch("/agents/bob/quota", admin, limits).await.ok(200);
    let bytes = relay.stored()[0].len();
    let listed = api.get("/admin/agents", admin).await.ok(200);
    let mut expected = json!([
        {
            "name": "bob", "owner": "Olga", "createdAt": "2026-03-21T12:00:00.000Z",
            "online": false, "lastSeen": "2026-03-21T12:00:00.000Z",
            "messages": 1, "bytes": bytes, "maxMessages": 7,
        },
        {
            "name": "alice", "owner": "test", "createdAt": "2026-03-21T12:05:00.000Z",
            "online": true, "lastSeen": "2026-03-21T12:05:00.000Z",
            "messages": 0, "bytes": 0, "maxMessages": 100_000,
        },
    ]);
    assert_eq!(listed, expected);
    // What was not saved yet counts, too.
    api.get("/messages", &bob).await.ok(200);
    expected[0]["online"] = json!(true);
    expected[0]["lastSeen"] = json!("2026-03-21T12:05:00.000Z");
    let listed = api.get("/admin/agents", admin).await.ok(200);
    assert_eq!(listed, expected);
}
