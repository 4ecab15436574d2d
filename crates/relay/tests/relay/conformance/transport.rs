//! Items 1 to 5.

use ctalk_relay::testing::TestRelay;
use serde_json::json;

use crate::support::{Answer, Api, message, register};

#[track_caller]
fn assert_cors(answer: &Answer) {
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    let methods = answer.header("access-control-allow-methods");
    for method in ["GET", "POST", "PATCH", "DELETE", "OPTIONS"] {
        assert!(methods.contains(method), "{method} in {methods}");
    }
    let headers = answer.header("access-control-allow-headers");
    for header in ["Authorization", "Content-Type", "Cache-Control"] {
        assert!(headers.contains(header), "{header} in {headers}");
    }
}

#[tokio::test]
async fn item_01_options_is_204_on_known_and_unknown_paths() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    for path in ["/messages", "/agents/x", "/health", "/nowhere", "/a/b/c/"] {
        let answer = api.call("OPTIONS", path, None, None).await;
        assert_eq!(answer.status, 204, "{path}");
        assert_eq!(answer.text, "");
        assert_cors(&answer);
        assert_eq!(answer.header("cache-control"), "");
    }
}

#[tokio::test]
async fn item_02_every_answer_has_cors_headers_and_is_not_stored() {
    let limit = "2/3600s".parse().unwrap();
    let relay = TestRelay::builder().rate_limit(limit).start().await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    let sent = api
        .post("/messages", &alice, message("alice", json!(1)))
        .await;
    let path = format!("/messages/{}", sent.json()["id"].as_str().unwrap());
    let mut answers = vec![
        (200, api.get("/health", "").await),
        (201, sent),
        (204, api.delete(&path, &alice).await),
        (400, api.post("/messages", &alice, json!({})).await),
        (401, api.get("/agents", "ct_no").await),
        (404, api.get("/nowhere", &alice).await),
    ];
    api.send(&alice, "alice", json!(2)).await;
    let refused = api
        .post("/messages", &alice, message("alice", json!(3)))
        .await;
    answers.push((429, refused));
    for (status, answer) in answers {
        assert_eq!(answer.status, status, "{answer:?}");
        assert_cors(&answer);
        assert_eq!(
            answer.header("cache-control"),
            "no-store, no-cache, must-revalidate"
        );
        assert_eq!(answer.header("pragma"), "no-cache");
    }
}

#[tokio::test]
async fn item_03_unknown_paths_and_wrong_methods_are_404() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    for (method, path) in [
        ("GET", "/nowhere"),
        ("GET", "/health/"),
        ("GET", "//health"),
        ("GET", "/Health"),
        ("GET", "/AGENTS"),
        ("GET", "/messages/"),
        ("PUT", "/messages"),
        ("PUT", "/agents/x"),
        ("GET", "/messages/x"),
        ("DELETE", "/agents"),
        ("GET", "/register"),
        ("POST", "/health"),
    ] {
        let answer = api.call(method, path, Some(&alice), None).await;
        assert_eq!(answer.status, 404, "{method} {path}");
        answer.error(404, "NOT_FOUND");
    }
    let head = api.call("HEAD", "/health", None, None).await;
    assert_eq!(head.status, 404);
}

#[tokio::test]
async fn item_04_content_types_unknown_members_and_parameters_change_nothing() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    // Every body of these tests is sent as text/plain.
    let mut body = message("alice", json!("hi"));
    body["colour"] = json!({"deep": [1, 2]});
    api.post("/messages?x=1", &alice, body).await.ok(201);
    let page = api.get("/messages?_t=1&colour=red", &alice).await.ok(200);
    assert_eq!(page["count"], 1);
    assert_eq!(page["messages"][0]["payload"], "hi");
    assert_eq!(page["messages"][0].get("colour"), None);
}

#[tokio::test]
async fn item_05_null_bodies_numeric_recipients_and_broken_escapes_are_4xx() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    let admin = relay.admin_key();
    for (method, path, key) in [
        ("POST", "/messages", alice.as_str()),
        ("POST", "/agents", admin),
        ("PATCH", "/agents/alice", &alice),
        ("POST", "/invites", admin),
        ("POST", "/register", ""),
    ] {
        let answer = api
            .call(method, path, Some(key), Some("null".to_owned()))
            .await;
        answer.error(400, "BAD_REQUEST");
    }
    for to in [
        json!(5),
        json!({"a": 1}),
        json!([1]),
        json!(true),
        json!(["alice", null]),
    ] {
        let mut body = message("", json!("hi"));
        body["to"] = to;
        api.post("/messages", &alice, body)
            .await
            .error(400, "BAD_REQUEST");
    }
    for path in ["/agents/%zz", "/agents/%", "/agents/%ff"] {
        api.patch(path, admin, json!({}))
            .await
            .error(400, "BAD_REQUEST");
    }
    api.delete("/invites/%zz", admin)
        .await
        .error(400, "BAD_REQUEST");
}
