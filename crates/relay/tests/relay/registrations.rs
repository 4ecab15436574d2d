//! How often one address may try to register.

use std::time::Duration;

use ctalk_relay::ManualClock;
use ctalk_relay::testing::{Builder, TestRelay};
use serde_json::{Value, json};

use crate::support::{Answer, Api, KEY, message, register};

fn limited(clock: &ManualClock) -> Builder {
    let relay = TestRelay::builder().clock(clock.clone());
    relay.registration_limit("3/60s".parse().unwrap())
}

fn attempt() -> Value {
    json!({"invite": "nowhere", "name": "mallory"})
}

#[tokio::test]
async fn an_address_may_try_to_register_so_often_and_nothing_it_says_changes_that() {
    let clock = ManualClock::new(0);
    let relay = limited(&clock).start().await;
    let api = Api::of(&relay);
    let (alice, admin) = (register(&relay, "alice"), relay.admin_key());
    let made = api.post("/invites", admin, json!({})).await.ok(201);
    let good = json!({"invite": made["code"], "name": "bob"});
    for _ in 0..2 {
        let refused = api.post("/register", "", attempt()).await;
        refused.error(403, "FORBIDDEN");
    }
    let junk = api.call("POST", "/register", None, Some("junk".to_owned()));
    junk.await.error(400, "BAD_REQUEST");
    for forwarded in ["198.51.100.1", "198.51.100.2", "unknown"] {
        let refused = api.register_via(forwarded, good.clone()).await;
        refused.error(429, "RATE_LIMITED");
    }
    // Nothing else is limited.
    let agent = json!({"name": "carol", "owner": "o", "publicKey": KEY, "signingKey": KEY});
    api.post("/agents", admin, agent).await.ok(201);
    let sent = api.post("/messages", &alice, message("carol", json!(1)));
    sent.await.ok(201);
    clock.advance(Duration::from_secs(60));
    api.post("/register", "", good).await.ok(201);
}

#[tokio::test]
async fn behind_a_proxy_the_address_that_it_names_counts() {
    let clock = ManualClock::new(0);
    let relay = limited(&clock).address_header("X-Forwarded-For".parse().unwrap());
    let relay = relay.start().await;
    let api = Api::of(&relay);
    let attempt =
        async |forwarded: &str| -> Answer { api.register_via(forwarded, attempt()).await };
    for claimed in ["192.0.2.7", "192.0.2.8", "192.0.2.9"] {
        let refused = attempt(&format!("{claimed}, 198.51.100.1")).await;
        refused.error(403, "FORBIDDEN");
    }
    let refused = attempt("192.0.2.10, 198.51.100.1").await;
    refused.error(429, "RATE_LIMITED");
    attempt("198.51.100.2").await.error(403, "FORBIDDEN");
    for host in 1..=3 {
        let refused = attempt(&format!("[2001:db8::{host}]:4711")).await;
        refused.error(403, "FORBIDDEN");
    }
    attempt("2001:db8::4").await.error(429, "RATE_LIMITED");
    // What names nobody is the proxy's own.
    for nobody in ["unknown", "", "198.51.100.2,"] {
        attempt(nobody).await.error(403, "FORBIDDEN");
    }
    attempt("someone").await.error(429, "RATE_LIMITED");
}
