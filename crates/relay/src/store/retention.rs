//! What is deleted in the background, and the room it leaves.
//!
//! Whoever wants to write waits while something is deleted, so all of it happens in small steps, between
//! which others have their turn.

use rusqlite::{Connection, params};

use super::writer::Changes;
use super::{Store, StoreError};

/// Rows that one step deletes.
const STEP: i64 = 500;
/// Pages of 4 KiB that one step gives back.
const PAGES: u32 = 256;
/// Steps at a time that give pages back: what is left is given back next time.
const MAX_SHRINKING: usize = 64;
/// Unused pages that are kept for what will be stored.
const KEPT_PAGES: i64 = 1024;
/// How long an invite that expired is still listed: 30 days.
const INVITES_KEPT_MS: i64 = 30 * 86_400_000;
/// The copies of a message.
const DELETE_COPIES: &str = "
    DELETE FROM copies WHERE (inbox, ts) IN
        (SELECT inbox, ts FROM copies INDEXED BY copies_by_message WHERE message = ?1 LIMIT ?2)";

impl Store {
    /// Deletes what has expired or was left behind, and gives the room back.
    pub(super) async fn tidy(&self) -> Result<(), StoreError> {
        while self.delete_expired().await? {}
        while self.delete_expired_audit().await? {}
        while self.empty_left_inboxes().await? {}
        self.delete_old_invites().await?;
        for _ in 0..MAX_SHRINKING {
            if !self.shrink().await? {
                break;
            }
        }
        Ok(())
    }

    /// Deletes some expired messages; `true` when there may be more.
    async fn delete_expired(&self) -> Result<bool, StoreError> {
        let sweep = |changes: &mut Changes<'_>| {
            let connection = changes.connection;
            let expired: Vec<i64> = connection
                .prepare_cached("SELECT seq FROM messages WHERE expires <= ?1 LIMIT ?2")?
                .query_map(params![changes.now_ms, STEP], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            let mut delete_copies = connection.prepare_cached(DELETE_COPIES)?;
            let mut delete = connection.prepare_cached("DELETE FROM messages WHERE seq = ?1")?;
            let mut left = STEP;
            for message in &expired {
                // One may have gone to everybody.
                let deleted = delete_copies.execute(params![message, left])?;
                left -= i64::try_from(deleted).unwrap_or(left);
                if left <= 0 {
                    return Ok(true);
                }
                delete.execute([message])?;
            }
            Ok(i64::try_from(expired.len()).is_ok_and(|found| found >= STEP))
        };
        self.writer.change(sweep).await
    }

    async fn delete_old_invites(&self) -> Result<(), StoreError> {
        let sweep = |changes: &mut Changes<'_>| {
            let expired = changes.now_ms.saturating_sub(INVITES_KEPT_MS);
            changes
                .connection
                .prepare_cached(
                    "DELETE FROM invites WHERE id IN
                     (SELECT id FROM invites WHERE expires <= ?1 LIMIT ?2)",
                )?
                .execute(params![expired, STEP])
        };
        self.writer.change(sweep).await.map(drop)
    }

    /// Gives some unused pages of the file back; `true` when there are more than are worth keeping.
    async fn shrink(&self) -> Result<bool, StoreError> {
        let shrink = |changes: &mut Changes<'_>| {
            let connection = changes.connection;
            let (unused, all) = pages(connection)?;
            if unused <= KEPT_PAGES.max(all / 4) {
                return Ok(false);
            }
            let mut vacuum = connection.prepare(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
            // It gives one page back for each row that is asked for.
            let mut rows = vacuum.query([])?;
            while rows.next()?.is_some() {}
            drop(rows);
            // A file of an older format cannot be made smaller.
            Ok(pages(connection)?.1 < all)
        };
        self.writer.change(shrink).await
    }
}

