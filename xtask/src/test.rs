//! `cargo xtask test`: every test of every language.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::c_library;
use crate::debian::{self, CHROMEDRIVER, CHROMIUM, DBUS, GNOME_KEYRING, NODE, NPM, PYTHON};
use crate::node_package;
use crate::python_package;
use crate::ring;
use crate::steps::{Skips, Steps};
use crate::workspace::{cargo, command, debug_binary, root, target};

/// Runs everything and stops at the first failure.
pub(crate) fn run() -> Result<()> {
    let mut steps = Steps::new(Skips::from_env());
    let tools = [
        &DBUS,
        &GNOME_KEYRING,
        &CHROMIUM,
        &CHROMEDRIVER,
        &PYTHON,
        &NODE,
        &NPM,
    ];
    debian::install(&mut steps, &[&tools[..], &c_library::TOOLS].concat());
    rust(&mut steps)?;
    let ctalk = debug_binary(&mut steps)?;
    steps.run("Demo", command(&ctalk).arg("demo"))?;
    examples(&mut steps, &ctalk)?;
    c_library::test(&mut steps)?;
    python_package::test(&mut steps)?;
    node_package::test(&mut steps)?;
    ring::test(&mut steps, &ctalk)?;
    interop(&mut steps, &ctalk)?;
    openapi(&mut steps, &ctalk)?;
    println!("\n{}", steps.summary());
    Ok(())
}

/// Runs the tests of the C library alone.
pub(crate) fn c_library_alone() -> Result<()> {
    let mut steps = Steps::new(Skips::from_env());
    debian::install(&mut steps, &c_library::TOOLS);
    c_library::test(&mut steps)?;
    println!("\n{}", steps.summary());
    Ok(())
}

/// Runs the tests of the Python package alone.
pub(crate) fn python_package_alone() -> Result<()> {
    let mut steps = Steps::new(Skips::from_env());
    debian::install(&mut steps, &[&PYTHON]);
    python_package::test(&mut steps)?;
    println!("\n{}", steps.summary());
    Ok(())
}

/// Runs the tests of the Node package alone.
pub(crate) fn node_package_alone() -> Result<()> {
    let mut steps = Steps::new(Skips::from_env());
    debian::install(&mut steps, &[&NODE, &NPM]);
    node_package::test(&mut steps)?;
    println!("\n{}", steps.summary());
    Ok(())
}

fn rust(steps: &mut Steps) -> Result<()> {
    // They run among the Rust tests, where they can; only what is missing is said here.
    if let Some(why) = debian::lacking(&[&DBUS, &GNOME_KEYRING]) {
        steps.skip("Key store tests against a Secret Service", &why)?;
    }
    if let Some(why) = debian::lacking(&[&CHROMIUM, &CHROMEDRIVER]) {
        steps.skip("The relay's web pages in a browser", &why)?;
    }
    steps.run(
        "Rust tests",
        &mut cargo(&["test", "--workspace", "--locked"]),
    )
}

/// Every example, as its first lines say; those in C, Python and Node are run with what they need.
fn examples(steps: &mut Steps, ctalk: &Path) -> Result<()> {
    for example in ["embed", "folder_relay"] {
        let run = ["run", "--quiet", "--locked", "--package", "ctalk"];
        steps.run(
            &format!("Example: {example}"),
            cargo(&run).args(["--example", example]),
        )?;
    }
    for example in ["two-agents.sh", "rpc-server.sh", "encrypted-pipe.sh"] {
        steps.run(
            &format!("Example: {example}"),
            command("sh")
                .arg(format!("examples/{example}"))
                .env("CTALK", root().join(ctalk)),
        )?;
    }
    Ok(())
}

/// The second implementations, of envelopes and of a ClawTalk client, against ctalk in both directions.
fn interop(steps: &mut Steps, ctalk: &Path) -> Result<()> {
    if let Some(why) = debian::lacking(&[&PYTHON, &NODE, &NPM]) {
        return steps.skip("Interoperability with Python and Node", &why);
    }
    let target = target()?;
    let venv = target.join("venv");
    let python = venv.join("bin/python");
    steps.run(
        "Python environment",
        command("python3").args(["-m", "venv"]).arg(&venv),
    )?;
    steps.run(
        "Python packages",
        command(&python)
            .args(["-m", "pip", "install", "--quiet", "--requirement"])
            .arg("tests/interop/python/requirements.txt")
            .args(["--requirement", "tests/python/requirements.txt"]),
    )?;
    steps.run(
        "Envelopes of a second implementation",
        command(&python)
            .args(["tests/python/run.py", "--ctalk"])
            .arg(ctalk),
    )?;
    let node = target.join("interop-node");
    replace_folder(&root().join("tests/interop/node"), &root().join(&node))?;
    steps.run(
        "Node packages",
        command("npm")
            .args(["ci", "--no-fund", "--prefix"])
            .arg(&node),
    )?;
    steps.run(
        "Interoperability with Python and Node",
        command(&python)
            .args(["tests/interop/run.py", "--ctalk"])
            .arg(ctalk)
            .arg("--node")
            .arg(&node),
    )
}

/// The relay's API against its own OpenAPI document.
fn openapi(steps: &mut Steps, ctalk: &Path) -> Result<()> {
    if let Some(why) = debian::lacking(&[&PYTHON]) {
        return steps.skip("The relay's API against its document", &why);
    }
    // Apart from the other one, whose packages have needs of their own.
    let venv = target()?.join("venv-openapi");
    let python = venv.join("bin/python");
    steps.run(
        "Python environment of Schemathesis",
        command("python3").args(["-m", "venv"]).arg(&venv),
    )?;
    steps.run(
        "Schemathesis",
        command(&python)
            .args(["-m", "pip", "install", "--quiet", "--requirement"])
            .arg("tests/openapi/requirements.txt"),
    )?;
    steps.run(
        "The relay's API against its document",
        command(&python)
            .args(["tests/openapi/run.py", "--ctalk"])
            .arg(ctalk),
    )
}

/// Makes `to` a copy of `from`, without anything that was in `to` before and without installed packages.
pub(crate) fn replace_folder(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        fs::remove_dir_all(to).with_context(|| format!("cannot remove {}", to.display()))?;
    }
    copy_folder(from, to)
        .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_name() == "node_modules" {
            continue;
        }
        let copy = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &copy)?;
        } else {
            fs::copy(entry.path(), copy)?;
        }
    }
    Ok(())
}
