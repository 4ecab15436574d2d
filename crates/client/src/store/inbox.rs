//! The inbox: what was fetched, as received, until it is handled or dropped.

use core::fmt;

use ctalk_core::classic::SeenKey;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{Store, StoreError, Transaction};
use crate::{message::Reason, relay::Delivery};

/// How long a handled message in ClawTalk's format is remembered, in milliseconds: 90 days, the
/// longest that a relay keeps one. An envelope says itself how long it has to be.
pub(crate) const REMEMBERED: i64 = 90 * 24 * 60 * 60 * 1000;

/// Proof that deliveries are durably in the inbox; only the store makes it.
#[derive(Debug)]
#[must_use = "the relay may forget these messages now"]
pub struct Stored {
    relay_ids: Vec<String>,
    fresh: usize,
}

impl Stored {
    /// Number of messages that can be acknowledged.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.relay_ids.len()
    }

    /// Whether nothing can be acknowledged.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.relay_ids.is_empty()
    }

    /// How many of them were not in the inbox before.
    #[must_use]
    pub const fn fresh(&self) -> usize {
        self.fresh
    }

    /// The relay's ids of what was stored.
    #[must_use]
    pub fn into_relay_ids(self) -> Vec<String> {
        self.relay_ids
    }
}

/// Where an inbox entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum EntryState {
    /// Not handled yet.
    New,
    /// In a handler's hands.
    Running,
    /// Handled, or rejected; its bytes are gone.
    Done,
    /// The handler gave up.
    Dead,
    /// Valid, but the policy wants the user to decide.
    Held,
    /// Set aside with a reason.
    Quarantined,
}

impl EntryState {
    /// Every state.
    pub const ALL: [Self; 6] = [
        Self::New,
        Self::Running,
        Self::Done,
        Self::Dead,
        Self::Held,
        Self::Quarantined,
    ];

    /// The state as shown and stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Running => "running",
            Self::Done => "done",
            Self::Dead => "dead",
            Self::Held => "held",
            Self::Quarantined => "quarantined",
        }
    }
}

impl fmt::Display for EntryState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// One message in the inbox.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Local number, never used twice.
    pub number: i64,
    /// The relay's id, if it gave one.
    pub relay_id: Option<String>,
    /// The relay's time, else when it was stored; milliseconds since the Unix epoch.
    pub sent_at: i64,
    /// When it was stored, in milliseconds since the Unix epoch.
    pub stored_at: i64,
    /// Where it stands.
    pub state: EntryState,
    /// Why it was set aside.
    pub reason: Option<Reason>,
    /// The reason in words.
    pub detail: Option<String>,
    /// The bytes as received.
    pub raw: Vec<u8>,
    /// The envelope, where it came in parts, of which `raw` is the last one.
    pub envelope: Option<Vec<u8>>,
    /// How often it was tried.
    pub attempt: u32,
    /// When it is tried again, in milliseconds since the Unix epoch.
    pub due: Option<i64>,
    /// Whether the user wants it handed over whatever the policy says.
    pub(crate) is_accepted: bool,
    /// Whether it was counted for the policy's limits before.
    pub(crate) is_counted: bool,
}

impl Entry {
    /// Whether it may be tried now. A time further away than a pause lasts was set by a clock that has
    /// been set back since.
    pub(crate) fn is_due(&self, now: i64, longest_pause: i64) -> bool {
        self.due
            .is_none_or(|due| due <= now || due > now.saturating_add(longest_pause))
    }
}

/// What tells a message from the same one delivered again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mark {
    /// A hash of a message in ClawTalk's format, remembered until then.
    Classic {
        /// The hash.
        seen: SeenKey,
        /// Until when, in milliseconds since the Unix epoch.
        expires: i64,
    },
    /// An envelope.
    Native {
        /// The key that signed it.
        sender: [u8; 32],
        /// Its id.
        id: [u8; 16],
        /// SHA-256 of its header.
        digest: [u8; 32],
        /// Until when it can be opened, in milliseconds since the Unix epoch.
        expires: i64,
    },
}

impl Mark {
    pub(crate) const fn expires(&self) -> i64 {
        match self {
            Self::Classic { expires, .. } | Self::Native { expires, .. } => *expires,
        }
    }

