//! `ctalk send`.

use std::{
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::Result;
use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser, TypedValueParser};
use ctalk::{
    Agent, Class, Content, Draft, Error, MAX_PAYLOAD, Progress, Sending, Sent, Via,
    core::envelope::MAX_LIFE,
    shown::NotSent,
    text::{distinct, escaped},
    wire::MessageType,
};

use crate::{
    args::{RelayArg, RequireArg},
    context::{self, Context},
    duration::{self, SECOND},
    exit::{Complaint, Failure},
    input,
    output::Output,
    progress,
};

/// How long receipts are waited for unless the user says so.
const WAIT: Duration = Duration::from_secs(5 * 60);

/// Seal, sign and send a message
#[derive(clap::Args)]
#[command(override_usage = "ctalk send [OPTIONS] TO [TEXT or -]\n       \
                            ctalk send [OPTIONS] --broadcast [TEXT or -]")]
pub(crate) struct Args {
    /// The recipient; with --broadcast the text
    #[arg(value_name = "TO", required_unless_present = "broadcast")]
    first: Option<String>,
    /// The text, or `-` for stdin; without it and --data and --file, stdin is read
    #[arg(value_name = "TEXT")]
    second: Option<String>,
    /// Another recipient; may be given several times
    #[arg(long, value_name = "NAME", conflicts_with = "broadcast")]
    to: Vec<String>,
    /// Send to every other agent of the relay
    #[arg(long)]
    broadcast: bool,
    /// Send this JSON, or that in a file for @FILE
    #[arg(long, value_name = "JSON")]
    data: Option<String>,
    /// Send this file's content; what is not UTF-8 text goes only to recipients with a key card
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    file: Option<PathBuf>,
    /// What the message is for
    #[arg(
        long = "type",
        value_name = "TYPE",
        default_value = "request",
        value_parser = PossibleValuesParser::new(["request", "response", "notification"]).map(message_type)
    )]
    message_type: MessageType,
    /// Conversation label; the relay sees it unless it is inside an envelope
    #[arg(long)]
    topic: Option<String>,
    /// Show the topic to the relay even beside an envelope
    #[arg(long, requires = "topic")]
    public_topic: bool,
    /// Pairs a response with its request; inside the envelope where there is one
    #[arg(long, value_name = "ID")]
    correlation_id: Option<String>,
    /// The id of the message that this one answers; inside the envelope where there is one
    #[arg(long, value_name = "ID")]
    reply_to: Option<String>,
    /// How long the relay may keep the message, and how long an envelope lives: at most 30 days
    #[arg(long, value_name = duration::VALUE_NAME, value_parser = duration::between(SECOND, Duration::MAX))]
    ttl: Option<Duration>,
    /// Deliver once however often this is run: the same message under the same key is not sent again
    #[arg(long, value_name = "KEY", value_parser = NonEmptyStringValueParser::new())]
    idempotency_key: Option<String>,
    /// Ask for a receipt, and send the message again until it came; needs recipients with a key card
    #[arg(long, conflicts_with = "plaintext")]
    receipt: bool,
    /// Ask for receipts and wait until every recipient has handled the message
    #[arg(long, value_name = "STATE", value_parser = PossibleValuesParser::new(["done"]), conflicts_with_all = ["plaintext", "no_wait"])]
    wait: Option<String>,
    /// How long to wait for the receipts [default: 5m]
    #[arg(long, value_name = duration::VALUE_NAME, requires = "wait", value_parser = duration::between(SECOND, MAX_LIFE))]
    timeout: Option<Duration>,
    /// Only put the message into the outbox; `ctalk flush` sends it, as does the next send or recv
    #[arg(long, conflicts_with = "plaintext")]
    no_wait: bool,
    /// Neither encrypt nor sign: everybody on the way can read and change the message
    #[arg(long)]
    plaintext: bool,
    /// Send over the relay of this name, or over `all` of the recipient's [default: the first that works]
    #[arg(long, value_name = "NAME", conflicts_with = "url")]
    via: Option<String>,
    #[command(flatten)]
    require: RequireArg,
    #[command(flatten)]
    relay: RelayArg,
}

