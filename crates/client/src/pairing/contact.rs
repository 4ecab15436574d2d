//! What a pairing makes of the other side.

use ctalk_core::{Card, trust::Standing};

use crate::{
    client::Client,
    contacts::add_contact,
    directory,
    error::Error,
    store::{Contact, Learned, NewContact},
    verification::confirm,
};

/// Makes a verified contact of a card that was confirmed, or verifies the one that it belongs to.
/// `address` is the relay's name for its owner, and `local` the name of a contact that is new.
pub(super) fn verify(
    client: &mut Client,
    card: &Card,
    address: &str,
    local: Option<&str>,
) -> Result<Contact, Error> {
    let signer = card.signing_key();
    if let Some(known) = client.store.contact_signing_with(signer)? {
        refuse_blocked(&known)?;
    }
    if let Some(holder) = client.store.contact_at(address)? {
        directory::check_pinned(&holder, card.public_keys())?;
    }
    let now = client.now();
    let (contact, _) = add_contact(&mut client.store, &client.identity, card, local, now)?;
    if contact.address.as_deref() != Some(address) {
        let addressed = NewContact {
            name: &contact.name,
            address: Some(address),
            keys: &contact.keys,
            card: None,
            learned: contact.learned,
            standing: contact.standing,
        };
        client.store.pin(addressed, client.clock.now())?;
    }
    client.store.set_learned(&contact, Learned::Paired)?;
    let found = client.store.contact_signing_with(signer)?;
    let contact = found.ok_or(Error::ChangedMeanwhile { name: contact.name })?;
    confirm(&mut client.store, contact)
}

pub(super) fn refuse_blocked(contact: &Contact) -> Result<(), Error> {
    if contact.standing == Standing::Blocked {
        return Err(Error::Blocked {
            name: contact.name.clone(),
        });
    }
    Ok(())
}
