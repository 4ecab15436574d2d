//! `ctalk verify`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use ctalk::{Trust, core::Fingerprint, text::escaped};
use serde::Serialize;

use crate::{args::RelayArg, context::Context, input};

/// Largest message read, in bytes: the largest body, every character escaped, and what a relay
/// adds.
const MAX_MESSAGE: usize = 1 << 20;

/// Check a message's signature against its pinned sender, without opening it
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The message in JSON as the relay gives it, or `-` for stdin
    #[arg(default_value = "-")]
    file: PathBuf,
    #[command(flatten)]
    relay: RelayArg,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Verified<'a> {
    from: &'a str,
    relay_from: &'a str,
    #[serde(serialize_with = "super::whoami::hex")]
    fingerprint: Fingerprint,
    trust: &'a str,
    to: &'a str,
    #[serde(rename = "type")]
    message_type: &'a str,
    topic: Option<&'a str>,
    correlation_id: Option<&'a str>,
}

pub(crate) fn run(args: Args, context: &Context<'_>) -> Result<ExitCode> {
    let output = context.output;
    let profile = context.profile()?;
    let mut raw = Vec::new();
    input::read(&args.file, MAX_MESSAGE, &mut raw)?;
    let store = context.store(&profile, args.relay)?;
    let sender = ctalk::verify(&store, &raw)?;
    let verified = Verified {
        from: &sender.contact.name,
        relay_from: &sender.claims.from,
        fingerprint: sender.contact.keys.fingerprint(),
        trust: Trust::Pinned.as_str(),
        to: &sender.claims.to,
        message_type: &sender.claims.message_type,
        topic: sender.claims.topic.as_deref(),
        correlation_id: sender.claims.correlation_id.as_deref(),
    };
    if output.is_json() {
        output.object(&verified)?;
        return Ok(ExitCode::SUCCESS);
    }
    let row = |label: &str, value: Option<&str>| {
        [label.to_owned(), escaped(value.unwrap_or("-")).into_owned()]
    };
    output.table(&[
        row("signed by", Some(verified.from)),
        row("fingerprint", Some(&verified.fingerprint.to_string())),
        row("trust", Some(verified.trust)),
        row("to", Some(verified.to)),
        row("type", Some(verified.message_type)),
        row("topic", verified.topic),
        row("correlation id", verified.correlation_id),
    ])?;
    Ok(ExitCode::SUCCESS)
}
