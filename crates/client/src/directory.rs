//! The relay's directory, read once for a piece of work and never believed over a pinned key.

use std::collections::HashMap;

use ctalk_core::{
    CARD_PREFIX, Card, EncryptionKey, PublicKeys, VerifyingKey,
    trust::{self, Standing},
};
use ctalk_wire::DirectoryEntry;

use crate::{
    endings,
    error::Error,
    relay::{Relay, RelayError},
    store::{Contact, Learned, NewContact, Store, StoreError},
};

/// A snapshot of the directory, indexed by everything that it is asked for.
pub(crate) struct Directory {
    entries: Vec<DirectoryEntry>,
    by_name: HashMap<String, Vec<usize>>,
    by_folded_name: HashMap<String, usize>,
    by_key: HashMap<[u8; CERTAIN], Vec<usize>>,
}

/// A key of 32 bytes has 43 characters of base64 before its padding; the last of them holds bits
/// that base64 leaves open, so only the others tell keys apart for certain.
const CERTAIN: usize = 42;

/// What the directory shows under one name.
pub(crate) enum Listing<'d> {
    /// Nothing.
    Absent,
    /// One agent, or several entries with the same keys.
    One(&'d DirectoryEntry),
    /// Several entries with different keys.
    Ambiguous,
}

impl<'d> Listing<'d> {
    /// The entry, or an error that calls it `name`.
    pub(crate) fn found(self, name: &str) -> Result<&'d DirectoryEntry, Error> {
        match self {
            Self::One(entry) => Ok(entry),
            Self::Absent => Err(Error::UnknownRecipient {
                name: name.to_owned(),
            }),
            Self::Ambiguous => Err(Error::AmbiguousName {
                name: name.to_owned(),
            }),
        }
    }
}

