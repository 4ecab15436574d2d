//! The policy: who may send what, how much of it, and until when. It stands in `policy.toml` beside
//! the store, is written by the user alone, and counts before anything is handed over.
//!
//! - `file`: the file's shape, and what is wrong with it by line
//! - `rules`: what the tables say together about one sender

mod file;
mod rules;

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use ctalk_core::trust::Standing;

use self::rules::Table;
pub(crate) use self::rules::{Facts, Limits};
pub use self::rules::{Rules, Violation};
use crate::{error::Class, store::Contact};

/// The policy's file, beside the store.
const FILE: &str = "policy.toml";
/// Largest policy that is read, in bytes.
const MAX_FILE: u64 = 4 << 20;

/// What the user allows others to send; by default everything.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    strangers: Strangers,
    allow_list: bool,
    default: Table,
    stranger_table: Table,
    /// By name in lower case: names of contacts that differ in case alone are one.
    contacts: BTreeMap<String, Table>,
}

/// What becomes of messages of somebody who is no contact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Strangers {
    /// Its keys are pinned at this first use, and the message is handed over.
    #[default]
    Accept,
    /// The message waits in the inbox for a decision, and nothing is pinned.
    Hold,
    /// The message is set aside.
    Refuse,
}

/// Who signed a message, as far as the policy tells senders apart.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Signer<'a> {
    /// A contact.
    Contact(&'a Contact),
    /// Somebody who is no contact, by this name at the relay.
    Stranger(&'a str),
    /// Nobody: whatever name the message bears, anybody can have written it.
    Nobody,
}

/// What the policy says of a sender, whatever its message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Its rules decide.
    Open,
    /// Its messages wait for a decision.
    Held(String),
    /// Its messages are set aside.
    Refused(String),
}

/// Why the policy cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The policy makes no sense.
    #[error("{path}: {why}")]
    Damaged {
        /// The policy's file.
        path: PathBuf,
        /// What is wrong, with its line.
        why: String,
    },
    /// The file system refused.
    #[error("{path}: {why}")]
    Io {
        /// The policy's file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
}

impl PolicyError {
    /// The class that callers branch on.
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::LocalStore
    }

    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Damaged { .. } => Some(
                "correct it, or move the file away to do without a policy; nothing is received \
                 meanwhile"
                    .to_owned(),
            ),
            Self::Io { .. } => None,
        }
    }
}

impl Policy {
    /// Reads the policy that belongs to the store at `store`; without a file everything is allowed.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub fn beside(store: &Path) -> Result<Self, PolicyError> {
        let path = store.with_file_name(FILE);
        let io = |error: io::Error| PolicyError::Io {
            path: path.clone(),
            why: error.to_string(),
        };
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            outcome => outcome.map_err(io)?,
        };
        let mut text = String::new();
        file.take(MAX_FILE + 1)
            .read_to_string(&mut text)
            .map_err(io)?;
        let parsed = if text.len() as u64 > MAX_FILE {
            Err(format!("larger than {MAX_FILE} bytes"))
        } else {
            Self::parse(&text)
        };
        parsed.map_err(|why| PolicyError::Damaged { path, why })
    }

    /// Reads a policy from TOML.
    ///
    /// # Errors
    /// What is wrong, with its line.
    pub fn parse(text: &str) -> Result<Self, String> {
        file::read(text)
    }

    /// The rules for a contact, or for somebody who is none. A contact that is one only because it
    /// wrote first counts as a stranger here, so that nobody gets more by writing.
    #[must_use]
    pub fn rules(&self, contact: Option<&Contact>) -> Rules<'_> {
        let own = match contact {
            None => Some(&self.stranger_table),
            Some(contact) => self.table(&contact.name).or_else(|| {
                let wrote_first = contact.only_wrote_first();
                wrote_first.then_some(&self.stranger_table)
            }),
        };
        Rules::new(own, &self.default)
    }

    /// What becomes of messages of this signer, whatever they say.
    pub(crate) fn admission(&self, signer: Signer<'_>) -> Admission {
        let (name, is_named) = match signer {
            Signer::Contact(contact) => {
                let is_listed = self.table(&contact.name).is_some();
                if self.allow_list && !is_listed && contact.standing != Standing::Verified {
                    return Admission::Held(format!(
                        "`allow-list` in the policy: {} is neither listed nor verified",
                        contact.name
                    ));
                }
                return Admission::Open;
            }
            Signer::Stranger(name) => (name, self.table(name).is_some()),
            Signer::Nobody => ("nobody signed it, so its sender", false),
        };
        match self.strangers {
            Strangers::Refuse => {
                Admission::Refused(format!("`strangers` in the policy: {name} is no contact"))
            }
            Strangers::Hold => {
                Admission::Held(format!("`strangers` in the policy: {name} is no contact"))
            }
            // Else whoever takes the name first would have the rules meant for somebody else.
            Strangers::Accept if is_named => Admission::Held(format!(
                "the policy names {name}, who is no contact yet: is it the one that is meant?"
            )),
            Strangers::Accept => Admission::Open,
        }
    }

    fn table(&self, name: &str) -> Option<&Table> {
        self.contacts.get(&name.to_ascii_lowercase())
    }
}
