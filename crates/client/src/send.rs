//! Sending: find the recipients, hold the directory against the pins, seal. The outbox does the rest.
//!
//! Whoever has a key card gets an envelope, always; all of them share one. The others get ClawTalk's
//! format, each a message of their own.

mod publish;

use std::{collections::HashMap, slice, time::Duration};

use ctalk_core::{
    Card, PublicKeys, Timestamp,
    classic::{self, Metadata},
    envelope::{self, Envelope, HEADER_START_LEN, Kind, MAX_HEADER_LEN, MAX_LIFE, MAX_RECIPIENTS},
    trust::Standing,
};
use ctalk_wire::MessageType;

pub use self::publish::{LeftOut, Published};
use crate::{
    client::{Client, millis},
    contacts::{self, Added},
    directory::Directory,
    endings,
    error::{Class, Error},
    message::{Draft, Format, Progress, Sent},
    relay::{Body, Destination, Outgoing},
    store::{Contact, NewOutgoing, To},
};

/// What a message to every agent of the relay is shown to be sent to.
pub(crate) const EVERYONE: &str = "broadcast";
/// How long an envelope lives, and any message stays in the outbox, unless the sender says otherwise.
const LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How long a contact's card is used before the directory is asked for a newer one, in milliseconds.
const REFRESH: i64 = 24 * 60 * 60 * 1000;
/// Bytes that each recipient adds to an envelope.
const RECIPIENT_LEN: usize = (MAX_HEADER_LEN - HEADER_START_LEN) / MAX_RECIPIENTS;

/// What is put into the outbox, and which of it each recipient gets.
#[derive(Default)]
pub(crate) struct Plan {
    pub(crate) messages: Vec<NewOutgoing>,
    /// One for each recipient, in order.
    pub(crate) outcomes: Vec<Result<Planned, Error>>,
}

/// What a recipient gets.
#[derive(Clone)]
pub(crate) struct Planned {
    /// The place of its message.
    pub(crate) place: usize,
    /// What is known of it so far.
    pub(crate) sent: Sent,
}

impl Planned {
    /// The same for whoever is named once more.
    pub(crate) fn again(&self) -> Self {
        let sent = Sent {
            pinned: false,
            ..self.sent.clone()
        };
        Self { sent, ..*self }
    }
}

/// Seals a message for everybody named.
pub(crate) fn sealed(
    client: &mut Client,
    directory: Option<&Directory>,
    names: &[String],
    draft: &Draft,
) -> Plan {
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
                name: &recipient.name,
                address: &recipient.address,
                card,
            });
        }
    }
    let mut messages = Vec::new();
    let mut shared = natives(client, &readers, draft, &mut messages);
    // A contact under two names gets the message once, and both names have that outcome.
    let mut told: HashMap<i64, Result<usize, Class>> = HashMap::new();
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
        let place = match (told.get(&contact), shared.remove(&contact)) {
            (Some(before), _) => before.map_err(|class| Error::SharedMessage { class }),
            (None, Some(place)) => place,
            (None, None) => classic(client, &recipient, draft).map(|message| {
                messages.push(message);
                messages.len() - 1
            }),
        };
        let summary = place.as_ref().map_err(Error::class);
        told.entry(contact).or_insert_with(|| summary.copied());
        outcomes.push(place.map(|place| Planned {
            place,
            sent: recipient.queued(messages.get(place)),
        }));
    }
    Plan { messages, outcomes }
}

/// Seals envelopes that these recipients share, as few as a relay takes, and returns the place of each
/// contact's.
fn natives(
    client: &Client,
    readers: &[Reader<'_>],
    draft: &Draft,
    messages: &mut Vec<NewOutgoing>,
) -> HashMap<i64, Result<usize, Error>> {
    let mut places = HashMap::new();
    let mut groups = vec![readers];
    while let Some(group) = groups.pop() {
        let mut contacts = group.iter().map(|reader| reader.contact);
        match seal(client, group, draft) {
            // It is company alone that makes it too long for one message.
            Ok(sealed)
                if !client.fits(sealed.length)
                    && client.fits(sealed.length - (group.len() - 1) * RECIPIENT_LEN) =>
            {
                let (first, rest) = group.split_at(group.len() / 2);
                groups.extend([rest, first]);
            }
            Ok(sealed) => {
                let place = messages.len();
                messages.push(native(group, Some(draft), sealed));
                places.extend(contacts.map(|contact| (contact, Ok(place))));
            }
            Err(error) => {
                // The first one gets the error itself, the others learn what kind it was.
                let class = error.class();
                places.extend(contacts.next().map(|contact| (contact, Err(error))));
                places
                    .extend(contacts.map(|contact| (contact, Err(Error::SharedMessage { class }))));
            }
        }
    }
    places
}

/// A recipient of an envelope.
struct Reader<'a> {
    contact: i64,
    name: &'a str,
    address: &'a str,
    card: &'a Card,
}

