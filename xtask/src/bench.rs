//! `cargo xtask bench`: measurements as Markdown tables. Every comparison runs its two sides in turn,
//! so that both meet the same machine.

mod bindings;
mod classic;
mod delivery;
mod envelope;
mod relay;
mod send;
mod startup;
mod stats;
mod store;

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::steps::{Skips, Steps, shell_line};
use crate::workspace::{cargo, target};

/// Runs the named benches, all when `names` is empty.
///
/// # Errors
/// On the first unknown name, before anything runs; and on the first bench that fails.
pub(crate) fn run(names: &[&str]) -> Result<()> {
    let all = [
        "bindings", "classic", "delivery", "envelope", "relay", "send", "startup", "store",
    ];
    if let Some(unknown) = names.iter().find(|name| !all.contains(name)) {
        bail!(
            "there is no bench `{unknown}`; there are {}",
            all.join(", ")
        );
    }
    let mut steps = Steps::new(Skips::from_env());
    let mut tables = vec![machine()];
    for name in if names.is_empty() { &all } else { names } {
        tables.push(match *name {
            "bindings" => bindings::table(&mut steps)?,
            "classic" => classic::table(&mut steps)?,
            "delivery" => delivery::table(&mut steps)?,
            "envelope" => envelope::table(&mut steps)?,
            "relay" => relay::table(&mut steps)?,
            "send" => send::table(&mut steps)?,
            "startup" => startup::table(&mut steps)?,
            _ => store::table(&mut steps)?,
        });
    }
    println!("\n{}\n", steps.summary());
    println!("{}", tables.join("\n"));
    Ok(())
}

/// The machine the numbers come from.
fn machine() -> String {
    let processor = std::fs::read_to_string("/proc/cpuinfo")
        .ok()
        .and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("model name"))?;
            Some(line.split_once(": ")?.1.to_owned())
        })
        .unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let rustc = output(Command::new("rustc").arg("--version"))
        .map_or_else(|_| "rustc".to_owned(), |text| text.trim().to_owned());
    format!("Measured on {cores} cores of {processor}, {rustc}.\n")
}

/// Builds the optimised `ctalk` and says where it is.
fn release_binary(steps: &mut Steps) -> Result<PathBuf> {
    steps.run(
        "Build ctalk",
        &mut cargo(&["build", "--release", "--locked", "--package", "ctalk-cli"]),
    )?;
    Ok(crate::workspace::root()
        .join(target()?)
        .join("release/ctalk"))
}

/// Runs `command` and hands back what it wrote to stdout.
fn output(command: &mut Command) -> Result<String> {
    let line = shell_line(command);
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start `{line}`"))?;
    if !output.status.success() {
        bail!("`{line}` failed ({})", output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{line}` did not write UTF-8"))
}

/// Wall times in nanoseconds from spawn to exit of each of `commands`, `rounds` times in turn, after
/// one unmeasured run of each.
fn wall_times(commands: &mut [Command], rounds: usize) -> Result<Vec<Vec<f64>>> {
    let mut times = vec![Vec::with_capacity(rounds); commands.len()];
    for round in 0..=rounds {
        for (command, times) in commands.iter_mut().zip(&mut times) {
            command.stdin(Stdio::null()).stdout(Stdio::null());
            let started = Instant::now();
            let status = command.status();
            let elapsed = started.elapsed();
            let line = || shell_line(command);
            let status = status.with_context(|| format!("cannot start `{}`", line()))?;
            if !status.success() {
                bail!("`{}` failed ({status})", line());
            }
            if round > 0 {
                times.push(elapsed.as_secs_f64() * 1e9);
            }
        }
    }
    Ok(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_measured_once_per_round() {
        let mut commands = [Command::new("true"), Command::new("true")];
        let times = wall_times(&mut commands, 3).unwrap();
        assert_eq!(times.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3]);
        assert!(times.iter().flatten().all(|time| *time > 0.0));
    }

    #[test]
    fn a_command_that_fails_is_an_error_and_no_measurement() {
        let error = wall_times(&mut [Command::new("false")], 3).unwrap_err();
        assert!(error.to_string().contains("`false` failed"), "{error}");
    }

    #[test]
    fn an_unknown_bench_is_refused_before_any_runs() {
        let error = run(&["startup", "warp"]).unwrap_err();
        assert!(error.to_string().contains("`warp`"), "{error}");
    }
}
