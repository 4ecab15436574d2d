//! The outbox: messages on their way to a relay, until it has confirmed them.
//!
//! A row holds what is handed over, sealed, and leaves in the order of its number among those to the
//! same recipient. Whoever hands it over has claimed it: the claim ends by itself, and its number
//! ([`Claimed::attempt`]) makes sure that only its holder says what became of it.

use core::fmt;

use ctalk_core::classic::Sealed;
use ctalk_wire::MessageType;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    Store, StoreError, Transaction,
    idempotency::{self, Key, NewOutcome},
    own_card,
    routes::{self, Way},
};
use crate::{
    message::Format,
    relay::{Accepted, Body, Destination, Outgoing},
};

/// How long a claim lasts, in milliseconds: longer than handing a message over takes.
pub(super) const LEASE: i64 = 60 * 1000;
/// Longest pause before the next attempt, in milliseconds. A time further away than this was set by a
/// clock that has been set back since.
pub(crate) const MAX_PAUSE: i64 = 60 * 60 * 1000;

/// Where a message in the outbox stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum OutboxState {
    /// It has not been confirmed by the relay yet.
    Queued,
    /// The relay has it, and the receipt that it asks for is awaited.
    Sent,
    /// The relay refuses it.
    Failed,
}

impl OutboxState {
    /// The state as shown and stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Failed => "failed",
        }
    }

    fn from_text(text: &str) -> Option<Self> {
        let mut states = [Self::Queued, Self::Sent, Self::Failed].into_iter();
        states.find(|state| state.as_str() == text)
    }
}

impl fmt::Display for OutboxState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// One message in the outbox.
#[derive(Clone, Debug)]
pub struct OutboxEntry {
    /// Local number, never used twice.
    pub number: i64,
    /// The envelope's id; other formats have none before the relay gives one.
    pub id: Option<String>,
    /// The format.
    pub format: Format,
    /// The URL of the relay that it goes to.
    pub relay: String,
    /// Names of those who get it.
    pub to: Vec<String>,
    /// Where it stands.
    pub state: OutboxState,
    /// When it was put there, in milliseconds since the Unix epoch.
    pub created: i64,
    /// When it is given up, in milliseconds since the Unix epoch.
    pub expires: i64,
    /// How often it was handed over so far.
    pub attempts: u32,
    /// When it is handed over again, in milliseconds since the Unix epoch; `None` for as soon as
    /// possible.
    pub due: Option<i64>,
    /// Why it is still here, in words.
    pub error: Option<String>,
}

/// Somebody who gets a message.
#[derive(Clone, Debug)]
pub(crate) struct To {
    /// The contact's row, of whom it is one.
    pub(crate) contact: Option<i64>,
    /// The name that the user knows it by.
    pub(crate) name: String,
}

/// A message for the outbox.
#[derive(Debug)]
pub(crate) struct NewOutgoing {
    /// The envelope's id.
    pub(crate) id: Option<String>,
    /// What is handed over.
    pub(crate) outgoing: Outgoing,
    /// Who gets it, in the order of its destination.
    pub(crate) to: Vec<To>,
    /// The serial of the own key card in it.
    pub(crate) card: Option<u64>,
    /// When it is given up, in milliseconds since the Unix epoch.
    pub(crate) expires: i64,
    /// Whether it asks for receipts.
    pub(crate) receipt: bool,
}

/// What was put into the outbox.
#[derive(Debug)]
pub(crate) struct Enqueued {
    /// The numbers of the messages, in order.
    pub(crate) numbers: Vec<i64>,
    /// What is to be handed over first, which may be an older one.
    pub(crate) claimed: Option<Claimed>,
}

/// A message in the hands of whoever hands it over.
#[derive(Debug)]
pub(crate) struct Claimed {
    pub(crate) entry: OutboxEntry,
    pub(crate) outgoing: Outgoing,
    /// Whether the relay may have it already.
    pub(crate) is_uncertain: bool,
    /// How many parts of it the relay has.
    pub(crate) parts: u16,
    /// How long the slices of its parts are, once there is one.
    pub(crate) slice_len: Option<u16>,
}

impl Claimed {
    /// The number of the attempt that this is.
    pub(crate) const fn attempt(&self) -> u32 {
        self.entry.attempts
    }
}

