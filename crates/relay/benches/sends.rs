//! Committed sends per second, with the load generator on the same machine and fsync on.
//!
//! `cargo bench -p ctalk-relay --bench sends`
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a benchmark that fails has nothing to report"
)]

#[path = "support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use support::{Connection, Relay, asked_for, folder, quantile, request, sealed_message};

const WARM_UP: Duration = Duration::from_secs(1);
const MEASURED: Duration = Duration::from_secs(8);

fn main() {
    if !asked_for() {
        return;
    }
    println!(
        "{:>11} {:>9} {:>8} {:>8}",
        "connections", "sends/s", "p50 ms", "p99 ms"
    );
    for connections in [1, 16, 64] {
        measure(connections);
    }
}

/// Sends over `connections` keep-alive connections, each an agent with an inbox of its own, one
/// request at a time on each.
fn measure(connections: usize) {
    let folder = folder();
    let relay = Relay::start(folder.path());
    let generator = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (mut times, all) = generator.block_on(async {
        let mut senders = Vec::new();
        for number in 0..connections {
            let name = format!("agent-{number}");
            let key = relay.register(&name).await;
            let send = request("POST", "/messages", &key, &sealed_message(&name));
            let connection = Connection::open(relay.address).await;
            senders.push(tokio::spawn(send_for_a_while(connection, send)));
        }
        let mut times = Vec::new();
        let mut all = 0;
        for sender in senders {
            let (measured, sent) = sender.await.unwrap();
            times.extend(measured);
            all += sent;
        }
        (times, all)
    });
    drop(relay);
    let database = rusqlite::Connection::open(folder.path().join("relay.db")).unwrap();
    let stored: isize = database
        .query_row("SELECT count(*) FROM copies", [], |row| row.get(0))
        .unwrap();
    assert_eq!(
        stored.unsigned_abs(),
        all,
        "every 201 is stored and nothing else"
    );
    println!(
        "{connections:>11} {:>9.0} {:>8.2} {:>8.2}",
        times.len() as f64 / MEASURED.as_secs_f64(),
        quantile(&mut times, 0.5),
        quantile(&mut times, 0.99),
    );
}

/// Returns the times of the measured sends and the number of all.
async fn send_for_a_while(mut connection: Connection, send: Vec<u8>) -> (Vec<Duration>, usize) {
    let start = Instant::now();
    let mut times = Vec::new();
    let mut all = 0;
    while start.elapsed() < WARM_UP + MEASURED {
        let began = Instant::now();
        let (status, body) = connection.call(&send).await;
        assert_eq!(status, 201, "{body}");
        all += 1;
        if start.elapsed() >= WARM_UP && start.elapsed() < WARM_UP + MEASURED {
            times.push(began.elapsed());
        }
    }
    (times, all)
}
