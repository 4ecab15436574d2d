//! One agent: its identity, its store and its relay.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::Arc,
    time::Duration,
};

use ctalk_core::{Card, Identity, PublicKeys, Timestamp, classic::BoxKeys};

use crate::{
    clock::Clock,
    contacts,
    directory::Directory,
    endings::Notice,
    error::Error,
    keeper::Keeper,
    message::{Draft, Sent},
    outbox::{Among, Manner},
    parts::Transfer,
    policy::Policy,
    receive::LEASE,
    refresh::Home,
    relay::Relay,
    require::Require,
    send,
    store::{Claimed, Contact, Fence, InboxLimits, Store, StoreError},
};

/// Most messages that one call of [`Client::fetch`] takes, and most bytes of them, so that a relay
/// which never runs dry cannot keep it busy for ever or fill the disk in one go.
const MAX_TAKEN: usize = 100_000;
const MAX_TAKEN_BYTES: usize = 1 << 30;

/// Most bytes of a payload that is sent: 64 MiB.
pub const MAX_PAYLOAD: usize = 64 << 20;

/// One agent at one relay.
///
/// Calls write to the local SQLite store: a fraction of a millisecond to a few milliseconds of the
/// calling thread, and up to ten seconds while another process holds the store's lock.
pub struct Client {
    pub(crate) name: String,
    pub(crate) identity: Arc<Identity>,
    /// Those that it took the place of, to open what is under way to them.
    pub(crate) former: Vec<Identity>,
    /// The successions that led to it, as text.
    pub(crate) successions: Vec<String>,
    /// The card for the newest key of the identity, where it is known.
    pub(crate) card: Option<Card>,
    /// Where the keys come from, where that is known.
    pub(crate) home: Option<Home>,
    pub(crate) store: Store,
    pub(crate) relay: Arc<dyn Relay>,
    pub(crate) box_keys: BoxKeys,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) require: Require,
    /// What the user has to be told.
    pub(crate) notices: Vec<Notice>,
    /// What was being handed over when the waiting for it was broken off.
    pub(crate) in_flight: Option<Arc<Claimed>>,
    pub(crate) policy: Policy,
    /// What was handed over and not settled yet, and the keys that signed it.
    pub(crate) in_hand: HashMap<Fence, Option<[u8; 32]>>,
    /// Keeps the leases of what is in hand, where that was asked for.
    pub(crate) keeper: Option<Keeper>,
    /// How many messages were settled.
    pub(crate) settled: u64,
    /// The longest text that every relay of the agent takes, where it has several.
    pub(crate) shortest: usize,
    /// Who is told how far a message in parts is.
    pub(crate) on_transfer: Option<Box<dyn FnMut(Transfer) + Send>>,
}

/// Gives back what is in hand; else others would wait for its leases. Keeps what was pushed so far.
impl Drop for Client {
    fn drop(&mut self) {
        // Then they wait.
        let _ = self.release_all();
        let _ = self.put_back();
        let _ = self.store_buffered();
    }
}

impl Client {
    /// Puts an agent together from its parts; [`client`](fn@crate::client) does so from a profile. This
    /// one neither rotates its keys nor tells others of its key card.
    ///
    /// `name` is the one registered at `relay`, and `store` the file, in a
    /// folder that only its owner may enter, where contacts and messages are kept. The policy is read
    /// from `policy.toml` beside it.
    ///
    /// # Errors
    /// [`Error::Store`] and [`Error::Policy`].
    pub fn new(
        name: &str,
        identity: Identity,
        relay: impl Relay + 'static,
        store: &Path,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        Self::at(name, identity, Arc::new(relay), store, clock)
    }

    pub(crate) fn at(
        name: &str,
        identity: Identity,
        relay: Arc<dyn Relay>,
        store: &Path,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        Ok(Self {
            policy: Policy::beside(store)?,
            name: name.to_owned(),
            identity: Arc::new(identity),
            former: Vec::new(),
            successions: Vec::new(),
            card: None,
            home: None,
            store: Store::open(store, Some(relay.url()))?,
            relay,
            box_keys: BoxKeys::default(),
            clock,
            require: Require::default(),
            notices: Vec::new(),
            in_flight: None,
            in_hand: HashMap::new(),
            keeper: None,
            settled: 0,
            shortest: usize::MAX,
            on_transfer: None,
        })
    }

    /// Requires something of everybody who is written to or read; by default that is nothing.
    pub const fn require(&mut self, require: Require) {
        self.require = require;
    }

