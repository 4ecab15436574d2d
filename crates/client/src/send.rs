//! Sending: find the recipients, hold the directory against the pins, seal, hand over.
//!
//! Whoever has a key card gets an envelope, always; all of them share one. The others get ClawTalk's
//! format, each a message of their own.

use std::{collections::HashMap, time::Duration};

use ctalk_core::{
    Card, PublicKeys, Timestamp,
    classic::{self, Metadata},
    envelope::{self, Envelope, Kind, MAX_LIFE},
    trust::Standing,
};
use ctalk_wire::MessageType;

use crate::{
    client::Client,
    contacts::{self, Added},
    directory::Directory,
    endings,
    error::{Class, Error},
    message::{Draft, Format, Sent},
    relay::{Accepted, Body, Destination, Outgoing},
    store::Contact,
};

/// How long an envelope lives unless the sender says otherwise.
const LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How long a contact's card is used before the directory is asked for a newer one, in milliseconds.
const REFRESH: i64 = 24 * 60 * 60 * 1000;
/// Longest text of an envelope, in characters, that carries the own card besides its content, or that
/// several recipients share. ClawTalk relays take 65,536 for a whole message, and the content must fail
/// neither for the card nor for company.
const MAX_SHARED: usize = 60_000;

/// Sends a message to everybody named, sealed; one outcome each, in order.
pub(crate) async fn sealed(
    client: &mut Client,
    directory: Option<&Directory>,
    names: &[String],
    draft: &Draft,
) -> Vec<Result<Sent, Error>> {
    let mut recipients = Vec::with_capacity(names.len());
    for name in names {
        recipients.push(recipient(client, directory, name));
    }
    let mut readers: Vec<Reader<'_>> = Vec::new();
    for recipient in recipients.iter().flatten() {
        if let Some(card) = &recipient.card
            && readers
                .iter()
                .all(|reader| reader.contact != recipient.contact)
        {
            readers.push(Reader {
                contact: recipient.contact,
                address: &recipient.address,
                card,
            });
        }
    }
    let mut shared = natives(client, &readers, draft).await;
    // A contact under two names gets the message once, and both names have that outcome.
    let mut told: HashMap<i64, Result<Sent, Class>> = HashMap::new();
    let mut outcomes = Vec::with_capacity(names.len());
    for recipient in recipients {
        let recipient = match recipient {
            Ok(recipient) => recipient,
            Err(error) => {
                outcomes.push(Err(error));
                continue;
            }
        };
        let contact = recipient.contact;
        let outcome = match (told.get(&contact), shared.remove(&contact)) {
            (Some(before), _) => before
                .clone()
                .map_err(|class| Error::SharedMessage { class }),
            (None, None) => classic(client, recipient, draft).await,
            (None, Some(Ok((id, accepted)))) => {
                Ok(recipient.sent(Format::Native, Some(id), accepted))
            }
            (None, Some(Err(error))) => Err(error),
        };
        let summary = outcome.as_ref().map_err(Error::class);
        told.entry(contact).or_insert_with(|| summary.cloned());
        outcomes.push(outcome);
    }
    outcomes
}

/// Sends envelopes that these recipients share, in as few as a relay takes, and returns what became of
/// each contact's: the envelope's id and what the relay said.
async fn natives(
    client: &mut Client,
    readers: &[Reader<'_>],
    draft: &Draft,
) -> HashMap<i64, Result<(String, Accepted), Error>> {
    let mut outcomes = HashMap::new();
    let mut groups = vec![readers];
    while let Some(group) = groups.pop() {
        let outcome = match seal(client, group, draft) {
            Ok(sealed) if sealed.text.len() > MAX_SHARED && group.len() > 1 => {
                let (first, rest) = group.split_at(group.len() / 2);
                groups.extend([rest, first]);
                continue;
            }
            Ok(sealed) => hand_over(client, group, draft, sealed).await,
            Err(error) => Err(error),
        };
        let mut contacts = group.iter().map(|reader| reader.contact);
        match outcome {
            Ok(done) => outcomes.extend(contacts.map(|contact| (contact, Ok(done.clone())))),
            Err(error) => {
                // The first one gets the error itself, the others learn what kind it was.
                let class = error.class();
                outcomes.extend(contacts.next().map(|contact| (contact, Err(error))));
                outcomes
                    .extend(contacts.map(|contact| (contact, Err(Error::SharedMessage { class }))));
            }
        }
    }
    outcomes
}

/// A recipient of an envelope.
struct Reader<'a> {
    contact: i64,
    address: &'a str,
    card: &'a Card,
}