impl Directory {
    /// Asks the relay; `None` when it has no directory.
    pub(crate) async fn fetch(relay: &dyn Relay) -> Result<Option<Self>, RelayError> {
        match relay.directory().await {
            Ok(entries) => Ok(Some(Self::new(entries))),
            Err(RelayError::Unsupported { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn new(entries: Vec<DirectoryEntry>) -> Self {
        let mut by_name: HashMap<_, Vec<_>> = HashMap::new();
        let mut by_folded_name = HashMap::new();
        let mut by_key: HashMap<_, Vec<_>> = HashMap::new();
        for (place, entry) in entries.iter().enumerate() {
            by_name.entry(entry.name.clone()).or_default().push(place);
            by_folded_name
                .entry(entry.name.to_lowercase())
                .or_insert(place);
            for text in [&entry.public_key, &entry.signing_key]
                .into_iter()
                .flatten()
            {
                if let Some(key) = certain(text) {
                    by_key.entry(key).or_default().push(place);
                }
            }
        }
        Self {
            entries,
            by_name,
            by_folded_name,
            by_key,
        }
    }

    /// Every name once, in the relay's order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries
            .iter()
            .enumerate()
            .filter_map(|(place, entry)| {
                let first = self.by_name.get(&entry.name)?.first()?;
                (*first == place).then_some(entry.name.as_str())
            })
    }

    /// Finds a name as relays resolve it: the exact spelling first, else the first in any case.
    pub(crate) fn resolve(&self, name: &str) -> Listing<'_> {
        match self.exact(name) {
            Listing::Absent => self
                .by_folded_name
                .get(&name.to_lowercase())
                .and_then(|place| self.entries.get(*place))
                .map_or(Listing::Absent, |entry| self.exact(&entry.name)),
            found => found,
        }
    }

    /// Finds a name in its exact spelling.
    pub(crate) fn exact(&self, name: &str) -> Listing<'_> {
        let places = self
            .by_name
            .get(name)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let mut found = places.iter().filter_map(|place| self.entries.get(*place));
        let Some(first) = found.next() else {
            return Listing::Absent;
        };
        let same = |entry: &DirectoryEntry| {
            entry.public_key == first.public_key && entry.signing_key == first.signing_key
        };
        if found.all(same) {
            Listing::One(first)
        } else {
            Listing::Ambiguous
        }
    }

    /// The entry of a contact: where its address points, else under whatever name the relay lists its
    /// keys.
    pub(crate) fn entry_of(&self, contact: &Contact) -> Result<&DirectoryEntry, Error> {
        if let Some(address) = &contact.address {
            return self.exact(address).found(&contact.name);
        }
        let holds_keys =
            |entry: &&DirectoryEntry| Self::keys(entry).is_ok_and(|keys| keys == contact.keys);
        let listed = self.resolve(&contact.name).found(&contact.name);
        if let Some(entry) = listed.as_ref().ok().copied().filter(holds_keys) {
            return Ok(entry);
        }
        let mut found = certain(&contact.keys.verifying().to_base64())
            .and_then(|key| self.by_key.get(&key))
            .into_iter()
            .flatten()
            .filter_map(|place| self.entries.get(*place))
            .filter(holds_keys);
        match (found.next(), listed) {
            (Some(entry), _) if found.all(|other| other.name == entry.name) => Ok(entry),
            (Some(_), _) => Err(Error::AmbiguousName {
                name: contact.name.clone(),
            }),
            (None, Ok(entry)) if endings::is_successor(contact, entry) => Ok(entry),
            // Somebody else has that name at this relay.
            (None, Ok(_)) => Err(Error::NameTaken {
                name: contact.name.clone(),
            }),
            (None, Err(error)) => Err(error),
        }
    }

    /// The entry's keys, if they can be used at all.
    pub(crate) fn keys(entry: &DirectoryEntry) -> Result<PublicKeys, Error> {
        let text = |key: &Option<String>| key.clone().unwrap_or_default();
        PublicKeys::from_base64(&text(&entry.public_key), &text(&entry.signing_key)).map_err(
            |why| Error::BadKeys {
                name: entry.name.clone(),
                why,
            },
        )
    }

    /// The entry's key card, if it has one. A card that cannot be read, several of them, or one with
    /// other keys than the entry's is an error, never "no card".
    pub(crate) fn card(entry: &DirectoryEntry, keys: &PublicKeys) -> Result<Option<Card>, Error> {
        let mut cards = entry
            .capabilities
            .iter()
            .filter(|capability| capability.starts_with(CARD_PREFIX));
        let Some(text) = cards.next() else {
            return Ok(None);
        };
        let bad = |why: &dyn core::fmt::Display| Error::BadCard {
            name: entry.name.clone(),
            why: why.to_string(),
        };
        if cards.next().is_some() {
            return Err(bad(&"there is more than one"));
        }
        let card = Card::from_text(text).map_err(|error| bad(&error))?;
        if card.public_keys() != keys {
            return Err(bad(&"its keys are not those of the entry"));
        }
        Ok(Some(card))
    }

    /// Another entry that shows one of these keys.
    fn other_holder(&self, name: &str, keys: &PublicKeys) -> Option<(&str, trust::KeyPart)> {
        let same_encryption = |entry: &DirectoryEntry| {
            let text = entry.public_key.as_deref().unwrap_or_default();
            EncryptionKey::from_base64(text).is_ok_and(|key| key == *keys.encryption())
        };
        let same_signing = |entry: &DirectoryEntry| {
            let text = entry.signing_key.as_deref().unwrap_or_default();
            VerifyingKey::from_base64(text).is_ok_and(|key| key == *keys.verifying())
        };
        let texts = [keys.encryption().to_base64(), keys.verifying().to_base64()];
        texts
            .iter()
            .filter_map(|text| self.by_key.get(&certain(text)?))
            .flatten()
            .filter_map(|place| self.entries.get(*place))
            .filter(|entry| entry.name != name)
            .find_map(
                |entry| match (same_encryption(entry), same_signing(entry)) {
                    (true, true) => Some((entry.name.as_str(), trust::KeyPart::Both)),
                    (true, false) => Some((entry.name.as_str(), trust::KeyPart::Encryption)),
                    (false, true) => Some((entry.name.as_str(), trust::KeyPart::Signing)),
                    (false, false) => None,
                },
            )
    }
}

fn certain(text: &str) -> Option<[u8; CERTAIN]> {
    text.as_bytes().first_chunk::<CERTAIN>().copied()
}

/// The keys that a directory's entry shows, and its key card if it has one. Nothing has vouched for
/// either.
///
/// # Errors
/// [`Error::BadKeys`] and [`Error::BadCard`].
pub fn listed_keys(entry: &DirectoryEntry) -> Result<(PublicKeys, Option<Card>), Error> {
    let keys = Directory::keys(entry)?;
    let card = Directory::card(entry, &keys)?;
    Ok((keys, card))
}

/// Refuses keys that are mine, or that another contact holds or held before.
///
/// Without this an agent could register somebody else's encryption key under an own signing key
/// and pass that person's messages on as its own.
pub(crate) fn check_holders(
    name: &str,
    keys: &PublicKeys,
    me: &PublicKeys,
    store: &Store,
) -> Result<(), Error> {
    let me = (trust::KeyHolder::Me, me);
    trust::conflict(name, keys, [me]).map_err(Error::KeyConflict)?;
    let others = store.holders(keys)?;
    match others
        .iter()
        .find(|holder| !holder.name.eq_ignore_ascii_case(name))
    {
        None => Ok(()),
        Some(holder) => Err(Error::KeyConflict(trust::KeyConflict {
            offered_name: name.to_owned(),
            holder: Some(holder.name.clone()),
            part: if holder.is_encryption {
                trust::KeyPart::Encryption
            } else {
                trust::KeyPart::Signing
            },
        })),
    }
}

/// As [`check_holders`] for the local name, and refuses keys that the directory shows for another
/// name than `address` too: on a first contact nobody can say which of the two is their owner.
pub(crate) fn check_first_contact(
    directory: Option<&Directory>,
    name: &str,
    address: &str,
    keys: &PublicKeys,
    me: &PublicKeys,
    store: &Store,
) -> Result<(), Error> {
    check_holders(name, keys, me, store)?;
    match directory.and_then(|directory| directory.other_holder(address, keys)) {
        None => Ok(()),
        Some((holder, part)) => Err(Error::KeyConflict(trust::KeyConflict {
            offered_name: name.to_owned(),
            holder: Some(holder.to_owned()),
            part,
        })),
    }
}

/// Compares what the directory shows now with what is pinned.
pub(crate) fn check_pinned(contact: &Contact, offered: &PublicKeys) -> Result<(), Error> {
    trust::compare(&contact.keys, offered).map_err(|change| Error::KeyChanged {
        name: contact.name.clone(),
        verified: contact.standing == Standing::Verified,
        change,
    })
}

/// Somebody about to be pinned under a local name, with the relay's name for them.
pub(crate) struct Pin<'a> {
    pub(crate) name: &'a str,
    pub(crate) address: &'a str,
    pub(crate) keys: &'a PublicKeys,
    pub(crate) card: Option<&'a Card>,
    pub(crate) learned: Learned,
}

