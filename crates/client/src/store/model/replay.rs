//! Traces of the model, replayed against a real store: after every action both are in the same state.

use std::{collections::HashMap, path::Path};

use proptest::{collection::vec, prelude::*, test_runner::TestCaseResult};
use rusqlite::{OptionalExtension, params};
use stateright::Model;
use tempfile::TempDir;

use super::{
    IN_ANY_ORDER, IN_ORDER, arriving, copies, flawed,
    inbox::{ATTEMPTS, Outcome, State},
    machine,
    machine::{Action, Machine, Moment, Run},
    way_to_break,
};
use crate::{
    message::Reason,
    relay::Delivery,
    store::{
        Claim, Claimable, EntryState, Fence, Mark, SeenBefore, Settlement, Store,
        inbox::is_remembered,
    },
};

const LEASE: i64 = 1000;
const PAUSE: i64 = 1000;
const SENDER: [u8; 32] = [7; 32];

/// What the model says of a row, in the store's words: state, attempt, whether it has a mark, waits, and
/// has a lease.
type Shown = (&'static str, u32, bool, bool, bool);

/// A real store, with as many connections as there are workers.
struct Real {
    machine: Machine,
    workers: Vec<Store>,
    user: Store,
    /// By delivery: its number in the store.
    numbers: Vec<i64>,
    fences: HashMap<(usize, u32), Fence>,
    now: i64,
    monotonic: i64,
    _folder: TempDir,
}

impl Real {
    fn new(machine: &Machine) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.sqlite");
        let open = |path: &Path| Store::open(path, Some("https://relay.example")).unwrap();
        let mut real = Self {
            machine: machine.clone(),
            workers: machine.workers.iter().map(|_| open(&path)).collect(),
            user: open(&path),
            numbers: vec![0; machine.deliveries.len()],
            fences: HashMap::new(),
            now: 1_800_000_000_000,
            monotonic: 1_000_000,
            _folder: folder,
        };
        if !machine.begins_empty {
            (0..machine.deliveries.len()).for_each(|row| real.admit(row));
        }
        real
    }

    fn admit(&mut self, row: usize) {
        let delivery = Delivery {
            relay_id: Some(format!("delivery-{row}")),
            sent_at: Some(i64::try_from(row).unwrap()),
            raw: format!("bytes of {row}").into_bytes().into(),
        };
        if self.user.admit(&[delivery], self.now).unwrap().fresh() == 1 {
            self.numbers[row] = self.user.db.last_insert_rowid();
        }
    }

    fn mark(&self, row: usize) -> Mark {
        let message = u8::try_from(self.machine.deliveries[row].message).unwrap();
        Mark::Native {
            sender: SENDER,
            id: [message; 16],
            digest: [message; 32],
            expires: i64::MAX,
        }
    }

    /// Whether a worker finds the row to be a copy.
    fn is_copy(&self, worker: usize, row: usize) -> bool {
        let store = &self.workers[worker];
        let seen = store.seen(self.numbers[row], &self.mark(row), None);
        seen.unwrap() != SeenBefore::Never
    }

    /// Does what the model does between `last` and `next`.
    fn apply(&mut self, last: &Moment, action: Action, next: &Moment) -> TestCaseResult {
        match action {
            Action::Admit(row) => self.admit(row),
            Action::Acknowledge(_) | Action::Crash(_) => {}
            Action::Look(worker) => {
                let place = last.workers[worker].place;
                let after = i64::try_from(place).unwrap() - 1;
                let found = self.workers[worker]
                    .next_place(Some((after, i64::MAX)))
                    .unwrap();
                let judged = next.workers[worker].judged;
                let number = judged.map(|(row, _)| self.numbers[row]);
                prop_assert_eq!(found.map(|(_, number)| number), number);
                self.judge(worker, next)?;
            }
            Action::LookAgain(worker, row) => {
                let due = self.workers[worker].due(self.now, PAUSE).unwrap();
                prop_assert!(due.contains(&self.numbers[row]));
                self.judge(worker, next)?;
            }
            Action::LookBack(worker) => self.judge(worker, next)?,
            Action::Rewind(worker) => {
                let store = &mut self.workers[worker];
                store.reap(self.monotonic, LEASE).unwrap();
            }
            Action::End(worker) => {
                let (row, _) = last.workers[worker].judged.unwrap();
                let mark = self.mark(row);
                let store = &mut self.workers[worker];
                store.end_copy(self.numbers[row], &mark, i64::MAX).unwrap();
            }
            Action::Claim(worker) => self.claim(worker, last, next)?,
            Action::Hold(worker) => {
                let (row, _) = last.workers[worker].judged.unwrap();
                let store = &mut self.workers[worker];
                let number = self.numbers[row];
                let held = store.put_away(
                    number,
                    None,
                    EntryState::Held,
                    (Reason::Policy, ""),
                    self.now,
                );
                held.unwrap();
            }
            Action::Renew(worker, place) => {
                let run = last.workers[worker].runs[place];
                let fence = self.fences[&(run.row, run.fence)];
                let until = self.monotonic + LEASE;
                self.workers[worker].renew(&[fence], until).unwrap();
            }
            Action::Settle(worker, place, outcome) => {
                self.settle(worker, last.workers[worker].runs[place], outcome);
            }
            Action::LeasesEnd => self.monotonic += LEASE,
            Action::PausesEnd => self.now += PAUSE,
            Action::Accept(row) => prop_assert!(self.user.accept(self.numbers[row]).unwrap()),
            Action::Reject(row) => {
                prop_assert!(self.user.reject(self.numbers[row], self.now).unwrap());
            }
            Action::Retry(row) => self.user.retry(self.numbers[row]).unwrap(),
            Action::Drop(row) => {
                let number = self.numbers[row];
                self.user.drop_entry(number, self.now).unwrap();
            }
        }
        self.is_like(next)
    }

    /// What the worker reads, it has to find to be a copy or not as in the model.
    fn judge(&self, worker: usize, next: &Moment) -> TestCaseResult {
        if let Some((row, is_copy)) = next.workers[worker].judged {
            let entry = self.workers[worker].new_entry(self.numbers[row]);
            prop_assert!(entry.unwrap().is_some());
            prop_assert_eq!(self.is_copy(worker, row), is_copy);
        }
        Ok(())
    }

    fn claim(&mut self, worker: usize, last: &Moment, next: &Moment) -> TestCaseResult {
        let (row, _) = last.workers[worker].judged.unwrap();
        let keeps_order = self.machine.workers[worker];
        if keeps_order && self.machine.is_behind(&last.workers[worker], row) {
            return Ok(());
        }
        let mark = self.mark(row);
        let claim = Claim {
            number: self.numbers[row],
            mark: &mark,
            ordered_by: keeps_order.then_some(SENDER),
            until: self.monotonic + LEASE,
            most_attempts: Some(ATTEMPTS),
            contact: None,
        };
        let store = &mut self.workers[worker];
        match store.claimable(&claim).unwrap() {
            Claimable::Yes(fence) => {
                store.claim(&claim, Some(SENDER), fence).unwrap();
                let run = next.workers[worker].runs.iter().find(|run| run.row == row);
                prop_assert!(run.is_some(), "the model does not claim");
                self.fences.insert((row, run.unwrap().fence), fence);
            }
            Claimable::Exhausted(_) => {
                prop_assert!(store.exhaust(&claim, "", self.now).unwrap());
            }
            Claimable::Waits => prop_assert!(next.workers[worker].waiting.contains(&row)),
            Claimable::Taken => {}
        }
        Ok(())
    }

    fn settle(&mut self, worker: usize, run: Run, outcome: Outcome) {
        let fence = self.fences[&(run.row, run.fence)];
        let why = String::new();
        let settlement = match outcome {
            Outcome::Done => Settlement::Done {
                mark: self.mark(run.row),
                relay_id: None,
                keep: false,
            },
            Outcome::Retry if fence.attempt < ATTEMPTS => Settlement::Retry {
                due: self.now + PAUSE,
                why,
            },
            Outcome::Retry | Outcome::Failed => Settlement::Dead { why },
            Outcome::Refused => Settlement::Quarantined { why },
        };
        let store = &mut self.workers[worker];
        let _is_mine = store.settle(fence, &settlement, self.now).unwrap();
    }

    fn is_like(&self, model: &Moment) -> TestCaseResult {
        for (number, row) in model.inbox.rows.iter().enumerate() {
            let state = match row.state {
                State::Absent => None,
                State::New => Some(EntryState::New),
                State::Running => Some(EntryState::Running),
                State::Done => Some(EntryState::Done),
                State::Dead => Some(EntryState::Dead),
                State::Held => Some(EntryState::Held),
                State::Quarantined => Some(EntryState::Quarantined),
            };
            let expected: Option<Shown> = state.map(|state| {
                let attempt = if state == EntryState::Done {
                    0
                } else {
                    row.attempt
                };
                (state.as_str(), attempt, row.marked, row.waits, row.leased)
            });
            prop_assert_eq!(self.shown(number), expected, "delivery {}", number);
            let remembered = self.user.read(|db| is_remembered(db, &self.mark(number)));
            let message = self.machine.deliveries[number].message;
            prop_assert_eq!(remembered.unwrap(), model.inbox.seen[message]);
        }
        let totals = "SELECT (SELECT group_concat(state || messages || ' ' || bytes) FROM aside),
            (SELECT group_concat(state || (SELECT count(*) || ' ' || coalesce(sum(length(raw)), 0)
             FROM inbox WHERE inbox.state = aside.state)) FROM aside)";
        let totals = self
            .user
            .read(|db| db.query_row(totals, [], |row| Ok((row.get(0)?, row.get(1)?))));
        let (kept, counted): (String, String) = totals.unwrap();
        prop_assert_eq!(kept, counted);
        Ok(())
    }

    fn shown(&self, row: usize) -> Option<Shown> {
        let shown = self.user.read(|db| {
            db.query_row(
                "SELECT state, iif(state = 'done', 0, attempt), mark IS NOT NULL,
                 coalesce(due > ?2, 0), state = 'running' AND lease > ?3
                 FROM inbox WHERE number = ?1",
                params![self.numbers[row], self.now, self.monotonic],
                |row| {
                    let state: String = row.get(0)?;
                    let states = EntryState::ALL.into_iter();
                    let known = states.map(EntryState::as_str).find(|known| *known == state);
                    Ok((
                        known.unwrap(),
                        row.get(1)?,
                        row.get(2)?,
                        row.get(3)?,
                        row.get(4)?,
                    ))
                },
            )
            .optional()
        });
        shown.unwrap()
    }
}