    /// What tells an envelope from another one with the same sender and id.
    pub(super) const fn header(&self) -> Option<&[u8; 32]> {
        match self {
            Self::Classic { .. } => None,
            Self::Native { digest, .. } => Some(digest),
        }
    }

    /// What the same message has in common, whatever header or time it has.
    pub(crate) const fn message(&self) -> Message {
        match self {
            Self::Classic { seen, .. } => Message::Classic(*seen),
            Self::Native { sender, id, .. } => Message::Native(*sender, *id),
        }
    }
}

/// One message, in however many copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Message {
    Classic(SeenKey),
    Native([u8; 32], [u8; 16]),
}

impl Message {
    /// The message as the store tells it from others.
    pub(super) fn to_bytes(self) -> Vec<u8> {
        match self {
            Self::Classic(seen) => seen.as_bytes().to_vec(),
            Self::Native(sender, id) => [sender.as_slice(), &id].concat(),
        }
    }
}

/// What the store remembers of a message's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeenBefore {
    /// Nothing.
    Never,
    /// It was handled, and the relay delivers the same copy again.
    SameCopy,
    /// It was handled, and comes again under another id.
    OtherCopy,
}

pub(super) const ENTRY: &str =
    "SELECT number, relay_id, sent_at, state, reason, detail, raw, stored_at, accepted, counted,
     attempt, due, envelope FROM inbox";

impl Store {
    /// Stores deliveries as they came. What the inbox holds or has handled is not stored again.
    ///
    /// # Errors
    /// [`StoreError::Failed`]; then nothing may be acknowledged.
    pub fn admit(&mut self, deliveries: &[Delivery], now: i64) -> Result<Stored, StoreError> {
        let relay = self.relay;
        let fresh = self.write("admit", |transaction| {
            let mut insert = transaction.prepare_cached(
                "INSERT INTO inbox (relay, relay_id, digest, sent_at, stored_at, state, raw)
                 VALUES (?1, ?2, ?3, ?4, ?5, 'new', ?6) ON CONFLICT (relay, digest) DO NOTHING",
            )?;
            let mut fresh = 0;
            for delivery in deliveries {
                let digest = Sha256::digest(&delivery.raw);
                fresh += insert.execute(params![
                    relay,
                    delivery.relay_id,
                    digest.as_slice(),
                    delivery.sent_at.unwrap_or(now),
                    now,
                    delivery.raw
                ])?;
            }
            Ok(fresh)
        })?;
        let relay_ids = deliveries
            .iter()
            .filter_map(|delivery| delivery.relay_id.clone())
            .collect();
        Ok(Stored { relay_ids, fresh })
    }

    /// Time and number of the oldest new message of the current relay that comes after `after` (an
    /// earlier result) and was never tried, if any.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn next_place(&self, after: Option<(i64, i64)>) -> Result<Option<(i64, i64)>, StoreError> {
        let (sent_at, number) = after.unwrap_or((i64::MIN, i64::MIN));
        self.read(|db| {
            db.prepare_cached(
                "SELECT sent_at, number FROM inbox
                 WHERE relay = ?1 AND state = 'new' AND (sent_at, number) > (?2, ?3)
                 AND attempt = 0 ORDER BY sent_at, number LIMIT 1",
            )?
            .query_row(params![self.relay, sent_at, number], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()
        })
    }

