//! Envelopes in the outbox that go over another relay than the first one, or over several. Their bytes stay
//! the same, so that whoever gets one twice handles it once.

use rusqlite::{OptionalExtension, params};

use super::{Store, StoreError, Transaction, addresses, outbox::LEASE};

/// A relay that a message may go over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    /// The relay's row.
    pub(crate) relay: i64,
    /// The longest slice of an envelope that it takes as a part.
    pub(crate) longest_slice: u16,
}

/// What is in nobody's hands. A lease that ends too far away was made before the machine started anew.
const IDLE: &str = "state = 'queued' AND (lease IS NULL OR lease <= ?3 OR lease > ?3 + 2 * ?4)";

impl Store {
    /// The row of the relay that is worked with.
    pub(crate) const fn relay(&self) -> i64 {
        self.relay
    }

    /// Moves a queued envelope to another relay's outbox, and before it whatever waits for one of the same
    /// recipients. Whether it is there then: what is in somebody's hands, or cannot go that way, is not.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub(crate) fn reroute(
        &mut self,
        number: i64,
        to: Way,
        monotonic: i64,
    ) -> Result<bool, StoreError> {
        self.write("reroute", |transaction| {
            let before: Vec<i64> = transaction
                .prepare_cached(
                    "SELECT DISTINCT theirs.message FROM outbox_recipients AS mine
                     JOIN outbox_recipients AS theirs ON theirs.address IS mine.address
                         AND theirs.message < mine.message AND theirs.queued = 1
                     JOIN outbox AS older ON older.number = theirs.message
                     WHERE mine.message = ?1
                         AND +older.relay = (SELECT relay FROM outbox WHERE number = ?1)
                     ORDER BY theirs.message",
                )?
                .query_map([number], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            for number in before.into_iter().chain([number]) {
                move_over(transaction, number, to, monotonic)?;
            }
            transaction
                .prepare_cached("SELECT 1 FROM outbox WHERE number = ?1 AND relay = ?2")?
                .exists(params![number, to.relay])
        })
    }

    /// Moves what was tried in vain at the relay that is worked with to another relay's outbox, the oldest
    /// first; how many messages.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub(crate) fn reroute_tried(&mut self, to: Way, monotonic: i64) -> Result<usize, StoreError> {
        let relay = self.relay;
        let tried = "SELECT number FROM outbox
             WHERE relay = ?1 AND state = 'queued' AND error IS NOT NULL ORDER BY number";
        let numbers: Vec<i64> = self.read(|db| {
            let mut query = db.prepare_cached(tried)?;
            query.query_map([relay], |row| row.get(0))?.collect()
        })?;
        if numbers.is_empty() {
            return Ok(0);
        }
        self.write("reroute-tried", |transaction| {
            let mut moved = 0;
            for number in numbers {
                moved += usize::from(move_over(transaction, number, to, monotonic)?);
            }
            Ok(moved)
        })
    }

    /// The numbers under which an envelope is in the outbox of the relay that is worked with.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub(crate) fn outgoing_here(&self, id: &str) -> Result<Vec<i64>, StoreError> {
        self.read(|db| {
            db.prepare_cached("SELECT number FROM outbox WHERE id = ?1 AND relay = ?2")?
                .query_map(params![id, self.relay], |row| row.get(0))?
                .collect()
        })
    }

    /// How many messages wait in the outbox of the relay at `url`, and the last error of one of them.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn waiting_for(&self, url: &str) -> Result<(u64, Option<String>), StoreError> {
        self.read(|db| {
            let queued = "relay = (SELECT id FROM relays WHERE url = ?1) AND state = 'queued'";
            let count = format!("SELECT count(*) FROM outbox WHERE {queued}");
            let error = format!(
                "SELECT error FROM outbox WHERE {queued} AND error IS NOT NULL
                 ORDER BY number DESC LIMIT 1"
            );
            let error = db.query_row(&error, [url], |row| row.get(0)).optional()?;
            let count: i64 = db.query_row(&count, [url], |row| row.get(0))?;
            Ok((u64::try_from(count).unwrap_or(0), error))
        })
    }
}

