//! What `ctalk recv` does with messages other than printing them.

use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;
use clap::{ArgGroup, ValueEnum, value_parser};
use ctalk::{
    Class, Content, Contract, Event, Received,
    handler::{
        Attempt, Command, CommandError, Guarded, Handler, OPENCLAW_URL, Outcome, Post, PostError,
    },
    store::EntryState,
    text::distinct,
};
use serde::Serialize;

use crate::{
    duration, environment,
    exit::Complaint,
    output::Output,
    runtime,
    secrets::{self, SecretArg},
};

/// What is run for each message, and how.
#[derive(clap::Args)]
#[command(
    next_help_heading = "Handlers",
    group = ArgGroup::new("handler").args(["exec", "post", "preset"]).multiple(true)
)]
pub(crate) struct HandlerArgs {
    /// Run this program on each message: payload on stdin, sender in CTALK_FROM. Its arguments are split
    /// without a shell, and nothing of a message becomes one
    #[arg(long, value_name = "COMMAND", conflicts_with_all = ["post", "preset"])]
    exec: Option<String>,
    /// Have /bin/sh run the lines of --exec and --filter
    #[arg(long, requires = "handler")]
    shell: bool,
    /// Post each message to this URL
    #[arg(long, value_name = "URL")]
    post: Option<String>,
    /// A header to post with, `NAME: VALUE`; the value, or the word after its first, may be @FILE
    #[arg(
        long,
        value_name = "HEADER",
        requires = "handler",
        conflicts_with = "exec"
    )]
    header: Vec<SecretArg>,
    /// Post what this program expects, to where it listens on this machine unless --post says otherwise
    #[arg(long, value_name = "PROGRAM")]
    preset: Option<Preset>,
    /// Hand over the whole message as JSON, not only its payload
    #[arg(long, requires = "handler", conflicts_with = "preset")]
    json_stdin: bool,
    /// Send what the handler says to a request back as its response
    #[arg(long, requires = "handler")]
    pub(super) reply: bool,
    /// The handler's name for the policy [default: the program, the preset, or the URL's host]
    #[arg(long = "handler", value_name = "NAME", requires = "handler")]
    name: Option<String>,
    /// Run this program first: exit code 0 lets the message pass, 1 puts it into quarantine
    #[arg(long, value_name = "COMMAND", requires = "handler")]
    filter: Option<String>,
    /// How long a handler may take
    #[arg(long, value_name = duration::VALUE_NAME, default_value = "10m", requires = "handler", value_parser = duration::pause())]
    timeout: Duration,
    /// How often a message is tried before it is a dead letter
    #[arg(long, value_name = "N", default_value = "8", requires = "handler", value_parser = value_parser!(u32).range(1..))]
    max_attempts: u32,
    /// The pause before the second attempt; it doubles up to 5 minutes
    #[arg(long, value_name = duration::VALUE_NAME, default_value = "1s", requires = "handler", value_parser = duration::pause())]
    retry_after: Duration,
    /// How many handlers run at once
    #[arg(long, value_name = "N", default_value = "1", requires = "handler", value_parser = value_parser!(u16).range(1..=256))]
    concurrency: u16,
    /// Do not have later messages of a sender wait for earlier ones
    #[arg(long, requires = "handler")]
    unordered: bool,
    /// Take hidden and directional characters out of texts, and list links [default: on with a handler]
    #[arg(
        long,
        value_name = "SWITCH",
        num_args = 0..=1,
        default_missing_value = "on"
    )]
    sanitize: Option<Switch>,
}

/// A program that messages are posted to.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Preset {
    /// OpenClaw's agent hook
    Openclaw,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

impl HandlerArgs {
    /// How messages are handed over.
    pub(in crate::commands) fn contract(&self) -> Contract {
        let mut contract = if self.has_handler() {
            Contract {
                is_ordered: !self.unordered,
                most_attempts: Some(self.max_attempts),
                first_pause: self.retry_after,
                longest_pause: Contract::HANDLER.longest_pause.max(self.retry_after),
                ..Contract::HANDLER
            }
        } else {
            Contract::READER
        };
        if let Some(switch) = self.sanitize {
            contract.sanitizes = switch == Switch::On;
        }
        contract
    }

    /// How many handlers run at once.
    pub(in crate::commands) fn concurrency(&self) -> usize {
        self.concurrency.into()
    }

    /// What the policy knows the handler by, unless messages are to be printed.
    pub(in crate::commands) fn name(&self) -> Option<String> {
        let given = self.name.clone();
        given.or_else(|| match (&self.exec, self.preset, &self.post) {
            (Some(line), _, _) => {
                let program = line.split_whitespace().next().unwrap_or_default();
                let name = program.rsplit('/').next().unwrap_or_default();
                Some(name.to_owned())
            }
            (None, Some(Preset::Openclaw), _) => Some("openclaw".to_owned()),
            (None, None, Some(url)) => {
                let host = url.split("//").nth(1).unwrap_or_default();
                let end = host.find([':', '/', '?']).unwrap_or(host.len());
                Some(host.get(..end).unwrap_or_default().to_owned())
            }
            (None, None, None) => None,
        })
    }

    /// Has OpenClaw's hook take messages where nothing else is to.
    pub(super) fn or_openclaw(&mut self) {
        if !self.has_handler() {
            self.preset = Some(Preset::Openclaw);
        }
    }

    /// Where messages are posted to.
    pub(super) fn target_url(&self) -> &str {
        self.post.as_deref().unwrap_or(OPENCLAW_URL)
    }