/// What became of an attempt.
#[derive(Debug)]
pub(crate) enum Settled<'a> {
    /// The relay has it.
    Sent {
        accepted: &'a Accepted,
        /// When it is sent again if a receipt that it asks for is missing, in milliseconds since the
        /// Unix epoch.
        overdue: i64,
    },
    /// It is tried again then.
    Later {
        due: i64,
        error: String,
        /// Whether the relay may have it.
        is_uncertain: bool,
    },
    /// The relay wants to be left alone until then, by every message.
    Limited { until: i64, error: String },
    /// It stays to be looked at.
    Failed(String),
    /// It goes, because whoever sent it learns of the failure at once.
    Withdrawn,
}

const MESSAGE: &str =
    "SELECT message.number, id, format, state, created, expires, attempt, due, error,
     uncertain, message_type, topic, correlation_id, reply_to, ttl, body, nonce, signature, parts,
     slice_len, (SELECT url FROM relays WHERE relays.id = message.relay) FROM outbox AS message";

/// What is due and in nobody's hands. A lease that ends too far away was made before the machine started
/// anew; one that another process made after the time was read is not that far. Its parameters are the
/// relay, the time, the monotonic time, and the longest pause and lease. The pluses, here and below, keep
/// SQLite from walking over all that has not expired.
const DUE: &str = "+message.expires > ?2
     AND (due IS NULL OR due <= ?2 OR due > ?2 + ?4)
     AND (lease IS NULL OR lease <= ?3 OR lease > ?3 + 2 * ?5)";

/// What of that is to leave, and not behind an older message to the same recipient that is to leave too.
const NEXT: &str = "message.relay = ?1 AND message.state = 'queued' AND NOT EXISTS (
         SELECT 1 FROM outbox_recipients AS mine
         CROSS JOIN outbox_recipients AS theirs
             ON theirs.address IS mine.address AND theirs.message < mine.message AND theirs.queued = 1
         CROSS JOIN outbox AS older ON older.number = theirs.message
         WHERE mine.message = message.number AND +older.relay = ?1 AND +older.expires > ?2)
     ORDER BY message.number LIMIT 1";

/// What of that only misses a receipt, which holds back nothing.
const OVERDUE: &str = "message.number IN (
         SELECT number FROM outbox INDEXED BY outbox_overdue
             WHERE relay = ?1 AND state = 'sent' AND due IS NULL
         UNION ALL SELECT number FROM outbox INDEXED BY outbox_overdue
             WHERE relay = ?1 AND state = 'sent' AND due <= ?2
         UNION ALL SELECT number FROM outbox INDEXED BY outbox_overdue
             WHERE relay = ?1 AND state = 'sent' AND due > ?2 + ?4)
     ORDER BY message.number LIMIT 1";

impl Store {
    /// Puts messages into the outbox, in order, with their outcomes under a key if there is one, and
    /// claims the first that is to be handed over unless it is not to be claimed. What waits for the
    /// same recipients goes before them and so is due now. Copies of envelopes go into the outboxes of
    /// `others` too. `None`, and nothing is put anywhere, when another process has used the key meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub(crate) fn enqueue(
        &mut self,
        messages: &[NewOutgoing],
        others: &[Way],
        key: Option<(&Key, &[NewOutcome<'_>])>,
        now: i64,
        claims_at: Option<i64>,
    ) -> Result<Option<Enqueued>, StoreError> {
        let relay = self.relay;
        self.write("enqueue", |transaction| {
            if let Some((key, outcomes)) = key
                && !idempotency::is_free(transaction, key, outcomes)?
            {
                return Ok(None);
            }
            let mut numbers = Vec::with_capacity(messages.len());
            for message in messages {
                hasten(transaction, relay, &message.outgoing.to)?;
                let number = insert(transaction, relay, message, now)?;
                for way in others {
                    routes::copy(transaction, number, *way)?;
                }
                numbers.push(number);
            }
            if let Some((key, outcomes)) = key {
                idempotency::record(transaction, key, outcomes, &numbers)?;
            }
            let claimed = match claims_at {
                Some(monotonic) => claim(transaction, relay, now, monotonic)?,
                None => None,
            };
            Ok(Some(Enqueued { numbers, claimed }))
        })
    }

    /// Claims the next message that is to be handed over.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub(crate) fn claim_outgoing(
        &mut self,
        now: i64,
        monotonic: i64,
    ) -> Result<Option<Claimed>, StoreError> {
        let relay = self.relay;
        // Mostly there is nothing, and then nothing is written.
        if self.read(|db| next(db, relay, now, monotonic))?.is_none() {
            return Ok(None);
        }
        self.write("claim-outgoing", |transaction| {
            claim(transaction, relay, now, monotonic)
        })
    }

