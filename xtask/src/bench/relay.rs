//! The relay's own benches: committed sends per second, and a page out of a large inbox.

use anyhow::Result;

use super::output;
use super::stats::measurements;
use crate::steps::Steps;
use crate::workspace::cargo;

pub(super) fn table(steps: &mut Steps) -> Result<String> {
    let mut table = "### relay\n\n| measurement | value |\n| --- | --- |\n".to_owned();
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
        for (name, value) in measurements(&output(&mut cargo(&bench))?) {
            table.push_str(&format!("| `{name}` | {value} |\n"));
        }
    }
    Ok(table)
}
