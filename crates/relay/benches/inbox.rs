//! What a page of 50, a send and a deletion cost in an inbox of 100 and in one of 1,000,000 messages, or of
//! as many as `CTALK_BENCH_MESSAGES` says; and with `CTALK`, the program ctalk, how long a relay takes to
//! start on them.
//!
//! `cargo bench -p ctalk-relay --bench inbox`
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a benchmark that fails has nothing to report"
)]

#[path = "support/mod.rs"]
mod support;

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{Advice, fadvise};
use serde_json::Value;
use support::process::{Process, ctalk, size};
use support::{Connection, Relay, asked_for, folder, quantile, request, sealed_message};

const SMALL: usize = 100;
const LARGE: usize = 1_000_000;
const ROUNDS: usize = 2_000;
/// Sends and deletions, which wait for the disk.
const CHANGES: usize = 500;

fn main() {
    if !asked_for() {
        return;
    }
    let folder = folder();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let relay = Relay::start(folder.path());
    let keys = runtime.block_on(async {
        let mut keys = Vec::new();
        for name in ["small", "large"] {
            let key = relay.register(name).await;
            let send = request("POST", "/messages", &key, &sealed_message(name));
            let mut connection = Connection::open(relay.address).await;
            let (status, body) = connection.call(&send).await;
            assert_eq!(status, 201, "{body}");
            keys.push(key);
        }
        keys
    });
    drop(relay);
    let large = size("CTALK_BENCH_MESSAGES", LARGE);
    let middle = fill(folder.path(), large);

    let relay = Relay::start(folder.path());
    println!(
        "{:<32} {:>8} {:>8} {:>6}",
        "p50 in ms, of stored messages", SMALL, large, "ratio"
    );
    for (what, small, large) in [
        ("page: newest", "?".to_owned(), "?".to_owned()),
        (
            "page: oldest first",
            "?sort=asc".to_owned(),
            "?sort=asc".to_owned(),
        ),
        (
            "page: from the middle on",
            format!("?sort=asc&after={}", middle[0]),
            format!("?sort=asc&after={}", middle[1]),
        ),
        (
            "page: newest of a topic",
            "?topic=bench".to_owned(),
            "?topic=bench".to_owned(),
        ),
    ] {
        let pages = [(&keys[0], small), (&keys[1], large)]
            .map(|(key, query)| request("GET", &format!("/messages{query}"), key, ""));
        print(what, runtime.block_on(measure(&relay, &pages)));
    }
    let [send, delete] = runtime.block_on(measure_changes(&relay, &keys));
    print("send", send);
    print("delete", delete);
    drop(relay);
    if let Some(ctalk) = ctalk() {
        let (time, size) = cold_start(&ctalk, folder.path());
        println!("cold start in ms with {size:.1} GB {time:>22.0}");
    }
}

fn print(what: &str, [small, large]: [f64; 2]) {
    println!(
        "{what:<32} {small:>8.3} {large:>8.3} {:>6.2}",
        large / small
    );
}

/// How long it takes until a relay answers whose files are in no cache, in ms, and their size in GB.
fn cold_start(ctalk: &Path, folder: &Path) -> (f64, f64) {
    let mut bytes = 0;
    for file in fs::read_dir(folder).unwrap() {
        let file = File::open(file.unwrap().path()).unwrap();
        file.sync_all().unwrap();
        fadvise(&file, 0, None, Advice::DontNeed).unwrap();
        bytes += file.metadata().unwrap().len();
    }
    let began = Instant::now();
    drop(Process::relay(ctalk, folder));
    let time = began.elapsed().as_secs_f64() * 1000.0;
    (time, bytes as f64 / 1e9)
}

/// Multiplies the one message of each inbox, with new ids and later times. Returns the time in the
/// middle of each.
fn fill(folder: &Path, large: usize) -> Vec<String> {
    let mut database = rusqlite::Connection::open(folder.join("relay.db")).unwrap();
    let transaction = database.transaction().unwrap();
    for (name, count) in [("small", SMALL), ("large", large)] {
        transaction
            .execute_batch(&format!(
                "CREATE TEMP TABLE sample AS
                    SELECT m.*, c.inbox, c.tail FROM messages m JOIN copies c ON c.message = m.seq
                    WHERE c.inbox = (SELECT id FROM agents WHERE name = '{name}');
                 CREATE TEMP TABLE numbers AS
                    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {count})
                    SELECT i, (SELECT max(seq) FROM messages) + i AS seq FROM n;
                 INSERT INTO messages (seq, id, sender, ts, expires, topic, head)
                    SELECT numbers.seq, lower(hex(randomblob(18))), sender, ts + i, expires, topic, head
                    FROM sample, numbers;
                 INSERT INTO copies (inbox, ts, message, topic, tail)
                    SELECT inbox, ts + i, numbers.seq, topic, tail FROM sample, numbers;
                 UPDATE activity SET newest_ts = (SELECT max(ts + i) FROM sample, numbers)
                    WHERE agent = (SELECT inbox FROM sample);
                 DROP TABLE sample;
                 DROP TABLE numbers;"
            ))
            .unwrap();
    }
    let middle = ["small", "large"].map(|name| {
        let sql =
            "SELECT strftime('%Y-%m-%dT%H:%M:%fZ', ((min(ts) + max(ts)) / 2) / 1000.0, 'unixepoch')
                   FROM copies WHERE inbox = (SELECT id FROM agents WHERE name = ?1)";
        transaction
            .query_row(sql, [name], |row| row.get(0))
            .unwrap()
    });
    transaction.commit().unwrap();
    middle.into()
}

/// The median times of both pages, taken in turns so that both see the same machine.
async fn measure(relay: &Relay, pages: &[Vec<u8>; 2]) -> [f64; 2] {
    let mut times = [Vec::new(), Vec::new()];
    let mut connection = Connection::open(relay.address).await;
    for round in 0..ROUNDS {
        for (page, times) in pages.iter().zip(&mut times) {
            let began = Instant::now();
            let (status, body) = connection.call(page).await;
            // The first rounds warm the caches of both.
            if round >= ROUNDS / 10 {
                times.push(began.elapsed());
            }
            assert_eq!(status, 200);
            assert!(body.ends_with("\"count\":50}"), "{body}");
        }
    }
    times.map(|mut times| quantile(&mut times, 0.5))
}

/// The median times of a send to the owner of each of these keys and of its deletion, in turns.
async fn measure_changes(relay: &Relay, keys: &[String]) -> [[f64; 2]; 2] {
    let mut times: [[Vec<Duration>; 2]; 2] = Default::default();
    let mut connection = Connection::open(relay.address).await;
    for round in 0..CHANGES {
        for (at, name) in ["small", "large"].iter().enumerate() {
            let send = request("POST", "/messages", &keys[at], &sealed_message(name));
            let began = Instant::now();
            let (status, body) = connection.call(&send).await;
            let sent = began.elapsed();
            assert_eq!(status, 201, "{body}");
            let body: Value = serde_json::from_str(body).unwrap();
            let path = format!("/messages/{}", body["id"].as_str().unwrap());
            let delete = request("DELETE", &path, &keys[at], "");
            let began = Instant::now();
            let (status, body) = connection.call(&delete).await;
            let deleted = began.elapsed();
            assert_eq!(status, 204, "{body}");
            if round >= CHANGES / 10 {
                times[0][at].push(sent);
                times[1][at].push(deleted);
            }
        }
    }
    times.map(|times| times.map(|mut times| quantile(&mut times, 0.5)))
}
