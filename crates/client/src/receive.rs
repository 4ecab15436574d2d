//! Receiving: each stored message by itself goes through parse, verify, trust, open.
//!
//! A message that fails is set aside with its reason and hides none of its neighbours. What fails
//! because the relay cannot be asked right now stays new and ends the run with the relay's error.

use ctalk_core::{
    PublicKeys,
    classic::{Claims, Message, SeenKey, SignedMessage, UnsignedMessage},
};
use serde_json::value::RawValue;

use crate::{
    client::Client,
    directory::{self, Directory, Listing},
    error::Error,
    message::{Content, Format, Reason, Received, SetAside, Trust, hex},
    relay::Delivery,
    store::{Contact, Entry, SeenBefore, StoreError},
};

/// How long a handled message is remembered, in milliseconds: 90 days, the longest that a relay
/// keeps one.
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
    fn wants(&self, entry: &Entry) -> bool {
        self.since.is_none_or(|since| entry.sent_at > since)
            && self
                .topic
                .as_ref()
                .is_none_or(|topic| match Message::parse(&entry.raw) {
                    Ok(message) => message.claims().topic.as_ref() == Some(topic),
                    // What cannot be read has no topic to filter by, and must not hide in the inbox.
                    Err(_) => true,
                })
    }
}

/// The next thing that a [`Receiver`] came to.
#[derive(Debug)]
#[must_use = "a message is handed over again until `commit` was called for it"]
pub enum Next {
    /// A message to handle, then to commit.
    Message(Box<Handover>),
    /// A message was set aside.
    SetAside(SetAside),
}

/// A message in the caller's hands.
#[derive(Debug)]
pub struct Handover {
    /// The message.
    pub message: Received,
    /// Whether the sender's keys were pinned just now.
    pub pinned_now: bool,
    number: i64,
    relay_id: Option<String>,
    seen: SeenKey,
}

/// Goes through the inbox once, oldest first.
pub struct Receiver<'c> {
    client: &'c mut Client,
    filter: Filter,
    directory: Option<Directory>,
    place: Option<(i64, i64)>,
}

/// What [`Client::peek`] found.
#[derive(Debug)]
pub struct Peek {
    /// Each message or the reason why it would be set aside, oldest first.
    pub messages: Vec<Result<Received, SetAside>>,
    /// Whether the relay may hold more than it can show without deleting.
    pub truncated: bool,
}

impl<'c> Receiver<'c> {
    pub(crate) const fn new(client: &'c mut Client, filter: Filter) -> Self {
        Self {
            client,
            filter,
            directory: None,
            place: None,
        }
    }

    /// Opens the next message, sets it aside, or returns `None` at the end of the inbox.
    ///
    /// # Errors
    /// [`Error::Store`]; [`Error::Relay`] when the sender is unknown here and the relay cannot be
    /// asked. The message stays new in both cases.
    pub async fn next(&mut self) -> Result<Option<Next>, Error> {
        while let Some(entry) = self.client.store.next_new(self.place)? {
            self.place = Some((entry.sent_at, entry.number));
            if !self.filter.wants(&entry) {
                continue;
            }
            match self.judge(&entry, Pinning::FirstUse).await? {
                Verdict::Deliver(message, seen, pinned_now) => {
                    let relay_id = entry.relay_id;
                    let number = entry.number;
                    let handover = Handover {
                        message: *message,
                        pinned_now,
                        number,
                        relay_id,
                        seen,
                    };
                    return Ok(Some(Next::Message(Box::new(handover))));
                }
                Verdict::HandledBefore => self.client.store.drop_entry(entry.number)?,
                Verdict::Refuse(reason, detail) => {
                    self.client.store.set_aside(entry.number, reason, &detail)?;
                    return Ok(Some(Next::SetAside(set_aside(&entry, reason, detail))));
                }
            }
        }
        Ok(None)
    }

    /// Ends a message after it was handled: it is never handed over again, whoever delivers it.
    ///
    /// # Errors
    /// [`Error::Store`]; then the message will be handed over again.
    pub fn commit(&mut self, handover: Handover) -> Result<(), Error> {
        let now = self.client.clock.now();
        self.client.store.commit(
            handover.number,
            &handover.seen,
            handover.relay_id.as_deref(),
            now,
            now.saturating_add(REMEMBERED),
        )?;
        Ok(())
    }

    async fn judge(&mut self, entry: &Entry, pinning: Pinning) -> Result<Verdict, Error> {
        let outcome = match Message::parse(&entry.raw) {
            Err(error) => Err(Refusal::new(Reason::Malformed, error)),
            Ok(Message::Signed(message)) => self.signed(entry, message, pinning).await,
            Ok(Message::Unsigned(message)) => self.unsigned(entry, message).await,
            Ok(Message::Plain(message)) => {
                let message = message.accept();
                let seen = message.seen_key();
                self.unseen(entry, &seen, |_| {
                    let payload = message.payload().to_owned();
                    received(entry, message.claims(), None, Trust::Plaintext, payload)
                })
            }
        };
        match outcome {
            Ok(verdict) => Ok(verdict),
            Err(Refusal::Message(reason, detail)) => Ok(Verdict::Refuse(reason, detail)),
            Err(Refusal::Run(error)) => Err(error),
        }
    }