/// Follows the model where the choices lead, for as long as it goes on.
fn replay(machine: &Machine, choices: &[prop::sample::Index]) -> TestCaseResult {
    let mut model = machine.init_states().remove(0);
    let mut real = Real::new(machine);
    real.is_like(&model)?;
    for choice in choices {
        let steps = machine.next_steps(&model);
        if steps.is_empty() {
            break;
        }
        let (action, next) = choice.get(&steps).clone();
        real.apply(&model, action, &next)?;
        model = next;
    }
    Ok(())
}

/// What goes wrong where a rule is left out does not in the store: it does what the rule says.
#[test]
fn the_store_follows_every_rule() {
    for (flawed, property) in flawed() {
        let machine = Machine {
            flaw: None,
            ..flawed.clone()
        };
        let mut model = machine.init_states().remove(0);
        let mut real = Real::new(&machine);
        for action in way_to_break(&flawed, property).unwrap() {
            let mut possible = Vec::new();
            machine.actions(&model, &mut possible);
            if possible.contains(&action) {
                let mut next = model.clone();
                machine.apply(&mut next, action);
                let outcome = real.apply(&model, action, &next);
                outcome.unwrap_or_else(|error| panic!("{:?}: {action:?}: {error}", flawed.flaw));
                model = next;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_does_with_a_message_what_the_model_does(choices in vec(any::<prop::sample::Index>(), 60)) {
        replay(&arriving(), &choices)?;
    }

    #[test]
    fn the_store_does_with_copies_what_the_model_does(choices in vec(any::<prop::sample::Index>(), 60)) {
        replay(&copies(), &choices)?;
    }

    #[test]
    fn the_store_does_with_a_senders_messages_what_the_model_does(
        choices in vec(any::<prop::sample::Index>(), 60),
        keeps_order in any::<bool>(),
    ) {
        let second = if keeps_order { IN_ORDER } else { IN_ANY_ORDER };
        let machine = Machine {
            decisions: 2,
            holds: true,
            ..machine(&[0, 0, 1], &[IN_ORDER, second])
        };
        replay(&machine, &choices)?;
    }
}
