//! The outbox: what is sent lies on the disk before it leaves, and stays until the relay has confirmed it.
//!
//! So a crash loses nothing, and what may have arrived before is sent again as the same bytes, which a
//! receiver of envelopes takes once. Whoever talks to the relay hands over what is due: several
//! processes may, and each message is in the hands of one of them at a time.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{
    client::{Client, MAX_PAYLOAD},
    directory::Directory,
    endings::{self, Notice},
    error::{Class, Error},
    message::{Draft, Progress, Sent},
    relay::{Accepted, Body, MAX_RATE_WAIT, Outgoing, RelayError},
    send::{self, Plan, Planned},
    store::{
        Claimed, Enqueued, Key, MAX_PAUSE, NewOutcome, OutboxState, OutcomeState, Settled, Way,
    },
};

/// Pause after the first attempt, in milliseconds; each one after that doubles it.
const FIRST_PAUSE: i64 = 1000;
/// Longest pause between attempts, in milliseconds, before jitter.
const LAST_PAUSE: i64 = 5 * 60 * 1000;
/// After how long receipts are overdue and the message is sent again, in milliseconds: at first, and at
/// last, before jitter.
const FIRST_OVERDUE: i64 = 30 * 1000;
const LAST_OVERDUE: i64 = 45 * 60 * 1000;
/// So many answers in a row that never came are no longer the bad luck of single messages: the relay is
/// away, and the rest of the outbox is left for later.
const MOST_LOST: u32 = 2;
/// How often it is looked whether another process has handed a message over.
const LOOK: Duration = Duration::from_millis(50);
/// How long that is waited for, which is as long as the other one's claim lasts.
const OTHERS: Duration = Duration::from_secs(60);

/// How a message is sent.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Manner {
    Sealed,
    Plaintext,
    Broadcast,
}

/// What else a message goes to than the recipients whom it is sealed for here.
#[derive(Clone, Copy)]
pub(crate) struct Among<'a> {
    /// All recipients, whom an idempotency key stands for together.
    pub(crate) everybody: &'a [String],
    /// The relays that get a copy.
    pub(crate) others: &'a [Way],
}

impl<'a> Among<'a> {
    /// Nobody and nothing else.
    pub(crate) const fn these(everybody: &'a [String]) -> Self {
        let others = &[];
        Self { everybody, others }
    }
}

/// What became of a message in the outbox.
#[derive(Clone, Debug)]
pub struct Flushed {
    /// Its number there.
    pub number: i64,
    /// The envelope's id; other formats have none of their own.
    pub id: Option<String>,
    /// Names of those who get it.
    pub to: Vec<String>,
    /// What became of it.
    pub fate: Fate,
}

/// What became of an attempt to send a message.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Fate {
    /// The relay has it.
    Sent(Accepted),
    /// Not now: it stays in the outbox and is tried again.
    Queued(RelayError),
    /// The relay refuses it for good. It stays in the outbox to be looked at, unless whoever sent it
    /// is told at once.
    Failed(RelayError),
    /// Its life is over, and it was taken out.
    Expired,
    /// The relay had it, its life is over, and a receipt did not come. It was taken out.
    Unanswered,
}

/// What follows an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Next,
    /// The connection was lost, or nothing came over it: the next message may fare better.
    Lost,
    /// No message would fare better.
    Stop,
    /// The relay wants to be left alone for so long.
    Pause(Duration),
}

