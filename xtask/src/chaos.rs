//! `cargo xtask chaos`: delivery over a relay that fails, with more seeds than in the tests.

use anyhow::{Context, Result};

use crate::steps::{Skips, Steps};
use crate::workspace::cargo;

/// Tries that many seeds.
///
/// # Errors
/// When `seeds` is no number, and when with a seed something is lost or handled twice.
pub(crate) fn run(seeds: &str) -> Result<()> {
    let seeds: u32 = seeds.parse().context("`--seeds` takes a number")?;
    let mut steps = Steps::new(Skips::from_env());
    // Most of the time goes into dependencies, which the build of the tests optimises, and the disk.
    steps.run(
        &format!("Delivery with {seeds} more seeds"),
        cargo(&["test", "--workspace", "--locked"])
            .args(["--test", "chaos", "--", "--nocapture", "each_message"])
            .env("CTALK_CHAOS_SEEDS", seeds.to_string()),
    )?;
    println!("\n{}", steps.summary());
    Ok(())
}