/// An envelope that is ready to leave.
struct Sealed {
    id: String,
    text: String,
    life: Duration,
    /// The serial of the own card in it.
    card: Option<u64>,
}

/// Seals one envelope for all these recipients.
fn seal(client: &Client, recipients: &[Reader<'_>], draft: &Draft) -> Result<Sealed, Error> {
    let created = client.now();
    let life = draft.ttl.map_or(LIFE, Duration::from_secs);
    if life > MAX_LIFE {
        return Err(Error::LifeTooLong);
    }
    let mut metadata = envelope::Metadata::new(
        match draft.message_type {
            MessageType::Request => Kind::Request,
            MessageType::Response => Kind::Response,
            MessageType::Notification => Kind::Notification,
        },
        draft.content.content_type(),
    );
    metadata.topic.clone_from(&draft.topic);
    metadata.correlation_id.clone_from(&draft.correlation_id);
    metadata.reply_to.clone_from(&draft.reply_to);
    metadata.name.clone_from(&draft.name);
    let to_all = |metadata: &envelope::Metadata| {
        envelope::seal(
            &client.identity,
            recipients.iter().map(|reader| reader.card),
            metadata,
            draft.content.as_bytes(),
            created,
            created.checked_add(life).unwrap_or(Timestamp::MAX),
            &mut crate::rng(),
        )
    };
    metadata.card = due_card(client, recipients)?;
    let mut sealed = to_all(&metadata)?;
    let mut text = envelope::to_text(&sealed);
    if text.len() > MAX_SHARED && metadata.card.take().is_some() {
        sealed = to_all(&metadata)?;
        text = envelope::to_text(&sealed);
    }
    let id = Envelope::parse(&sealed)
        .map_err(Error::OwnEnvelope)?
        .claims()
        .id
        .to_string();
    Ok(Sealed {
        id,
        text,
        life,
        card: metadata.card.map(|card| card.serial()),
    })
}

/// Sends an envelope to its recipients.
async fn hand_over(
    client: &mut Client,
    recipients: &[Reader<'_>],
    draft: &Draft,
    sealed: Sealed,
) -> Result<(String, Accepted), Error> {
    let addresses = recipients.iter().map(|reader| reader.address.to_owned());
    let outgoing = Outgoing {
        to: match recipients {
            [reader] => Destination::Agent(reader.address.to_owned()),
            _ => Destination::Agents(addresses.collect()),
        },
        // What the message is about stands inside; outside it is a notification like any other.
        message_type: MessageType::Notification,
        topic: draft.topic.clone().filter(|_| draft.public_topic),
        correlation_id: None,
        reply_to: None,
        ttl: Some(sealed.life.as_secs()),
        body: Body::Native(sealed.text),
    };
    let accepted = client.relay.send(&outgoing).await?;
    if let Some(serial) = sealed.card {
        let contacts: Vec<i64> = recipients.iter().map(|reader| reader.contact).collect();
        // The message has left. At worst the next one carries the card again.
        let _ = client.store.set_told(&contacts, serial);
    }
    Ok((sealed.id, accepted))
}

/// The own card, if a recipient has not been sent it yet.
fn due_card(client: &Client, recipients: &[Reader<'_>]) -> Result<Option<Card>, Error> {
    let Some(card) = &client.card else {
        return Ok(None);
    };
    for reader in recipients {
        if !client.store.was_told(reader.contact, card.serial())? {
            return Ok(Some(card.clone()));
        }
    }
    Ok(None)
}

/// Sends one message in ClawTalk's format.
async fn classic(client: &mut Client, recipient: Recipient, draft: &Draft) -> Result<Sent, Error> {
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
    let id = accepted.relay_id.clone();
    Ok(recipient.sent(Format::Classic, id, accepted))
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
    if let Some(contact) = &contact
        && contact.standing == Standing::Blocked
    {
        let name = contact.name.clone();
        return Err(Error::Blocked { name });
    }
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
    Ok(in_the_clear(address, accepted))
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
    Ok(in_the_clear("broadcast".to_owned(), accepted))
}

struct Recipient {
    contact: i64,
    name: String,
    address: String,
    keys: PublicKeys,
    card: Option<Card>,
    pinned_now: bool,
}

impl Recipient {
    /// A known contact, at this address, provided that it may be written to and that its card, if it
    /// has one, is current.
    fn known(contact: Contact, address: String, client: &Client) -> Result<Self, Error> {
        let now = client.now();
        if contact.standing == Standing::Blocked {
            return Err(Error::Blocked { name: contact.name });
        }
        endings::check_not_ended(&client.store, &contact.name, contact.keys.verifying())?;
        if client.require.verified && contact.standing != Standing::Verified {
            return Err(Error::Unverified { name: contact.name });
        }
        if client.require.native && contact.card.is_none() {
            return Err(Error::NoCard { name: contact.name });
        }
        if let Some(card) = &contact.card {
            card.check_current(now)
                .map_err(|why| Error::CardNotCurrent {
                    name: contact.name.clone(),
                    why,
                })?;
        }
        Ok(Self {
            contact: contact.id,
            name: contact.name,
            address,
            keys: contact.keys,
            card: contact.card,
            pinned_now: false,
        })
    }

    fn sent(self, format: Format, id: Option<String>, accepted: Accepted) -> Sent {
        let fingerprint = match &self.card {
            Some(card) => card.fingerprint(),
            None => self.keys.fingerprint(),
        };
        Sent {
            to: self.name,
            id,
            relay_id: accepted.relay_id,
            ts: accepted.ts,
            format,
            encrypted: true,
            fingerprint: Some(fingerprint.to_hex()),
            pinned: self.pinned_now,
        }
    }
}

/// Whether the directory has to be asked before something is sent to these names.
pub(crate) fn needs_directory(client: &Client, names: &[String]) -> Result<bool, Error> {
    for name in names {
        let Some(contact) = client.contact_for(name)? else {
            return Ok(true);
        };
        // Whose identity ended may have a successor there.
        if !is_fresh(&contact, client) || client.store.ending(contact.keys.verifying())?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the contact's card is current and was seen in the directory not long ago.
fn is_fresh(contact: &Contact, client: &Client) -> bool {
    let age = contact
        .refreshed
        .map(|refreshed| client.clock.now().saturating_sub(refreshed));
    contact.address.is_some()
        && age.is_some_and(|age| (0..REFRESH).contains(&age))
        && contact
            .card
            .as_ref()
            .is_some_and(|card| card.is_current(client.now()))
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
        let address = contact.address.clone().ok_or_else(unknown)?;
        return Recipient::known(contact, address, client);
    };
    let entry = match &known {
        Some(contact) => directory.entry_of(contact)?,
        None => directory.resolve(name).found(name)?,
    };
    let (contact, added) = contacts::meet(client, Some(directory), entry, None)?;
    let recipient = Recipient::known(contact, entry.name.clone(), client)?;
    Ok(Recipient {
        pinned_now: added == Added::New,
        ..recipient
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

fn in_the_clear(to: String, accepted: Accepted) -> Sent {
    Sent {
        to,
        id: accepted.relay_id.clone(),
        relay_id: accepted.relay_id,
        ts: accepted.ts,
        format: Format::Plain,
        encrypted: false,
        fingerprint: None,
        pinned: false,
    }
}