impl Pin<'_> {
    /// Pins them, on first use or because the fingerprint was named.
    pub(crate) fn store(&self, store: &mut Store, now: i64) -> Result<(), Error> {
        let by_use = matches!(self.learned, Learned::FirstUse | Learned::FirstMessage);
        if by_use && !is_plain_name(self.name) {
            return Err(Error::UnusualName {
                name: crate::text::escaped(self.name).into_owned(),
            });
        }
        self.add_address(store, now)
    }

    /// Adds the address to the contact of this name, which has these keys.
    pub(crate) fn add_address(&self, store: &mut Store, now: i64) -> Result<(), Error> {
        let new = NewContact {
            name: self.name,
            address: Some(self.address),
            keys: self.keys,
            card: self.card,
            learned: self.learned,
            standing: Standing::Pinned,
        };
        store.pin(new, now).map_err(|error| match error {
            StoreError::NameTaken { name } => Error::NameTaken { name },
            other => Error::Store(other),
        })
    }
}

/// Whether a name can be told from others by eye, and be typed into a shell. Others are pinned only
/// by somebody who names their fingerprint.
pub(crate) fn is_plain_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && !name.starts_with('-')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::{Directory, Listing, is_plain_name};

    fn directory(entries: &[(&str, &str)]) -> Directory {
        let entry = |(name, key): &(&str, &str)| {
            let json = format!(r#"{{"name":"{name}","publicKey":"{key}","signingKey":"s"}}"#);
            let raw = serde_json::value::RawValue::from_string(json).unwrap();
            ctalk_wire::DirectoryEntry::from_raw(&raw).unwrap()
        };
        Directory::new(entries.iter().map(entry).collect())
    }

    #[test]
    fn the_exact_spelling_wins_over_an_earlier_one_in_another_case() {
        let directory = directory(&[("BOB", "1"), ("bob", "2"), ("Carol", "3")]);
        for (asked, found) in [
            ("bob", "bob"),
            ("BOB", "BOB"),
            ("Bob", "BOB"),
            ("carol", "Carol"),
        ] {
            let entry = directory.resolve(asked).found(asked).unwrap();
            assert_eq!(entry.name, found, "{asked}");
        }
        assert!(matches!(directory.resolve("dave"), Listing::Absent));
        assert!(matches!(directory.exact("carol"), Listing::Absent));
    }

    #[test]
    fn a_name_listed_twice_with_other_keys_is_ambiguous() {
        let (twice, same) = ([("a", "1"), ("a", "2")], [("a", "1"), ("a", "1")]);
        assert!(matches!(directory(&twice).exact("a"), Listing::Ambiguous));
        assert!(matches!(directory(&twice).resolve("A"), Listing::Ambiguous));
        assert!(matches!(directory(&same).exact("a"), Listing::One(_)));
        assert_eq!(directory(&twice).names().collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn names_that_a_shell_or_an_eye_could_mistake_are_not_plain() {
        for name in ["alice", "A_b-9", "x"] {
            assert!(is_plain_name(name), "{name}");
        }
        for name in [
            "",
            "-rf",
            "a b",
            "x;$(reboot)",
            "аlice",
            "a\u{202e}b",
            "@file",
            "../x",
        ] {
            assert!(!is_plain_name(name), "{name}");
        }
        assert!(!is_plain_name(&"a".repeat(65)));
    }
}
