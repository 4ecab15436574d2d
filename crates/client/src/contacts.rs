//! Adding contacts by their key cards.

use ctalk_core::{Card, PublicKeys, Timestamp, trust};

use crate::{
    directory,
    error::Error,
    store::{Contact, Learned, NewContact, Store, StoreError},
};

/// What adding a card came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Added {
    /// A new contact.
    New,
    /// A known contact's card was replaced by a newer one, or its first one.
    Renewed,
    /// The card was known already.
    Known,
    /// A newer card of the contact is known, so this one was ignored.
    Outdated,
}

/// Pins the identity of a card, under `name` or else the name that the card suggests; `me` are the
/// own keys. A contact known by its classic keys is upgraded if the card has both of them.
///
/// # Errors
/// [`Error::CardRefused`] for a card that must not be used, [`Error::KeyChanged`] when the classic
/// keys of a known contact differ, [`Error::KeyConflict`] when I hold a key or another contact does,
/// [`Error::NameTaken`], [`Error::UnusualName`] for a suggested name that could be mistaken.
pub fn add_contact(
    store: &mut Store,
    me: &PublicKeys,
    card: &Card,
    name: Option<&str>,
    now: Timestamp,
) -> Result<(Contact, Added), Error> {
    let keys = card.public_keys();
    if let Some(contact) = store.contact_signing_with(card.signing_key())? {
        let added = renew(store, &contact, card, now)?;
        return Ok((reread(store, contact)?, added));
    }
    trust::card_update(None, card, now).map_err(Error::CardRefused)?;
    let name = match name {
        Some(name) => name,
        None if directory::is_plain_name(card.name()) => card.name(),
        None => {
            return Err(Error::UnusualName {
                name: crate::text::escaped(card.name()).into_owned(),
            });
        }
    };
    directory::check_holders(name, keys, me, store)?;
    let new = NewContact {
        name,
        address: None,
        keys,
        card: Some(card),
        learned: Learned::Accepted,
    };
    let millis = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
    store.pin(new, millis).map_err(|error| match error {
        StoreError::NameTaken { name } => Error::NameTaken { name },
        other => Error::Store(other),
    })?;
    let contact = store.contact(name)?.ok_or_else(|| Error::UnknownContact {
        name: name.to_owned(),
    })?;
    Ok((contact, Added::New))
}

/// Takes over a card that is offered for a contact, if it is newer than the one known.
pub(crate) fn renew(
    store: &mut Store,
    contact: &Contact,
    card: &Card,
    now: Timestamp,
) -> Result<Added, Error> {
    let update =
        trust::card_update(contact.card.as_ref(), card, now).map_err(Error::CardRefused)?;
    trust::upgrade(&contact.keys, card).map_err(|change| Error::KeyChanged {
        name: contact.name.clone(),
        change,
    })?;
    Ok(match update {
        trust::CardUpdate::Newer => {
            store.set_card(contact, card)?;
            Added::Renewed
        }
        trust::CardUpdate::Same => Added::Known,
        trust::CardUpdate::Older => Added::Outdated,
    })
}

fn reread(store: &Store, contact: Contact) -> Result<Contact, Error> {
    Ok(store.contact(&contact.name)?.unwrap_or(contact))
}
