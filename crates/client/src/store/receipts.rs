//! Receipts: what became of one's own messages at their recipients.

use ctalk_core::envelope::{Receipt, ReceiptOutcome};
use rusqlite::params;

use super::{Store, StoreError, Transaction, idempotency, outbox, own_card};

/// A receipt as it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldReceipt {
    /// Number of the contact that gave it.
    pub contact: i64,
    /// What became of the message.
    pub outcome: ReceiptOutcome,
    /// Which attempt at handling it that was.
    pub attempt: u32,
    /// SHA-256 of what the handler said.
    pub digest: [u8; 32],
    /// When it was received, in milliseconds since the Unix epoch.
    pub received: i64,
}

impl Store {
    /// Keeps a receipt of a contact until `expires`, if a message that asks for it was sent to the
    /// contact, be it a call that is over; once all receipts are there, the message leaves the outbox. The first one of each contact
    /// counts. False for one that nobody asked for.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub(crate) fn keep_receipt(
        &mut self,
        contact: i64,
        receipt: &Receipt,
        now: i64,
        expires: i64,
    ) -> Result<bool, StoreError> {
        let id = receipt.id.to_string();
        self.write("keep-receipt", |transaction| {
            let is_known = transaction
                .prepare_cached("SELECT 1 FROM receipts WHERE id = ?1 AND contact = ?2")?
                .exists(params![id, contact])?;
            if is_known {
                return Ok(true);
            }
            // Several where it goes over several relays.
            let messages: Vec<i64> = transaction
                .prepare_cached(
                    "SELECT number FROM outbox JOIN outbox_recipients ON message = number
                     WHERE id = ?1 AND receipt AND contact = ?2",
                )?
                .query_map(params![id, contact], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            // The request of a call goes before its receipt comes, if it has its response or is given up.
            let is_asked = !messages.is_empty()
                || transaction
                    .prepare_cached("SELECT 1 FROM calls WHERE contact = ?2 AND message = ?1")?
                    .exists(params![id, contact])?;
            if !is_asked {
                return Ok(false);
            }
            transaction
                .prepare_cached(
                    "INSERT INTO receipts (id, contact, outcome, attempt, digest, received, expires)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute(params![
                    id,
                    contact,
                    receipt.outcome.as_str(),
                    receipt.attempt,
                    receipt.digest,
                    now,
                    expires
                ])?;
            for message in messages {
                if is_missing(transaction, message, &id)? {
                    continue;
                }
                // The relay's confirmation may have been lost.
                own_card::told(transaction, message)?;
                idempotency::answered(transaction, message)?;
                outbox::delete(transaction, message)?;
            }
            transaction
                .prepare_cached(
                    "DELETE FROM receipts WHERE (id, contact) IN
                     (SELECT id, contact FROM receipts WHERE expires < ?1 LIMIT 10)",
                )?
                .execute([now])?;
            Ok(true)
        })
    }

    /// The receipts that came for an envelope.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn receipts(&self, id: &str) -> Result<Vec<HeldReceipt>, StoreError> {
        self.read(|db| {
            let mut query = db.prepare_cached(
                "SELECT outcome, attempt, digest, received, contact FROM receipts WHERE id = ?1
                 ORDER BY received, contact",
            )?;
            let rows = query.query_map([id], |row| {
                let outcome: String = row.get(0)?;
                Ok(HeldReceipt {
                    contact: row.get(4)?,
                    outcome: ReceiptOutcome::from_word(&outcome).unwrap_or(ReceiptOutcome::Failed),
                    attempt: row.get(1)?,
                    digest: row.get(2)?,
                    received: row.get(3)?,
                })
            })?;
            rows.collect()
        })
    }
}

/// Whether a recipient of a message has given no receipt yet.
fn is_missing(transaction: &Transaction<'_>, message: i64, id: &str) -> rusqlite::Result<bool> {
    transaction
        .prepare_cached(
            "SELECT 1 FROM outbox_recipients AS recipient
             WHERE message = ?1 AND NOT EXISTS (SELECT 1 FROM receipts
                 WHERE id = ?2 AND receipts.contact = recipient.contact)",
        )?
        .exists(params![message, id])
}
