//! Who was given one's own key card: relays for their directories, and contacts inside messages.
//!
//! Cards are told apart by their serial.

use rusqlite::{OptionalExtension, params};

use super::{Store, StoreError, Transaction};

impl Store {
    /// The serial of the own card that was last put into the current relay's directory.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub(crate) fn published(&self) -> Result<Option<u64>, StoreError> {
        let serial: Option<Option<[u8; 8]>> = self.read(|db| {
            db.prepare_cached("SELECT published FROM relays WHERE id = ?1")?
                .query_row([self.relay], |row| row.get(0))
                .optional()
        })?;
        Ok(serial.flatten().map(u64::from_be_bytes))
    }

    /// Records that the current relay's directory shows the own card with this serial.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub(crate) fn set_published(&mut self, serial: u64) -> Result<(), StoreError> {
        let relay = self.relay;
        self.write("set-published", |transaction| {
            transaction.execute(
                "UPDATE relays SET published = ?2 WHERE id = ?1",
                params![relay, serial.to_be_bytes()],
            )?;
            Ok(())
        })
    }

    /// Whether the contact was sent the own card with this serial.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub(crate) fn was_told(&self, contact: i64, serial: u64) -> Result<bool, StoreError> {
        self.read(|db| {
            db.prepare_cached("SELECT told IS ?2 FROM contacts WHERE id = ?1")?
                .query_row(params![contact, serial.to_be_bytes()], |row| row.get(0))
        })
    }
}

/// Records that the recipients of a message in the outbox were sent the card in it, if there is one.
pub(super) fn told(transaction: &Transaction<'_>, message: i64) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "UPDATE contacts SET told = (SELECT card FROM outbox WHERE number = ?1)
             WHERE id IN (SELECT contact FROM outbox_recipients WHERE message = ?1)
                 AND (SELECT card FROM outbox WHERE number = ?1) IS NOT NULL",
        )?
        .execute([message])?;
    Ok(())
}
