//! The rows of the inbox, and what may be done to them: the rules that the store has to follow.

use super::flaw::Flaw;

/// Attempts before a message becomes a dead letter, of the user's choice; two show what more would.
pub(super) const ATTEMPTS: u32 = 2;

/// A message as the relay delivers it; several may be copies of one message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delivery {
    pub(super) message: usize,
    pub(super) sender: usize,
}

/// Where a delivery stands in the inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum State {
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
pub(super) struct Row {
    pub(super) state: State,
    /// Attempts since it was stored, set aside or retried by the user.
    pub(super) attempt: u32,
    /// All its claims ever: with the row's number, the fence.
    pub(super) claims: u32,
    /// Whether it is known to be a copy of its message, and holds back others.
    pub(super) marked: bool,
    /// Whether its next attempt is still ahead.
    pub(super) waits: bool,
    /// Whether its lease runs.
    pub(super) leased: bool,
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    Retry,
    Failed,
    Refused,
}

impl Outcome {
    pub(super) const ALL: [Self; 4] = [Self::Done, Self::Retry, Self::Failed, Self::Refused];
}

/// What a claim came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// The message may be run, with this fence.
    Run(u32),
    /// Somebody else has it, or has ended it.
    Taken,
    /// An earlier message of its sender is not settled.
    Waits,
    /// It had too many attempts, and is dead now.
    Exhausted,
}

/// Everything durable: what survives a crash of every process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Inbox {
    pub(super) rows: Vec<Row>,
    /// By message: whether it is never run again.
    pub(super) seen: Vec<bool>,
}

impl Row {
    const ABSENT: Self = Self {
        state: State::Absent,
        attempt: 0,
        claims: 0,
        marked: false,
        waits: false,
        leased: false,
    };

    /// Whether it was tried and is to be tried again.
    pub(super) fn awaits_retry(&self) -> bool {
        self.state == State::New && self.attempt > 0
    }

    /// Whether nobody tried it yet.
    pub(super) fn is_untried(&self) -> bool {
        self.state == State::New && self.attempt == 0
    }

    /// As it is in a new state, that of one that nobody has in hand and nobody knows.
    fn become_unknown(&mut self, state: State) {
        *self = Self {
            state,
            claims: self.claims,
            ..Self::ABSENT
        };
    }

    fn let_go(&mut self, state: State) {
        self.state = state;
        self.leased = false;
    }
}

impl Inbox {
    pub(super) fn new(deliveries: &[Delivery]) -> Self {
        let messages = deliveries.iter().map(|delivery| delivery.message + 1);
        Self {
            rows: vec![Row::ABSENT; deliveries.len()],
            seen: vec![false; messages.max().unwrap()],
        }
    }

    /// Stores a delivery, if it is not there.
    pub(super) fn admit(&mut self, number: usize) {
        let row = &mut self.rows[number];
        if row.state == State::Absent {
            row.become_unknown(State::New);
        }
    }

    /// Makes rows new whose lease is over.
    pub(super) fn reap(&mut self) {
        for row in &mut self.rows {
            if row.state == State::Running && !row.leased {
                row.state = State::New;
            }
        }
    }

    /// Whether the row is a copy of one that is known, or of one that was handled.
    pub(super) fn is_copy(&self, number: usize, deliveries: &[Delivery]) -> bool {
        let message = deliveries[number].message;
        let mut others = self.rows.iter().zip(deliveries).enumerate();
        self.seen[message]
            || others.any(|(other, (row, delivery))| {
                other != number && row.marked && delivery.message == message
            })
    }

    /// Ends a row that was found to be a copy, if it still is one.
    pub(super) fn end_copy(
        &mut self,
        number: usize,
        deliveries: &[Delivery],
        flaw: Option<Flaw>,
    ) -> bool {
        let is_copy = self.is_copy(number, deliveries) || flaw == Some(Flaw::EndsWhatIsNoCopyNow);
        let ends = is_copy && self.rows[number].state == State::New;
        if ends {
            self.rows[number].become_unknown(State::Done);
        }
        ends
    }

