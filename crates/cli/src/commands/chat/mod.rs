//! `ctalk chat`.

mod fields;
mod shown;

use std::{
    io::{self, BufRead, IsTerminal, Read},
    path::Path,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::Result;
use ctalk::{
    Answered, Chat, ChatEvent, Class, Error,
    clock::SystemClock,
    core::envelope::MAX_LIFE,
    relay::{
        RelayError,
        openclaw::{Access, ChatMessage, OpenClaw, Token},
    },
    text::without_line_end,
};
use tokio::sync::mpsc;

use self::{fields::Fields, shown::Shown};
use crate::{
    context::Context,
    duration::{self, SECOND},
    environment,
    exit::Complaint,
    input,
    output::Output,
    runtime,
    secrets::{self, SecretArg},
};

/// Most bytes of what is said at once.
const MAX_TEXT: usize = 1 << 20;

/// Talk with the agent behind an OpenClaw WebSocket channel
#[derive(clap::Args)]
#[command(override_usage = "ctalk chat [OPTIONS] URL [TEXT or -]")]
pub(crate) struct Args {
    /// Where it is: openclaw+wss://HOST/PATH, or with ws:// on this machine
    url: String,
    /// What to say, or `-` for stdin; without it, stdin is one message, and each line of it at a terminal
    text: Option<String>,
    /// Take each line of stdin as a message
    #[arg(long, conflicts_with = "text")]
    lines: bool,
    /// The contact that the agent is, whose key card is needed [default: the one of the last time]
    #[arg(long, value_name = "NAME")]
    to: Option<String>,
    /// Neither encrypt nor sign: everybody on the way can read and change what is said
    #[arg(long, conflicts_with = "to")]
    plaintext: bool,
    /// What the host asks for, as @FILE [env: OPENCLAW_WS_TOKEN]
    #[arg(long, value_name = "@FILE")]
    token: Option<SecretArg>,
    /// Connect to another machine without TLS, where everybody on the way reads the token
    #[arg(long)]
    allow_clear: bool,
    /// How long to wait for each answer
    #[arg(long, value_name = duration::VALUE_NAME, default_value = "10m", value_parser = duration::between(SECOND, MAX_LIFE))]
    timeout: Duration,
    /// The name to speak under, unless the host knows it by the token [default: the profile's]
    #[arg(long, value_name = "ID")]
    sender_id: Option<String>,
    /// The same for people
    #[arg(long, value_name = "NAME")]
    sender_name: Option<String>,
    /// Speak in this group, whose members share what the agent remembers
    #[arg(long, value_name = "ID")]
    group: Option<String>,
    #[command(flatten)]
    fields: Fields,
}

pub(crate) fn run(args: Args, context: &Context<'_>) -> Result<ExitCode> {
    let output = context.output;
    let said = Said::of(args.text, args.lines)?;
    let token = match args.token {
        Some(given) => Some(secrets::from_option(
            "--token",
            environment::OPENCLAW_WS_TOKEN,
            given,
            output,
        )?),
        None => secrets::from_environment(environment::OPENCLAW_WS_TOKEN)?,
    };
    let profile = context.profile();
    let sender_id = match (&args.sender_id, &profile) {
        (None, Ok(profile)) => Some(profile.name().to_owned()),
        (given, _) => given.clone(),
    };
    let access = Access {
        token: token.map(|token| Token::new(token.as_str())),
        sender_id,
        sender_name: args.sender_name,
        allows_clear: args.allow_clear,
    };
    let clock = Arc::new(SystemClock);
    let line =
        OpenClaw::new(&args.url, access, args.group.clone(), clock.clone()).map_err(|error| {
            Complaint::new(Class::Usage, error.to_string())
                .hint("for example openclaw+ws://127.0.0.1:18800/ws, and --token @FILE")
        })?;
    let chat = if args.plaintext {
        if let Ok(profile) = &profile {
            super::check_plaintext(profile)?;
        }
        Chat::in_the_clear(line, clock, args.timeout)
    } else {
        let profile = profile?;
        let (keystore, secrets) = context.keystore(&profile)?;
        let client = ctalk::client_over(&profile, keystore, &secrets, line.clone(), clock)?;
        Chat::sealed(client, line, args.to.as_deref(), args.timeout).map_err(unknown)?
    };
    let message = args.fields.message(args.group)?;
    let shown = Shown::new(output, chat.peer(), said.is_one());
    runtime::run(talk(chat, said, message, shown, output))
}

/// Says that nothing was sent, where it is not known whom it would be for.
fn unknown(error: Error) -> anyhow::Error {
    match error {
        Error::UnknownContact { .. } | Error::NoCard { .. } => Complaint::new(
            Class::NotTrusted,
            format!("nothing was sent: {error}"),
        )
        .hint(
            "ask for the agent's card (`ctalk card`), add it with `ctalk contact add FILE`, and name it: \
             --to NAME",
        )
        .into(),
        other => other.into(),
    }
}

/// What is said.
enum Said {
    /// One message.
    One(String),
    /// Each line of stdin.
    Lines,
}

impl Said {
    fn of(text: Option<String>, lines: bool) -> Result<Self> {
        match text {
            Some(text) if text != "-" => Ok(Self::One(text)),
            None if lines || io::stdin().is_terminal() => Ok(Self::Lines),
            _ => {
                let mut bytes = Vec::new();
                input::read(Path::new("-"), MAX_TEXT, &mut bytes)?;
                let text = String::from_utf8(bytes).map_err(|_| {
                    Complaint::new(Class::Malformed, "what is said must be UTF-8 text")
                })?;
                Ok(Self::One(without_line_end(&text).to_owned()))
            }
        }
    }

    const fn is_one(&self) -> bool {
        matches!(self, Self::One(_))
    }
}

async fn talk(
    mut chat: Chat,
    said: Said,
    message: ChatMessage,
    mut shown: Shown<'_>,
    output: &Output,
) -> Result<ExitCode> {
    let is_one = said.is_one();
    let mut lines = match said {
        Said::One(text) => one(text)?,
        Said::Lines => lines_of_stdin(),
    };
    let mut failed = None;
    let mut is_over = false;
    while !is_over || chat.is_waiting() {
        let events = tokio::select! {
            line = lines.recv(), if !is_over && !chat.is_waiting() => {
                let Some(line) = line else {
                    is_over = true;
                    continue;
                };
                let message = ChatMessage { content: line?, ..message.clone() };
                match chat.say(message).await {
                    Ok(()) => {}
                    // Its hint would be one for relays.
                    Err(error @ Error::Relay(RelayError::Unreachable { .. })) if is_one => {
                        return Err(Complaint::new(error.class(), error.to_string()).into());
                    }
                    Err(error) if is_one => return Err(error.into()),
                    Err(error) => {
                        let code = output.failure(error);
                        failed.get_or_insert(code);
                    }
                }
                continue;
            }
            events = chat.next() => events?,
        };
        for event in events {
            shown.show(&event)?;
            if let ChatEvent::Answered(how) = event
                && let Some(complaint) = complaint(how, chat.peer().is_some())
            {
                if is_one {
                    return Err(complaint.into());
                }
                let code = output.failure(anyhow::Error::from(complaint));
                failed.get_or_insert(code);
            }
        }
    }
    chat.settle()?;
    Ok(failed.unwrap_or(ExitCode::SUCCESS))
}

/// What is wrong with an answer.
fn complaint(how: Answered, is_sealed: bool) -> Option<Complaint> {
    let (class, text) = match how {
        Answered::Sealed => return None,
        Answered::Clear if !is_sealed => return None,
        Answered::Clear => (
            Class::NotVerified,
            "the answer came in the clear, and nobody signed it",
        ),
        Answered::Failed => (Class::RemoteFailed, "the host failed to answer"),
        Answered::Late => (
            Class::TimedOut,
            "no answer came in time; whether the agent handled it is not known",
        ),
        _ => (
            Class::RelayUnreachable,
            "the connection was lost before the answer; whether the agent handled it is not known",
        ),
    };
    Some(Complaint::new(class, text))
}

fn one(text: String) -> Result<mpsc::Receiver<Result<String>>> {
    if text.is_empty() {
        return Err(Complaint::new(Class::Usage, "there is nothing to say").into());
    }
    let (say, said) = mpsc::channel(1);
    say.try_send(Ok(text))?;
    Ok(said)
}

/// Reads lines on a thread of its own, which is left behind when the run ends before stdin does.
fn lines_of_stdin() -> mpsc::Receiver<Result<String>> {
    let (say, said) = mpsc::channel(1);
    std::thread::spawn(move || {
        let mut stdin = io::stdin().lock();
        loop {
            let mut bytes = Vec::new();
            let most = MAX_TEXT as u64;
            let line = match stdin.by_ref().take(most).read_until(b'\n', &mut bytes) {
                Ok(0) => return,
                Ok(length) if length as u64 == most => Err(Complaint::new(
                    Class::Malformed,
                    format!("a line has more than {MAX_TEXT} bytes"),
                )),
                Ok(_) => String::from_utf8(bytes).map_err(|_| {
                    Complaint::new(Class::Malformed, "what is said must be UTF-8 text")
                }),
                Err(error) => {
                    let text = format!("cannot read stdin: {error}");
                    Err(Complaint::new(Class::Usage, text))
                }
            };
            let line = line.map(|line| without_line_end(&line).to_owned());
            if line.as_ref().is_ok_and(String::is_empty) {
                continue;
            }
            let is_last = line.is_err();
            if say.blocking_send(line.map_err(Into::into)).is_err() || is_last {
                return;
            }
        }
    });
    said
}
