//! How often one address may try to register.

use std::time::Duration;

use ctalk_relay::ManualClock;
use ctalk_relay::testing::{Builder, TestRelay};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

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
async fn an_attempt_counts_before_its_body_takes_memory() {
    let clock = ManualClock::new(0);
    let relay = TestRelay::builder().clock(clock.clone());
    let relay = relay.registration_limit("1/60s".parse().unwrap());
    let relay = relay.start().await;
    let address = relay.url().strip_prefix("http://").unwrap().to_owned();
    let mut slow = TcpStream::connect(address).await.unwrap();
    let head = "POST /register HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\
                Content-Length: 9\r\n\r\n";
    slow.write_all(head.as_bytes()).await.unwrap();
    // The relay says so when it begins to read the body.
    let mut start = [0; 12];
    slow.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 100");
    let refused = Api::of(&relay).post("/register", "", attempt()).await;
    refused.error(429, "RATE_LIMITED");
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
