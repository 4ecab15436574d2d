//! Parts of envelopes that are too long for a relay, until all of one are there.
//!
//! A part's message ends in the transaction that stores its slice. The message of the last one that was
//! missing becomes that of the envelope, in the transaction that drops the slices: so there is no moment
//! at which a crash leaves neither. What is left of an envelope that is whole, until it expires, tells
//! repetitions of its parts.

use ctalk_core::{
    CLOCK_SKEW,
    part::{MAX_SPLIT_LEN, VerifiedPart, Whole, WholeError},
};
use rusqlite::{OptionalExtension, params};

use super::{Store, StoreError, Transaction, inbox};

/// Most bytes of envelopes of one contact that are not whole: two of the longest. What an envelope says
/// that it will have counts, not what is there of it.
const CONTACT_ROOM: i64 = 2 * MAX_SPLIT_LEN as i64;

/// Most bytes of envelopes of all together who are no contacts: one of the longest, which may be
/// somebody's first message. For a new one the least filled are given up, or a single part would keep all
/// strangers out for as long as it says that its envelope lives.
const STRANGERS_ROOM: i64 = MAX_SPLIT_LEN as i64;

/// Most bytes of envelopes of everybody: 512 MiB. Those of strangers are given up before a contact's new
/// one is refused.
const ROOM: i64 = 512 << 20;

/// What became of a part.
#[derive(Debug)]
pub(crate) enum Kept {
    /// It is stored, or was before, and its message is over.
    Stored,
    /// Its envelope was whole before, and its message is over.
    Repeated,
    /// It was the last one, and its message is that of this envelope now.
    Whole(Vec<u8>),
    /// It is not stored.
    Refused(NotKept),
}

/// Why a part is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotKept {
    /// It differs from what is there of its envelope.
    #[error("it contradicts an earlier part of its envelope; its sender is at fault")]
    Conflict,
    /// There is no room for its envelope.
    #[error(
        "there is no room for another envelope of {length} bytes until others are whole or expire; \
         retry it then"
    )]
    NoRoom {
        /// Bytes of the envelope.
        length: u32,
    },
    /// All parts are there and make no envelope.
    #[error(transparent)]
    NotWhole(#[from] WholeError),
}

/// What is known of an envelope in parts.
struct Known {
    number: i64,
    /// How many parts are not there yet.
    missing: u16,
    is_same: bool,
}

impl Store {
    /// Stores the part that message `number` is, from a contact or not. What expired before it was
    /// received is given up: other parts of what expired since may be here and wait to be looked at.
    ///
    /// # Errors
    /// [`StoreError::Failed`]; then nothing changes.
    pub(crate) fn keep_part(
        &mut self,
        number: i64,
        part: &VerifiedPart<'_>,
        is_contact: bool,
        received_at: i64,
        now: i64,
    ) -> Result<Kept, StoreError> {
        let (kept, unfinished) = self.write("keep-part", |transaction| {
            let unfinished = give_up_expired(transaction, received_at)?;
            inbox::forget_expired(transaction, now)?;
            let kept = keep(transaction, number, part, is_contact)?;
            Ok((kept, unfinished))
        })?;
        self.unfinished.extend(unfinished);
        Ok(kept)
    }

    /// Gives up what expired before it was whole.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub(crate) fn give_up_unfinished(&mut self, now: i64) -> Result<(), StoreError> {
        let is_any = self.read(|db| {
            db.prepare_cached("SELECT 1 FROM wholes WHERE expires < ?1 AND missing > 0 LIMIT 1")?
                .exists([now])
        })?;
        if is_any {
            let unfinished = self.write("give-up-unfinished", |transaction| {
                give_up_expired(transaction, now)
            })?;
            self.unfinished.extend(unfinished);
        }
        Ok(())
    }

    /// Whose envelopes were given up before they were whole, since this was last called: contacts' keys, and
    /// `None` for each of a stranger.
    pub(crate) fn take_unfinished(&mut self) -> Vec<Option<[u8; 32]>> {
        std::mem::take(&mut self.unfinished)
    }
}

/// Stores the part that message `number` is.
fn keep(
    transaction: &Transaction<'_>,
    number: i64,
    part: &VerifiedPart<'_>,
    is_contact: bool,
) -> rusqlite::Result<Kept> {
    // Another worker may have taken it meanwhile.
    let is_open = transaction
        .prepare_cached(
            "SELECT 1 FROM inbox WHERE number = ?1 AND state = 'new' AND envelope IS NULL",
        )?
        .exists([number])?;
    if !is_open {
        return Ok(Kept::Stored);
    }
    let whole = part.whole();
    let known = match known(transaction, whole)? {
        Some(known) => known,
        None if make_room(transaction, whole, is_contact)? => {
            begin(transaction, whole, is_contact)?
        }
        None => {
            let length = whole.length();
            return Ok(Kept::Refused(NotKept::NoRoom { length }));
        }
    };
    if !known.is_same {
        return Ok(Kept::Refused(NotKept::Conflict));
    }
    match (
        known.missing,
        slice(transaction, known.number, part.index())?,
    ) {
        (_, Some(other)) if other != part.slice() => {
            return Ok(Kept::Refused(NotKept::Conflict));
        }
        (0, _) => {
            inbox::finish(transaction, number, expires(whole))?;
            return Ok(Kept::Repeated);
        }
        // A repetition.
        (_, Some(_)) => {}
        (1, None) => return complete(transaction, number, known.number, part),
        (_, None) => add(transaction, known.number, part)?,
    }
    inbox::finish(transaction, number, expires(whole))?;
    Ok(Kept::Stored)
}