/// Puts a message into another relay's outbox; false when it cannot go that way. Whoever had it in hand before
/// says nothing of it any more.
fn move_over(
    transaction: &Transaction<'_>,
    number: i64,
    to: Way,
    monotonic: i64,
) -> rusqlite::Result<bool> {
    let Some(addresses) = reach(transaction, number, to)? else {
        return Ok(false);
    };
    let moved = transaction
        .prepare_cached(&format!(
            "UPDATE outbox SET relay = ?2, attempt = attempt + 1, parts = 0, due = NULL, error = NULL, lease = NULL,
                 uncertain = uncertain OR lease IS NOT NULL
             WHERE number = ?1 AND relay != ?2 AND {IDLE}"
        ))?
        .execute(params![number, to.relay, monotonic, LEASE])?;
    if moved == 0 {
        return Ok(false);
    }
    let mut send_to = transaction.prepare_cached(
        "UPDATE outbox_recipients SET address = ?3 WHERE message = ?1 AND place = ?2",
    )?;
    for (place, address) in addresses {
        send_to.execute(params![number, place, address])?;
    }
    Ok(true)
}

/// Where the recipients of a message are at another relay, by their places; `None` unless it is an envelope
/// that was not cut into longer parts than the relay takes, and all of them have an address there.
fn reach(
    transaction: &Transaction<'_>,
    number: i64,
    to: Way,
) -> rusqlite::Result<Option<Vec<(i64, String)>>> {
    let fits = transaction
        .prepare_cached(
            "SELECT 1 FROM outbox WHERE number = ?1 AND format = 'native'
                 AND (slice_len IS NULL OR slice_len <= ?2)",
        )?
        .exists(params![number, to.longest_slice])?;
    if !fits {
        return Ok(None);
    }
    let recipients: Vec<(i64, Option<i64>)> = transaction
        .prepare_cached("SELECT place, contact FROM outbox_recipients WHERE message = ?1")?
        .query_map([number], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut reached = Vec::with_capacity(recipients.len());
    for (place, contact) in recipients {
        let address = match contact {
            Some(contact) => addresses::at(transaction, contact, to.relay)?,
            None => None,
        };
        match address {
            Some(address) => reached.push((place, address)),
            None => return Ok(None),
        }
    }
    Ok(Some(reached))
}

/// The numbers of a message and of its copies for other relays.
pub(super) fn copies(transaction: &Transaction<'_>, number: i64) -> rusqlite::Result<Vec<i64>> {
    transaction
        .prepare_cached(
            "SELECT ?1 UNION SELECT number FROM outbox
             WHERE id = (SELECT id FROM outbox WHERE number = ?1)",
        )?
        .query_map([number], |row| row.get(0))?
        .collect()
}

/// Puts a copy of a message that was just made into another relay's outbox, if it can go that way.
pub(super) fn copy(transaction: &Transaction<'_>, number: i64, to: Way) -> rusqlite::Result<()> {
    let Some(addresses) = reach(transaction, number, to)? else {
        return Ok(());
    };
    let copy: i64 = transaction
        .prepare_cached(
            "INSERT INTO outbox (relay, id, format, message_type, topic, correlation_id, reply_to,
                 ttl, body, card, state, created, expires, attempt, uncertain, receipt)
             SELECT ?2, id, format, message_type, topic, correlation_id, reply_to, ttl, body, card,
                 'queued', created, expires, 0, 0, receipt
             FROM outbox WHERE number = ?1 RETURNING number",
        )?
        .query_row(params![number, to.relay], |row| row.get(0))?;
    let mut recipient = transaction.prepare_cached(
        "INSERT INTO outbox_recipients (message, place, address, contact, name)
         SELECT ?3, place, ?4, contact, name FROM outbox_recipients
         WHERE message = ?1 AND place = ?2",
    )?;
    for (place, address) in addresses {
        recipient.execute(params![number, place, copy, address])?;
    }
    Ok(())
}
