//! `ctalk recv`.

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anstyle::{AnsiColor, Style};
use anyhow::Result;
use clap::value_parser;
use ctalk::{
    Class, Client, Content, Error, Filter, Next, Received, Receiving, SetAside, Trust,
    relay::RelayError,
    store::EntryState,
    text::{distinct, escaped},
};
use serde_json::value::{RawValue, to_raw_value};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, sleep, sleep_until},
};

use crate::{
    args::{RelayArg, RequireArg},
    context::{self, Context},
    exit,
    output::Output,
    runtime,
    save::Folder,
};

/// Longest pause between two attempts to reach the relay, before jitter.
const MAX_PAUSE: Duration = Duration::from_secs(60);
/// How often a receiver that runs on looks after its own keys.
const REFRESH: Duration = Duration::from_secs(60 * 60);
const TRUSTED: Style = AnsiColor::Green.on_default();
const NOT_TRUSTED: Style = AnsiColor::Yellow.on_default().bold();

/// Print what was received, oldest first
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Stop after this many messages
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    limit: Option<u64>,
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
    /// Wait for more until Ctrl-C
    #[arg(long)]
    follow: bool,
    /// How often to ask the relay while waiting
    #[arg(long, value_name = "SECONDS", default_value = "2", requires = "follow", value_parser = interval)]
    interval: Duration,
    #[command(flatten)]
    require: RequireArg,
    #[command(flatten)]
    relay: RelayArg,
}

pub(crate) fn run(args: Args, context: &Context<'_>) -> Result<ExitCode> {
    let folder = args.save.map(Folder::open).transpose()?;
    let profile = context.profile()?;
    let mut client = context.client(&profile, args.relay)?;
    client.require(args.require.with(&profile));
    let filter = Filter {
        topic: args.topic,
        since: args.since,
    };
    let mut printer = Printer {
        output: context.output,
        folder,
        left: args.limit,
        set_aside: false,
    };
    runtime::run(async {
        if args.peek {
            return printer.peek(&mut client, filter).await;
        }
        let mut receiving = client.receive(filter)?;
        if args.follow {
            let mut terminate = signal(SignalKind::terminate())?;
            tokio::select! {
                outcome = printer.follow(&mut client, &mut receiving, args.interval) => outcome,
                _ = terminate.recv() => {
                    printer.set_aside = false;
                    Ok(())
                }
            }
        } else {
            context::refresh(&mut client, context.output).await;
            // What was stored by an earlier run is handed over even if the relay is away.
            let fetched = client.fetch(Duration::ZERO).await;
            let printed = printer.inbox(&mut client, &mut receiving).await;
            fetched?;
            printed.map(|_| ())
        }
    })?;
    Ok(if printer.set_aside {
        exit::code(Class::SetAside)
    } else {
        ExitCode::SUCCESS
    })
}

struct Printer<'a> {
    output: &'a Output,
    /// Where files are kept.
    folder: Option<Folder>,
    /// How many messages may still be printed.
    left: Option<u64>,
    set_aside: bool,
}

