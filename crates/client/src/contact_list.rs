//! Contacts as lines of JSON, to be given to others or taken to another profile.
//!
//! Nobody signs such a list. So it says who somebody is and not what that counts for: whoever is
//! imported is pinned and to be verified, and nothing that is known already is overwritten.

use std::io::{self, BufRead, Read};

use ctalk_core::{Card, CardError, Identity, KeyError, PublicKeys, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    contacts::{self, Added},
    directory,
    error::{Class, Error},
    store::{Contact, Store, StoreError},
    text::distinct,
};

/// Most bytes of a line, without its end.
const MAX_LINE: usize = 8 << 10;
/// Most lines that are read.
const MAX_LINES: u64 = 1_000_000;
/// How many lines are written to disk together. They are read before, so that no other process waits
/// for whoever makes them.
const BATCH: usize = 1000;

/// A contact as a line of JSON: `name`, and `card`, or `publicKey` and `signingKey` of one that has
/// none. What the user decided or wrote down about it is left out, because it is nobody else's.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListedContact {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    card: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signing_key: Option<String>,
}

impl From<&Contact> for ListedContact {
    fn from(contact: &Contact) -> Self {
        let card = contact.card.as_ref();
        let keys = card.is_none().then_some(&contact.keys);
        Self {
            name: contact.name.clone(),
            card: card.map(Card::to_text),
            public_key: keys.map(|keys| keys.encryption().to_base64()),
            signing_key: keys.map(|keys| keys.verifying().to_base64()),
        }
    }
}

/// What an import came to, in lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Imported {
    /// New contacts.
    pub added: u64,
    /// Contacts that got a newer card, or their first one.
    pub renewed: u64,
    /// Contacts that were known like this, or with a newer card.
    pub known: u64,
    /// Lines that were refused.
    pub refused: u64,
}

/// Why an import ended before its end. What was imported by then stays.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The list cannot be read.
    #[error("cannot read the list: {0}")]
    Read(io::Error),
    /// The list is too long.
    #[error("the list has more than {MAX_LINES} lines, and those after them were not read")]
    TooManyLines,
    /// The local store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a line was not imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// It is too long.
    #[error("it has more than {MAX_LINE} bytes")]
    TooLong,
    /// It is not of this form.
    #[error("it is no contact: {0}")]
    Malformed(serde_json::Error),
    /// It has a card and keys, or neither.
    #[error("it has neither exactly a card, nor exactly a publicKey and a signingKey")]
    CardOrKeys,
    /// The name could be mistaken for another one, a path or an option.
    #[error("`{name}` cannot be a name: 1 to 64 letters, digits, `_` or `-`, and no `-` first")]
    Name {
        /// The name, escaped.
        name: String,
    },
    /// The card cannot be used.
    #[error(transparent)]
    Card(CardError),
    /// The keys cannot be used.
    #[error(transparent)]
    Keys(KeyError),
    /// Name or keys belong to somebody else, or the card must not be used.
    #[error(transparent)]
    Refused(Error),
}

impl LineError {
    /// The class that callers branch on.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Refused(error) => error.class(),
            Self::Card(error) => Class::of(error.failure()),
            _ => Class::Malformed,
        }
    }

    /// What the user can do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Refused(error) => error.hint(),
            _ => None,
        }
    }
}

/// Pins everybody on a list whose lines are each a [`ListedContact`], and takes over newer cards;
/// `me` is the own identity. At most 1,000,000 lines of at most 8,192 bytes are read. Lines that are refused are told to `report` with their number, counted
/// from 1, and keep no other from being imported. Empty lines are skipped. To import a list again
/// changes nothing.
///
/// # Errors
/// [`ImportError`]; what the lines before it said is imported.
pub fn import_contacts(
    store: &mut Store,
    me: &Identity,
    mut list: impl BufRead,
    now: Timestamp,
    mut report: impl FnMut(u64, &LineError),
) -> Result<Imported, ImportError> {
    let mut imported = Imported::default();
    let mut number = 0;
    loop {
        let mut lines = Vec::with_capacity(BATCH);
        let mut ended = Ok(());
        while lines.len() < BATCH {
            match next_line(&mut list) {
                Err(error) => ended = Err(ImportError::Read(error)),
                Ok(Some(_)) if number == MAX_LINES => ended = Err(ImportError::TooManyLines),
                Ok(Some(line)) => {
                    number += 1;
                    lines.push((number, line));
                    continue;
                }
                Ok(None) => {}
            }
            break;
        }
        let is_last = lines.len() < BATCH;
        store.batch("import-contacts", |store| {
            for (number, line) in lines {
                match line.and_then(|line| take(store, me, &line, now)) {
                    Ok(None) => {}
                    Ok(Some(Added::New)) => imported.added += 1,
                    Ok(Some(Added::Renewed | Added::Succeeded)) => imported.renewed += 1,
                    Ok(Some(Added::Known | Added::Outdated)) => imported.known += 1,
                    Err(LineError::Refused(Error::Store(error))) => return Err(error),
                    Err(error) => {
                        imported.refused += 1;
                        report(number, &error);
                    }
                }
            }
            Ok(())
        })?;
        ended?;
        if is_last {
            return Ok(imported);
        }
    }
}

/// The next line without its end; never more of it than fits one is held.
fn next_line(list: &mut impl BufRead) -> io::Result<Option<Result<Vec<u8>, LineError>>> {
    let mut line = Vec::new();
    // Room for a line end of two bytes.
    let limit = MAX_LINE + 2;
    let read = Read::take(&mut *list, limit as u64).read_until(b'\n', &mut line)?;
    if read == 0 {
        return Ok(None);
    }
    if line.pop_if(|last| *last == b'\n').is_some() {
        line.pop_if(|last| *last == b'\r');
    } else if read == limit {
        list.skip_until(b'\n')?;
    }
    Ok(Some(if line.len() > MAX_LINE {
        Err(LineError::TooLong)
    } else {
        Ok(line)
    }))
}

/// Imports one line; `None` for an empty one.
fn take(
    store: &mut Store,
    me: &Identity,
    line: &[u8],
    now: Timestamp,
) -> Result<Option<Added>, LineError> {
    if line.is_empty() {
        return Ok(None);
    }
    let listed: ListedContact = serde_json::from_slice(line).map_err(LineError::Malformed)?;
    let name = listed.name.as_str();
    if !directory::is_plain_name(name) {
        return Err(LineError::Name {
            name: distinct(name).chars().take(64).collect(),
        });
    }
    let added = match (listed.card, listed.public_key, listed.signing_key) {
        (Some(card), None, None) => {
            let card = Card::from_text(&card).map_err(LineError::Card)?;
            contacts::import_card(store, me, &card, name, now)
        }
        (None, Some(public_key), Some(signing_key)) => {
            let keys =
                PublicKeys::from_base64(&public_key, &signing_key).map_err(LineError::Keys)?;
            contacts::import_keys(store, me, &keys, name, now)
        }
        _ => return Err(LineError::CardOrKeys),
    };
    added.map(Some).map_err(LineError::Refused)
}
