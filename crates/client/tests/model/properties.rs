//! What has to hold at every moment.

use stateright::Property;

use crate::{
    inbox::{ATTEMPTS, Outcome, State},
    machine::{Action, Machine, Moment, Worker},
};

pub(crate) const NOT_LOST: &str = "no message is lost";
pub(crate) const NOT_AGAIN: &str = "what was committed, or dropped after a run, never runs again";
pub(crate) const ONE_RUN: &str = "no two runs of a message have leases that run";
pub(crate) const LIMITED: &str = "attempts are limited";
pub(crate) const ENDS: &str = "any worker alone brings everything to an end";
pub(crate) const IN_TURN: &str = "messages of a sender are run in order";
const HANDLED: &str = "all messages are handled";

impl Machine {
    pub(crate) fn all_properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(NOT_LOST, Self::loses_nothing),
            Property::always(NOT_AGAIN, |_, now: &Moment| {
                !now.past.ran_again && now.past.commits.iter().all(|&commits| commits < 2)
            }),
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

    fn copies(&self, message: usize) -> impl Iterator<Item = usize> {
        let deliveries = self.deliveries.iter().enumerate();
        deliveries
            .filter_map(move |(number, delivery)| (delivery.message == message).then_some(number))
    }

    fn has_single_runs(&self, now: &Moment) -> bool {
        let live = now.workers.iter().filter_map(|worker| match *worker {
            Worker::Running {
                row, leased: true, ..
            } => Some(self.deliveries[row].message),
            _ => None,
        });
        (0..now.inbox.seen.len())
            .all(|message| live.clone().filter(|other| *other == message).count() <= 1)
    }

    /// Whether any one worker, left alone with handlers that do their work or with ones that crash,
    /// brings everything to an end, except what waits for the user.
    fn can_end(&self, now: &Moment) -> bool {
        // As they may crash at any moment, it is enough to look at where that leaves everything.
        let has_crashed = |worker: &Worker| *worker == Worker::Looking { place: 0 };
        if !now.workers.iter().all(has_crashed) {
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
        for number in 0..self.deliveries.len() {
            self.apply(&mut now, Action::Admit(number));
        }
        // Each pass settles an attempt at least.
        let passes = self.deliveries.len() * (usize::from(ATTEMPTS) + 1) + 1;
        for _ in 0..passes {
            self.apply(&mut now, Action::LeasesEnd);
            self.apply(&mut now, Action::PausesEnd);
            self.apply(&mut now, Action::Look(worker));
            while let Worker::Judged { .. } = now.workers[worker] {
                self.apply(&mut now, Action::Claim(worker));
                if let Worker::Running { row, .. } = now.workers[worker] {
                    match outcome {
                        Some(outcome) => self.apply(&mut now, Action::Settle(worker, outcome)),
                        None => now.workers[worker] = Worker::Looking { place: row + 1 },
                    }
                }
                self.apply(&mut now, Action::Look(worker));
            }
        }
        (0..self.deliveries.len()).all(|number| match now.inbox.rows[number].state {
            State::Done | State::Dead | State::Held | State::Quarantined => true,
            // A copy of a dead letter waits for what the user decides on that.
            State::New => {
                let mut copies = self.copies(self.deliveries[number].message);
                copies.any(|copy| now.inbox.rows[copy].state == State::Dead)
            }
            State::Absent | State::Running => false,
        })
    }
}
