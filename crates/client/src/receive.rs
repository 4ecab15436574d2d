//! Receiving: each stored message by itself goes through parse, verify, trust, open.
//!
//! A message that fails is set aside with its reason and hides none of its neighbours. What fails
//! because the relay cannot be asked right now stays new, and the relay's error is reported once
//! all others were handed over.

use std::fs::File;

use ctalk_core::{
    CLOCK_SKEW, Card, PublicKeys, VerifyingKey,
    classic::{Claims, Malformed, Message, SignedMessage, Unauthenticated, UnsignedMessage},
    envelope::{self, Envelope, Failure},
};
use serde_json::value::RawValue;

use crate::{
    client::{Client, timestamp},
    contacts,
    directory::{self, Directory, Listing},
    error::Error,
    message::{Content, Format, Reason, Received, SetAside, Trust},
    relay::{Delivery, Incoming, RelayError},
    store::{Contact, Entry, EntryState, Learned, Mark, SeenBefore, Store, StoreError},
};

/// How long a handled message in ClawTalk's format is remembered, in milliseconds: 90 days, the
/// longest that a relay keeps one. An envelope says itself how long it has to be.
const REMEMBERED: i64 = 90 * 24 * 60 * 60 * 1000;
/// Longest name of a sender, in bytes; relays allow 32 characters or do not say.
const MAX_NAME: usize = 128;

/// Which messages are wanted. What does not match stays in the inbox.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only this topic.
    pub topic: Option<String>,
    /// Only messages with a relay's time after this, in milliseconds since the Unix epoch.
    pub since: Option<i64>,
}

impl Filter {
    fn wants(&self, sent_at: i64, message: &Result<Incoming, Malformed>) -> bool {
        self.since.is_none_or(|since| sent_at > since)
            && match message {
                Ok(Incoming::Classic(message)) => self.wants_topic(message.claims().topic.as_ref()),
                // The topic of an envelope is inside, and what cannot be read has none to filter by
                // and must not hide in the inbox.
                Ok(Incoming::Native { .. }) | Err(_) => true,
            }
    }

    fn wants_topic(&self, found: Option<&String>) -> bool {
        self.topic.as_ref().is_none_or(|topic| found == Some(topic))
    }
}

/// The next thing that [`Client::next`] came to.
#[derive(Debug)]
#[must_use = "a message is handed over again until `commit` was called for it"]
pub enum Next {
    /// A message that a contact's pinned key signed, sealed for me. Handle it, then commit it.
    Message(Box<Handover>),
    /// A message that nobody signed, or that was not even sealed: anybody on the way may have made
    /// it. Handle it as such, then commit it.
    Unauthenticated(Box<Handover>),
    /// A message was set aside.
    SetAside(SetAside),
}

/// A message in the caller's hands.
#[derive(Debug)]
#[must_use = "a message is handed over again until `commit` was called for it"]
pub struct Handover {
    /// The message.
    pub message: Received,
    /// Whether the sender's keys were pinned just now.
    pub pinned_now: bool,
    pub(crate) number: i64,
    pub(crate) relay_id: Option<String>,
    pub(crate) mark: Mark,
}

/// A place in the inbox, from which [`Client::next`] goes on. While it lives nobody else receives
/// with the same store.
pub struct Receiving {
    filter: Filter,
    place: Option<(i64, i64)>,
    directory: Snapshot,
    /// What was handed over and is not committed yet: another copy of it is a repetition.
    in_hand: Vec<Mark>,
    /// Why messages were left new in this run.
    failure: Option<RelayError>,
    _lock: Option<File>,
}

/// The directory, asked at most once in a run.
enum Snapshot {
    NotAsked,
    None,
    Taken(Box<Directory>),
    Failed(RelayError),
}

/// What [`Client::peek`] found.
#[derive(Debug)]
pub struct Peek {
    /// Each message or the reason why it would be set aside, oldest first.
    pub messages: Vec<Result<Received, SetAside>>,
    /// Whether the relay may hold more than it can show without deleting.
    pub truncated: bool,
}

impl Receiving {
    fn new(filter: Filter, lock: Option<File>) -> Self {
        Self {
            filter,
            place: None,
            directory: Snapshot::NotAsked,
            in_hand: Vec::new(),
            failure: None,
            _lock: lock,
        }
    }

    /// Goes back to the oldest message, for another look at the inbox and at the directory.
    pub fn rewind(&mut self) {
        self.place = None;
        self.directory = Snapshot::NotAsked;
        self.failure = None;
    }
}

