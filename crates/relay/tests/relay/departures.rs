//! Looking one agent up, and deleting agents.

use ctalk_relay::testing::TestRelay;
use serde_json::{Value, json};

use crate::support::{Api, KEY, OTHER_KEY, message, register, text};

#[tokio::test]
async fn one_agent_is_looked_up_in_any_letter_case_and_shows_what_the_directory_shows() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    let bob = register(&relay, "Bob");
    let body = json!({"capabilities": ["a"], "webhookUrl": "http://127.0.0.1:9/secret-hook"});
    api.patch("/agents/Bob", &bob, body).await.ok(200);
    let listed = api.agent(&alice, "Bob").await;
    for path in ["/agents/Bob", "/agents/bOB", "/agents/%42ob"] {
        for key in [&alice, &bob, relay.admin_key()] {
            assert_eq!(api.get(path, key).await.ok(200), listed);
        }
    }
    for path in ["/agents/nobody", "/agents/B", "/agents/Bob%20"] {
        api.get(path, &alice).await.error(404, "NOT_FOUND");
    }
    let broken = api.get("/agents/%zz", &alice).await;
    broken.error(400, "BAD_REQUEST");
}

#[tokio::test]
async fn an_agent_is_deleted_by_itself_and_by_the_admin_and_by_nobody_else() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let admin = relay.admin_key();
    let (alice, bob) = (register(&relay, "alice"), register(&relay, "bob"));
    register(&relay, "carol");
    for path in ["/agents/bob", "/agents/Alice", "/agents/nobody"] {
        api.delete(path, &alice).await.error(403, "FORBIDDEN");
    }
    for path in ["/agents/Bob", "/agents/nobody"] {
        api.delete(path, admin).await.error(404, "NOT_FOUND");
    }
    let done = api.delete("/agents/alice", &alice).await.ok(200);
    assert_eq!(done, json!({"name": "alice", "deleted": true}));
    let done = api.delete("/agents/carol", admin).await.ok(200);
    assert_eq!(done, json!({"name": "carol", "deleted": true}));
    api.delete("/agents/carol", admin)
        .await
        .error(404, "NOT_FOUND");
    let left = api.get("/agents", &bob).await.ok(200);
    assert_eq!(left.as_array().unwrap().len(), 1);
    assert_eq!(left[0]["name"], "bob");
}

#[tokio::test]
async fn a_deleted_agent_leaves_no_key_entry_inbox_or_count_also_after_a_restart() {
    let mut relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let admin = relay.admin_key().to_owned();
    let (alice, bob) = (register(&relay, "alice"), register(&relay, "bob"));
    let to_both = json!({
        "to": ["alice", "bob"], "type": "request", "encrypted": false, "payload": "to both",
    });
    api.post("/messages", &bob, to_both).await.ok(201);
    api.send(&bob, "alice", json!("to alice")).await;
    api.send(&alice, "bob", json!("from alice")).await;
    api.delete("/agents/alice", &alice).await.ok(200);
    for _ in 0..2 {
        let api = Api::of(&relay);
        api.get("/messages", &alice)
            .await
            .error(401, "UNAUTHORIZED");
        api.get("/agents/alice", &bob).await.error(404, "NOT_FOUND");
        let health = api.call("GET", "/health", None, None).await.ok(200);
        assert_eq!(health["agents"], 1);
        // Her own copies are gone, the ones she sent are not.
        let copies = api.messages("/messages", &admin).await;
        let kept: Vec<_> = copies.iter().map(|copy| &copy["payload"]).collect();
        assert_eq!(kept, ["from alice", "to both"]);
        assert!(copies.iter().all(|copy| copy["to"] == "bob"));
        // Nothing reaches the name any more.
        let sent = api.post("/messages", &bob, message("alice", json!(1)));
        sent.await.ok(201);
        let alone = api.post("/messages", &bob, message("broadcast", json!(1)));
        alone.await.error(400, "BAD_REQUEST");
        assert_eq!(relay.stored().len(), 2);
        relay.restart();
    }
}

#[tokio::test]
async fn a_large_inbox_goes_with_its_agent() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let (alice, bob) = (register(&relay, "alice"), register(&relay, "bob"));
    // More than is deleted in one go.
    for number in 0..1100 {
        relay.inject("alice", &format!("{{\"id\":\"{number}\"}}"));
    }
    api.send(&alice, "bob", json!("stays")).await;
    api.delete("/agents/alice", &alice).await.ok(200);
    assert_eq!(relay.stored().len(), 1);
    assert_eq!(api.messages("/messages", &bob).await.len(), 1);
}

#[tokio::test]
async fn no_invite_gives_the_name_of_a_deleted_agent_to_somebody_else_but_the_admin_may() {
    let mut relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let admin = relay.admin_key().to_owned();
    let alice = register(&relay, "Alice");
    register(&relay, "bob");
    api.delete("/agents/Alice", &alice).await.ok(200);
    relay.restart();
    let api = Api::of(&relay);
    let invite = api.post("/invites", &admin, json!({"maxUses": 1})).await;
    let code = text(&invite.ok(201)["code"]);
    let with_invite = |name: &str| json!({"invite": code, "name": name});
    for name in ["Alice", "aLICE"] {
        let body = Some(with_invite(name).to_string());
        let refused = api.call("POST", "/register", None, body).await;
        refused.error(409, "CONFLICT");
    }
    // The refusals used nothing up.
    let carol = Some(with_invite("carol").to_string());
    api.call("POST", "/register", None, carol).await.ok(201);
    let again = json!({"name": "alice", "owner": "o", "publicKey": KEY, "signingKey": OTHER_KEY});
    let made = api.post("/agents", &admin, again.clone()).await.ok(201);
    let again = api.post("/agents", &admin, again).await;
    again.error(409, "CONFLICT");
    // Whoever has the name now has nothing of what was there before.
    let new = text(&made["apiKey"]);
    assert_eq!(api.messages("/messages", &new).await, Vec::<Value>::new());
    api.get("/messages", &alice)
        .await
        .error(401, "UNAUTHORIZED");
}
