//! The machine that is checked: a relay, an inbox, workers that come and go, and a user.

use stateright::{Model, Property};

use crate::{
    flaw::Flaw,
    inbox::{Claim, Delivery, Inbox, Outcome, State},
};

/// What is checked: which messages come, who works on them, and how often the user has a say.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    /// In the order of their arrival.
    pub(crate) deliveries: Vec<Delivery>,
    /// One for each worker: whether it keeps the order per sender.
    pub(crate) workers: Vec<bool>,
    /// Whether nothing is in the inbox at first; otherwise everything is, and the relay forgot it.
    pub(crate) begins_empty: bool,
    /// Most times that the user decides something.
    pub(crate) decisions: u8,
    pub(crate) flaw: Option<Flaw>,
}

/// Everything there is at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Moment {
    pub(crate) inbox: Inbox,
    /// By delivery: whether the relay still has it.
    pub(crate) at_relay: Vec<bool>,
    /// By delivery: whether it was in the inbox yet.
    was_stored: Vec<bool>,
    pub(crate) workers: Vec<Worker>,
    decisions: u8,
    pub(crate) past: Past,
}

/// A worker, which forgets everything when it crashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Worker {
    /// It goes through the inbox, and has come to this row.
    Looking { place: usize },
    /// It has read this row and knows the message and its sender.
    Judged { row: usize },
    /// It runs this row's message.
    Running { row: usize, fence: u8, leased: bool },
}

/// What the properties need to know of the past, and the machine itself does not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Past {
    /// By message: how often a run of it was settled as done.
    pub(crate) commits: Vec<u8>,
    /// By delivery: runs since it was stored or the user last had a say.
    pub(crate) runs: Vec<u8>,
    /// By delivery: whether it was ever set aside, and so has lost its place in the order.
    was_aside: Vec<bool>,
    /// By message: whether the user decided against it.
    pub(crate) given_up: Vec<bool>,
    /// By message: whether the user did so after it had been run.
    given_up_run: Vec<bool>,
    pub(crate) ran_again: bool,
    pub(crate) broke_order: bool,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// The relay delivers, for the first time or again, and it is stored.
    Admit(usize),
    /// The relay is told that it is stored, and forgets it.
    Acknowledge(usize),
    /// A worker reads the next row that is due, or begins anew at the end.
    Look(usize),
    /// A worker begins anew before the end.
    Rewind(usize),
    Claim(usize),
    /// The policy holds what a worker has read.
    Hold(usize),
    Renew(usize),
    Settle(usize, Outcome),
    /// A worker's process ends, or is told that it lost its lease.
    Crash(usize),
    /// Whatever leases run end.
    LeasesEnd,
    /// Whatever pauses run end.
    PausesEnd,
    Accept(usize),
    Reject(usize),
    Retry(usize),
    Drop(usize),
}

impl Model for Machine {
    type State = Moment;
    type Action = Action;

    fn init_states(&self) -> Vec<Moment> {
        let deliveries = self.deliveries.len();
        let mut inbox = Inbox::new(&self.deliveries);
        let messages = inbox.seen.len();
        if !self.begins_empty {
            (0..deliveries).for_each(|number| inbox.admit(number));
        }
        vec![Moment {
            inbox,
            at_relay: vec![self.begins_empty; deliveries],
            was_stored: vec![!self.begins_empty; deliveries],
            workers: vec![Worker::Looking { place: 0 }; self.workers.len()],
            decisions: 0,
            past: Past {
                commits: vec![0; messages],
                runs: vec![0; deliveries],
                was_aside: vec![false; deliveries],
                given_up: vec![false; messages],
                given_up_run: vec![false; messages],
                ran_again: false,
                broke_order: false,
            },
        }]
    }

    fn actions(&self, now: &Moment, actions: &mut Vec<Action>) {
        let acknowledges_early = self.flaw == Some(Flaw::AcknowledgedBeforeStored);
        for (number, row) in now.inbox.rows.iter().enumerate() {
            let is_absent = row.state == State::Absent;
            // The relay keeps the order of what it delivers for the first time.
            let in_order = number == 0 || now.was_stored[number - 1];
            if is_absent && in_order {
                actions.push(Action::Admit(number));
            }
            if now.at_relay[number] && (!is_absent || acknowledges_early) {
                actions.push(Action::Acknowledge(number));
            }
            if now.decisions < self.decisions {
                match row.state {
                    State::New => actions.push(Action::Drop(number)),
                    State::Dead | State::Quarantined => {
                        actions.extend([Action::Retry(number), Action::Drop(number)]);
                    }
                    State::Held => {
                        actions.extend([Action::Accept(number), Action::Reject(number)]);
                    }
                    State::Absent | State::Running | State::Done => {}
                }
            }
        }
        for (worker, state) in now.workers.iter().enumerate() {
            match state {
                Worker::Looking { .. } => {
                    actions.extend([Action::Look(worker), Action::Rewind(worker)]);
                }
                Worker::Judged { .. } => {
                    actions.extend([Action::Claim(worker), Action::Hold(worker)]);
                }
                Worker::Running { .. } => {
                    actions.push(Action::Renew(worker));
                    let outcomes = Outcome::ALL.map(|outcome| Action::Settle(worker, outcome));
                    actions.extend(outcomes);
                }
            }
            actions.push(Action::Crash(worker));
        }
        actions.extend([Action::LeasesEnd, Action::PausesEnd]);
    }

