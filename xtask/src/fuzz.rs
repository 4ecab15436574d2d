//! `cargo xtask fuzz`: the targets of `fuzz/`, one after the other.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::steps::{Skips, Steps};
use crate::workspace::{as_from_a_shell, cargo, root, target};

const CARGO_FUZZ_VERSION: &str = "0.13.2";

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
struct Options<'a> {
    /// How long each target runs.
    seconds: u32,
    /// Whether what is found worth keeping goes into `fuzz/corpus`.
    keep: bool,
    /// All when there is none.
    targets: Vec<&'a str>,
}

/// Runs each target for the given time.
///
/// # Errors
/// On an unknown argument or target, before anything runs; and on the first crash.
pub(crate) fn run(args: &[&str]) -> Result<()> {
    let all = targets()?;
    let all: Vec<_> = all.iter().map(String::as_str).collect();
    let options = Options::read(args, &all)?;
    let mut steps = Steps::new(Skips::Forbidden);
    let fuzzer = Fuzzer::install(&mut steps)?;
    for name in &options.targets {
        let scratch = fuzzer.scratch(name)?;
        let corpus = corpus(name);
        steps.run(
            &format!("Fuzz {name}"),
            fuzzer.command(name, &[&scratch, &corpus]).args([
                "-timeout=25",
                "-print_final_stats=1",
                &format!("-max_total_time={}", options.seconds),
            ]),
        )?;
        if options.keep {
            steps.run(
                &format!("Keep what reached more of {name}"),
                // Inputs that only go around a loop more often would be thousands.
                fuzzer
                    .command(name, &[&corpus, &scratch])
                    .args(["-set_cover_merge=1", "-use_counters=0"]),
            )?;
        }
    }
    println!("\n{}", steps.summary());
    Ok(())
}

impl<'a> Options<'a> {
    fn read(args: &[&'a str], all: &[&'a str]) -> Result<Self> {
        let mut seconds = None;
        let mut keep = false;
        let mut targets = Vec::new();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match *arg {
                "--seconds" => {
                    let value = args.next().copied().unwrap_or_default();
                    // To libFuzzer 0 means without end.
                    let positive = value.parse().ok().filter(|seconds| *seconds > 0);
                    seconds = Some(positive.with_context(|| {
                        format!("--seconds takes a whole number from 1, not `{value}`")
                    })?);
                }
                "--keep" => keep = true,
                name if all.contains(&name) => targets.push(name),
                name => bail!(
                    "there is no fuzz target `{name}`; there are {}",
                    all.join(", ")
                ),
            }
        }
        Ok(Self {
            seconds: seconds.context("say how long each target shall run: --seconds N")?,
            keep,
            targets: if targets.is_empty() {
                all.to_vec()
            } else {
                targets
            },
        })
    }
}

/// The names of the programs in `fuzz/fuzz_targets`.
fn targets() -> Result<Vec<String>> {
    let folder = root().join("fuzz/fuzz_targets");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into()));
    }
    names.sort();
    Ok(names)
}

fn corpus(name: &str) -> PathBuf {
    root().join("fuzz/corpus").join(name)
}

/// cargo-fuzz, and where it may write.
struct Fuzzer {
    program: PathBuf,
    target: PathBuf,
}

impl Fuzzer {
    fn install(steps: &mut Steps) -> Result<Self> {
        let target = root().join(target()?);
        let peers = target.join("peers");
        let program = peers.join("bin/cargo-fuzz");
        if !program.exists() {
            let install = ["install", "cargo-fuzz", "--locked", "--version"];
            steps.run(
                "Install cargo-fuzz",
                cargo(&install)
                    .args([CARGO_FUZZ_VERSION, "--root"])
                    .arg(&peers),
            )?;
        }
        Ok(Self {
            program,
            target: target.join("fuzz"),
        })
    }

    /// Where this machine keeps what `name` found in this and in earlier runs.
    fn scratch(&self, name: &str) -> Result<PathBuf> {
        let scratch = self.target.join("corpus").join(name);
        fs::create_dir_all(&scratch).with_context(|| scratch.display().to_string())?;
        Ok(scratch)
    }

    /// Runs a target on `folders`, of which the first is written to. Arguments for libFuzzer follow.
    fn command(&self, name: &str, folders: &[&Path]) -> Command {
        let mut command = as_from_a_shell(&self.program);
        command
            // The sanitizers are behind an unstable flag.
            .env("RUSTC_BOOTSTRAP", "1")
            .args(["run", "--fuzz-dir", "fuzz", "--target-dir"])
            .arg(&self.target)
            .arg(name)
            .args(folders)
            .arg("--");
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &[&str] = &["card", "text"];

    #[test]
    fn every_target_runs_when_none_is_named() {
        let options = Options::read(&["--seconds", "5"], ALL).unwrap();
        assert_eq!(options.targets, ALL);
        assert_eq!((options.seconds, options.keep), (5, false));
    }

    #[test]
    fn a_named_target_runs_alone() {
        let options = Options::read(&["text", "--keep", "--seconds", "5"], ALL).unwrap();
        assert_eq!(options.targets, ["text"]);
        assert!(options.keep);
    }

    #[test]
    fn what_would_run_forever_or_nowhere_is_refused() {
        for (args, word) in [
            (&["--seconds", "0"][..], "`0`"),
            (&["--seconds"], "``"),
            (&["card"], "--seconds N"),
            (&["--seconds", "5", "warp"], "`warp`"),
        ] {
            let error = Options::read(args, ALL).unwrap_err();
            assert!(error.to_string().contains(word), "{args:?}: {error}");
        }
    }

    #[test]
    fn every_target_of_the_folder_has_a_corpus() {
        let targets = targets().unwrap();
        assert!(!targets.is_empty());
        for name in targets {
            assert!(corpus(&name).is_dir(), "{name}");
        }
    }
}
