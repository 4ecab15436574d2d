//! `cargo xtask man`: the command line writes its own man pages.

use anyhow::Result;

use crate::steps::{Skips, Steps};
use crate::workspace::{cargo, command, target};

/// Writes the man pages to `target/man`.
pub(crate) fn run() -> Result<()> {
    let mut steps = Steps::new(Skips::from_env());
    steps.run(
        "Build ctalk",
        &mut cargo(&["build", "--locked", "--package", "ctalk-cli"]),
    )?;
    let target = target()?;
    let folder = target.join("man");
    steps.run(
        "Man pages",
        command(target.join("debug/ctalk"))
            .args(["man", "--out"])
            .arg(&folder),
    )?;
    println!("\nman pages are in {}", folder.display());
    Ok(())
}