/// The pages of the file that are unused, and all of them.
fn pages(connection: &Connection) -> rusqlite::Result<(i64, i64)> {
    connection
        .prepare_cached(
            "SELECT freelist_count, page_count FROM pragma_freelist_count, pragma_page_count",
        )?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use futures_util::future::join_all;

    use super::*;
    use crate::store::schema::plan;
    use crate::store::{NewAgent, NewInvite, NewMessage};
    use crate::{ManualClock, Quota};

    async fn read(store: &Store, sql: &'static str) -> i64 {
        let read = move |connection: &Connection| connection.query_row(sql, [], |row| row.get(0));
        store.readers.read(read).await.unwrap()
    }

    fn message(store: &Store, ttl_ms: i64, payload: &str) -> NewMessage {
        let everybody = store.directory().all();
        NewMessage {
            id: "id".to_owned(),
            sender: Arc::clone(&everybody[0]),
            recipients: everybody,
            is_broadcast: true,
            topic: None,
            ttl_ms,
            audited: None,
            members: format!("\"payload\":\"{payload}\""),
        }
    }

    #[tokio::test]
    async fn no_step_deletes_more_than_its_share_however_many_got_a_message() {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::new(0);
        let store = Store::open(folder.path(), Arc::new(clock.clone()), Quota::OFF).unwrap();
        let agents = (0..600).map(|number| NewAgent::named(&format!("agent-{number}")));
        let registering = agents.map(|agent| store.register(agent, None));
        for registered in join_all(registering).await {
            registered.unwrap();
        }
        for ttl_ms in [1, 1, 2] {
            store.send(vec![message(&store, ttl_ms, "")]).await.unwrap();
        }
        clock.advance(Duration::from_millis(1));
        let mut left = read(&store, "SELECT count(*) FROM copies").await;
        assert_eq!(left, 1800);
        let mut steps = 0;
        while store.delete_expired().await.unwrap() {
            let now = read(&store, "SELECT count(*) FROM copies").await;
            assert_eq!(left - now, 500);
            left = now;
            steps += 1;
        }
        assert_eq!(steps, 2);
        assert_eq!(read(&store, "SELECT count(*) FROM copies").await, 600);
        assert_eq!(read(&store, "SELECT count(*) FROM messages").await, 1);
        assert_eq!(
            read(&store, "SELECT sum(messages) FROM activity").await,
            600
        );
    }

    #[tokio::test]
    async fn the_room_of_what_expired_is_given_back_but_for_some() {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::new(0);
        let store = Store::open(folder.path(), Arc::new(clock.clone()), Quota::OFF).unwrap();
        store
            .register(NewAgent::named("alice"), None)
            .await
            .unwrap();
        let payload = "x".repeat(60_000);
        for _ in 0..4 {
            let messages = (0..100).map(|_| message(&store, 1, &payload));
            store.send(messages.collect()).await.unwrap();
        }
        let full = read(&store, "SELECT page_count FROM pragma_page_count").await;
        assert!(full > 5 * KEPT_PAGES, "{full}");
        clock.advance(Duration::from_millis(1));
        store.tidy().await.unwrap();
        let left = read(&store, "SELECT page_count FROM pragma_page_count").await;
        assert!(left < 2 * KEPT_PAGES, "{left}");
        store
            .send(vec![message(&store, 1, &payload)])
            .await
            .unwrap();
        assert_eq!(
            read(&store, "SELECT page_count FROM pragma_page_count").await,
            left
        );
    }

    #[tokio::test]
    async fn an_invite_is_listed_for_30_days_after_it_expired() {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::new(0);
        let store = Store::open(folder.path(), Arc::new(clock.clone()), Quota::OFF).unwrap();
        for (code, expires_ms) in [("expires", Some(1000)), ("stays", None)] {
            let invite = NewInvite {
                code: code.to_owned(),
                label: None,
                max_uses: None,
                expires_ms,
            };
            store.add_invite(invite).await.unwrap();
        }
        clock.advance(Duration::from_millis(999) + Duration::from_secs(30 * 86_400));
        store.tidy().await.unwrap();
        assert_eq!(store.list_invites().await.unwrap().len(), 2);
        clock.advance(Duration::from_millis(1));
        store.tidy().await.unwrap();
        let left = store.list_invites().await.unwrap();
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].code, "stays");
    }

    #[test]
    fn no_step_looks_at_more_than_it_deletes() {
        for sql in [
            DELETE_COPIES,
            "SELECT seq FROM messages WHERE expires <= ?1 LIMIT ?2",
            "SELECT id FROM invites WHERE expires <= ?1 LIMIT ?2",
        ] {
            let steps = plan(sql, [1, 1]);
            assert!(
                !steps.iter().any(|step| step.starts_with("SCAN")),
                "{steps:?}"
            );
        }
    }
}
