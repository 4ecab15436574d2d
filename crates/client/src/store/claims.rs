//! Claims: which worker has a message in hand, until when, and what became of it.
//!
//! A claim is a lease. Its number and the count of claims together are the fence: whoever settles names
//! both, so that a worker whose lease is over, and whose message another one has taken, settles nothing.
//! Attempts would not do: they begin again when the user retries.

use rusqlite::{OptionalExtension, params};

use super::{Entry, EntryState, Mark, Store, StoreError, Transaction, inbox};
use crate::message::Reason;

/// What a message is claimed with.
pub(crate) struct Claim<'a> {
    pub(crate) number: i64,
    pub(crate) mark: &'a Mark,
    /// The key that signed it, where its sender's messages are to keep their order.
    pub(crate) ordered_by: Option<[u8; 32]>,
    /// Until when, by the monotonic clock in milliseconds.
    pub(crate) until: i64,
    /// After so many attempts there is no other one.
    pub(crate) most_attempts: Option<u32>,
    /// The contact that signed it, unless that only wrote first.
    pub(crate) contact: Option<i64>,
}

/// Whether a message may be claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claimable {
    /// With this fence.
    Yes(Fence),
    /// Somebody else has it, or has ended it.
    Taken,
    /// An earlier message of its sender is not settled.
    Waits,
    /// There were too many attempts.
    Exhausted(u32),
}

/// A claim that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Fence {
    pub(crate) number: i64,
    pub(crate) attempt: u32,
    claims: i64,
}

/// What becomes of a claimed message.
#[derive(Clone, Debug)]
pub(crate) enum Settlement {
    /// It is handled.
    Done {
        mark: Mark,
        relay_id: Option<String>,
        /// Whether its bytes stay, to be looked at.
        keep: bool,
    },
    /// It is tried again from then on, in milliseconds since the Unix epoch.
    Retry { due: i64, why: String },
    /// It is given up.
    Dead { why: String },
    /// It is not to be handled.
    Quarantined { why: String },
    /// Nothing came of it, and it is as it was before, but for the attempt.
    Released,
}

impl Settlement {
    /// The state that it leads to.
    const fn state(&self) -> EntryState {
        match self {
            Self::Done { .. } => EntryState::Done,
            Self::Retry { .. } | Self::Released => EntryState::New,
            Self::Dead { .. } => EntryState::Dead,
            Self::Quarantined { .. } => EntryState::Quarantined,
        }
    }
}

