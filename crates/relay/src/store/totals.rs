//! Numbers about all of the store.

use rusqlite::{Connection, params};

use super::writer::Changes;
use super::{Store, StoreError};

/// How much the store holds.
#[derive(Debug)]
pub(crate) struct Totals {
    pub(crate) agents: i64,
    /// In all inboxes together.
    pub(crate) messages: i64,
    /// Of their envelopes.
    pub(crate) bytes: i64,
    /// Bytes of the database file.
    pub(crate) database: i64,
}

/// The bytes that are stored to see whether there is room: those of the largest message.
const PROBE: i64 = 64 * 1024;

impl Store {
    /// How much there is, in time that follows the number of agents and not of messages.
    pub(crate) async fn totals(&self) -> Result<Totals, StoreError> {
        self.readers.read(totals).await
    }

    /// Stores a message for nobody, and deletes it. A crash in between leaves what has expired.
    pub(crate) async fn probe(&self) -> Result<(), StoreError> {
        let store = |changes: &mut Changes<'_>| {
            changes
                .connection
                .prepare_cached(
                    "INSERT INTO messages (id, sender, ts, expires, head)
                     VALUES ('', 0, 0, 0, hex(zeroblob(?1)))",
                )?
                .execute(params![PROBE / 2])?;
            Ok(changes.connection.last_insert_rowid())
        };
        let stored = self.writer.change(store).await?;
        let delete = move |changes: &mut Changes<'_>| {
            changes
                .connection
                .prepare_cached("DELETE FROM messages WHERE seq = ?1 AND expires = 0")?
                .execute([stored])
        };
        self.writer.change(delete).await.map(drop)
    }
}

pub(super) fn totals(connection: &Connection) -> rusqlite::Result<Totals> {
    let sql = "SELECT (SELECT count(*) FROM agents WHERE gone = 0),
            coalesce(sum(messages), 0), coalesce(sum(bytes), 0),
            (SELECT page_count * page_size FROM pragma_page_count, pragma_page_size)
         FROM activity";
    connection.prepare_cached(sql)?.query_row([], |row| {
        Ok(Totals {
            agents: row.get(0)?,
            messages: row.get(1)?,
            bytes: row.get(2)?,
            database: row.get(3)?,
        })
    })
}
