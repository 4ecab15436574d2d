//! How somebody becomes a contact: by a key card, or by what the relay shows for a name.

use ctalk_core::{
    Card, Fingerprint, Identity, PublicKeys, Timestamp,
    trust::{self, KeyHolder, Standing},
};
use ctalk_wire::DirectoryEntry;

use crate::{
    client::{Client, millis},
    directory::{self, Directory, Listing, Pin},
    endings,
    error::Error,
    store::{Contact, Learned, NewContact, NewKeys, Store, StoreError},
};

/// What adding a contact came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Added {
    /// A new contact.
    New,
    /// A known contact's card was replaced by a newer one, or its first one.
    Renewed,
    /// Contact and card were known already.
    Known,
    /// A newer card of the contact is known, so this one was ignored.
    Outdated,
    /// It is the card of a known contact's successor, and took the contact's place.
    Succeeded,
}

/// Pins the identity of a card, under `name` or else the name that the card suggests; `me` is the
/// own identity. A contact known by its classic keys is upgraded if the card has both of them.
///
/// # Errors
/// [`Error::CardRefused`] for a card that must not be used, [`Error::KeyChanged`] when the classic
/// keys of a known contact differ, [`Error::KeyConflict`] when I hold a key or another contact does,
/// [`Error::NameTaken`], [`Error::UnusualName`] for a suggested name that could be mistaken,
/// [`Error::Ended`].
pub fn add_contact(
    store: &mut Store,
    me: &Identity,
    card: &Card,
    name: Option<&str>,
    now: Timestamp,
) -> Result<(Contact, Added), Error> {
    let shown = name.unwrap_or_else(|| card.name());
    if let Some(known) = known_by_card(store, me, card, shown, now)? {
        return Ok(known);
    }
    let name = match name {
        Some(name) => name,
        None if directory::is_plain_name(card.name()) => card.name(),
        None => {
            return Err(Error::UnusualName {
                name: crate::text::escaped(card.name()).into_owned(),
            });
        }
    };
    pin_card(store, me, card, name, Learned::Card, now)?;
    Ok((found(store, name)?, Added::New))
}

/// As [`add_contact`] for a card that a list has under this name.
pub(crate) fn import_card(
    store: &mut Store,
    me: &Identity,
    card: &Card,
    name: &str,
    now: Timestamp,
) -> Result<Added, Error> {
    if let Some((_, added)) = known_by_card(store, me, card, name, now)? {
        return Ok(added);
    }
    pin_card(store, me, card, name, Learned::Imported, now)?;
    Ok(Added::New)
}

/// As [`import_card`] for the keys of somebody without a card.
pub(crate) fn import_keys(
    store: &mut Store,
    me: &Identity,
    keys: &PublicKeys,
    name: &str,
    now: Timestamp,
) -> Result<Added, Error> {
    endings::check_not_ended(store, name, keys.verifying())?;
    if let Some(contact) = store.contact_signing_with(keys.verifying())? {
        directory::check_pinned(&contact, keys)?;
        return Ok(Added::Known);
    }
    directory::check_holders(name, keys, me.public_keys(), store)?;
    let new = NewContact {
        name,
        address: None,
        keys,
        card: None,
        learned: Learned::Imported,
        standing: Standing::Pinned,
    };
    pin(store, new, now)?;
    Ok(Added::New)
}

/// What a card, offered under this name, is to whoever is a contact already: by its identity, or by the
/// one that this identity succeeded.
fn known_by_card(
    store: &mut Store,
    me: &Identity,
    card: &Card,
    name: &str,
    now: Timestamp,
) -> Result<Option<(Contact, Added)>, Error> {
    endings::check_not_ended(store, name, card.signing_key())?;
    if let Some(contact) = store.contact_succeeded_by(card.signing_key())? {
        let contact = endings::take_over(store, me, &contact, &[], card, now)?;
        return Ok(Some((contact, Added::Succeeded)));
    }
    let Some(contact) = store.contact_signing_with(card.signing_key())? else {
        return Ok(None);
    };
    let added = take_over(store, me, &contact, card, now)?;
    Ok(Some((found(store, &contact.name)?, added)))
}

/// Pins the identity of a card of whom nothing is known.
fn pin_card(
    store: &mut Store,
    me: &Identity,
    card: &Card,
    name: &str,
    learned: Learned,
    now: Timestamp,
) -> Result<(), Error> {
    let keys = card.public_keys();
    endings::check_not_ended(store, name, card.signing_key())?;
    trust::card_update(None, card, now).map_err(Error::CardRefused)?;
    directory::check_holders(name, keys, me.public_keys(), store)?;
    check_card(name, card, me, store)?;
    let new = NewContact {
        name,
        address: None,
        keys,
        card: Some(card),
        learned,
        standing: Standing::Pinned,
    };
    pin(store, new, now)
}

