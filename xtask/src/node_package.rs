//! The Node package as its users get it: packed and installed into an empty folder, and beside the
//! examples; then its types and its tests.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::debian::{self, NODE, NPM};
use crate::steps::Steps;
use crate::test::replace_folder;
use crate::workspace::{cargo, command, root, target};

const PACKAGE: &str = "bindings/node";
const EXAMPLES: &str = "examples/node";
/// What somebody does who has just installed it.
const FIRST: &str = "import { Identity } from 'ctalk'; \
    const own = Identity.generate(); \
    console.log((await own.open(await own.seal('it works', [own.card()]))).text());";

/// Does all of it, with a library that has its points of failure.
pub(crate) fn test(steps: &mut Steps) -> Result<()> {
    if let Some(why) = debian::lacking(&[&NODE, &NPM]) {
        return steps.skip("The Node package", &why);
    }
    // As for the C library, so that it is there already.
    let build = ["build", "--workspace", "--lib", "--locked"];
    steps.run(
        "Build libctalk",
        cargo(&build).args(["--features", "ctalk-ffi/fault-points"]),
    )?;
    let target = root().join(target()?);
    let library = target.join("debug/libctalk.so");
    // A copy, so that no library stays beside the package in the source tree.
    let tree = target.join("node");
    for folder in [PACKAGE, EXAMPLES] {
        replace_folder(&root().join(folder), &tree.join(folder))?;
    }
    installed(steps, &tree, &library)?;
    steps.run(
        "Node: packages for its tests",
        command("npm")
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .args(["--prefix", PACKAGE]),
    )?;
    steps.run(
        "Node: types",
        command("node").args([
            "bindings/node/node_modules/typescript/bin/tsc",
            "--project",
            PACKAGE,
        ]),
    )?;
    steps.run(
        "Node: tests",
        command("npm")
            .args(["test", "--prefix", PACKAGE])
            .env("CTALK_LIBRARY", &library)
            // Panics are demanded, dozens of them.
            .env("RUST_BACKTRACE", "0"),
    )
}

/// Where nothing else is: as a package with the library inside, and as the folder that it is.
fn installed(steps: &mut Steps, tree: &Path, library: &Path) -> Result<()> {
    let package = tree.join(PACKAGE);
    steps.run(
        "Node: pack",
        command("npm")
            .args(["pack", "--pack-destination"])
            .args([tree, &package])
            .env("CTALK_LIBRARY", library),
    )?;
    let empty = tree.join("empty");
    if empty.exists() {
        fs::remove_dir_all(&empty).with_context(|| format!("cannot remove {}", empty.display()))?;
    }
    fs::create_dir_all(&empty).with_context(|| format!("cannot make {}", empty.display()))?;
    let packed = tree.join(format!("ctalk-{}.tgz", env!("CARGO_PKG_VERSION")));
    steps.run(
        "Node: install into an empty folder",
        command("npm")
            .args(["install", "--no-audit", "--no-fund", "--prefix"])
            .args([&empty, &packed]),
    )?;
    steps.run(
        "Node: the first program",
        command("node")
            .args(["--input-type=module", "--eval", FIRST])
            .current_dir(&empty),
    )?;
    let examples = tree.join(EXAMPLES);
    steps.run(
        "Node: install beside the examples",
        command("npm")
            .args(["install", "--no-audit", "--no-fund", "--prefix"])
            .arg(&examples)
            .env("CTALK_LIBRARY", library),
    )?;
    for example in ["bot.js", "webhook.js"] {
        steps.run(
            &format!("Example: {example}"),
            command("node").arg(examples.join(example)),
        )?;
    }
    Ok(())
}
