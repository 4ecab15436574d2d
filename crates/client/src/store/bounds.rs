//! How much is kept of what waits for the user: dead letters, held messages and the quarantine, each
//! bounded by itself, so that a flood of one pushes out nothing of the others. Whoever has the most there
//! loses the oldest, so that a contact's flood pushes out nothing of other contacts' either. All that no
//! contact signed counts as of one, as does what those signed who only wrote first: names and keys are free
//! for anybody to make.
//!
//! Triggers keep running totals, so that nothing has to be counted.

use rusqlite::{OptionalExtension, params};

use super::{EntryState, Store, Transaction, inbox};

/// How much is kept in each of the states `dead`, `held` and `quarantined`. Of what is over it, the oldest
/// goes first of the contact that has the most there; all that no contact signed counts as of one, with that of
/// contacts who only wrote first. The newest message always stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InboxLimits {
    /// Most messages.
    pub messages: u64,
    /// Most bytes of messages as received.
    pub bytes: u64,
}

impl Default for InboxLimits {
    /// 10,000 messages and 256 MiB.
    fn default() -> Self {
        Self {
            messages: 10_000,
            bytes: 256 << 20,
        }
    }
}

/// How many messages were dropped because too much lay in one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dropped {
    pub(crate) state: EntryState,
    pub(crate) messages: u64,
}

impl Store {
    /// Bounds from now on what waits for the user.
    pub(crate) const fn set_limits(&mut self, limits: InboxLimits) {
        self.limits = limits;
    }

    /// What was dropped since this was last called.
    pub(crate) fn take_dropped(&mut self) -> Vec<Dropped> {
        std::mem::take(&mut self.dropped)
    }

    pub(super) fn note_dropped(&mut self, state: EntryState, messages: u64) {
        if messages == 0 {
            return;
        }
        let mut known = self.dropped.iter_mut();
        match known.find(|dropped| dropped.state == state) {
            Some(dropped) => dropped.messages = dropped.messages.saturating_add(messages),
            None => self.dropped.push(Dropped { state, messages }),
        }
    }
}

impl InboxLimits {
    /// Drops messages of a state until the others are within the limits; how many.
    pub(super) fn enforce(
        self,
        transaction: &Transaction<'_>,
        state: EntryState,
        now: i64,
    ) -> rusqlite::Result<u64> {
        let mut dropped = 0;
        loop {
            let totals = transaction
                .prepare_cached("SELECT messages, bytes FROM aside WHERE state = ?1")?
                .query_row([state.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let (messages, bytes): (i64, i64) = totals.unwrap_or_default();
            let is_within = |total: i64, limit: u64| u64::try_from(total).unwrap_or(0) <= limit;
            if messages <= 1 || (is_within(messages, self.messages) && is_within(bytes, self.bytes))
            {
                return Ok(dropped);
            }
            let counts_messages = !is_within(messages, self.messages);
            let oldest = transaction
                .prepare_cached(
                    "SELECT min(number) AS oldest FROM inbox
                     WHERE state = ?1 AND (state = 'dead' OR state = 'held' OR state = 'quarantined')
                     GROUP BY contact
                     HAVING oldest < (SELECT max(number) FROM inbox WHERE state = ?1
                         AND (state = 'dead' OR state = 'held' OR state = 'quarantined'))
                     ORDER BY iif(?2, count(*), sum(size)) DESC, contact LIMIT 1",
                )?
                .query_row(params![state.as_str(), counts_messages], |row| row.get(0))?;
            inbox::drop_row(transaction, oldest, now)?;
            dropped += 1;
        }
    }
}