    fn next_state(&self, last: &Moment, action: Action) -> Option<Moment> {
        let mut now = last.clone();
        self.apply(&mut now, action);
        (now != *last).then_some(now)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        self.all_properties()
    }
}

impl Machine {
    /// Does what the action says.
    pub(crate) fn apply(&self, now: &mut Moment, action: Action) {
        match action {
            Action::Admit(number) => {
                now.inbox.admit(number);
                now.was_stored[number] = true;
            }
            Action::Acknowledge(number) => now.at_relay[number] = false,
            Action::Look(worker) => {
                let Worker::Looking { place } = now.workers[worker] else {
                    return;
                };
                let rows = now.inbox.rows.iter().enumerate().skip(place);
                let found = rows.clone().find(|(_, row)| row.is_due());
                now.workers[worker] = match found {
                    Some((row, _)) => Worker::Judged { row },
                    None => Worker::Looking { place: 0 },
                };
            }
            Action::Claim(worker) => self.claim(now, worker),
            Action::Hold(worker) => {
                if let Worker::Judged { row } = now.workers[worker] {
                    now.inbox.hold(row);
                    now.workers[worker] = Worker::Looking { place: row + 1 };
                }
            }
            Action::Renew(worker) => {
                if let Worker::Running { row, fence, leased } = &mut now.workers[worker] {
                    *leased = now.inbox.renew(*row, *fence, self.flaw);
                }
            }
            Action::Settle(worker, outcome) => {
                if let Worker::Running { row, fence, .. } = now.workers[worker] {
                    let delivery = self.deliveries[row];
                    let settled = now.inbox.settle(row, fence, outcome, delivery, self.flaw);
                    if settled && outcome == Outcome::Done {
                        now.past.commits[delivery.message] += 1;
                    }
                    now.workers[worker] = Worker::Looking { place: row + 1 };
                }
            }
            Action::Crash(worker) | Action::Rewind(worker) => {
                now.workers[worker] = Worker::Looking { place: 0 };
            }
            Action::LeasesEnd => {
                for row in &mut now.inbox.rows {
                    row.leased = false;
                }
                for worker in &mut now.workers {
                    if let Worker::Running { leased, .. } = worker {
                        *leased = false;
                    }
                }
            }
            Action::PausesEnd => {
                for row in &mut now.inbox.rows {
                    row.waits = false;
                }
            }
            Action::Accept(number)
            | Action::Reject(number)
            | Action::Retry(number)
            | Action::Drop(number) => self.decide(now, action, number),
        }
        for (was_aside, row) in now.past.was_aside.iter_mut().zip(&now.inbox.rows) {
            *was_aside |= matches!(row.state, State::Dead | State::Held | State::Quarantined);
        }
    }

    fn claim(&self, now: &mut Moment, worker: usize) {
        let Worker::Judged { row } = now.workers[worker] else {
            return;
        };
        let keeps_order = self.workers[worker];
        let is_disorderly = self.is_disorderly(now, row);
        let claim = now
            .inbox
            .claim(row, keeps_order, &self.deliveries, self.flaw);
        now.workers[worker] = match claim {
            Claim::Run(fence) => {
                let message = self.deliveries[row].message;
                now.past.ran_again |= now.past.commits[message] > 0;
                now.past.ran_again |= now.past.given_up_run[message];
                now.past.broke_order |= is_disorderly;
                now.past.runs[row] += 1;
                Worker::Running {
                    row,
                    fence,
                    leased: true,
                }
            }
            Claim::Ended | Claim::Refused => Worker::Looking { place: row + 1 },
        };
    }

    fn decide(&self, now: &mut Moment, action: Action, number: usize) {
        let delivery = self.deliveries[number];
        now.decisions += 1;
        now.past.runs[number] = 0;
        match action {
            Action::Accept(_) => now.inbox.accept(number, self.flaw),
            Action::Retry(_) => now.inbox.retry(number),
            Action::Reject(_) => {
                now.inbox.reject(number);
                now.past.given_up[delivery.message] = true;
            }
            Action::Drop(_) => {
                now.past.given_up[delivery.message] = true;
                now.past.given_up_run[delivery.message] |= now.inbox.rows[number].known;
                now.past.was_aside[number] = true;
                now.inbox.drop_row(number, delivery, self.flaw);
            }
            _ => {}
        }
    }

    /// Whether a run of this row would come before one of an earlier message of the sender that the
    /// inbox has, and that neither was handled nor lost its place.
    fn is_disorderly(&self, now: &Moment, row: usize) -> bool {
        let mine = self.deliveries[row];
        let is_first = |number: usize, message| {
            let mut earlier = self.deliveries[..number].iter();
            earlier.all(|delivery| delivery.message != message)
        };
        (0..row).any(|number| {
            let theirs = self.deliveries[number];
            theirs.sender == mine.sender
                && theirs.message != mine.message
                && is_first(number, theirs.message)
                && !now.inbox.seen[theirs.message]
                && !now.past.was_aside[number]
        })
    }
}
