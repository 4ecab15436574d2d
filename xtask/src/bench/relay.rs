//! The relay's own benches: committed sends per second, a page out of a large inbox, and a relay in a
//! process of its own beside NATS JetStream.

use std::path::Path;

use anyhow::{Result, ensure};

use super::stats::{measurement, measurements, verdict};
use super::{output, release_binary};
use crate::debian::{self, NATS};
use crate::steps::Steps;
use crate::workspace::cargo;

/// Messages of the large inbox.
const MESSAGES: &str = "5000000";
/// What has to be at least so much: the measurement's name, what it is, and the limit.
const AT_LEAST: [(&str, &str, f64); 2] = [
    ("sends-64", "committed sends/s, 64 connections", 8000.0),
    ("sends-1", "committed sends/s, one connection", 2500.0),
];
/// What its parts do by themselves, and what NATS JetStream does beside it.
const YARDSTICKS: [(&str, &str); 5] = [
    (
        "answers-1",
        "answers/s to requests that change nothing, one connection",
    ),
    ("commits-1", "commits/s of SQLite alone, one message each"),
    ("nats-64", "JetStream: acknowledged/s, 64 connections"),
    ("nats-1", "JetStream: acknowledged/s, one after the other"),
    (
        "nats-in-flight",
        "JetStream: acknowledged/s, 1,000 in flight",
    ),
];
/// What may be at most so much, times in ms and memory in KiB.
const AT_MOST: [(&str, &str, f64); 3] = [
    (
        "delivery-p99",
        "ms from send to stream at 1,000/s, 99th percentile",
        15.0,
    ),
    ("idle", "KiB of memory, idle", 25.0 * 1024.0),
    (
        "with-streams",
        "KiB of memory, 5,000 open streams",
        250.0 * 1024.0,
    ),
];
/// An honest send beside idle connections, divided by one without them.
const SIEGE_LIMIT: f64 = 3.0;

pub(super) fn table(steps: &mut Steps) -> Result<String> {
    debian::install(steps, &[&NATS]);
    if let Some(why) = debian::lacking(&[&NATS]) {
        steps.skip("NATS JetStream beside the relay", &why)?;
    }
    let ctalk = std::path::absolute(release_binary(steps)?)?;
    let mut table = "### relay\n".to_owned();
    for name in ["sends", "inbox"] {
        let printed = bench(steps, name, &ctalk)?;
        table.push_str(&format!("\n```text\n{}\n```\n", printed.trim_end()));
    }
    let all = measurements(&bench(steps, "running", &ctalk)?);
    table.push_str("\n| measurement | value | limit |\n| --- | --- | --- |\n");
    for (name, what, limit) in AT_LEAST {
        let value = measurement(&all, name)?;
        let verdict = verdict(value >= limit);
        table.push_str(&format!(
            "| {what} | {value:.0} | {limit:.0}: {verdict} |\n"
        ));
    }
    for (name, what) in YARDSTICKS {
        if let Some(value) = all.get(name) {
            table.push_str(&format!("| {what} | {value:.0} | |\n"));
        }
    }
    for (name, what, limit) in AT_MOST {
        let value = measurement(&all, name)?;
        let verdict = verdict(value <= limit);
        table.push_str(&format!(
            "| {what} | {value:.1} | {limit:.0}: {verdict} |\n"
        ));
    }
    let (alone, beside) = (
        measurement(&all, "send-alone")?,
        measurement(&all, "send-beside-connections")?,
    );
    let ratio = beside / alone;
    let verdict = verdict(ratio <= SIEGE_LIMIT);
    table.push_str(&format!(
        "| a send beside 10,000 idle connections / without | {ratio:.2} | {SIEGE_LIMIT}: {verdict} |\n"
    ));
    let memory = measurement(&all, "with-connections")?;
    table.push_str(&format!("| KiB of memory with them | {memory:.0} | |\n"));
    Ok(table)
}

fn bench(steps: &mut Steps, name: &str, ctalk: &Path) -> Result<String> {
    let bench = [
        "bench",
        "--quiet",
        "--locked",
        "--package",
        "ctalk-relay",
        "--bench",
        name,
    ];
    steps.run(
        &format!("Build the relay bench {name}"),
        cargo(&bench).arg("--no-run"),
    )?;
    let printed = output(
        cargo(&bench)
            .env("CTALK", ctalk)
            .env("CTALK_BENCH_MESSAGES", MESSAGES),
    )?;
    ensure!(
        !printed.trim().is_empty(),
        "the bench {name} printed nothing"
    );
    Ok(printed)
}