    /// The new message of the current relay with the lowest number above `number`, if any: what was
    /// stored later, whatever time the relay gives it.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn new_above(&self, number: i64) -> Result<Option<Entry>, StoreError> {
        let order = "WHERE relay = ?1 AND state = 'new' AND number > ?2 ORDER BY number LIMIT 1";
        self.read(|db| {
            db.prepare_cached(&format!("{ENTRY} {order}"))?
                .query_row(params![self.relay, number], entry)
                .optional()
        })
    }

    /// Shows every message in the given state, whichever relay it came over, to `visit`, oldest first and
    /// one at a time: together they may be more than fits into memory.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn each_entry(
        &self,
        state: EntryState,
        mut visit: impl FnMut(Entry),
    ) -> Result<(), StoreError> {
        // Not a parameter: which index may be used depends on the state.
        let query = format!(
            "{ENTRY} WHERE state = '{}' ORDER BY sent_at, number",
            state.as_str()
        );
        self.read(|db| {
            let mut query = db.prepare_cached(&query)?;
            for found in query.query_map([], entry)? {
                visit(found?);
            }
            Ok(())
        })
    }

    /// The messages that a person means by `id`: a local number, else a relay's id. An id of digits
    /// alone is always a number, so that no relay can put its messages in the place of others.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn entries_named(&self, id: &str) -> Result<Vec<Entry>, StoreError> {
        let alive = "AND state != 'done'";
        let query = match id.parse::<i64>() {
            Ok(_) => format!("{ENTRY} WHERE number = CAST(?1 AS INTEGER) {alive}"),
            Err(_) => format!("{ENTRY} WHERE relay_id = ?1 {alive}"),
        };
        self.read(|db| db.prepare_cached(&query)?.query_map([id], entry)?.collect())
    }

    /// Whether another copy of message `number` was handled, is in hand, awaits its retry or was given
    /// up.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn seen(
        &self,
        number: i64,
        mark: &Mark,
        relay_id: Option<&str>,
    ) -> Result<SeenBefore, StoreError> {
        let claimed: Option<Option<[u8; 32]>> = self.read(|db| {
            db.prepare_cached("SELECT header FROM inbox WHERE mark = ?1 AND number != ?2")?
                .query_row(params![mark.message().to_bytes(), number], |row| row.get(0))
                .optional()
        })?;
        if let Some(header) = claimed {
            return Ok(match mark.header() {
                Some(digest) if header.as_ref() == Some(digest) => SeenBefore::SameCopy,
                _ => SeenBefore::OtherCopy,
            });
        }
        match mark {
            Mark::Classic { seen, .. } => {
                let row: Option<Option<String>> = self.read(|db| {
                    db.prepare_cached("SELECT relay_id FROM seen WHERE hash = ?1")?
                        .query_row([seen.as_bytes().as_slice()], |row| row.get(0))
                        .optional()
                })?;
                Ok(match row {
                    None => SeenBefore::Never,
                    Some(first) if first.is_some() && first.as_deref() == relay_id => {
                        SeenBefore::SameCopy
                    }
                    Some(_) => SeenBefore::OtherCopy,
                })
            }
            Mark::Native {
                sender, id, digest, ..
            } => {
                let row: Option<[u8; 32]> = self.read(|db| {
                    db.prepare_cached(
                        "SELECT digest FROM seen_envelopes WHERE sender = ?1 AND id = ?2",
                    )?
                    .query_row(params![sender, id], |row| row.get(0))
                    .optional()
                })?;
                Ok(match row {
                    None => SeenBefore::Never,
                    // An envelope is sealed once: the same one again is a repetition, however often
                    // and by whichever way it comes.
                    Some(first) if first == *digest => SeenBefore::SameCopy,
                    Some(_) => SeenBefore::OtherCopy,
                })
            }
        }
    }

    /// Ends a message that ctalk itself took in: remembers its mark, drops its bytes. False when it was
    /// ended before, by whomever.
    ///
    /// # Errors
    /// [`StoreError::Failed`]; then the message will be taken in again.
    pub fn absorb(
        &mut self,
        number: i64,
        mark: &Mark,
        relay_id: Option<&str>,
        now: i64,
    ) -> Result<bool, StoreError> {
        self.write("absorb", |transaction| {
            let is_first = remember(transaction, mark, relay_id)?;
            finish(transaction, number, mark.expires())?;
            forget_expired(transaction, now)?;
            Ok(is_first)
        })
    }

    /// Ends a message that was found to be a copy of another one, if that is still so: the other one may
    /// have become unknown again, and be ended itself as a copy of this one.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub(crate) fn end_copy(
        &mut self,
        number: i64,
        mark: &Mark,
        expires: i64,
    ) -> Result<(), StoreError> {
        self.write("end-copy", |transaction| {
            if is_copy(transaction, number, mark)? {
                finish(transaction, number, expires)?;
            }
            Ok(())
        })
    }

    /// Ends a message that is not to be handed over: it was no message to the caller at all.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn end(&mut self, number: i64, expires: i64) -> Result<(), StoreError> {
        self.write("end", |transaction| {
            finish(transaction, number, expires).map(|_| ())
        })
    }

    /// Sets a message aside, or holds it, and drops the others in that state that are too much. `contact`
    /// signed it, if one did that is more than somebody who wrote first.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub(crate) fn put_away(
        &mut self,
        number: i64,
        contact: Option<i64>,
        state: EntryState,
        (reason, detail): (Reason, &str),
        now: i64,
    ) -> Result<(), StoreError> {
        let limits = self.limits;
        let dropped = self.write("put-away", |transaction| {
            set_size(transaction, number)?;
            transaction.execute(
                "UPDATE inbox SET state = ?2, reason = ?3, detail = ?4, attempt = 0, due = NULL,
                 sender = NULL, mark = NULL, contact = ?5
                 WHERE number = ?1 AND state = 'new'",
                params![number, state.as_str(), reason.as_str(), detail, contact],
            )?;
            limits.enforce(transaction, state, now)
        })?;
        self.note_dropped(state, dropped);
        Ok(())
    }

    /// Makes a held message new, to be handed over whatever the policy says; false when it is not
    /// held.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn accept(&mut self, number: i64) -> Result<bool, StoreError> {
        self.write("accept", |transaction| {
            let accepted = transaction.execute(
                "UPDATE inbox SET state = 'new', reason = NULL, detail = NULL, accepted = 1
                 WHERE number = ?1 AND state = 'held'",
                [number],
            )?;
            Ok(accepted == 1)
        })
    }

    /// Ends a held message unhandled and drops its bytes, so that it does not come back when it is
    /// delivered again; false when it is not held.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn reject(&mut self, number: i64, now: i64) -> Result<bool, StoreError> {
        self.write("reject", |transaction| {
            let rejected = transaction.execute(
                "UPDATE inbox SET state = 'done', raw = x'', envelope = NULL, expires = ?2
                 WHERE number = ?1 AND state = 'held'",
                params![number, now.saturating_add(REMEMBERED)],
            )?;
            Ok(rejected == 1)
        })
    }

    /// Makes a message that was set aside or given up new again, as if it had never been tried.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn retry(&mut self, number: i64) -> Result<(), StoreError> {
        self.write("retry", |transaction| {
            transaction.execute(
                "UPDATE inbox SET state = 'new', reason = NULL, detail = NULL, attempt = 0,
                 due = NULL, mark = NULL
                 WHERE number = ?1 AND state IN ('dead', 'quarantined')",
                [number],
            )?;
            Ok(())
        })
    }

    /// Deletes a message from the inbox for good. If it was claimed before, it is not handed over again
    /// either when it is delivered again.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn drop_entry(&mut self, number: i64, now: i64) -> Result<(), StoreError> {
        self.write("drop-entry", |transaction| {
            drop_row(transaction, number, now)
        })
    }
}

