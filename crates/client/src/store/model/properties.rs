//! What has to hold at every moment.

use stateright::Property;

use super::{
    inbox::{ATTEMPTS, Outcome, State},
    machine::{Action, Machine, Moment, Worker},
};

pub(super) const NOT_LOST: &str = "no message is lost";
pub(super) const NOT_AGAIN: &str = "what was committed, or dropped after a run, never runs again";
pub(super) const ONE_RUN: &str = "no two runs of a message have leases that run";
pub(super) const LIMITED: &str = "attempts are limited";
pub(super) const ENDS: &str = "any worker alone brings everything to an end";
pub(super) const IN_TURN: &str = "messages of a sender are run in order";
const HANDLED: &str = "all messages are handled";

impl Machine {
    pub(super) fn all_properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(NOT_LOST, Self::loses_nothing),
            Property::always(NOT_AGAIN, |_, now: &Moment| !now.past.ran_again),
            Property::always(ONE_RUN, Self::has_single_runs),
            Property::always(LIMITED, |_, now: &Moment| {
                now.past.runs.iter().all(|&runs| runs <= ATTEMPTS)
            }),
            Property::always(ENDS, Self::can_end),
            Property::sometimes(HANDLED, |_, now: &Moment| {
                now.past.commits.iter().all(|&commits| commits == 1)
            }),
        ];
        if self.workers.iter().all(|keeps_order| *keeps_order) {
            let in_order = |_: &Self, now: &Moment| !now.past.broke_order;
            properties.push(Property::always(IN_TURN, in_order));
        }
        properties
    }

    fn loses_nothing(&self, now: &Moment) -> bool {
        (0..now.inbox.seen.len()).all(|message| {
            let mut copies = self.copies(message);
            let is_somewhere = copies.any(|number| {
                let state = now.inbox.rows[number].state;
                now.at_relay[number] || !matches!(state, State::Absent | State::Done)
            });
            is_somewhere || now.past.commits[message] > 0 || now.past.given_up[message]
        })
    }

    /// The deliveries of a message.
    pub(super) fn copies(&self, message: usize) -> impl Iterator<Item = usize> {
        let deliveries = self.deliveries.iter().enumerate();
        deliveries
            .filter_map(move |(number, delivery)| (delivery.message == message).then_some(number))
    }

    fn has_single_runs(&self, now: &Moment) -> bool {
        let runs = now.workers.iter().flat_map(|worker| &worker.runs);
        let live = runs.filter(|run| run.leased);
        let live = live.map(|run| self.deliveries[run.row].message);
        (0..now.inbox.seen.len())
            .all(|message| live.clone().filter(|other| *other == message).count() <= 1)
    }

    /// Whether any one worker, left alone with handlers that do their work or with ones that crash,
    /// brings everything to an end, except what waits for the user.
    fn can_end(&self, now: &Moment) -> bool {
        // As they may crash at any moment, it is enough to look at where that leaves everything.
        if now
            .workers
            .iter()
            .any(|worker| *worker != Worker::default())
        {
            return true;
        }
        (0..self.workers.len()).all(|worker| {
            [Some(Outcome::Done), None]
                .into_iter()
                .all(|outcome| self.ends_with(now.clone(), worker, outcome))
        })
    }

    /// `outcome` is that of every run; none where each one crashes.
    fn ends_with(&self, mut now: Moment, worker: usize, outcome: Option<Outcome>) -> bool {
        let numbers = 0..self.deliveries.len();
        for number in numbers.clone() {
            self.apply(&mut now, Action::Admit(number));
        }
        // Each pass settles an attempt at least.
        for _ in 0..=numbers.len() * 3 {
            for action in [Action::LeasesEnd, Action::PausesEnd, Action::Rewind(worker)] {
                self.apply(&mut now, action);
            }
            for number in numbers.clone() {
                if now.inbox.rows[number].awaits_retry() {
                    self.take(&mut now, Action::LookAgain(worker, number), worker, outcome);
                }
            }
            for _ in numbers.clone() {
                self.take(&mut now, Action::Look(worker), worker, outcome);
            }
        }
        now.inbox
            .rows
            .iter()
            .all(|row| !matches!(row.state, State::Absent | State::New | State::Running))
    }

    /// Reads a row, and handles it.
    fn take(&self, now: &mut Moment, look: Action, worker: usize, outcome: Option<Outcome>) {
        self.apply(now, look);
        match now.workers[worker].judged {
            Some((_, true)) => self.apply(now, Action::End(worker)),
            Some((_, false)) => self.apply(now, Action::Claim(worker)),
            None => {}
        }
        match outcome {
            Some(outcome) if !now.workers[worker].runs.is_empty() => {
                self.apply(now, Action::Settle(worker, 0, outcome));
            }
            _ => now.workers[worker].runs.clear(),
        }
    }
}
