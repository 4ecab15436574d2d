//! What programs that are linked with the library rely on, compared with a list.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::workspace::{command, root};

/// What only tests call.
const POINT_OF_FAILURE: &str = "ctalk_fault_next";

/// Compares exports and layouts with the list, and the exports with what the program `calls` calls.
pub(super) fn check(library: &Path, calls: &Path, layout: &Path) -> Result<()> {
    let found = found(library, layout)?;
    let listed = fs::read_to_string(list_path()).context("cannot read crates/ffi/abi.txt")?;
    if found != listed {
        let (found, listed) = (lines(&found), lines(&listed));
        let list = |lines: Vec<&&str>| {
            lines
                .iter()
                .map(|line| format!("\n  {line}"))
                .collect::<String>()
        };
        bail!(
            "the interface is not the listed one. Gone:{}\nNew:{}\nWhat programs could rely on must \
             stay; what is new goes into crates/ffi/abi.txt by `cargo xtask abi`",
            list(listed.difference(&found).collect()),
            list(found.difference(&listed).collect())
        );
    }
    let called = output(command(calls).arg("names"))?;
    let called: BTreeSet<String> = called
        .lines()
        .map(|name| format!("function {name}"))
        .collect();
    let functions: BTreeSet<String> = listed
        .lines()
        .filter(|line| line.starts_with("function "))
        .map(str::to_owned)
        .collect();
    ensure!(
        called == functions,
        "calls.c calls other functions than there are: {:?}",
        called.symmetric_difference(&functions).collect::<Vec<_>>()
    );
    println!("{} functions", functions.len());
    Ok(())
}

/// Writes the list anew.
pub(super) fn list(library: &Path, layout: &Path) -> Result<()> {
    fs::write(list_path(), found(library, layout)?).context("cannot write crates/ffi/abi.txt")
}

fn list_path() -> PathBuf {
    root().join("crates/ffi/abi.txt")
}

fn found(library: &Path, layout: &Path) -> Result<String> {
    let symbols = output(
        command("nm")
            .args(["--dynamic", "--defined-only", "--format=posix"])
            .arg(library),
    )?;
    let mut list = String::new();
    for symbol in symbols.lines() {
        let name = symbol.split(' ').next().unwrap_or_default();
        if name != POINT_OF_FAILURE {
            list.push_str(&format!("function {name}\n"));
        }
    }
    list.push_str(&output(&mut command(layout))?);
    Ok(list)
}

fn lines(text: &str) -> BTreeSet<&str> {
    text.lines().collect()
}

/// What a command that must succeed prints.
pub(super) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot start {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?} failed: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).context("the output is not UTF-8")
}
