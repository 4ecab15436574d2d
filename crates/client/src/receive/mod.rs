//! Receiving: each stored message by itself goes through parse, verify, trust, open.
//!
//! A message that fails, or that the policy does not allow, is set aside with its reason and hides
//! none of its neighbours; one that the policy wants a decision on is held. What fails because the
//! relay cannot be asked right now stays new, and the relay's error is reported once all others were
//! handed over.

mod classic;
mod enforce;
mod judge;
mod native;

use std::{collections::HashMap, fs::File};

use ctalk_core::classic::Malformed;

pub use self::classic::{VerifiedSender, verify};
pub(crate) use self::judge::has_usable_sender;
use self::judge::{Judge, Refusal, Verdict};
use crate::{
    client::Client,
    directory::Directory,
    error::Error,
    message::{Reason, Received, SetAside},
    relay::{Delivery, Incoming, RelayError},
    store::{CountKey, Entry, EntryState, Mark, Message, REMEMBERED},
};

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
                Ok(Incoming::Native { .. } | Incoming::Pairing { .. }) | Err(_) => true,
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
    /// A message was set aside, or is held.
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
    in_hand: HashMap<Message, InHand>,
    /// What a peek counted for the policy's limits.
    shown: Vec<CountKey>,
    /// Why messages were left new in this run.
    failure: Option<RelayError>,
    _lock: Option<File>,
}

/// A message that was handed over.
struct InHand {
    number: i64,
    mark: Mark,
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
            in_hand: HashMap::new(),
            shown: Vec::new(),
            failure: None,
            _lock: lock,
        }
    }

    /// Goes back to the oldest message, for another look at the inbox and at the directory. What was
    /// handed over and not committed is handed over again.
    pub fn rewind(&mut self) {
        self.place = None;
        self.in_hand.clear();
        self.directory = Snapshot::NotAsked;
        self.failure = None;
    }
}

impl Client {
    /// Begins to go through the inbox, oldest first.
    ///
    /// # Errors
    /// [`StoreError::AlreadyReceiving`](crate::store::StoreError::AlreadyReceiving),
    /// [`StoreError::Failed`](crate::store::StoreError::Failed).
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
                    if let Some(quota) = &delivered.quota
                        && let Err(violation) = quota.take(self, &entry)?
                    {
                        let refused = (Reason::Policy, violation.to_string());
                        return Ok(Some(self.put_away(
                            &entry,
                            EntryState::Quarantined,
                            refused,
                        )?));
                    }
                    let in_hand = InHand {
                        number: entry.number,
                        mark: delivered.mark,
                    };
                    receiving.in_hand.insert(delivered.mark.message(), in_hand);
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
                Ok(Verdict::Absorbed(mark)) => {
                    let (now, relay_id) = (self.clock.now(), entry.relay_id.as_deref());
                    self.store.commit(entry.number, &mark, relay_id, now)?;
                }
                Ok(Verdict::HandledBefore) => {
                    let expires = self.clock.now().saturating_add(REMEMBERED);
                    self.store.end(entry.number, expires)?;
                }
                Ok(Verdict::Pairing) => {
                    // Not reported: anybody can send one, and there is nothing to do about it.
                    if !self.store.is_pairing()? {
                        let detail = "no pairing code was open";
                        self.store.put_away(
                            entry.number,
                            EntryState::Quarantined,
                            Reason::Pairing,
                            detail,
                        )?;
                    }
                }
                Err(Refusal::Message(reason, detail)) => {
                    let refused = (reason, detail);
                    return Ok(Some(self.put_away(
                        &entry,
                        EntryState::Quarantined,
                        refused,
                    )?));
                }
                Err(Refusal::Held(detail)) => {
                    let held = (Reason::Policy, detail);
                    return Ok(Some(self.put_away(&entry, EntryState::Held, held)?));
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
                Ok(Verdict::Deliver(delivered))
                    if !receiving
                        .filter
                        .wants_topic(delivered.message.topic.as_ref()) => {}
                Ok(Verdict::Deliver(delivered)) => {
                    let counted = match delivered.quota {
                        Some(quota) => quota.would_take(self, &mut receiving.shown)?,
                        None => Ok(()),
                    };
                    messages.push(match counted {
                        Ok(()) => Ok(delivered.message),
                        Err(violation) => Err(self.set_aside(
                            &entry,
                            EntryState::Quarantined,
                            (Reason::Policy, violation.to_string()),
                        )),
                    });
                }
                Ok(Verdict::HandledBefore | Verdict::Absorbed(_) | Verdict::Pairing) => {}
                Err(Refusal::Message(reason, detail)) => {
                    let refused = (reason, detail);
                    messages.push(Err(self.set_aside(
                        &entry,
                        EntryState::Quarantined,
                        refused,
                    )));
                }
                Err(Refusal::Held(detail)) => {
                    let held = (Reason::Policy, detail);
                    messages.push(Err(self.set_aside(&entry, EntryState::Held, held)));
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

    /// Records that a message is held or set aside.
    fn put_away(
        &mut self,
        entry: &Entry,
        state: EntryState,
        (reason, detail): (Reason, String),
    ) -> Result<Next, Error> {
        self.store.put_away(entry.number, state, reason, &detail)?;
        let aside = self.set_aside(entry, state, (reason, detail));
        Ok(Next::SetAside(aside))
    }

    fn set_aside(
        &self,
        entry: &Entry,
        state: EntryState,
        (reason, detail): (Reason, String),
    ) -> SetAside {
        let message = self.relay.read(&entry.raw).ok();
        SetAside {
            number: entry.number,
            state,
            relay_id: entry.relay_id.clone(),
            relay_from: message.map(|message| message.claims().from.clone()),
            reason,
            detail,
        }
    }
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
        is_accepted: false,
        is_counted: false,
    }
}