    async fn signed(
        &mut self,
        entry: &Entry,
        message: SignedMessage,
        pinning: Pinning,
    ) -> Result<Verdict, Refusal> {
        let from = message.claims().from.clone();
        let sender = self.sender(&from).await?;
        let verified = match message.verify(sender.keys()) {
            Ok(verified) => verified,
            Err(error) => {
                return Err(self
                    .explain(&sender, Reason::NotVerified, &error.to_string())
                    .await);
            }
        };
        if verified.claims().to != self.client.name {
            let to = &verified.claims().to;
            return Err(Refusal::new(
                Reason::Misaddressed,
                format!(
                    "{from} sealed it for `{to}`, and I am `{}`",
                    self.client.name
                ),
            ));
        }
        let seen = verified.seen_key();
        if let Some(handled) = self.handled(entry, &seen)? {
            return handled;
        }
        if let Sender::Offered(keys) = &sender {
            self.check_holders(&from, keys).await?;
        }
        let opened = match verified.open(&self.client.identity, &mut self.client.box_keys) {
            Ok(opened) => opened,
            Err(error) => {
                return Err(self
                    .explain(&sender, Reason::CannotOpen, &error.to_string())
                    .await);
            }
        };
        let mut pinned_now = false;
        let (name, trust) = match (&sender, pinning) {
            (Sender::Pinned(contact), _) => (contact.name.clone(), Trust::Pinned),
            (Sender::Offered(_), Pinning::Never) => (from, Trust::Unknown),
            (Sender::Offered(keys), Pinning::FirstUse) => {
                let now = self.client.clock.now();
                match directory::pin(&mut self.client.store, &from, keys, "first-use", now) {
                    Ok(()) => pinned_now = true,
                    Err(error @ Error::Store(StoreError::NameTaken { .. })) => {
                        return Err(Refusal::new(Reason::KeyConflict, error));
                    }
                    Err(error) => return Err(error.into()),
                }
                (from, Trust::Pinned)
            }
        };
        let by = (name, hex(&sender.keys().fingerprint()));
        let claims = opened.claims().clone();
        let message = received(entry, &claims, Some(by), trust, opened.into_payload());
        Ok(Verdict::Deliver(Box::new(message), seen, pinned_now))
    }

    async fn unsigned(
        &mut self,
        entry: &Entry,
        message: UnsignedMessage,
    ) -> Result<Verdict, Refusal> {
        let from = message.claims().from.clone();
        let sender = self.sender(&from).await?;
        let opened = message.open(
            sender.keys(),
            &self.client.identity,
            &mut self.client.box_keys,
        );
        let message = match opened {
            Ok(message) => message,
            Err(error) => {
                return Err(self
                    .explain(&sender, Reason::CannotOpen, &error.to_string())
                    .await);
            }
        };
        let seen = message.seen_key();
        self.unseen(entry, &seen, |_| {
            let payload = message.payload().to_owned();
            received(entry, message.claims(), None, Trust::Unsigned, payload)
        })
    }

    fn unseen(
        &self,
        entry: &Entry,
        seen: &SeenKey,
        message: impl FnOnce(&Self) -> Received,
    ) -> Result<Verdict, Refusal> {
        match self.handled(entry, seen)? {
            Some(handled) => handled,
            None => Ok(Verdict::Deliver(Box::new(message(self)), *seen, false)),
        }
    }

    /// Whether this content was handled before, and what follows.
    fn handled(
        &self,
        entry: &Entry,
        seen: &SeenKey,
    ) -> Result<Option<Result<Verdict, Refusal>>, Refusal> {
        Ok(
            match self.client.store.seen(seen, entry.relay_id.as_deref())? {
                SeenBefore::Never => None,
                SeenBefore::SameCopy => Some(Ok(Verdict::HandledBefore)),
                SeenBefore::OtherCopy => Some(Err(Refusal::new(
                    Reason::Replayed,
                    "the same sealed bytes were handled before under another id",
                ))),
            },
        )
    }

    /// The keys to hold a message against: the pinned ones, else those of the directory.
    async fn sender(&mut self, from: &str) -> Result<Sender, Refusal> {
        if from.len() > MAX_NAME || from.chars().any(crate::text::is_unsafe) {
            return Err(Refusal::new(
                Reason::Malformed,
                "the sender's name is over-long or holds control characters",
            ));
        }
        if let Some(contact) = self.client.store.contact_at(from)? {
            return Ok(Sender::Pinned(Box::new(contact)));
        }
        match self.directory().await?.exact(from) {
            Listing::One(entry) => Directory::keys(entry)
                .map(Sender::Offered)
                .map_err(|error| Refusal::new(Reason::UnknownSender, error)),
            Listing::Absent => Err(Refusal::new(
                Reason::UnknownSender,
                format!("the relay knows no agent `{from}`"),
            )),
            Listing::Ambiguous => Err(Refusal::new(
                Reason::KeyConflict,
                format!("the relay lists `{from}` more than once, with different keys"),
            )),
        }
    }

