//! Receiving: each stored message by itself goes through parse, verify, trust, open.
//!
//! A message that is handed over is claimed first, durably, so that whoever else receives with the
//! same store leaves it alone; `settle` says what became of it.
//!
//! A message that fails, or that the policy does not allow, is set aside with its reason and hides
//! none of its neighbours; one that the policy wants a decision on is held. What fails because the
//! relay cannot be asked right now stays new, and the relay's error is reported once all others were
//! handed over.

mod answer;
mod classic;
mod contract;
mod enforce;
mod judge;
mod native;
mod parts;
mod settle;

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use ctalk_core::{
    classic::Malformed,
    envelope::{EnvelopeId, Receipt, ReceiptOutcome},
};

pub(crate) use self::judge::has_usable_sender;
use self::judge::{Delivered, Judge, Refusal, Verdict};
pub(crate) use self::settle::Unsettled;
pub use self::{
    classic::{VerifiedSender, verify},
    contract::Contract,
};
use crate::{
    client::{Client, as_millis},
    directory::Directory,
    error::Error,
    message::{Reason, Received, SetAside},
    relay::{Delivery, Incoming, RelayError},
    sanitize::sanitize,
    store::{Claim, Claimable, CountKey, Entry, EntryState, Fence, Mark, REMEMBERED},
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
                Ok(Incoming::Native { .. } | Incoming::Part { .. } | Incoming::Pairing { .. })
                | Err(_) => true,
            }
    }

    fn wants_topic(&self, found: Option<&String>) -> bool {
        self.topic.as_ref().is_none_or(|topic| found == Some(topic))
    }
}

/// The next thing that [`Client::next`] came to.
#[derive(Debug)]
#[must_use = "a message is handed over again unless `commit`, `retry` or `reject` was called for it"]
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
#[must_use = "a message is handed over again unless `commit`, `retry` or `reject` was called for it"]
pub struct Handover {
    /// The message.
    pub message: Received,
    /// Which attempt at it this is, the first being 1.
    pub attempt: u32,
    /// Whether the sender's keys were pinned just now.
    pub pinned_now: bool,
    pub(crate) ticket: Ticket,
}

/// What it takes to say what became of a message.
#[derive(Clone, Debug)]
pub(crate) struct Ticket {
    pub(crate) fence: Fence,
    pub(crate) relay_id: Option<String>,
    pub(crate) mark: Mark,
    /// The envelope's id, where its sender wants a receipt.
    pub(crate) receipt: Option<EnvelopeId>,
    pub(crate) contract: Contract,
}

/// A place in the inbox, from which [`Client::next`] goes on. Others may receive with the same store at
/// the same time, in this process and in others: each message is in one hand only.
pub struct Receiving {
    filter: Filter,
    contract: Contract,
    /// The name of the handler that messages go to.
    pub(crate) handler: Option<String>,
    place: Option<(i64, i64)>,
    directory: Snapshot,
    /// Messages to look at before the inbox goes on: those to try again, and those that waited for
    /// one before them. `None` until they were looked for.
    ahead: Option<VecDeque<i64>>,
    /// Messages that wait for an earlier one of their sender.
    waiting: HashMap<[u8; 32], BTreeSet<(i64, i64)>>,
    /// How many messages the client had settled when it was last looked which of those are free.
    settled: u64,
    /// Messages that the filter does not want, so that none is opened twice to find that out.
    unwanted: HashSet<i64>,
    /// What was said of messages and is written with the next claim.
    unsettled: Vec<Unsettled>,
    /// What a peek counted for the policy's limits.
    shown: Vec<CountKey>,
    /// Why messages were left new in this run.
    failure: Option<RelayError>,
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
    fn new(filter: Filter, contract: Contract) -> Self {
        Self {
            filter,
            contract,
            handler: None,
            place: None,
            directory: Snapshot::NotAsked,
            ahead: None,
            waiting: HashMap::new(),
            settled: 0,
            unwanted: HashSet::new(),
            unsettled: Vec::new(),
            shown: Vec::new(),
            failure: None,
        }
    }

    /// Whether this run passed over an earlier message of the sender, which has to wait.
    fn has_waiting_before(&self, sender: &[u8; 32], place: (i64, i64)) -> bool {
        let first = self.waiting.get(sender).and_then(BTreeSet::first);
        first.is_some_and(|first| *first < place)
    }

    fn wait(&mut self, sender: [u8; 32], place: (i64, i64)) {
        self.waiting.entry(sender).or_default().insert(place);
    }

