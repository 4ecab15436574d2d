//! How much senders handed over, for the policy's limits. Only senders with limits are counted.

use rusqlite::{OptionalExtension, params};
use sha2::{Digest, Sha256};

use super::{Store, StoreError};

/// A minute, in milliseconds.
const MINUTE: i64 = 60 * 1000;
/// How long a conversation is remembered after its last message, in milliseconds: 30 days, the
/// longest life of an envelope.
const CONVERSATION: i64 = 30 * 24 * 60 * 60 * 1000;

/// In whose name, and in which conversation, a message is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CountKey {
    /// The signing key; empty for nobody's.
    sender: Vec<u8>,
    /// SHA-256 of the conversation's id.
    conversation: Option<[u8; 32]>,
}

/// What a sender handed over so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    /// In the minute that runs.
    pub(crate) handed: u32,
    /// In the conversation, for a message that belongs to one.
    pub(crate) turns: Option<u32>,
}

impl CountKey {
    pub(crate) fn new(sender: &[u8], correlation_id: Option<&str>) -> Self {
        Self {
            sender: sender.to_vec(),
            conversation: correlation_id.map(|id| Sha256::digest(id.as_bytes()).into()),
        }
    }

    /// How many of `others` count with a message under this key.
    pub(crate) fn counts_among(&self, others: &[Self]) -> Counts {
        let count = |found: usize| u32::try_from(found).unwrap_or(u32::MAX);
        let mine = others.iter().filter(|other| other.sender == self.sender);
        Counts {
            handed: count(mine.clone().count()),
            turns: self.conversation.map(|id| {
                let same = mine.filter(|other| other.conversation == Some(id));
                count(same.count())
            }),
        }
    }
}

impl Counts {
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            handed: self.handed.saturating_add(other.handed),
            turns: self
                .turns
                .map(|turns| turns.saturating_add(other.turns.unwrap_or(0))),
        }
    }
}

impl Store {
    /// What a sender handed over so far.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub(crate) fn counts(&self, key: &CountKey, now: i64) -> Result<Counts, StoreError> {
        self.read(|db| {
            // A minute that begins after now is one from before the clock was set back.
            let handed = db
                .prepare_cached("SELECT handed FROM minutes WHERE sender = ?1 AND began > ?2")?
                .query_row(params![key.sender, now.saturating_sub(MINUTE)], |row| {
                    row.get(0)
                })
                .optional()?;
            let turns = match key.conversation {
                Some(id) => Some(
                    db.prepare_cached(
                        "SELECT turns FROM conversations
                         WHERE sender = ?1 AND id = ?2 AND last >= ?3",
                    )?
                    .query_row(params![key.sender, id, forgotten(now)], |row| row.get(0))
                    .optional()?
                    .unwrap_or(0),
                ),
                None => None,
            };
            Ok(Counts {
                handed: handed.unwrap_or(0),
                turns,
            })
        })
    }

    /// Counts a message that is about to be handed over and was not counted before.
    ///
    /// # Errors
    /// [`StoreError::Failed`]; then it is not counted, and must not be handed over.
    pub(crate) fn count(
        &mut self,
        number: i64,
        key: &CountKey,
        now: i64,
    ) -> Result<(), StoreError> {
        self.write("count", |transaction| {
            transaction
                .prepare_cached("UPDATE inbox SET counted = 1 WHERE number = ?1")?
                .execute([number])?;
            let ended = now.saturating_sub(MINUTE);
            transaction
                .prepare_cached(
                    "INSERT INTO minutes (sender, began, handed) VALUES (?1, ?2, 1)
                     ON CONFLICT (sender) DO UPDATE SET
                     handed = iif(began > ?3, min(handed + 1, 4294967295), 1),
                     began = iif(began > ?3, min(began, ?2), ?2)",
                )?
                .execute(params![key.sender, now, ended])?;
            if let Some(id) = key.conversation {
                transaction
                    .prepare_cached(
                        "INSERT INTO conversations (sender, id, turns, last) VALUES (?1, ?2, 1, ?3)
                         ON CONFLICT (sender, id) DO UPDATE SET
                         turns = iif(last >= ?4, min(turns + 1, 4294967295), 1), last = max(last, ?3)",
                    )?
                    .execute(params![key.sender, id, now, forgotten(now)])?;
            }
            transaction
                .prepare_cached(
                    "DELETE FROM minutes WHERE sender IN
                     (SELECT sender FROM minutes WHERE began <= ?1 LIMIT 10)",
                )?
                .execute([ended])?;
            transaction
                .prepare_cached(
                    "DELETE FROM conversations WHERE (sender, id) IN
                     (SELECT sender, id FROM conversations WHERE last < ?1 LIMIT 10)",
                )?
                .execute([forgotten(now)])?;
            Ok(())
        })
    }

    /// Lets the minute of a sender end a minute from now at the latest, with the same count: after
    /// the clock was set back it would last until the clock is where it was.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub(crate) fn set_minute_back(&mut self, key: &CountKey, now: i64) -> Result<(), StoreError> {
        self.write("set-minute-back", |transaction| {
            transaction
                .prepare_cached("UPDATE minutes SET began = ?2 WHERE sender = ?1 AND began > ?2")?
                .execute(params![key.sender, now])?;
            Ok(())
        })
    }
}

/// The last message of a conversation that is forgotten came before this.
const fn forgotten(now: i64) -> i64 {
    now.saturating_sub(CONVERSATION)
}
