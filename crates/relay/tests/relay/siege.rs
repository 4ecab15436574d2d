//! Many hostile clients at once: they cost the relay a bounded amount of memory, and honest clients little
//! of their time.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::interval;

use crate::process::{ADMIN_KEY, RelayProcess};
use crate::support::{Api, KEY, OTHER_KEY, message, text};

/// Connections that do nothing, or begin a request and go no further.
const IDLE: usize = 1000;
/// How often one hostile client sends its request: as one that stands behind a network does, and not the
/// same two cores.
const PACE: Duration = Duration::from_millis(10);
/// The most memory that all hostile clients together may cost.
const MEMORY: u64 = 96 << 20;
/// How many messages an honest client sends in one round.
const SENDS: usize = 15;
/// Rounds with and without hostile clients, in turn. The best of each are compared, so that what else
/// this machine does plays no part; while it still does, there are more.
const ROUNDS: std::ops::Range<usize> = 6..40;

/// What a hostile client sends over and over.
fn hostilities(key: &str) -> Vec<Vec<u8>> {
    let post = |key: &str, headers: &str, body: &str| {
        format!(
            "POST /messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n{headers}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    };
    let deep = "[".repeat(30_000);
    let huge = format!("{{\"to\":\"alice\",\"ttl\":1{}}}", "0".repeat(60_000));
    let noise: Vec<u8> = (0..20_000_u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    vec![
        post("ct_wrong", "", ""),
        post(
            "ct_wrong",
            "",
            &message("alice", json!("x".repeat(60_000))).to_string(),
        ),
        post(key, "", &deep),
        post(key, "", &huge),
        post(key, &"X-Flood: y\r\n".repeat(20_000), "{}"),
        noise,
    ]
}

/// Sends `request` over and over at [`PACE`], on a new connection whenever the relay has ended the last one.
async fn attack(address: SocketAddr, request: Vec<u8>) {
    let mut pace = interval(PACE);
    loop {
        pace.tick().await;
        let Ok(mut stream) = TcpStream::connect(address).await else {
            continue;
        };
        let mut answer = [0; 4096];
        while stream.write_all(&request).await.is_ok() {
            match stream.read(&mut answer).await {
                Ok(1..) => pace.tick().await,
                _ => break,
            };
        }
    }
}

/// The median time of an honest client's sends.
async fn honest(api: &Api, key: &str) -> Duration {
    let mut times = Vec::with_capacity(SENDS);
    for number in 0..SENDS {
        let began = Instant::now();
        api.send(key, "alice", json!(number)).await;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    times[SENDS / 2]
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_clients_cost_bounded_memory_and_honest_clients_little_time() {
    let folder = tempfile::tempdir().unwrap();
    let relay = RelayProcess::start(folder.path(), None);
    let address: SocketAddr = relay.url.strip_prefix("http://").unwrap().parse().unwrap();
    let api = Api::new(&relay.url);
    let body = json!({"name": "alice", "owner": "o", "publicKey": KEY, "signingKey": OTHER_KEY});
    let alice = text(&api.post("/agents", ADMIN_KEY, body).await.ok(201)["apiKey"]);
    honest(&api, &alice).await;
    let before = relay.memory();
    let mut most = before;
    let (mut quiet, mut besieged) = (Duration::MAX, Duration::MAX);
    for round in 0..ROUNDS.end {
        let is_hostile = round % 2 == 1;
        let mut attackers = JoinSet::new();
        let mut idle = Vec::new();
        if is_hostile {
            for number in 0..IDLE {
                let mut stream = TcpStream::connect(address).await.unwrap();
                let beginning: &[u8] = match number % 3 {
                    0 => b"",
                    1 => b"GET /messages HTTP/1.1\r\nX-Slow: ",
                    _ => b"POST /register HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n{",
                };
                stream.write_all(beginning).await.unwrap();
                idle.push(stream);
            }
            for request in hostilities(&alice) {
                attackers.spawn(attack(address, request));
            }
        }
        let median = honest(&api, &alice).await;
        let best = if is_hostile {
            &mut besieged
        } else {
            &mut quiet
        };
        *best = median.min(*best);
        most = most.max(relay.memory());
        attackers.shutdown().await;
        if round >= ROUNDS.start && besieged < 3 * quiet {
            break;
        }
    }
    assert!(most - before < MEMORY, "from {before} to {most} bytes");
    assert!(besieged < 3 * quiet, "{besieged:?} instead of {quiet:?}");
}