fn pin(store: &mut Store, new: NewContact<'_>, now: Timestamp) -> Result<(), Error> {
    store.pin(new, millis(now)).map_err(|error| match error {
        StoreError::NameTaken { name } => Error::NameTaken { name },
        other => Error::Store(other),
    })
}

impl Client {
    /// Pins the agent that the relay knows by this name, under the local name `local` or else the
    /// same, with the keys and the card that the relay shows for it.
    ///
    /// # Errors
    /// [`Error::UnknownRecipient`], [`Error::AmbiguousName`], [`Error::Myself`], [`Error::BadKeys`],
    /// [`Error::BadCard`], [`Error::CardRefused`], [`Error::KeyChanged`], [`Error::KeyConflict`],
    /// [`Error::NameTaken`], [`Error::UnusualName`], [`Error::Ended`], [`Error::SuccessionRefused`],
    /// [`Error::BadStatement`].
    pub async fn add_contact(
        &mut self,
        address: &str,
        local: Option<&str>,
    ) -> Result<(Contact, Added), Error> {
        let directory = Directory::fetch(&*self.relay).await?;
        let listing = directory
            .as_ref()
            .map(|directory| directory.resolve(address));
        let entry = listing.unwrap_or(Listing::Absent).found(address)?;
        meet(self, directory.as_ref(), entry, local)
    }

    /// Pins the keys and the card that the relay shows for `name`, provided that their fingerprint is
    /// the given one. This is the way out of a changed or conflicting key, for somebody who learned
    /// the fingerprint from its owner.
    ///
    /// # Errors
    /// [`Error::OtherFingerprint`], [`Error::UnknownRecipient`], [`Error::AmbiguousName`],
    /// [`Error::BadKeys`], [`Error::BadCard`], [`Error::CardRefused`], [`Error::NameTaken`], and
    /// [`Error::KeyConflict`] when another contact or I hold a key, [`Error::Ended`].
    pub async fn accept_key(&mut self, name: &str, given: Fingerprint) -> Result<(), Error> {
        let directory = Directory::fetch(&*self.relay).await?;
        let known = self.contact_for(name)?;
        let known = known.filter(|contact| contact.address.is_some());
        let listing = directory.as_ref().map(|directory| {
            let address = known.as_ref().and_then(|contact| contact.address.as_ref());
            address.map_or_else(
                || directory.resolve(name),
                |address| directory.exact(address),
            )
        });
        let entry = listing.unwrap_or(Listing::Absent).found(name)?;
        let (keys, card) = directory::listed_keys(entry)?;
        let same = known.as_ref().filter(|contact| contact.keys == keys);
        let held = same.and_then(|contact| contact.card.as_ref());
        let offered = match card.as_ref().or(held) {
            Some(card) => card.fingerprint(),
            None => keys.fingerprint(),
        };
        // Who speaks ClawTalk's format only calls the digest of both classic keys its fingerprint.
        if given != offered && given != keys.fingerprint() {
            return Err(Error::OtherFingerprint {
                name: name.to_owned(),
                given,
                offered,
            });
        }
        endings::check_not_ended(&self.store, name, keys.verifying())?;
        let (now, millis) = (self.now(), self.clock.now());
        if let Some(card) = &card {
            trust::card_update(held, card, now).map_err(Error::CardRefused)?;
        }
        let holder = known.as_ref().map_or(&entry.name, |contact| &contact.name);
        directory::check_holders(holder, &keys, self.identity.public_keys(), &self.store)?;
        if let Some(card) = &card {
            check_known(holder, card, &self.identity, &self.store)?;
        }
        match &known {
            Some(contact) if contact.keys == keys => {
                if let Some(card) = &card {
                    renew(self, contact, card)?;
                }
                self.store.set_learned(contact, Learned::Accepted)?;
            }
            // A relay that hides the new card must not take the contact back to the classic format.
            Some(contact) if contact.card.is_some() && card.is_none() => {
                return Err(Error::NoCard {
                    name: contact.name.clone(),
                });
            }
            Some(contact) => {
                let new = NewKeys {
                    keys: &keys,
                    card: card.as_ref(),
                    learned: Learned::Accepted,
                    standing: contact.standing.after_accepted_keys(),
                };
                if !self.store.replace_keys(contact, &new, millis)? {
                    return Err(Error::ChangedMeanwhile {
                        name: contact.name.clone(),
                    });
                }
            }
            None => {
                let pin = Pin {
                    name: &entry.name,
                    address: &entry.name,
                    keys: &keys,
                    card: card.as_ref(),
                    learned: Learned::Accepted,
                };
                pin.store(&mut self.store, millis)?;
            }
        }
        Ok(())
    }
}

