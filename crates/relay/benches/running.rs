//! A relay as it runs, in a process of its own, with the load from this one: committed sends beside
//! acknowledged publications of NATS JetStream, delivery over streams, and memory.
//!
//! `CTALK=target/release/ctalk cargo bench -p ctalk-relay --bench running` prints lines of a name and a
//! number: times in ms, memory in KiB. `CTALK_BENCH_SECONDS`, `CTALK_BENCH_STREAMS` and
//! `CTALK_BENCH_IDLE` make it smaller.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a benchmark that fails has nothing to report"
)]

#[path = "support/mod.rs"]
mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use support::nats::Nats;
use support::process::{Process, ctalk, size};
use support::{Connection, asked_for, folder, quantile, register, request, sealed_message};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::interval;

/// Rounds of ctalk and NATS in turn.
const ROUNDS: usize = 3;
/// Publications on their way at once, where that is measured.
const IN_FLIGHT: usize = 1000;
/// Streams of one agent.
const STREAMS_OF_ONE: usize = 16;
/// Messages per second that a stream has to bring.
const RATE: u64 = 1000;

fn main() {
    if !asked_for() {
        return;
    }
    let Some(ctalk) = ctalk() else {
        println!("set CTALK to the program ctalk");
        return;
    };
    // Thousands of connections are as many files.
    let mut limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.current = limit.maximum;
    rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
    let generator = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    generator.block_on(async {
        rates(&ctalk).await;
        delivery(&ctalk).await;
        memory(&ctalk).await;
    });
}

fn measured() -> Duration {
    Duration::from_secs(u64::try_from(size("CTALK_BENCH_SECONDS", 8)).unwrap())
}

/// Sends and publications per second, the best of all rounds.
async fn rates(ctalk: &Path) {
    let mut best = [0.0_f64; 7];
    for _ in 0..ROUNDS {
        let data = folder();
        let relay = Process::relay(ctalk, data.path());
        let mut all = vec![
            sends(relay.address, 64).await,
            sends(relay.address, 1).await,
            answers(relay.address).await,
        ];
        drop(relay);
        all.push(commits(folder().path()));
        let data = folder();
        if let Some(nats) = Process::nats(data.path()) {
            Nats::open(nats.address, 0).await.make_stream().await;
            all.push(publications(nats.address, 64, 1).await);
            all.push(publications(nats.address, 1, 1).await);
            all.push(publications(nats.address, 1, IN_FLIGHT).await);
        }
        for (best, rate) in best.iter_mut().zip(all) {
            *best = best.max(rate);
        }
    }
    let names = [
        "sends-64",
        "sends-1",
        "answers-1",
        "commits-1",
        "nats-64",
        "nats-1",
        "nats-in-flight",
    ];
    for (name, best) in names.into_iter().zip(best).filter(|(_, best)| *best > 0.0) {
        println!("{name} {best:.0}");
    }
}

/// Committed sends per second over `connections`, one at a time on each.
async fn sends(address: SocketAddr, connections: usize) -> f64 {
    let mut senders = JoinSet::new();
    for number in 0..connections {
        let name = format!("agent-{connections}-{number}");
        let key = register(address, &name).await;
        let send = request("POST", "/messages", &key, &sealed_message(&name));
        senders.spawn(async move {
            let mut connection = Connection::open(address).await;
            let mut counter = Counter::new();
            while counter.goes_on() {
                let (status, body) = connection.call(&send).await;
                assert_eq!(status, 201, "{body}");
            }
            counter.count
        });
    }
    rate(senders.join_all().await)
}

/// Answers per second to requests that change nothing, over one connection, one after the other.
async fn answers(address: SocketAddr) -> f64 {
    let key = register(address, "asks").await;
    let ask = request("GET", "/messages?limit=1", &key, "");
    let mut connection = Connection::open(address).await;
    let mut counter = Counter::new();
    while counter.goes_on() {
        let (status, body) = connection.call(&ask).await;
        assert_eq!(status, 200, "{body}");
    }
    rate(vec![counter.count])
}

/// Commits per second of one message each into an SQLite file with one table, one after the other: what
/// the disk and SQLite take without a relay around them.
fn commits(folder: &Path) -> f64 {
    let db = rusqlite::Connection::open(folder.join("bare.sqlite")).unwrap();
    db.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE messages (number INTEGER PRIMARY KEY, message TEXT NOT NULL) STRICT",
    )
    .unwrap();
    let message = sealed_message("bare");
    let mut counter = Counter::new();
    while counter.goes_on() {
        db.prepare_cached("INSERT INTO messages (message) VALUES (?1)")
            .unwrap()
            .execute([&message])
            .unwrap();
    }
    rate(vec![counter.count])
}

/// Acknowledged publications per second over `connections`, `in_flight` at a time on each.
async fn publications(address: SocketAddr, connections: usize, in_flight: usize) -> f64 {
    let mut publishers = JoinSet::new();
    for number in 0..connections {
        publishers.spawn(async move {
            let mut nats = Nats::open(address, number).await;
            for _ in 1..in_flight {
                nats.publish().await;
            }
            let mut counter = Counter::new();
            while counter.goes_on() {
                nats.publish().await;
                nats.acknowledged().await;
            }
            counter.count
        });
    }
    rate(publishers.join_all().await)
}

