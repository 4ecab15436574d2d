//! A worker: it fetches, hands messages to a handler, several at once if wanted, and settles them.
//!
//! Everything that waits is waited for in one place, and each wait can be broken off, so that neither a
//! slow relay nor a slow handler keeps another message from being settled or a lease from being renewed.

mod leases;
pub(crate) mod pace;
mod watch;

use std::{pin::pin, time::Duration};

use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};

use self::{leases::Leases, pace::Pace, watch::Watch};
use crate::{
    agent::Together,
    client::{Client, as_millis},
    endings::Notice,
    error::Error,
    handler::{Attempt, Handler, Outcome},
    message::{Content, SetAside},
    receive::{Contract, Filter, Handover, Looked, Next, Receiving, Ticket, Unsettled},
    reply,
    store::{EntryState, Settlement},
};

/// How often a worker looks after the own keys.
pub(crate) const REFRESH: Duration = Duration::from_secs(60 * 60);

/// What a worker does, and until when.
#[derive(Clone, Debug)]
pub struct Work {
    /// Which messages it takes.
    pub filter: Filter,
    /// How it hands them over.
    pub contract: Contract,
    /// The name of the handler, for policies that name those which a sender may reach; `None` for what
    /// every sender may reach, such as printing.
    pub handler: Option<String>,
    /// Whether what the handler says to a request goes back as its response.
    pub replies: bool,
    /// How many handlers run at once.
    pub concurrency: usize,
    /// How many messages it takes at most.
    pub most: Option<u64>,
    /// How long it goes on.
    pub until: Until,
}

/// How long a worker goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Until nothing waits at the relay and in the inbox. What is to be tried again later is left for
    /// then.
    Empty,
    /// Until it is told to stop.
    Stopped {
        /// The longest pause between two looks at a relay that does not push.
        interval: Duration,
        /// End after so long without a message, a running handler, or one to be tried again within so
        /// long.
        idle: Option<Duration>,
    },
}

impl Step {
    /// Whether it may be broken off when a handler ends, because it begins again where it was. What is
    /// being sent would be sent twice.
    const fn may_be_broken_off(self) -> bool {
        !matches!(self, Self::Flush | Self::Refresh)
    }
}

impl Default for Work {
    /// One message at a time, of everybody who signs, until nothing is left.
    fn default() -> Self {
        Self {
            filter: Filter::default(),
            contract: Contract::HANDLER,
            handler: None,
            replies: false,
            concurrency: 1,
            most: None,
            until: Until::Empty,
        }
    }
}