pub(crate) fn run(args: Args, context: &Context<'_>) -> Result<ExitCode> {
    let (recipients, text) = if args.broadcast {
        if args.second.is_some() {
            return Err(
                Complaint::new(Class::Usage, "--broadcast takes a text and no recipient").into(),
            );
        }
        (Vec::new(), args.first)
    } else {
        let mut recipients = Vec::with_capacity(1 + args.to.len());
        for name in args.first.into_iter().chain(args.to) {
            if !recipients.contains(&name) {
                recipients.push(name);
            }
        }
        (recipients, args.second)
    };
    let profile = context.profile()?;
    let draft = Draft {
        name: file_name(args.file.as_deref()),
        content: content(text, args.data, args.file)?,
        message_type: args.message_type,
        topic: args.topic,
        public_topic: args.public_topic,
        correlation_id: args.correlation_id,
        reply_to: args.reply_to,
        ttl: args.ttl.map(duration::whole_seconds),
        idempotency_key: args.idempotency_key,
        receipt: args.receipt,
    };
    let mut agent = context.agent(&profile, args.relay)?;
    let mut via = match args.via.as_deref() {
        None => Via::Preferred,
        Some("all") => Via::All,
        Some(name) => Via::Named(name),
    };
    if via == Via::All && (args.no_wait || args.wait.is_some() || args.broadcast) {
        let text = "--via all goes with neither --no-wait nor --wait nor --broadcast";
        return Err(Complaint::new(Class::Usage, text).into());
    }
    let require = args.require.with(&profile);
    for client in agent.clients_mut() {
        client.require(require);
        let bar = progress::Progress::new(context.output, None);
        client.on_transfer(move |transfer| bar.show_of(transfer.done, transfer.total));
    }
    if args.broadcast || args.wait.is_some() {
        // Whoever is asked for everybody, or waited for, is at one relay.
        let to = recipients.first().map_or("", String::as_str);
        let client = agent.into_client_for(to, via)?;
        agent = Agent::new(vec![(String::new(), client)]);
        via = Via::Preferred;
    }
    let sent = crate::runtime::run(async {
        if !args.no_wait {
            for client in agent.clients_mut() {
                context::refresh(client, context.output).await;
            }
        }
        let mut recipients = recipients;
        if let Some(client) = agent.clients_mut().next() {
            if args.broadcast && args.plaintext {
                let sent = client.broadcast_plaintext(&draft).await?;
                return Ok((vec![sent.to.clone()], vec![Ok(sent)]));
            }
            if args.broadcast {
                recipients = client.everyone_else().await?;
            }
            if args.wait.is_some() {
                let timeout = args.timeout.unwrap_or(WAIT);
                let outcomes = client.send_and_wait(&recipients, draft, timeout).await;
                client.close().await?;
                return Ok((recipients, outcomes?));
            }
        }
        let sending = match (args.plaintext, args.no_wait) {
            (true, _) => Sending::Plaintext,
            (false, true) => Sending::Later,
            (false, false) => Sending::Now,
        };
        let outcomes = agent.send(&recipients, &draft, sending, via).await;
        agent.close().await?;
        Ok((recipients, outcomes?))
    });
    context.output.notices(agent.take_notices());
    // The bar goes before anything is printed.
    drop(agent);
    let (recipients, outcomes) = sent?;
    if outcomes.is_empty() {
        return Err(Complaint::new(Class::RelayRefused, "the relay has no other agents").into());
    }
    report(recipients, outcomes, context.output)
}

/// Prints every outcome; the first failure decides the exit code.
fn report(
    recipients: Vec<String>,
    outcomes: Vec<Result<Sent, Error>>,
    output: &Output,
) -> Result<ExitCode> {
    let is_only_one = outcomes.len() == 1;
    let mut code = None;
    for (to, outcome) in recipients.into_iter().zip(outcomes) {
        match outcome {
            Ok(sent) => print_sent(&sent, output)?,
            Err(error) => {
                let mut failure = Failure::from(error);
                if output.is_json() {
                    output.object(&NotSent {
                        to: &to,
                        failure: failure.shown(),
                    })?;
                }
                if !is_only_one {
                    failure.text = format!("{to}: {}", failure.text);
                }
                let failed = output.failure(failure);
                code = code.or(Some(failed));
            }
        }
    }
    Ok(code.unwrap_or(ExitCode::SUCCESS))
}

fn print_sent(sent: &Sent, output: &Output) -> Result<()> {
    if let (true, Some(fingerprint)) = (sent.pinned, &sent.fingerprint) {
        output.pinned(&sent.to, fingerprint);
    }
    if output.is_json() {
        output.object(sent)
    } else {
        let to = distinct(&sent.to);
        let ts = match sent.state {
            Progress::Queued => Some("queued"),
            Progress::Done => Some("done"),
            _ => sent.ts.as_deref(),
        };
        let [id, ts] = [sent.id.as_deref(), ts].map(|text| escaped(text.unwrap_or("-")));
        output.line(&format!("{to}  {id}  {ts}"))
    }
}

/// The name of a file that is sent.
pub(super) fn file_name(file: Option<&Path>) -> Option<String> {
    let name = file.and_then(Path::file_name);
    name.map(|name| name.to_string_lossy().into_owned())
}

/// What a message says: one of these, or else what stdin does.
pub(super) fn content(
    text: Option<String>,
    data: Option<String>,
    file: Option<PathBuf>,
) -> Result<Content> {
    match (text, data, file) {
        (Some(text), None, None) if text == "-" => from_bytes(Path::new("-")),
        (Some(text), None, None) => Ok(Content::Text(text)),
        (None, Some(data), None) => from_json(data),
        (None, None, Some(file)) => from_bytes(&file),
        (None, None, None) if io::stdin().is_terminal() => {
            Err(Complaint::new(Class::Usage, "there is nothing to send")
                .hint("give a TEXT, --data JSON or --file FILE, or `-` to type it here")
                .into())
        }
        (None, None, None) => from_bytes(Path::new("-")),
        _ => Err(Complaint::new(
            Class::Usage,
            "a message has one content: a TEXT, --data or --file",
        )
        .into()),
    }
}

fn from_json(data: String) -> Result<Content> {
    let text = match data.strip_prefix('@') {
        Some(file) => read_text(Path::new(file))?,
        None => data,
    };
    Content::from_json(text).map_err(|error| {
        Complaint::new(Class::Malformed, format!("the data is not JSON: {error}")).into()
    })
}

/// Text where it is UTF-8; other bytes can be sent in an envelope only.
fn from_bytes(source: &Path) -> Result<Content> {
    Ok(Content::from_bytes(read(source)?))
}

fn read_text(source: &Path) -> Result<String> {
    Ok(String::from_utf8(read(source)?).map_err(|_| Error::NotText)?)
}

fn read(source: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input::read(source, MAX_PAYLOAD, &mut bytes)?;
    Ok(bytes)
}

fn message_type(word: String) -> MessageType {
    match word.as_str() {
        "response" => MessageType::Response,
        "notification" => MessageType::Notification,
        _ => MessageType::Request,
    }
}