impl Client {
    /// As [`Client::send`], but only puts the message into the outbox, which works without the relay
    /// for contacts whose key card it showed within the last day. [`Client::flush`] sends it.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn enqueue(
        &mut self,
        recipients: &[String],
        draft: &Draft,
    ) -> Result<Vec<Result<Sent, Error>>, Error> {
        let among = Among::these(recipients);
        self.post(recipients, among, draft, Manner::Sealed, false)
            .await
    }

    /// Sends what is in the outbox, whether its next attempt is due or not, as fast as the relay's rate
    /// limit lets it. Returns what became of each message that was tried or expired; when the relay
    /// cannot be reached, or two messages in a row get no answer, the others were not tried.
    ///
    /// # Errors
    /// [`Error::OwnIdentityEnded`], [`Error::Store`].
    pub async fn flush(&mut self) -> Result<Vec<Flushed>, Error> {
        endings::check_own_not_ended(&self.store, self.public_keys())?;
        let mut flushed = self.expired()?;
        self.store.hasten_outgoing()?;
        let claimed = self.claim()?;
        flushed.extend(self.send_out(claimed, &[], true).await?);
        self.store_buffered()?;
        Ok(flushed)
    }

    /// Sends what is due in the outbox and does not wait for a rate limit. What failed or expired is
    /// among the [notices](Client::take_notices). For whoever talks to the relay anyway. Does nothing
    /// for an identity that has ended.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn flush_due(&mut self) -> Result<(), Error> {
        match endings::check_own_not_ended(&self.store, self.public_keys()) {
            Err(Error::OwnIdentityEnded { .. }) => return Ok(()),
            checked => checked?,
        }
        let mut flushed = self.expired()?;
        let claimed = self.claim()?;
        flushed.extend(self.send_out(claimed, &[], false).await?);
        self.note(flushed);
        Ok(())
    }

    /// Seals a message, puts it into the outbox, and hands it over unless it is not to be waited for.
    pub(crate) async fn post(
        &mut self,
        recipients: &[String],
        among: Among<'_>,
        draft: &Draft,
        manner: Manner,
        waits: bool,
    ) -> Result<Vec<Result<Sent, Error>>, Error> {
        endings::check_own_not_ended(&self.store, self.public_keys())?;
        let found = draft.content.as_bytes().len();
        if found > MAX_PAYLOAD {
            return Err(Error::PayloadTooLong { found });
        }
        self.put_back()?;
        let key = self.key(among.everybody, draft, manner)?;
        let (recorded, plan, numbers, claimed) = loop {
            let recorded = match &key {
                Some(key) => self.store.outcomes(key)?,
                None => Some(HashMap::new()),
            };
            let recorded = recorded.ok_or(Error::IdempotencyMismatch)?;
            let mut named = HashSet::new();
            let new: Vec<String> = recipients
                .iter()
                .filter(|name| !recorded.contains_key(*name) && named.insert(*name))
                .cloned()
                .collect();
            let plan = self.plan(&new, draft, manner).await?;
            if plan.messages.is_empty() {
                break (recorded, plan, Vec::new(), None);
            }
            let planned = plan.outcomes.iter().zip(&new);
            let outcomes: Vec<_> = planned
                .filter_map(|(planned, recipient)| {
                    planned.as_ref().ok().map(|planned| NewOutcome {
                        recipient,
                        place: planned.place,
                        sent: &planned.sent,
                    })
                })
                .collect();
            let key = key.as_ref().map(|key| (key, &*outcomes));
            let claims_at = (waits && self.relay.is_mine()).then(|| self.clock.monotonic());
            let now = self.clock.now();
            let messages = &plan.messages;
            let enqueued = self
                .store
                .enqueue(messages, among.others, key, now, claims_at)?;
            // Nothing is there if another process used the key meanwhile; then its outcome counts.
            if let Some(Enqueued { numbers, claimed }) = enqueued {
                break (recorded, plan, numbers, claimed);
            }
        };
        let mut mine = numbers.clone();
        let queued = recorded
            .values()
            .filter(|outcome| outcome.state == OutcomeState::Queued);
        mine.extend(queued.map(|outcome| outcome.number));
        mine.sort_unstable();
        mine.dedup();
        let mut fates = HashMap::new();
        if waits && !mine.is_empty() {
            for number in mine.iter().filter(|number| !numbers.contains(number)) {
                self.store.retry_outgoing(*number)?;
            }
            fates = self.send_mine(claimed, &mine).await?;
        }
        let mut told = HashSet::new();
        let mut fate = |number: i64, sent: Sent| match fates.get(&number) {
            None => Ok(sent),
            Some(fate) => fate.outcome(number, sent, told.insert(number)),
        };
        let mut planned = plan.outcomes.into_iter();
        // A name that is given twice gets the message once, and both times has that outcome.
        let mut before: HashMap<&String, Result<Planned, Class>> = HashMap::new();
        let mut outcomes = Vec::with_capacity(recipients.len());
        for recipient in recipients {
            outcomes.extend(match recorded.get(recipient) {
                Some(outcome) => {
                    let sent = Sent {
                        pinned: false,
                        ..outcome.sent.clone()
                    };
                    Some(match outcome.state {
                        OutcomeState::Queued => fate(outcome.number, sent),
                        OutcomeState::Sent => Ok(sent),
                        OutcomeState::GivenUp => Err(Error::GivenUp),
                    })
                }
                None => match before.get(recipient) {
                    Some(Ok(planned)) => Some(Ok(planned.clone())),
                    Some(Err(class)) => Some(Err(Error::SharedMessage { class: *class })),
                    None => planned.next().inspect(|planned| {
                        let summary = planned.as_ref().map(Planned::again).map_err(Error::class);
                        before.insert(recipient, summary);
                    }),
                }
                .map(|planned| {
                    let planned = planned?;
                    match numbers.get(planned.place) {
                        Some(number) => fate(*number, planned.sent),
                        None => Ok(planned.sent),
                    }
                }),
            });
        }
        self.store_buffered()?;
        Ok(outcomes)
    }

    /// Seals a message for one recipient, puts it into the outbox together with what `record` writes, and
    /// hands it over. When `record` fails nothing is put there.
    pub(crate) async fn post_recorded(
        &mut self,
        recipient: &str,
        draft: &Draft,
        record: impl FnOnce(&mut Self, &Sent) -> Result<(), Error>,
    ) -> Result<Sent, Error> {
        endings::check_own_not_ended(&self.store, self.public_keys())?;
        let found = draft.content.as_bytes().len();
        if found > MAX_PAYLOAD {
            return Err(Error::PayloadTooLong { found });
        }
        let names = [recipient.to_owned()];
        let mut plan = self.plan(&names, draft, Manner::Sealed).await?;
        let [name] = names;
        let planned = plan.outcomes.pop();
        let sent = planned.ok_or(Error::UnknownRecipient { name })??.sent;
        let numbers = self.batch("post-recorded", |client| {
            record(client, &sent)?;
            let now = client.clock.now();
            let enqueued = client.store.enqueue(&plan.messages, &[], None, now, None)?;
            Ok::<_, Error>(enqueued.map_or_else(Vec::new, |enqueued| enqueued.numbers))
        })?;
        self.hand_over_one(&numbers, sent).await
    }

    /// Hands over one message that is in the outbox.
    pub(crate) async fn hand_over_one(
        &mut self,
        numbers: &[i64],
        sent: Sent,
    ) -> Result<Sent, Error> {
        let fates = self.send_mine(None, numbers).await?;
        self.store_buffered()?;
        match fates.into_iter().next() {
            Some((number, fate)) => fate.outcome(number, sent, true),
            None => Ok(sent),
        }
    }

    /// Seals a message for everybody named, after a look at the relay's directory where that is needed.
    async fn plan(
        &mut self,
        names: &[String],
        draft: &Draft,
        manner: Manner,
    ) -> Result<Plan, Error> {
        let needs_directory = match manner {
            Manner::Sealed => send::needs_directory(self, names)?,
            Manner::Plaintext => !names.is_empty(),
            Manner::Broadcast => false,
        };
        let directory = if needs_directory {
            Directory::fetch(&*self.relay).await?
        } else {
            None
        };
        Ok(match manner {
            Manner::Sealed => send::sealed(self, directory.as_ref(), names, draft),
            Manner::Plaintext => send::plaintext(self, directory.as_ref(), names, draft),
            Manner::Broadcast if names.is_empty() => Plan::default(),
            Manner::Broadcast => send::broadcast(self, draft)?,
        })
    }

    /// The draft's key with a digest of all that it stands for.
    fn key(
        &self,
        recipients: &[String],
        draft: &Draft,
        manner: Manner,
    ) -> Result<Option<Key>, Error> {
        let Some(key) = &draft.idempotency_key else {
            return Ok(None);
        };
        let outside = serde_json::to_vec(&Outside {
            manner,
            recipients,
            message_type: draft.message_type.as_str(),
            content_type: draft.content.content_type(),
            topic: draft.topic.as_deref(),
            public_topic: draft.public_topic,
            correlation_id: draft.correlation_id.as_deref(),
            reply_to: draft.reply_to.as_deref(),
            ttl: draft.ttl,
            name: draft.name.as_deref(),
            receipt: draft.receipt,
        })
        .map_err(|_| Error::NotText)?;
        let content = draft.content.as_bytes();
        Ok(Some(Key {
            sender: *self.public_keys().verifying().as_bytes(),
            key: self.identity.keyed_digest(&[b"key", key.as_bytes()]),
            content: self.identity.keyed_digest(&[b"content", &outside, content]),
        }))
    }

    /// Hands over what was moved here from another relay's outbox, and changes the outcomes to what becomes
    /// of it.
    pub(crate) async fn send_moved(
        &mut self,
        moved: &[i64],
        outcomes: &mut [Result<Sent, Error>],
    ) -> Result<(), Error> {
        let fates = self.send_mine(None, moved).await?;
        let mut told = HashSet::new();
        for outcome in outcomes {
            if let Err(Error::Queued { number, sent, .. }) = outcome
                && let Some(fate) = fates.get(number)
            {
                *outcome = fate.outcome(*number, (**sent).clone(), told.insert(*number));
            }
        }
        self.store_buffered()?;
        Ok(())
    }

    /// Hands over what is in the outbox here of envelopes that are in those of other relays too. What none
    /// of them took has the outcome that it has here.
    pub(crate) async fn send_copies(
        &mut self,
        outcomes: &mut [(Result<Sent, Error>, Option<Sent>)],
    ) -> Result<(), Error> {
        // Recipients share envelopes.
        let ids = outcomes
            .iter()
            .filter_map(|(_, sent)| sent.as_ref()?.id.clone());
        let ids: HashSet<String> = ids.collect();
        for id in ids {
            let numbers = self.store.outgoing_here(&id)?;
            let Some((number, fate)) = self.send_mine(None, &numbers).await?.into_iter().next()
            else {
                continue;
            };
            let mut is_first = true;
            for (outcome, sent) in &mut *outcomes {
                let is_taken = matches!(outcome, Ok(sent) if sent.state == Progress::Sent);
                if let Some(sent) = sent.as_ref().filter(|sent| sent.id.as_ref() == Some(&id))
                    && !is_taken
                {
                    *outcome = fate.outcome(number, sent.clone(), is_first);
                    is_first = false;
                }
            }
        }
        self.store_buffered()?;
        Ok(())
    }

    /// How a message goes over the relay instead of another one.
    pub(crate) fn way(&self) -> Option<Way> {
        self.longest_slice().map(|longest_slice| Way {
            relay: self.store.relay(),
            longest_slice,
        })
    }

    /// Hands over until it is known what became of these messages, which may be with other processes.
    async fn send_mine(
        &mut self,
        mut claimed: Option<Claimed>,
        mine: &[i64],
    ) -> Result<HashMap<i64, MyFate>, Error> {
        if claimed.is_none() {
            claimed = self.claim()?;
        }
        let mut fates: HashMap<i64, MyFate> = HashMap::new();
        let mut waited = Duration::ZERO;
        let mut last = None;
        loop {
            for flushed in self.send_out(claimed.take(), mine, true).await? {
                if let Fate::Queued(error) = &flushed.fate {
                    last = Some(error.clone());
                }
                if mine.contains(&flushed.number) {
                    fates.insert(flushed.number, MyFate::Known(flushed.fate));
                } else {
                    self.note(vec![flushed]);
                }
            }
            let open = mine.iter().filter(|number| !fates.contains_key(number));
            let Some(newest) = open.max().copied() else {
                return Ok(fates);
            };
            // Another process has it in hand, or an older one to the same recipient.
            let is_elsewhere = self.is_elsewhere(newest)?;
            if !is_elsewhere && claimed.is_none() || waited >= OTHERS {
                break;
            }
            self.clock.sleep(LOOK).await;
            waited += LOOK;
            claimed = self.claim()?;
        }
        if let (None, Some(pause)) = (&last, self.held_for()?) {
            last = Some(RelayError::RateLimited { pause });
        }
        for number in mine {
            if fates.contains_key(number) {
                continue;
            }
            let entry = self.store.outgoing_named(&number.to_string())?.pop();
            fates.insert(
                *number,
                match entry {
                    None => MyFate::Elsewhere,
                    // It awaits its receipts only.
                    Some(entry) if entry.state == OutboxState::Sent => MyFate::Elsewhere,
                    Some(entry) if entry.state == OutboxState::Failed => {
                        MyFate::Failed(entry.error.unwrap_or_default())
                    }
                    Some(_) => MyFate::Queued(last.clone()),
                },
            );
        }
        Ok(fates)
    }

    /// Hands over what is claimed and whatever is due after it. What is refused of `mine` is withdrawn,
    /// because its sender is told.
    async fn send_out(
        &mut self,
        mut claimed: Option<Claimed>,
        mine: &[i64],
        waits: bool,
    ) -> Result<Vec<Flushed>, Error> {
        let mut flushed = Vec::new();
        let mut waited = Duration::ZERO;
        let mut lost = 0;
        let mut then = Then::Next;
        while then != Then::Stop {
            let Some(message) = claimed.take() else {
                match self.held_for()? {
                    Some(pause) if waits && waited < MAX_RATE_WAIT => {
                        self.clock.sleep(pause).await;
                        waited += pause;
                        claimed = self.claim()?;
                        continue;
                    }
                    _ => break,
                }
            };
            let message = Arc::new(message);
            self.in_flight = Some(Arc::clone(&message));
            let answer = self.transmit(&message, waits).await?;
            self.in_flight = None;
            let now = self.clock.now();
            let is_mine = mine.contains(&message.entry.number);
            let settled;
            (settled, then) = judge(&message, &answer, is_mine, now);
            lost = if then == Then::Lost { lost + 1 } else { 0 };
            if then == Then::Lost {
                then = if lost < MOST_LOST {
                    Then::Next
                } else {
                    Then::Stop
                };
            }
            let claims_at = (then == Then::Next).then(|| self.clock.monotonic());
            claimed = self
                .store
                .settle_outgoing(&message, &settled, now, claims_at)?;
            match then {
                Then::Pause(pause) if waits && waited < MAX_RATE_WAIT => {
                    self.clock.sleep(pause).await;
                    waited += pause;
                    claimed = self.claim()?;
                    continue;
                }
                Then::Pause(_) => then = Then::Stop,
                _ => waited = Duration::ZERO,
            }
            let fate = match answer {
                Ok(accepted) => Fate::Sent(accepted),
                Err(error)
                    if matches!(settled, Settled::Later { .. } | Settled::Limited { .. }) =>
                {
                    Fate::Queued(error)
                }
                Err(error) => Fate::Failed(error),
            };
            flushed.push(Flushed {
                number: message.entry.number,
                id: message.entry.id.clone(),
                to: message.entry.to.clone(),
                fate,
            });
        }
        Ok(flushed)
    }

    /// Whether another process hands the message over, or one before it, or is to do so.
    fn is_elsewhere(&self, number: i64) -> Result<bool, Error> {
        if self.relay.is_mine() {
            return Ok(self.store.is_handed_over(number, self.clock.monotonic())?);
        }
        let entry = self.store.outgoing_named(&number.to_string())?.pop();
        Ok(entry.is_some_and(|entry| {
            entry.state == OutboxState::Queued && entry.due.is_none() && entry.error.is_none()
        }))
    }

    fn claim(&mut self) -> Result<Option<Claimed>, Error> {
        if !self.relay.is_mine() {
            return Ok(None);
        }
        self.put_back()?;
        let (now, monotonic) = (self.clock.now(), self.clock.monotonic());
        Ok(self.store.claim_outgoing(now, monotonic)?)
    }

    /// How long the relay wants to be left alone by what is to be handed over.
    fn held_for(&self) -> Result<Option<Duration>, Error> {
        let (now, monotonic) = (self.clock.now(), self.clock.monotonic());
        let until = self.store.outgoing_held_until(now, monotonic)?;
        let pause = until.and_then(|until| u64::try_from(until - now).ok());
        Ok(pause.map(Duration::from_millis))
    }

    /// Gives back what this client was handing over when the waiting for it was broken off.
    pub(crate) fn put_back(&mut self) -> Result<(), Error> {
        let Some(message) = self.in_flight.take() else {
            return Ok(());
        };
        let now = self.clock.now();
        let settled = Settled::Later {
            due: now,
            error: "broken off".to_owned(),
            is_uncertain: true,
        };
        self.store.settle_outgoing(&message, &settled, now, None)?;
        Ok(())
    }

    /// Takes out what nobody could send in time.
    fn expired(&mut self) -> Result<Vec<Flushed>, Error> {
        let expired = self.store.expire_outgoing(self.clock.now())?;
        let expired = expired.into_iter().map(|entry| Flushed {
            number: entry.number,
            id: entry.id,
            to: entry.to,
            fate: if entry.state == OutboxState::Sent {
                Fate::Unanswered
            } else {
                Fate::Expired
            },
        });
        Ok(expired.collect())
    }

    /// Keeps for the user what will not be delivered.
    fn note(&mut self, flushed: Vec<Flushed>) {
        for Flushed {
            number, to, fate, ..
        } in flushed
        {
            match fate {
                Fate::Sent(_) | Fate::Queued(_) => {}
                Fate::Failed(why) => self.notices.push(Notice::SendFailed {
                    number,
                    to,
                    why: why.to_string(),
                }),
                Fate::Expired => self.notices.push(Notice::SendExpired { number, to }),
                Fate::Unanswered => self.notices.push(Notice::NoReceipt { number, to }),
            }
        }
    }
}