/// Something that a worker came to.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A handler begins with a message.
    Started {
        /// The message, and which attempt at it this is.
        attempt: &'a Attempt,
        /// Whether the sender's keys were pinned just now.
        pinned_now: bool,
    },
    /// A handler ended.
    Ended {
        /// The message.
        attempt: &'a Attempt,
        /// What the handler said.
        outcome: &'a Outcome,
        /// What became of the message: done, new again, dead or quarantined.
        state: EntryState,
    },
    /// A message was set aside, held or given up without being handled.
    SetAside(&'a SetAside),
    /// Something about contacts' identities.
    Notice(&'a Notice),
    /// Something failed that may pass, and is tried again.
    Trouble(&'a Error),
    /// The relay answers again.
    Recovered,
}

/// What a worker did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Worked {
    /// Messages that were handled.
    pub done: u64,
    /// Messages that were set aside, or given up.
    pub set_aside: u64,
}

type Ended = (Attempt, Ticket, Outcome);

impl Client {
    /// Works through messages as they come, with this handler, until `stop` or the end of the work.
    ///
    /// After `stop` no further message is begun, and those that run are waited for; dropping the future
    /// breaks them off and gives their messages back. `observe` is told what happens.
    ///
    /// # Errors
    /// [`Error::Store`]. [`Error::Stopped`] when the handler can go on no more. [`Error::Relay`] where
    /// waiting does not help, or the work ends when nothing is left.
    pub async fn work(
        &mut self,
        work: &Work,
        handler: &dyn Handler,
        stop: impl Future<Output = ()>,
        observe: impl FnMut(Event<'_>),
    ) -> Result<Worked, Error> {
        let together = Together::new(vec![None], work.concurrency, self.clock.monotonic());
        self.work_at(0, &together, work, handler, stop, observe)
            .await
    }

    /// As [`Client::work`], beside workers at other relays of the same agent.
    pub(crate) async fn work_at(
        &mut self,
        place: usize,
        together: &Together,
        work: &Work,
        handler: &dyn Handler,
        stop: impl Future<Output = ()>,
        observe: impl FnMut(Event<'_>),
    ) -> Result<Worked, Error> {
        let mut receiving = self.receive_under(work.contract, work.filter.clone())?;
        receiving.handler.clone_from(&work.handler);
        let pace = Pace::new(work.until, self.clock.monotonic());
        let watch = Watch::new(&self.store.path(), &*self.relay)?;
        let worker = Worker {
            place,
            together,
            watch,
            client: self,
            work,
            handler,
            observe,
            receiving,
            pace,
            next_refresh: i64::MIN,
            is_fresh: work.until != Until::Empty,
            owes: false,
            is_flushed: false,
            worked: Worked::default(),
            failure: None,
        };
        worker.run(stop).await
    }
}

struct Worker<'a, O> {
    /// Its place among the relays of the agent.
    place: usize,
    together: &'a Together,
    /// Sees what other processes write.
    watch: Watch,
    client: &'a mut Client,
    work: &'a Work,
    handler: &'a dyn Handler,
    observe: O,
    receiving: Receiving,
    pace: Pace,
    /// When the own keys are looked after again, by the monotonic clock.
    next_refresh: i64,
    /// Whether there may be something in the inbox to begin with.
    is_fresh: bool,
    /// Whether something was put into the outbox that was not sent yet.
    owes: bool,
    /// Whether what is due in the outbox was tried since the relay was last asked.
    is_flushed: bool,
    worked: Worked,
    /// Why the relay could not be asked, where nobody waits for it to come back.
    failure: Option<Error>,
}

/// What a worker does next, while handlers run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Look after the own keys.
    Refresh,
    /// Look for a message in the inbox.
    Claim,
    /// Send what is owed.
    Flush,
    /// Ask the relay, after a pause.
    Fetch,
    /// Wait for handlers.
    Wait,
    /// End.
    End,
}

/// What came of a step.
enum Came {
    Refreshed(Result<(), Error>),
    Looked(Result<Looked, Error>),
    Flushed(Result<(), Error>),
    Fetched(Result<usize, Error>),
    /// The pause ended before the relay was to be asked.
    Due,
    /// Another process left something in the outbox.
    Written,
}

/// Why a step ended.
enum Ending {
    Came(Came),
    /// A handler ended before it, and it was broken off.
    Handled(Box<Ended>),
    /// It was broken off because the worker is to stop.
    Stopped,
}

/// Writes what was said of messages, whatever the worker ends by.
impl<O> Drop for Worker<'_, O> {
    fn drop(&mut self) {
        // Else they are handled again.
        let _ = self.client.settle_unsettled(&mut self.receiving);
    }
}

