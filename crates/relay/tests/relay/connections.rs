//! How many connections a relay has, and which it gives up.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::Path;

use ctalk_relay::{AdminKey, Config, RateLimit, Server};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::process::{ALL_FILES, FILES, RelayProcess, allow_files};
use crate::support::{ANY_PORT, Api, KEY, OTHER_KEY, SOON, message, text};
use crate::target::{Reply, Target};

const ADMIN_KEY: &str = "test-admin-key";

/// A relay with room for `places` connections.
async fn bind(folder: &Path, places: u32) -> Server {
    let mut config = Config::new(ANY_PORT, folder, AdminKey::new(ADMIN_KEY).unwrap());
    config.rate_limit = RateLimit::OFF;
    config.max_connections = NonZeroU32::new(places).unwrap();
    Server::bind(config).await.unwrap()
}

async fn register_alice(api: &Api) -> String {
    let body = json!({"name": "alice", "owner": "o", "publicKey": KEY, "signingKey": OTHER_KEY});
    text(&api.post("/agents", ADMIN_KEY, body).await.ok(201)["apiKey"])
}

/// Waits until the relay has closed `stream`, having sent nothing.
async fn closed(stream: &mut TcpStream) -> bool {
    let mut nothing = [0];
    let read = timeout(SOON, stream.read(&mut nothing)).await.unwrap();
    !matches!(read, Ok(1..))
}

#[tokio::test]
async fn a_crowd_of_idle_connections_keeps_nobody_out_and_ends_no_stream() {
    let folder = tempfile::tempdir().unwrap();
    let server = bind(folder.path(), 8).await;
    let address = server.local_addr();
    let api = Api::new(server.url());
    let running = tokio::spawn(server.run(std::future::pending()));
    let alice = register_alice(&api).await;
    let mut stream = api.stream("", &alice, None).await;
    assert_eq!(stream.chunk().await.unwrap().unwrap(), ":\n\n");
    let mut crowd = Vec::new();
    for number in 0..40 {
        let mut idle = TcpStream::connect(address).await.unwrap();
        // Some have begun a request, some even its body.
        let beginning: &[u8] = match number % 3 {
            0 => b"POST /messages HTTP/1.1\r\nX-",
            1 => b"POST /register HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{",
            _ => b"",
        };
        idle.write_all(beginning).await.unwrap();
        crowd.push(idle);
        if number % 10 == 9 {
            // As a client that has no connection yet.
            Api::new(format!("http://{address}"))
                .send(&alice, "alice", json!(number))
                .await;
            let event = timeout(SOON, stream.chunk())
                .await
                .unwrap()
                .unwrap()
                .unwrap();
            assert!(event.ends_with(b"}\n\n"), "{event:?}");
        }
    }
    // Those that were idle longest made room.
    for idle in &mut crowd[..30] {
        assert!(closed(idle).await);
    }
    let mut youngest = crowd.pop().unwrap();
    youngest
        .write_all(b": x\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    youngest.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    running.abort();
}

#[tokio::test]
async fn when_every_connection_is_in_use_a_new_one_is_closed_until_one_ends() {
    let folder = tempfile::tempdir().unwrap();
    let server = bind(folder.path(), 2).await;
    let address = server.local_addr();
    let api = Api::new(server.url());
    let running = tokio::spawn(server.run(std::future::pending()));
    let alice = register_alice(&api).await;
    let streams = [
        api.stream("", &alice, None).await,
        api.stream("", &alice, None).await,
    ];
    assert!(closed(&mut TcpStream::connect(address).await.unwrap()).await);
    drop(streams);
    // The relay notices the end of a stream when it has something to send there.
    let listed = async {
        let api = Api::new(format!("http://{address}"));
        let key = format!("Bearer {alice}");
        while api
            .try_call("GET", "/messages", Some(&key), None)
            .await
            .is_err()
        {}
    };
    timeout(SOON, listed).await.unwrap();
    running.abort();
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn where_files_run_out_idle_connections_make_room() {
    let folder = tempfile::tempdir().unwrap();
    let relay = RelayProcess::start_with(folder.path(), [(FILES, "16".into())]);
    let address = relay.url.strip_prefix("http://").unwrap();
    let mut crowd = Vec::new();
    for _ in 0..100 {
        // The system takes it, however few of them the relay can.
        crowd.push(TcpStream::connect(address).await.unwrap());
    }
    let served = async {
        let alice = register_alice(&Api::new(&relay.url)).await;
        for number in 0..10 {
            // As a client that has no connection yet.
            Api::new(&relay.url)
                .send(&alice, "alice", json!(number))
                .await;
        }
    };
    timeout(SOON, served).await.unwrap();
    for idle in &mut crowd[..80] {
        assert!(closed(idle).await);
    }
}

/// A connection from `source` with a stream of messages, unless the relay has no place for one more.
async fn stream(source: Ipv4Addr, relay: SocketAddr, key: &str) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((source, 0))).unwrap();
    let mut stream = socket.connect(relay).await.unwrap();
    let request =
        format!("GET /messages/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n");
    // An error says that it was closed already.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut start = [0; 12];
    let read = timeout(SOON, stream.read_exact(&mut start)).await.unwrap();
    read.ok()?;
    assert_eq!(&start, b"HTTP/1.1 200");
    Some(stream)
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn where_files_are_few_agents_leave_webhooks_what_they_need() {
    /// Attempts at targets that hang which are made at once.
    const WEBHOOKS: usize = 128;
    allow_files();
    let mut target = Target::start(Reply::Nothing).await;
    let folder = tempfile::tempdir().unwrap();
    let relay = RelayProcess::start_with(folder.path(), [(ALL_FILES, "400".into())]);
    let address = relay.url.strip_prefix("http://").unwrap().parse().unwrap();
    let api = Api::new(&relay.url);
    let mut keys = Vec::new();
    for number in 0..WEBHOOKS {
        let agent = json!({
            "name": format!("agent{number}"), "owner": "o", "publicKey": KEY, "signingKey": OTHER_KEY,
            "webhookUrl": target.url,
        });
        let made = api.post("/agents", ADMIN_KEY, agent).await.ok(201);
        keys.push(text(&made["apiKey"]));
    }
    // All connections that there may be, each in use: one address has no more than half of them.
    let mut streams = Vec::new();
    for last in [1, 2] {
        let source = Ipv4Addr::new(127, 0, 0, last);
        for key in keys.iter().cycle() {
            match stream(source, address, key).await {
                Some(stream) => streams.push(stream),
                None => break,
            }
        }
    }
    assert!(streams.len() >= 16, "{}", streams.len());
    // A place for whoever sends, as soon as the relay has noticed.
    streams.remove(0);
    let sender = Api::new(&relay.url);
    let key = format!("Bearer {}", keys[0]);
    let body = message("broadcast", json!(1)).to_string();
    let sent = async {
        loop {
            let send = sender.try_call("POST", "/messages", Some(&key), Some(body.clone()));
            if let Ok(answer) = send.await {
                break answer;
            }
        }
    };
    timeout(SOON, sent).await.unwrap().ok(201);
    for _ in 1..WEBHOOKS {
        target.next().await;
    }
    let webhooks = sender.get("/webhooks", ADMIN_KEY).await.ok(200);
    for webhook in webhooks["webhooks"].as_array().unwrap() {
        assert!(webhook["lastFailure"].is_null(), "{webhook}");
    }
}