impl Client {
    /// Begins to go through the inbox, oldest first.
    ///
    /// # Errors
    /// [`StoreError::AlreadyReceiving`], [`StoreError::Failed`].
    pub fn receive(&self, filter: Filter) -> Result<Receiving, Error> {
        Ok(Receiving::new(filter, Some(self.store.lock_receiving()?)))
    }

    /// Opens the next message, sets it aside, or returns `None` at the end of the inbox.
    ///
    /// # Errors
    /// [`Error::Store`]. [`Error::Relay`] at the end, once, if there were messages of strangers and
    /// the relay could not be asked about them; those stay new.
    pub async fn next(&mut self, receiving: &mut Receiving) -> Result<Option<Next>, Error> {
        while let Some(entry) = self.store.next_new(receiving.place)? {
            receiving.place = Some((entry.sent_at, entry.number));
            let message = self.relay.read(&entry.raw);
            if !receiving.filter.wants(entry.sent_at, &message) {
                continue;
            }
            let mut judge = Judge {
                client: self,
                receiving,
                entry: &entry,
                may_pin: true,
            };
            match judge.judge(message).await {
                Ok(Verdict::Deliver(delivered))
                    if !receiving
                        .filter
                        .wants_topic(delivered.message.topic.as_ref()) => {}
                Ok(Verdict::Deliver(delivered)) => {
                    receiving.in_hand.push(delivered.mark);
                    let is_authenticated = delivered.message.from.is_some();
                    let handover = Box::new(Handover {
                        message: delivered.message,
                        pinned_now: delivered.pinned_now,
                        number: entry.number,
                        relay_id: entry.relay_id,
                        mark: delivered.mark,
                    });
                    return Ok(Some(if is_authenticated {
                        Next::Message(handover)
                    } else {
                        Next::Unauthenticated(handover)
                    }));
                }
                Ok(Verdict::HandledBefore) => {
                    let expires = self.clock.now().saturating_add(REMEMBERED);
                    self.store.end_repetition(entry.number, expires)?;
                }
                Err(Refusal::Message(reason, detail)) => {
                    self.store.set_aside(entry.number, reason, &detail)?;
                    let aside = self.set_aside(&entry, reason, detail);
                    return Ok(Some(Next::SetAside(aside)));
                }
                Err(Refusal::Relay(error)) => receiving.failure = Some(error),
                Err(Refusal::Local(error)) => return Err(error),
            }
        }
        match receiving.failure.take() {
            Some(error) => Err(Error::Relay(error)),
            None => Ok(None),
        }
    }

    /// Ends a message after it was handled: it is not handed over again, whoever delivers it, for as
    /// long as an envelope lives, or for 90 days in ClawTalk's format.
    ///
    /// # Errors
    /// [`Error::AlreadyCommitted`]; [`Error::Store`], and then the message will be handed over
    /// again.
    pub fn commit(&mut self, handover: Handover) -> Result<(), Error> {
        let now = self.clock.now();
        let relay_id = handover.relay_id.as_deref();
        let is_first = self
            .store
            .commit(handover.number, &handover.mark, relay_id, now)?;
        if is_first {
            Ok(())
        } else {
            Err(Error::AlreadyCommitted)
        }
    }

    /// What waits at the relay, opened as far as possible; changes nothing here or there.
    ///
    /// # Errors
    /// [`Error::Relay`], [`Error::Store`].
    pub async fn peek(&mut self, filter: Filter) -> Result<Peek, Error> {
        let peeked = self.relay.peek().await?;
        let now = self.clock.now();
        let mut receiving = Receiving::new(filter, None);
        let mut messages = Vec::new();
        for delivery in peeked.deliveries {
            let entry = unstored(delivery, now);
            let message = self.relay.read(&entry.raw);
            if !receiving.filter.wants(entry.sent_at, &message) {
                continue;
            }
            let mut judge = Judge {
                client: self,
                receiving: &mut receiving,
                entry: &entry,
                may_pin: false,
            };
            match judge.judge(message).await {
                Ok(Verdict::Deliver(delivered)) => {
                    if receiving
                        .filter
                        .wants_topic(delivered.message.topic.as_ref())
                    {
                        messages.push(Ok(delivered.message));
                    }
                }
                Ok(Verdict::HandledBefore) => {}
                Err(Refusal::Message(reason, detail)) => {
                    messages.push(Err(self.set_aside(&entry, reason, detail)));
                }
                Err(Refusal::Relay(error)) => return Err(Error::Relay(error)),
                Err(Refusal::Local(error)) => return Err(error),
            }
        }
        Ok(Peek {
            messages,
            truncated: peeked.truncated,
        })
    }

