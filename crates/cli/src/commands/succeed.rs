//! `ctalk succeed`.

use std::process::ExitCode;

use anyhow::Result;
use ctalk::{Class, core::Fingerprint};
use serde::Serialize;

use crate::{args::RelayArg, context::Context, exit::Complaint, runtime};

/// Replace the profile's identity by a new one, which the old one names as its successor
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Do it: the old identity is refused everywhere afterwards, and cannot come back
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    relay: RelayArg,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Succeeded<'a> {
    name: &'a str,
    #[serde(serialize_with = "ctalk::shown::hex")]
    former: Fingerprint,
    #[serde(serialize_with = "ctalk::shown::hex")]
    fingerprint: Fingerprint,
    succession: String,
    /// The contacts that were told.
    told: Vec<&'a str>,
}

pub(crate) fn run(args: Args, context: &Context<'_>) -> Result<ExitCode> {
    let output = context.output;
    if !args.yes {
        let text = "the old identity cannot come back, and whoever verified it must verify anew";
        return Err(Complaint::new(Class::Usage, text)
            .hint("ctalk succeed --yes")
            .into());
    }
    let profile = context.profile()?;
    let url = context.relay_url(args.relay, Some(&profile))?;
    let (keystore, secrets) = context.keystore(&profile)?;
    let relay = context.connect(&url, &secrets)?;
    let done = runtime::run(async {
        Ok(ctalk::succeed(&profile, &keystore, &secrets, &relay, super::now()).await?)
    })?;
    let mut told = Vec::new();
    for (name, outcome) in &done.told {
        match outcome {
            Ok(()) => told.push(name.as_str()),
            Err(error) => output.warning(&format!(
                "{name} was not told, and learns it from the relay's directory: {error}"
            )),
        }
    }
    let succeeded = Succeeded {
        name: profile.name(),
        former: Fingerprint::native(done.succession.predecessor()),
        fingerprint: done.card.fingerprint(),
        succession: done.succession.to_text(),
        told,
    };
    if output.is_json() {
        output.object(&succeeded)?;
    } else {
        let Succeeded {
            former,
            fingerprint,
            ..
        } = &succeeded;
        output.line(&format!("{former} was succeeded by {fingerprint}"))?;
        let count = succeeded.told.len();
        output.note(&format!("told {count} of the contacts"));
    }
    Ok(ExitCode::SUCCESS)
}