    /// Goes back to the oldest message, for another look at the inbox and at the directory: at what came
    /// late, what is to be tried again by now, and what others left.
    pub fn rewind(&mut self) {
        self.place = None;
        self.ahead = None;
        self.waiting.clear();
        self.directory = Snapshot::NotAsked;
        self.failure = None;
    }
}

impl Client {
    /// Begins to go through the inbox, oldest first, for a reader. What this client handed over before
    /// and nobody settled is handed over again.
    ///
    /// # Errors
    /// [`StoreError::Failed`](crate::store::StoreError::Failed).
    pub fn receive(&mut self, filter: Filter) -> Result<Receiving, Error> {
        self.receive_under(Contract::READER, filter)
    }

    /// As [`Client::receive`], under another contract.
    ///
    /// # Errors
    /// As [`Client::receive`].
    pub fn receive_under(
        &mut self,
        contract: Contract,
        filter: Filter,
    ) -> Result<Receiving, Error> {
        self.release_all()?;
        Ok(Receiving::new(filter, contract))
    }

    /// Opens the next message and puts it into the caller's hands, sets it aside, or returns `None` when
    /// there is nothing to do at the moment. While a message is in hand nobody else gets it, for as
    /// long as its lease lasts.
    ///
    /// # Errors
    /// [`Error::Store`]. [`Error::Relay`] at the end, once, if there were messages of strangers and
    /// the relay could not be asked about them; those stay new.
    pub async fn next(&mut self, receiving: &mut Receiving) -> Result<Option<Next>, Error> {
        let next = self.look(receiving).await;
        // Unless a claim took it along.
        self.settle_unsettled(receiving)?;
        next
    }

