//! What a relay tells whoever watches over it.

use std::path::Path;
use std::sync::Arc;

use ctalk_relay::testing::TestRelay;
use ctalk_relay::{AdminKey, Config, ManualClock, Server};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{ANY_PORT, Api, KEY, OTHER_KEY, message, register, text};

const ADMIN_KEY: &str = "test-admin-key";

/// A relay that is monitored, with a client of its API and one of its monitoring.
async fn monitored(folder: &Path) -> (Server, Api, Api) {
    let mut config = Config::new(ANY_PORT, folder, AdminKey::new(ADMIN_KEY).unwrap());
    config.rate_limit = "3/10s".parse().unwrap();
    // It stands still, and so does the window of the rate limit.
    config.clock = Arc::new(ManualClock::new(0));
    config.monitoring = Some(ANY_PORT);
    let server = Server::bind(config).await.unwrap();
    let api = Api::new(server.url());
    let monitoring = Api::new(format!("http://{}", server.monitoring_addr().unwrap()));
    (server, api, monitoring)
}

async fn register_alice(api: &Api) -> String {
    let body = json!({"name": "alice", "owner": "o", "publicKey": KEY, "signingKey": OTHER_KEY});
    text(&api.post("/agents", ADMIN_KEY, body).await.ok(201)["apiKey"])
}

#[tokio::test]
async fn metrics_count_what_happened_and_name_no_agent_and_no_path() {
    let folder = tempfile::tempdir().unwrap();
    let (server, api, monitoring) = monitored(folder.path()).await;
    let running = tokio::spawn(server.run(std::future::pending()));
    let alice = register_alice(&api).await;
    for _ in 0..3 {
        api.send(&alice, "alice", json!("hi")).await;
    }
    let refused = api.post("/messages", &alice, message("alice", json!(1)));
    refused.await.error(429, "RATE_LIMITED");
    api.delete("/messages/alices-own-id", &alice).await;
    api.get("/alices-own-path", &alice).await;
    let stream = api.stream("", &alice, None).await;
    let metrics = monitoring.call("GET", "/metrics", None, None).await;
    assert_eq!(metrics.status, 200);
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(metrics.header("content-type"), kind);
    for line in [
        "ctalk_relay_requests_total{method=\"POST\",route=\"/messages\",status=\"201\"} 3",
        "ctalk_relay_requests_total{method=\"POST\",route=\"/messages\",status=\"429\"} 1",
        "ctalk_relay_requests_total{method=\"DELETE\",route=\"/messages/{id}\",status=\"404\"} 1",
        "ctalk_relay_requests_total{method=\"GET\",route=\"unknown\",status=\"404\"} 1",
        "ctalk_relay_accepted_messages_total 3",
        "ctalk_relay_rate_limited_total 1",
        "ctalk_relay_failed_changes_total 0",
        "ctalk_relay_streams 1",
        "ctalk_relay_agents 1",
        "ctalk_relay_stored_messages 3",
        "# EOF",
    ] {
        assert!(
            metrics.text.lines().any(|it| it == line),
            "{line}: {}",
            metrics.text
        );
    }
    let number = |name: &str| -> f64 {
        let mut lines = metrics.text.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value
            .unwrap_or_else(|| panic!("{name}: {}", metrics.text))
            .parse()
            .unwrap()
    };
    for name in [
        "received_bytes_total",
        "sent_bytes_total",
        "stored_bytes",
        "database_bytes",
        "commit_changes_count",
        "commit_seconds_count",
        "read_seconds_count",
        "connections",
    ] {
        assert!(number(&format!("ctalk_relay_{name}")) > 0.0, "{name}");
    }
    assert!(!metrics.text.contains("alice"), "{}", metrics.text);
    drop(stream);
    running.abort();
}

#[tokio::test]
async fn agents_and_the_operators_key_find_no_metrics_where_agents_are_served() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    for key in [&alice, relay.admin_key()] {
        api.get("/metrics", key).await.error(404, "NOT_FOUND");
    }
}

#[tokio::test]
async fn health_is_told_while_whoever_writes_has_to_wait() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    let busy = rusqlite::Connection::open(relay.folder().join("relay.db")).unwrap();
    busy.execute_batch("BEGIN IMMEDIATE").unwrap();
    let sender = api.clone();
    let sending = tokio::spawn(async move { sender.send(&alice, "alice", json!(1)).await });
    for _ in 0..10 {
        let health = api.call("GET", "/health", None, None).await.ok(200);
        assert_eq!(
            (&health["status"], &health["agents"]),
            (&json!("ok"), &json!(1))
        );
    }
    assert!(!sending.is_finished());
    busy.execute_batch("COMMIT").unwrap();
    sending.await.unwrap();
}

#[tokio::test]
async fn a_relay_is_ready_exactly_while_its_disk_takes_messages() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    let ready = async || api.call("GET", "/ready", None, None).await;
    let large = message("alice", json!("x".repeat(60_000)));
    assert_eq!(ready().await.ok(200), json!({"ready": true}));
    relay.fill_disk();
    while api.post("/messages", &alice, large.clone()).await.status == 201 {}
    let unready = json!({"ready": false, "reason": "storage"});
    assert_eq!(ready().await.ok(503), unready);
    relay.empty_disk();
    api.post("/messages", &alice, large.clone()).await.ok(201);
    assert_eq!(ready().await.ok(200), json!({"ready": true}));
    let left = api.messages("/messages", &alice).await.len();
    assert_eq!(relay.stored().len(), left, "the checks leave nothing");
}

#[tokio::test]
async fn a_relay_that_is_stopping_is_not_ready_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (server, api, monitoring) = monitored(folder.path()).await;
    let address = server.local_addr();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async { drop(stopped.await) }));
    let alice = register_alice(&api).await;
    let ready = async || monitoring.call("GET", "/ready", None, None).await;
    ready().await.ok(200);
    // A request that is under way until its body ends.
    let body = message("alice", json!(1)).to_string();
    let mut sender = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {alice}\r\n\
         Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    sender.write_all(head.as_bytes()).await.unwrap();
    let mut start = [0; 12];
    sender.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 100");
    drop(stop);
    let unready = loop {
        let answer = ready().await;
        if answer.status != 200 {
            break answer;
        }
    };
    assert_eq!(
        unready.ok(503),
        json!({"ready": false, "reason": "stopping"})
    );
    sender.write_all(body.as_bytes()).await.unwrap();
    running.await.unwrap().unwrap();
}
