//! `ctalk revoke`.

use std::process::ExitCode;

use anyhow::Result;
use ctalk::{Class, core::Fingerprint};
use serde::Serialize;

use crate::{args::RelayArg, context::Context, exit::Complaint, runtime};

/// End the profile's identity for good, without a successor
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Do it: there is no way back
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    relay: RelayArg,
}

#[derive(Serialize)]
struct Revoked<'a> {
    name: &'a str,
    #[serde(serialize_with = "ctalk::shown::hex")]
    fingerprint: Fingerprint,
    revocation: String,
}

pub(crate) fn run(args: Args, context: &Context<'_>) -> Result<ExitCode> {
    let output = context.output;
    if !args.yes {
        let text = "nobody takes anything from a revoked identity any more, for good";
        return Err(Complaint::new(Class::Usage, text)
            .hint(
                "`ctalk succeed` makes a new identity instead; to end this one: ctalk revoke --yes",
            )
            .into());
    }
    let profile = context.profile()?;
    let url = context.relay_url(args.relay, Some(&profile))?;
    let (_, secrets) = context.keystore(&profile)?;
    let relay = context.connect(&url, &secrets)?;
    let revocation =
        runtime::run(async { Ok(ctalk::revoke(&profile, &secrets, &relay, super::now()).await?) })?;
    let revoked = Revoked {
        name: profile.name(),
        fingerprint: Fingerprint::native(revocation.identity()),
        revocation: revocation.to_text(),
    };
    if output.is_json() {
        output.object(&revoked)?;
    } else {
        let Revoked {
            name, fingerprint, ..
        } = &revoked;
        output.line(&format!("revoked {name} {fingerprint}"))?;
    }
    Ok(ExitCode::SUCCESS)
}
