//! `ctalk contact`.

use std::process::ExitCode;

use anyhow::Result;
use ctalk::{
    Added, Class, Error, Format, Profile, core::Fingerprint, store::Contact, text::escaped,
};
use serde::Serialize;

use crate::{args::RelayArg, context::Context, exit::Complaint, output::Output, peer};

/// Look after the peers whose keys are pinned
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Add somebody, by a key card or by the name that the relay has for them
    Add {
        /// A key card, `-` or a path with a `/` to read one from, or the relay's name for an agent
        #[arg(value_name = "CARD-OR-NAME")]
        peer: String,
        /// The contact's name here [default: the one on the card, or the relay's]
        #[arg(long = "as", value_name = "NAME", value_parser = name)]
        local: Option<String>,
        #[command(flatten)]
        relay: RelayArg,
    },
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
    /// The format that it is written to in.
    format: Format,
    /// Until when envelopes can be sealed to its card.
    card_expires: Option<String>,
}

#[derive(Serialize)]
struct Removed<'a> {
    removed: &'a str,
}

pub(crate) fn run(command: Command, context: &Context<'_>) -> Result<ExitCode> {
    let output = context.output;
    let profile = context.profile()?;
    match command {
        Command::Add { peer, local, relay } => {
            let (contact, added) = add(&peer, local.as_deref(), relay, &profile, context)?;
            output.note(match added {
                Added::New => "added and pinned",
                Added::Renewed => "known already; the key card is newer than the one held",
                Added::Outdated => {
                    "known already; a newer key card is held, so this one is ignored"
                }
                _ => "known already",
            });
            show(&contact, output)?;
        }
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

fn add(
    peer: &str,
    local: Option<&str>,
    relay: RelayArg,
    profile: &Profile,
    context: &Context<'_>,
) -> Result<(Contact, Added)> {
    let Some(card) = peer::card(peer)? else {
        let mut client = context.client(profile, relay)?;
        return crate::runtime::run(async { Ok(client.add_contact(peer, local).await?) });
    };
    let (_, secrets) = context.keystore(profile)?;
    let identity = secrets.unlock()?;
    let mut store = context.store(profile, relay)?;
    Ok(ctalk::add_contact(
        &mut store,
        &identity,
        &card,
        local,
        super::now(),
    )?)
}

/// A name that cannot be mistaken for another one, a path or an option.
fn name(text: &str) -> Result<String, ctalk::ProfileError> {
    ctalk::check_name(text)?;
    Ok(text.to_owned())
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
        row("format", shown.format.as_str()),
        row("card expires", shown.card_expires.as_deref().unwrap_or("-")),
    ])
}

impl<'a> Shown<'a> {
    fn new(contact: &'a Contact) -> Self {
        Self {
            name: &contact.name,
            address: contact.address.as_deref(),
            standing: contact.standing.as_str(),
            learned: contact.learned.as_str(),
            since: super::time(contact.since),
            fingerprint: contact.fingerprint(),
            public_key: contact.keys.encryption().to_base64(),
            signing_key: contact.keys.verifying().to_base64(),
            format: match contact.card {
                Some(_) => Format::Native,
                None => Format::Classic,
            },
            card_expires: contact
                .card
                .as_ref()
                .map(|card| super::shown_time(card.expires())),
        }
    }
}
