//! Item 47.

use ctalk_relay::testing::TestRelay;
use serde_json::json;

use crate::support::{Api, message, register};
use crate::target::{Reply, Target, set_webhook};

#[tokio::test]
async fn item_47_each_stored_copy_is_posted_once_as_it_is_listed() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let (alice, bob) = (register(&relay, "alice"), register(&relay, "bob"));
    let mut target = Target::start(Reply::Status(204)).await;
    let hook = format!("{}/hook?for=bob", target.url);
    set_webhook(&api, "bob", &bob, &hook).await;
    let mut body = message("bob", json!({"text": "\u{e9} \u{2028}", "n": [1.0, 1e300]}));
    for (member, value) in [
        ("topic", "t"),
        ("nonce", "n"),
        ("signature", "s"),
        ("ttl", "9"),
    ] {
        body[member] = match member {
            "ttl" => json!(9),
            _ => json!(value),
        };
    }
    let mut bodies = vec![body];
    for to in [
        json!("BOB"),
        json!(["bob", "Bob", "nobody", "bob"]),
        json!("broadcast"),
    ] {
        let mut body = message("", json!(1));
        body["to"] = to;
        bodies.push(body);
    }
    for body in bodies {
        api.post("/messages", &alice, body).await.ok(201);
        let post = target.next().await;
        assert_eq!(post.path, "/hook?for=bob");
        assert_eq!(post.header("content-type"), "application/json");
        let posted = std::str::from_utf8(&post.body).unwrap();
        assert_eq!(relay.stored().last().unwrap(), posted);
    }
    // A message to somebody else, and one after the webhook was removed.
    api.send(&bob, "alice", json!(1)).await;
    let removed = api.patch("/agents/bob", &bob, json!({"webhookUrl": null}));
    removed.await.ok(200);
    api.send(&alice, "bob", json!(2)).await;
    let hook = format!("{}/again", target.url);
    set_webhook(&api, "bob", &bob, &hook).await;
    api.send(&alice, "bob", json!(3)).await;
    assert_eq!(target.next().await.json()["payload"], 3);
    target.assert_quiet();
}

#[tokio::test]
async fn item_47_a_dead_slow_or_failing_target_changes_nothing_for_sender_and_inbox() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let (alice, bob) = (register(&relay, "alice"), register(&relay, "bob"));
    let mut slow = Target::start(Reply::Nothing).await;
    let mut failing = Target::start(Reply::Status(500)).await;
    let dead = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    for (number, url) in [&dead, &slow.url, &failing.url].into_iter().enumerate() {
        set_webhook(&api, "bob", &bob, url).await;
        // The slow target never answers, so a send that waited for it would not end in time.
        let sent = api.post("/messages", &alice, message("bob", json!(number)));
        sent.await.ok(201);
        let listed = api.messages("/messages", &bob).await;
        assert_eq!(listed.len(), number + 1);
        assert_eq!(listed[0]["payload"], number);
    }
    assert_eq!(failing.next().await.json()["payload"], 2);
    // It is cut off as soon as the webhook leads elsewhere, perhaps before it was reached.
    slow.answer(Reply::Status(204));
    while let Some(post) = slow.try_next() {
        assert_eq!(post.json()["payload"], 1);
    }
}
