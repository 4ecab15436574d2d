//! `ctalk recv`.

pub(super) mod handlers;
pub(super) mod printer;

use std::{cell::Cell, convert::Infallible, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Result;
use clap::value_parser;
use ctalk::{
    Agent, Class, Client, Contract, Event, Filter, Profile, SetAside, Until, Work,
    handler::Handler, store::EntryState, text::distinct,
};

use self::{
    handlers::{Aloud, HandlerArgs},
    printer::Printer,
};
use crate::{
    args::{RelayArg, RequireArg},
    context::Context,
    duration, exit,
    output::Output,
    runtime::{self, Signal},
    save::Folder,
};

/// Print what was received, oldest first, or have a program handle it
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Look without taking: nothing is stored, and the relay keeps everything
    #[arg(long, conflicts_with_all = ["exec", "follow", "keep", "post", "preset", "sanitize", "save"])]
    peek: bool,
    /// Wait for more until Ctrl-C
    #[arg(long)]
    follow: bool,
    /// The longest pause between two looks at a relay that does not push, while nothing comes
    #[arg(long, value_name = duration::VALUE_NAME, default_value = "2s", requires = "follow", value_parser = duration::pause())]
    interval: Duration,
    /// Stop after so long without a message, a running handler or a retry that is due by then
    #[arg(long, value_name = duration::VALUE_NAME, requires = "follow", value_parser = duration::pause())]
    idle_exit: Option<Duration>,
    #[command(flatten)]
    taking: Taking,
}

/// What is taken, and what is done with it.
#[derive(clap::Args)]
pub(super) struct Taking {
    /// Stop after this many messages
    #[arg(long, visible_alias = "limit", value_name = "N", value_parser = value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Only messages of this topic; the others stay in the inbox
    #[arg(long)]
    topic: Option<String>,
    /// Only messages after this time (RFC 3339, or milliseconds since 1970)
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<i64>,
    /// Keep received files in this folder, which must exist; none is overwritten
    #[arg(long, value_name = "DIR", conflicts_with = "handler")]
    save: Option<PathBuf>,
    /// Keep the bytes of handled messages, still sealed, for `ctalk inbox show`
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    handlers: HandlerArgs,
    #[command(flatten)]
    require: RequireArg,
    #[command(flatten)]
    pub(super) relay: RelayArg,
}

/// Refuses handlers that cannot be run here.
pub(crate) fn check(args: &Args, output: &Output) -> Result<()> {
    args.taking.handlers.handler(output).map(|_| ())
}

pub(crate) fn run(args: Args, context: &Context<'_>) -> Result<ExitCode> {
    let (taking, output) = (args.taking, context.output);
    let until = if args.follow {
        Until::Stopped {
            interval: args.interval,
            idle: args.idle_exit,
        }
    } else {
        Until::Empty
    };
    let doing = Doing::of(&taking, output)?;
    let profile = context.profile()?;
    if args.peek {
        let mut client = context.client(&profile, taking.relay.clone())?;
        let filter = taking.filter();
        client.require(taking.require.with(&profile));
        let printer = Printer::new(output, None);
        let peek = peek(&mut client, filter, &printer, taking.count, output);
        let set_aside = runtime::run(peek)?;
        return Ok(exit_code(set_aside));
    }
    let agent = context.agent(&profile, taking.relay.clone())?;
    let meanwhile = std::future::pending();
    take(taking, doing, until, &profile, agent, meanwhile, output)
}

impl Taking {
    /// Has OpenClaw's hook take messages where nothing else is to; where messages are posted to then.
    pub(super) fn or_openclaw(&mut self) -> &str {
        self.handlers.or_openclaw();
        self.handlers.target_url()
    }

    fn filter(&self) -> Filter {
        Filter {
            topic: self.topic.clone(),
            since: self.since,
        }
    }
}

/// What is done with messages, as far as it can be wrong from the start.
pub(super) struct Doing<'a> {
    folder: Option<Folder>,
    aloud: Option<Aloud<'a>>,
}

impl<'a> Doing<'a> {
    pub(super) fn of(taking: &Taking, output: &'a Output) -> Result<Self> {
        let folder = taking.save.clone().map(Folder::open).transpose()?;
        let handler = taking.handlers.handler(output)?;
        let aloud = handler.map(|handler| Aloud { handler, output });
        Ok(Self { folder, aloud })
    }
}

