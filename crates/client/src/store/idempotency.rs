//! What was sent under keys of the caller's, so that the same key delivers once.
//!
//! Keys and contents are here as digests that only the identity can make. Nothing is forgotten.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, params};

use super::{Store, StoreError, Transaction};
use crate::{message::Sent, relay::Accepted};

/// A key, with what is sent under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// The signing key of whoever sends.
    pub(crate) sender: [u8; 32],
    /// Digest of the key.
    pub(crate) key: [u8; 32],
    /// Digest of recipients, content and metadata.
    pub(crate) content: [u8; 32],
}

/// An outcome to record.
#[derive(Debug)]
pub(crate) struct NewOutcome<'a> {
    /// The recipient as the caller named it.
    pub(crate) recipient: &'a str,
    /// The place of its message among those that are put into the outbox.
    pub(crate) place: usize,
    /// What is known before the relay has it.
    pub(crate) sent: &'a Sent,
}

/// What is recorded of a message to a recipient.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// Its number in the outbox.
    pub(crate) number: i64,
    /// As it was when the relay confirmed it, else when it was put into the outbox.
    pub(crate) sent: Sent,
    /// Where it stands.
    pub(crate) state: OutcomeState,
}

/// Where a message stands that was sent under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutcomeState {
    /// It is in the outbox.
    Queued,
    /// The relay has confirmed it.
    Sent,
    /// It was taken out of the outbox, and may have arrived before.
    GivenUp,
}

impl Store {
    /// The outcomes under a key, by recipient; `None` if it was used for other content.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub(crate) fn outcomes(
        &self,
        key: &Key,
    ) -> Result<Option<HashMap<String, Outcome>>, StoreError> {
        self.read(|db| {
            if has_other_content(db, key)? {
                return Ok(None);
            }
            let mut query = db.prepare_cached(
                "SELECT recipient, message, state, sent FROM idempotent_outcomes
                 WHERE sender = ?1 AND key = ?2",
            )?;
            let rows = query.query_map(params![key.sender, key.key], |row| {
                let (state, sent): (String, String) = (row.get(2)?, row.get(3)?);
                let sent = serde_json::from_str(&sent).map_err(|error| {
                    let text = rusqlite::types::Type::Text;
                    rusqlite::Error::FromSqlConversionFailure(3, text, error.into())
                })?;
                let outcome = Outcome {
                    number: row.get(1)?,
                    sent,
                    state: match state.as_str() {
                        "queued" => OutcomeState::Queued,
                        "sent" => OutcomeState::Sent,
                        _ => OutcomeState::GivenUp,
                    },
                };
                Ok((row.get(0)?, outcome))
            })?;
            rows.collect::<rusqlite::Result<_>>().map(Some)
        })
    }
}

fn has_other_content(db: &rusqlite::Connection, key: &Key) -> rusqlite::Result<bool> {
    let content: Option<[u8; 32]> = db
        .prepare_cached("SELECT content FROM idempotency_keys WHERE sender = ?1 AND key = ?2")?
        .query_row(params![key.sender, key.key], |row| row.get(0))
        .optional()?;
    Ok(content.is_some_and(|content| content != key.content))
}

/// Whether nothing else was sent under the key, and nothing to these recipients.
pub(super) fn is_free(
    transaction: &Transaction<'_>,
    key: &Key,
    outcomes: &[NewOutcome<'_>],
) -> rusqlite::Result<bool> {
    if has_other_content(transaction, key)? {
        return Ok(false);
    }
    let mut query = transaction.prepare_cached(
        "SELECT 1 FROM idempotent_outcomes WHERE sender = ?1 AND key = ?2 AND recipient = ?3",
    )?;
    for outcome in outcomes {
        if query.exists(params![key.sender, key.key, outcome.recipient])? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Records outcomes under a key that is free for them; `numbers` are those of the messages.
pub(super) fn record(
    transaction: &Transaction<'_>,
    key: &Key,
    outcomes: &[NewOutcome<'_>],
    numbers: &[i64],
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO idempotency_keys (sender, key, content) VALUES (?1, ?2, ?3)
             ON CONFLICT (sender, key) DO NOTHING",
        )?
        .execute(params![key.sender, key.key, key.content])?;
    let mut insert = transaction.prepare_cached(
        "INSERT INTO idempotent_outcomes (sender, key, recipient, message, state, sent)
         VALUES (?1, ?2, ?3, ?4, 'queued', ?5)",
    )?;
    for outcome in outcomes {
        let number = numbers.get(outcome.place);
        let sent = serde_json::to_string(outcome.sent)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        insert.execute(params![
            key.sender,
            key.key,
            outcome.recipient,
            number,
            sent
        ])?;
    }
    Ok(())
}

/// Records that the relay has a message.
pub(super) fn sent(
    transaction: &Transaction<'_>,
    number: i64,
    accepted: &Accepted,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "UPDATE idempotent_outcomes SET state = 'sent',
                 sent = json_set(sent, '$.state', 'sent', '$.relayId', ?2, '$.ts', ?3,
                                 '$.id', coalesce(sent ->> '$.id', ?2))
             WHERE message = ?1",
        )?
        .execute(params![number, accepted.relay_id, accepted.ts])?;
    Ok(())
}

/// Has what stands for a message stand for a copy of it.
pub(super) fn stand_for(
    transaction: &Transaction<'_>,
    number: i64,
    copy: i64,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("UPDATE idempotent_outcomes SET message = ?2 WHERE message = ?1")?
        .execute([number, copy])?;
    Ok(())
}

/// Records that a message has arrived, whether its relay said so or not.
pub(super) fn answered(transaction: &Transaction<'_>, number: i64) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "UPDATE idempotent_outcomes SET state = 'sent',
                 sent = json_set(sent, '$.state', 'sent')
             WHERE message = ?1 AND state = 'queued'",
        )?
        .execute([number])?;
    Ok(())
}

/// Records that a message is not in the outbox any more, or forgets it if it cannot have arrived.
pub(super) fn given_up(
    transaction: &Transaction<'_>,
    number: i64,
    may_have_arrived: bool,
) -> rusqlite::Result<()> {
    let change = if may_have_arrived {
        "UPDATE idempotent_outcomes SET state = 'given-up' WHERE message = ?1 AND state = 'queued'"
    } else {
        "DELETE FROM idempotent_outcomes WHERE message = ?1 AND state = 'queued'"
    };
    transaction.prepare_cached(change)?.execute([number])?;
    Ok(())
}
