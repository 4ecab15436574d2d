//! Envelopes: core's own bench, and a file of 1 GiB beside `age` and `rage`.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use super::stats::{duration, percentile, verdict};
use super::{output, release_binary};
use crate::debian::{self, AGE, TIME};
use crate::steps::{Steps, shell_line};
use crate::workspace::{cargo, root, target};

const ROUNDS: usize = 3;
const FILE_LEN: u64 = 1 << 30;
/// ctalk's wall time divided by a peer's.
const LIMIT: f64 = 1.0;
/// Peak of ctalk's resident memory, in KiB.
const MEMORY_LIMIT: f64 = 32.0 * 1024.0;

pub(super) fn table(steps: &mut Steps) -> Result<String> {
    debian::install(steps, &[&AGE, &TIME]);
    if let Some(why) = debian::lacking(&[&AGE, &TIME]) {
        bail!("{why}: install it to measure against it");
    }
    let ctalk = release_binary(steps)?;
    let rage = rage(steps)?;
    let mut bench = cargo(&[
        "bench",
        "--quiet",
        "--locked",
        "--package",
        "ctalk-core",
        "--bench",
        "envelope",
    ]);
    let printed = output(&mut bench)?;
    let folder = root().join(target()?).join("bench-envelope");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let rows = files(&ctalk, &rage, &folder)?;
    fs::remove_dir_all(&folder)?;
    Ok(format!(
        "### envelope\n\n```text\n{}\n```\n\nA file of {} MiB to one recipient, from file to file; the \
         programs in turn, spawn to exit, medians of {ROUNDS} rounds.\n\n\
         | operation | program | time | ctalk / it | limit | peak memory |\n\
         | --- | --- | --- | --- | --- | --- |\n{rows}",
        printed.trim_end(),
        FILE_LEN >> 20
    ))
}

/// `rage` from crates.io, in the target folder.
fn rage(steps: &mut Steps) -> Result<PathBuf> {
    let peers = root().join(target()?).join("peers");
    let rage = peers.join("bin/rage");
    if !rage.exists() {
        let mut install = cargo(&["install", "rage", "--locked", "--root"]);
        steps.run("Build rage", install.arg(&peers))?;
    }
    Ok(rage)
}

/// Something that turns the file `from` into the file `to`.
struct Operation {
    program: &'static str,
    command: Command,
    to: PathBuf,
}

fn files(ctalk: &Path, rage: &Path, folder: &Path) -> Result<String> {
    let plain = folder.join("plain");
    let mut random = File::open("/dev/urandom")?.take(FILE_LEN);
    std::io::copy(&mut random, &mut File::create(&plain)?)?;

    let ours = || {
        let mut command = Command::new(ctalk);
        command
            .env("CTALK_HOME", folder.join("home"))
            .arg("--quiet");
        command
    };
    output(ours().args(["keygen", "--name", "bench", "--key-store", "plain"]))?;
    let card = folder.join("card");
    fs::write(&card, output(ours().arg("card"))?)?;
    let key = folder.join("key");
    let made = output(&mut Command::new("age-keygen"))?;
    File::create(&key)?.write_all(made.as_bytes())?;
    let recipient = made
        .lines()
        .find_map(|line| line.strip_prefix("# public key: "))
        .context("age-keygen printed no public key")?;

    let operation = |program, mut command: Command, to: &str, from: &Path| {
        let to = folder.join(to);
        command.arg("-o").arg(&to).arg(from);
        Operation {
            program,
            command,
            to,
        }
    };
    let seal = |program, path: &Path, to: &str| {
        let mut command = Command::new(path);
        command.args(["-r", recipient]);
        operation(program, command, to, &plain)
    };
    let open = |program, path: &Path, from: &str, to: &str| {
        let mut command = Command::new(path);
        command.arg("-d").arg("-i").arg(&key);
        operation(program, command, to, &folder.join(from))
    };
    let mut sealing = ours();
    sealing.args(["seal", "--to"]).arg(&card);
    let mut opening = ours();
    opening.args(["open", "--from"]).arg(&card);
    let (age, rage) = (Path::new("age"), rage);
    let mut rows = series(
        "seal",
        &mut [
            operation("ctalk", sealing, "sealed.ctalk", &plain),
            seal("age", age, "sealed.age"),
            seal("rage", rage, "sealed.rage"),
        ],
    )?;
    rows += &series(
        "open",
        &mut [
            operation(
                "ctalk",
                opening,
                "opened.ctalk",
                &folder.join("sealed.ctalk"),
            ),
            open("age", age, "sealed.age", "opened.age"),
            open("rage", rage, "sealed.rage", "opened.rage"),
        ],
    )?;
    let same = Command::new("cmp")
        .arg(&plain)
        .arg(folder.join("opened.ctalk"))
        .status()?;
    ensure!(same.success(), "what was opened is not what was sealed");
    Ok(rows)
}

/// Rows of a table; the first operation is ctalk's.
fn series(name: &str, operations: &mut [Operation]) -> Result<String> {
    let mut times = vec![Vec::with_capacity(ROUNDS); operations.len()];
    let mut memory = Vec::with_capacity(operations.len());
    for operation in &mut *operations {
        let report = operation.to.with_extension("memory");
        memory.push(peak_memory(&operation.command, &report)?);
    }
    for _ in 0..ROUNDS {
        for (operation, times) in operations.iter_mut().zip(&mut times) {
            fs::remove_file(&operation.to)?;
            let started = Instant::now();
            run(&mut operation.command)?;
            times.push(started.elapsed().as_secs_f64() * 1e9);
        }
    }
    let medians: Vec<_> = times.iter().map(|times| percentile(times, 50)).collect();
    let ours = medians.first().copied().unwrap_or_default();
    let mut rows = String::new();
    for ((operation, median), memory) in operations.iter().zip(medians).zip(memory) {
        let program = operation.program;
        let is_ours = program == "ctalk";
        let kept = if is_ours {
            format!("| | 32 MiB: {}", verdict(memory <= MEMORY_LIMIT))
        } else {
            let ratio = ours / median;
            format!("| {ratio:.2} | {LIMIT:.1}: {}", verdict(ratio <= LIMIT))
        };
        rows.push_str(&format!(
            "| {name} | `{program}` | {} {kept} | {:.1} MiB |\n",
            duration(median),
            memory / 1024.0
        ));
    }
    Ok(rows)
}

/// Runs the command once, with a file to write to; returns the peak of its resident memory in KiB.
pub(super) fn peak_memory(command: &Command, report: &Path) -> Result<f64> {
    let mut timed = Command::new("time");
    timed.args(["-f", "%M", "-o"]).arg(report);
    timed.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            timed.env(name, value);
        }
    }
    run(&mut timed)?;
    let printed = fs::read_to_string(report)?;
    printed
        .trim()
        .parse()
        .with_context(|| format!("`time` printed {printed:?}"))
}

fn run(command: &mut Command) -> Result<()> {
    let line = shell_line(command);
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .with_context(|| format!("cannot start `{line}`"))?;
    ensure!(status.success(), "`{line}` failed ({status})");
    Ok(())
}
