//! Items 10 to 16.

use std::time::Duration;

use ctalk_relay::ManualClock;
use ctalk_relay::testing::TestRelay;
use serde_json::{Value, json};

use crate::support::{Api, KEY, OTHER_KEY, register, text};

fn registration(name: &str) -> Value {
    json!({"name": name, "owner": "o", "publicKey": KEY, "signingKey": OTHER_KEY})
}

#[tokio::test]
async fn item_10_health_counts_agents_without_a_key() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    for number in 0..3 {
        let health = api.call("GET", "/health", None, None).await.ok(200);
        assert_eq!(health["status"], "ok");
        assert_eq!(health["agents"], number);
        assert_iso(&health["ts"]);
        register(&relay, &format!("agent-{number}"));
    }
}

#[track_caller]
fn assert_iso(ts: &Value) {
    let ts = text(ts);
    let shape: String = ts
        .chars()
        .map(|character| {
            if character.is_ascii_digit() {
                '0'
            } else {
                character
            }
        })
        .collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000Z");
}

#[tokio::test]
async fn item_11_agents_are_registered_by_the_admin() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let admin = relay.admin_key();
    let made = api
        .post("/agents", admin, registration("alice"))
        .await
        .ok(201);
    assert_eq!(made["name"], "alice");
    api.get("/messages", &text(&made["apiKey"])).await.ok(200);
    for field in ["name", "owner", "publicKey", "signingKey"] {
        for bad in [
            None,
            Some(json!("")),
            Some(Value::Null),
            Some(json!(0)),
            Some(json!(false)),
        ] {
            let mut body = registration("bob");
            match bad {
                None => body.as_object_mut().unwrap().remove(field),
                Some(value) => body
                    .as_object_mut()
                    .unwrap()
                    .insert(field.to_owned(), value),
            };
            api.post("/agents", admin, body)
                .await
                .error(400, "BAD_REQUEST");
        }
    }
    for junk in ["", "junk", "[]", "{\"name\":", "\"text\""] {
        let answer = api
            .call("POST", "/agents", Some(admin), Some(junk.to_owned()))
            .await;
        answer.error(400, "BAD_REQUEST");
    }
    let again = api.post("/agents", admin, registration("alice")).await;
    again.error(409, "CONFLICT");
    // The first one's key still works and nothing else was registered.
    let alice = text(&made["apiKey"]);
    let agents = api.get("/agents", &alice).await.ok(200);
    assert_eq!(agents.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn item_12_confusable_names_and_malformed_keys_are_refused() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let admin = relay.admin_key();
    api.post("/agents", admin, registration("Alice"))
        .await
        .ok(201);
    api.post("/agents", admin, registration("aLICE"))
        .await
        .error(409, "CONFLICT");
    let long = "a".repeat(33);
    for name in [
        "broadcast",
        "Broadcast",
        "a",
        "a b",
        "a/b",
        "\u{e9}t\u{e9}",
        "a\n",
        &long,
    ] {
        let answer = api.post("/agents", admin, registration(name)).await;
        answer.error(400, "BAD_REQUEST");
    }
    api.post("/agents", admin, registration(&"a".repeat(32)))
        .await
        .ok(201);
    let unpadded = KEY.trim_end_matches('=');
    let url_safe = KEY.replace('/', "_");
    let spaced = format!(" {KEY}");
    for key in [
        "junk",
        unpadded,
        &url_safe,
        &spaced,
        "AAAA",
        &"A".repeat(44),
        &"A".repeat(60_000),
    ] {
        for field in ["publicKey", "signingKey"] {
            let mut body = registration("bob");
            body[field] = json!(key);
            api.post("/agents", admin, body)
                .await
                .error(400, "BAD_REQUEST");
        }
    }
    for (field, value) in [
        ("capabilities", json!("x")),
        ("capabilities", json!([1])),
        ("capabilities", json!(vec!["x"; 65])),
        ("capabilities", json!(["x".repeat(16_385)])),
        ("webhookUrl", json!(5)),
        ("webhookUrl", json!("ftp://example.org/")),
        ("webhookUrl", json!("/relative")),
        (
            "webhookUrl",
            json!(format!("http://example.org/{}", "x".repeat(2048))),
        ),
        ("owner", json!("x".repeat(257))),
    ] {
        let mut body = registration("bob");
        body[field] = value;
        api.post("/agents", admin, body)
            .await
            .error(400, "BAD_REQUEST");
    }
    let mut body = registration("bob");
    body["capabilities"] = json!(["x".repeat(16_384)]);
    body["webhookUrl"] = json!("https://example.org:8443/hook?x=1");
    body["owner"] = json!("x".repeat(256));
    api.post("/agents", admin, body).await.ok(201);
}