/// All that a key stands for besides the content, which is kept for ever as a digest: a member that is
/// added is left out where it says nothing.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outside<'a> {
    manner: Manner,
    recipients: &'a [String],
    message_type: &'a str,
    content_type: &'a str,
    topic: Option<&'a str>,
    public_topic: bool,
    correlation_id: Option<&'a str>,
    reply_to: Option<&'a str>,
    ttl: Option<u64>,
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    receipt: bool,
}

/// What became of a message that its sender waits for.
enum MyFate {
    /// This process did it.
    Known(Fate),
    /// Another process has handed it over.
    Elsewhere,
    /// It is behind others, the last of which had this error.
    Queued(Option<RelayError>),
    /// The relay refused it when another process handed it over, for this reason.
    Failed(String),
}

impl MyFate {
    /// The outcome for one recipient, the first that is told of it or another one.
    fn outcome(&self, number: i64, sent: Sent, is_first: bool) -> Result<Sent, Error> {
        let queued = |why: Option<&RelayError>, sent: Sent| Error::Queued {
            number,
            why: why.cloned(),
            sent: Box::new(sent),
        };
        match self {
            Self::Known(Fate::Sent(accepted)) => Ok(Sent {
                id: sent.id.or_else(|| accepted.relay_id.clone()),
                relay_id: accepted.relay_id.clone(),
                ts: accepted.ts.clone(),
                state: Progress::Sent,
                ..sent
            }),
            Self::Elsewhere => Ok(Sent {
                state: Progress::Sent,
                ..sent
            }),
            Self::Known(Fate::Queued(why)) => Err(queued(Some(why), sent)),
            Self::Queued(why) => Err(queued(why.as_ref(), sent)),
            Self::Known(Fate::Failed(error)) if is_first => Err(Error::Relay(error.clone())),
            Self::Known(Fate::Failed(error)) => Err(Error::SharedMessage {
                class: error.class(),
            }),
            Self::Failed(why) => Err(Error::Refused {
                number,
                why: why.clone(),
            }),
            Self::Known(Fate::Expired | Fate::Unanswered) => Err(Error::GivenUp),
        }
    }
}

