//! What one agent costs that has very many requests under way.

use std::net::SocketAddr;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::process::{ADMIN_KEY, RelayProcess};
use crate::support::{Api, KEY, OTHER_KEY, SOON, message, text};

/// Requests of one agent that may be under way at once.
const MAX_REQUESTS: usize = 128;
/// Far more than that.
const SLOW_READERS: usize = 500;
/// The most memory that they may cost: about 450 KB for each that is answered, and what is left of reading.
const MEMORY: u64 = 160 << 20;

async fn register(api: &Api, name: &str) -> String {
    let body = json!({"name": name, "owner": "o", "publicKey": KEY, "signingKey": OTHER_KEY});
    text(&api.post("/agents", ADMIN_KEY, body).await.ok(201)["apiKey"])
}

/// Asks for a page and takes no more of it than its status.
async fn ask_and_stop_reading(address: SocketAddr, key: &str) -> (u16, TcpStream) {
    let socket = TcpSocket::new_v4().unwrap();
    // So that it waits in the relay and not in the system.
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let request = format!(
        "GET /messages?limit=100 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut start = [0; 12];
    let read = timeout(SOON, stream.read_exact(&mut start)).await;
    read.unwrap().unwrap();
    let status = str::from_utf8(&start[9..]).unwrap().parse().unwrap();
    (status, stream)
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_agent_that_takes_its_answers_slowly_costs_bounded_memory_and_nobody_else_a_thing() {
    let folder = tempfile::tempdir().unwrap();
    let relay = RelayProcess::start(folder.path(), None);
    let address: SocketAddr = relay.url.strip_prefix("http://").unwrap().parse().unwrap();
    let api = Api::new(&relay.url);
    let (alice, bob) = (register(&api, "alice").await, register(&api, "bob").await);
    // A page of 6 MB: more than the system takes for a peer that does not read.
    for _ in 0..10 {
        let large = message("alice", json!("x".repeat(60_000)));
        let batch = json!({"messages": vec![large; 10]});
        let results = api.post("/messages/batch", &alice, batch).await.ok(200);
        assert!(results["results"][9]["id"].is_string(), "{results}");
    }
    let before = relay.memory();
    let mut readers = Vec::new();
    for number in 0..SLOW_READERS {
        let (status, stream) = ask_and_stop_reading(address, &alice).await;
        let expected = if number < MAX_REQUESTS { 200 } else { 429 };
        assert_eq!(status, expected, "{number}");
        readers.push(stream);
    }
    let after = relay.memory();
    assert!(after < before + MEMORY, "from {before} to {after} bytes");
    api.get("/messages?limit=1", &alice)
        .await
        .error(429, "RATE_LIMITED");
    // The agent alone has to wait.
    for number in 0..20 {
        api.send(&bob, "bob", json!(number)).await;
        let newest = api.messages("/messages?limit=1", &bob).await;
        assert_eq!(newest[0]["payload"], number);
    }
    drop(readers);
    let served = async { while api.get("/messages?limit=1", &alice).await.status != 200 {} };
    timeout(SOON, served).await.unwrap();
}
