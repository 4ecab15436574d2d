//! Deleting agents.
//!
//! An inbox may hold millions of messages, and whoever waits to write waits for a deletion, too. So
//! an agent is first cut off in one small change, and its inbox is then emptied in parts. Its row
//! stays until that is done, also over a crash.

use std::sync::Arc;

use rusqlite::{Connection, params};

use super::directory::{Agent, fold};
use super::webhooks;
use super::writer::Changes;
use super::{Store, StoreError};

/// Copies deleted in one go, so that sends need not wait long.
const SWEEP: i64 = 500;

impl Store {
    /// Deletes `agent` with its entry and its inbox, and retires its name. What it sent stays with
    /// those who got it. `false` when it was deleted before.
    pub(crate) async fn delete_agent(&self, agent: Arc<Agent>) -> Result<bool, StoreError> {
        let is_deleted = self.cut_off(agent).await?;
        // What cannot be deleted now is deleted in the background.
        while matches!(self.empty_left_inboxes().await, Ok(true)) {}
        Ok(is_deleted)
    }

    async fn cut_off(&self, agent: Arc<Agent>) -> Result<bool, StoreError> {
        let cut_off = move |changes: &mut Changes<'_>| {
            // No name holds a `!`, and no key has a random hash.
            let cut_off = changes
                .connection
                .prepare_cached(
                    "UPDATE agents SET gone = 1, folded = '!' || id, key_hash = randomblob(32),
                        owner = '', public_key = '', signing_key = '', capabilities = NULL
                     WHERE id = ?1 AND gone = 0",
                )?
                .execute([agent.id])?;
            if cut_off == 0 {
                return Ok(false);
            }
            changes
                .connection
                .prepare_cached("INSERT OR IGNORE INTO retired_names (folded) VALUES (?1)")?
                .execute([fold(&agent.name)])?;
            webhooks::set(changes, agent.id, None)?;
            changes.when_committed(move |directory| directory.remove(&agent));
            Ok(true)
        };
        self.writer.change(cut_off).await
    }

    /// Deletes some messages in the inboxes of deleted agents; `true` when there may be more.
    pub(super) async fn empty_left_inboxes(&self) -> Result<bool, StoreError> {
        let sweep = |changes: &mut Changes<'_>| {
            let connection = changes.connection;
            let messages: Vec<i64> = connection
                .prepare_cached(
                    "DELETE FROM copies WHERE (inbox, ts) IN
                     (SELECT inbox, ts FROM agents CROSS JOIN copies ON inbox = id
                      WHERE gone = 1 LIMIT ?1)
                     RETURNING message",
                )?
                .query_map([SWEEP], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            let mut delete = connection.prepare_cached(
                "DELETE FROM messages WHERE seq = ?1
                 AND NOT EXISTS (SELECT 1 FROM copies WHERE message = ?1)",
            )?;
            for message in &messages {
                delete.execute([message])?;
            }
            if !messages.is_empty() {
                return Ok(true);
            }
            connection
                .prepare_cached("DELETE FROM agents WHERE gone = 1")?
                .execute([])?;
            Ok(false)
        };
        self.writer.change(sweep).await
    }
}

/// Whether `name` is retired and stays so. The operator may take it up again, an invite not.
pub(super) fn take_up(
    connection: &Connection,
    name: &str,
    by_operator: bool,
) -> rusqlite::Result<bool> {
    let folded = fold(name);
    if by_operator {
        connection
            .prepare_cached("DELETE FROM retired_names WHERE folded = ?1")?
            .execute([folded])?;
        return Ok(false);
    }
    connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM retired_names WHERE folded = ?1)")?
        .query_row(params![folded], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Quota;
    use crate::SystemClock;
    use crate::store::messages::{Stored, Storing};
    use crate::store::{NewAgent, NewMessage};

    async fn add(store: &Store, name: &str) -> Arc<Agent> {
        store.register(NewAgent::named(name), None).await.unwrap();
        store.directory().by_name(name).unwrap()
    }

    async fn send(store: &Store, sender: &Arc<Agent>, recipients: &[&Arc<Agent>]) -> Stored {
        let message = NewMessage {
            id: "id".to_owned(),
            sender: Arc::clone(sender),
            recipients: recipients.iter().map(|agent| Arc::clone(agent)).collect(),
            is_broadcast: false,
            topic: None,
            ttl_ms: 60_000,
            audited: None,
            members: "\"payload\":1".to_owned(),
        };
        match store.send(vec![message]).await.unwrap().remove(0) {
            Storing::Done(stored) => stored,
            Storing::Full(names) => panic!("{names:?}"),
        }
    }

    async fn count(store: &Store, table: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM {table}");
        let count = move |connection: &Connection| connection.query_row(&sql, [], |row| row.get(0));
        store.readers.read(count).await.unwrap()
    }

    #[tokio::test]
    async fn a_deletion_that_a_crash_cut_short_holds_and_is_finished_later() {
        let folder = tempfile::tempdir().unwrap();
        let store =
            Arc::new(Store::open(folder.path(), Arc::new(SystemClock), Quota::OFF).unwrap());
        let (alice, bob) = (add(&store, "alice").await, add(&store, "bob").await);
        send(&store, &bob, &[&alice, &bob]).await;
        send(&store, &bob, &[&alice]).await;
        assert!(store.cut_off(alice).await.unwrap());
        Arc::clone(&store).close().await.unwrap();
        drop(store);
        let store = Store::open(folder.path(), Arc::new(SystemClock), Quota::OFF).unwrap();
        assert!(store.directory().by_name("alice").is_none());
        assert_eq!(store.directory().all().len(), 1);
        assert_eq!(store.count_agents().await.unwrap(), 1);
        assert_eq!(store.list_agents().await.unwrap().len(), 1);
        assert_eq!(count(&store, "copies").await, 3);
        store.keep_house().await.unwrap();
        assert_eq!(count(&store, "copies").await, 1);
        assert_eq!(count(&store, "messages").await, 1);
        assert_eq!(count(&store, "agents").await, 1);
    }

    #[tokio::test]
    async fn what_was_on_its_way_to_a_deleted_agent_is_dropped_and_reaches_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Arc::new(SystemClock), Quota::OFF).unwrap();
        let (alice, bob) = (add(&store, "alice").await, add(&store, "bob").await);
        assert!(store.delete_agent(Arc::clone(&alice)).await.unwrap());
        assert!(!store.delete_agent(Arc::clone(&alice)).await.unwrap());
        let sent = send(&store, &bob, &[&alice, &bob]).await;
        assert_eq!(sent.missed, ["alice"]);
        assert_eq!(send(&store, &bob, &[&alice]).await.missed, ["alice"]);
        assert_eq!(count(&store, "messages").await, 1);
        assert_eq!(count(&store, "copies").await, 1);
        send(&store, &alice, &[&bob]).await;
        store.keep_house().await.unwrap();
        assert_eq!(count(&store, "agents").await, 1);
    }
}
