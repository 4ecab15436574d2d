//! Webhooks at relays that do not sign, as ClawTalk's own, and at those that say what makes no sense.

use std::sync::Arc;

use axum::{Json, Router, http::StatusCode, routing};
use ctalk::{
    Error,
    clock::SystemClock,
    keystore::{Keystore, Kind, PassphraseSource, Secrets},
    relay::{
        Relay, RelayError,
        clawtalk::{BearerKey, ClawTalk},
    },
    set_webhook,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::agents::new_identity;

/// Sets a webhook at a relay that answers to it with `answer`, and looks what is kept of it.
async fn set_at(answer: Value) -> (Result<(), Error>, Option<String>) {
    let patch = routing::patch(async move || Json(answer));
    let unknown = async || {
        let error = json!({"error": "Not found", "code": "NOT_FOUND"});
        (StatusCode::NOT_FOUND, Json(error))
    };
    let router = Router::new().route("/agents/bob", patch).fallback(unknown);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, router).await });
    let folder = tempfile::tempdir().unwrap();
    let secrets = Secrets::new(new_identity().to_keygen_json());
    let path = folder.path().join("keys");
    let keystore = Keystore::create(&path, Kind::Plain, PassphraseSource::None, &secrets).unwrap();
    let key = Some(BearerKey::new("ct_key"));
    let relay = ClawTalk::new(&url, key, Arc::new(SystemClock)).unwrap();
    let set = set_webhook(&relay, &keystore, "bob", "https://hook.example").await;
    let kept = keystore.read().unwrap();
    (set, kept.webhook_secret(relay.url()).map(str::to_owned))
}

#[tokio::test]
async fn a_relay_that_signs_nothing_is_told_of_and_leaves_no_secret() {
    let (set, kept) = set_at(json!({"name": "bob", "updated": true})).await;
    assert!(
        matches!(set, Err(Error::Relay(RelayError::Unsupported { .. }))),
        "{set:?}"
    );
    assert_eq!(kept, None);
}

#[tokio::test]
async fn a_secret_that_is_none_is_not_kept() {
    for secret in ["", "whsec_", "whsec_AAAA", "secret"] {
        let (set, kept) = set_at(json!({"webhookSecret": secret})).await;
        assert!(
            matches!(set, Err(Error::Relay(RelayError::BadAnswer { .. }))),
            "{set:?}"
        );
        assert_eq!(kept, None);
    }
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let (set, kept) = set_at(json!({"webhookSecret": secret})).await;
    set.unwrap();
    assert_eq!(kept.as_deref(), Some(secret));
}
