//! Requests to the relay beside the browser's.

use std::sync::Once;

use ctalk_relay::testing::TestRelay;
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};

/// A client that goes straight to this machine.
pub(crate) fn http() -> Client {
    // Requests here are plain HTTP, but the client wants to know how it would do TLS.
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    Client::builder().no_proxy().build().unwrap()
}

pub(crate) async fn get(relay: &TestRelay, path: &str, key: &str) -> Response {
    let request = http()
        .get(format!("{}{path}", relay.url()))
        .bearer_auth(key);
    request.send().await.unwrap()
}

pub(crate) async fn post(relay: &TestRelay, path: &str, key: &str, body: Value) -> Value {
    let request = http()
        .request(Method::POST, format!("{}{path}", relay.url()))
        .bearer_auth(key)
        .json(&body);
    let answer = request.send().await.unwrap();
    assert!(answer.status().is_success(), "{path} {body}");
    answer.json().await.unwrap()
}

/// Registers an agent of any name.
pub(crate) fn register(relay: &TestRelay, name: &str) -> String {
    relay.register(name, "", "")
}

/// Sends an encrypted request about `topic`.
pub(crate) async fn send(relay: &TestRelay, key: &str, to: &str, topic: &str, payload: &str) {
    let message = json!({
        "to": to, "type": "request", "encrypted": true, "topic": topic, "payload": payload,
        "signature": "c2lnbmVk",
    });
    post(relay, "/messages", key, message).await;
}
