//! `ctalk open`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result};
use ctalk::{
    core::{Fingerprint, envelope::VerifiedHeader},
    stream,
};
use serde::Serialize;

use crate::{
    context::Context,
    destination::Destination,
    input,
    peer::Peers,
    progress::Progress,
    runtime,
    senders::{Senders, UNKNOWN},
};

/// Open an envelope from a contact, or from whom you name
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write the content to this file, which must not exist [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Take it from this sender only: a key card, `-` or a path with a `/` to read one from, or a
    /// contact
    #[arg(long, value_name = "CARD-OR-NAME", conflicts_with = "any_sender")]
    from: Option<String>,
    /// Take it from anybody
    #[arg(long)]
    any_sender: bool,
    /// The envelope, or `-` for stdin
    #[arg(default_value = "-")]
    file: PathBuf,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Opened<'a> {
    from: Option<&'a str>,
    #[serde(serialize_with = "ctalk::shown::hex")]
    fingerprint: Fingerprint,
    trust: &'a str,
    id: String,
    created: String,
    expires: String,
    recipients: u16,
    #[serde(rename = "type")]
    kind: &'a str,
    topic: Option<&'a str>,
    correlation_id: Option<&'a str>,
    reply_to: Option<&'a str>,
    content_type: &'a str,
    name: Option<&'a str>,
    bytes: u64,
}

pub(crate) fn run(args: Args, context: &Context<'_>) -> Result<ExitCode> {
    let output = *context.output;
    super::verify::one_stdin(args.from.as_deref(), &args.file)?;
    let profile = context.profile()?;
    let peers = Peers::new(context, &profile);
    let senders = Senders::new(args.from.as_deref(), Some(args.any_sender), peers)?;
    let (_, secrets) = context.keystore(&profile)?;
    let identity = secrets.unlock()?;
    let (source, length) = input::open(&args.file)?;
    let (opened, known) = runtime::run(async {
        // Dropped on Ctrl-C, so that nothing is left behind.
        let (destination, writer) = Destination::begin(args.out)?;
        let work = move || {
            let mut known = None;
            let decide = |header: &VerifiedHeader| {
                let sender = senders.check(header)?;
                if sender.trust == UNKNOWN {
                    output.warning("--any-sender takes it from somebody unknown");
                }
                known = Some(sender);
                Ok::<_, anyhow::Error>(())
            };
            let progress = Progress::new(&output, length);
            let show = |done| progress.show(done);
            let opened = stream::open(&identity, super::now(), source, writer, decide, show)?;
            Ok((opened, known))
        };
        let opened = runtime::blocking(work).await?;
        destination.complete()?;
        Ok(opened)
    })?;
    let (header, metadata) = (&opened.header, &opened.metadata);
    let fingerprint = Fingerprint::native(header.sender());
    let known = known.context("an envelope was opened without a look at its sender")?;
    if output.is_json() {
        output.report(&Opened {
            from: known.name.as_deref(),
            fingerprint,
            trust: known.trust,
            id: header.id().to_string(),
            created: ctalk::shown::timestamp(header.created()),
            expires: ctalk::shown::timestamp(header.expires()),
            recipients: header.recipients(),
            kind: metadata.kind.as_str(),
            topic: metadata.topic.as_deref(),
            correlation_id: metadata.correlation_id.as_deref(),
            reply_to: metadata.reply_to.as_deref(),
            content_type: &metadata.content_type,
            name: metadata.name.as_deref(),
            bytes: opened.length,
        })?;
    } else {
        output.note(&format!("from {}", known.describe(&fingerprint)));
    }
    Ok(ExitCode::SUCCESS)
}
