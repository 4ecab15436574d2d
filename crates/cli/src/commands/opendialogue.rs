//! `ctalk opendialogue`.

use std::{process::ExitCode, sync::Arc};

use anyhow::Result;
use clap::builder::PossibleValuesParser;
use ctalk::{
    Class, Error, Profile,
    clock::SystemClock,
    core::Fingerprint,
    keystore::Secrets,
    relay::{
        Kind, Relay, RelayError,
        opendialogue::{Agent, AllowList, Blocked, Credentials, History, OpenDialogue},
    },
    store::Store,
    text::escaped,
};

use super::contact;
use crate::{args::RelayArg, context::Context, exit::Complaint, output::Output, runtime};

/// Most characters of a message that a table shows.
const MAX_SHOWN: usize = 60;

/// Look at agents, lists and conversations of an OpenDialogue relay, which anybody can change or read
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Show what the relay says of an agent, and the fingerprint of the key card that stands there
    Agent {
        #[command(flatten)]
        agent: Peer,
    },
    /// Add the agent whose key card stands there as a verified contact, if it has this fingerprint
    Add {
        /// The agent's eight digits
        #[arg(value_name = "AGENT")]
        agent: String,
        /// 64 hex digits in any grouping, as their owner's `ctalk whoami` shows them
        #[arg(required = true, num_args = 1..)]
        fingerprint: Vec<String>,
        /// The contact's name here [default: the one on the card]
        #[arg(long = "as", value_name = "NAME", value_parser = contact::name)]
        local: Option<String>,
        #[command(flatten)]
        relay: RelayArg,
    },
    /// Have the relay refuse what an agent sends; without one, list those that are refused
    Block {
        /// A contact's name, or an agent's eight digits
        #[arg(value_name = "AGENT")]
        agent: Option<String>,
        /// Why, for the list
        #[arg(long, value_name = "TEXT", requires = "agent")]
        reason: Option<String>,
        #[command(flatten)]
        relay: RelayArg,
    },
    /// End that
    Unblock {
        #[command(flatten)]
        agent: Peer,
    },
    /// Put an agent on the list of those that are heard; without one, show the list
    Allow {
        /// A contact's name, or an agent's eight digits
        #[arg(value_name = "AGENT")]
        agent: Option<String>,
        #[command(flatten)]
        relay: RelayArg,
    },
    /// Take an agent off that list
    Disallow {
        #[command(flatten)]
        agent: Peer,
    },
    /// Say whether only listed agents are heard
    Mode {
        /// `all`, or `allowed` for those on the list
        #[arg(value_parser = PossibleValuesParser::new(["all", "allowed"]))]
        heard: String,
        #[command(flatten)]
        relay: RelayArg,
    },
    /// Show what the relay keeps of a conversation
    History {
        /// A contact's name or an agent's eight digits for the own conversation with it, or the id of one
        #[arg(value_name = "WITH")]
        with: String,
        /// How many messages, the last ones
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=500))]
        last: u32,
        #[command(flatten)]
        relay: RelayArg,
    },
}

#[derive(clap::Args)]
pub(crate) struct Peer {
    /// A contact's name, or an agent's eight digits
    #[arg(value_name = "AGENT")]
    agent: String,
    #[command(flatten)]
    relay: RelayArg,
}

impl Command {
    fn relay(&self) -> RelayArg {
        match self {
            Self::Agent { agent } | Self::Unblock { agent } | Self::Disallow { agent } => {
                agent.relay.clone()
            }
            Self::Add { relay, .. }
            | Self::Block { relay, .. }
            | Self::Allow { relay, .. }
            | Self::Mode { relay, .. }
            | Self::History { relay, .. } => relay.clone(),
        }
    }
}

