//! How long `ctalk --version` takes from spawn to exit, beside a program that does nothing.

use std::process::Command;

use anyhow::Result;

use super::stats::{duration, percentile, verdict};
use super::{release_binary, wall_times};
use crate::steps::Steps;

const ROUNDS: usize = 200;
const LIMIT_NS: f64 = 5e6;

pub(super) fn table(steps: &mut Steps) -> Result<String> {
    let mut version = Command::new(release_binary(steps)?);
    version.arg("--version");
    let times = wall_times(&mut [version, Command::new("/bin/true")], ROUNDS)?;
    let mut table = format!(
        "### startup\n\n{ROUNDS} runs of each in turn, spawn to exit.\n\n\
         | command | median | 95th percentile | limit |\n| --- | --- | --- | --- |\n"
    );
    for (name, times) in ["`ctalk --version`", "`/bin/true`"].iter().zip(&times) {
        let median = percentile(times, 50);
        let limit = if name.contains("ctalk") {
            format!("{}: {}", duration(LIMIT_NS), verdict(median < LIMIT_NS))
        } else {
            String::new()
        };
        table.push_str(&format!(
            "| {name} | {} | {} | {limit} |\n",
            duration(median),
            duration(percentile(times, 95))
        ));
    }
    Ok(table)
}