/// Takes messages until the end, unless `meanwhile` ends before, which can only fail.
pub(super) fn take(
    taking: Taking,
    Doing { folder, aloud }: Doing<'_>,
    until: Until,
    profile: &Profile,
    mut agent: Agent,
    meanwhile: impl Future<Output = Result<Infallible>>,
    output: &Output,
) -> Result<ExitCode> {
    let filter = taking.filter();
    let require = taking.require.with(profile);
    agent
        .clients_mut()
        .for_each(|client| client.require(require));
    let handlers = taking.handlers;
    let printer = Printer::new(output, folder);
    let work = Work {
        filter,
        contract: Contract {
            keeps_done: taking.keep,
            ..handlers.contract()
        },
        handler: handlers.name(),
        replies: handlers.reply,
        concurrency: handlers.concurrency(),
        most: taking.count,
        until,
    };
    let handler: &dyn Handler = match &aloud {
        // What it says goes to the sender.
        Some(aloud) if handlers.reply => &*aloud.handler,
        Some(aloud) => aloud,
        None => &printer,
    };
    let ended_by = Cell::new(None);
    let worked = runtime::run_through(async {
        let stop = async { ended_by.set(Some(runtime::signalled(1).await)) };
        let observe = |event: Event<'_>| report(&event, output);
        let worked = tokio::select! {
            worked = agent.work(&work, handler, stop, observe) => worked,
            failed = meanwhile => match failed? {},
            // Whoever asks twice does not want to wait for what runs.
            signal = runtime::signalled(2) => return Err(signal.into()),
        };
        agent.close().await?;
        Ok(worked?)
    });
    if let Some(error) = printer.into_failure() {
        return Err(error);
    }
    let worked = worked?;
    match ended_by.get() {
        Some(Signal::Interrupt) => Err(Signal::Interrupt.into()),
        Some(Signal::Terminate) => Ok(ExitCode::SUCCESS),
        None => Ok(exit_code(worked.set_aside > 0)),
    }
}

fn exit_code(set_aside: bool) -> ExitCode {
    if set_aside {
        exit::code(Class::SetAside)
    } else {
        ExitCode::SUCCESS
    }
}

/// Prints what the relay shows, up to a number; says whether something would be set aside.
async fn peek(
    client: &mut Client,
    filter: Filter,
    printer: &Printer<'_>,
    most: Option<u64>,
    output: &Output,
) -> Result<bool> {
    let peek = client.peek(filter).await?;
    if peek.truncated {
        output.note(
            "the relay may hold more: it shows at most 100 messages, and a peek deletes none",
        );
    }
    let (mut left, mut set_aside) = (most.unwrap_or(u64::MAX), false);
    for message in peek.messages {
        match message {
            Ok(message) => {
                printer.message(&message)?;
                left -= 1;
                if left == 0 {
                    break;
                }
            }
            Err(aside) => {
                set_aside |= aside.state != EntryState::Held;
                report_aside(&aside, output);
            }
        }
    }
    Ok(set_aside)
}

pub(super) fn report(event: &Event<'_>, output: &Output) {
    match event {
        Event::Started {
            attempt,
            pinned_now: true,
        } => {
            if let Some(fingerprint) = &attempt.message.fingerprint {
                output.pinned(&attempt.message.relay_from, fingerprint);
            }
        }
        Event::SetAside(aside) => report_aside(aside, output),
        Event::Notice(notice) => output.notice(notice),
        Event::Trouble(error) => output.warning(&format!("{error}; trying on")),
        Event::Recovered => output.note("the relay answers again"),
        Event::Ended { .. } => handlers::report(event, output),
        _ => {}
    }
}

fn report_aside(aside: &SetAside, output: &Output) {
    let from = distinct(
        aside
            .relay_from
            .as_deref()
            .unwrap_or("an unreadable sender"),
    );
    if aside.state == EntryState::Held {
        output.held(&format!("{from}: {}", aside.detail));
        if aside.number != 0 {
            let number = aside.number;
            output.hint(&format!(
                "ctalk inbox show {number}, then accept {number} or reject {number}"
            ));
        }
        return;
    }
    output.set_aside(&format!("{from}: {}: {}", aside.reason, aside.detail));
}

fn since(text: &str) -> Result<i64, &'static str> {
    text.parse().or_else(|_| {
        text.parse::<jiff::Timestamp>()
            .map(jiff::Timestamp::as_millisecond)
            .map_err(|_| "neither a time such as 2026-01-31T12:00:00Z nor milliseconds since 1970")
    })
}

#[cfg(test)]
mod tests {
    use super::since;

    #[test]
    fn times_are_read_in_both_forms() {
        assert_eq!(since("1700000000123"), Ok(1_700_000_000_123));
        assert_eq!(since("2023-11-14T22:13:20.123Z"), Ok(1_700_000_000_123));
        assert!(since("yesterday").is_err());
    }
}
