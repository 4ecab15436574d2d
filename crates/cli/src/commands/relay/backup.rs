//! `ctalk relay backup`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use ctalk_relay::back_up;
use serde::Serialize;

use super::settings::data_folder;
use crate::output::Output;

#[derive(clap::Args)]
pub(super) struct Args {
    /// The file to make
    #[arg(value_name = "TARGET")]
    target: PathBuf,
    /// The relay's data folder
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// The relay's TOML file of settings [env: CTALK_RELAY_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Serialize)]
struct Made {
    backup: String,
    agents: u64,
    messages: u64,
    bytes: u64,
}

pub(super) fn run(args: Args, output: &Output) -> Result<ExitCode> {
    let data = data_folder(args.data, args.config)?;
    let made = back_up(&data, &args.target)?;
    let made = Made {
        backup: args.target.display().to_string(),
        agents: made.agents,
        messages: made.messages,
        bytes: made.bytes,
    };
    if output.is_json() {
        output.object(&made)?;
    } else {
        let Made {
            backup,
            agents,
            messages,
            bytes,
        } = made;
        output.line(&format!(
            "backed up {messages} messages of {agents} agents to {backup}, {bytes} bytes"
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
