//! `ctalk whoami`, and how one's own identity is shown.

use std::process::ExitCode;

use anyhow::Result;
use ctalk::{core::Identity, shown::Myself};

use crate::{context::Context, output::Output};

/// Show the profile's name, fingerprint and public keys
#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(Args {}: Args, context: &Context<'_>) -> Result<ExitCode> {
    let profile = context.profile()?;
    let (_, secrets) = context.keystore(&profile)?;
    let identity = Identity::from_keygen_json(secrets.identity())?;
    show(
        &Myself::new(&profile, identity.public_keys()),
        context.output,
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Shows the public side of a profile.
pub(super) fn show(me: &Myself<'_>, output: &Output) -> Result<()> {
    if output.is_json() {
        return output.object(me);
    }
    let row = |label: &str, value: &str| [label.to_owned(), value.to_owned()];
    output.table(&[
        row("name", me.name),
        row("fingerprint", &me.fingerprint.to_string()),
        row("classic fingerprint", &me.classic_fingerprint.to_string()),
        row("public key", &me.public_key),
        row("signing key", &me.signing_key),
        row("key store", &me.key_store),
        row("profile", &me.profile),
        row("relay", me.relay.unwrap_or("-")),
    ])
}