    fn set_aside(&self, entry: &Entry, reason: Reason, detail: String) -> SetAside {
        let message = self.relay.read(&entry.raw).ok();
        SetAside {
            number: entry.number,
            relay_id: entry.relay_id.clone(),
            relay_from: message.map(|message| message.claims().from.clone()),
            reason,
            detail,
        }
    }
}

/// Judges one message.
struct Judge<'a> {
    client: &'a mut Client,
    receiving: &'a mut Receiving,
    entry: &'a Entry,
    may_pin: bool,
}

impl Judge<'_> {
    async fn judge(&mut self, message: Result<Incoming, Malformed>) -> Result<Verdict, Refusal> {
        let message = message.map_err(|error| Refusal::message(Reason::Malformed, error))?;
        let from = &message.claims().from;
        if from.len() > MAX_NAME || from.chars().any(crate::text::is_unsafe) {
            return Err(Refusal::message(
                Reason::Malformed,
                "the sender's name is over-long or holds control characters",
            ));
        }
        match message {
            Incoming::Native { claims, text } => self.native(claims, &text).await,
            Incoming::Classic(message) => {
                self.refuse_downgrade(&message)?;
                match message {
                    Message::Signed(message) => self.signed(message).await,
                    Message::Unsigned(message) => self.unsigned(message).await,
                    Message::Plain(message) => self.unauthenticated(message.accept()),
                }
            }
        }
    }

    /// Whoever has a key card writes envelopes; anything weaker in that name is not from there.
    fn refuse_downgrade(&self, message: &Message) -> Result<(), Refusal> {
        let from = &message.claims().from;
        let contact = self.client.store.contact_at(from)?;
        if contact.is_some_and(|contact| contact.card.is_some()) {
            return Err(Refusal::message(
                Reason::Downgrade,
                format!("{from} has a key card, and this is no envelope"),
            ));
        }
        Ok(())
    }

    async fn native(&mut self, claims: Claims, text: &str) -> Result<Verdict, Refusal> {
        let bytes = envelope::from_text(text)
            .map_err(|error| Refusal::message(Reason::Malformed, error))?;
        let verified = Envelope::parse(&bytes)
            .map_err(|error| Refusal::message(Reason::Malformed, error))?
            .verify()
            .map_err(|error| Refusal::message(Reason::NotVerified, error))?;
        let signer = *verified.header().sender();
        let sender = self.native_sender(&claims.from, &signer).await?;
        // Its life counts at first receipt, not when it is looked at again.
        let received_at = timestamp(self.entry.stored_at);
        let opened = verified
            .open(&self.client.identity, received_at)
            .map_err(|error| {
                let reason = match error.failure() {
                    Failure::Expired => Reason::Expired,
                    Failure::NotVerified => Reason::NotVerified,
                    Failure::NotForMe | Failure::CannotOpen => Reason::CannotOpen,
                    _ => Reason::Malformed,
                };
                Refusal::message(reason, error)
            })?;
        let expires = opened
            .expires
            .checked_add(CLOCK_SKEW)
            .unwrap_or(opened.expires);
        let mark = Mark::Native {
            sender: *signer.as_bytes(),
            id: *opened.id.as_bytes(),
            digest: opened.header_digest,
            expires: i64::try_from(expires.as_millis()).unwrap_or(i64::MAX),
        };
        if self.was_handled(&mark)? {
            return Ok(Verdict::HandledBefore);
        }
        let card = opened.metadata.card.as_ref();
        let (contact, pinned_now) = match sender {
            Sender::Pinned(contact) => (Some(*contact), false),
            Sender::Offered(_) if !self.may_pin => (None, false),
            Sender::Offered(keys) => {
                self.check_first_contact(&claims.from, &keys).await?;
                self.pin(&claims.from, &keys, card)?;
                (self.client.store.contact_at(&claims.from)?, true)
            }
        };
        if let (Some(contact), Some(card), true) = (&contact, card, self.may_pin) {
            // The message stands for itself; a card in it that is out of order changes nothing.
            let now = self.client.now();
            let _ = contacts::renew(&mut self.client.store, contact, card, now);
        }
        let payload = Content::from_native(&opened.metadata.content_type, opened.payload);
        let message = Received {
            id: Some(opened.id.to_string()),
            relay_id: self.entry.relay_id.clone(),
            from: Some(
                contact
                    .as_ref()
                    .map_or(&claims.from, |contact| &contact.name)
                    .clone(),
            ),
            relay_from: claims.from,
            fingerprint: Some(ctalk_core::Fingerprint::native(&signer).to_hex()),
            to: claims.to,
            message_type: opened.metadata.kind.as_str().to_owned(),
            topic: opened.metadata.topic,
            correlation_id: opened.metadata.correlation_id,
            reply_to: opened.metadata.reply_to,
            ts: claims.ts,
            format: Format::Native,
            encrypted: true,
            trust: if contact.is_some() {
                Trust::Pinned
            } else {
                Trust::Unknown
            },
            content_type: opened.metadata.content_type,
            name: opened.metadata.name,
            payload,
        };
        Ok(Verdict::Deliver(Box::new(Delivered {
            message,
            mark,
            pinned_now,
        })))
    }

    /// Whose key it is that signed an envelope: a contact's, else the one that the relay shows for
    /// the name. A contact keeps its name whatever the relay calls it.
    async fn native_sender(
        &mut self,
        from: &str,
        signer: &VerifyingKey,
    ) -> Result<Sender, Refusal> {
        if let Some(contact) = self.client.store.contact_signing_with(signer)? {
            return Ok(Sender::Pinned(Box::new(contact)));
        }
        let sender = self.sender(from).await?;
        if sender.keys().verifying() == signer {
            return Ok(sender);
        }
        let detail = format!("it is signed by another key than that of `{from}`");
        Err(self.explain(&sender, Reason::NotVerified, detail).await)
    }

    async fn signed(&mut self, message: SignedMessage) -> Result<Verdict, Refusal> {
        let from = message.claims().from.clone();
        let sender = self.sender(&from).await?;
        let verified = match message.verify(sender.keys()) {
            Ok(verified) => verified,
            Err(error) => {
                return Err(self.explain(&sender, Reason::NotVerified, error).await);
            }
        };
        if verified.claims().to != self.client.name {
            return Err(Refusal::message(
                Reason::Misaddressed,
                format!(
                    "{from} sealed it for another agent than `{}`",
                    self.client.name
                ),
            ));
        }
        let mark = self.classic_mark(verified.seen_key());
        if self.was_handled(&mark)? {
            return Ok(Verdict::HandledBefore);
        }
        if let Sender::Offered(keys) = &sender {
            self.check_first_contact(&from, keys).await?;
        }
        let opened = match verified.open(&self.client.identity, &mut self.client.box_keys) {
            Ok(opened) => opened,
            Err(error) => {
                return Err(self.explain(&sender, Reason::CannotOpen, error).await);
            }
        };
        let (name, trust, pinned_now) = match &sender {
            Sender::Pinned(contact) => (contact.name.clone(), Trust::Pinned, false),
            Sender::Offered(_) if !self.may_pin => (from, Trust::Unknown, false),
            Sender::Offered(keys) => {
                self.pin(&from, keys, None)?;
                (from, Trust::Pinned, true)
            }
        };
        let by = (name, sender.keys().fingerprint().to_hex());
        let claims = opened.claims().clone();
        Ok(Verdict::Deliver(Box::new(Delivered {
            message: received(self.entry, claims, Some(by), trust, opened.into_payload()),
            mark,
            pinned_now,
        })))
    }

    async fn unsigned(&mut self, message: UnsignedMessage) -> Result<Verdict, Refusal> {
        let from = message.claims().from.clone();
        let sender = self.sender(&from).await?;
        if let Sender::Offered(keys) = &sender {
            // Else somebody's box could be shown as from whoever lists that person's key.
            self.check_first_contact(&from, keys).await?;
        }
        let (identity, box_keys) = (&self.client.identity, &mut self.client.box_keys);
        match message.open(sender.keys(), identity, box_keys) {
            Ok(message) => self.unauthenticated(message),
            Err(error) => Err(self.explain(&sender, Reason::CannotOpen, error).await),
        }
    }

    fn unauthenticated(&self, message: Unauthenticated) -> Result<Verdict, Refusal> {
        let mark = self.classic_mark(message.seen_key());
        if self.was_handled(&mark)? {
            return Ok(Verdict::HandledBefore);
        }
        let trust = if message.was_encrypted() {
            Trust::Unsigned
        } else {
            Trust::Plaintext
        };
        let claims = message.claims().clone();
        Ok(Verdict::Deliver(Box::new(Delivered {
            message: received(self.entry, claims, None, trust, message.into_payload()),
            mark,
            pinned_now: false,
        })))
    }

    fn classic_mark(&self, seen: ctalk_core::classic::SeenKey) -> Mark {
        Mark::Classic {
            seen,
            expires: self.client.clock.now().saturating_add(REMEMBERED),
        }
    }

    /// Whether this very copy was handled before; another copy of something handled is refused.
    fn was_handled(&self, mark: &Mark) -> Result<bool, Refusal> {
        let relay_id = self.entry.relay_id.as_deref();
        let mut in_hand = self.receiving.in_hand.iter();
        let before = match (in_hand.find(|held| held.is_same(mark)), mark) {
            (Some(held), Mark::Native { .. }) if held == mark => SeenBefore::SameCopy,
            (Some(_), _) => SeenBefore::OtherCopy,
            (None, _) => self.client.store.seen(mark, relay_id)?,
        };
        match before {
            SeenBefore::Never => Ok(false),
            SeenBefore::SameCopy => Ok(true),
            SeenBefore::OtherCopy => Err(Refusal::message(
                Reason::Replayed,
                "the same message came before, under another id",
            )),
        }
    }

    /// The keys to hold a message against: the pinned ones, else those of the directory.
    async fn sender(&mut self, from: &str) -> Result<Sender, Refusal> {
        if let Some(contact) = self.client.store.contact_at(from)? {
            return Ok(Sender::Pinned(Box::new(contact)));
        }
        let Some(directory) = self.directory().await? else {
            return Err(Refusal::message(
                Reason::UnknownSender,
                format!("`{from}` is no contact, and this relay has no directory"),
            ));
        };
        match directory.exact(from) {
            Listing::One(entry) => Directory::keys(entry)
                .map(|keys| Sender::Offered(Box::new(keys)))
                .map_err(|error| Refusal::message(Reason::UnknownSender, error)),
            Listing::Absent => Err(Refusal::message(
                Reason::UnknownSender,
                format!("the relay knows no agent `{from}`"),
            )),
            Listing::Ambiguous => Err(Refusal::message(
                Reason::KeyConflict,
                format!("the relay lists `{from}` more than once, with different keys"),
            )),
        }
    }

    async fn check_first_contact(&mut self, from: &str, keys: &PublicKeys) -> Result<(), Refusal> {
        self.directory().await?;
        let directory = match &self.receiving.directory {
            Snapshot::Taken(directory) => Some(&**directory),
            _ => None,
        };
        let (me, store) = (self.client.identity.public_keys(), &self.client.store);
        match directory::check_first_contact(directory, from, from, keys, me, store) {
            Err(error @ Error::KeyConflict(_)) => Err(Refusal::message(Reason::KeyConflict, error)),
            other => Ok(other?),
        }
    }

    fn pin(&mut self, from: &str, keys: &PublicKeys, card: Option<&Card>) -> Result<(), Refusal> {
        let now = self.client.clock.now();
        let pin = directory::Pin {
            name: from,
            address: from,
            keys,
            // A card with other classic keys than the relay shows is not taken over.
            card: card.filter(|card| card.public_keys() == keys),
            learned: Learned::FirstUse,
        };
        match pin.store(&mut self.client.store, now) {
            Err(error @ Error::NameTaken { .. }) => {
                Err(Refusal::message(Reason::KeyConflict, error))
            }
            Err(error @ Error::UnusualName { .. }) => {
                Err(Refusal::message(Reason::UnknownSender, error))
            }
            other => Ok(other?),
        }
    }

    /// A pinned sender whose message fails may have other keys now: then that is the reason.
    async fn explain(
        &mut self,
        sender: &Sender,
        reason: Reason,
        error: impl core::fmt::Display,
    ) -> Refusal {
        let detail = error.to_string();
        if let Sender::Pinned(contact) = sender {
            let address = contact.address.as_deref().unwrap_or(&contact.name);
            // Without an answer of the directory the message is refused for what it is.
            if let Ok(Some(directory)) = self.directory().await
                && let Listing::One(entry) = directory.exact(address)
                && let Ok(keys) = Directory::keys(entry)
                && let Err(change) = directory::check_pinned(contact, &keys)
            {
                return Refusal::message(Reason::KeyChanged, change);
            }
        }
        Refusal::Message(reason, detail)
    }

    /// The directory, asked at most once in the life of this run; `None` where there is none.
    async fn directory(&mut self) -> Result<Option<&Directory>, Refusal> {
        if let Snapshot::NotAsked = self.receiving.directory {
            self.receiving.directory = match Directory::fetch(&*self.client.relay).await {
                Ok(Some(directory)) => Snapshot::Taken(Box::new(directory)),
                Ok(None) => Snapshot::None,
                Err(error) => Snapshot::Failed(error),
            };
        }
        match &self.receiving.directory {
            Snapshot::Taken(directory) => Ok(Some(directory)),
            Snapshot::None | Snapshot::NotAsked => Ok(None),
            Snapshot::Failed(error) => Err(Refusal::Relay(error.clone())),
        }
    }
}

