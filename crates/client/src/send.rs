//! Sending: find the recipient, hold the directory against the pins, seal, hand over.

use ctalk_core::classic::{self, Metadata};

use crate::{
    client::Client,
    directory::{self, Directory},
    error::Error,
    message::{Draft, Sent, hex},
    relay::{Accepted, Body, Destination, Outgoing},
};

/// Sends one sealed message.
pub(crate) async fn sealed(
    client: &mut Client,
    directory: &Directory,
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
    let payload = draft.content.to_classic().map_err(|_| Error::NotText)?;
    let sealed = classic::seal(
        &client.identity,
        &mut client.box_keys,
        recipient.keys.encryption(),
        &metadata,
        &payload,
        &mut rng(),
    )?;
    let to = Destination::Agent(recipient.address.clone());
    let accepted = client
        .relay
        .send(&outgoing(to, draft, Body::Classic(sealed)))
        .await?;
    let fingerprint = hex(&recipient.keys.fingerprint());
    Ok(sent(
        recipient.name,
        accepted,
        Some(fingerprint),
        recipient.pinned_now,
    ))
}

/// Sends one message in the clear.
pub(crate) async fn plaintext(
    client: &Client,
    directory: &Directory,
    name: &str,
    draft: &Draft,
) -> Result<Sent, Error> {
    let contact = client.contact_for(name)?;
    let address = contact
        .and_then(|contact| contact.address)
        .unwrap_or_else(|| name.to_owned());
    let entry = directory.resolve(&address).found(name)?;
    let payload = draft.content.to_classic().map_err(|_| Error::NotText)?;
    let to = Destination::Agent(entry.name.clone());
    let accepted = client
        .relay
        .send(&outgoing(to, draft, Body::Plaintext(payload)))
        .await?;
    Ok(sent(entry.name.clone(), accepted, None, false))
}

/// Sends one message to everybody, in the clear.
pub(crate) async fn broadcast(client: &Client, draft: &Draft) -> Result<Sent, Error> {
    let payload = draft.content.to_classic().map_err(|_| Error::NotText)?;
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

fn recipient(client: &mut Client, directory: &Directory, name: &str) -> Result<Recipient, Error> {
    let known = client.contact_for(name)?;
    let listing = match &known {
        Some(contact) => directory.exact(contact.address.as_deref().unwrap_or(&contact.name)),
        None => directory.resolve(name),
    };
    let entry = listing.found(name)?;
    let address = entry.name.clone();
    let keys = Directory::keys(entry)?;
    let known = match known {
        Some(contact) => Some(contact),
        // Another spelling of a known name is the same recipient, with the same pin.
        None => client.store.contact_at(&address)?,
    };
    if let Some(contact) = known {
        directory::check_pinned(&contact, &keys)?;
        return Ok(Recipient {
            name: contact.name,
            address,
            keys,
            pinned_now: false,
        });
    }
    directory.check_holders(&address, &keys, &client.identity, &client.store)?;
    let now = client.clock.now();
    directory::pin(&mut client.store, &address, &keys, "first-use", now)?;
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

/// The operating system's randomness.
fn rng() -> impl rand_core::CryptoRng {
    rand_core::UnwrapErr(getrandom::SysRng)
}