    /// Has `show` told how far each message is that is too long for the relay and goes in parts.
    pub fn on_transfer(&mut self, show: impl FnMut(Transfer) + Send + 'static) {
        self.on_transfer = Some(Box::new(show));
    }

    /// What came up about contacts' identities, and what was dropped from the inbox, since this was last
    /// called.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        let dropped = self.store.take_dropped().into_iter();
        let dropped = dropped.map(|dropped| Notice::Dropped {
            state: dropped.state,
            messages: dropped.messages,
        });
        self.notices.extend(dropped);
        self.note_unfinished();
        std::mem::take(&mut self.notices)
    }

    /// Counts what was given up before it was whole, by its sender.
    fn note_unfinished(&mut self) {
        let mut counts = BTreeMap::new();
        for key in self.store.take_unfinished() {
            // Whom the store cannot name now is told of as a stranger.
            let contact = self.signer(key).ok().flatten();
            *counts
                .entry(contact.map(|contact| contact.name))
                .or_insert(0_u64) += 1;
        }
        let notices = counts.into_iter();
        self.notices
            .extend(notices.map(|(from, messages)| Notice::Unfinished { from, messages }));
    }

    /// Bounds what waits in the inbox for the user; by default, [`InboxLimits::default`].
    pub const fn limit_inbox(&mut self, limits: InboxLimits) {
        self.store.set_limits(limits);
    }

    /// What others may send, as it was read when the client was made.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
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

    /// Seals, signs and sends a message; one outcome for each recipient, in order. Recipients with a
    /// key card share one envelope, the others get a message each in ClawTalk's format.
    ///
    /// Recipients are contacts' names, or names of the relay, which are pinned by this first use.
    /// The relay's directory is asked at most once, and not at all for contacts whose key card it
    /// showed within the last day; a changed key is noticed before anything is sealed.
    ///
    /// An envelope that is too long for one message of the relay goes in parts. Payloads have up to
    /// [`MAX_PAYLOAD`] bytes, of which there are some six copies in memory meanwhile.
    ///
    /// The message is in the outbox before it leaves, behind older ones to the same recipient, which go
    /// before it. If the relay cannot take it now it stays there, and that is
    /// [`Error::Queued`]; what the relay refuses is taken out again.
    ///
    /// # Errors
    /// The outer error stands for all recipients, for example [`Error::Relay`] or
    /// [`Error::IdempotencyMismatch`], and then nothing was sent; an inner one for its recipient alone.
    /// [`Error::Store`] may also mean that the message stays in the outbox.
    pub async fn send(
        &mut self,
        recipients: &[String],
        draft: &Draft,
    ) -> Result<Vec<Result<Sent, Error>>, Error> {
        let among = Among::these(recipients);
        self.post(recipients, among, draft, Manner::Sealed, true)
            .await
    }

    /// Sends a message that everybody on the way can read and change, to each recipient by itself. If
    /// it is not known whether the relay got it, it may arrive twice: nothing in it tells copies apart.
    ///
    /// # Errors
    /// As [`Client::send`], and [`Error::PlaintextRefused`] where something is required.
    pub async fn send_plaintext(
        &mut self,
        recipients: &[String],
        draft: &Draft,
    ) -> Result<Vec<Result<Sent, Error>>, Error> {
        self.check_plaintext()?;
        let among = Among::these(recipients);
        self.post(recipients, among, draft, Manner::Plaintext, true)
            .await
    }

    /// Sends plaintext to every agent of the relay as one message.
    ///
    /// # Errors
    /// As [`Client::send_plaintext`].
    pub async fn broadcast_plaintext(&mut self, draft: &Draft) -> Result<Sent, Error> {
        self.check_plaintext()?;
        let everyone = [send::EVERYONE.to_owned()];
        let among = Among::these(&everyone);
        let mut outcomes = self
            .post(&everyone, among, draft, Manner::Broadcast, true)
            .await?;
        let [name] = everyone;
        outcomes
            .pop()
            .unwrap_or(Err(Error::UnknownRecipient { name }))
    }

    /// Names of all agents of the relay but this one, in the relay's order; none where the relay
    /// has no directory.
    ///
    /// # Errors
    /// [`Error::Relay`].
    pub async fn everyone_else(&mut self) -> Result<Vec<String>, Error> {
        let directory = Directory::fetch(&*self.relay).await?;
        let names = directory.iter().flat_map(Directory::names);
        Ok(names
            .filter(|name| *name != self.name)
            .map(str::to_owned)
            .collect())
    }

    /// Brings everything that waits at the relay into the inbox: fetched, stored, acknowledged,
    /// page by page, until nothing is left or 100,000 messages or 1 GiB were taken. When nothing
    /// waits at all, may take up to `wait` to say so. Returns how many messages are new.
    ///
    /// # Errors
    /// [`Error::Relay`] and [`Error::Store`]; what was stored before stays.
    pub async fn fetch(&mut self, wait: Duration) -> Result<usize, Error> {
        let (mut fresh, mut taken, mut bytes) = (0, 0, 0);
        let mut deliveries = self.relay.fetch(wait).await?;
        while !deliveries.is_empty() {
            taken += deliveries.len();
            bytes += deliveries
                .iter()
                .map(|delivery| delivery.raw.len())
                .sum::<usize>();
            let stored = self.store.admit(&deliveries, self.clock.now())?;
            fresh += stored.fresh();
            if self.relay.acknowledge(stored).await? == 0 {
                // The relay lets none of them go; asking again would bring the same page.
                break;
            }
            if taken >= MAX_TAKEN || bytes >= MAX_TAKEN_BYTES {
                break;
            }
            deliveries = self.relay.fetch(Duration::ZERO).await?;
        }
        self.store_buffered()?;
        Ok(fresh)
    }

    /// Ends the connection to the relay in good order. A relay that forgets by handing out may have handed
    /// something out meanwhile, which is in the inbox afterwards; without this it may be lost. For who ends:
    /// nothing goes over such a relay any more.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn close(&mut self) -> Result<(), Error> {
        self.store_buffered()?;
        let deliveries = self.relay.close().await;
        if !deliveries.is_empty() {
            let _stored = self.store.admit(&deliveries, self.clock.now())?;
        }
        Ok(())
    }

    /// Finds out where contacts are at this relay, as far as its directory knows. A contact that it shows
    /// with other keys is not found there.
    pub(crate) async fn locate(&mut self, names: &[String]) {
        let known = names
            .iter()
            .filter_map(|name| self.contact_for(name).ok().flatten());
        let lost: Vec<Contact> = known.filter(|contact| contact.address.is_none()).collect();
        if lost.is_empty() {
            return;
        }
        let Ok(Some(directory)) = Directory::fetch(&*self.relay).await else {
            return;
        };
        for contact in lost {
            if let Ok(entry) = directory.entry_of(&contact) {
                let _ = contacts::meet(self, Some(&directory), entry, None);
            }
        }
    }

    /// The clock's time as envelopes carry it.
    pub(crate) fn now(&self) -> Timestamp {
        timestamp(self.clock.now())
    }

    pub(crate) fn contact_for(&self, name: &str) -> Result<Option<Contact>, Error> {
        Ok(match self.store.contact(name)? {
            Some(contact) => Some(contact),
            None => self.store.contact_at(name)?,
        })
    }

    /// Until when a lease lasts that begins now, by the monotonic clock.
    pub(crate) fn lease(&self) -> i64 {
        self.clock.monotonic().saturating_add(as_millis(LEASE))
    }

    /// Runs `work`, whose writes become durable together when this returns, or none of them if it
    /// fails.
    pub(crate) fn batch<T, E: From<StoreError>>(
        &mut self,
        what: &'static str,
        work: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        self.store.begin()?;
        match work(self) {
            Ok(value) => {
                self.store.commit_batch(what)?;
                Ok(value)
            }
            Err(error) => {
                self.store.roll_back();
                Err(error)
            }
        }
    }

    pub(crate) fn check_plaintext(&self) -> Result<(), Error> {
        match self.require.words().next() {
            None => Ok(()),
            Some(required) => Err(Error::PlaintextRefused { required }),
        }
    }

    /// Stores what the relay delivered unasked. It is not acknowledged: relays that push before
    /// they are asked either forget by themselves or show it again.
    pub(crate) fn store_buffered(&mut self) -> Result<(), Error> {
        let deliveries = self.relay.take_buffered();
        if !deliveries.is_empty() {
            let _stored = self.store.admit(&deliveries, self.clock.now())?;
        }
        Ok(())
    }
}

/// A duration in milliseconds, as the store keeps it.
pub(crate) fn as_millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The time in milliseconds since the Unix epoch, as the store keeps it.
pub(crate) fn millis(time: Timestamp) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// Milliseconds since the Unix epoch as envelopes carry them; a clock before 1970 reads as 1970.
pub(crate) fn timestamp(millis: i64) -> Timestamp {
    let millis = u64::try_from(millis).unwrap_or(0);
    Timestamp::from_millis(millis).unwrap_or(Timestamp::MAX)
}