    async fn look(&mut self, receiving: &mut Receiving) -> Result<Option<Next>, Error> {
        while let Some(entry) = self.upcoming(receiving)? {
            let message = self.relay.read(&entry.raw);
            if receiving.unwanted.contains(&entry.number)
                || !receiving.filter.wants(entry.sent_at, &message)
            {
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
                        .wants_topic(delivered.message.topic.as_ref()) =>
                {
                    receiving.unwanted.insert(entry.number);
                }
                Ok(Verdict::Deliver(delivered)) => {
                    if let Some(next) = self.hand_over(receiving, entry, *delivered)? {
                        return Ok(Some(next));
                    }
                }
                Ok(Verdict::Absorbed(mark)) => {
                    let (now, relay_id) = (self.clock.now(), entry.relay_id.as_deref());
                    self.store.absorb(entry.number, &mark, relay_id, now)?;
                }
                Ok(Verdict::Part) => {}
                Ok(Verdict::HandledBefore(mark)) => {
                    let expires = self.clock.now().saturating_add(REMEMBERED);
                    self.store.end_copy(entry.number, &mark, expires)?;
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
                            self.clock.now(),
                        )?;
                    }
                }
                Err(Refusal::Message(reason, detail)) => {
                    let refused = (reason, detail);
                    let state = EntryState::Quarantined;
                    return Ok(Some(self.put_away(&entry, state, refused)?));
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

    /// The next message to look at.
    fn upcoming(&mut self, receiving: &mut Receiving) -> Result<Option<Entry>, Error> {
        if receiving.ahead.is_none() {
            let contract = &receiving.contract;
            self.store
                .reap(self.clock.monotonic(), as_millis(contract.lease))?;
            let pause = as_millis(contract.longest_pause);
            receiving.ahead = Some(self.store.due(self.clock.now(), pause)?.into());
        }
        self.free_waiting(receiving);
        while let Some(number) = receiving.ahead.as_mut().and_then(VecDeque::pop_front) {
            if let Some(entry) = self.store.new_entry(number)? {
                return Ok(Some(entry));
            }
        }
        let entry = self.store.next_new(receiving.place)?;
        if let Some(entry) = &entry {
            receiving.place = Some((entry.sent_at, entry.number));
        }
        Ok(entry)
    }

    /// Puts the first waiting message of each sender ahead of whom this client has none in hand, once
    /// after something was settled.
    fn free_waiting(&self, receiving: &mut Receiving) {
        if receiving.waiting.is_empty() || receiving.settled == self.settled {
            return;
        }
        receiving.settled = self.settled;
        let in_hand: HashSet<_> = self.in_hand.values().flatten().collect();
        let ahead = receiving.ahead.get_or_insert_default();
        for (signer, waiting) in &mut receiving.waiting {
            if !in_hand.contains(signer) {
                ahead.extend(waiting.pop_first().map(|(_, number)| number));
            }
        }
        receiving.waiting.retain(|_, waiting| !waiting.is_empty());
    }

    /// Puts a message that was judged into the caller's hands, if nobody else has it and nothing is
    /// before it.
    fn hand_over(
        &mut self,
        receiving: &mut Receiving,
        entry: Entry,
        delivered: Delivered,
    ) -> Result<Option<Next>, Error> {
        let Delivered {
            mut message,
            mark,
            signer,
            pinned_now,
            quota,
            receipt,
        } = delivered;
        let contract = receiving.contract;
        if contract.holds_unsigned && signer.is_none() && !entry.is_accepted {
            let held = (Reason::Unsigned, "nobody signed it".to_owned());
            return Ok(Some(self.put_away(&entry, EntryState::Held, held)?));
        }
        let claim = Claim {
            number: entry.number,
            mark: &mark,
            ordered_by: signer.filter(|_| contract.is_ordered),
            until: self.lease(contract.lease),
            most_attempts: contract.most_attempts,
        };
        let place = (entry.sent_at, entry.number);
        if let Some(signer) = claim.ordered_by
            && receiving.has_waiting_before(&signer, place)
        {
            // What that waits for may be settled by now, and this one must not overtake it.
            receiving.wait(signer, place);
            return Ok(None);
        }
        let unsettled = std::mem::take(&mut receiving.unsettled);
        // What was said of messages before this one becomes durable together with its claim.
        let claimed = self.batch("settle-and-claim", |client| {
            client.write_settlements(unsettled)?;
            let claimable = client.store.claimable(&claim)?;
            let Claimable::Yes(attempt) = claimable else {
                return Ok(Ok(Err(claimable)));
            };
            if let Some(quota) = &quota
                && let Err(violation) = quota.take(client, &entry)?
            {
                return Ok(Err(violation));
            }
            let fence = client.store.claim(&claim, signer, attempt)?;
            Ok::<_, Error>(Ok(Ok(fence)))
        })?;
        let fence = match claimed {
            Ok(Ok(fence)) => fence,
            Ok(Err(Claimable::Yes(_) | Claimable::Taken)) => return Ok(None),
            Ok(Err(Claimable::Waits)) => {
                if let Some(signer) = signer {
                    receiving.wait(signer, place);
                }
                return Ok(None);
            }
            Ok(Err(Claimable::Exhausted(attempts))) => {
                let why = format!("it was tried {attempts} times");
                if let (Some(id), Some(from)) = (receipt, &message.from)
                    && let Some(contact) = self.contact_for(from)?
                {
                    let failed = Receipt::new(id, ReceiptOutcome::Failed, attempts, &[]);
                    self.answer_now(&contact, &mark, failed)?;
                }
                self.store.exhaust(&claim, &why, self.clock.now())?;
                let dead = (Reason::Handler, why);
                let aside = self.set_aside(&entry, EntryState::Dead, dead);
                return Ok(Some(Next::SetAside(aside)));
            }
            Err(violation) => {
                let refused = (Reason::Policy, violation.to_string());
                let state = EntryState::Quarantined;
                return Ok(Some(self.put_away(&entry, state, refused)?));
            }
        };
        if contract.sanitizes {
            sanitize(&mut message);
        }
        let handover = Box::new(Handover {
            message,
            attempt: fence.attempt,
            pinned_now,
            ticket: Ticket {
                fence,
                relay_id: entry.relay_id,
                mark,
                receipt,
                contract,
            },
        });
        self.in_hand.insert(fence, signer);
        Ok(Some(if signer.is_some() {
            Next::Message(handover)
        } else {
            Next::Unauthenticated(handover)
        }))
    }

    /// What waits at the relay, opened as far as possible; changes nothing here or there.
    ///
    /// # Errors
    /// [`Error::Relay`], [`Error::Store`].
    pub async fn peek(&mut self, filter: Filter) -> Result<Peek, Error> {
        let peeked = self.relay.peek().await?;
        let now = self.clock.now();
        let mut receiving = Receiving::new(filter, Contract::READER);
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
                Ok(
                    Verdict::HandledBefore(_)
                    | Verdict::Absorbed(_)
                    | Verdict::Pairing
                    | Verdict::Part,
                ) => {}
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
        let now = self.clock.now();
        self.store
            .put_away(entry.number, state, reason, &detail, now)?;
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
        envelope: None,
        attempt: 0,
        due: None,
        is_accepted: false,
        is_counted: false,
    }
}