impl Printer<'_> {
    /// Prints what the relay shows, up to the limit.
    async fn peek(&mut self, client: &mut Client, filter: Filter) -> Result<()> {
        let peek = client.peek(filter).await?;
        if peek.truncated {
            self.output.note(
                "the relay may hold more: it shows at most 100 messages, and a peek deletes none",
            );
        }
        for message in peek.messages {
            match message {
                Ok(message) => {
                    self.message(&message, None)?;
                    if self.was_last() {
                        break;
                    }
                }
                Err(aside) => self.report(&aside),
            }
        }
        Ok(())
    }

    /// Prints what is in the inbox; breaks when the limit is reached.
    async fn inbox(
        &mut self,
        client: &mut Client,
        receiving: &mut Receiving,
    ) -> Result<ControlFlow<()>> {
        receiving.rewind();
        loop {
            let next = client.next(receiving).await;
            self.output.notices(client.take_notices())?;
            let Some(next) = next? else {
                return Ok(ControlFlow::Continue(()));
            };
            match next {
                Next::Message(handover) | Next::Unauthenticated(handover) => {
                    if let (true, Some(fingerprint)) =
                        (handover.pinned_now, &handover.message.fingerprint)
                    {
                        self.output
                            .pinned(&handover.message.relay_from, fingerprint);
                    }
                    // Committed only now that the file is kept and the line is out: a crash in
                    // between keeps and prints it twice.
                    let saved = match &self.folder {
                        Some(folder) => folder.save(&handover.message)?,
                        None => None,
                    };
                    self.message(&handover.message, saved.as_deref())?;
                    client.commit(*handover)?;
                    if self.was_last() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                Next::SetAside(aside) => self.report(&aside),
            }
        }
    }

    /// Prints what comes until the limit is reached.
    async fn follow(
        &mut self,
        client: &mut Client,
        receiving: &mut Receiving,
        interval: Duration,
    ) -> Result<()> {
        let mut pause = None;
        let mut next_refresh = Instant::now();
        loop {
            if Instant::now() >= next_refresh {
                next_refresh = Instant::now() + REFRESH;
                context::refresh(client, self.output).await;
            }
            let next_look = Instant::now() + interval;
            match self.round(client, receiving, interval).await {
                Ok(ControlFlow::Break(())) => return Ok(()),
                Ok(ControlFlow::Continue(fresh)) => {
                    if pause.take().is_some() {
                        self.output.note("the relay answers again");
                    }
                    if fresh == 0 {
                        // Most of it passed within the round, unless the relay shows messages
                        // that it will not let go.
                        sleep_until(next_look).await;
                    }
                }
                Err(error) if may_pass(&error) => {
                    let pause = pause.get_or_insert_with(|| {
                        self.output.warning(&format!("{error}; trying on"));
                        interval.min(MAX_PAUSE)
                    });
                    sleep(jittered(*pause)).await;
                    *pause = pause.saturating_mul(2).min(MAX_PAUSE);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Prints what is in the inbox, then fetches; says how many messages are new.
    async fn round(
        &mut self,
        client: &mut Client,
        receiving: &mut Receiving,
        wait: Duration,
    ) -> Result<ControlFlow<(), usize>> {
        if self.inbox(client, receiving).await?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        Ok(ControlFlow::Continue(client.fetch(wait).await?))
    }

    /// Counts one printed message; true when there may be no more.
    fn was_last(&mut self) -> bool {
        self.left = self.left.map(|left| left.saturating_sub(1));
        self.left == Some(0)
    }

    fn report(&mut self, aside: &SetAside) {
        let from = distinct(
            aside
                .relay_from
                .as_deref()
                .unwrap_or("an unreadable sender"),
        );
        if aside.state == EntryState::Held {
            self.output.held(&format!("{from}: {}", aside.detail));
            if aside.number != 0 {
                let number = aside.number;
                self.output.hint(&format!(
                    "ctalk inbox show {number}, then accept {number} or reject {number}"
                ));
            }
            return;
        }
        self.set_aside = true;
        self.output
            .set_aside(&format!("{from}: {}: {}", aside.reason, aside.detail));
    }

    /// Prints and flushes one message, or where its payload was saved.
    fn message(&self, message: &Received, saved: Option<&Path>) -> Result<()> {
        match saved {
            Some(path) if self.output.is_json() => {
                return self.output.object(&without_payload(message, path)?);
            }
            Some(path) => {
                let path = path.to_string_lossy();
                let line = format!("{}\nsaved as {}", self.head(message), escaped(&path));
                return self.output.line(&line);
            }
            None if self.output.is_json() => return self.output.object(message),
            None => {}
        }
        let payload = match &message.payload {
            Content::Text(text) => text.as_str(),
            Content::Json(json) => json.get(),
            _ => return self.output.object(message),
        };
        let text = if self.output.is_terminal() {
            // Set in, so that no line of it looks like the head of another message.
            let lines = payload
                .split('\n')
                .map(|line| format!("\n  {}", escaped(line)));
            lines.collect()
        } else {
            format!("\n{payload}")
        };
        self.output.line(&format!("{}{text}", self.head(message)))
    }

    /// Begins with what ctalk itself says, so that nothing a peer wrote can pass for it.
    fn head(&self, message: &Received) -> String {
        let style = if matches!(message.trust, Trust::Pinned | Trust::Verified) {
            TRUSTED
        } else {
            NOT_TRUSTED
        };
        let mut head = self
            .output
            .styled(style, &format!("[{}]", message.trust.as_str()));
        let from = message.from.as_ref().unwrap_or(&message.relay_from);
        head += &format!("  {}", distinct(from));
        let words = [Some(&message.message_type), message.ts.as_ref()];
        for word in words.into_iter().flatten() {
            head += &format!("  {}", escaped(word));
        }
        if message.relay_from != *from {
            head += &format!("  relayFrom={}", distinct(&message.relay_from));
        }
        let members = [
            ("id", message.id.as_ref()),
            ("topic", message.topic.as_ref()),
            ("correlationId", message.correlation_id.as_ref()),
            ("replyTo", message.reply_to.as_ref()),
            ("name", message.name.as_ref()),
        ];
        for (name, value) in members {
            if let Some(value) = value {
                head += &format!("  {name}={}", escaped(value));
            }
        }
        head
    }
}

/// A message in JSON, with the path of its payload in place of it.
fn without_payload(message: &Received, saved: &Path) -> Result<BTreeMap<String, Box<RawValue>>> {
    // Raw, because a payload may be nested as deep as a parser goes.
    let mut members: BTreeMap<_, _> = serde_json::from_str(&serde_json::to_string(message)?)?;
    members.remove("payload");
    let saved = to_raw_value(&saved.to_string_lossy())?;
    members.insert("savedAs".to_owned(), saved);
    Ok(members)
}

/// Whether waiting may cure it.
fn may_pass(error: &anyhow::Error) -> bool {
    match error.downcast_ref() {
        Some(Error::Relay(RelayError::Refused { status, .. })) => *status == 429 || *status >= 500,
        Some(error) => error.class() == Class::RelayUnreachable,
        None => false,
    }
}

/// Up to a quarter longer, so that many clients do not return at the same moment.
fn jittered(pause: Duration) -> Duration {
    // Without randomness they only return less evenly spread.
    let share = f64::from(getrandom::u32().unwrap_or(0)) / f64::from(u32::MAX);
    pause.mul_f64(1.0 + share / 4.0)
}

fn since(text: &str) -> Result<i64, &'static str> {
    text.parse().or_else(|_| {
        text.parse::<jiff::Timestamp>()
            .map(jiff::Timestamp::as_millisecond)
            .map_err(|_| "neither a time such as 2026-01-31T12:00:00Z nor milliseconds since 1970")
    })
}

fn interval(text: &str) -> Result<Duration, &'static str> {
    text.parse()
        .ok()
        .filter(|seconds| (0.1..=86_400.0).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or("not a number of seconds from 0.1 to 86400")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{MAX_PAUSE, interval, jittered, since};

    #[test]
    fn times_are_read_in_both_forms() {
        assert_eq!(since("1700000000123"), Ok(1_700_000_000_123));
        assert_eq!(since("2023-11-14T22:13:20.123Z"), Ok(1_700_000_000_123));
        assert!(since("yesterday").is_err());
    }

    #[test]
    fn intervals_have_bounds() {
        assert_eq!(interval("0.1"), Ok(Duration::from_millis(100)));
        assert_eq!(interval("86400"), Ok(Duration::from_secs(86_400)));
        for text in ["0.09", "86401", "-1", "inf", "NaN", "2s", ""] {
            assert!(interval(text).is_err(), "{text}");
        }
    }

    #[test]
    fn jitter_adds_at_most_a_quarter() {
        for _ in 0..100 {
            let pause = jittered(MAX_PAUSE);
            assert!((MAX_PAUSE..=MAX_PAUSE.mul_f64(1.25)).contains(&pause));
        }
    }
}
