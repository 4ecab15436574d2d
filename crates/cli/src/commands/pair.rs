//! `ctalk pair`.

use std::{process::ExitCode, time::Duration};

use anyhow::Result;
use ctalk::{Pairing, core::pairing::Code};
use serde::Serialize;

use crate::{
    args::RelayArg,
    context::{self, Context},
    duration::{self, SECOND},
    runtime, secrets,
};

/// Exchange key cards by a short code, and verify each other
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The code that the other side's `ctalk pair` printed: @FILE, or `-` for stdin [default: make
    /// a code]
    code: Option<secrets::SecretArg>,
    /// The contact's name here, if it is new [default: the one on the card]
    #[arg(long = "as", value_name = "NAME", value_parser = super::contact::name)]
    local: Option<String>,
    /// How long to wait for the other side, at most 10m
    #[arg(long, value_name = duration::VALUE_NAME, default_value = "10m", value_parser = duration::between(SECOND, Duration::from_mins(10)))]
    timeout: Duration,
    #[command(flatten)]
    relay: RelayArg,
}

#[derive(Serialize)]
struct Invited<'a> {
    code: &'a str,
    expires: String,
}

pub(crate) fn run(args: Args, context: &Context<'_>) -> Result<ExitCode> {
    let output = context.output;
    let code = args
        .code
        .map(|given| secrets::pairing_code(given, output))
        .transpose()?
        .map(|text| Code::parse(&text).map_err(ctalk::Error::Code))
        .transpose()?;
    let profile = context.profile()?;
    let url = context.relay_url(args.relay, Some(&profile))?;
    let (keystore, secrets) = context.keystore(&profile)?;
    let card = ctalk::own_card(&profile, &keystore, &secrets, super::now())?;
    let mut client = context.client_with(&profile, keystore, &secrets, &url)?;
    let (local, timeout) = (args.local, args.timeout);
    let contact = runtime::run(async {
        context::refresh(&mut client, output).await;
        let pairing = match code {
            Some(code) => Pairing::join(&mut client, code, card, local, timeout).await?,
            None => {
                let (pairing, code) = Pairing::invite(&mut client, card, local, timeout).await?;
                let expires = ctalk::shown::time(pairing.deadline());
                if output.is_json() {
                    let code = &code;
                    output.object(&Invited { code, expires })?;
                } else {
                    output.line(&code)?;
                    output.note(&format!(
                        "good once, until {expires}: tell it to nobody but the other side, who \
                         types it into `ctalk pair -`"
                    ));
                }
                pairing
            }
        };
        Ok(pairing.wait(&mut client).await?)
    })?;
    super::contact::show(&contact, output)?;
    Ok(ExitCode::SUCCESS)
}
