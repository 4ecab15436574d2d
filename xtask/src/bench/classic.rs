//! Sealing and opening a classic message in ctalk and in libsodium, over the same canonical bytes.

use anyhow::{Result, bail};

use super::output;
use super::stats::{duration, measurements, median, verdict};
use crate::debian::{self, LIBSODIUM};
use crate::steps::Steps;
use crate::workspace::{cargo, command, target};

const ROUNDS: usize = 7;
/// ctalk's time divided by libsodium's.
const LIMIT: f64 = 0.65;
/// What both programs print, in nanoseconds for one message with 1 KiB of payload.
const NAMES: [&str; 2] = ["seal_sign_1k_ns", "verify_open_1k_ns"];

pub(super) fn table(steps: &mut Steps) -> Result<String> {
    debian::install(steps, &[&LIBSODIUM]);
    if let Some(why) = debian::lacking(&[&LIBSODIUM]) {
        bail!("{why}: install it to measure against it");
    }
    let peer = target()?.join("libsodium-peer");
    steps.run(
        "Build the libsodium side",
        command("cc")
            .args(["-O2", "-Wall", "-Wextra", "-Werror", "-o"])
            .arg(&peer)
            .args(["xtask/peers/libsodium.c", "-lsodium"]),
    )?;
    let bench = [
        "bench",
        "--quiet",
        "--locked",
        "--package",
        "ctalk-core",
        "--bench",
        "classic",
    ];
    steps.run("Build the ctalk side", cargo(&bench).arg("--no-run"))?;

    let mut ours = Vec::with_capacity(ROUNDS);
    let mut theirs = Vec::with_capacity(ROUNDS);
    for round in 1..=ROUNDS {
        println!("round {round} of {ROUNDS}");
        ours.push(measurements(&output(&mut cargo(&bench))?));
        theirs.push(measurements(&output(&mut command(&peer))?));
    }
    let mut table = format!(
        "### classic\n\nMedians of {ROUNDS} rounds, the two programs in turn. ctalk's times include the \
         canonical string, base64 and JSON; libsodium's do not.\n\n\
         | operation | ctalk | libsodium | ctalk / libsodium | limit |\n\
         | --- | --- | --- | --- | --- |\n"
    );
    for name in NAMES {
        let ours = median(&ours, name)?;
        let theirs = median(&theirs, name)?;
        let ratio = ours / theirs;
        table.push_str(&format!(
            "| `{}` | {} | {} | {ratio:.2} | {LIMIT}: {} |\n",
            name.trim_end_matches("_ns"),
            duration(ours),
            duration(theirs),
            verdict(ratio <= LIMIT)
        ));
    }
    Ok(table)
}