    /// Whether something is to be handed over now that is in nobody's hands.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub(crate) fn has_outgoing_due(&self, now: i64, monotonic: i64) -> Result<bool, StoreError> {
        self.read(|db| Ok(next(db, self.relay, now, monotonic)?.is_some()))
    }

    /// Until when everything that is to be handed over waits because the relay wants to be left alone, in
    /// milliseconds since the Unix epoch; `None` when it does not, or nothing waits for that.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub(crate) fn outgoing_held_until(
        &self,
        now: i64,
        monotonic: i64,
    ) -> Result<Option<i64>, StoreError> {
        self.read(|db| {
            let Some(until) = not_before(db, self.relay, now)? else {
                return Ok(None);
            };
            Ok(due(db, self.relay, now, monotonic)?.map(|_| until))
        })
    }

    /// Records what became of an attempt, unless its claim is lost, and claims the next message if
    /// `claims_at` is the machine's monotonic time.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub(crate) fn settle_outgoing(
        &mut self,
        claimed: &Claimed,
        settled: &Settled<'_>,
        now: i64,
        claims_at: Option<i64>,
    ) -> Result<Option<Claimed>, StoreError> {
        let relay = self.relay;
        self.write("settle-outgoing", |transaction| {
            settle(transaction, claimed, settled)?;
            match claims_at {
                Some(monotonic) => claim(transaction, relay, now, monotonic),
                None => Ok(None),
            }
        })
    }

    /// Records that the relay has so many parts of a message, and makes the claim on it begin anew; false
    /// when the claim was lost.
    ///
    /// # Errors
    /// [`StoreError::Failed`]; then the last of them is sent again, which does no harm.
    pub(crate) fn advance_outgoing(
        &mut self,
        claimed: &Claimed,
        parts: u16,
        slice_len: u16,
        monotonic: i64,
    ) -> Result<bool, StoreError> {
        self.write("advance-outgoing", |transaction| {
            let advanced = transaction
                .prepare_cached(
                    "UPDATE outbox SET parts = ?3, slice_len = ?4, lease = ?5
                     WHERE number = ?1 AND attempt = ?2",
                )?
                .execute(params![
                    claimed.entry.number,
                    claimed.attempt(),
                    parts,
                    slice_len,
                    monotonic.saturating_add(LEASE),
                ])?;
            Ok(advanced == 1)
        })
    }

    /// Takes out what nobody has handed over and whose time is over.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub(crate) fn expire_outgoing(&mut self, now: i64) -> Result<Vec<OutboxEntry>, StoreError> {
        let relay = self.relay;
        let over = format!("{MESSAGE} WHERE relay = ?1 AND expires <= ?2 ORDER BY message.number");
        let find = |db: &Connection| -> rusqlite::Result<Vec<OutboxEntry>> {
            let mut query = db.prepare_cached(&over)?;
            let found = query.query_map([relay, now], message)?;
            found
                .map(|found| Ok(with_recipients(db, found?)?.entry))
                .collect()
        };
        if self.read(find)?.is_empty() {
            return Ok(Vec::new());
        }
        self.write("expire-outgoing", |transaction| {
            let found = find(transaction)?;
            for entry in &found {
                remove(transaction, entry.number)?;
            }
            Ok(found)
        })
    }

    /// Shows every message in the outbox, whichever relay it goes to, to `visit`, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn each_outgoing(&self, mut visit: impl FnMut(OutboxEntry)) -> Result<(), StoreError> {
        let all = format!("{MESSAGE} ORDER BY message.number");
        self.read(|db| {
            let mut query = db.prepare_cached(&all)?;
            for found in query.query_map([], message)? {
                visit(with_recipients(db, found?)?.entry);
            }
            Ok(())
        })
    }

    /// The messages in the outbox that a person means by `id`: a local number, else an envelope's id.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn outgoing_named(&self, id: &str) -> Result<Vec<OutboxEntry>, StoreError> {
        let named = match id.parse::<i64>() {
            Ok(_) => "message.number = CAST(?1 AS INTEGER)",
            Err(_) => "id = ?1",
        };
        let query = format!("{MESSAGE} WHERE {named}");
        self.read(|db| {
            let mut query = db.prepare_cached(&query)?;
            let found = query.query_map([id], message)?;
            found
                .map(|found| Ok(with_recipients(db, found?)?.entry))
                .collect()
        })
    }

    /// Whether somebody hands over a message with this number or an older one.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub(crate) fn is_handed_over(&self, number: i64, monotonic: i64) -> Result<bool, StoreError> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT 1 FROM outbox WHERE relay = ?1 AND state = 'queued' AND number <= ?2
                 AND lease > ?3 AND lease <= ?3 + 2 * ?4",
            )?
            .exists([self.relay, number, monotonic, LEASE])
        })
    }

    /// Makes a message in the outbox due now, one that failed included. Where its relay wants to be left
    /// alone it leaves after that.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn retry_outgoing(&mut self, number: i64) -> Result<(), StoreError> {
        self.write("retry-outgoing", |transaction| {
            transaction.execute(
                "UPDATE outbox SET state = 'queued', due = NULL, error = NULL
                 WHERE number = ?1 AND state IN ('queued', 'failed')",
                [number],
            )?;
            Ok(())
        })
    }

    /// Makes everything that waits for its next attempt due now, or when the relay may be asked again.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub(crate) fn hasten_outgoing(&mut self) -> Result<(), StoreError> {
        let relay = self.relay;
        let waiting = "relay = ?1 AND state = 'queued' AND due IS NOT NULL";
        let exists = format!("SELECT EXISTS (SELECT 1 FROM outbox WHERE {waiting})");
        if !self.read(|db| db.query_row(&exists, [relay], |row| row.get(0)))? {
            return Ok(());
        }
        self.write("hasten-outgoing", |transaction| {
            let hasten = format!("UPDATE outbox SET due = NULL WHERE {waiting}");
            transaction.execute(&hasten, [relay])?;
            Ok(())
        })
    }

    /// Takes a message out of the outbox for good. Its recipients may have it nevertheless.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn drop_outgoing(&mut self, number: i64) -> Result<(), StoreError> {
        self.write("drop-outgoing", |transaction| remove(transaction, number))
    }
}