impl Store {
    /// Makes messages new again whose lease is over, or was made before the machine started anew. One
    /// that another process made after `monotonic` was read is neither, though it ends a little later.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub(crate) fn reap(&mut self, monotonic: i64, lease: i64) -> Result<(), StoreError> {
        let relay = self.relay;
        let over = "relay = ?1 AND state = 'running'
                    AND (lease <= ?2 OR lease > ?2 + 2 * ?3 OR lease IS NULL)";
        let is_any = self.read(|db| {
            db.prepare_cached(&format!("SELECT 1 FROM inbox WHERE {over} LIMIT 1"))?
                .exists(params![relay, monotonic, lease])
        })?;
        if !is_any {
            return Ok(());
        }
        self.write("reap", |transaction| {
            transaction.execute(
                &format!("UPDATE inbox SET state = 'new', lease = NULL WHERE {over}"),
                params![relay, monotonic, lease],
            )?;
            Ok(())
        })
    }

    /// The numbers of messages of the current relay that are to be tried again now, the longest due
    /// first. One that is due later than a pause lasts is due now: the clock was set back.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub(crate) fn due(&self, now: i64, longest_pause: i64) -> Result<Vec<i64>, StoreError> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT number FROM inbox
                 WHERE relay = ?1 AND state = 'new' AND attempt > 0
                 AND (due IS NULL OR due <= ?2 OR due > ?2 + ?3)
                 ORDER BY due, sent_at, number",
            )?
            .query_map(params![self.relay, now, longest_pause], |row| row.get(0))?
            .collect()
        })
    }

    /// When the next message of the current relay is to be tried again, in milliseconds since the Unix
    /// epoch.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub(crate) fn next_due(&self, after: i64) -> Result<Option<i64>, StoreError> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT min(due) FROM inbox
                 WHERE relay = ?1 AND state = 'new' AND attempt > 0 AND due > ?2",
            )?
            .query_row(params![self.relay, after], |row| row.get(0))
        })
    }

    /// The number of the newest message, of whatever relay.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub(crate) fn last_number(&self) -> Result<i64, StoreError> {
        self.read(|db| {
            db.prepare_cached("SELECT ifnull(max(number), 0) FROM inbox")?
                .query_row([], |row| row.get(0))
        })
    }

    /// Whether a message that was never tried has its place before `place`, and came after the one with
    /// the number `horizon`: a run that has passed its place does not see it.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub(crate) fn has_late(&self, horizon: i64, place: (i64, i64)) -> Result<bool, StoreError> {
        self.read(|db| {
            // The plus keeps SQLite from walking over all numbers above the horizon.
            db.prepare_cached(
                "SELECT 1 FROM inbox
                 WHERE relay = ?1 AND state = 'new' AND sent_at < ?2 AND +number > ?4 AND attempt = 0
                 UNION ALL
                 SELECT 1 FROM inbox
                 WHERE relay = ?1 AND state = 'new' AND sent_at = ?2 AND number > ?4 AND number < ?3
                 AND attempt = 0
                 LIMIT 1",
            )?
            .exists(params![self.relay, place.0, place.1, horizon])
        })
    }

    /// A message that is new, by its number.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub(crate) fn new_entry(&self, number: i64) -> Result<Option<Entry>, StoreError> {
        self.read(|db| {
            let query = format!("{} WHERE number = ?1 AND state = 'new'", inbox::ENTRY);
            db.prepare_cached(&query)?
                .query_row([number], inbox::entry)
                .optional()
        })
    }

    /// Whether the message may be claimed. Only in the batch that claims it is that sure.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub(crate) fn claimable(&self, claim: &Claim<'_>) -> Result<Claimable, StoreError> {
        self.read(|db| {
            let found = db
                .prepare_cached(
                    "SELECT attempt, claims, relay, sent_at FROM inbox
                     WHERE number = ?1 AND state = 'new'",
                )?
                .query_row([claim.number], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
                })
                .optional()?;
            let Some((attempt, claims, relay, sent_at)): Option<(u32, i64, i64, i64)> = found
            else {
                return Ok(Claimable::Taken);
            };
            // Another worker may have taken or handled a copy of it since it was judged.
            if inbox::is_copy(db, claim.number, claim.mark)? {
                return Ok(Claimable::Taken);
            }
            if let Some(sender) = claim.ordered_by {
                let waits = db
                    .prepare_cached(
                        "SELECT 1 FROM inbox WHERE relay = ?1 AND sender = ?2 AND number != ?3
                         AND (state = 'running' OR (state = 'new' AND (sent_at, number) < (?4, ?3)))",
                    )?
                    .exists(params![relay, sender, claim.number, sent_at])?;
                if waits {
                    return Ok(Claimable::Waits);
                }
            }
            Ok(match claim.most_attempts {
                Some(most) if attempt >= most => Claimable::Exhausted(attempt),
                _ => Claimable::Yes(Fence {
                    number: claim.number,
                    attempt: attempt.saturating_add(1),
                    claims: claims.saturating_add(1),
                }),
            })
        })
    }

    /// Claims a message that may be claimed, in the batch that found so.
    ///
    /// # Errors
    /// [`StoreError::Failed`]; also when it may not be claimed.
    pub(crate) fn claim(
        &mut self,
        claim: &Claim<'_>,
        sender: Option<[u8; 32]>,
        fence: Fence,
    ) -> Result<(), StoreError> {
        self.write("claim", |transaction| {
            let claimed = transaction
                .prepare_cached(
                    "UPDATE inbox SET state = 'running', attempt = ?2, claims = ?3, lease = ?4,
                     due = NULL, sender = ?5, mark = ?6, header = ?7, contact = ?8, reason = NULL,
                     detail = NULL
                     WHERE number = ?1 AND state = 'new'",
                )?
                .execute(params![
                    fence.number,
                    fence.attempt,
                    fence.claims,
                    claim.until,
                    sender,
                    claim.mark.message().to_bytes(),
                    claim.mark.header(),
                    claim.contact,
                ])?;
            match claimed {
                1 => Ok(()),
                other => Err(rusqlite::Error::StatementChangedRows(other)),
            }
        })
    }

    /// Makes claims last until then, by the monotonic clock in milliseconds.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub(crate) fn renew(&mut self, claims: &[Fence], until: i64) -> Result<(), StoreError> {
        self.write("renew", |transaction| {
            let mut renew = transaction.prepare_cached(
                "UPDATE inbox SET lease = ?3
                 WHERE number = ?1 AND claims = ?2 AND state = 'running'",
            )?;
            for claim in claims {
                renew.execute(params![claim.number, claim.claims, until])?;
            }
            Ok(())
        })
    }

    /// Says what became of a claimed message; false when the claim was lost, and then nothing changes.
    /// A message that somebody dropped meanwhile is remembered if it was handled.
    ///
    /// # Errors
    /// [`StoreError::Failed`]; then it stays claimed.
    pub(crate) fn settle(
        &mut self,
        claim: Fence,
        settlement: &Settlement,
        now: i64,
    ) -> Result<bool, StoreError> {
        let limits = self.limits;
        let (is_mine, dropped) = self.write("settle", |transaction| {
            let is_mine = settle(transaction, claim, settlement, now)?;
            let dropped = match settlement.state() {
                state @ (EntryState::Dead | EntryState::Quarantined) if is_mine => {
                    limits.enforce(transaction, state, now)?
                }
                _ => 0,
            };
            Ok((is_mine, dropped))
        })?;
        self.note_dropped(settlement.state(), dropped);
        Ok(is_mine)
    }

    /// Gives a message up that was tried too often; false when somebody else has taken or ended it.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub(crate) fn exhaust(
        &mut self,
        claim: &Claim<'_>,
        why: &str,
        now: i64,
    ) -> Result<bool, StoreError> {
        let limits = self.limits;
        let (is_mine, dropped) = self.write("exhaust", |transaction| {
            inbox::set_size(transaction, claim.number)?;
            let exhausted = transaction.execute(
                "UPDATE inbox SET state = 'dead', reason = ?2, detail = ?3, due = NULL,
                 sender = NULL, mark = ?4, header = ?5 WHERE number = ?1 AND state = 'new'",
                params![
                    claim.number,
                    Reason::Handler.as_str(),
                    why,
                    claim.mark.message().to_bytes(),
                    claim.mark.header(),
                ],
            )?;
            let dropped = limits.enforce(transaction, EntryState::Dead, now)?;
            Ok((exhausted == 1, dropped))
        })?;
        self.note_dropped(EntryState::Dead, dropped);
        Ok(is_mine)
    }
}

