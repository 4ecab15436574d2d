//! `ctalk health`.

use std::{process::ExitCode, sync::Arc};

use anyhow::Result;
use ctalk::{Profile, ProfileError, clock::SystemClock, relay::clawtalk::ClawTalk, text::escaped};

use crate::{args::RelayArg, context::Context};

/// Ask the relay how it is; needs neither identity nor key
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    relay: RelayArg,
}

pub(crate) fn run(args: Args, context: &Context<'_>) -> Result<ExitCode> {
    let profile = match Profile::open(&context.folder()?) {
        Ok(profile) => Some(profile),
        Err(ProfileError::Missing { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let url = context.relay_url(args.relay, profile.as_ref())?;
    let relay = ClawTalk::new(&url, None, Arc::new(SystemClock))?;
    let health = crate::runtime::run(async { Ok(relay.health().await?) })?;
    if context.output.is_json() {
        context.output.object(&health)?;
    } else {
        let (status, ts) = (escaped(&health.status), escaped(&health.ts));
        let agents = health.agents.to_string();
        context
            .output
            .line(&format!("{status}, {} agents, {ts}", escaped(&agents)))?;
    }
    Ok(ExitCode::SUCCESS)
}