/// Makes what waits for these recipients due now.
fn hasten(transaction: &Transaction<'_>, relay: i64, to: &Destination) -> rusqlite::Result<()> {
    let mut hasten = transaction.prepare_cached(
        "UPDATE outbox SET due = NULL
         WHERE relay = ?1 AND state = 'queued' AND due IS NOT NULL
             AND number IN (SELECT message FROM outbox_recipients
                            WHERE address IS ?2 AND queued = 1)",
    )?;
    for address in addresses(to) {
        hasten.execute(params![relay, address])?;
    }
    Ok(())
}

/// Puts a message into the outbox; returns its number.
fn insert(
    transaction: &Transaction<'_>,
    relay: i64,
    message: &NewOutgoing,
    now: i64,
) -> rusqlite::Result<i64> {
    let outgoing = &message.outgoing;
    let (format, body, sealed) = match &outgoing.body {
        Body::Native(text) => (Format::Native, text.as_str(), None),
        Body::Classic(sealed) => (Format::Classic, sealed.payload.as_str(), Some(sealed)),
        Body::Plaintext(json) => (Format::Plain, json.get(), None),
        // They are worth something for a minute only, and are never put here.
        Body::Pairing(_) => return Err(rusqlite::Error::InvalidQuery),
    };
    transaction
        .prepare_cached(
            "INSERT INTO outbox (relay, id, format, message_type, topic, correlation_id, reply_to,
                 ttl, body, nonce, signature, card, state, created, expires, attempt, uncertain,
                 receipt)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, 'queued', ?13, ?14, 0, 0,
                 ?15)",
        )?
        .execute(params![
            relay,
            message.id,
            format.as_str(),
            outgoing.message_type.as_str(),
            outgoing.topic,
            outgoing.correlation_id,
            outgoing.reply_to,
            outgoing
                .ttl
                .map(|ttl| i64::try_from(ttl).unwrap_or(i64::MAX)),
            body,
            sealed.map(|sealed| &sealed.nonce),
            sealed.map(|sealed| &sealed.signature),
            message.card.map(u64::to_be_bytes),
            now,
            message.expires,
            message.receipt,
        ])?;
    let number = transaction.last_insert_rowid();
    let mut recipient = transaction.prepare_cached(
        "INSERT INTO outbox_recipients (message, place, address, contact, name)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for (place, (address, to)) in addresses(&outgoing.to)
        .into_iter()
        .zip(&message.to)
        .enumerate()
    {
        let place = i64::try_from(place).unwrap_or(i64::MAX);
        recipient.execute(params![number, place, address, to.contact, to.name])?;
    }
    Ok(number)
}

