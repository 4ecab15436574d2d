//! `ctalk outbox`.

use std::process::ExitCode;

use anyhow::Result;
use ctalk::{
    Error,
    clock::{Clock, SystemClock},
    store::{OutboxEntry, OutboxState, Store},
    text::{distinct, escaped},
};
use serde::Serialize;

use crate::{args::RelayArg, context::Context, output::Output};

/// Look after messages that have not left
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// List what is in the outbox, with the reason of the last failure
    List,
    /// Let messages leave at the next `flush`, `send` or `recv`, failed ones too
    Retry {
        /// Their numbers in the outbox, or the envelopes' ids
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
    /// Delete messages for good; one that was tried may have arrived
    Drop {
        /// Their numbers in the outbox, or the envelopes' ids
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
}

/// An outbox entry as shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    number: i64,
    id: Option<&'a str>,
    to: &'a [String],
    format: &'static str,
    state: OutboxState,
    created: String,
    expires: String,
    attempts: u32,
    /// When it is tried again; absent for as soon as possible and for what failed.
    due: Option<String>,
    error: Option<&'a str>,
}

#[derive(Serialize)]
struct Changed<'a> {
    number: i64,
    id: Option<&'a str>,
    /// `queued` or `dropped`.
    state: &'static str,
}

pub(crate) fn run(command: Command, context: &Context<'_>) -> Result<ExitCode> {
    let output = context.output;
    let profile = context.profile()?;
    let mut store = context.store(&profile, RelayArg { url: None })?;
    match command {
        Command::List => list(&store, output)?,
        Command::Retry { ids } => {
            for entry in all_named(&store, &ids)? {
                store.retry_outgoing(entry.number)?;
                changed(&entry, OutboxState::Queued.as_str(), output)?;
            }
        }
        Command::Drop { ids } => {
            for entry in all_named(&store, &ids)? {
                store.drop_outgoing(entry.number)?;
                changed(&entry, "dropped", output)?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// All of them, or an error before anything is changed.
fn all_named(store: &Store, ids: &[String]) -> Result<Vec<OutboxEntry>> {
    let mut entries = Vec::new();
    for id in ids {
        let named = store.outgoing_named(id)?;
        if named.is_empty() {
            return Err(Error::UnknownOutgoing { id: id.clone() }.into());
        }
        entries.extend(named);
    }
    entries.sort_by_key(|entry| entry.number);
    entries.dedup_by_key(|entry| entry.number);
    Ok(entries)
}

fn list(store: &Store, output: &Output) -> Result<()> {
    let now = SystemClock.now();
    let heads = [
        "NUMBER", "ID", "TO", "STATE", "AGE", "ATTEMPTS", "NEXT", "ERROR",
    ];
    let mut rows = vec![heads.map(str::to_owned)];
    let mut printed = Ok(());
    store.each_outgoing(|entry| {
        if !output.is_json() {
            rows.push(row(&entry, now));
        } else if printed.is_ok() {
            printed = output.object(&Shown::new(&entry));
        }
    })?;
    printed?;
    if output.is_json() {
        return Ok(());
    }
    output.table(&rows)
}

fn row(entry: &OutboxEntry, now: i64) -> [String; 8] {
    let text = |text: Option<&str>| escaped(text.unwrap_or("-")).into_owned();
    let to: Vec<_> = entry.to.iter().map(|name| distinct(name)).collect();
    [
        entry.number.to_string(),
        text(entry.id.as_deref()),
        to.join(","),
        entry.state.to_string(),
        super::span(now.saturating_sub(entry.created)),
        entry.attempts.to_string(),
        match (entry.state, entry.due) {
            (OutboxState::Failed, _) => "-".to_owned(),
            (_, Some(due)) if due > now => super::span(due.saturating_sub(now)),
            _ => "now".to_owned(),
        },
        text(entry.error.as_deref()),
    ]
}

fn changed(entry: &OutboxEntry, state: &'static str, output: &Output) -> Result<()> {
    let (number, id) = (entry.number, entry.id.as_deref());
    if output.is_json() {
        return output.object(&Changed { number, id, state });
    }
    output.line(&format!("{number}  {}  {state}", id.unwrap_or("-")))
}

impl<'a> Shown<'a> {
    fn new(entry: &'a OutboxEntry) -> Self {
        let time = ctalk::shown::time;
        Self {
            number: entry.number,
            id: entry.id.as_deref(),
            to: &entry.to,
            format: entry.format.as_str(),
            state: entry.state,
            created: time(entry.created),
            expires: time(entry.expires),
            attempts: entry.attempts,
            due: entry.due.map(time),
            error: entry.error.as_deref(),
        }
    }
}
