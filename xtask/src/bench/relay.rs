//! The relay's own benches: committed sends per second, and a page out of a large inbox.

use anyhow::{Result, ensure};

use super::output;
use crate::steps::Steps;
use crate::workspace::cargo;

pub(super) fn table(steps: &mut Steps) -> Result<String> {
    let mut table = "### relay\n".to_owned();
    for name in ["sends", "inbox"] {
        let bench = [
            "bench",
            "--quiet",
            "--locked",
            "--package",
            "ctalk-relay",
            "--bench",
            name,
        ];
        steps.run(
            &format!("Build the relay bench {name}"),
            cargo(&bench).arg("--no-run"),
        )?;
        let printed = output(&mut cargo(&bench))?;
        ensure!(
            !printed.trim().is_empty(),
            "the bench {name} printed nothing"
        );
        table.push_str(&format!("\n```text\n{}\n```\n", printed.trim_end()));
    }
    Ok(table)
}
