//! Answers: the receipts that were sent for others' messages, so that one that got lost can be repeated
//! when its message comes again.

use ctalk_core::{
    VerifyingKey,
    envelope::{EnvelopeId, Receipt, ReceiptOutcome},
};
use rusqlite::{OptionalExtension, params};

use super::{Mark, Store, StoreError};

/// A receipt is repeated no sooner than this after it was sent, in milliseconds: a relay that shows a
/// message many times must not have it answered as often.
const PAUSE: i64 = 20 * 1000;

impl Store {
    /// Records that a message is answered with this receipt, instead of any before.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub(crate) fn record_answer(
        &mut self,
        mark: &Mark,
        receipt: &Receipt,
        now: i64,
    ) -> Result<(), StoreError> {
        let Mark::Native {
            sender,
            id,
            expires,
            ..
        } = mark
        else {
            // Nobody asks for one in ClawTalk's format.
            return Ok(());
        };
        self.write("record-answer", |transaction| {
            transaction
                .prepare_cached(
                    "INSERT OR REPLACE INTO answers (sender, id, outcome, attempt, digest, sent, expires)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute(params![
                    sender,
                    id,
                    receipt.outcome.as_str(),
                    receipt.attempt,
                    receipt.digest,
                    now,
                    expires
                ])?;
            transaction
                .prepare_cached(
                    "DELETE FROM answers WHERE (sender, id) IN
                     (SELECT sender, id FROM answers WHERE expires < ?1 LIMIT 10)",
                )?
                .execute([now])?;
            Ok(())
        })
    }

    /// Whether a message was answered with this very receipt.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub(crate) fn is_answered(&self, mark: &Mark, receipt: &Receipt) -> Result<bool, StoreError> {
        let Mark::Native { sender, id, .. } = mark else {
            return Ok(false);
        };
        self.read(|db| {
            db.prepare_cached(
                "SELECT 1 FROM answers WHERE sender = ?1 AND id = ?2
                 AND outcome = ?3 AND attempt = ?4 AND digest = ?5",
            )?
            .exists(params![
                sender,
                id,
                receipt.outcome.as_str(),
                receipt.attempt,
                receipt.digest
            ])
        })
    }

    /// The receipt for a message that came again, unless it was sent a moment ago.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub(crate) fn answer_to_repeat(
        &self,
        sender: &VerifyingKey,
        id: EnvelopeId,
        now: i64,
    ) -> Result<Option<Receipt>, StoreError> {
        self.read(|db| {
            // One that was sent after now was sent before the clock was set back.
            db.prepare_cached(
                "SELECT outcome, attempt, digest FROM answers
                 WHERE sender = ?1 AND id = ?2 AND (sent <= ?3 - ?4 OR sent > ?3)",
            )?
            .query_row(
                params![sender.as_bytes(), id.as_bytes(), now, PAUSE],
                |row| {
                    let outcome: String = row.get(0)?;
                    Ok(Receipt {
                        id,
                        outcome: ReceiptOutcome::from_word(&outcome)
                            .unwrap_or(ReceiptOutcome::Failed),
                        attempt: row.get(1)?,
                        digest: row.get(2)?,
                    })
                },
            )
            .optional()
        })
    }

    /// Records that the receipt for a message is sent again.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub(crate) fn answer_repeated(
        &mut self,
        sender: &VerifyingKey,
        id: EnvelopeId,
        now: i64,
    ) -> Result<(), StoreError> {
        self.write("answer-repeated", |transaction| {
            transaction
                .prepare_cached("UPDATE answers SET sent = ?3 WHERE sender = ?1 AND id = ?2")?
                .execute(params![sender.as_bytes(), id.as_bytes(), now])?;
            Ok(())
        })
    }
}
