//! Receiving: each stored message by itself goes through parse, verify, trust, open.
//!
//! A message that is handed over is claimed first, durably, so that whoever else receives with the
//! same store leaves it alone; `settle` says what became of it.
//!
//! A message that fails, or that the policy does not allow, is set aside with its reason and hides
//! none of its neighbours; one that the policy wants a decision on is held. What fails because the
//! relay cannot be asked right now stays new, and the relay's error is reported once all others were
//! handed over.

mod ahead;
mod answer;
mod attend;
mod classic;
mod contract;
mod enforce;
mod judge;
mod native;
mod parts;
mod peek;
mod settle;
mod waiting;

use std::collections::{HashMap, HashSet, VecDeque};

use ctalk_core::{
    classic::Malformed,
    envelope::{EnvelopeId, Receipt, ReceiptOutcome},
};

pub(crate) use self::judge::has_usable_sender;
use self::{
    ahead::Ahead,
    judge::{Delivered, Judge, Refusal, Verdict},
    parts::Told,
    waiting::Waiting,
};
pub(crate) use self::{attend::Attending, contract::LEASE, settle::Unsettled};
pub use self::{
    attend::Response,
    classic::{VerifiedSender, verify},
    contract::Contract,
    peek::Peek,
};
use crate::{
    client::{Client, as_millis},
    directory::Directory,
    error::Error,
    message::{Reason, Received, SetAside},
    policy::Violation,
    relay::{Incoming, RelayError},
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

impl Handover {
    /// The message by itself, and what it takes to say what became of it.
    #[must_use = "a message is handed over again unless `commit`, `retry` or `reject` was called for it"]
    pub fn into_parts(self) -> (Received, Ticket) {
        (self.message, self.ticket)
    }
}

impl From<Handover> for Ticket {
    fn from(handover: Handover) -> Self {
        handover.ticket
    }
}

/// What it takes to say what became of a message. It counts once.
#[derive(Clone, Debug)]
pub struct Ticket {
    pub(crate) fence: Fence,
    pub(crate) relay_id: Option<String>,
    pub(crate) mark: Mark,
    /// The key that signed it.
    pub(crate) signer: Option<[u8; 32]>,
    /// The envelope's id, where its sender wants a receipt.
    pub(crate) receipt: Option<EnvelopeId>,
    pub(crate) contract: Contract,
}

/// Why a message is not handed over now.
enum NotClaimed {
    /// Somebody else has it, or has ended it.
    Taken,
    /// An earlier message of its sender is not settled.
    Waits,
    /// Something came late that has its place before it, and may be of its sender.
    Late,
    /// It was tried so often already.
    Exhausted(u32),
    /// It is one too many.
    Violates(Violation),
}

/// What came of a look at one message.
pub(crate) enum Looked {
    /// Something for the caller.
    Next(Next),
    /// Nothing for the caller; there may be more.
    Past,
    /// There is nothing to look at.
    End,
}

/// A place in the inbox, from which [`Client::next`] goes on. Others may receive with the same store at
/// the same time, in this process and in others: each message is in one hand only.
pub struct Receiving {
    filter: Filter,
    contract: Contract,
    /// The name of the handler that messages go to.
    pub(crate) handler: Option<String>,
    place: Option<(i64, i64)>,
    /// The number of the last message that was there when this run began at the oldest one.
    horizon: i64,
    directory: Snapshot,
    /// When it was asked, in milliseconds since the Unix epoch.
    asked_at: i64,
    /// Messages to try again, which are looked at before the inbox goes on. `None` until they were
    /// looked for.
    ahead: Option<VecDeque<i64>>,
    opened_ahead: Option<Ahead>,
    /// What is being judged. Stays when that is broken off.
    under_way: Option<i64>,
    /// Of which envelopes the user was told that their parts are refused.
    told: Told,
    /// The contact that signed what is being judged, unless it only wrote first.
    contact: Option<i64>,
    waiting: Waiting,
    /// Messages that the filter does not want, so that none is opened twice to find that out.
    unwanted: HashSet<i64>,
    /// Responses that are for whoever made the call, and until when.
    awaited: HashMap<i64, i64>,
    /// Whether this run takes only what it waits for and leaves all else to others, refusals too.
    attends: bool,
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

impl Receiving {
    fn new(filter: Filter, contract: Contract) -> Self {
        Self {
            filter,
            contract,
            handler: None,
            place: None,
            horizon: 0,
            directory: Snapshot::NotAsked,
            asked_at: 0,
            ahead: None,
            opened_ahead: None,
            under_way: None,
            told: Told::default(),
            contact: None,
            waiting: Waiting::default(),
            unwanted: HashSet::new(),
            awaited: HashMap::new(),
            attends: false,
            unsettled: Vec::new(),
            shown: Vec::new(),
            failure: None,
        }
    }

    /// Goes back to the oldest message, but asks nobody anew.
    fn begin_again(&mut self) {
        self.place = None;
        self.ahead = None;
        self.waiting.begin_again();
    }

    /// Goes back to the oldest message, for another look at the inbox and at the directory: at what came
    /// late, what is to be tried again by now, and what others left.
    pub fn rewind(&mut self) {
        self.begin_again();
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
        loop {
            match self.look(receiving).await? {
                Looked::Next(next) => return Ok(Some(next)),
                Looked::Past => {}
                Looked::End => return Ok(None),
            }
        }
    }

    /// Looks at one message. It may be broken off, and then the next look is at the same one.
    ///
    /// # Errors
    /// As [`Client::next`].
    pub(crate) async fn look(&mut self, receiving: &mut Receiving) -> Result<Looked, Error> {
        let looked = self.look_at(receiving).await;
        // Unless a claim took it along.
        self.settle_unsettled(receiving)?;
        looked
    }

    async fn look_at(&mut self, receiving: &mut Receiving) -> Result<Looked, Error> {
        let Some(entry) = self.upcoming(receiving)? else {
            if let Some(error) = receiving.failure.take() {
                return Err(Error::Relay(error));
            }
            // Every part that came in time was looked at.
            self.store.give_up_unfinished(self.clock.now())?;
            return Ok(Looked::End);
        };
        receiving.under_way = Some(entry.number);
        receiving.contact = None;
        let looked = self.look_into(receiving, entry).await;
        receiving.under_way = None;
        if looked.is_err() {
            // It was passed, and must not be overtaken by what its sender wrote later.
            receiving.begin_again();
        }
        Ok(looked?.map_or(Looked::Past, Looked::Next))
    }

    /// Judges a message and does what follows from it.
    async fn look_into(
        &mut self,
        receiving: &mut Receiving,
        entry: Entry,
    ) -> Result<Option<Next>, Error> {
        let message = self.relay.read(&entry.raw);
        if !receiving.filter.wants(entry.sent_at, &message) {
            receiving.unwanted.insert(entry.number);
            return Ok(None);
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
                return self.hand_over(receiving, entry, *delivered);
            }
            Ok(Verdict::Absorbed(mark)) => {
                let (now, relay_id) = (self.clock.now(), entry.relay_id.as_deref());
                self.store.absorb(entry.number, &mark, relay_id, now)?;
            }
            Ok(Verdict::Awaited(awaited)) => {
                receiving.awaited.insert(entry.number, awaited.until);
            }
            Ok(Verdict::Part) => {}
            Ok(Verdict::RefusedPart(part)) => {
                let is_first = receiving.told.is_first(&part);
                let refused = (Reason::Part, part.detail);
                let aside = self.put_away(receiving, &entry, EntryState::Quarantined, refused)?;
                if is_first {
                    return Ok(Some(aside));
                }
            }
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
                        None,
                        EntryState::Quarantined,
                        (Reason::Pairing, detail),
                        self.clock.now(),
                    )?;
                }
            }
            Err(Refusal::Message(reason, detail)) => {
                let refused = (reason, detail);
                let state = EntryState::Quarantined;
                return Ok(Some(self.put_away(receiving, &entry, state, refused)?));
            }
            Err(Refusal::Held(detail)) => {
                let held = (Reason::Policy, detail);
                return Ok(Some(self.put_away(
                    receiving,
                    &entry,
                    EntryState::Held,
                    held,
                )?));
            }
            Err(Refusal::Relay(error)) => receiving.failure = Some(error),
            Err(Refusal::Local(error)) => return Err(error),
        }
        receiving.waiting.stir();
        Ok(None)
    }

    /// The next message to look at.
    fn upcoming(&mut self, receiving: &mut Receiving) -> Result<Option<Entry>, Error> {
        if let Some(number) = receiving.under_way.take()
            && let Some(entry) = self.store.new_entry(number)?
        {
            return Ok(Some(entry));
        }
        let pause = as_millis(receiving.contract.longest_pause);
        if receiving.ahead.is_none() {
            self.store.reap(self.clock.monotonic(), as_millis(LEASE))?;
            receiving.horizon = self.store.last_number()?;
            receiving.ahead = Some(self.store.due(self.clock.now(), pause)?.into());
        }
        let entry = match self.ahead(receiving, receiving.place)? {
            None => self.unseen(receiving)?,
            ahead => ahead,
        };
        if entry.is_some() || !receiving.waiting.is_stirred() {
            return Ok(entry);
        }
        // Now there is nothing that this run has yet to come to.
        self.ahead(receiving, Some((i64::MAX, i64::MAX)))
    }

    /// The next message to try again, or that waited and has its place before what the run has passed.
    fn ahead(
        &self,
        receiving: &mut Receiving,
        passed: Option<(i64, i64)>,
    ) -> Result<Option<Entry>, Error> {
        let pause = as_millis(receiving.contract.longest_pause);
        loop {
            let again = receiving.ahead.as_mut().and_then(VecDeque::pop_front);
            let in_hand = self.in_hand.values().flatten();
            let freed = || receiving.waiting.next(self.settled, in_hand, passed);
            let Some(number) = again.or_else(freed) else {
                return Ok(None);
            };
            match self.store.new_entry(number)? {
                // Another worker gave it back meanwhile; it comes up when it is due.
                Some(entry) if !entry.is_due(self.clock.now(), pause) => {}
                Some(entry) => return Ok(Some(entry)),
                // Another worker had it, and the next one of its sender may be free too.
                None => receiving.waiting.stir(),
            }
        }
    }

    /// The next message in the run that nobody has tried and that does not wait.
    fn unseen(&self, receiving: &mut Receiving) -> Result<Option<Entry>, Error> {
        while let Some(place) = self.store.next_place(receiving.place)? {
            receiving.place = Some(place);
            let (_, number) = place;
            let awaited = receiving.awaited.get(&number);
            if awaited.is_some_and(|until| self.clock.now() < *until) {
                continue;
            }
            if receiving.unwanted.contains(&number) || receiving.waiting.contains(number) {
                continue;
            }
            if let Some(entry) = self.store.new_entry(number)? {
                return Ok(Some(entry));
            }
        }
        Ok(None)
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
            return Ok(Some(self.put_away(
                receiving,
                &entry,
                EntryState::Held,
                held,
            )?));
        }
        let claim = Claim {
            number: entry.number,
            mark: &mark,
            ordered_by: signer.filter(|_| contract.is_ordered),
            until: self.lease(),
            most_attempts: contract.most_attempts,
            contact: receiving.contact,
        };
        let place = (entry.sent_at, entry.number);
        if let Some(signer) = claim.ordered_by
            && receiving.waiting.is_before(&signer, place)
        {
            // What that waits for may be settled by now, and this one must not overtake it.
            receiving.waiting.add(signer, place);
            return Ok(None);
        }
        self.open_ahead(receiving)?;
        // What was said of messages before this one becomes durable together with its claim.
        let claimed = self.batch("settle-and-claim", |client| {
            client.write_settlements(&receiving.unsettled)?;
            if claim.ordered_by.is_some() && client.store.has_late(receiving.horizon, place)? {
                return Ok(Err(NotClaimed::Late));
            }
            let fence = match client.store.claimable(&claim)? {
                Claimable::Yes(fence) => fence,
                Claimable::Taken => return Ok(Err(NotClaimed::Taken)),
                Claimable::Waits => return Ok(Err(NotClaimed::Waits)),
                Claimable::Exhausted(attempts) => return Ok(Err(NotClaimed::Exhausted(attempts))),
            };
            if let Some(quota) = &quota
                && let Err(violation) = quota.take(client, &entry)?
            {
                return Ok(Err(NotClaimed::Violates(violation)));
            }
            client.store.claim(&claim, signer, fence)?;
            Ok::<_, Error>(Ok(fence))
        })?;
        receiving.unsettled.clear();
        let fence = match claimed {
            Ok(fence) => fence,
            Err(NotClaimed::Taken) => {
                receiving.waiting.stir();
                return Ok(None);
            }
            Err(NotClaimed::Late) => {
                receiving.begin_again();
                return Ok(None);
            }
            Err(NotClaimed::Waits) => {
                if let Some(signer) = signer {
                    receiving.waiting.add(signer, place);
                }
                return Ok(None);
            }
            Err(NotClaimed::Exhausted(attempts)) => {
                let why = format!("it was tried {attempts} times");
                receiving.waiting.stir();
                let answer = match (receipt, self.signer(signer)?) {
                    (Some(id), Some(contact)) => {
                        let failed = Receipt::new(id, ReceiptOutcome::Failed, attempts, &[]);
                        self.sealed_answer(&contact, failed)
                    }
                    _ => None,
                };
                let is_mine = self.batch("give-up", |client| {
                    let now = client.clock.now();
                    let is_mine = client.store.exhaust(&claim, &why, now)?;
                    if let (true, Some(answer)) = (is_mine, &answer) {
                        client.write_answer(&mark, answer)?;
                    }
                    Ok::<_, Error>(is_mine)
                })?;
                if !is_mine {
                    return Ok(None);
                }
                let dead = (Reason::Handler, why);
                let aside = self.set_aside(&entry, EntryState::Dead, dead);
                return Ok(Some(Next::SetAside(aside)));
            }
            Err(NotClaimed::Violates(violation)) => {
                receiving.waiting.stir();
                let refused = (Reason::Policy, violation.to_string());
                let state = EntryState::Quarantined;
                return Ok(Some(self.put_away(receiving, &entry, state, refused)?));
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
                signer,
                receipt,
                contract,
            },
        });
        self.in_hand.insert(fence, signer);
        if let Some(keeper) = &self.keeper {
            keeper.hold(fence);
        }
        Ok(Some(if signer.is_some() {
            Next::Message(handover)
        } else {
            Next::Unauthenticated(handover)
        }))
    }

    /// Records that a message is held or set aside.
    fn put_away(
        &mut self,
        receiving: &Receiving,
        entry: &Entry,
        state: EntryState,
        (reason, detail): (Reason, String),
    ) -> Result<Next, Error> {
        let now = self.clock.now();
        self.store.put_away(
            entry.number,
            receiving.contact,
            state,
            (reason, &detail),
            now,
        )?;
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