/// Whose keys a message is held against.
enum Sender {
    Pinned(Box<Contact>),
    Offered(Box<PublicKeys>),
}

impl Sender {
    fn keys(&self) -> &PublicKeys {
        match self {
            Self::Pinned(contact) => &contact.keys,
            Self::Offered(keys) => keys,
        }
    }
}

enum Verdict {
    Deliver(Box<Delivered>),
    HandledBefore,
}

struct Delivered {
    message: Received,
    mark: Mark,
    pinned_now: bool,
}

/// Why there is no message to deliver.
enum Refusal {
    /// This message is at fault.
    Message(Reason, String),
    /// The relay could not be asked; nothing is said about the message.
    Relay(RelayError),
    /// This machine is at fault, and the run cannot go on.
    Local(Error),
}

impl Refusal {
    fn message(reason: Reason, detail: impl core::fmt::Display) -> Self {
        Self::Message(reason, detail.to_string())
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            Error::Relay(error) => Self::Relay(error),
            other => Self::Local(other),
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Local(Error::Store(error))
    }
}

/// Checks one message, as a ClawTalk relay gives it, against a pinned sender, without opening it
/// and without asking anybody.
///
/// # Errors
/// [`Error::Message`] with the reason, [`Error::Store`].
pub fn verify(store: &Store, raw: &[u8]) -> Result<VerifiedSender, Error> {
    let refuse = |reason: Reason, detail: String| Error::Message { reason, detail };
    let message =
        Message::parse(raw).map_err(|error| refuse(Reason::Malformed, error.to_string()))?;
    let Message::Signed(message) = message else {
        return Err(refuse(
            Reason::NotVerified,
            "the message is not signed".to_owned(),
        ));
    };
    let from = &message.claims().from;
    let Some(contact) = store.contact_at(from)? else {
        let from = crate::text::escaped(from);
        let detail = format!("`{from:.128}` is no contact, so there is no key to check against");
        return Err(refuse(Reason::UnknownSender, detail));
    };
    match message.verify(&contact.keys) {
        Ok(verified) => Ok(VerifiedSender {
            contact,
            claims: verified.claims().clone(),
        }),
        Err(error) => Err(refuse(Reason::NotVerified, error.to_string())),
    }
}

