//! A relay to measure, and the least HTTP client that can drive it.
#![allow(dead_code, reason = "each bench uses a part of it")]

pub(crate) mod nats;
pub(crate) mod process;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use ctalk_relay::{AdminKey, Config, Quota, RateLimit, Server};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

pub(crate) const ADMIN_KEY: &str = "bench-admin-key";

/// Whether `cargo bench` runs this, and not a check that benches build.
pub(crate) fn asked_for() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

/// A folder on the disk that the build uses: a temporary one could be in memory, where fsync is
/// free.
pub(crate) fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// A relay with a runtime of its own, as `ctalk relay` has it.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    pub(crate) fn start(folder: &Path) -> Self {
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut config = Config::new(any_port, folder, AdminKey::new(ADMIN_KEY).unwrap());
        config.quota = Quota::OFF;
        config.rate_limit = RateLimit::OFF;
        let (ready, started) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let server = Server::bind(config).await.unwrap();
                ready.send(server.local_addr()).unwrap();
                let shutdown = async { drop(stopped.await) };
                server.run(shutdown).await.unwrap();
            });
        });
        Self {
            address: started.recv().unwrap(),
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Registers an agent and returns its key.
    pub(crate) async fn register(&self, name: &str) -> String {
        register(self.address, name).await
    }
}

/// Registers an agent at the relay on `address` and returns its key.
pub(crate) async fn register(address: SocketAddr, name: &str) -> String {
    let key = "A".repeat(43) + "=";
    let body = json!({"name": name, "owner": "bench", "publicKey": key, "signingKey": key});
    let request = request("POST", "/agents", ADMIN_KEY, &body.to_string());
    let mut connection = Connection::open(address).await;
    let (status, body) = connection.call(&request).await;
    assert_eq!(status, 201, "{body}");
    let body: Value = serde_json::from_str(body).unwrap();
    body["apiKey"].as_str().unwrap().to_owned()
}

impl Drop for Relay {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One keep-alive connection.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            buffer: Vec::with_capacity(1 << 16),
        }
    }

    /// Sends a whole request and reads the head of its answer, and at least the beginning of its body.
    pub(crate) async fn begin(&mut self, request: &[u8]) {
        self.stream.write_all(request).await.unwrap();
        self.buffer.clear();
        while !self
            .buffer
            .windows(5)
            .any(|end| end.starts_with(b"\r\n\r\n"))
        {
            assert_ne!(self.stream.read_buf(&mut self.buffer).await.unwrap(), 0);
        }
        assert!(self.buffer.starts_with(b"HTTP/1.1 200 "));
    }

    /// Takes what has come of an answer that was begun, and waits for more when there is nothing.
    pub(crate) async fn more(&mut self) -> &[u8] {
        self.buffer.clear();
        assert_ne!(self.stream.read_buf(&mut self.buffer).await.unwrap(), 0);
        &self.buffer
    }

    /// Sends a whole request and returns the status and body of its answer.
    pub(crate) async fn call(&mut self, request: &[u8]) -> (u16, &str) {
        self.stream.write_all(request).await.unwrap();
        self.buffer.clear();
        loop {
            let read = self.stream.read_buf(&mut self.buffer).await.unwrap();
            assert_ne!(read, 0, "the relay closed the connection");
            if let Some((status, body)) = complete(&self.buffer) {
                return (status, std::str::from_utf8(&self.buffer[body..]).unwrap());
            }
        }
    }
}

/// The status and where the body begins, once all of an answer is there.
fn complete(answer: &[u8]) -> Option<(u16, usize)> {
    let body = answer.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&answer[..body]).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map(|length| length.parse::<usize>().unwrap());
    // No content has no length either.
    let length = if status == 204 { 0 } else { length.unwrap() };
    (answer.len() >= body + length).then_some((status, body))
}

/// A whole request.
pub(crate) fn request(method: &str, path: &str, key: &str, body: &str) -> Vec<u8> {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A message as a ClawTalk client sends it: 1 KiB of ciphertext, nonce and signature.
pub(crate) fn sealed_message(to: &str) -> String {
    json!({
        "to": to, "type": "request", "topic": "bench", "encrypted": true,
        "payload": "QUJD".repeat(344), "nonce": "QUJD".repeat(8), "signature": "QUJD".repeat(22),
    })
    .to_string()
}

/// The time below which `share` (0 to 1) of the calls stayed, in milliseconds.
pub(crate) fn quantile(times: &mut [Duration], share: f64) -> f64 {
    times.sort_unstable();
    let at = (times.len() as f64 * share) as usize;
    times[at.min(times.len() - 1)].as_secs_f64() * 1000.0
}
