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
            let seq = changes.next_seq();
            changes
                .connection
                .prepare_cached(
                    "INSERT INTO messages (seq, id, sender, ts, expires, head)
                     VALUES (?1, '', 0, 0, 0, hex(zeroblob(?2)))",
                )?
                .execute(params![seq, PROBE / 2])?;
            Ok(seq)
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::future::join_all;

    use super::*;
    use crate::store::{NewAgent, NewMessage, Storing};
    use crate::{Quota, SystemClock};

    #[tokio::test]
    async fn whether_there_is_room_is_found_out_while_messages_are_stored() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Arc::new(SystemClock), Quota::OFF).unwrap();
        store
            .register(NewAgent::named("alice"), None)
            .await
            .unwrap();
        let alice = store.directory().by_name("alice").unwrap();
        let sends = (0..50).map(|_| async {
            let message = NewMessage {
                id: "id".to_owned(),
                sender: Arc::clone(&alice),
                recipients: vec![Arc::clone(&alice)],
                is_broadcast: false,
                topic: None,
                ttl_ms: 60_000,
                audited: None,
                members: "\"payload\":1".to_owned(),
            };
            let (probed, stored) = tokio::join!(store.probe(), store.send(vec![message]));
            probed.unwrap();
            assert!(matches!(stored.unwrap()[..], [Storing::Done(_)]));
        });
        join_all(sends).await;
        let totals = store.totals().await.unwrap();
        assert_eq!((totals.agents, totals.messages), (1, 50));
    }
}