/// Where a message goes; everybody is nobody's address.
fn addresses(to: &Destination) -> Vec<Option<&str>> {
    match to {
        Destination::Agent(address) => vec![Some(address)],
        Destination::Agents(addresses) => addresses.iter().map(|name| Some(&**name)).collect(),
        Destination::Everyone => vec![None],
    }
}

/// What is to be handed over next, unless the relay wants to be left alone.
fn next(
    db: &Connection,
    relay: i64,
    now: i64,
    monotonic: i64,
) -> rusqlite::Result<Option<Claimed>> {
    match not_before(db, relay, now)? {
        Some(_) => Ok(None),
        None => due(db, relay, now, monotonic),
    }
}

/// Until when the relay wants to be left alone, if that is not over.
fn not_before(db: &Connection, relay: i64, now: i64) -> rusqlite::Result<Option<i64>> {
    db.prepare_cached(
        "SELECT not_before FROM relays WHERE id = ?1 AND not_before > ?2 AND not_before <= ?2 + ?3",
    )?
    .query_row([relay, now, MAX_PAUSE], |row| row.get(0))
    .optional()
}

fn due(db: &Connection, relay: i64, now: i64, monotonic: i64) -> rusqlite::Result<Option<Claimed>> {
    let first = |of: &str| {
        db.prepare_cached(&format!("{MESSAGE} WHERE {DUE} AND {of}"))?
            .query_row(params![relay, now, monotonic, MAX_PAUSE, LEASE], message)
            .optional()
    };
    let oldest = [first(NEXT)?, first(OVERDUE)?]
        .into_iter()
        .flatten()
        .min_by_key(|found| found.entry.number);
    oldest.map(|found| with_recipients(db, found)).transpose()
}

