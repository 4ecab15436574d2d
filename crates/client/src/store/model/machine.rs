//! The machine that is checked: a relay, an inbox, workers that come and go, and a user.

use std::collections::BTreeSet;

use stateright::{Model, Property};

use super::{
    flaw::Flaw,
    inbox::{Claim, Delivery, Inbox, Outcome, State},
};

/// What is checked: which messages come, who works on them, and how often the user has a say.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    /// In the order of their arrival.
    pub(super) deliveries: Vec<Delivery>,
    /// One for each worker: whether it keeps the order per sender.
    pub(super) workers: Vec<bool>,
    /// How many messages a worker runs at once.
    pub(super) concurrency: usize,
    /// Whether nothing is in the inbox at first; otherwise everything is, and the relay forgot it.
    pub(super) begins_empty: bool,
    /// Whether the policy may hold messages.
    pub(super) holds: bool,
    /// Most times that the user decides something.
    pub(super) decisions: u8,
    pub(super) flaw: Option<Flaw>,
}

/// Everything there is at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Moment {
    pub(super) inbox: Inbox,
    /// By delivery: whether the relay still has it.
    pub(super) at_relay: Vec<bool>,
    /// By delivery: whether it was in the inbox yet.
    was_stored: Vec<bool>,
    pub(super) workers: Vec<Worker>,
    decisions: u8,
    pub(super) past: Past,
}

/// A worker, which forgets everything when it crashes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Worker {
    /// The row that it goes on from.
    pub(super) place: usize,
    /// Rows that wait for an earlier one of their sender, in order.
    pub(super) waiting: BTreeSet<usize>,
    /// The row that it has read, and whether that was a copy then.
    pub(super) judged: Option<(usize, bool)>,
    pub(super) runs: Vec<Run>,
}

/// A message in a worker's hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Run {
    pub(super) row: usize,
    pub(super) fence: u32,
    pub(super) leased: bool,
}

/// What the properties need to know of the past, and the machine itself does not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Past {
    /// By message: how often a run of it was settled as done.
    pub(super) commits: Vec<u8>,
    /// By delivery: runs since it was stored or set aside.
    pub(super) runs: Vec<u32>,
    /// By delivery: whether it was ever set aside, and so has lost its place in the order.
    was_aside: Vec<bool>,
    /// By message: whether the user decided against it.
    pub(super) given_up: Vec<bool>,
    /// By message: whether the user dropped it when it was known.
    dropped_known: Vec<bool>,
    pub(super) ran_again: bool,
    pub(super) broke_order: bool,
}

