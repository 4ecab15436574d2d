//! `ctalk relays`.

use std::process::ExitCode;

use anyhow::Result;
use ctalk::{Error, NamedRelay, Profile, keystore::Secrets, relay::Kind, text::escaped};
use serde::Serialize;

use crate::{args::RelayArg, context::Context, output::Output};

/// List the relays of the profile, or change them
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Give a relay a name, to register there with `ctalk register --on NAME`
    Add {
        /// `https://…`, `clawtalk+https://…` or `opendialogue+wss://…`
        url: String,
        /// Its name [default: its kind]
        #[arg(long = "as", value_name = "NAME")]
        name: Option<String>,
    },
    /// Put a relay before the others: whoever gets the next key card uses it first
    Prefer {
        /// Its name
        name: String,
    },
    /// Take a relay out of the profile; what waits in its outbox stays there
    Remove {
        /// Its name
        name: String,
    },
}

/// A relay as shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    name: &'a str,
    kind: &'static str,
    url: &'a str,
    /// The agent's address there, where that is not its name.
    address: Option<&'a str>,
    /// `registered` or `named`.
    state: &'static str,
    /// How many messages wait to leave.
    queued: u64,
    /// Why one of them is still here.
    last_error: Option<String>,
}

pub(crate) fn run(args: Args, context: &Context<'_>) -> Result<ExitCode> {
    let mut profile = context.profile()?;
    match args.command {
        None => list(&profile, context)?,
        Some(Command::Add { url, name }) => {
            let NamedRelay { name, url, .. } = profile.add_relay(&url, name.as_deref())?.clone();
            profile.save()?;
            said(&name, &url, "added", context.output)?;
            context.output.hint(&format!("ctalk register --on {name}"));
        }
        Some(Command::Prefer { name }) => {
            profile.prefer_relay(&name)?;
            profile.save()?;
            let url = profile.relay().unwrap_or_default();
            said(&name, url, "preferred", context.output)?;
        }
        Some(Command::Remove { name }) => {
            let NamedRelay { name, url, .. } = profile.remove_relay(&name)?;
            profile.save()?;
            said(&name, &url, "removed", context.output)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
struct Changed<'a> {
    name: &'a str,
    url: &'a str,
    /// `added`, `preferred` or `removed`.
    state: &'static str,
}

fn said(name: &str, url: &str, state: &'static str, output: &Output) -> Result<()> {
    if output.is_json() {
        return output.object(&Changed { name, url, state });
    }
    output.line(&format!("{name}  {url}  {state}"))
}

fn list(profile: &Profile, context: &Context<'_>) -> Result<()> {
    let output = context.output;
    let (_, secrets) = context.keystore(profile)?;
    let store = context.store(profile, RelayArg { url: None })?;
    let heads = ["NAME", "KIND", "URL", "ADDRESS", "STATE", "QUEUED", "ERROR"];
    let mut rows = vec![heads.map(str::to_owned)];
    for relay in profile.relays() {
        let (queued, last_error) = store.waiting_for(&relay.url)?;
        let shown = Shown {
            name: &relay.name,
            kind: Kind::of(&relay.url).map_err(Error::from)?.as_str(),
            url: &relay.url,
            address: relay.address.as_deref(),
            state: state(relay, &secrets),
            queued,
            last_error,
        };
        if output.is_json() {
            output.object(&shown)?;
        } else {
            rows.push(shown.row());
        }
    }
    if output.is_json() {
        return Ok(());
    }
    output.table(&rows)
}

/// Whether the relay has given out something that it knows the agent by.
fn state(relay: &NamedRelay, secrets: &Secrets) -> &'static str {
    match secrets.api_key(&relay.url) {
        Some(_) => "registered",
        None => "named",
    }
}

impl Shown<'_> {
    fn row(&self) -> [String; 7] {
        let text = |text: Option<&str>| escaped(text.unwrap_or("-")).into_owned();
        [
            self.name.to_owned(),
            self.kind.to_owned(),
            text(Some(self.url)),
            text(self.address),
            self.state.to_owned(),
            self.queued.to_string(),
            text(self.last_error.as_deref()),
        ]
    }
}
