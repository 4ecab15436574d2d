//! The rows of the inbox, and what may be done to them: the rules that the store has to follow.

use crate::flaw::Flaw;

/// Attempts before a message becomes a dead letter, of the user's choice; two show what more would.
pub(crate) const ATTEMPTS: u8 = 2;

/// A message as the relay delivers it; several may be copies of one message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delivery {
    pub(crate) message: usize,
    pub(crate) sender: usize,
}

/// Where a delivery stands in the inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum State {
    /// Not in the inbox.
    Absent,
    New,
    Running,
    Done,
    Dead,
    Held,
    Quarantined,
}

/// A delivery's place in the inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Row {
    pub(crate) state: State,
    /// Attempts since it was stored or the user last had a say.
    pub(crate) attempt: u8,
    /// All its claims ever: with the row's number, the fence.
    pub(crate) claim: u8,
    /// Whether it was claimed, and so is known to be a copy of its message.
    pub(crate) known: bool,
    /// Whether its next attempt is still ahead.
    pub(crate) waits: bool,
    /// Whether its lease runs.
    pub(crate) leased: bool,
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    Retry,
    Failed,
    Refused,
}

impl Outcome {
    pub(crate) const ALL: [Self; 4] = [Self::Done, Self::Retry, Self::Failed, Self::Refused];
}

/// What a claim came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// The message may be run; with the fence that settling needs.
    Run(u8),
    /// The message was handled, or had too many attempts: the row is ended.
    Ended,
    /// Not now.
    Refused,
}

/// Everything durable: what survives a crash of every process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Inbox {
    pub(crate) rows: Vec<Row>,
    /// By message: whether it is never run again.
    pub(crate) seen: Vec<bool>,
}

impl Row {
    const ABSENT: Self = Self {
        state: State::Absent,
        attempt: 0,
        claim: 0,
        known: false,
        waits: false,
        leased: false,
    };

    /// Whether a worker that looks for something to do comes upon it.
    pub(crate) fn is_due(&self) -> bool {
        match self.state {
            State::New => !self.waits,
            State::Running => !self.leased,
            _ => false,
        }
    }

    fn awaits_retry(&self) -> bool {
        self.state == State::New && self.attempt > 0
    }

    fn become_new(&mut self) {
        self.state = State::New;
        self.attempt = 0;
        self.waits = false;
    }

    fn set_aside(&mut self, state: State) {
        self.state = state;
        self.leased = false;
        self.waits = false;
    }
}

impl Inbox {
    pub(crate) fn new(deliveries: &[Delivery]) -> Self {
        let messages = deliveries.iter().map(|delivery| delivery.message + 1);
        Self {
            rows: vec![Row::ABSENT; deliveries.len()],
            seen: vec![false; messages.max().unwrap()],
        }
    }

    /// Stores a delivery, if it is not there.
    pub(crate) fn admit(&mut self, row: usize) {
        let row = &mut self.rows[row];
        if row.state == State::Absent {
            row.become_new();
        }
    }

    /// Takes a row for a run, in one transaction.
    pub(crate) fn claim(
        &mut self,
        number: usize,
        keeps_order: bool,
        deliveries: &[Delivery],
        flaw: Option<Flaw>,
    ) -> Claim {
        let row = self.rows[number];
        let is_over = !row.leased || flaw == Some(Flaw::ClaimIgnoresLeases);
        let may_run = match row.state {
            State::New => !row.waits,
            State::Running => is_over,
            _ => false,
        };
        if !may_run {
            return Claim::Refused;
        }
        let mine = deliveries[number];
        if self.seen[mine.message] && flaw != Some(Flaw::ClaimIgnoresSeen) {
            self.rows[number].set_aside(State::Done);
            return Claim::Ended;
        }
        for (other, theirs) in deliveries.iter().enumerate() {
            let found = self.rows[other];
            if other == number {
                continue;
            }
            let is_copy = theirs.message == mine.message && flaw != Some(Flaw::ClaimIgnoresCopies);
            let is_taken = matches!(found.state, State::Running | State::Dead);
            if is_copy && (is_taken || found.awaits_retry()) {
                return Claim::Refused;
            }
            let is_before = keeps_order
                && theirs.sender == mine.sender
                && flaw != Some(Flaw::ClaimIgnoresSenders);
            let (is_running, is_earlier) = (found.state == State::Running, other < number);
            // One whose lease is over holds back later ones alone, as if it awaited its retry: it
            // would hold back an earlier one that holds it back.
            let holds_back = is_running && (found.leased || flaw == Some(Flaw::LaterRowsHoldBack));
            if is_before && (holds_back || (is_earlier && (is_running || found.awaits_retry()))) {
                return Claim::Refused;
            }
        }
        let row = &mut self.rows[number];
        if row.attempt >= ATTEMPTS {
            row.set_aside(State::Dead);
            return Claim::Ended;
        }
        row.state = State::Running;
        row.leased = true;
        row.claim += 1;
        row.known = true;
        if flaw != Some(Flaw::CrashesAreNotCounted) {
            row.attempt += 1;
        }
        Claim::Run(self.fence(number, flaw))
    }