/// What can happen. The first number is that of a delivery or of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// The relay delivers, for the first time or again, and it is stored.
    Admit(usize),
    /// The relay is told that it is stored, and forgets it.
    Acknowledge(usize),
    /// A worker reads the next row that nobody tried.
    Look(usize),
    /// A worker reads this row, which is to be tried again.
    LookAgain(usize, usize),
    /// A worker reads the first row that it passed over.
    LookBack(usize),
    /// A worker begins with the first row again, and makes rows new whose lease is over.
    Rewind(usize),
    /// A worker ends what it has read and found to be a copy.
    End(usize),
    /// A worker claims what it has read.
    Claim(usize),
    /// The policy holds what a worker has read.
    Hold(usize),
    /// A worker puts off the end of a lease: that of its run with this place.
    Renew(usize, usize),
    /// A worker settles its run with this place.
    Settle(usize, usize, Outcome),
    /// A worker's process ends.
    Crash(usize),
    /// Whatever leases run are over.
    LeasesEnd,
    /// Whatever pauses run are over.
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
            workers: vec![Worker::default(); self.workers.len()],
            decisions: 0,
            past: Past {
                commits: vec![0; messages],
                runs: vec![0; deliveries],
                was_aside: vec![false; deliveries],
                given_up: vec![false; messages],
                dropped_known: vec![false; messages],
                ran_again: false,
                broke_order: false,
            },
        }]
    }

    fn actions(&self, now: &Moment, actions: &mut Vec<Action>) {
        for (number, row) in now.inbox.rows.iter().enumerate() {
            let is_absent = row.state == State::Absent;
            // The relay keeps the order of what it delivers for the first time.
            if is_absent && (number == 0 || now.was_stored[number - 1]) {
                actions.push(Action::Admit(number));
            }
            let may_forget = !is_absent || self.flaw == Some(Flaw::AcknowledgesBeforeStoring);
            if now.at_relay[number] && may_forget {
                actions.push(Action::Acknowledge(number));
            }
            if now.decisions < self.decisions {
                match row.state {
                    State::New | State::Running => actions.push(Action::Drop(number)),
                    State::Dead | State::Quarantined => {
                        actions.extend([Action::Retry(number), Action::Drop(number)]);
                    }
                    State::Held => {
                        actions.extend([Action::Accept(number), Action::Reject(number)]);
                    }
                    State::Absent | State::Done => {}
                }
            }
        }
        for (number, worker) in now.workers.iter().enumerate() {
            self.steps(number, worker, now, actions);
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

impl Moment {
    /// The same, were it not for which of two workers is which.
    pub(super) fn with_sorted_workers(&self) -> Self {
        let mut sorted = self.clone();
        sorted.workers.sort_unstable();
        sorted
    }
}

impl Machine {
    fn steps(&self, number: usize, worker: &Worker, now: &Moment, actions: &mut Vec<Action>) {
        match worker.judged {
            Some((_, true)) => actions.push(Action::End(number)),
            Some((_, false)) => {
                actions.push(Action::Claim(number));
                if self.holds {
                    actions.push(Action::Hold(number));
                }
            }
            None if worker.runs.len() < self.concurrency => {
                actions.extend([Action::Look(number), Action::Rewind(number)]);
                actions.push(Action::LookBack(number));
                let rows = now.inbox.rows.iter().enumerate();
                let again = rows.filter(|(_, row)| row.awaits_retry() && !row.waits);
                actions.extend(again.map(|(row, _)| Action::LookAgain(number, row)));
            }
            None => {}
        }
        for place in 0..worker.runs.len() {
            actions.push(Action::Renew(number, place));
            let outcomes = Outcome::ALL.into_iter();
            actions.extend(outcomes.map(|outcome| Action::Settle(number, place, outcome)));
        }
        actions.push(Action::Crash(number));
    }

    /// Does what the action says.
    pub(super) fn apply(&self, now: &mut Moment, action: Action) {
        match action {
            Action::Admit(number) => {
                now.inbox.admit(number);
                now.was_stored[number] = true;
            }
            Action::Acknowledge(number) => now.at_relay[number] = false,
            Action::Look(worker) => {
                let rows = now.inbox.rows.iter().enumerate();
                let mut ahead = rows.skip(now.workers[worker].place);
                if let Some((row, _)) = ahead.find(|(_, row)| row.is_untried()) {
                    now.workers[worker].place = row + 1;
                    self.judge(now, worker, row);
                }
            }
            Action::LookAgain(worker, row) => self.judge(now, worker, row),
            Action::LookBack(worker) => {
                if let Some(row) = now.workers[worker].waiting.pop_first()
                    && now.inbox.rows[row].state == State::New
                {
                    self.judge(now, worker, row);
                }
            }
            Action::Rewind(worker) => {
                now.workers[worker].place = 0;
                now.workers[worker].waiting.clear();
                now.inbox.reap();
            }
            Action::End(worker) => {
                if let Some((row, _)) = now.workers[worker].judged.take() {
                    now.inbox.end_copy(row, &self.deliveries, self.flaw);
                }
            }
            Action::Claim(worker) => self.claim(now, worker),
            Action::Hold(worker) => {
                if let Some((row, _)) = now.workers[worker].judged.take() {
                    now.inbox.hold(row);
                }
            }
            Action::Renew(worker, place) => {
                let run = &mut now.workers[worker].runs[place];
                run.leased = now.inbox.renew(run.row, run.fence, self.flaw);
            }
            Action::Settle(worker, place, outcome) => self.settle(now, worker, place, outcome),
            Action::Crash(worker) => now.workers[worker] = Worker::default(),
            Action::LeasesEnd => {
                let rows = now.inbox.rows.iter_mut().map(|row| &mut row.leased);
                let runs = now.workers.iter_mut().flat_map(|worker| &mut worker.runs);
                for leased in rows.chain(runs.map(|run| &mut run.leased)) {
                    *leased = false;
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
        let rows = now.inbox.rows.iter().zip(&mut now.past.runs);
        for ((row, runs), was_aside) in rows.zip(&mut now.past.was_aside) {
            if matches!(row.state, State::Dead | State::Held | State::Quarantined) {
                *was_aside = true;
                *runs = 0;
            }
        }
    }

    fn judge(&self, now: &mut Moment, worker: usize, row: usize) {
        let is_copy = now.inbox.is_copy(row, &self.deliveries);
        now.workers[worker].judged = Some((row, is_copy));
    }

    fn claim(&self, now: &mut Moment, worker: usize) {
        let Some((row, _)) = now.workers[worker].judged.take() else {
            return;
        };
        let delivery = self.deliveries[row];
        let keeps_order = self.workers[worker];
        let is_behind = self.is_behind(&now.workers[worker], row);
        let is_disorderly = self.is_disorderly(now, row);
        let claim = if is_behind && keeps_order && self.flaw != Some(Flaw::Overtakes) {
            Claim::Waits
        } else {
            let deliveries = &self.deliveries;
            now.inbox.claim(row, keeps_order, deliveries, self.flaw)
        };
        match claim {
            Claim::Run(fence) => {
                let message = delivery.message;
                now.past.ran_again |= now.past.commits[message] > 0;
                now.past.ran_again |= now.past.dropped_known[message];
                now.past.broke_order |= is_disorderly;
                now.past.runs[row] += 1;
                now.workers[worker].runs.push(Run {
                    row,
                    fence,
                    leased: true,
                });
            }
            Claim::Waits => {
                let waiting = &mut now.workers[worker].waiting;
                waiting.insert(row);
            }
            Claim::Taken | Claim::Exhausted => {}
        }
    }

    /// Whether the worker passed over an earlier message of the sender.
    pub(super) fn is_behind(&self, worker: &Worker, row: usize) -> bool {
        let sender = self.deliveries[row].sender;
        let mut waiting = worker.waiting.iter();
        waiting.any(|&earlier| earlier < row && self.deliveries[earlier].sender == sender)
    }

    fn settle(&self, now: &mut Moment, worker: usize, place: usize, outcome: Outcome) {
        let run = now.workers[worker].runs.remove(place);
        let delivery = self.deliveries[run.row];
        let settled = now
            .inbox
            .settle(run.row, run.fence, outcome, delivery, self.flaw);
        if settled && outcome == Outcome::Done {
            now.past.commits[delivery.message] += 1;
        }
    }

    fn decide(&self, now: &mut Moment, action: Action, number: usize) {
        let delivery = self.deliveries[number];
        now.decisions += 1;
        now.past.was_aside[number] = true;
        match action {
            Action::Accept(_) | Action::Retry(_) => now.inbox.make_new(number),
            Action::Reject(_) => {
                now.inbox.reject(number);
                now.past.given_up[delivery.message] = true;
            }
            Action::Drop(_) => {
                now.past.given_up[delivery.message] = true;
                now.past.dropped_known[delivery.message] |= now.inbox.rows[number].marked;
                now.past.runs[number] = 0;
                now.inbox.drop_row(number, delivery, self.flaw);
            }
            _ => {}
        }
    }

    /// Whether a run of this row would come before one of an earlier message of the sender that the
    /// inbox has, and that neither was handled nor lost its place.
    fn is_disorderly(&self, now: &Moment, row: usize) -> bool {
        let mine = self.deliveries[row];
        (0..row).any(|number| {
            let theirs = self.deliveries[number];
            theirs.sender == mine.sender
                && theirs.message != mine.message
                && self.copies(theirs.message).next() == Some(number)
                && !now.inbox.seen[theirs.message]
                && !self
                    .copies(theirs.message)
                    .any(|copy| now.past.was_aside[copy])
        })
    }
}
