//! Items 6 to 9.

use std::collections::HashSet;

use ctalk_relay::testing::TestRelay;
use serde_json::json;

use crate::support::{Api, KEY, OTHER_KEY, message, register, text};

const AGENT_ROUTES: [(&str, &str); 7] = [
    ("POST", "/audit"),
    ("GET", "/agents"),
    ("POST", "/messages"),
    ("POST", "/messages/batch"),
    ("POST", "/messages/delete"),
    ("DELETE", "/messages/x"),
    ("GET", "/channels"),
];
const ADMIN_ROUTES: [(&str, &str); 9] = [
    ("GET", "/admin/agents"),
    ("GET", "/audit"),
    ("DELETE", "/audit"),
    ("PATCH", "/agents/alice/quota"),
    ("DELETE", "/agents/alice/key"),
    ("POST", "/agents"),
    ("POST", "/invites"),
    ("GET", "/invites"),
    ("DELETE", "/invites/x"),
];
const SHARED_ROUTES: [(&str, &str); 9] = [
    ("GET", "/agents/alice/quota"),
    ("POST", "/agents/alice/key"),
    ("POST", "/agents/alice/webhook-secret"),
    ("GET", "/agents/alice"),
    ("PATCH", "/agents/alice"),
    ("DELETE", "/agents/alice"),
    ("GET", "/messages"),
    ("GET", "/messages/stream"),
    ("GET", "/webhooks"),
];

#[tokio::test]
async fn item_06_missing_malformed_and_unknown_keys_are_401_on_every_protected_route() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    let bare = alice.strip_prefix("ct_").unwrap();
    let mut headers = vec![None];
    for header in [
        format!("Basic {alice}"),
        format!("bearer {alice}"),
        format!("BEARER {alice}"),
        format!("Bearer  {alice}"),
        format!("Bearer {alice}x"),
        format!("Bearer {bare}"),
        "Bearer ct_unknown".to_owned(),
        "Bearer ".to_owned(),
        "Bearer".to_owned(),
        alice.clone(),
        format!("bearer {}", relay.admin_key()),
    ] {
        headers.push(Some(header));
    }
    for (method, path) in AGENT_ROUTES
        .into_iter()
        .chain(ADMIN_ROUTES)
        .chain(SHARED_ROUTES)
    {
        for header in &headers {
            let answer = api.call_with(method, path, header.as_deref(), None).await;
            assert_eq!(answer.status, 401, "{method} {path} {header:?}");
            answer.error(401, "UNAUTHORIZED");
        }
    }
}

#[tokio::test]
async fn item_07_a_wrong_key_is_401_whatever_the_body() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    for path in ["/messages", "/agents", "/invites"] {
        for body in ["", "junk", "null", &"x".repeat(70_000)] {
            let answer = api
                .call("POST", path, Some("ct_no"), Some(body.to_owned()))
                .await;
            answer.error(401, "UNAUTHORIZED");
        }
    }
    let answer = api
        .call("PATCH", "/agents/%zz", None, Some("junk".to_owned()))
        .await;
    answer.error(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn item_08_admin_and_agent_keys_are_not_interchangeable() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    for (method, path) in AGENT_ROUTES {
        let answer = api.call(method, path, Some(relay.admin_key()), None).await;
        answer.error(401, "UNAUTHORIZED");
    }
    for (method, path) in ADMIN_ROUTES {
        let answer = api.call(method, path, Some(&alice), None).await;
        answer.error(401, "UNAUTHORIZED");
    }
    for key in [relay.admin_key(), &alice] {
        api.get("/messages", key).await.ok(200);
        api.patch("/agents/alice", key, json!({})).await.ok(200);
    }
}

#[tokio::test]
async fn item_09_issued_keys_are_random_and_shown_once() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let admin = relay.admin_key();
    let mut keys = Vec::new();
    for number in 0..5 {
        let body = json!({
            "name": format!("agent-{number}"), "owner": "o", "publicKey": KEY, "signingKey": OTHER_KEY,
        });
        keys.push(text(
            &api.post("/agents", admin, body).await.ok(201)["apiKey"],
        ));
    }
    for key in &keys {
        let random = key.strip_prefix("ct_").unwrap();
        assert_eq!(random.len(), 43);
        let alphabet = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        assert!(random.bytes().all(alphabet), "{key}");
    }
    assert_eq!(keys.iter().collect::<HashSet<_>>().len(), keys.len());
    let first = &keys[0];
    let answers = [
        api.get("/agents", first).await,
        api.patch("/agents/agent-0", first, json!({})).await,
        api.post("/messages", first, message("agent-0", json!(1)))
            .await,
        api.get("/messages", first).await,
        api.get("/messages", admin).await,
        api.get("/invites", admin).await,
        api.get("/health", first).await,
    ];
    for answer in answers {
        assert!(answer.status < 300);
        for key in &keys {
            assert!(!answer.text.contains(key.as_str()), "{answer:?}");
        }
    }
    for file in std::fs::read_dir(relay.folder()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        for key in &keys {
            let found = bytes
                .windows(key.len())
                .any(|window| window == key.as_bytes());
            assert!(!found, "a key is on disk in the clear");
        }
    }
}
