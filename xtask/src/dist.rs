//! `cargo xtask dist`: the C library as programs find it, with its header, for pkg-config and for CMake.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::steps::{Skips, Steps};
use crate::workspace::{cargo, root, target};

/// Most bytes of the shared library.
pub(crate) const MAX_SHARED: u64 = 9 * 1024 * 1024;

/// The number that programs are linked with: `CTALK_ABI_VERSION`.
const SHARED: &str = "libctalk.so.1";

/// What the static library needs besides itself.
pub(crate) const SYSTEM: [&str; 6] = ["-lgcc_s", "-lutil", "-lrt", "-lpthread", "-lm", "-ldl"];

/// Builds the library for others and lays it out in `target/ctalk`.
pub(crate) fn run() -> Result<()> {
    let prefix = build(&mut Steps::new(Skips::Reported))?;
    let size = fs::metadata(shared_library(&prefix))?.len();
    let prefix = prefix.display();
    println!(
        "\n{prefix}: {SHARED} has {size} bytes. To use it from there:\n\n    \
         export PKG_CONFIG_PATH={prefix}/lib/pkgconfig LD_LIBRARY_PATH={prefix}/lib"
    );
    ensure!(
        size <= MAX_SHARED,
        "{SHARED} has {size} bytes, more than the {MAX_SHARED} allowed"
    );
    Ok(())
}

/// Does that without a word about it, and says where the library is.
pub(crate) fn build(steps: &mut Steps) -> Result<PathBuf> {
    let build = [
        "rustc",
        "--locked",
        "--package",
        "ctalk-ffi",
        "--lib",
        "--profile",
        "dist",
    ];
    steps.run(
        "Build libctalk",
        cargo(&build).args(["--", "-C", &format!("link-arg=-Wl,-soname,{SHARED}")]),
    )?;
    let target = root().join(target()?);
    let prefix = target.join("ctalk");
    install(&target.join("dist"), &prefix)?;
    Ok(prefix)
}

/// The shared library of what was installed under `prefix`.
pub(crate) fn shared_library(prefix: &Path) -> PathBuf {
    prefix.join("lib").join(SHARED)
}

/// Lays out the library that was built into `built` under `prefix`, in place of what is there.
pub(crate) fn install(built: &Path, prefix: &Path) -> Result<()> {
    if prefix.exists() {
        fs::remove_dir_all(prefix)
            .with_context(|| format!("cannot remove {}", prefix.display()))?;
    }
    let [include, lib, pkgconfig, cmake] =
        ["include", "lib", "lib/pkgconfig", "share/ctalk/cmake"].map(|name| prefix.join(name));
    for folder in [&include, &pkgconfig, &cmake] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let source = root().join("crates/ffi");
    copy(&source.join("include/ctalk.h"), &include.join("ctalk.h"))?;
    copy(&built.join("libctalk.a"), &lib.join("libctalk.a"))?;
    copy(&built.join("libctalk.so"), &shared_library(prefix))?;
    symlink(SHARED, lib.join("libctalk.so")).context("cannot link libctalk.so")?;
    fill_in(
        &source.join("dist/ctalk.pc.in"),
        &pkgconfig.join("ctalk.pc"),
        " ",
    )?;
    fill_in(
        &source.join("dist/FindCtalk.cmake.in"),
        &cmake.join("FindCtalk.cmake"),
        ";",
    )
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to)
        .map(drop)
        .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}

/// Writes `from` to `to` with the version, and with what the static library needs.
fn fill_in(from: &Path, to: &Path, separator: &str) -> Result<()> {
    let text =
        fs::read_to_string(from).with_context(|| format!("cannot read {}", from.display()))?;
    let text = text
        .replace("@VERSION@", env!("CARGO_PKG_VERSION"))
        .replace("@SYSTEM@", &SYSTEM.join(separator));
    fs::write(to, text).with_context(|| format!("cannot write {}", to.display()))
}