    /// What a claim has to know to settle the row.
    fn fence(&self, number: usize, flaw: Option<Flaw>) -> u8 {
        let row = &self.rows[number];
        match flaw {
            Some(Flaw::FenceStartsAgain) => row.attempt,
            _ => row.claim,
        }
    }

    /// Whether a claim still has the row.
    fn has(&self, number: usize, fence: u8, flaw: Option<Flaw>) -> bool {
        self.rows[number].state == State::Running && self.fence(number, flaw) == fence
    }

    /// Lets a claim have the row for longer; whether it still had it.
    pub(crate) fn renew(&mut self, number: usize, fence: u8, flaw: Option<Flaw>) -> bool {
        let has = self.has(number, fence, flaw);
        if has {
            self.rows[number].leased = true;
        }
        has
    }

    /// Records what became of a run, in one transaction; whether the claim still had the row.
    pub(crate) fn settle(
        &mut self,
        number: usize,
        fence: u8,
        outcome: Outcome,
        delivery: Delivery,
        flaw: Option<Flaw>,
    ) -> bool {
        let has = self.has(number, fence, flaw) || flaw == Some(Flaw::SettlesWithoutFence);
        if !has {
            return false;
        }
        let row = &mut self.rows[number];
        match outcome {
            Outcome::Done => {
                row.set_aside(State::Done);
                self.seen[delivery.message] = flaw != Some(Flaw::CommitForgets);
            }
            Outcome::Retry if row.attempt < ATTEMPTS => {
                row.set_aside(State::New);
                row.waits = true;
            }
            Outcome::Retry | Outcome::Failed => row.set_aside(State::Dead),
            Outcome::Refused => row.set_aside(State::Quarantined),
        }
        true
    }

    /// Holds a row that the policy wants a decision on.
    pub(crate) fn hold(&mut self, number: usize) {
        let row = &mut self.rows[number];
        if row.state == State::New {
            row.set_aside(State::Held);
        }
    }

    /// The user wants a row handed over.
    pub(crate) fn accept(&mut self, number: usize, flaw: Option<Flaw>) {
        let row = &mut self.rows[number];
        let attempt = row.attempt;
        row.become_new();
        if flaw == Some(Flaw::AcceptKeepsAttempts) {
            row.attempt = attempt;
        }
    }

    /// The user wants a row tried again.
    pub(crate) fn retry(&mut self, number: usize) {
        self.rows[number].become_new();
    }

    /// The user is done with a held row; its bytes are not stored again.
    pub(crate) fn reject(&mut self, number: usize) {
        self.rows[number].set_aside(State::Done);
    }

    /// The user deletes a row. A message that was claimed is known by then, and its copies are not run
    /// either.
    pub(crate) fn drop_row(&mut self, number: usize, delivery: Delivery, flaw: Option<Flaw>) {
        let row = &mut self.rows[number];
        if row.known && flaw != Some(Flaw::DropForgets) {
            self.seen[delivery.message] = true;
        }
        // Should it be stored again, then under another number, which the count of claims stands for.
        *row = Row {
            claim: row.claim,
            ..Row::ABSENT
        };
    }
}