fn known(transaction: &Transaction<'_>, whole: &Whole) -> rusqlite::Result<Option<Known>> {
    transaction
        .prepare_cached(
            "SELECT number, missing, digest = ?3 AND length = ?4 AND slice_len = ?5 AND expires = ?6
             FROM wholes WHERE sender = ?1 AND id = ?2",
        )?
        .query_row(
            params![
                whole.sender(),
                whole.id().as_bytes(),
                whole.digest(),
                whole.length(),
                whole.slice_len(),
                expires(whole),
            ],
            |row| {
                Ok(Known {
                    number: row.get(0)?,
                    missing: row.get(1)?,
                    is_same: row.get(2)?,
                })
            },
        )
        .optional()
}

/// Whether there is room for a new envelope, for which the least filled ones of strangers may have to go.
fn make_room(
    transaction: &Transaction<'_>,
    whole: &Whole,
    is_contact: bool,
) -> rusqlite::Result<bool> {
    let (of_all, of_strangers, of_sender): (i64, i64, i64) = transaction
        .prepare_cached(
            "SELECT ifnull(sum(length), 0), ifnull(sum(length * stranger), 0),
                    ifnull(sum(length * (sender = ?1)), 0)
             FROM wholes WHERE missing > 0",
        )?
        .query_row([whole.sender()], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
    let length = i64::from(whole.length());
    let mut excess = of_all + length - ROOM;
    if !is_contact {
        excess = excess.max(of_strangers + length - STRANGERS_ROOM);
    } else if of_sender + length > CONTACT_ROOM {
        return Ok(false);
    }
    if excess > of_strangers {
        return Ok(false);
    }
    while excess > 0 {
        excess -= give_up_least_filled(transaction)?;
    }
    Ok(true)
}

/// Drops the envelope of a stranger of which the fewest parts are there; returns the bytes that it was to
/// have.
fn give_up_least_filled(transaction: &Transaction<'_>) -> rusqlite::Result<i64> {
    transaction
        .prepare_cached(
            "DELETE FROM wholes WHERE number =
                 (SELECT number FROM wholes WHERE missing > 0 AND stranger
                  ORDER BY (length + slice_len - 1) / slice_len - missing, number LIMIT 1)
             RETURNING length",
        )?
        .query_row([], |row| row.get(0))
}

fn begin(
    transaction: &Transaction<'_>,
    whole: &Whole,
    is_contact: bool,
) -> rusqlite::Result<Known> {
    let missing = whole.count();
    transaction
        .prepare_cached(
            "INSERT INTO wholes (sender, id, digest, length, slice_len, expires, stranger, missing)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            whole.sender(),
            whole.id().as_bytes(),
            whole.digest(),
            whole.length(),
            whole.slice_len(),
            expires(whole),
            !is_contact,
            missing,
        ])?;
    Ok(Known {
        number: transaction.last_insert_rowid(),
        missing,
        is_same: true,
    })
}

fn slice(
    transaction: &Transaction<'_>,
    whole: i64,
    place: u16,
) -> rusqlite::Result<Option<Vec<u8>>> {
    transaction
        .prepare_cached("SELECT slice FROM slices WHERE whole = ?1 AND place = ?2")?
        .query_row(params![whole, place], |row| row.get(0))
        .optional()
}

fn add(transaction: &Transaction<'_>, whole: i64, part: &VerifiedPart<'_>) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("INSERT INTO slices (whole, place, slice) VALUES (?1, ?2, ?3)")?
        .execute(params![whole, part.index(), part.slice()])?;
    transaction
        .prepare_cached("UPDATE wholes SET missing = missing - 1 WHERE number = ?1")?
        .execute([whole])?;
    Ok(())
}

/// Puts an envelope together from the slices that are there and the last one.
fn complete(
    transaction: &Transaction<'_>,
    message: i64,
    whole: i64,
    last: &VerifiedPart<'_>,
) -> rusqlite::Result<Kept> {
    add(transaction, whole, last)?;
    let length = usize::try_from(last.whole().length()).unwrap_or_default();
    let mut envelope = Vec::with_capacity(length);
    let mut slices =
        transaction.prepare_cached("SELECT slice FROM slices WHERE whole = ?1 ORDER BY place")?;
    let mut rows = slices.query([whole])?;
    while let Some(row) = rows.next()? {
        envelope.extend_from_slice(row.get_ref(0)?.as_blob()?);
    }
    transaction.execute("DELETE FROM slices WHERE whole = ?1", [whole])?;
    match last.whole().join(envelope) {
        Ok(envelope) => {
            transaction.execute(
                "UPDATE inbox SET envelope = ?2 WHERE number = ?1",
                params![message, envelope],
            )?;
            Ok(Kept::Whole(envelope))
        }
        Err(error) => Ok(Kept::Refused(error.into())),
    }
}

/// Drops what is there of envelopes of which no part may come any more; whose they were that are not whole.
fn give_up_expired(
    transaction: &Transaction<'_>,
    received_at: i64,
) -> rusqlite::Result<Vec<Option<[u8; 32]>>> {
    let mut given_up = transaction.prepare_cached(
        "DELETE FROM wholes WHERE expires < ?1 RETURNING missing > 0, iif(stranger, NULL, sender)",
    )?;
    let given_up = given_up.query_map([received_at], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut unfinished = Vec::new();
    for found in given_up {
        if let (true, sender) = found? {
            unfinished.push(sender);
        }
    }
    Ok(unfinished)
}

/// Until when the envelope may be opened, with the tolerance for clocks.
fn expires(whole: &Whole) -> i64 {
    let until = whole.expires().checked_add(CLOCK_SKEW);
    until
        .and_then(|until| i64::try_from(until.as_millis()).ok())
        .unwrap_or(i64::MAX)
}