/// What an answer means for the message, and for those after it.
fn judge<'a>(
    message: &Claimed,
    answer: &'a Result<Accepted, RelayError>,
    is_mine: bool,
    now: i64,
) -> (Settled<'a>, Then) {
    let error = match answer {
        Ok(accepted) => {
            let overdue = now.saturating_add(overdue(message.attempt(), &message.outgoing));
            return (Settled::Sent { accepted, overdue }, Then::Next);
        }
        Err(error) => error,
    };
    let later = |pause: i64, is_uncertain: bool| Settled::Later {
        due: now.saturating_add(pause),
        error: error.to_string(),
        is_uncertain,
    };
    let pause = pause(message.attempt(), &message.outgoing);
    // What may have arrived is not given up, nor is it sent under another id.
    let may_withdraw = is_mine && !message.is_uncertain;
    match error {
        RelayError::RateLimited { pause } => {
            let millis = i64::try_from(pause.as_millis()).unwrap_or(MAX_PAUSE);
            let limited = Settled::Limited {
                until: now.saturating_add(millis.min(MAX_PAUSE)),
                error: error.to_string(),
            };
            (limited, Then::Pause(*pause))
        }
        RelayError::Unreachable { .. } => (later(pause, false), Then::Stop),
        RelayError::TimedOut { .. } | RelayError::Interrupted { .. } => {
            (later(pause, true), Then::Lost)
        }
        RelayError::BadAnswer { .. } => (later(pause, true), Then::Next),
        RelayError::Refused { status, .. } if *status >= 500 => (later(pause, true), Then::Next),
        // The message is not at fault, and the next one would meet the same.
        RelayError::Unauthorized { .. }
        | RelayError::NoKey { .. }
        | RelayError::BadKey
        | RelayError::BadUrl { .. }
            if !may_withdraw =>
        {
            (later(pause, false), Then::Stop)
        }
        _ if may_withdraw => (Settled::Withdrawn, Then::Next),
        _ => (Settled::Failed(error.to_string()), Then::Next),
    }
}

