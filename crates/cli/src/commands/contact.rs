//! `ctalk contact`.

use std::process::ExitCode;

use anyhow::Result;
use ctalk::{Class, Error, Trust, core::Fingerprint, store::Contact, text::escaped};
use serde::Serialize;

use crate::{args::RelayArg, context::Context, exit::Complaint, output::Output};

/// Look after the peers whose keys are pinned
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// List all contacts
    List {
        #[command(flatten)]
        relay: RelayArg,
    },
    /// Show one contact
    Show {
        /// The contact's name
        name: String,
        #[command(flatten)]
        relay: RelayArg,
    },
    /// Forget a contact and its keys
    Remove {
        /// The contact's name
        name: String,
    },
    /// Pin the keys that the relay shows for a name, if they have this fingerprint
    AcceptKey {
        /// The contact's, or the agent's, name
        name: String,
        /// 64 hex digits in any grouping, as their owner's `ctalk whoami` shows them
        #[arg(required = true, num_args = 1..)]
        fingerprint: Vec<String>,
        #[command(flatten)]
        relay: RelayArg,
    },
}

/// A contact as shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    name: &'a str,
    /// Its name at the relay.
    address: Option<&'a str>,
    standing: &'a str,
    learned: &'a str,
    since: String,
    #[serde(serialize_with = "super::whoami::hex")]
    fingerprint: Fingerprint,
    public_key: String,
    signing_key: String,
}

#[derive(Serialize)]
struct Removed<'a> {
    removed: &'a str,
}

pub(crate) fn run(command: Command, context: &Context<'_>) -> Result<ExitCode> {
    let output = context.output;
    let profile = context.profile()?;
    match command {
        Command::List { relay } => {
            let contacts = context.store(&profile, relay)?.contacts()?;
            list(&contacts, output)?;
        }
        Command::Show { name, relay } => {
            let found = context.store(&profile, relay)?.contact(&name)?;
            let contact = found.ok_or(Error::UnknownContact { name })?;
            show(&contact, output)?;
        }
        Command::Remove { name } => {
            let mut store = context.store(&profile, RelayArg { url: None })?;
            if !store.remove_contact(&name)? {
                return Err(Error::UnknownContact { name }.into());
            }
            if output.is_json() {
                output.object(&Removed { removed: &name })?;
            } else {
                output.line(&format!("removed {}", escaped(&name)))?;
            }
        }
        Command::AcceptKey {
            name,
            fingerprint,
            relay,
        } => {
            let fingerprint: Fingerprint = fingerprint
                .concat()
                .parse()
                .map_err(|error| Complaint::new(Class::Usage, format!("{error}")))?;
            let mut client = context.client(&profile, relay)?;
            crate::runtime::run(async { Ok(client.accept_key(&name, fingerprint).await?) })?;
            let store = client.store();
            let found = match store.contact(&name)? {
                Some(contact) => Some(contact),
                None => store.contact_at(&name)?,
            };
            if let Some(contact) = found {
                show(&contact, output)?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(contacts: &[Contact], output: &Output) -> Result<()> {
    if output.is_json() {
        return contacts
            .iter()
            .try_for_each(|contact| output.object(&Shown::new(contact)));
    }
    let heading = ["NAME", "STANDING", "SINCE", "FINGERPRINT"].map(str::to_owned);
    let rows = contacts.iter().map(|contact| {
        let shown = Shown::new(contact);
        [
            escaped(shown.name).into_owned(),
            shown.standing.to_owned(),
            shown.since,
            shown.fingerprint.to_string(),
        ]
    });
    let rows: Vec<_> = std::iter::once(heading).chain(rows).collect();
    output.table(&rows)
}

fn show(contact: &Contact, output: &Output) -> Result<()> {
    let shown = Shown::new(contact);
    if output.is_json() {
        return output.object(&shown);
    }
    let row = |label: &str, value: &str| [label.to_owned(), escaped(value).into_owned()];
    output.table(&[
        row("name", shown.name),
        row("at the relay", shown.address.unwrap_or("-")),
        row("standing", shown.standing),
        row("learned", shown.learned),
        row("since", &shown.since),
        row("fingerprint", &shown.fingerprint.to_string()),
        row("public key", &shown.public_key),
        row("signing key", &shown.signing_key),
    ])
}

impl<'a> Shown<'a> {
    fn new(contact: &'a Contact) -> Self {
        Self {
            name: &contact.name,
            address: contact.address.as_deref(),
            standing: Trust::Pinned.as_str(),
            learned: contact.learned.as_str(),
            since: super::time(contact.since),
            fingerprint: contact.fingerprint(),
            public_key: contact.keys.encryption().to_base64(),
            signing_key: contact.keys.verifying().to_base64(),
        }
    }
}