/// Deletes a message, and remembers it if it was claimed before.
pub(super) fn drop_row(
    transaction: &Transaction<'_>,
    number: i64,
    now: i64,
) -> rusqlite::Result<()> {
    let expires = now.saturating_add(REMEMBERED);
    for remembered in [
        "INSERT INTO seen (hash, relay_id, expires)
         SELECT mark, relay_id, ?2 FROM inbox WHERE number = ?1 AND length(mark) = 32
         ON CONFLICT (hash) DO NOTHING",
        "INSERT INTO seen_envelopes (sender, id, digest, expires)
         SELECT substr(mark, 1, 32), substr(mark, 33), header, ?2 FROM inbox
         WHERE number = ?1 AND length(mark) = 48 AND header IS NOT NULL
         ON CONFLICT (sender, id) DO NOTHING",
    ] {
        let mut remember = transaction.prepare_cached(remembered)?;
        remember.execute(params![number, expires])?;
    }
    transaction
        .prepare_cached("DELETE FROM inbox WHERE number = ?1")?
        .execute([number])?;
    Ok(())
}

/// Notes how many bytes a message has, before it is set aside.
pub(super) fn set_size(transaction: &Transaction<'_>, number: i64) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "UPDATE inbox SET size = length(raw) + coalesce(length(envelope), 0)
             WHERE number = ?1 AND state IN ('new', 'running')",
        )?
        .execute([number])?;
    Ok(())
}

