//! `ctalk recv`.

mod handlers;
mod printer;

use std::{cell::Cell, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Result;
use clap::value_parser;
use ctalk::{
    Class, Client, Contract, Event, Filter, SetAside, Until, Work, handler::Handler,
    store::EntryState, text::distinct,
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
    /// Stop after this many messages
    #[arg(long, visible_alias = "limit", value_name = "N", value_parser = value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Only messages of this topic; the others stay in the inbox
    #[arg(long)]
    topic: Option<String>,
    /// Only messages after this time (RFC 3339, or milliseconds since 1970)
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<i64>,
    /// Look without taking: nothing is stored, and the relay keeps everything
    #[arg(long, conflicts_with = "follow")]
    peek: bool,
    /// Keep received files in this folder, which must exist; none is overwritten
    #[arg(long, value_name = "DIR", conflicts_with = "peek")]
    save: Option<PathBuf>,
    /// Keep the bytes of handled messages, still sealed, for `ctalk inbox show`
    #[arg(long, conflicts_with = "peek")]
    keep: bool,
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
    handlers: HandlerArgs,
    #[command(flatten)]
    require: RequireArg,
    #[command(flatten)]
    relay: RelayArg,
}

/// Refuses handlers that cannot be run here.
pub(crate) fn check(args: &Args, output: &Output) -> Result<()> {
    args.handlers.handler(output).map(|_| ())
}

pub(crate) fn run(args: Args, context: &Context<'_>) -> Result<ExitCode> {
    let folder = args.save.map(Folder::open).transpose()?;
    let aloud = args.handlers.handler(context.output)?.map(|handler| Aloud {
        handler,
        output: context.output,
    });
    let profile = context.profile()?;
    let mut client = context.client(&profile, args.relay)?;
    client.require(args.require.with(&profile));
    let filter = Filter {
        topic: args.topic,
        since: args.since,
    };
    let printer = Printer::new(context.output, folder);
    if args.peek {
        let set_aside = runtime::run(peek(
            &mut client,
            filter,
            &printer,
            args.count,
            context.output,
        ))?;
        return Ok(exit_code(set_aside));
    }
    let work = Work {
        filter,
        contract: Contract {
            keeps_done: args.keep,
            ..args.handlers.contract()
        },
        handler: args.handlers.name(),
        replies: args.handlers.reply,
        concurrency: args.handlers.concurrency(),
        most: args.count,
        until: if args.follow {
            Until::Stopped {
                interval: args.interval,
                idle: args.idle_exit,
            }
        } else {
            Until::Empty
        },
    };
    let handler: &dyn Handler = match &aloud {
        // What it says goes to the sender.
        Some(aloud) if args.handlers.reply => &*aloud.handler,
        Some(aloud) => aloud,
        None => &printer,
    };
    let ended_by = Cell::new(None);
    let worked = runtime::run_through(async {
        let stop = async { ended_by.set(Some(runtime::signalled(1).await)) };
        let observe = |event: Event<'_>| report(&event, context.output);
        tokio::select! {
            worked = client.work(&work, handler, stop, observe) => Ok(worked?),
            // Whoever asks twice does not want to wait for what runs.
            signal = runtime::signalled(2) => Err(signal.into()),
        }
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

fn report(event: &Event<'_>, output: &Output) {
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