    fn has_handler(&self) -> bool {
        self.exec.is_some() || self.post.is_some() || self.preset.is_some()
    }

    /// What is run for each message, unless messages are to be printed.
    pub(crate) fn handler(&self, output: &Output) -> Result<Option<Box<dyn Handler>>> {
        let guard = match &self.filter {
            Some(line) => Some(self.command(line)?),
            None => None,
        };
        Ok(match &self.exec {
            Some(line) => Some(guarded(guard, self.command(line)?)),
            None if self.has_handler() => Some(guarded(guard, self.target(output)?)),
            None => None,
        })
    }

    fn command(&self, line: &str) -> Result<Command> {
        let command = if self.shell {
            Command::shell(line)
        } else {
            Command::new(line)
        };
        let command = command
            .map_err(|error| refused(&error))?
            .timeout(self.timeout)
            .without_variables(environment::SECRETS);
        Ok(if self.json_stdin {
            command.json_stdin()
        } else {
            command
        })
    }

    fn target(&self, output: &Output) -> Result<Post> {
        let mut post = Post::with_timeout(self.target_url(), self.timeout)
            .map_err(|error| no_target(&error))?;
        let mut is_authorized = false;
        for header in &self.header {
            let (name, value) = secrets::header(header, output)?;
            is_authorized |= name.eq_ignore_ascii_case("authorization");
            post = post
                .header(&name, &value)
                .map_err(|error| no_target(&error))?;
        }
        if self.preset == Some(Preset::Openclaw) {
            post = post.openclaw();
            if !is_authorized {
                let token = secrets::from_environment(environment::OPENCLAW_TOKEN)?;
                let token = token.ok_or_else(|| {
                    Complaint::new(Class::Usage, "OpenClaw's hooks need a token").hint(
                        "set OPENCLAW_HOOKS_TOKEN, or give --header 'Authorization: Bearer @FILE'",
                    )
                })?;
                let value = zeroize::Zeroizing::new(format!("Bearer {}", token.as_str()));
                post = post
                    .header("Authorization", &value)
                    .map_err(|error| no_target(&error))?;
            }
        }
        if post.is_in_clear() {
            output.warning("what is posted leaves this machine unencrypted: use https");
        }
        Ok(if self.json_stdin { post.json() } else { post })
    }
}

fn guarded(guard: Option<Command>, handler: impl Handler + 'static) -> Box<dyn Handler> {
    match guard {
        Some(guard) => Box::new(Guarded::new(guard, handler)),
        None => Box::new(handler),
    }
}

fn refused(error: &CommandError) -> Complaint {
    let complaint = Complaint::new(Class::Usage, error.to_string());
    match error {
        CommandError::NotRunnable { .. } => {
            complaint.hint("give its whole path; words of a shell need --shell")
        }
        _ => complaint,
    }
}

fn no_target(error: &PostError) -> Complaint {
    Complaint::new(Class::Usage, error.to_string())
}

/// Prints what a handler says. The message counts as handled only after that is out.
pub(super) struct Aloud<'a> {
    pub(super) handler: Box<dyn Handler>,
    pub(super) output: &'a Output,
}

#[async_trait]
impl Handler for Aloud<'_> {
    async fn handle(&self, attempt: &Attempt) -> Outcome {
        match self.handler.handle(attempt).await {
            Outcome::Done { output } => match self.say(attempt, output).await {
                Ok(output) => Outcome::Done { output },
                Err(error) => Outcome::Stop {
                    why: error.to_string(),
                },
            },
            outcome => outcome,
        }
    }
}

/// A message that was handled, in JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Handled<'a> {
    id: Option<&'a str>,
    relay_id: Option<&'a str>,
    from: Option<&'a str>,
    attempt: u32,
    output: Content,
}

impl Aloud<'_> {
    /// Prints what was said, and gives it back.
    async fn say(&self, attempt: &Attempt, said: Vec<u8>) -> Result<Vec<u8>> {
        let output = *self.output;
        let line = if output.is_json() {
            Some(output.json(&handled(attempt, &said))?)
        } else {
            None
        };
        // However long a reader stands still, leases are renewed and signals heard.
        runtime::blocking(move || {
            match line {
                Some(line) => output.line(&line)?,
                None => output.bytes(&said)?,
            }
            Ok(said)
        })
        .await
    }
}

fn handled<'a>(Attempt { message, number }: &'a Attempt, said: &[u8]) -> Handled<'a> {
    Handled {
        id: message.id.as_deref(),
        relay_id: message.relay_id.as_deref(),
        from: message.from.as_deref(),
        attempt: *number,
        output: match str::from_utf8(said) {
            Ok(text) => Content::Text(text.to_owned()),
            Err(_) => Content::Bytes(said.to_owned()),
        },
    }
}

/// Says what became of a message that was not handled.
pub(super) fn report(event: &Event<'_>, output: &Output) {
    let Event::Ended {
        attempt: Attempt { message, number },
        outcome: Outcome::Retry { why, .. } | Outcome::Failed { why } | Outcome::Refused { why },
        state,
    } = event
    else {
        return;
    };
    let Received {
        from, relay_from, ..
    } = message;
    let from = distinct(from.as_ref().unwrap_or(relay_from));
    match state {
        EntryState::New => {
            let next = number.saturating_add(1);
            output.warning(&format!("{from}: {why}; attempt {next} follows"));
        }
        EntryState::Quarantined => output.set_aside(&format!("{from}: guard: {why}")),
        _ => output.set_aside(&format!("{from}: handler: {why}")),
    }
}
