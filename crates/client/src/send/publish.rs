//! One message for everybody who reads a place of the relay: sealed once, to those of them whose key cards
//! are known, and handed over once.

use std::collections::HashMap;

use super::{Reader, Recipient, native, seal};
use crate::{
    client::{Client, MAX_PAYLOAD},
    endings,
    error::Error,
    message::{Draft, Format, Progress, Sent},
    relay::Destination,
    store::Contact,
};

/// What became of a message to a place.
#[derive(Debug)]
pub struct Published {
    /// As for any message; it was sent to the place.
    pub sent: Sent,
    /// The contacts who can read it.
    pub readers: Vec<String>,
    /// Who cannot.
    pub left_out: Vec<LeftOut>,
}

/// Somebody who cannot read a message.
#[derive(Debug)]
pub struct LeftOut {
    /// The address at the relay.
    pub address: String,
    /// Why not.
    pub why: Error,
}

impl Client {
    /// Seals a message for those of `members`, who are addresses at the relay, whose key cards are known,
    /// and hands it over to `place`. Who the members are is the relay's word: nobody becomes a contact by
    /// being one, and who is none any more is to be left away.
    ///
    /// # Errors
    /// [`Error::NoReaders`] when nobody could read it, and then nothing was sent; else as
    /// [`Client::send`] for a single recipient.
    pub async fn publish_to(
        &mut self,
        place: &str,
        members: &[String],
        draft: &Draft,
    ) -> Result<Published, Error> {
        endings::check_own_not_ended(&self.store, self.public_keys())?;
        let found = draft.content.as_bytes().len();
        if found > MAX_PAYLOAD {
            return Err(Error::PayloadTooLong { found });
        }
        let contacts = by_address(self.store.contacts()?);
        let (mut known, mut left_out) = (Vec::new(), Vec::new());
        for address in members.iter().filter(|address| **address != self.name) {
            match reader(self, &contacts, address) {
                Ok(recipient) => known.push(recipient),
                Err(why) => left_out.push(LeftOut {
                    address: address.clone(),
                    why,
                }),
            }
        }
        let mut readers: Vec<Reader<'_>> = Vec::with_capacity(known.len());
        for (recipient, card) in &known {
            if readers
                .iter()
                .all(|other| other.contact != recipient.contact)
            {
                readers.push(Reader {
                    contact: recipient.contact,
                    name: &recipient.name,
                    address: &recipient.address,
                    card,
                });
            }
        }
        if readers.is_empty() {
            let place = place.to_owned();
            return Err(Error::NoReaders { place });
        }
        let mut message = native(&readers, Some(draft), seal(self, &readers, draft)?);
        message.outgoing.to = Destination::Agent(place.to_owned());
        let readers = readers
            .iter()
            .map(|reader| reader.name.to_owned())
            .collect();
        let sent = Sent {
            to: place.to_owned(),
            id: message.id.clone(),
            relay_id: None,
            ts: None,
            via: None,
            format: Format::Native,
            encrypted: true,
            fingerprint: None,
            pinned: false,
            state: Progress::Queued,
        };
        let now = self.clock.now();
        let enqueued = self.store.enqueue(&[message], &[], None, now, None)?;
        let numbers = enqueued.map_or_else(Vec::new, |enqueued| enqueued.numbers);
        Ok(Published {
            sent: self.hand_over_one(&numbers, sent).await?,
            readers,
            left_out,
        })
    }
}

/// Contacts by where they are, or say to be; of several who say to be in one place nobody knows who is.
fn by_address(contacts: Vec<Contact>) -> HashMap<String, Option<Contact>> {
    let mut found = HashMap::with_capacity(contacts.len());
    for contact in contacts {
        if let Some(address) = contact.address.clone() {
            found
                .entry(address)
                .and_modify(|known| *known = None)
                .or_insert(Some(contact));
        }
    }
    found
}

/// The contact at an address, whom something can be sealed for.
fn reader(
    client: &Client,
    contacts: &HashMap<String, Option<Contact>>,
    address: &str,
) -> Result<(Recipient, ctalk_core::Card), Error> {
    let name = address.to_owned();
    let Some(Some(contact)) = contacts.get(address) else {
        return Err(Error::UnknownContact { name });
    };
    let mut recipient = Recipient::known(contact.clone(), address.to_owned(), client)?;
    match recipient.card.take() {
        Some(card) => Ok((recipient, card)),
        None => Err(Error::NoCard {
            name: recipient.name,
        }),
    }
}
