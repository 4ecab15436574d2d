//! Sending: find the recipient, hold the directory against the pins, seal, hand over.

use ctalk_core::classic::{self, Metadata};

use crate::{
    client::Client,
    directory::{self, Directory},
    error::Error,
    message::{Draft, Sent},
    relay::{Accepted, Body, Destination, Outgoing},
    store::Learned,
};

/// Sends one sealed message.
pub(crate) async fn sealed(
    client: &mut Client,
    directory: Option<&Directory>,
    name: &str,
    draft: &Draft,
) -> Result<Sent, Error> {
    let recipient = recipient(client, directory, name)?;
    let metadata = Metadata {
        to: &recipient.address,
        message_type: draft.message_type.as_str(),
        topic: draft.topic.as_deref(),
        correlation_id: draft.correlation_id.as_deref(),
    };
    let sealed = classic::seal(
        &client.identity,
        &mut client.box_keys,
        recipient.keys.encryption(),
        &metadata,
        &draft.content.to_classic()?,
        &mut crate::rng(),
    )?;
    let to = Destination::Agent(recipient.address.clone());
    let accepted = client
        .relay
        .send(&outgoing(to, draft, Body::Classic(sealed)))
        .await?;
    let fingerprint = recipient.keys.fingerprint().to_hex();
    Ok(sent(
        recipient.name,
        accepted,
        Some(fingerprint),
        recipient.pinned_now,
    ))
}

/// Sends one message in the clear.
#[expect(
    clippy::needless_pass_by_ref_mut,
    reason = "a shared borrow across an await would tie the future to one thread, as SQLite does"
)]
pub(crate) async fn plaintext(
    client: &mut Client,
    directory: Option<&Directory>,
    name: &str,
    draft: &Draft,
) -> Result<Sent, Error> {
    let contact = client.contact_for(name)?;
    let address = contact
        .and_then(|contact| contact.address)
        .unwrap_or_else(|| name.to_owned());
    let address = match directory {
        Some(directory) => directory.resolve(&address).found(name)?.name.clone(),
        None => address,
    };
    let payload = draft.content.to_classic()?;
    let to = Destination::Agent(address.clone());
    let accepted = client
        .relay
        .send(&outgoing(to, draft, Body::Plaintext(payload)))
        .await?;
    Ok(sent(address, accepted, None, false))
}

/// Sends one message to everybody, in the clear.
#[expect(
    clippy::needless_pass_by_ref_mut,
    reason = "a shared borrow across an await would tie the future to one thread, as SQLite does"
)]
pub(crate) async fn broadcast(client: &mut Client, draft: &Draft) -> Result<Sent, Error> {
    let payload = draft.content.to_classic()?;
    let outgoing = outgoing(Destination::Everyone, draft, Body::Plaintext(payload));
    let accepted = client.relay.send(&outgoing).await?;
    Ok(sent("broadcast".to_owned(), accepted, None, false))
}

struct Recipient {
    name: String,
    address: String,
    keys: ctalk_core::PublicKeys,
    pinned_now: bool,
}

fn recipient(
    client: &mut Client,
    directory: Option<&Directory>,
    name: &str,
) -> Result<Recipient, Error> {
    let known = client.contact_for(name)?;
    let Some(directory) = directory else {
        // The pins are all there is, and all that counts anyway.
        let unknown = || Error::UnknownRecipient {
            name: name.to_owned(),
        };
        let contact = known.ok_or_else(unknown)?;
        return Ok(Recipient {
            address: contact.address.ok_or_else(unknown)?,
            name: contact.name,
            keys: contact.keys,
            pinned_now: false,
        });
    };
    let listing = match known.as_ref().map(|contact| &contact.address) {
        Some(Some(address)) => directory.exact(address),
        _ => directory.resolve(name),
    };
    let entry = listing.found(name)?;
    let address = entry.name.clone();
    if address == client.name {
        return Err(Error::Myself { name: address });
    }
    let keys = Directory::keys(entry)?;
    let known = match known {
        Some(contact) => Some(contact),
        // Another spelling of a known name is the same recipient, with the same pin.
        None => client.store.contact_at(&address)?,
    };
    let now = client.clock.now();
    if let Some(contact) = known {
        if contact.address.is_some() {
            directory::check_pinned(&contact, &keys)?;
        } else if contact.keys == keys {
            directory::pin(&mut client.store, &address, &keys, Learned::FirstUse, now)?;
        } else {
            // Somebody else has that name at this relay.
            return Err(Error::NameTaken { name: contact.name });
        }
        return Ok(Recipient {
            name: contact.name,
            address,
            keys,
            pinned_now: false,
        });
    }
    directory::check_first_contact(
        Some(directory),
        &address,
        &keys,
        client.identity.public_keys(),
        &client.store,
    )?;
    directory::pin(&mut client.store, &address, &keys, Learned::FirstUse, now)?;
    Ok(Recipient {
        name: address.clone(),
        address,
        keys,
        pinned_now: true,
    })
}

fn outgoing(to: Destination, draft: &Draft, body: Body) -> Outgoing {
    Outgoing {
        to,
        message_type: draft.message_type,
        topic: draft.topic.clone(),
        correlation_id: draft.correlation_id.clone(),
        reply_to: draft.reply_to.clone(),
        ttl: draft.ttl,
        body,
    }
}

fn sent(to: String, accepted: Accepted, fingerprint: Option<String>, pinned: bool) -> Sent {
    Sent {
        to,
        id: accepted.relay_id,
        ts: accepted.ts,
        encrypted: fingerprint.is_some(),
        fingerprint,
        pinned,
    }
}
