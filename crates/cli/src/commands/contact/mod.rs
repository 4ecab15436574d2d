//! `ctalk contact`.

mod change;
mod list;
mod shown;
mod verify;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use ctalk::{
    Added, Class, Error, Profile,
    core::Fingerprint,
    store::{Contact, Store},
};

pub(super) use self::shown::contact as show;
use crate::{args::RelayArg, context::Context, exit::Complaint, peer};

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
    /// Show one contact, and the key cards that it had
    Show {
        /// The contact's name
        name: String,
        #[command(flatten)]
        relay: RelayArg,
    },
    /// Find out whose keys a contact's are: by the fingerprint, or by a number that both sides see
    Verify {
        /// The contact's name
        name: String,
        /// 64 hex digits in any grouping, as their owner's `ctalk whoami` shows them; without them
        /// the safety number of both sides is shown
        fingerprint: Vec<String>,
    },
    /// Give a contact another name
    Rename {
        /// The contact's name
        name: String,
        /// Its name from now on
        #[arg(value_parser = self::name)]
        new: String,
    },
    /// Take nothing from a contact and send it nothing
    Block {
        /// The contact's name
        name: String,
    },
    /// End the blocking of a contact, who is to be verified again
    Unblock {
        /// The contact's name
        name: String,
    },
    /// Write something down about a contact
    Note {
        /// The contact's name
        name: String,
        /// Up to 4,096 bytes in place of what was written down before; `""` for nothing
        #[arg(value_parser = note)]
        text: String,
    },
    /// Print contacts for another profile, one line of JSON each: their names, and cards or keys
    Export {
        /// The contacts' names [default: all that are not blocked]
        names: Vec<String>,
    },
    /// Pin the contacts that `export` printed; none of them is verified by that
    Import {
        /// The file, or `-` for stdin
        file: PathBuf,
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

/// Most bytes that are written down about a contact.
const MAX_NOTE: usize = 4096;

pub(crate) fn run(command: Command, context: &Context<'_>) -> Result<ExitCode> {
    let output = context.output;
    let profile = context.profile()?;
    let store = |relay| context.store(&profile, relay);
    match command {
        Command::Add { peer, local, relay } => {
            let (contact, added) = add(&peer, local.as_deref(), relay, &profile, context)?;
            output.note(match added {
                Added::New => "added and pinned",
                Added::Renewed => "known already; the key card is newer than the one held",
                Added::Succeeded => {
                    "known already; this is its successor's card, so compare the safety number"
                }
                Added::Outdated => {
                    "known already; a newer key card is held, so this one is ignored"
                }
                _ => "known already",
            });
            shown::contact(&contact, output)?;
        }
        Command::List { relay } => shown::list(&store(relay)?, output)?,
        Command::Show { name, relay } => {
            let store = store(relay)?;
            shown::whole(&store, &known(&store, name)?, output)?;
        }
        Command::Verify { name, fingerprint } => {
            let store = store(NO_RELAY)?;
            if fingerprint.is_empty() {
                verify::compare(store, name, &profile, context)?;
            } else {
                verify::by_fingerprint(store, &name, whole(&fingerprint)?, output)?;
            }
        }
        Command::Rename { name, new } => change::rename(store(NO_RELAY)?, name, &new, output)?,
        Command::Block { name } => change::block(store(NO_RELAY)?, name, output)?,
        Command::Unblock { name } => change::unblock(store(NO_RELAY)?, name, output)?,
        Command::Note { name, text } => change::note(store(NO_RELAY)?, name, &text, output)?,
        Command::Export { names } => list::export(&store(NO_RELAY)?, names, output)?,
        Command::Import { file } => return list::import(&file, &profile, context),
        Command::Remove { name } => change::remove(store(NO_RELAY)?, name, output)?,
        Command::AcceptKey {
            name,
            fingerprint,
            relay,
        } => {
            let fingerprint = whole(&fingerprint)?;
            let mut client = context.client(&profile, relay)?;
            crate::runtime::run(async { Ok(client.accept_key(&name, fingerprint).await?) })?;
            let store = client.store();
            let found = match store.contact(&name)? {
                Some(contact) => Some(contact),
                None => store.contact_at(&name)?,
            };
            if let Some(contact) = found {
                shown::contact(&contact, output)?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

const NO_RELAY: RelayArg = RelayArg { url: None };

/// The contact of this name, which must exist.
fn known(store: &Store, name: String) -> Result<Contact> {
    let found = store.contact(&name)?;
    Ok(found.ok_or(Error::UnknownContact { name })?)
}

/// The fingerprint that the arguments are together.
pub(super) fn whole(arguments: &[String]) -> Result<Fingerprint> {
    let parsed = arguments.concat().parse();
    Ok(parsed.map_err(|error| Complaint::new(Class::Usage, format!("{error}")))?)
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
        let added = crate::runtime::run(async { Ok(client.add_contact(peer, local).await?) });
        context.output.notices(client.take_notices());
        return added;
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
pub(super) fn name(text: &str) -> Result<String, ctalk::ProfileError> {
    ctalk::check_name(text)?;
    Ok(text.to_owned())
}

fn note(text: &str) -> Result<String, String> {
    if text.len() > MAX_NOTE {
        return Err(format!("it has more than {MAX_NOTE} bytes"));
    }
    Ok(text.to_owned())
}