    async fn check_holders(&mut self, from: &str, keys: &PublicKeys) -> Result<(), Refusal> {
        self.directory().await?;
        let Some(directory) = &self.directory else {
            return Ok(());
        };
        let client = &*self.client;
        match directory.check_holders(from, keys, &client.identity, &client.store) {
            Err(error @ Error::KeyConflict(_)) => Err(Refusal::new(Reason::KeyConflict, error)),
            other => Ok(other?),
        }
    }

    /// A pinned sender whose message fails may have other keys now: then that is the reason.
    async fn explain(&mut self, sender: &Sender, reason: Reason, detail: &str) -> Refusal {
        let Sender::Pinned(contact) = sender else {
            return Refusal::Message(reason, detail.to_owned());
        };
        let address = contact.address.as_deref().unwrap_or(&contact.name);
        let offered = match self.directory().await {
            Ok(directory) => match directory.exact(address) {
                Listing::One(entry) => Directory::keys(entry).ok(),
                _ => None,
            },
            Err(refusal) => return refusal,
        };
        match offered.map(|keys| directory::check_pinned(contact, &keys)) {
            Some(Err(error)) => Refusal::new(Reason::KeyChanged, error),
            _ => Refusal::Message(reason, detail.to_owned()),
        }
    }

    /// The directory, asked at most once in the life of this receiver.
    async fn directory(&mut self) -> Result<&Directory, Refusal> {
        let directory = match self.directory.take() {
            Some(directory) => directory,
            None => Directory::fetch(&*self.client.relay)
                .await
                .map_err(Error::from)?,
        };
        Ok(self.directory.insert(directory))
    }
}

/// Whether a first contact may be pinned.
#[derive(Clone, Copy)]
enum Pinning {
    FirstUse,
    Never,
}

/// Whose keys a message is held against.
enum Sender {
    Pinned(Box<Contact>),
    Offered(PublicKeys),
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
    Deliver(Box<Received>, SeenKey, bool),
    HandledBefore,
    Refuse(Reason, String),
}

/// Why there is no message to deliver.
enum Refusal {
    /// This message is at fault.
    Message(Reason, String),
    /// The run cannot go on; nothing is said about the message.
    Run(Error),
}

impl Refusal {
    fn new(reason: Reason, detail: impl core::fmt::Display) -> Self {
        Self::Message(reason, detail.to_string())
    }
}

impl<E: Into<Error>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Run(error.into())
    }
}

pub(crate) async fn peek(client: &mut Client, filter: Filter) -> Result<Peek, Error> {
    let peeked = client.relay.peek().await?;
    let now = client.clock.now();
    let mut receiver = Receiver::new(client, filter);
    let mut messages = Vec::new();
    for delivery in peeked.deliveries {
        let entry = unstored(delivery, now);
        if !receiver.filter.wants(&entry) {
            continue;
        }
        match receiver.judge(&entry, Pinning::Never).await? {
            Verdict::Deliver(message, ..) => messages.push(Ok(*message)),
            Verdict::HandledBefore => {}
            Verdict::Refuse(reason, detail) => {
                messages.push(Err(set_aside(&entry, reason, detail)));
            }
        }
    }
    Ok(Peek {
        messages,
        truncated: peeked.truncated,
    })
}

/// Checks one message, as the relay gives it, against a pinned sender, without opening it and
/// without asking anybody.
///
/// # Errors
/// [`Error::Message`] with the reason, [`Error::Store`].
pub fn verify(store: &crate::store::Store, raw: &[u8]) -> Result<VerifiedSender, Error> {
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
        let detail = format!("`{from}` is no contact, so there is no key to check against");
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
        state: crate::store::EntryState::New,
        reason: None,
        detail: None,
        raw: delivery.raw.into_vec(),
    }
}

fn received(
    entry: &Entry,
    claims: &Claims,
    by: Option<(String, String)>,
    trust: Trust,
    payload: Box<RawValue>,
) -> Received {
    let claims = claims.clone();
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
        content_type: payload.content_type(),
        payload,
    }
}

fn set_aside(entry: &Entry, reason: Reason, detail: String) -> SetAside {
    let relay_from = Message::parse(&entry.raw)
        .ok()
        .map(|message| message.claims().from.clone());
    SetAside {
        number: entry.number,
        relay_id: entry.relay_id.clone(),
        relay_from,
        reason,
        detail,
    }
}
