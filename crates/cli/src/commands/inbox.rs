//! `ctalk inbox`.

use std::{io::Write, path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use ctalk::{
    Class, Error, Reason,
    clock::{Clock, SystemClock},
    core::envelope::TEXT_PREFIX,
    store::{Entry, EntryState, Store},
    text::escaped,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    args::RelayArg, context::Context, destination::Destination, exit::Complaint, output::Output,
};

/// Look after messages that are held or were set aside
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// List what is in the local inbox, with the reasons for what is held or was set aside
    List {
        /// Only messages in this state [default: quarantined, held and new]
        #[arg(long, value_name = "STATE", value_parser = state_parser())]
        state: Option<EntryState>,
    },
    /// Show a message as it was received, still sealed
    Show {
        /// Its number in the inbox, or the relay's id
        id: String,
    },
    /// Write a message's envelope, still sealed, or what else was received
    Export {
        /// Its number in the inbox, or the relay's id
        id: String,
        /// Write it to this file, which must not exist [default: stdout]
        #[arg(short, long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Let the next `recv` hand over messages that the policy holds
    Accept {
        /// Their numbers in the inbox, or the relay's ids
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
    /// Delete messages that the policy holds, for good
    Reject {
        /// Their numbers in the inbox, or the relay's ids
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
    /// Let the next `recv` try messages again
    Retry {
        /// Their numbers in the inbox, or the relay's ids
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
    /// Delete messages for good
    Drop {
        /// Their numbers in the inbox, or the relay's ids
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
}

/// An inbox entry as shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    number: i64,
    relay_id: Option<&'a str>,
    relay_from: Option<String>,
    ts: String,
    state: EntryState,
    reason: Option<Reason>,
    detail: Option<&'a str>,
    /// How often it was tried.
    attempts: u32,
    /// When it is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    due: Option<String>,
    stored: String,
    /// The message as received.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Box<RawValue>>,
}

/// What the relay says of a message in any format.
#[derive(Deserialize)]
struct Claimed {
    from: String,
}

/// An envelope in the relay's frame.
#[derive(Deserialize)]
struct Sealed {
    payload: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Changed<'a> {
    number: i64,
    relay_id: Option<&'a str>,
    /// `new`, `rejected` or `dropped`.
    state: &'static str,
}

pub(crate) fn run(command: Command, context: &Context<'_>) -> Result<ExitCode> {
    let output = context.output;
    let profile = context.profile()?;
    let mut store = context.store(&profile, RelayArg { url: None })?;
    match command {
        Command::List { state } => list(&store, state, output)?,
        Command::Show { id } => {
            for entry in named(&store, &id)? {
                show(&entry, output)?;
            }
        }
        Command::Export { id, out } => export(&store, &id, out)?,
        Command::Accept { ids } => {
            for entry in all_held(&store, &ids)? {
                store.accept(entry.number)?;
                changed(&entry, EntryState::New.as_str(), output)?;
            }
        }
        Command::Reject { ids } => {
            for entry in all_held(&store, &ids)? {
                store.reject(entry.number, SystemClock.now())?;
                changed(&entry, "rejected", output)?;
            }
        }
        Command::Retry { ids } => {
            let entries = all_named(&store, &ids)?;
            let mut held = entries.iter();
            if let Some(entry) = held.find(|entry| entry.state == EntryState::Held) {
                let number = entry.number;
                return Err(Error::Held { number }.into());
            }
            for entry in entries {
                store.retry(entry.number)?;
                changed(&entry, EntryState::New.as_str(), output)?;
            }
        }
        Command::Drop { ids } => {
            for entry in all_named(&store, &ids)? {
                store.drop_entry(entry.number, SystemClock.now())?;
                changed(&entry, "dropped", output)?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn state_parser() -> impl TypedValueParser<Value = EntryState> {
    PossibleValuesParser::new(EntryState::ALL.map(EntryState::as_str)).try_map(|word| {
        let mut states = EntryState::ALL.into_iter();
        states
            .find(|state| state.as_str() == word)
            .ok_or("no state of a message")
    })
}

fn named(store: &Store, id: &str) -> Result<Vec<Entry>> {
    let entries = store.entries_named(id)?;
    if entries.is_empty() {
        return Err(Error::UnknownMessage { id: id.to_owned() }.into());
    }
    Ok(entries)
}

/// All of them, or an error before anything is changed.
fn all_named(store: &Store, ids: &[String]) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for id in ids {
        entries.extend(named(store, id)?);
    }
    entries.sort_by_key(|entry| entry.number);
    entries.dedup_by_key(|entry| entry.number);
    Ok(entries)
}

/// All of them, or an error before anything is changed if one does not wait for a decision.
fn all_held(store: &Store, ids: &[String]) -> Result<Vec<Entry>> {
    let entries = all_named(store, ids)?;
    match entries.iter().find(|entry| entry.state != EntryState::Held) {
        None => Ok(entries),
        Some(entry) => Err(Error::NotHeld {
            number: entry.number,
            state: entry.state,
        }
        .into()),
    }
}

fn list(store: &Store, state: Option<EntryState>, output: &Output) -> Result<()> {
    let head = [
        "NUMBER", "ID", "FROM", "AGE", "ATTEMPTS", "NEXT", "REASON", "DETAIL",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    let now = SystemClock.now();
    let mut printed = Ok(());
    let default = [EntryState::Quarantined, EntryState::Held, EntryState::New];
    for state in state.as_ref().map_or(&default[..], std::slice::from_ref) {
        store.each_entry(*state, |entry| {
            let shown = Shown::new(&entry);
            if !output.is_json() {
                rows.push(shown.row(&entry, now));
            } else if printed.is_ok() {
                printed = output.object(&shown);
            }
        })?;
    }
    printed?;
    if output.is_json() {
        return Ok(());
    }
    output.table(&rows)
}

impl Shown<'_> {
    fn row(&self, entry: &Entry, now: i64) -> [String; 8] {
        let text = |text: Option<&str>| escaped(text.unwrap_or("-")).into_owned();
        [
            self.number.to_string(),
            text(self.relay_id),
            text(self.relay_from.as_deref()),
            super::span(now.saturating_sub(entry.stored_at)),
            self.attempts.to_string(),
            match entry.due {
                Some(due) if due > now => super::span(due.saturating_sub(now)),
                _ if self.state == EntryState::New => "now".to_owned(),
                _ => "-".to_owned(),
            },
            match self.reason {
                Some(reason) if self.state != EntryState::Held => reason.as_str(),
                _ => self.state.as_str(),
            }
            .to_owned(),
            text(self.detail),
        ]
    }
}

/// Writes the envelope by itself where there is one, so that `verify` and `open` read it.
fn export(store: &Store, id: &str, out: Option<PathBuf>) -> Result<()> {
    let entries = named(store, id)?;
    let [entry] = entries.as_slice() else {
        let complaint =
            Complaint::new(Class::Usage, format!("several messages have the id `{id}`"));
        return Err(complaint.hint("name one by its number").into());
    };
    let envelope = serde_json::from_slice::<Sealed>(&entry.raw)
        .ok()
        .filter(|sealed| sealed.payload.starts_with(TEXT_PREFIX));
    let bytes = match (&entry.envelope, envelope) {
        (Some(envelope), _) => envelope.clone(),
        (None, Some(sealed)) => format!("{}\n", sealed.payload).into_bytes(),
        (None, None) => entry.raw.clone(),
    };
    let (destination, mut writer) = Destination::begin(out)?;
    writer.write_all(&bytes)?;
    writer.flush()?;
    drop(writer);
    destination.complete()
}

fn show(entry: &Entry, output: &Output) -> Result<()> {
    let mut shown = Shown::new(entry);
    let text = String::from_utf8_lossy(&entry.raw);
    if output.is_json() {
        // What came is JSON, with line ends between its tokens at most.
        let line = text.replace(['\n', '\r'], " ");
        shown.message = RawValue::from_string(line).ok();
        return output.object(&shown);
    }
    let row = |label: &str, value: Option<&str>| {
        [label.to_owned(), escaped(value.unwrap_or("-")).into_owned()]
    };
    output.table(&[
        row("number", Some(&shown.number.to_string())),
        row("id", shown.relay_id),
        row("from", shown.relay_from.as_deref()),
        row("time", Some(&shown.ts)),
        row("state", Some(shown.state.as_str())),
        row("reason", shown.reason.map(Reason::as_str)),
        row("detail", shown.detail),
        row("attempts", Some(&shown.attempts.to_string())),
        row("due", shown.due.as_deref()),
    ])?;
    if output.is_terminal() {
        output.line(&escaped(&text))
    } else {
        output.line(&text)
    }
}

fn changed(entry: &Entry, state: &'static str, output: &Output) -> Result<()> {
    let relay_id = entry.relay_id.as_deref();
    let number = entry.number;
    if output.is_json() {
        return output.object(&Changed {
            number,
            relay_id,
            state,
        });
    }
    output.line(&format!(
        "{number}  {}  {state}",
        escaped(relay_id.unwrap_or("-"))
    ))
}

impl<'a> Shown<'a> {
    fn new(entry: &'a Entry) -> Self {
        let claimed = serde_json::from_slice::<Claimed>(&entry.raw).ok();
        Self {
            number: entry.number,
            relay_id: entry.relay_id.as_deref(),
            relay_from: claimed.map(|claimed| claimed.from),
            ts: ctalk::shown::time(entry.sent_at),
            state: entry.state,
            reason: entry.reason,
            detail: entry.detail.as_deref(),
            attempts: entry.attempt,
            due: entry.due.map(ctalk::shown::time),
            stored: ctalk::shown::time(entry.stored_at),
            message: None,
        }
    }
}