    /// Takes a row for a run, in one transaction.
    pub(super) fn claim(
        &mut self,
        number: usize,
        keeps_order: bool,
        deliveries: &[Delivery],
        flaw: Option<Flaw>,
    ) -> Claim {
        let mine = self.rows[number];
        let is_free = mine.state == State::New
            || (mine.state == State::Running && flaw == Some(Flaw::ClaimsWhatRuns));
        let is_copy = match flaw {
            Some(Flaw::ClaimsCopies) => self.seen[deliveries[number].message],
            Some(Flaw::ClaimsWhatWasSeen) => {
                let unseen = Self {
                    rows: self.rows.clone(),
                    seen: vec![false; self.seen.len()],
                };
                unseen.is_copy(number, deliveries)
            }
            _ => self.is_copy(number, deliveries),
        };
        if !is_free || is_copy {
            return Claim::Taken;
        }
        let sender = deliveries[number].sender;
        let mut others = self.rows.iter().zip(deliveries).enumerate();
        let waits = others.any(|(other, (row, delivery))| {
            let is_before = other < number && row.awaits_retry();
            delivery.sender == sender
                && other != number
                && (row.state == State::Running || is_before)
        });
        if waits && keeps_order && flaw != Some(Flaw::ClaimsOutOfTurn) {
            return Claim::Waits;
        }
        let row = &mut self.rows[number];
        row.marked = true;
        row.waits = false;
        if row.attempt >= ATTEMPTS {
            row.let_go(State::Dead);
            return Claim::Exhausted;
        }
        row.state = State::Running;
        row.leased = true;
        row.claims += 1;
        if flaw != Some(Flaw::CrashesAreNotCounted) {
            row.attempt += 1;
        }
        Claim::Run(self.fence(number, flaw))
    }

    /// What a claim has to know to settle the row.
    fn fence(&self, number: usize, flaw: Option<Flaw>) -> u32 {
        let row = &self.rows[number];
        match flaw {
            Some(Flaw::FenceStartsAgain) => row.attempt,
            _ => row.claims,
        }
    }

    /// Whether a claim still has the row.
    fn has(&self, number: usize, fence: u32, flaw: Option<Flaw>) -> bool {
        self.rows[number].state == State::Running && self.fence(number, flaw) == fence
    }

    /// Lets a claim have the row for longer; whether it still had it.
    pub(super) fn renew(&mut self, number: usize, fence: u32, flaw: Option<Flaw>) -> bool {
        let has = self.has(number, fence, flaw);
        if has {
            self.rows[number].leased = true;
        }
        has
    }

    /// Records what became of a run, in one transaction; whether the claim still had the row.
    pub(super) fn settle(
        &mut self,
        number: usize,
        fence: u32,
        outcome: Outcome,
        delivery: Delivery,
        flaw: Option<Flaw>,
    ) -> bool {
        let has = self.has(number, fence, flaw);
        let is_gone = self.rows[number].state == State::Absent;
        if !has && is_gone && outcome == Outcome::Done {
            self.seen[delivery.message] = true;
        }
        if !has && flaw != Some(Flaw::SettlesWithoutFence) {
            return is_gone && outcome == Outcome::Done;
        }
        let row = &mut self.rows[number];
        match outcome {
            Outcome::Done => {
                row.become_unknown(State::Done);
                self.seen[delivery.message] = flaw != Some(Flaw::CommitForgets);
            }
            Outcome::Retry if row.attempt < ATTEMPTS => {
                row.let_go(State::New);
                row.waits = true;
            }
            Outcome::Retry | Outcome::Failed => row.let_go(State::Dead),
            Outcome::Refused => row.let_go(State::Quarantined),
        }
        true
    }

    /// Holds a row that the policy wants a decision on.
    pub(super) fn hold(&mut self, number: usize) {
        let row = &mut self.rows[number];
        if row.state == State::New {
            row.become_unknown(State::Held);
        }
    }

    /// The user wants a row handed over that is held, or tried again.
    pub(super) fn make_new(&mut self, number: usize) {
        self.rows[number].become_unknown(State::New);
    }

    /// The user is done with a held row; its bytes are not stored again.
    pub(super) fn reject(&mut self, number: usize) {
        self.rows[number].become_unknown(State::Done);
    }

    /// The user deletes a row. If it is known by then, its copies are not run either.
    pub(super) fn drop_row(&mut self, number: usize, delivery: Delivery, flaw: Option<Flaw>) {
        let row = &mut self.rows[number];
        if row.marked && flaw != Some(Flaw::DropForgets) {
            self.seen[delivery.message] = true;
        }
        // Should it be stored again, then under another number, which the count of claims stands for.
        row.become_unknown(State::Absent);
    }
}
