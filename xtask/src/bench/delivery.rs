//! Receiving: in process with an empty store and with one that remembers a million messages, and
//! `ctalk recv` beside a loop that starts the same handler.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Result, bail};

use super::envelope::peak_memory;
use super::send::{Relay, Sender, at};
use super::stats::{duration, measurement, measurements, percentile, verdict};
use super::{output, release_binary};
use crate::steps::Steps;
use crate::workspace::{as_from_a_shell, cargo, root, target};

const BENCH: [&str; 7] = [
    "bench",
    "--quiet",
    "--locked",
    "--package",
    "ctalk",
    "--bench",
    "delivery",
];
/// Messages in a second.
const LEAST_RATE: f64 = 1000.0;
/// Rate with an empty store divided by that with a full one; what runs of the same differ by anyway.
const HISTORY_LIMIT: f64 = 1.05;
/// What the bench program prints of each message's steps, and what they are.
const STEPS: [(&str, &str); 4] = [
    ("enqueue", "enqueue: sealed, and durable in the outbox"),
    (
        "handover",
        "hand over: taken by the relay, and out of the outbox",
    ),
    (
        "start",
        "handler start: from there on, stored, opened and claimed",
    ),
    ("delivery", "delivery: all of it, until it is committed"),
];
/// Messages of one `ctalk recv --exec`.
const HANDLED: usize = 500;
const ROUNDS: usize = 3;
/// What ctalk adds to starting a handler, in nanoseconds.
const OVERHEAD_LIMIT: f64 = 5e6;
/// Messages of the one `ctalk recv --follow` whose memory is looked at.
const FOLLOWED: usize = 100_000;
/// In KiB.
const MEMORY_LIMIT: f64 = 40.0 * 1024.0;

pub(super) fn table(steps: &mut Steps) -> Result<String> {
    let folder = root().join(target()?).join("bench-delivery");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    steps.run("Build the delivery bench", cargo(&BENCH).arg("--no-run"))?;
    let mut table = in_process()?;
    table.push_str(&command_line(&release_binary(steps)?, &folder)?);
    fs::remove_dir_all(&folder)?;
    Ok(table)
}

fn in_process() -> Result<String> {
    let mut table = String::from(
        "### delivery\n\nNative messages of 1 KiB, every write synced: fetched from memory, stored, opened, \
         claimed, handed to a handler in process and committed, per second. Beside it the barest way: \
         opened, and its id noted in a synced transaction. Medians.\n\n\
         | cores | nothing remembered | 1,000,000 remembered | bare | limit | limit of the ratio |\n\
         | --- | --- | --- | --- | --- | --- |\n",
    );
    let mut pinned = as_from_a_shell("taskset");
    pinned.args(["--cpu-list", "0", "cargo"]).args(BENCH);
    for (cores, mut bench) in [("1", pinned), ("2", cargo(&BENCH))] {
        bench.args(["--", "rates"]);
        let printed = measurements(&output(&mut bench)?);
        let empty = measurement(&printed, "empty_per_second")?;
        let full = measurement(&printed, "full_per_second")?;
        let bare = measurement(&printed, "bare_per_second")?;
        table.push_str(&format!(
            "| {cores} | {empty:.0} | {full:.0} | {bare:.0} | {LEAST_RATE:.0}: {} | {HISTORY_LIMIT}: {} |\n",
            verdict(empty >= LEAST_RATE),
            verdict(empty / full <= HISTORY_LIMIT),
        ));
    }
    table.push_str(
        "\nOne message at a time, with a relay in memory that pushes:\n\n\
         | step | p50 | p99 |\n| --- | --- | --- |\n",
    );
    let printed = measurements(&output(cargo(&BENCH).args(["--", "steps"]))?);
    for (name, what) in STEPS {
        let at = |percent: &str| measurement(&printed, &format!("{name}_{percent}_ns"));
        let (p50, p99) = (duration(at("p50")?), duration(at("p99")?));
        table.push_str(&format!("| {what} | {p50} | {p99} |\n"));
    }
    Ok(table)
}

fn command_line(ctalk: &Path, folder: &Path) -> Result<String> {
    let relay = Relay::start(ctalk, folder)?;
    let receiver = Sender::new(ctalk, &relay, folder, "plain", None)?;
    let (mut alone, mut idle, mut busy) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mut recv = receiver.command(&["recv", "--quiet", "--exec", "true"]);
        feed(&relay, &receiver, HANDLED)?;
        busy.push(time(&mut recv, 1)?);
        idle.push(time(&mut recv, 1)?);
        alone.push(time(&mut Command::new("true"), HANDLED)?);
    }
    let each = |times: &[f64]| percentile(times, 50) / HANDLED as f64;
    let (alone, with) = (each(&alone), each(&busy) - each(&idle));
    let overhead = with - alone;
    feed(&relay, &receiver, FOLLOWED)?;
    let count = FOLLOWED.to_string();
    let follow = receiver.command(&["recv", "--follow", "--count", &count, "--json"]);
    let started = Instant::now();
    let memory = peak_memory(&follow, &folder.join("follow.memory"))?;
    let rate = FOLLOWED as f64 / started.elapsed().as_secs_f64();
    Ok(format!(
        "\nHandlers as programs, {HANDLED} messages from a relay on loopback and then as many starts of \
         the program alone, per message, medians of {ROUNDS} rounds.\n\n\
         | `ctalk recv --exec true` | `true` | overhead | limit |\n| --- | --- | --- | --- |\n\
         | {} | {} | {} | {}: {} |\n\n\
         `ctalk recv --follow` over {FOLLOWED} messages: {rate:.0} a second, peak memory {:.1} MiB \
         (limit {:.0}: {}).\n",
        duration(with),
        duration(alone),
        duration(overhead),
        duration(OVERHEAD_LIMIT),
        verdict(overhead < OVERHEAD_LIMIT),
        memory / 1024.0,
        MEMORY_LIMIT / 1024.0,
        verdict(memory <= MEMORY_LIMIT),
    ))
}

/// Sends messages to the receiver.
fn feed(relay: &Relay, receiver: &Sender<'_>, count: usize) -> Result<()> {
    let mut feed = cargo(&BENCH);
    feed.args(["--", "feed", &relay.url])
        .arg(at(&relay.admin_key_file))
        .args([receiver.name(), count.to_string()]);
    output(&mut feed).map(drop)
}

/// Wall time in nanoseconds of so many runs.
fn time(command: &mut Command, runs: usize) -> Result<f64> {
    let started = Instant::now();
    for _ in 0..runs {
        let status = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()?;
        if !status.success() {
            bail!("{command:?} failed ({status})");
        }
    }
    Ok(started.elapsed().as_secs_f64() * 1e9)
}
