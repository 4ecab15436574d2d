//! `ctalk verify`.

use std::{
    borrow::Cow,
    io::{Cursor, Read},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Result;
use ctalk::{
    Class, Profile,
    core::{Fingerprint, envelope::TEXT_PREFIX},
    stream,
    text::escaped,
};
use serde::{Deserialize, Serialize};

use crate::{
    args::RelayArg, context::Context, exit::Complaint, input, peer::Peers, progress::Progress,
    runtime, senders::Senders,
};

/// Largest message read, in bytes: the largest body, every character escaped, and what a relay
/// adds.
const MAX_MESSAGE: usize = 1 << 20;
/// What envelopes begin with in either form, and no JSON does.
const MAGIC: &[u8] = b"ctalk";
/// Bytes read to find that, with what may stand before it.
const PEEKED: u64 = 64;

/// Check the signature of an envelope or a message, without opening it
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Who must have sent the envelope: a key card, `-` or a path with a `/` to read one from, or a
    /// contact [default: any contact]
    #[arg(long, value_name = "CARD-OR-NAME")]
    from: Option<String>,
    /// An envelope, or a message in JSON as the relay gives it, or `-` for stdin
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
    #[serde(serialize_with = "ctalk::shown::hex")]
    fingerprint: Fingerprint,
    trust: &'a str,
    to: &'a str,
    #[serde(rename = "type")]
    message_type: &'a str,
    topic: Option<&'a str>,
    correlation_id: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VerifiedEnvelope<'a> {
    from: Option<&'a str>,
    #[serde(serialize_with = "ctalk::shown::hex")]
    fingerprint: Fingerprint,
    trust: &'a str,
    id: String,
    created: String,
    expires: String,
    recipients: u16,
}

/// A relay's message around an envelope.
#[derive(Deserialize)]
struct Carrier<'a> {
    #[serde(borrow)]
    payload: Cow<'a, str>,
}

pub(crate) fn run(args: Args, context: &Context<'_>) -> Result<ExitCode> {
    one_stdin(args.from.as_deref(), &args.file)?;
    let profile = context.profile()?;
    let (mut source, length) = input::open(&args.file)?;
    let mut start = Vec::new();
    let read = source.by_ref().take(PEEKED).read_to_end(&mut start);
    read.map_err(|error| {
        let text = format!("cannot read {}: {error}", args.file.display());
        Complaint::new(Class::Usage, text)
    })?;
    // Whatever a mail program put before it.
    let around = |byte: &&u8| byte.is_ascii_whitespace() || **byte == b'>';
    let is_envelope = start.iter().skip_while(around).take(MAGIC.len()).eq(MAGIC);
    let source = Cursor::new(start).chain(source);
    if is_envelope {
        envelope(source, length, args.from.as_deref(), &profile, context)
    } else {
        message(source, args.from.as_deref(), &profile, args.relay, context)
    }
}

/// Refuses to read both a key card and an envelope from stdin.
pub(super) fn one_stdin(from: Option<&str>, file: &Path) -> Result<()> {
    if from == Some("-") && input::is_stdin(file) {
        let text = "stdin can be read once only, for a key card or for the envelope";
        return Err(Complaint::new(Class::Usage, text).into());
    }
    Ok(())
}

fn envelope(
    source: impl Read + Send + 'static,
    length: Option<u64>,
    from: Option<&str>,
    profile: &Profile,
    context: &Context<'_>,
) -> Result<ExitCode> {
    let output = *context.output;
    let senders = Senders::new(from, None, Peers::new(context, profile))?;
    let header = runtime::run(runtime::blocking(move || {
        let progress = Progress::new(&output, length);
        Ok(stream::verify(source, |done| progress.show(done))?)
    }))?;
    let known = senders.check(&header)?;
    let verified = VerifiedEnvelope {
        from: known.name.as_deref(),
        fingerprint: Fingerprint::native(header.sender()),
        trust: known.trust,
        id: header.id().to_string(),
        created: ctalk::shown::timestamp(header.created()),
        expires: ctalk::shown::timestamp(header.expires()),
        recipients: header.recipients(),
    };
    if output.is_json() {
        output.object(&verified)?;
        return Ok(ExitCode::SUCCESS);
    }
    let row = |label: &str, value: &str| [label.to_owned(), escaped(value).into_owned()];
    output.table(&[
        row("signed by", verified.from.unwrap_or("-")),
        row("fingerprint", &verified.fingerprint.to_string()),
        row("trust", verified.trust),
        row("id", &verified.id),
        row("created", &verified.created),
        row("expires", &verified.expires),
        row("recipients", &verified.recipients.to_string()),
    ])?;
    Ok(ExitCode::SUCCESS)
}

fn message(
    source: impl Read,
    from: Option<&str>,
    profile: &Profile,
    relay: RelayArg,
    context: &Context<'_>,
) -> Result<ExitCode> {
    let output = context.output;
    let mut raw = Vec::new();
    input::read_all(source, "the message", MAX_MESSAGE, &mut raw)?;
    if let Ok(Carrier { payload }) = serde_json::from_slice(&raw)
        && payload.starts_with(TEXT_PREFIX)
    {
        let length = u64::try_from(payload.len()).ok();
        let source = Cursor::new(payload.into_owned());
        return envelope(source, length, from, profile, context);
    }
    if from.is_some() {
        // A key card vouches for envelopes only.
        return envelope(Cursor::new(raw), None, from, profile, context);
    }
    let store = context.store(profile, relay)?;
    let sender = ctalk::verify(&store, &raw)?;
    let verified = Verified {
        from: &sender.contact.name,
        relay_from: &sender.claims.from,
        fingerprint: sender.contact.keys.fingerprint(),
        trust: sender.contact.standing.as_str(),
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
