//! `ctalk channels`.

use std::process::ExitCode;

use anyhow::Result;
use ctalk::text::escaped;
use serde::Serialize;

use crate::{args::RelayArg, context::Context};

/// List the topics of the messages that the relay holds
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    relay: RelayArg,
}

#[derive(Serialize)]
struct Channel<'a> {
    topic: &'a str,
}

pub(crate) fn run(args: Args, context: &Context<'_>) -> Result<ExitCode> {
    let profile = context.profile()?;
    let relay = context.connection(&profile, args.relay)?;
    let channels = crate::runtime::run(async { Ok(relay.channels().await?) })?;
    for topic in &channels {
        if context.output.is_json() {
            context.output.object(&Channel { topic })?;
        } else {
            context.output.line(&escaped(topic))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
