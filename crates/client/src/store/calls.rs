//! Calls: requests whose response a process waits for, so that no other one takes it, and so that there is
//! one response to each.

use rusqlite::{OptionalExtension, params};
use sha2::{Digest, Sha256};

use super::{Store, StoreError, outbox, own_card};

/// How long a call is known after it ended, in milliseconds: as long as an envelope can live, so that what
/// its recipient sends late is told.
const KEPT: i64 = 30 * 24 * 60 * 60 * 1000;

/// Which call it is: whom it went to, and its correlation id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CallKey {
    contact: i64,
    /// SHA-256 of the correlation id.
    correlation: [u8; 32],
}

impl CallKey {
    pub(crate) fn new(contact: i64, correlation_id: &str) -> Self {
        Self {
            contact,
            correlation: Sha256::digest(correlation_id.as_bytes()).into(),
        }
    }

    pub(crate) const fn contact(&self) -> i64 {
        self.contact
    }
}

/// How a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallState {
    /// Its response is waited for until then, in milliseconds since the Unix epoch.
    Open { until: i64 },
    /// It has its response.
    Answered,
    /// Nobody waits for its response any more.
    Ended,
}

impl Store {
    /// Records that the response to a call, the request of which has this id, is waited for until `expires`;
    /// false, and nothing is recorded, when that is so already.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub(crate) fn record_call(
        &mut self,
        key: &CallKey,
        message: &str,
        now: i64,
        expires: i64,
    ) -> Result<bool, StoreError> {
        self.write("record-call", |transaction| {
            transaction
                .prepare_cached(
                    "DELETE FROM calls WHERE (contact, correlation) IN
                     (SELECT contact, correlation FROM calls WHERE expires < ?1 LIMIT 10)",
                )?
                .execute([now.saturating_sub(KEPT)])?;
            let recorded = transaction
                .prepare_cached(
                    "INSERT INTO calls (contact, correlation, began, expires, answered, message)
                     VALUES (?1, ?2, ?3, ?4, 0, ?5)
                     ON CONFLICT (contact, correlation) DO UPDATE
                     SET began = excluded.began, expires = excluded.expires, answered = 0,
                         message = excluded.message
                     WHERE answered OR NOT (?3 >= began AND ?3 < expires)",
                )?
                .execute(params![key.contact, key.correlation, now, expires, message])?;
            Ok(recorded == 1)
        })
    }

    /// How a call stands; `None` for one that was never made, or long ago.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub(crate) fn call(&self, key: &CallKey, now: i64) -> Result<Option<CallState>, StoreError> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT began, expires, answered FROM calls
                 WHERE contact = ?1 AND correlation = ?2",
            )?
            .query_row(params![key.contact, key.correlation], |row| {
                let (began, until, is_answered): (i64, i64, bool) =
                    (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok(if is_answered {
                    CallState::Answered
                } else if (began..until).contains(&now) {
                    CallState::Open { until }
                } else {
                    // Before its beginning only where the clock was set back.
                    CallState::Ended
                })
            })
            .optional()
        })
    }

    /// Records that a call has its response, and takes its request out of the outbox: nothing more is
    /// missing.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub(crate) fn answer_call(&mut self, key: &CallKey) -> Result<(), StoreError> {
        self.write("answer-call", |transaction| {
            transaction
                .prepare_cached(
                    "UPDATE calls SET answered = 1 WHERE contact = ?1 AND correlation = ?2",
                )?
                .execute(params![key.contact, key.correlation])?;
            let request: Option<i64> = transaction
                .prepare_cached(
                    "SELECT number FROM outbox WHERE id =
                     (SELECT message FROM calls WHERE contact = ?1 AND correlation = ?2)",
                )?
                .query_row(params![key.contact, key.correlation], |row| row.get(0))
                .optional()?;
            if let Some(request) = request {
                own_card::told(transaction, request)?;
                outbox::delete(transaction, request)?;
            }
            Ok(())
        })
    }

    /// Records that nobody waits for the response to a call any more.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub(crate) fn end_call(&mut self, key: &CallKey, now: i64) -> Result<(), StoreError> {
        self.write("end-call", |transaction| {
            transaction
                .prepare_cached(
                    "UPDATE calls SET expires = min(expires, ?3)
                     WHERE contact = ?1 AND correlation = ?2",
                )?
                .execute(params![key.contact, key.correlation, now])?;
            Ok(())
        })
    }
}