/// Forgets some of what need not be known any more.
pub(super) fn forget_expired(transaction: &Transaction<'_>, now: i64) -> rusqlite::Result<()> {
    // Nothing is forgotten most of the time, and finding that out costs less than deleting nothing.
    let is_any = transaction
        .prepare_cached(
            "SELECT 1 FROM seen WHERE expires < ?1
             UNION ALL SELECT 1 FROM seen_envelopes WHERE expires < ?1
             UNION ALL SELECT 1 FROM inbox WHERE expires < ?1",
        )?
        .exists([now])?;
    if !is_any {
        return Ok(());
    }
    for expired in [
        "DELETE FROM seen WHERE hash IN
         (SELECT hash FROM seen WHERE expires < ?1 LIMIT 10)",
        "DELETE FROM seen_envelopes WHERE (sender, id) IN
         (SELECT sender, id FROM seen_envelopes WHERE expires < ?1 LIMIT 10)",
        "DELETE FROM inbox WHERE number IN
         (SELECT number FROM inbox WHERE expires < ?1 LIMIT 10)",
    ] {
        transaction.prepare_cached(expired)?.execute([now])?;
    }
    Ok(())
}

/// Whether message `number` is a copy of one that was handled, is in hand, awaits its retry or was given
/// up.
pub(super) fn is_copy(db: &Connection, number: i64, mark: &Mark) -> rusqlite::Result<bool> {
    let is_copied = db
        .prepare_cached("SELECT 1 FROM inbox WHERE mark = ?1 AND number != ?2")?
        .exists(params![mark.message().to_bytes(), number])?;
    Ok(is_copied || is_remembered(db, mark)?)
}

/// Whether a message was handled, in whatever copy.
pub(super) fn is_remembered(db: &Connection, mark: &Mark) -> rusqlite::Result<bool> {
    match mark {
        Mark::Classic { seen, .. } => db
            .prepare_cached("SELECT 1 FROM seen WHERE hash = ?1")?
            .exists([seen.as_bytes().as_slice()]),
        Mark::Native { sender, id, .. } => db
            .prepare_cached("SELECT 1 FROM seen_envelopes WHERE sender = ?1 AND id = ?2")?
            .exists(params![sender, id]),
    }
}

/// Records that a message was handled; false when it was recorded before.
pub(super) fn remember(
    transaction: &Transaction<'_>,
    mark: &Mark,
    relay_id: Option<&str>,
) -> rusqlite::Result<bool> {
    let recorded = match mark {
        Mark::Classic { seen, expires } => transaction
            .prepare_cached(
                "INSERT INTO seen (hash, relay_id, expires) VALUES (?1, ?2, ?3)
                 ON CONFLICT (hash) DO NOTHING",
            )?
            .execute(params![seen.as_bytes().as_slice(), relay_id, expires])?,
        Mark::Native {
            sender,
            id,
            digest,
            expires,
        } => transaction
            .prepare_cached(
                "INSERT INTO seen_envelopes (sender, id, digest, expires) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (sender, id) DO NOTHING",
            )?
            .execute(params![sender, id, digest, expires])?,
    };
    Ok(recorded == 1)
}

/// Makes a message done; false when it was not new.
pub(super) fn finish(
    transaction: &Transaction<'_>,
    number: i64,
    expires: i64,
) -> rusqlite::Result<bool> {
    let finished = transaction
        .prepare_cached(
            "UPDATE inbox SET state = 'done', raw = x'', envelope = NULL, expires = ?2,
             sender = NULL, mark = NULL
             WHERE number = ?1 AND state = 'new'",
        )?
        .execute(params![number, expires])?;
    Ok(finished == 1)
}

pub(super) fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let state: String = row.get(3)?;
    let reason: Option<String> = row.get(4)?;
    Ok(Entry {
        number: row.get(0)?,
        relay_id: row.get(1)?,
        sent_at: row.get(2)?,
        state: EntryState::ALL
            .into_iter()
            .find(|known| known.as_str() == state)
            .unwrap_or(EntryState::Quarantined),
        reason: reason.as_deref().and_then(Reason::from_text),
        detail: row.get(5)?,
        raw: row.get(6)?,
        stored_at: row.get(7)?,
        is_accepted: row.get(8)?,
        is_counted: row.get(9)?,
        attempt: row.get(10)?,
        due: row.get(11)?,
        envelope: row.get(12)?,
    })
}