/// The outcome of [`verify`].
#[derive(Debug)]
pub struct VerifiedSender {
    /// Whose key signed it.
    pub contact: Contact,
    /// What the message says around its payload; `to`, type, topic and correlation id are signed.
    pub claims: Claims,
}

fn unstored(delivery: Delivery, now: i64) -> Entry {
    Entry {
        number: 0,
        relay_id: delivery.relay_id,
        sent_at: delivery.sent_at.unwrap_or(now),
        stored_at: now,
        state: EntryState::New,
        reason: None,
        detail: None,
        raw: delivery.raw.into_vec(),
    }
}

fn received(
    entry: &Entry,
    claims: Claims,
    by: Option<(String, String)>,
    trust: Trust,
    payload: Box<RawValue>,
) -> Received {
    let (from, fingerprint) = by.unzip();
    let payload = Content::from_classic(payload);
    Received {
        id: claims.id,
        relay_id: entry.relay_id.clone(),
        from,
        relay_from: claims.from,
        fingerprint,
        to: claims.to,
        message_type: claims.message_type,
        topic: claims.topic,
        correlation_id: claims.correlation_id,
        reply_to: claims.reply_to,
        ts: claims.ts,
        format: if trust == Trust::Plaintext {
            Format::Plain
        } else {
            Format::Classic
        },
        encrypted: trust != Trust::Plaintext,
        trust,
        content_type: payload.content_type().to_owned(),
        name: None,
        payload,
    }
}