/// Claims the next message. A claim that is on it has ended without anybody saying what became of it.
fn claim(
    transaction: &Transaction<'_>,
    relay: i64,
    now: i64,
    monotonic: i64,
) -> rusqlite::Result<Option<Claimed>> {
    let Some(mut claimed) = next(transaction, relay, now, monotonic)? else {
        return Ok(None);
    };
    let (attempt, is_uncertain) = transaction
        .prepare_cached(
            "UPDATE outbox SET attempt = attempt + 1, lease = ?2,
                 uncertain = uncertain OR lease IS NOT NULL
             WHERE number = ?1 RETURNING attempt, uncertain",
        )?
        .query_row(
            [claimed.entry.number, monotonic.saturating_add(LEASE)],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
    claimed.entry.attempts = attempt;
    claimed.is_uncertain = is_uncertain;
    Ok(Some(claimed))
}

fn settle(
    transaction: &Transaction<'_>,
    claimed: &Claimed,
    settled: &Settled<'_>,
) -> rusqlite::Result<()> {
    let (number, attempt) = (claimed.entry.number, claimed.attempt());
    let is_held = transaction
        .prepare_cached("SELECT 1 FROM outbox WHERE number = ?1 AND attempt = ?2")?
        .exists(params![number, attempt])?;
    if !is_held {
        return Ok(());
    }
    match settled {
        Settled::Sent { accepted, overdue } => {
            own_card::told(transaction, number)?;
            // A copy stands for all of them.
            for number in routes::copies(transaction, number)? {
                idempotency::sent(transaction, number, accepted)?;
            }
            let awaits = transaction
                .prepare_cached(
                    "UPDATE outbox SET state = 'sent', due = ?2, error = NULL, lease = NULL, parts = 0
                     WHERE number = ?1 AND receipt",
                )?
                .execute(params![number, overdue])?;
            if awaits == 1 {
                return Ok(());
            }
            delete(transaction, number)
        }
        Settled::Later {
            due,
            error,
            is_uncertain,
        } => transaction
            .prepare_cached(
                "UPDATE outbox SET due = ?2, error = ?3, uncertain = uncertain OR ?4, lease = NULL
                 WHERE number = ?1",
            )?
            .execute(params![number, due, error, is_uncertain])
            .map(|_| ()),
        Settled::Limited { until, error } => {
            transaction
                .prepare_cached(
                    "UPDATE relays SET not_before = ?2
                     WHERE id = (SELECT relay FROM outbox WHERE number = ?1)",
                )?
                .execute(params![number, until])?;
            transaction
                .prepare_cached(
                    "UPDATE outbox SET due = ?2, error = ?3, lease = NULL WHERE number = ?1",
                )?
                .execute(params![number, until, error])
                .map(|_| ())
        }
        Settled::Failed(error) => transaction
            .prepare_cached(
                "UPDATE outbox SET state = 'failed', due = NULL, error = ?2, lease = NULL
                 WHERE number = ?1",
            )?
            .execute(params![number, error])
            .map(|_| ()),
        Settled::Withdrawn => give_up(transaction, number, claimed.is_uncertain),
    }
}

/// Takes a message out that was not confirmed. Under its key it may only be sent anew if it cannot
/// have arrived.
fn remove(transaction: &Transaction<'_>, number: i64) -> rusqlite::Result<()> {
    let was_handed_over: Option<bool> = transaction
        .prepare_cached("SELECT uncertain OR lease IS NOT NULL FROM outbox WHERE number = ?1")?
        .query_row([number], |row| row.get(0))
        .optional()?;
    match was_handed_over {
        Some(was_handed_over) => give_up(transaction, number, was_handed_over),
        None => Ok(()),
    }
}

/// Deletes a message that will not leave. Its key stands for a copy for another relay, if there is one.
fn give_up(
    transaction: &Transaction<'_>,
    number: i64,
    may_have_arrived: bool,
) -> rusqlite::Result<()> {
    let mut copies = routes::copies(transaction, number)?.into_iter();
    match copies.find(|copy| *copy != number) {
        Some(copy) => idempotency::stand_for(transaction, number, copy)?,
        None => idempotency::given_up(transaction, number, may_have_arrived)?,
    }
    delete(transaction, number)
}

pub(super) fn delete(transaction: &Transaction<'_>, number: i64) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("DELETE FROM outbox WHERE number = ?1")?
        .execute([number])?;
    Ok(())
}

/// Reads a row but for its recipients.
fn message(row: &Row<'_>) -> rusqlite::Result<Claimed> {
    let (format, state): (String, String) = (row.get(2)?, row.get(3)?);
    let message_type: String = row.get(10)?;
    let ttl: Option<i64> = row.get(14)?;
    let body: String = row.get(15)?;
    let format = match format.as_str() {
        "native" => Format::Native,
        "classic" => Format::Classic,
        _ => Format::Plain,
    };
    let body = match format {
        Format::Native => Body::Native(body),
        Format::Classic => Body::Classic(Sealed {
            payload: body,
            nonce: row.get(16)?,
            signature: row.get(17)?,
        }),
        Format::Plain => Body::Plaintext(RawValue::from_string(body).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(15, rusqlite::types::Type::Text, error.into())
        })?),
    };
    Ok(Claimed {
        entry: OutboxEntry {
            number: row.get(0)?,
            id: row.get(1)?,
            format,
            relay: row.get(20)?,
            to: Vec::new(),
            state: OutboxState::from_text(&state).unwrap_or(OutboxState::Failed),
            created: row.get(4)?,
            expires: row.get(5)?,
            attempts: row.get(6)?,
            due: row.get(7)?,
            error: row.get(8)?,
        },
        outgoing: Outgoing {
            to: Destination::Everyone,
            message_type: match message_type.as_str() {
                "response" => MessageType::Response,
                "notification" => MessageType::Notification,
                _ => MessageType::Request,
            },
            topic: row.get(11)?,
            correlation_id: row.get(12)?,
            reply_to: row.get(13)?,
            ttl: ttl.and_then(|ttl| u64::try_from(ttl).ok()),
            body,
        },
        is_uncertain: row.get(9)?,
        parts: row.get(18)?,
        slice_len: row.get(19)?,
    })
}

fn with_recipients(db: &Connection, mut found: Claimed) -> rusqlite::Result<Claimed> {
    let mut query = db.prepare_cached(
        "SELECT address, name FROM outbox_recipients WHERE message = ?1 ORDER BY place",
    )?;
    let rows = query.query_map([found.entry.number], |row| {
        Ok((row.get::<_, Option<String>>(0)?, row.get(1)?))
    })?;
    let (addresses, names): (Vec<_>, Vec<_>) = rows
        .collect::<rusqlite::Result<Vec<(Option<String>, String)>>>()?
        .into_iter()
        .unzip();
    let addresses: Option<Vec<String>> = addresses.into_iter().collect();
    found.outgoing.to = match addresses {
        None => Destination::Everyone,
        Some(mut addresses) if addresses.len() == 1 => {
            Destination::Agent(addresses.pop().unwrap_or_default())
        }
        Some(addresses) => Destination::Agents(addresses),
    };
    found.entry.to = names;
    Ok(found)
}
