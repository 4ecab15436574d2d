//! Agents in C, Python and Node and the command line, who pass messages round. With what the tests of
//! the C library and of the packages have built and installed, so after these.

use std::path::Path;

use anyhow::Result;

use crate::c_library;
use crate::debian::{self, NODE, NPM, PYTHON};
use crate::steps::Steps;
use crate::test::replace_folder;
use crate::workspace::{command, root, target};

const RING: &str = "tests/ring";

pub(crate) fn test(steps: &mut Steps, ctalk: &Path) -> Result<()> {
    let tools = [&c_library::TOOLS[..], &[&PYTHON, &NODE, &NPM]].concat();
    if let Some(why) = debian::lacking(&tools) {
        return steps.skip("A ring of four languages", &why);
    }
    let target = root().join(target()?);
    let lib = target.join("c/installed/lib");
    let member = target.join("c/ring");
    let line = format!(
        "cc {RING}/member.c $(pkg-config --cflags --libs ctalk) -Wl,-rpath,{} -o {}",
        lib.display(),
        member.display()
    );
    steps.run(
        "Ring: the member in C",
        command("sh")
            .args(["-c", &line])
            .env("PKG_CONFIG_PATH", lib.join("pkgconfig")),
    )?;
    // Beside an installed package, where Node looks for it.
    let beside = target.join("node/empty/ring");
    replace_folder(&root().join(RING), &beside)?;
    steps.run(
        "Ring: four languages",
        command(target.join("venv-package/bin/python"))
            .arg(format!("{RING}/run.py"))
            .arg("--ctalk")
            .arg(ctalk)
            .arg("--c")
            .arg(member)
            .arg("--node")
            .arg(beside.join("member.mjs")),
    )
}