/// Finds or makes the contact that a directory's entry stands for, `local` being its name if it is
/// new, and takes over what is newer in the entry. Whoever has other keys than the pinned ones is
/// refused.
pub(crate) fn meet(
    client: &mut Client,
    directory: Option<&Directory>,
    entry: &DirectoryEntry,
    local: Option<&str>,
) -> Result<(Contact, Added), Error> {
    let address = entry.name.as_str();
    if address == client.name {
        return Err(Error::Myself {
            name: address.to_owned(),
        });
    }
    let keys = Directory::keys(entry)?;
    let (now, millis) = (client.now(), client.clock.now());
    let known = match client.store.contact_at(address)? {
        Some(contact) => Some(contact),
        // Added by its card, and now seen here for the first time.
        None => client
            .store
            .contact_signing_with(keys.verifying())?
            .filter(|contact| contact.address.is_none() && contact.keys == keys),
    };
    // Before its card is read: a card with the former keys says less than that they changed.
    let known = endings::heed(client, known, entry, &keys)?;
    let card = Directory::card(entry, &keys)?;
    let mut pin = Pin {
        name: local.unwrap_or(address),
        address,
        keys: &keys,
        card: card.as_ref(),
        learned: Learned::FirstUse,
    };
    let Some(contact) = known else {
        let me = client.identity.public_keys();
        directory::check_first_contact(directory, pin.name, address, &keys, me, &client.store)?;
        if let Some(card) = pin.card {
            trust::card_update(None, card, now).map_err(Error::CardRefused)?;
            check_card(pin.name, card, &client.identity, &client.store)?;
        }
        pin.store(&mut client.store, millis)?;
        let contact = found(&client.store, pin.name)?;
        if card.is_some() {
            client.store.set_refreshed(&contact, millis)?;
        }
        return Ok((contact, Added::New));
    };
    if contact.address.is_none() {
        pin.name = &contact.name;
        pin.add_address(&mut client.store, millis)?;
    }
    // A relay that hides the card cannot take it away; one that shows a newer one renews it.
    let mut added = Added::Known;
    if let Some(card) = &card {
        added = renew(client, &contact, card)?;
        client.store.set_refreshed(&contact, millis)?;
    }
    Ok((found(&client.store, &contact.name)?, added))
}

/// Takes over a card that is offered for a contact, if it is newer than the one known.
pub(crate) fn renew(client: &mut Client, contact: &Contact, card: &Card) -> Result<Added, Error> {
    let now = client.now();
    take_over(&mut client.store, &client.identity, contact, card, now)
}

fn take_over(
    store: &mut Store,
    me: &Identity,
    contact: &Contact,
    card: &Card,
    now: Timestamp,
) -> Result<Added, Error> {
    let update =
        trust::card_update(contact.card.as_ref(), card, now).map_err(Error::CardRefused)?;
    trust::upgrade(&contact.keys, card).map_err(|change| Error::KeyChanged {
        name: contact.name.clone(),
        verified: contact.standing == Standing::Verified,
        change,
    })?;
    Ok(match update {
        trust::CardUpdate::Newer => {
            check_known(&contact.name, card, me, store)?;
            // Not if another process knows better by now.
            if store.set_card(contact, card, millis(now))? {
                Added::Renewed
            } else {
                Added::Known
            }
        }
        trust::CardUpdate::Same => Added::Known,
        trust::CardUpdate::Older => Added::Outdated,
    })
}

/// Refuses a stranger's card with an X-Wing key that is mine or that a contact holds or held.
pub(crate) fn check_card(
    name: &str,
    card: &Card,
    me: &Identity,
    store: &Store,
) -> Result<(), Error> {
    check_known(name, card, me, store)?;
    match store.xwing_holder(name, card)? {
        None => Ok(()),
        Some(holder) => Err(Error::KeyConflict(trust::KeyConflict {
            offered_name: name.to_owned(),
            holder: Some(holder),
            part: trust::KeyPart::XWing,
        })),
    }
}

/// Refuses a contact's card with my X-Wing key, and the second of two cards with one serial. That
/// another contact shows the same X-Wing key does not matter here: else whoever copies somebody's
/// newest key could keep its owner from being written to.
pub(crate) fn check_known(
    name: &str,
    card: &Card,
    me: &Identity,
    store: &Store,
) -> Result<(), Error> {
    let mine = me
        .xwing_keys()
        .map(|key| (KeyHolder::Me, me.public_keys().verifying(), key));
    trust::xwing_conflict(name, card, mine).map_err(Error::KeyConflict)?;
    if store.has_other_card(card)? {
        return Err(Error::CardRefused(trust::CardRefused::SameSerial {
            fingerprint: card.fingerprint(),
            serial: card.serial(),
        }));
    }
    Ok(())
}

pub(crate) fn found(store: &Store, name: &str) -> Result<Contact, Error> {
    store.contact(name)?.ok_or_else(|| Error::UnknownContact {
        name: name.to_owned(),
    })
}
