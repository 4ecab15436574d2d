//! Where things are, and the commands that build them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::steps::Steps;

/// The folder of the workspace manifest.
pub(crate) fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// The target folder this program was built into, relative to [`root`] where it lies inside.
///
/// # Errors
/// When the running executable does not lie in `TARGET/PROFILE/`.
pub(crate) fn target() -> Result<PathBuf> {
    let exe = std::env::current_exe().context("cannot find the running executable")?;
    let target = exe
        .ancestors()
        .nth(2)
        .context("the executable is not in a target folder")?;
    Ok(target.strip_prefix(root()).unwrap_or(target).to_path_buf())
}

/// A command that runs in [`root`].
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// [`as_from_a_shell`] for cargo.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut cargo = as_from_a_shell("cargo");
    cargo.args(args);
    cargo
}

/// A command that calls cargo, as if it were called from a shell: `cargo run` exports the variables
/// of the package it runs, and build scripts that watch them (ring's does) would rebuild everything
/// behind them.
pub(crate) fn as_from_a_shell(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = command(program);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Builds the `ctalk` that people debug and says where it is.
///
/// All packages are selected, as for the tests, so that features agree and little is built twice.
pub(crate) fn debug_binary(steps: &mut Steps) -> Result<PathBuf> {
    let build = ["build", "--workspace", "--locked", "--bin", "ctalk"];
    steps.run("Build ctalk", &mut cargo(&build))?;
    Ok(target()?.join("debug/ctalk"))
}