/// Counts what is done in the measured time, after some that is not.
struct Counter {
    begin: Instant,
    end: Instant,
    count: usize,
}

impl Counter {
    fn new() -> Self {
        let begin = Instant::now() + measured() / 8;
        Self {
            begin,
            end: begin + measured(),
            count: 0,
        }
    }

    /// Counts what was done since the last call, unless the time is over.
    fn goes_on(&mut self) -> bool {
        let now = Instant::now();
        self.count += usize::from(now >= self.begin && now < self.end);
        now < self.end
    }
}

fn rate(counts: Vec<usize>) -> f64 {
    counts.iter().sum::<usize>() as f64 / measured().as_secs_f64()
}

/// How long after it was sent a message arrives in a stream, at a thousand messages per second.
async fn delivery(ctalk: &Path) {
    let data = folder();
    let relay = Process::relay(ctalk, data.path());
    let key = register(relay.address, "receiver").await;
    let mut stream = Connection::open(relay.address).await;
    stream
        .begin(&request("GET", "/messages/stream", &key, ""))
        .await;
    let begin = Instant::now();
    let count = RATE * measured().as_secs();
    let sending = tokio::spawn(async move {
        let connections: Vec<_> = {
            let mut all = Vec::new();
            for _ in 0..32 {
                all.push(Arc::new(Mutex::new(Connection::open(relay.address).await)));
            }
            all
        };
        let mut pace = interval(Duration::from_secs(1) / u32::try_from(RATE).unwrap());
        let mut sends = JoinSet::new();
        for number in 0..count {
            pace.tick().await;
            let connection = &connections[usize::try_from(number).unwrap() % connections.len()];
            let (connection, key) = (Arc::clone(connection), key.clone());
            sends.spawn(async move {
                let sent_us = begin.elapsed().as_micros();
                let body = json!({"to": "receiver", "type": "notification", "encrypted": false,
                    "payload": format!("sent={sent_us};{}", "x".repeat(1024))});
                let send = request("POST", "/messages", &key, &body.to_string());
                let mut connection = connection.lock().await;
                let (status, body) = connection.call(&send).await;
                assert_eq!(status, 201, "{body}");
            });
            while sends.try_join_next().is_some() {}
        }
        sends.join_all().await;
        relay
    });
    let mut times = Vec::new();
    let mut text = String::new();
    while u64::try_from(times.len()).unwrap() < count {
        text.push_str(std::str::from_utf8(stream.more().await).unwrap());
        let now = begin.elapsed();
        while let Some((event, rest)) = text.split_once("\n\n") {
            if let Some((_, sent)) = event.split_once("sent=") {
                let sent_us = sent.split(';').next().unwrap().parse().unwrap();
                times.push(now.saturating_sub(Duration::from_micros(sent_us)));
            }
            text = rest.to_owned();
        }
    }
    drop(sending.await.unwrap());
    println!("delivery-p50 {:.2}", quantile(&mut times, 0.5));
    println!("delivery-p99 {:.2}", quantile(&mut times, 0.99));
}

/// Memory: idle, with many streams, and with many connections that do nothing.
async fn memory(ctalk: &Path) {
    let data = folder();
    let relay = Process::relay(ctalk, data.path());
    let key = register(relay.address, "first").await;
    let mut connection = Connection::open(relay.address).await;
    let read = request("GET", "/messages", &key, "");
    assert_eq!(connection.call(&read).await.0, 200);
    println!("idle {}", relay.memory());
    let sends_alone = send_times(&mut connection, &key).await;

    let streams = size("CTALK_BENCH_STREAMS", 5000);
    let mut open = Vec::new();
    let mut key_of_streams = String::new();
    for number in 0..streams {
        if number % STREAMS_OF_ONE == 0 {
            key_of_streams = register(relay.address, &format!("reader-{number}")).await;
        }
        let mut stream = Connection::open(relay.address).await;
        let listen = request("GET", "/messages/stream", &key_of_streams, "");
        stream.begin(&listen).await;
        open.push(stream);
    }
    println!("streams {streams}");
    println!("with-streams {}", relay.memory());
    drop(open);
    drop(connection);
    drop(relay);

    let relay = Process::relay(ctalk, data.path());
    let count = size("CTALK_BENCH_IDLE", 10_000);
    let mut idle = Vec::new();
    for _ in 0..count {
        idle.push(TcpStream::connect(relay.address).await.unwrap());
    }
    let mut connection = Connection::open(relay.address).await;
    let sends_beside = send_times(&mut connection, &key).await;
    println!("connections {count}");
    println!("with-connections {}", relay.memory());
    println!("send-alone {sends_alone:.3}");
    println!("send-beside-connections {sends_beside:.3}");
    drop(idle);
}

/// The median time of a send.
async fn send_times(connection: &mut Connection, key: &str) -> f64 {
    let send = request("POST", "/messages", key, &sealed_message("first"));
    let mut times = Vec::new();
    for _ in 0..500 {
        let began = Instant::now();
        assert_eq!(connection.call(&send).await.0, 201);
        times.push(began.elapsed());
    }
    quantile(&mut times, 0.5)
}
