//! Replacing and revoking API keys.

use ctalk_relay::testing::TestRelay;
use serde_json::json;

use crate::support::{Answer, Api, register, text, until_waiting};

#[track_caller]
fn key_in(answer: &Answer, name: &str) -> String {
    let made = answer.ok(201);
    assert_eq!(made["name"], name);
    text(&made["apiKey"])
}

#[tokio::test]
async fn a_replaced_key_is_new_and_the_old_one_ends_at_once_and_for_good() {
    let mut relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let admin = relay.admin_key().to_owned();
    let (alice, bob) = (register(&relay, "alice"), register(&relay, "bob"));
    api.send(&bob, "alice", json!("kept")).await;
    let second = key_in(
        &api.post("/agents/alice/key", &alice, json!({})).await,
        "alice",
    );
    let third = key_in(
        &api.post("/agents/alice/key", &admin, json!({})).await,
        "alice",
    );
    assert!(second.starts_with("ct_") && second.len() == 46);
    for _ in 0..2 {
        let api = Api::of(&relay);
        for old in [&alice, &second] {
            api.get("/messages", old).await.error(401, "UNAUTHORIZED");
            let again = api.post("/agents/alice/key", old, json!({})).await;
            again.error(401, "UNAUTHORIZED");
        }
        assert_eq!(api.messages("/messages", &third).await.len(), 1);
        api.get("/messages", &bob).await.ok(200);
        relay.restart();
    }
}

#[tokio::test]
async fn nobody_replaces_or_revokes_another_agents_key() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let admin = relay.admin_key();
    let (alice, bob) = (register(&relay, "alice"), register(&relay, "bob"));
    for path in ["/agents/bob/key", "/agents/Alice/key", "/agents/nobody/key"] {
        let refused = api.post(path, &alice, json!({})).await;
        refused.error(403, "FORBIDDEN");
        api.delete(path, &alice).await.error(401, "UNAUTHORIZED");
    }
    for path in ["/agents/Bob/key", "/agents/nobody/key"] {
        let refused = api.post(path, admin, json!({})).await;
        refused.error(404, "NOT_FOUND");
        api.delete(path, admin).await.error(404, "NOT_FOUND");
    }
    api.get("/messages", &bob).await.ok(200);
    api.delete("/agents/alice/key", &alice)
        .await
        .error(401, "UNAUTHORIZED");
    api.get("/messages", &alice).await.ok(200);
}

#[tokio::test]
async fn a_revoked_key_admits_nobody_until_the_admin_makes_another() {
    let mut relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let admin = relay.admin_key().to_owned();
    let (alice, bob) = (register(&relay, "alice"), register(&relay, "bob"));
    let done = api.delete("/agents/alice/key", &admin).await.ok(200);
    assert_eq!(done, json!({"name": "alice", "revoked": true}));
    api.send(&bob, "alice", json!("meanwhile")).await;
    relay.restart();
    let api = Api::of(&relay);
    api.get("/messages", &alice)
        .await
        .error(401, "UNAUTHORIZED");
    let new = key_in(
        &api.post("/agents/%61lice/key", &admin, json!({})).await,
        "alice",
    );
    assert_eq!(api.messages("/messages", &new).await.len(), 1);
}

#[tokio::test]
async fn whoever_waits_with_a_key_is_dismissed_when_the_key_ends() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let (alice, bob) = (register(&relay, "alice"), register(&relay, "bob"));
    let poll = {
        let (api, alice) = (api.clone(), alice.clone());
        tokio::spawn(async move { api.get("/messages?wait=60", &alice).await })
    };
    let stream = api.stream("", &alice, None).await;
    until_waiting(&relay, "alice", 2).await;
    let new = key_in(
        &api.post("/agents/alice/key", &alice, json!({})).await,
        "alice",
    );
    poll.await.unwrap().error(401, "UNAUTHORIZED");
    assert_eq!(stream.text().await.unwrap(), ":\n\n");
    api.send(&bob, "alice", json!("for the new key")).await;
    assert_eq!(api.messages("/messages", &new).await.len(), 1);
}

#[tokio::test]
async fn of_those_who_replace_one_key_at_once_exactly_one_succeeds() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    let tries: Vec<_> = (0..20)
        .map(|_| {
            let (api, alice) = (api.clone(), alice.clone());
            tokio::spawn(async move { api.post("/agents/alice/key", &alice, json!({})).await })
        })
        .collect();
    let mut made = Vec::new();
    for attempt in tries {
        let answer = attempt.await.unwrap();
        if answer.status == 201 {
            made.push(key_in(&answer, "alice"));
        } else {
            answer.error(401, "UNAUTHORIZED");
        }
    }
    assert_eq!(made.len(), 1);
    api.get("/messages", &made[0]).await.ok(200);
}
