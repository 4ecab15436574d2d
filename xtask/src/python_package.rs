//! The Python package as its users get it: installed into an empty environment, where the examples run
//! with nothing else, and then its types and its tests.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::debian::{self, PYTHON};
use crate::steps::Steps;
use crate::workspace::{cargo, command, root, target};

const PACKAGE: &str = "bindings/python";

/// Does all of it, with a library that has its points of failure.
pub(crate) fn test(steps: &mut Steps) -> Result<()> {
    if let Some(why) = debian::lacking(&[&PYTHON]) {
        return steps.skip("The Python package", &why);
    }
    // As for the C library, so that it is there already.
    let build = ["build", "--workspace", "--lib", "--locked"];
    steps.run(
        "Build libctalk",
        cargo(&build).args(["--features", "ctalk-ffi/fault-points"]),
    )?;
    let target = root().join(target()?);
    let venv = target.join("venv-package");
    empty_environment(steps, &venv)?;
    let python = venv.join("bin/python");
    steps.run(
        "Python: install the package",
        command(&python)
            .args(["-m", "pip", "install", "--quiet", "./bindings/python"])
            .env("CTALK_LIBRARY", target.join("debug/libctalk.so")),
    )?;
    for example in ["agent.py", "tool.py"] {
        let path = format!("examples/python/{example}");
        steps.run(
            &format!("Example: {example}"),
            command(&python).arg("-W").arg("error").arg(path),
        )?;
    }
    steps.run(
        "Python: packages for its tests",
        command(&python)
            .args(["-m", "pip", "install", "--quiet", "--requirement"])
            .arg(format!("{PACKAGE}/tests/requirements.txt")),
    )?;
    let here = root().join(PACKAGE);
    let cache = target.join("mypy");
    steps.run(
        "Python: types",
        command(&python)
            .args(["-m", "mypy", "--cache-dir"])
            .arg(cache)
            .current_dir(&here),
    )?;
    steps.run(
        "Python: tests",
        command(&python)
            .args(["-m", "pytest", "--quiet"])
            .current_dir(&here),
    )
}

/// Makes an environment without any packages, in place of what was there.
pub(crate) fn empty_environment(steps: &mut Steps, venv: &Path) -> Result<()> {
    if venv.exists() {
        fs::remove_dir_all(venv).with_context(|| format!("cannot remove {}", venv.display()))?;
    }
    steps.run(
        "Python: an empty environment",
        command("python3").args(["-m", "venv"]).arg(venv),
    )
}