#[tokio::test]
async fn item_13_the_directory_lists_everybody_and_nothing_private() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let admin = relay.admin_key();
    let mut body = registration("zoe");
    body["capabilities"] = json!(["a", "b"]);
    body["webhookUrl"] = json!("http://127.0.0.1:9/secret-hook");
    let zoe = text(&api.post("/agents", admin, body).await.ok(201)["apiKey"]);
    api.post("/agents", admin, registration("adam"))
        .await
        .ok(201);
    let answer = api.get("/agents", &zoe).await;
    let agents = answer.ok(200);
    assert_eq!(agents.as_array().unwrap().len(), 2);
    let members =
        |agent: &Value| -> Vec<String> { agent.as_object().unwrap().keys().cloned().collect() };
    // Registration order, and the caller among them.
    assert_eq!(agents[0]["name"], "zoe");
    assert_eq!(
        members(&agents[0]),
        [
            "capabilities",
            "lastSeen",
            "name",
            "online",
            "publicKey",
            "signingKey"
        ]
    );
    assert_eq!(agents[0]["capabilities"], json!(["a", "b"]));
    assert_eq!(agents[0]["publicKey"], KEY);
    assert_eq!(agents[0]["signingKey"], OTHER_KEY);
    assert_eq!(agents[1]["name"], "adam");
    assert_eq!(
        members(&agents[1]),
        ["lastSeen", "name", "online", "publicKey", "signingKey"]
    );
    assert_iso(&agents[1]["lastSeen"]);
    assert!(!answer.text.contains("secret-hook"));
}

#[tokio::test]
async fn item_14_agents_and_the_admin_patch_records() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let (alice, bob) = (register(&relay, "alice"), register(&relay, "Bob"));
    let admin = relay.admin_key();
    for key in [&alice, admin] {
        for body in [json!({}), json!({"name": "eve", "owner": 5, "colour": [1]})] {
            let done = api.patch("/agents/alice", key, body).await.ok(200);
            assert_eq!(done, json!({"name": "alice", "updated": true}));
        }
    }
    let done = api.patch("/agents/%42ob", &bob, json!({})).await.ok(200);
    assert_eq!(done, json!({"name": "Bob", "updated": true}));
    api.patch("/agents/Bob", &alice, json!({}))
        .await
        .error(403, "FORBIDDEN");
    api.patch("/agents/bob", &bob, json!({}))
        .await
        .error(403, "FORBIDDEN");
    api.patch("/agents/nobody", &alice, json!({}))
        .await
        .error(403, "FORBIDDEN");
    api.patch("/agents/nobody", admin, json!({}))
        .await
        .error(404, "NOT_FOUND");
    api.patch("/agents/bob", admin, json!({}))
        .await
        .error(404, "NOT_FOUND");
    for junk in ["", "junk", "[]"] {
        let answer = api
            .call(
                "PATCH",
                "/agents/alice",
                Some(&alice),
                Some(junk.to_owned()),
            )
            .await;
        answer.error(400, "BAD_REQUEST");
    }
    for body in [
        json!({"publicKey": null}),
        json!({"publicKey": ""}),
        json!({"publicKey": "junk"}),
        json!({"signingKey": 5}),
        json!({"capabilities": "x"}),
        json!({"webhookUrl": "junk"}),
        // One bad member and nothing of the others is taken.
        json!({"capabilities": ["taken"], "signingKey": "junk"}),
    ] {
        api.patch("/agents/alice", &alice, body)
            .await
            .error(400, "BAD_REQUEST");
    }
    let record = api.agent(&alice, "alice").await;
    assert_eq!(record["publicKey"], KEY);
    assert_eq!(record["signingKey"], OTHER_KEY);
    assert_eq!(record.get("capabilities"), None);
    for url in [json!("http://127.0.0.1:9/"), Value::Null] {
        let body = json!({"webhookUrl": url});
        api.patch("/agents/alice", &alice, body).await.ok(200);
    }
}

