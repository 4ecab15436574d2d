//! `cargo xtask screenshots`: the pictures in `docs/images`.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::debian::{self, CHROMEDRIVER, CHROMIUM};
use crate::steps::{Skips, Steps};
use crate::workspace::{cargo, root};

/// Takes all of them anew.
///
/// # Errors
/// Without a browser, and when a page does not come to show what it shall.
pub(crate) fn run() -> Result<()> {
    let mut steps = Steps::new(Skips::Forbidden);
    debian::install(&mut steps, &[&CHROMIUM, &CHROMEDRIVER]);
    if let Some(why) = debian::lacking(&[&CHROMIUM, &CHROMEDRIVER]) {
        bail!("{why}");
    }
    let folder = root().join("docs/images");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    steps.run(
        "Screenshots",
        cargo(&["test", "--workspace", "--locked", "--test", "browser"])
            .args(["--", "--ignored", "pictures"])
            .env("CTALK_SCREENSHOTS", folder),
    )
}