impl<O: FnMut(Event<'_>)> Worker<'_, O> {
    async fn run(mut self, stop: impl Future<Output = ()>) -> Result<Worked, Error> {
        let mut stop = pin!(stop.fuse());
        let mut running = FuturesUnordered::new();
        let mut leases = Leases::new(self.client.store.path(), self.client.clock.clone());
        let mut is_stopped = false;
        loop {
            let step = self.step(running.len(), is_stopped)?;
            if step == Step::End {
                break;
            }
            if step != Step::Claim {
                // No claim takes it along.
                self.client.settle_unsettled(&mut self.receiving)?;
            }
            let is_busy = !running.is_empty();
            let ending = {
                let mut taking = pin!(self.take(step));
                loop {
                    if is_busy {
                        leases.renew()?;
                    }
                    tokio::select! {
                        biased;
                        Some(ended) = running.next(), if is_busy && step.may_be_broken_off() => {
                            break Ending::Handled(Box::new(ended));
                        }
                        () = &mut stop, if !is_stopped && step.may_be_broken_off() => {
                            break Ending::Stopped;
                        }
                        // However long the step takes.
                        () = leases.wait(), if is_busy => {}
                        came = &mut taking => break Ending::Came(came),
                    }
                }
            };
            match ending {
                Ending::Handled(ended) => {
                    leases.let_go(ended.1.fence);
                    self.end(*ended)?;
                }
                Ending::Stopped => is_stopped = true,
                Ending::Came(Came::Looked(Ok(Looked::Next(
                    Next::Message(next) | Next::Unauthenticated(next),
                )))) => {
                    let Handover {
                        message,
                        attempt,
                        pinned_now,
                        ticket,
                    } = *next;
                    if self.is_full() {
                        // Another worker began the last one meanwhile.
                        self.give_back(ticket);
                        continue;
                    }
                    let attempt = Attempt {
                        message,
                        number: attempt,
                    };
                    self.notices();
                    self.begin(&attempt, pinned_now);
                    leases.hold(ticket.fence);
                    let (handler, together) = (self.handler, self.together);
                    running.push(async move {
                        let outcome = together.in_turn(handler.handle(&attempt)).await;
                        (attempt, ticket, outcome)
                    });
                }
                Ending::Came(came) => self.heed(came)?,
            }
        }
        self.client.settle_unsettled(&mut self.receiving)?;
        match self.failure.take() {
            Some(error) => Err(error),
            None => Ok(self.worked),
        }
    }

    fn step(&mut self, running: usize, is_stopped: bool) -> Result<Step, Error> {
        self.pace.stir(self.together.busy_at());
        let is_last = is_stopped || self.is_full();
        let now = self.client.clock.monotonic();
        Ok(if self.owes {
            Step::Flush
        } else if is_last {
            if running == 0 { Step::End } else { Step::Wait }
        } else if now >= self.next_refresh {
            Step::Refresh
        } else if self.is_fresh && running < self.work.concurrency {
            Step::Claim
        } else if running == 0 && self.is_over(now)? {
            // What was judged on the way may have put receipts into the outbox.
            if self.is_flushed {
                Step::End
            } else {
                Step::Flush
            }
        } else if self.pace.is_done() {
            Step::Wait
        } else if !self.is_flushed {
            Step::Flush
        } else {
            Step::Fetch
        })
    }

    /// Whether as many messages were begun as were to be.
    fn is_full(&self) -> bool {
        let most = self.work.most;
        most.is_some_and(|most| self.together.started() >= most)
    }

    fn give_back(&mut self, ticket: Ticket) {
        let unsettled = Unsettled {
            fence: ticket.fence,
            settlement: Settlement::Released,
            mail: Vec::new(),
            answer: None,
        };
        self.client.settle_soon(&mut self.receiving, unsettled);
    }

    /// Whether nothing has happened for long enough, and no message is to be tried again within as long.
    fn is_over(&self, now: i64) -> Result<bool, Error> {
        let Until::Stopped {
            idle: Some(idle), ..
        } = self.work.until
        else {
            return Ok(self.pace.is_done());
        };
        let left = self.pace.idle_left(now);
        if left.is_none_or(|left| left > 0) || self.together.is_running() {
            return Ok(false);
        }
        let wall = self.client.clock.now();
        let due = self.client.store.next_due(wall)?;
        Ok(due.is_none_or(|due| due > wall.saturating_add(as_millis(idle))))
    }

    /// Takes a step.
    async fn take(&mut self, step: Step) -> Came {
        match step {
            Step::Refresh => {
                let outcome = self.client.refresh().await;
                let now = self.client.clock.monotonic();
                self.next_refresh = now.saturating_add(as_millis(REFRESH));
                Came::Refreshed(outcome)
            }
            Step::Claim => Came::Looked(self.client.look(&mut self.receiving).await),
            Step::Flush => Came::Flushed(self.client.flush_due().await),
            Step::Fetch => match self.fetch().await {
                Ok(came) => came,
                Err(error) => Came::Fetched(Err(error)),
            },
            Step::Wait => {
                // A handler may wait for what it sends to leave.
                let (relay, clock) = (self.client.relay.clone(), self.client.clock.clone());
                self.watch.changed(&*relay, &*clock).await;
                Came::Written
            }
            Step::End => std::future::pending().await,
        }
    }

    async fn fetch(&mut self) -> Result<Came, Error> {
        let clock = self.client.clock.clone();
        let (before, wait) = self.pace.look(clock.monotonic());
        let due = self.until_due()?;
        let (place, together, relay) = (self.place, self.together, self.client.relay.clone());
        let (watch, is_away) = (&mut self.watch, self.pace.is_backing_off());
        let mut told = pin!(async {
            tokio::select! {
                () = together.woken(place) => {}
                // What waits for a relay that is away would only be tried in vain once more.
                () = watch.changed(&*relay, &*clock), if !is_away => {}
            }
        });
        let pause = due.map_or(before, |due| due.min(before));
        if !pause.is_zero() {
            tokio::select! {
                () = clock.sleep(pause) => {}
                () = &mut told => return Ok(Came::Due),
            }
        }
        if due.is_some_and(|due| due < before) {
            return Ok(Came::Due);
        }
        let wait = due.map_or(wait, |due| wait.min(due.saturating_sub(before)));
        let began = clock.monotonic();
        self.pace.begin_look(began);
        let fresh = tokio::select! {
            biased;
            fresh = self.client.fetch(wait) => fresh?,
            () = &mut told => return Ok(Came::Due),
        };
        let now = clock.monotonic();
        if fresh > 0 {
            together.stir(now);
        }
        if self.pace.answered(fresh, began, now) {
            (self.observe)(Event::Recovered);
        }
        Ok(Came::Fetched(Ok(fresh)))
    }

    /// How long it takes until a message is to be tried again, or until the work is over.
    fn until_due(&self) -> Result<Option<Duration>, Error> {
        if self.work.until == Until::Empty {
            return Ok(None);
        }
        let now = self.client.clock.now();
        let due = self.client.store.next_due(now)?;
        let due = due.map(|due| due.saturating_sub(now));
        // One that has passed waits for a retry.
        let idle = self.pace.idle_left(self.client.clock.monotonic());
        let idle = idle.filter(|left| *left > 0);
        let first = [due, idle].into_iter().flatten().min();
        Ok(first.map(|left| Duration::from_millis(u64::try_from(left).unwrap_or(0))))
    }

    fn begin(&mut self, attempt: &Attempt, pinned_now: bool) {
        self.together.begin(self.client.clock.monotonic());
        (self.observe)(Event::Started {
            attempt,
            pinned_now,
        });
    }

    /// Heeds what a step came to, but for messages.
    fn heed(&mut self, came: Came) -> Result<(), Error> {
        self.notices();
        let trouble = match came {
            Came::Looked(Ok(Looked::Next(Next::SetAside(aside)))) => {
                self.worked.set_aside += u64::from(aside.state != EntryState::Held);
                (self.observe)(Event::SetAside(&aside));
                None
            }
            // The rest of them was begun.
            Came::Looked(Ok(Looked::Past | Looked::Next(_))) => None,
            Came::Looked(Ok(Looked::End)) => {
                self.is_fresh = false;
                None
            }
            Came::Looked(Err(error)) => {
                self.is_fresh = false;
                Some(error)
            }
            Came::Fetched(outcome) => {
                self.is_flushed = false;
                let is_down = matches!(&outcome, Err(Error::Relay(_)));
                self.together.set_down(self.place, is_down);
                self.divert()?;
                // There may be something even so: what came before it failed, or is due by now.
                self.look_again();
                outcome.err()
            }
            Came::Flushed(outcome) => {
                // What did not leave stays in the outbox, and is looked at before each fetch.
                (self.owes, self.is_flushed) = (false, true);
                self.divert()?;
                outcome.err()
            }
            Came::Written => {
                self.owes = true;
                None
            }
            Came::Due => {
                self.is_flushed = false;
                self.look_again();
                None
            }
            Came::Refreshed(outcome) => {
                if let Err(error) = outcome {
                    (self.observe)(Event::Trouble(&error));
                }
                None
            }
        };
        trouble.map_or(Ok(()), |error| self.trouble(error))
    }

    /// Has what the relay does not take go over another one that answers.
    fn divert(&mut self) -> Result<(), Error> {
        let now = self.client.clock.monotonic();
        for (place, way) in self.together.instead_of(self.place) {
            if self.client.store.reroute_tried(way, now)? > 0 {
                self.together.wake(place);
            }
        }
        Ok(())
    }

    fn look_again(&mut self) {
        self.receiving.rewind();
        self.is_fresh = true;
    }

    fn trouble(&mut self, error: Error) -> Result<(), Error> {
        let is_relays = matches!(error, Error::Relay(_));
        if self.work.until == Until::Empty && is_relays {
            let _ = self.pace.failed(self.client.clock.monotonic());
            self.failure = Some(error);
            return Ok(());
        }
        if !error.may_pass() {
            return Err(error);
        }
        if self.pace.failed(self.client.clock.monotonic()) {
            (self.observe)(Event::Trouble(&error));
        }
        Ok(())
    }

    fn notices(&mut self) {
        for notice in self.client.take_notices() {
            (self.observe)(Event::Notice(&notice));
        }
    }

    /// Settles a message whose handler ended.
    fn end(&mut self, (attempt, ticket, outcome): Ended) -> Result<(), Error> {
        let mut mail = Vec::new();
        if let Outcome::Done { output } = &outcome
            && self.work.replies
            && reply::is_wanted(&attempt.message)
        {
            let contact = self.client.signer(ticket.signer)?;
            let sealed = match &contact {
                Some(contact) => {
                    let content = Content::from_bytes(output.clone());
                    reply::seal(self.client, contact, &attempt.message, content)
                }
                None => Err(Error::UnknownRecipient {
                    name: attempt.message.from.clone().unwrap_or_default(),
                }),
            };
            match sealed {
                Ok(sealed) => mail = sealed,
                // What the handler did is done all the same.
                Err(error) => {
                    let to = attempt.message.from.clone().unwrap_or_default();
                    let why = error.to_string();
                    self.client.notices.push(Notice::NoReply { to, why });
                }
            }
        }
        let (settlement, state) = match &outcome {
            Outcome::Done { .. } => (ticket.done(), EntryState::Done),
            Outcome::Retry { why, after } => ticket.again(self.client.clock.now(), why, *after),
            Outcome::Failed { why } => {
                let why = why.clone();
                (Settlement::Dead { why }, EntryState::Dead)
            }
            Outcome::Refused { why } => {
                let why = why.clone();
                (Settlement::Quarantined { why }, EntryState::Quarantined)
            }
            Outcome::Stop { why } => {
                let why = why.clone();
                self.client.settle_unsettled(&mut self.receiving)?;
                self.client.release_all()?;
                return Err(Error::Stopped { why });
            }
        };
        let said = match &outcome {
            Outcome::Done { output } => output.as_slice(),
            _ => &[],
        };
        let answer = self.client.answer(&ticket, state, said)?;
        self.owes |= !mail.is_empty() || answer.is_some();
        match state {
            EntryState::Done => self.worked.done += 1,
            EntryState::New => {}
            _ => self.worked.set_aside += 1,
        }
        let unsettled = Unsettled {
            fence: ticket.fence,
            settlement,
            mail,
            answer: answer.map(|answer| (ticket.mark, answer)),
        };
        self.client.settle_soon(&mut self.receiving, unsettled);
        self.is_fresh = true;
        self.together.end(self.client.clock.monotonic());
        (self.observe)(Event::Ended {
            attempt: &attempt,
            outcome: &outcome,
            state,
        });
        Ok(())
    }
}