/// How long to wait after an attempt that failed, in milliseconds.
fn pause(attempt: u32, outgoing: &Outgoing) -> i64 {
    spread(FIRST_PAUSE, LAST_PAUSE, attempt, outgoing)
}

/// How long to wait for receipts after an attempt that went well, in milliseconds.
fn overdue(attempt: u32, outgoing: &Outgoing) -> i64 {
    spread(FIRST_OVERDUE, LAST_OVERDUE, attempt, outgoing)
}

/// Twice as long as after the attempt before, up to `last`, and up to a quarter longer, so that what was
/// sent together does not come back together. The spread is taken from the message itself.
fn spread(first: i64, last: i64, attempt: u32, outgoing: &Outgoing) -> i64 {
    let doubled = first.checked_shl(attempt.saturating_sub(1).min(32));
    let pause = doubled.unwrap_or(last).min(last);
    let body = match &outgoing.body {
        Body::Native(text) | Body::Pairing(text) => text.as_bytes(),
        Body::Classic(sealed) => sealed.payload.as_bytes(),
        Body::Plaintext(json) => json.get().as_bytes(),
    };
    let digest = Sha256::new()
        .chain_update(body)
        .chain_update(attempt.to_be_bytes())
        .finalize();
    let share = digest.first().copied().map_or(0, i64::from);
    pause + pause * share / 1024
}

#[cfg(test)]
mod tests {
    use super::{LAST_PAUSE, pause};
    use crate::relay::{Body, Destination, Outgoing};

    fn outgoing(text: &str) -> Outgoing {
        Outgoing {
            to: Destination::Everyone,
            message_type: ctalk_wire::MessageType::Notification,
            topic: None,
            correlation_id: None,
            reply_to: None,
            ttl: None,
            body: Body::Native(text.to_owned()),
        }
    }

    #[test]
    fn pauses_double_up_to_five_minutes_and_are_spread_over_a_quarter() {
        for attempt in 1..100 {
            let longest = 1000_i64 << (attempt - 1).min(20);
            let base = longest.min(LAST_PAUSE);
            let taken = pause(attempt, &outgoing("a"));
            assert!(
                (base..=base + base / 4).contains(&taken),
                "{attempt}: {taken}"
            );
        }
        let pauses: std::collections::BTreeSet<i64> = (0..100)
            .map(|number| pause(1, &outgoing(&number.to_string())))
            .collect();
        assert!(pauses.len() > 50, "{pauses:?}");
    }
}