/// An envelope that is ready to leave.
struct Sealed {
    id: String,
    text: String,
    /// Its bytes before they became a text.
    length: usize,
    life: Duration,
    expires: Timestamp,
    /// The serial of the own card in it.
    card: Option<u64>,
}

/// Seals one envelope for all these recipients.
fn seal(client: &Client, recipients: &[Reader<'_>], draft: &Draft) -> Result<Sealed, Error> {
    let life = draft.ttl.map_or(LIFE, Duration::from_secs);
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
    metadata.receipt = draft.receipt;
    seal_as(client, recipients, metadata, draft.content.as_bytes(), life)
}

/// Seals one envelope with this metadata, to which the own card is added where it is due.
fn seal_as(
    client: &Client,
    recipients: &[Reader<'_>],
    mut metadata: envelope::Metadata,
    payload: &[u8],
    life: Duration,
) -> Result<Sealed, Error> {
    if life > MAX_LIFE {
        return Err(Error::LifeTooLong);
    }
    let created = client.now();
    let expires = created.checked_add(life).unwrap_or(Timestamp::MAX);
    let to_all = |metadata: &envelope::Metadata| {
        envelope::seal(
            &client.identity,
            recipients.iter().map(|reader| reader.card),
            metadata,
            payload,
            created,
            expires,
            &mut crate::rng(),
        )
    };
    metadata.card = due_card(client, recipients)?;
    let mut sealed = to_all(&metadata)?;
    // The card must not be what makes it too long for one message.
    let fits_bare = client.fits(payload.len());
    if fits_bare && !client.fits(sealed.len()) && metadata.card.take().is_some() {
        sealed = to_all(&metadata)?;
    }
    let id = Envelope::parse(&sealed)
        .map_err(Error::OwnEnvelope)?
        .claims()
        .id
        .to_string();
    Ok(Sealed {
        id,
        text: envelope::to_text(&sealed),
        length: sealed.len(),
        life,
        expires,
        card: metadata.card.map(|card| card.serial()),
    })
}

/// An envelope as it is handed over.
fn native(recipients: &[Reader<'_>], draft: Option<&Draft>, sealed: Sealed) -> NewOutgoing {
    let addresses = recipients.iter().map(|reader| reader.address.to_owned());
    NewOutgoing {
        id: Some(sealed.id),
        outgoing: Outgoing {
            to: match recipients {
                [reader] => Destination::Agent(reader.address.to_owned()),
                _ => Destination::Agents(addresses.collect()),
            },
            // What the message is about stands inside; outside it is a notification like any other.
            message_type: MessageType::Notification,
            topic: draft
                .filter(|draft| draft.public_topic)
                .and_then(|draft| draft.topic.clone()),
            correlation_id: None,
            reply_to: None,
            ttl: Some(sealed.life.as_secs()),
            body: Body::Native(sealed.text),
        },
        to: recipients
            .iter()
            .map(|reader| To {
                contact: Some(reader.contact),
                name: reader.name.to_owned(),
            })
            .collect(),
        card: sealed.card,
        expires: millis(sealed.expires),
        receipt: draft.is_some_and(|draft| draft.receipt),
    }
}

/// Seals what answers a message of a contact: a receipt, or what its handler says. It is for the outbox.
///
/// # Errors
/// [`Error::UnknownRecipient`] for a contact without an address, and the errors of a message to it.
pub(crate) fn answer(
    client: &Client,
    contact: &Contact,
    metadata: envelope::Metadata,
    payload: &[u8],
) -> Result<NewOutgoing, Error> {
    let name = contact.name.clone();
    let Some(address) = contact.address.clone() else {
        return Err(Error::UnknownRecipient { name });
    };
    let recipient = Recipient::known(contact.clone(), address, client)?;
    let card = recipient.card.as_ref().ok_or(Error::NoCard { name })?;
    let reader = Reader {
        contact: recipient.contact,
        name: &recipient.name,
        address: &recipient.address,
        card,
    };
    let sealed = seal_as(client, slice::from_ref(&reader), metadata, payload, LIFE)?;
    Ok(native(&[reader], None, sealed))
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

/// Seals one message in ClawTalk's format.
fn classic(
    client: &mut Client,
    recipient: &Recipient,
    draft: &Draft,
) -> Result<NewOutgoing, Error> {
    if draft.receipt {
        let name = recipient.name.clone();
        return Err(Error::NoCard { name });
    }
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
    let to = To {
        contact: Some(recipient.contact),
        name: recipient.name.clone(),
    };
    let destination = Destination::Agent(recipient.address.clone());
    Ok(outgoing(
        client,
        destination,
        to,
        draft,
        Body::Classic(sealed),
    ))
}

/// Prepares one message in the clear for everybody named.
pub(crate) fn plaintext(
    client: &Client,
    directory: Option<&Directory>,
    names: &[String],
    draft: &Draft,
) -> Plan {
    let mut messages = Vec::new();
    let mut outcomes = Vec::with_capacity(names.len());
    for name in names {
        let message = in_the_clear(client, directory, name, draft);
        outcomes.push(message.map(|(address, message)| {
            messages.push(message);
            Planned {
                place: messages.len() - 1,
                sent: unsealed(address),
            }
        }));
    }
    Plan { messages, outcomes }
}

fn in_the_clear(
    client: &Client,
    directory: Option<&Directory>,
    name: &str,
    draft: &Draft,
) -> Result<(String, NewOutgoing), Error> {
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
    let to = To {
        contact: None,
        name: address.clone(),
    };
    let destination = Destination::Agent(address.clone());
    let body = Body::Plaintext(draft.content.to_classic()?);
    Ok((address, outgoing(client, destination, to, draft, body)))
}

/// Prepares one message in the clear for every agent of the relay.
pub(crate) fn broadcast(client: &Client, draft: &Draft) -> Result<Plan, Error> {
    let body = Body::Plaintext(draft.content.to_classic()?);
    let to = To {
        contact: None,
        name: EVERYONE.to_owned(),
    };
    Ok(Plan {
        messages: vec![outgoing(client, Destination::Everyone, to, draft, body)],
        outcomes: vec![Ok(Planned {
            place: 0,
            sent: unsealed(EVERYONE.to_owned()),
        })],
    })
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

    /// What is known of a message to this recipient that has not left.
    fn queued(self, message: Option<&NewOutgoing>) -> Sent {
        let (format, fingerprint) = match &self.card {
            Some(card) => (Format::Native, card.fingerprint()),
            None => (Format::Classic, self.keys.fingerprint()),
        };
        Sent {
            to: self.name,
            id: message.and_then(|message| message.id.clone()),
            relay_id: None,
            ts: None,
            via: None,
            format,
            encrypted: true,
            fingerprint: Some(fingerprint.to_hex()),
            pinned: self.pinned_now,
            state: Progress::Queued,
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

fn outgoing(
    client: &Client,
    destination: Destination,
    to: To,
    draft: &Draft,
    body: Body,
) -> NewOutgoing {
    let life = draft.ttl.map_or(LIFE, Duration::from_secs);
    let expires = client.now().checked_add(life).unwrap_or(Timestamp::MAX);
    NewOutgoing {
        id: None,
        outgoing: Outgoing {
            to: destination,
            message_type: draft.message_type,
            topic: draft.topic.clone(),
            correlation_id: draft.correlation_id.clone(),
            reply_to: draft.reply_to.clone(),
            ttl: draft.ttl,
            body,
        },
        to: vec![to],
        card: None,
        expires: millis(expires),
        receipt: false,
    }
}

fn unsealed(to: String) -> Sent {
    Sent {
        to,
        id: None,
        relay_id: None,
        ts: None,
        via: None,
        format: Format::Plain,
        encrypted: false,
        fingerprint: None,
        pinned: false,
        state: Progress::Queued,
    }
}
