//! One agent: its identity, its store and its relay.

use std::{sync::Arc, time::Duration};

use ctalk_core::{Fingerprint, Identity, PublicKeys, classic::BoxKeys};

use crate::{
    clock::Clock,
    directory::{self, Directory},
    error::Error,
    message::{Draft, Sent},
    receive::{Filter, Receiver},
    relay::Relay,
    send,
    store::{Contact, Store},
};

/// Most messages that one call of [`Client::fetch`] takes, so that a relay which never runs dry
/// cannot keep it busy for ever.
const MAX_TAKEN: usize = 100_000;

/// One agent at one relay.
///
/// Calls write to the local SQLite store, which takes a fraction of a millisecond to a few
/// milliseconds of the calling thread.
pub struct Client {
    pub(crate) name: String,
    pub(crate) identity: Identity,
    pub(crate) store: Store,
    pub(crate) relay: Box<dyn Relay>,
    pub(crate) box_keys: BoxKeys,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Client {
    /// Puts an agent together: `name` is the one registered at `relay`, and `store` was opened for
    /// that relay's URL.
    #[must_use]
    pub fn new(
        name: &str,
        identity: Identity,
        relay: impl Relay + 'static,
        store: Store,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            identity,
            store,
            relay: Box::new(relay),
            box_keys: BoxKeys::default(),
            clock,
        }
    }

    /// The agent's public keys.
    #[must_use]
    pub fn public_keys(&self) -> &PublicKeys {
        self.identity.public_keys()
    }

    /// The local store.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// The local store, to change contacts and inbox entries.
    pub const fn store_mut(&mut self) -> &mut Store {
        &mut self.store
    }

    /// Seals, signs and sends a message to each recipient by itself; one outcome each, in order.
    ///
    /// Recipients are contacts' names, or names of the relay, which are pinned by this first use.
    /// The relay's directory is asked once, so that a changed key is noticed before anything is
    /// sealed.
    ///
    /// # Errors
    /// The outer error stands for all recipients, for example [`Error::Relay`]; an
    /// inner one for its recipient alone.
    pub async fn send(
        &mut self,
        recipients: &[String],
        draft: &Draft,
    ) -> Result<Vec<Result<Sent, Error>>, Error> {
        let directory = Directory::fetch(&*self.relay).await?;
        let mut outcomes = Vec::with_capacity(recipients.len());
        for name in recipients {
            outcomes.push(send::sealed(self, &directory, name, draft).await);
        }
        Ok(outcomes)
    }

    /// Sends a message that everybody on the way can read and change, to each recipient by itself.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn send_plaintext(
        &mut self,
        recipients: &[String],
        draft: &Draft,
    ) -> Result<Vec<Result<Sent, Error>>, Error> {
        let directory = Directory::fetch(&*self.relay).await?;
        let mut outcomes = Vec::with_capacity(recipients.len());
        for name in recipients {
            outcomes.push(send::plaintext(self, &directory, name, draft).await);
        }
        Ok(outcomes)
    }

    /// Sends plaintext to every agent of the relay as one message.
    ///
    /// # Errors
    /// [`Error::Relay`].
    pub async fn broadcast_plaintext(&self, draft: &Draft) -> Result<Sent, Error> {
        send::broadcast(self, draft).await
    }

    /// Names of all agents of the relay but this one, in the relay's order.
    ///
    /// # Errors
    /// [`Error::Relay`].
    pub async fn everyone_else(&self) -> Result<Vec<String>, Error> {
        let directory = Directory::fetch(&*self.relay).await?;
        let mut names: Vec<String> = Vec::new();
        for entry in directory.entries() {
            if entry.name != self.name && !names.contains(&entry.name) {
                names.push(entry.name.clone());
            }
        }
        Ok(names)
    }

    /// Brings everything that waits at the relay into the inbox: fetched, stored, acknowledged,
    /// page by page, until nothing is left or
    /// 100,000 were taken. When nothing waits at all, waits up to `wait` for
    /// something. Returns how many messages are new.
    ///
    /// # Errors
    /// [`Error::Relay`] and [`Error::Store`]; what was stored before stays.
    pub async fn fetch(&mut self, wait: Duration) -> Result<usize, Error> {
        let mut fresh = 0;
        let mut taken = 0;
        let mut deliveries = self.relay.fetch(wait).await?;
        while !deliveries.is_empty() && taken < MAX_TAKEN {
            taken += deliveries.len();
            let stored = self.store.admit(&deliveries, self.clock.now())?;
            fresh += stored.fresh();
            let is_new = stored.fresh() > 0;
            let dropped = self.relay.acknowledge(stored).await?;
            if dropped == 0 && !is_new {
                // The relay shows messages that it will not let go; asking again is pointless.
                break;
            }
            deliveries = self.relay.fetch(Duration::ZERO).await?;
        }
        Ok(fresh)
    }

    /// Opens what is in the inbox, oldest first.
    pub fn receive(&mut self, filter: Filter) -> Receiver<'_> {
        Receiver::new(self, filter)
    }

    /// Pins the keys that the relay shows for `name`, provided that their fingerprint is the given
    /// one. This is the way out of a changed or conflicting key, for somebody who learned the
    /// fingerprint from its owner.
    ///
    /// # Errors
    /// [`Error::OtherFingerprint`], [`Error::UnknownRecipient`], [`Error::AmbiguousName`],
    /// [`Error::BadKeys`], [`Error::KeyConflict`] when another contact or I hold a key.
    pub async fn accept_key(&mut self, name: &str, given: Fingerprint) -> Result<(), Error> {
        let directory = Directory::fetch(&*self.relay).await?;
        let pinned = self.store.contact(name)?;
        let address = match &pinned {
            Some(contact) => contact
                .address
                .clone()
                .unwrap_or_else(|| contact.name.clone()),
            None => name.to_owned(),
        };
        let entry = directory.resolve(&address).found(name)?;
        let keys = Directory::keys(entry)?;
        let offered = keys.fingerprint();
        if offered != given {
            return Err(Error::OtherFingerprint {
                name: name.to_owned(),
                given,
                offered,
            });
        }
        self.check_other_holders(&entry.name, &keys)?;
        let now = self.clock.now();
        match pinned {
            Some(contact) => self.store.replace_keys(&contact, &keys, now)?,
            None => directory::pin(&mut self.store, &entry.name, &keys, "accepted", now)?,
        }
        Ok(())
    }

    /// As [`Directory::check_holders`], but by what is pinned here alone: whoever names the
    /// fingerprint has settled what the directory leaves open.
    fn check_other_holders(&self, name: &str, keys: &PublicKeys) -> Result<(), Error> {
        use ctalk_core::trust::{KeyHolder, conflict};
        let contacts = self.store.holders(keys)?;
        let others = contacts
            .iter()
            .filter(|contact| contact.name != name)
            .map(|contact| (KeyHolder::Contact(&contact.name), &contact.keys));
        let me = (KeyHolder::Me, self.identity.public_keys());
        conflict(name, keys, std::iter::once(me).chain(others)).map_err(Error::KeyConflict)
    }

    /// What waits at the relay, opened as far as possible; changes nothing here or there.
    ///
    /// # Errors
    /// [`Error::Relay`], [`Error::Store`].
    pub async fn peek(&mut self, filter: Filter) -> Result<crate::receive::Peek, Error> {
        crate::receive::peek(self, filter).await
    }

    pub(crate) fn contact_for(&self, name: &str) -> Result<Option<Contact>, Error> {
        Ok(match self.store.contact(name)? {
            Some(contact) => Some(contact),
            None => self.store.contact_at(name)?,
        })
    }
}