fn settle(
    transaction: &Transaction<'_>,
    claim: Fence,
    settlement: &Settlement,
    now: i64,
) -> rusqlite::Result<bool> {
    match settlement {
        Settlement::Done {
            mark,
            relay_id,
            keep,
        } => {
            let ended = transaction
                .prepare_cached(
                    "UPDATE inbox SET state = 'done', raw = iif(?4, raw, x''),
                         envelope = iif(?4, envelope, NULL), expires = ?3,
                         lease = NULL, sender = NULL, mark = NULL
                         WHERE number = ?1 AND claims = ?2 AND state = 'running'",
                )?
                .execute(params![claim.number, claim.claims, mark.expires(), keep])?;
            let is_gone = || -> rusqlite::Result<bool> {
                let there = transaction
                    .prepare_cached("SELECT 1 FROM inbox WHERE number = ?1")?
                    .exists([claim.number])?;
                Ok(!there)
            };
            if ended == 0 && !is_gone()? {
                return Ok(false);
            }
            inbox::remember(transaction, mark, relay_id.as_deref())?;
            inbox::forget_expired(transaction, now)?;
            Ok(true)
        }
        Settlement::Retry { due, why } => put_back(transaction, claim, Some(*due), Some(why)),
        Settlement::Released => put_back(transaction, claim, None, None),
        Settlement::Dead { why } => give_up(transaction, claim, "dead", Reason::Handler, why),
        Settlement::Quarantined { why } => {
            give_up(transaction, claim, "quarantined", Reason::Guard, why)
        }
    }
}

fn put_back(
    transaction: &Transaction<'_>,
    claim: Fence,
    due: Option<i64>,
    why: Option<&str>,
) -> rusqlite::Result<bool> {
    let put_back = transaction
        .prepare_cached(
            "UPDATE inbox SET state = 'new', lease = NULL, due = ?3, detail = ?4
             WHERE number = ?1 AND claims = ?2 AND state = 'running'",
        )?
        .execute(params![claim.number, claim.claims, due, why])?;
    Ok(put_back == 1)
}

/// The mark stays, so that no copy of it is handled in its place.
fn give_up(
    transaction: &Transaction<'_>,
    claim: Fence,
    state: &str,
    reason: Reason,
    why: &str,
) -> rusqlite::Result<bool> {
    inbox::set_size(transaction, claim.number)?;
    let given_up = transaction
        .prepare_cached(
            "UPDATE inbox SET state = ?3, lease = NULL, sender = NULL, reason = ?4, detail = ?5
             WHERE number = ?1 AND claims = ?2 AND state = 'running'",
        )?
        .execute(params![
            claim.number,
            claim.claims,
            state,
            reason.as_str(),
            why
        ])?;
    Ok(given_up == 1)
}
