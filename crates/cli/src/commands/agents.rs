//! `ctalk agents`.

use std::process::ExitCode;

use anyhow::Result;
use ctalk::{
    Format,
    core::Fingerprint,
    relay::Relay,
    store::{Contact, Store},
    text::{distinct, escaped},
    wire::DirectoryEntry,
};
use serde::Serialize;

use crate::{args::RelayArg, context::Context};

/// List the relay's agents
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    relay: RelayArg,
}

/// An agent as the relay lists it, beside what is pinned here.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Agent {
    name: String,
    online: Option<bool>,
    last_seen: Option<String>,
    public_key: Option<String>,
    signing_key: Option<String>,
    #[serde(serialize_with = "optional_hex")]
    fingerprint: Option<Fingerprint>,
    /// The format that it reads, when its keys are usable.
    format: Option<Format>,
    /// The contact's standing, when the agent is one.
    contact: Option<&'static str>,
    /// Whether the relay shows other keys than the pinned ones.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    changed: bool,
}

pub(crate) fn run(args: Args, context: &Context<'_>) -> Result<ExitCode> {
    let output = context.output;
    let profile = context.profile()?;
    let relay = context.connection(&profile, args.relay)?;
    let entries = crate::runtime::run(async { Ok(relay.directory().await?) })?;
    let store = Store::open(&profile.store_path(), Some(relay.url()))?;
    let mut agents = Vec::with_capacity(entries.len());
    for entry in entries {
        let contact = store.contact_at(&entry.name)?;
        agents.push(Agent::new(entry, contact));
    }
    if output.is_json() {
        agents.iter().try_for_each(|agent| output.object(agent))?;
        return Ok(ExitCode::SUCCESS);
    }
    let heading = [
        "NAME",
        "ONLINE",
        "LAST SEEN",
        "CONTACT",
        "FORMAT",
        "FINGERPRINT",
    ]
    .map(str::to_owned);
    let rows: Vec<_> = std::iter::once(heading)
        .chain(agents.iter().map(Agent::row))
        .collect();
    output.table(&rows)?;
    Ok(ExitCode::SUCCESS)
}

impl Agent {
    fn new(entry: DirectoryEntry, contact: Option<Contact>) -> Self {
        let listed = ctalk::listed_keys(&entry).ok();
        let keys = listed.as_ref().map(|(keys, _)| keys);
        let changed = contact
            .as_ref()
            .is_some_and(|contact| Some(&contact.keys) != keys);
        let format = listed.as_ref().map(|(_, card)| match card {
            Some(_) => Format::Native,
            None => Format::Classic,
        });
        let fingerprint = listed.as_ref().map(|(keys, card)| match card {
            Some(card) => card.fingerprint(),
            None => keys.fingerprint(),
        });
        Self {
            name: entry.name,
            online: entry.online,
            last_seen: entry.last_seen,
            public_key: entry.public_key,
            signing_key: entry.signing_key,
            fingerprint,
            format,
            contact: contact.map(|contact| contact.standing.as_str()),
            changed,
        }
    }

    fn row(&self) -> [String; 6] {
        let shown = |text: Option<&str>| escaped(text.unwrap_or("-")).into_owned();
        let online = match self.online {
            Some(true) => "yes",
            Some(false) => "no",
            None => "-",
        };
        let contact = if self.changed {
            Some("CHANGED")
        } else {
            self.contact
        };
        let fingerprint = self.fingerprint.map(|fingerprint| fingerprint.to_string());
        [
            distinct(&self.name).into_owned(),
            online.to_owned(),
            shown(self.last_seen.as_deref()),
            shown(contact),
            shown(self.format.map(Format::as_str)),
            shown(fingerprint.as_deref()),
        ]
    }
}

fn optional_hex<S: serde::Serializer>(
    fingerprint: &Option<Fingerprint>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    fingerprint
        .map(|fingerprint| fingerprint.to_hex())
        .serialize(serializer)
}
