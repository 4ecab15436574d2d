//! `cargo xtask man`: the command line writes its own man pages.

use anyhow::Result;

use crate::steps::{Skips, Steps};
use crate::workspace::{command, debug_binary, target};

/// Writes the man pages to `target/man`.
pub(crate) fn run() -> Result<()> {
    let mut steps = Steps::new(Skips::from_env());
    let ctalk = debug_binary(&mut steps)?;
    let folder = target()?.join("man");
    steps.run(
        "Man pages",
        command(ctalk).args(["man", "--out"]).arg(&folder),
    )?;
    println!("\nman pages are in {}", folder.display());
    Ok(())
}
