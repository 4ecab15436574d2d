//! Thousands of connections that do nothing.

use std::net::{Ipv4Addr, SocketAddr};

use rustix::process::{Resource, getrlimit};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::process::{ADMIN_KEY, RelayProcess, allow_files};
use crate::support::{Api, KEY, OTHER_KEY, SOON, text};

/// As many as the system lets a process have, up to so many.
const CONNECTIONS: u64 = 10_000;
/// Files that this process needs for everything else.
const OTHER_FILES: u64 = 256;
/// Addresses they come from: one alone gets no more than half of a relay's connections.
const ADDRESSES: u64 = 4;
/// The most memory that one may cost.
const MEMORY: u64 = 24 << 10;

/// A connection that has sent nothing, or the beginning of a request.
async fn idle(relay: SocketAddr, number: u64) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    let last = u8::try_from(1 + number % ADDRESSES).unwrap();
    let source = Ipv4Addr::new(127, 0, 0, last);
    socket.bind(SocketAddr::from((source, 0))).unwrap();
    let mut stream = socket.connect(relay).await.unwrap();
    stream.write_all(beginning(number)).await.unwrap();
    stream
}

fn beginning(number: u64) -> &'static [u8] {
    if number.is_multiple_of(2) {
        b""
    } else {
        b"GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: "
    }
}

fn end(number: u64) -> &'static [u8] {
    if number.is_multiple_of(2) {
        b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    } else {
        b"yes\r\nConnection: close\r\n\r\n"
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn thousands_of_idle_connections_stay_and_an_agent_is_served_as_before() {
    allow_files();
    let possible = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let count = CONNECTIONS.min(possible.saturating_sub(OTHER_FILES));
    let folder = tempfile::tempdir().unwrap();
    let relay = RelayProcess::start(folder.path(), None);
    let address: SocketAddr = relay.url.strip_prefix("http://").unwrap().parse().unwrap();
    let api = Api::new(&relay.url);
    let body = json!({"name": "alice", "owner": "o", "publicKey": KEY, "signingKey": OTHER_KEY});
    let alice = text(&api.post("/agents", ADMIN_KEY, body).await.ok(201)["apiKey"]);
    let mut stream = api.stream("", &alice, None).await;
    assert_eq!(stream.chunk().await.unwrap().unwrap(), ":\n\n");
    let before = relay.memory();
    let mut crowd = Vec::new();
    for number in 0..count {
        crowd.push((number, idle(address, number).await));
    }
    let served = async {
        for number in 0..50 {
            // As a client that has no connection yet.
            let api = Api::new(&relay.url);
            let (id, _) = api.send(&alice, "alice", json!(number)).await;
            let event = loop {
                let event = stream.chunk().await.unwrap().unwrap();
                if event != ":\n\n" {
                    break event;
                }
            };
            let event = String::from_utf8(event.to_vec()).unwrap();
            assert!(event.contains(&id), "{event}");
            let deleted = api.delete(&format!("/messages/{id}"), &alice).await;
            assert_eq!(deleted.status, 204);
        }
    };
    timeout(SOON, served).await.unwrap();
    let after = relay.memory();
    assert!(
        after < before + count * MEMORY,
        "from {before} to {after} bytes for {count}"
    );
    // None of them had to go, and whichever asks is served.
    let asked = async {
        for (number, mut stream) in crowd.into_iter().step_by(25) {
            stream.write_all(end(number)).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200 "), "{number}: {answer}");
        }
    };
    timeout(SOON, asked).await.unwrap();
}