#[tokio::test]
async fn item_15_a_patch_is_visible_at_once() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let (alice, bob) = (register(&relay, "alice"), register(&relay, "bob"));
    for (public, signing) in [(OTHER_KEY, KEY), (KEY, OTHER_KEY)] {
        let body = json!({"publicKey": public, "signingKey": signing, "capabilities": [public]});
        api.patch("/agents/alice", &alice, body).await.ok(200);
        let record = api.agent(&bob, "alice").await;
        assert_eq!(record["publicKey"], public);
        assert_eq!(record["signingKey"], signing);
        assert_eq!(record["capabilities"], json!([public]));
    }
    // A member that is left out stays, and null removes capabilities.
    api.patch("/agents/alice", &alice, json!({"capabilities": null}))
        .await
        .ok(200);
    let record = api.agent(&bob, "alice").await;
    assert_eq!(record.get("capabilities"), None);
    assert_eq!(record["publicKey"], KEY);
}

const NOON: i64 = 1_774_094_400_000;

#[tokio::test]
async fn item_16_presence_follows_sending_polling_and_patching_only() {
    let clock = ManualClock::new(NOON);
    let mut relay = TestRelay::builder().clock(clock.clone()).start().await;
    let api = Api::of(&relay);
    let (alice, bob) = (register(&relay, "alice"), register(&relay, "bob"));
    let seen = async || text(&api.agent(&bob, "alice").await["lastSeen"]);
    let online = async || api.agent(&bob, "alice").await["online"].clone();
    assert_eq!(online().await, true);
    clock.advance(Duration::from_millis(299_999));
    assert_eq!(online().await, true, "4:59");
    clock.advance(Duration::from_millis(1));
    assert_eq!(online().await, false, "5:00");
    assert_eq!(seen().await, "2026-03-21T12:00:00.000Z");

    let (id, _) = api.send(&bob, "alice", json!(1)).await;
    api.get("/agents", &alice).await.ok(200);
    api.get("/channels", &alice).await.ok(200);
    assert_eq!(
        api.delete(&format!("/messages/{id}"), &alice).await.status,
        204
    );
    api.post("/messages", &alice, json!({}))
        .await
        .error(400, "BAD_REQUEST");
    assert_eq!(
        seen().await,
        "2026-03-21T12:00:00.000Z",
        "nothing of that counts"
    );

    api.get("/messages", &alice).await.ok(200);
    assert_eq!(
        seen().await,
        "2026-03-21T12:05:00.000Z",
        "an empty poll counts"
    );
    clock.advance(Duration::from_secs(60));
    api.send(&alice, "bob", json!(1)).await;
    assert_eq!(seen().await, "2026-03-21T12:06:00.000Z", "sending counts");
    clock.advance(Duration::from_secs(60));
    api.send(&alice, "nobody", json!(1)).await;
    assert_eq!(seen().await, "2026-03-21T12:07:00.000Z", "even to nobody");
    clock.advance(Duration::from_secs(60));
    api.patch("/agents/alice", &alice, json!({})).await.ok(200);
    assert_eq!(seen().await, "2026-03-21T12:08:00.000Z", "patching counts");

    clock.set(NOON);
    api.get("/messages", &alice).await.ok(200);
    assert_eq!(
        seen().await,
        "2026-03-21T12:08:00.000Z",
        "it never moves backwards"
    );
    relay.restart();
    let api = Api::of(&relay);
    let seen = text(&api.agent(&bob, "alice").await["lastSeen"]);
    assert_eq!(seen, "2026-03-21T12:08:00.000Z", "and outlives a restart");
}