pub(crate) fn run(command: Command, context: &Context<'_>) -> Result<ExitCode> {
    let output = context.output;
    let profile = context.profile()?;
    let url = context.relay_url(command.relay(), Some(&profile))?;
    let url = ctalk::relay::normalised(&url)?;
    let (_, secrets) = context.keystore(&profile)?;
    let relay = connect(&url, &secrets)?;
    let store = Store::open(&profile.store_path(), Some(relay.url()))?;
    let known = |agent: &str| address(&store, agent);
    match &command {
        Command::Agent { agent } => {
            let agent = known(&agent.agent)?;
            show(&ask(relay.look_up(&agent))?, output)?;
        }
        Command::Add {
            agent,
            fingerprint,
            local,
            ..
        } => {
            let fingerprint = contact::whole(fingerprint)?;
            add(
                &relay,
                &profile,
                &secrets,
                agent,
                fingerprint,
                local.as_deref(),
                output,
            )?;
        }
        Command::Block { agent: None, .. } => list_blocked(&ask(relay.blocked())?, output)?,
        Command::Block {
            agent: Some(agent),
            reason,
            ..
        } => {
            ask(relay.block(&known(agent)?, reason.as_deref()))?;
            output.hint("what it posts past its connection still comes: block the contact, too");
        }
        Command::Unblock { agent } => ask(relay.unblock(&known(&agent.agent)?))?,
        Command::Allow { agent: None, .. } => list_allowed(&ask(relay.allowed())?, output)?,
        Command::Allow {
            agent: Some(agent), ..
        } => ask(relay.allow(&known(agent)?))?,
        Command::Disallow { agent } => ask(relay.disallow(&known(&agent.agent)?))?,
        Command::Mode { heard, .. } => ask(relay.hear_only_allowed(heard == "allowed"))?,
        Command::History { with, last, .. } => {
            let with = address(&store, with).unwrap_or_else(|_| with.clone());
            list_history(&ask(relay.history(&with, *last))?, output)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The relay in the profile's name. None of these calls opens its one connection.
pub(super) fn connect(url: &str, secrets: &Secrets) -> Result<OpenDialogue> {
    if Kind::of(url)? != Kind::OpenDialogue {
        let text = format!("{url} is no OpenDialogue relay");
        return Err(Complaint::new(Class::Usage, text)
            .hint("name one with --relay")
            .into());
    }
    let credentials = secrets.api_key(url).and_then(Credentials::from_text);
    let credentials = credentials.ok_or_else(|| RelayError::NoKey {
        url: url.to_owned(),
    })?;
    Ok(OpenDialogue::new(url, credentials, Arc::new(SystemClock))?)
}

fn ask<T>(call: impl Future<Output = Result<T, RelayError>>) -> Result<T> {
    runtime::run(async { Ok(call.await?) })
}

/// Where an agent is: the address of a contact, or the digits themselves.
fn address(store: &Store, named: &str) -> Result<String> {
    if named.len() == 8 && named.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(named.to_owned());
    }
    let unknown = || Error::UnknownContact {
        name: named.to_owned(),
    };
    let contact = store.contact(named)?.ok_or_else(unknown)?;
    Ok(contact.address.ok_or_else(|| {
        let text = format!("`{named}` has no address at this relay");
        Complaint::new(Class::Usage, text).hint("name the agent by its eight digits")
    })?)
}

fn add(
    relay: &OpenDialogue,
    profile: &Profile,
    secrets: &Secrets,
    agent: &str,
    fingerprint: Fingerprint,
    local: Option<&str>,
    output: &Output,
) -> Result<()> {
    let shown = ask(relay.look_up(agent))?;
    let candidate = shown.candidate.ok_or_else(|| {
        let text = format!("no key card stands at {agent}");
        Complaint::new(Class::NotTrusted, text).hint(
            "its owner puts it there with `ctalk register`, or gives you what `ctalk card` prints",
        )
    })?;
    let mut store = Store::open(&profile.store_path(), Some(relay.url()))?;
    let me = secrets.unlock()?;
    let contact = candidate.accept(&mut store, &me, local, fingerprint, super::now())?;
    contact::show(&contact, output)
}

fn show(agent: &Agent, output: &Output) -> Result<()> {
    if output.is_json() {
        return output.object(agent);
    }
    let mut rows = vec![
        ["agent".to_owned(), agent.agent.clone()],
        ["name".to_owned(), escaped(&agent.name).into_owned()],
    ];
    if let Some(description) = &agent.description {
        rows.push(["description".to_owned(), escaped(description).into_owned()]);
    }
    let online = if agent.online { "yes" } else { "no" };
    rows.push(["online".to_owned(), online.to_owned()]);
    if let Some(candidate) = &agent.candidate {
        rows.push([
            "fingerprint".to_owned(),
            candidate.fingerprint().to_string(),
        ]);
    }
    output.table(&rows)?;
    if agent.candidate.is_some() {
        output.hint(
            "anybody can have written this: ask the owner for the fingerprint, and give it to \
             `ctalk opendialogue add`",
        );
    }
    Ok(())
}

fn list_blocked(blocked: &[Blocked], output: &Output) -> Result<()> {
    if output.is_json() {
        return blocked.iter().try_for_each(|agent| output.object(agent));
    }
    let heading = ["AGENT", "REASON"].map(str::to_owned);
    let rows = blocked.iter().map(|blocked| {
        let reason = blocked.reason.as_deref().unwrap_or("-");
        [&blocked.agent, reason].map(|text| escaped(text).into_owned())
    });
    output.table(&std::iter::once(heading).chain(rows).collect::<Vec<_>>())
}

fn list_allowed(list: &AllowList, output: &Output) -> Result<()> {
    if output.is_json() {
        return output.object(list);
    }
    for allowed in &list.agents {
        output.line(&escaped(&allowed.agent))?;
    }
    output.note(if list.is_enabled {
        "only these are heard"
    } else {
        "all are heard: `ctalk opendialogue mode allowed` hears these alone"
    });
    Ok(())
}

fn list_history(history: &History, output: &Output) -> Result<()> {
    if output.is_json() {
        let mut messages = history.messages.iter();
        return messages.try_for_each(|message| output.object(message));
    }
    let rows: Vec<_> = history
        .messages
        .iter()
        .map(|message| {
            let mut content: String = message.content.chars().take(MAX_SHOWN).collect();
            if content.len() < message.content.len() {
                content.push('…');
            }
            let time = jiff::Timestamp::from_millisecond(message.timestamp);
            let time = time.map_or_else(|_| "-".to_owned(), |time| format!("{time:.3}"));
            [&time, &message.from, &content].map(|text| escaped(text).into_owned())
        })
        .collect();
    output.table(&rows)
}
