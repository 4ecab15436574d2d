//! Looking things up among 100,000 contacts and 1,000,000 handled messages, and what so many contacts
//! cost `ctalk send`.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use anyhow::{Result, bail};

use super::send::{Recipient, Relay, Sender};
use super::stats::{duration, measurement, measurements, percentile, verdict};
use super::{output, release_binary, wall_times};
use crate::debian::{self, CURL};
use crate::steps::Steps;
use crate::workspace::{cargo, root, target};

/// One lookup, in nanoseconds.
const LIMIT_NS: f64 = 100e3;
/// What the bench program prints, and what it is.
const LOOKUPS: [(&str, &str); 4] = [
    ("sender_by_address", "sender by address"),
    ("sender_by_signing_key", "sender by signing key"),
    ("duplicate_known", "duplicate, handled before"),
    ("duplicate_new", "duplicate, never seen"),
];
/// Each of these is one `ctalk send` with few contacts and one with many.
const ROUNDS: usize = 100;
const FEW: usize = 10;
const MANY: usize = 100_000;
/// Median wall time with many contacts divided by that with few; what runs of the same binary differ
/// by anyway.
const LIMIT: f64 = 1.05;

pub(super) fn table(steps: &mut Steps) -> Result<String> {
    debian::install(steps, &[&CURL]);
    if let Some(why) = debian::lacking(&[&CURL]) {
        bail!("{why}: it registers the recipient");
    }
    let folder = root().join(target()?).join("bench-store");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let bench = [
        "bench",
        "--quiet",
        "--locked",
        "--package",
        "ctalk",
        "--bench",
        "store",
    ];
    steps.run("Build the store's bench", cargo(&bench).arg("--no-run"))?;
    let printed = measurements(&output(cargo(&bench).arg("--").arg(&folder))?);
    let mut table = format!(
        "### store\n\nAmong {MANY} contacts with key cards and 1,000,000 handled envelopes, medians. An \
         import takes {} for each contact.\n\n| lookup | median | least | limit |\n\
         | --- | --- | --- | --- |\n",
        duration(measurement(&printed, "import_ns")?)
    );
    for (name, what) in LOOKUPS {
        let median = measurement(&printed, &format!("{name}_ns"))?;
        let least = measurement(&printed, &format!("{name}_min_ns"))?;
        table.push_str(&format!(
            "| {what} | {} | {} | {}: {} |\n",
            duration(median),
            duration(least),
            duration(LIMIT_NS),
            verdict(median < LIMIT_NS)
        ));
    }
    table.push_str(&sends(&release_binary(steps)?, &folder)?);
    fs::remove_dir_all(&folder)?;
    Ok(table)
}

/// `ctalk send` of two profiles that differ in nothing but the number of their contacts.
fn sends(ctalk: &Path, folder: &Path) -> Result<String> {
    let all = folder.join("contacts.jsonl");
    let few = folder.join("few.jsonl");
    let mut list = File::create(&few)?;
    for line in BufReader::new(File::open(&all)?).lines().take(FEW) {
        writeln!(list, "{}", line?)?;
    }
    let mut relays = Vec::with_capacity(2);
    let mut commands = Vec::with_capacity(2);
    for (name, list) in [("few", few), ("many", all)] {
        let folder = folder.join(name);
        fs::create_dir(&folder)?;
        let relay = Relay::start(ctalk, &folder)?;
        Recipient::register(&relay, &folder)?;
        let sender = Sender::new(ctalk, &relay, &folder, "plain", None)?;
        output(sender.command(&["contact", "import"]).arg(&list))?;
        commands.push(sender.send());
        relays.push(relay);
    }
    let times = wall_times(&mut commands, ROUNDS)?;
    let medians: Vec<_> = times.iter().map(|times| percentile(times, 50)).collect();
    let [few, many] = medians.as_slice() else {
        bail!("expected two series")
    };
    let ratio = many / few;
    Ok(format!(
        "\n`ctalk send` to a relay on loopback, both in turn, spawn to exit, medians.\n\n\
         | {FEW} contacts | {MANY} contacts | ratio | limit |\n| --- | --- | --- | --- |\n\
         | {} | {} | {ratio:.2} | {LIMIT}: {} |\n",
        duration(*few),
        duration(*many),
        verdict(ratio <= LIMIT)
    ))
}
