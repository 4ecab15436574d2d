//! The relay's directory, read once for a piece of work and never believed over a pinned key.

use ctalk_core::{Identity, PublicKeys, trust};
use ctalk_wire::DirectoryEntry;

use crate::{
    error::Error,
    relay::{Relay, RelayError},
    store::{Contact, NewContact, Store},
};

/// A snapshot of the directory.
pub(crate) struct Directory(Vec<DirectoryEntry>);

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
    pub(crate) async fn fetch(relay: &dyn Relay) -> Result<Self, RelayError> {
        relay.directory().await.map(Self)
    }

    pub(crate) fn entries(&self) -> &[DirectoryEntry] {
        &self.0
    }

    /// Finds a name as relays resolve it: the exact spelling first, else the first in any case.
    pub(crate) fn resolve(&self, name: &str) -> Listing<'_> {
        match self.exact(name) {
            Listing::Absent => self
                .0
                .iter()
                .find(|entry| entry.name.to_lowercase() == name.to_lowercase())
                .map_or(Listing::Absent, |entry| self.exact(&entry.name)),
            found => found,
        }
    }

    /// Finds a name in its exact spelling.
    pub(crate) fn exact(&self, name: &str) -> Listing<'_> {
        let mut found = self.0.iter().filter(|entry| entry.name == name);
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

    /// Refuses keys that are mine, another contact's, or shown by the directory for another name.
    ///
    /// Without this an agent could register somebody else's encryption key under an own signing
    /// key and pass that person's messages on as its own.
    pub(crate) fn check_holders(
        &self,
        name: &str,
        keys: &PublicKeys,
        me: &Identity,
        store: &Store,
    ) -> Result<(), Error> {
        let contacts = store.holders(keys)?;
        let listed: Vec<(&str, PublicKeys)> = self
            .0
            .iter()
            .filter(|entry| entry.name != name && may_share_a_key(entry, keys))
            .filter_map(|entry| Some((entry.name.as_str(), Self::keys(entry).ok()?)))
            .collect();
        let me = (trust::KeyHolder::Me, me.public_keys());
        let contacts = contacts
            .iter()
            .map(|contact| (trust::KeyHolder::Contact(&contact.name), &contact.keys));
        let listed = listed
            .iter()
            .map(|(name, keys)| (trust::KeyHolder::Contact(name), keys));
        trust::conflict(
            name,
            keys,
            std::iter::once(me).chain(contacts).chain(listed),
        )
        .map_err(Error::KeyConflict)
    }
}

/// Whether an entry's texts can stand for one of these keys. Checking a key's group takes a tenth of
/// a millisecond, which a directory of thousands would multiply.
fn may_share_a_key(entry: &DirectoryEntry, keys: &PublicKeys) -> bool {
    // The last two characters before the padding hold bits that base64 leaves open.
    const CERTAIN: usize = 42;
    let alike = |listed: &Option<String>, own: &str| {
        listed
            .as_ref()
            .is_some_and(|listed| listed.get(..CERTAIN) == own.get(..CERTAIN))
    };
    alike(&entry.public_key, &keys.encryption().to_base64())
        || alike(&entry.signing_key, &keys.verifying().to_base64())
}

/// Compares what the directory shows now with what is pinned.
pub(crate) fn check_pinned(contact: &Contact, offered: &PublicKeys) -> Result<(), Error> {
    trust::compare(&contact.keys, offered).map_err(|change| Error::KeyChanged {
        name: contact.name.clone(),
        change,
    })
}

/// Pins somebody on first use, under the relay's name for them.
pub(crate) fn pin(
    store: &mut Store,
    address: &str,
    keys: &PublicKeys,
    learned: &'static str,
    now: i64,
) -> Result<(), Error> {
    store
        .pin(
            NewContact {
                name: address,
                address,
                keys,
                learned,
            },
            now,
        )
        .map_err(Error::from)
}

#[cfg(test)]
mod tests {
    use super::{Directory, Listing};

    fn directory(entries: &[(&str, &str)]) -> Directory {
        let entry = |(name, key): &(&str, &str)| {
            let json = format!(r#"{{"name":"{name}","publicKey":"{key}","signingKey":"s"}}"#);
            let raw = serde_json::value::RawValue::from_string(json).unwrap();
            ctalk_wire::DirectoryEntry::from_raw(&raw).unwrap()
        };
        Directory(entries.iter().map(entry).collect())
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
        assert!(matches!(
            directory(&[("a", "1"), ("a", "2")]).exact("a"),
            Listing::Ambiguous
        ));
        assert!(matches!(
            directory(&[("a", "1"), ("a", "1")]).exact("a"),
            Listing::One(_)
        ));
        assert!(matches!(
            directory(&[("A", "1"), ("A", "2")]).resolve("a"),
            Listing::Ambiguous
        ));
    }
}
