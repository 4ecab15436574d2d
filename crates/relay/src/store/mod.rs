//! What the relay keeps: one SQLite database, one writing thread, a few reading connections.
//!
//! The modules named after a kind of record hold all SQL about it.

mod agents;
mod audit;
mod backup;
mod directory;
mod invites;
mod lock;
mod messages;
mod news;
mod quotas;
mod readers;
mod removal;
mod retention;
mod schema;
mod totals;
mod webhooks;
mod writer;

use std::path::Path;
use std::sync::Arc;

pub(crate) use agents::{AgentPatch, NewAgent, Registration};
pub(crate) use audit::AuditFilter;
pub use backup::{Backup, back_up};
pub(crate) use directory::{Agent, AgentId, Call, Directory, MAX_REQUESTS};
pub(crate) use invites::{InviteRefusal, InviteRow, NewInvite};
pub(crate) use messages::{
    Audited, CopyKey, Filter, Inbox, NewMessage, StoredEnvelope, StoredPage, Storing,
};
pub(crate) use news::News;
pub(crate) use quotas::QuotaPatch;
pub(crate) use totals::Totals;
pub(crate) use webhooks::{Attempt, Delivery, Failure, NewWebhook};

use crate::config::create_private_folder;
use crate::metrics::StoreMetrics;
use crate::{Clock, Error, Quota};
use lock::Lock;
use readers::Readers;
use writer::Writer;

const DATABASE: &str = "relay.db";
const LOCK_FILE: &str = "relay.lock";

/// Why something could not be read or written. None of it is the caller's fault.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("the relay is shutting down")]
    Closed,
    #[error("another change ended the transaction")]
    RolledBack,
    #[error("the database failed: {0}")]
    Sqlite(Arc<rusqlite::Error>),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(Arc::new(error))
    }
}

/// The relay's records.
pub(crate) struct Store {
    writer: Writer,
    readers: Readers,
    directory: Arc<Directory>,
    clock: Arc<dyn Clock>,
    /// Of inboxes that have none of their own.
    quota: Quota,
    metrics: StoreMetrics,
    /// Last, so that it ends when the writer and the readers have.
    _lock: Lock,
}

impl Store {
    /// Opens the store in `folder`, making what is missing. Blocks.
    pub(crate) fn open(folder: &Path, clock: Arc<dyn Clock>, quota: Quota) -> Result<Self, Error> {
        create_private_folder(folder).map_err(|source| Error::DataFolder {
            path: folder.to_owned(),
            source,
        })?;
        let lock = Lock::take(&folder.join(LOCK_FILE))?;
        let path = folder.join(DATABASE);
        let connection = schema::open_writer(&path)?;
        let at = |source| Error::Database {
            path: path.clone(),
            source,
        };
        let (directory, newest) = agents::load(&connection).map_err(at)?;
        let metrics = StoreMetrics::default();
        let readers = Readers::open(&path, metrics.clone()).map_err(at)?;
        let newest_seq = messages::newest_seq(&connection).map_err(at)?;
        for agent in webhooks::load_waiting(&connection).map_err(at)? {
            directory.call(agent, Call::Message);
        }
        let directory = Arc::new(directory);
        let writer = Writer::start(
            connection,
            Arc::clone(&clock),
            Arc::clone(&directory),
            newest,
            metrics.clone(),
            newest_seq,
        )?;
        Ok(Self {
            writer,
            readers,
            directory,
            clock,
            quota,
            metrics,
            _lock: lock,
        })
    }

    /// The agents, in memory.
    pub(crate) fn directory(&self) -> &Directory {
        &self.directory
    }

    /// What it measures.
    pub(crate) fn metrics(&self) -> &StoreMetrics {
        &self.metrics
    }

    /// Waits until nothing can be written any more: the writing thread has ended.
    pub(crate) async fn writer_ended(&self) {
        self.writer.ended().await;
    }

    /// Ends the writing thread as a defect would.
    #[cfg(test)]
    pub(crate) async fn break_writer(&self) {
        let broken = self
            .writer
            .change(|_| -> rusqlite::Result<()> { panic!("broken by a test") });
        assert!(matches!(broken.await, Err(StoreError::Closed)));
    }

    /// How many places for reading are taken by what `ask` asks for, while no read goes on.
    #[cfg(test)]
    pub(crate) fn readers_taken_by(&self, ask: impl FnOnce()) -> usize {
        self.readers.taken_by(ask)
    }

    /// Saves when agents were seen and deletes what has expired or was left behind.
    pub(crate) async fn keep_house(&self) -> Result<(), StoreError> {
        self.save_presence().await?;
        self.tidy().await
    }

    /// Commits everything that was accepted, then ends the writing thread.
    pub(crate) async fn close(self: Arc<Self>) -> Result<(), Error> {
        // What cannot be saved now is lost like in a crash: a time of last activity.
        let _ = self.save_presence().await;
        tokio::task::spawn_blocking(move || self.writer.close())
            .await
            .map_err(|_| Error::Writer)?
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::task::JoinSet;

    use super::*;
    use crate::ManualClock;

    #[tokio::test]
    async fn expired_messages_are_deleted_with_all_their_copies() {
        const SHORT: i64 = 1000;
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::new(0);
        let store =
            Arc::new(Store::open(folder.path(), Arc::new(clock.clone()), Quota::OFF).unwrap());
        for name in ["alice", "bob"] {
            store.register(NewAgent::named(name), None).await.unwrap();
        }
        let mut sends = JoinSet::new();
        // More than one sweep deletes, and one message that lives longer.
        for ttl_ms in core::iter::repeat_n(SHORT, 1100).chain([SHORT + 1]) {
            let store = Arc::clone(&store);
            sends.spawn(async move {
                let everybody = store.directory().all();
                let message = NewMessage {
                    id: "id".to_owned(),
                    sender: Arc::clone(&everybody[0]),
                    recipients: everybody,
                    is_broadcast: false,
                    topic: Some("t".to_owned()),
                    ttl_ms,
                    audited: None,
                    members: "\"payload\":1".to_owned(),
                };
                store.send(vec![message]).await.unwrap();
            });
        }
        sends.join_all().await;
        let count = async |table: &'static str| {
            let sql = format!("SELECT count(*) FROM {table}");
            let count = move |connection: &rusqlite::Connection| {
                connection.query_row(&sql, [], |row| row.get::<_, i64>(0))
            };
            store.readers.read(count).await.unwrap()
        };
        clock.advance(Duration::from_millis(999));
        store.keep_house().await.unwrap();
        assert_eq!(
            (count("messages").await, count("copies").await),
            (1101, 2202)
        );
        clock.advance(Duration::from_millis(1));
        store.keep_house().await.unwrap();
        assert_eq!((count("messages").await, count("copies").await), (1, 2));
        let bob = store.directory().by_name("bob").unwrap();
        let usage = store.usage(bob).await.unwrap().unwrap();
        assert_eq!(usage.messages, 1, "what expired fills no inbox");
    }

    #[tokio::test]
    async fn the_rest_of_a_page_never_shows_what_took_the_place_of_a_deleted_message() {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::new(0);
        let store = Store::open(folder.path(), Arc::new(clock), Quota::OFF).unwrap();
        for name in ["alice", "bob"] {
            store.register(NewAgent::named(name), None).await.unwrap();
        }
        let agent = |name| store.directory().by_name(name).unwrap();
        let send = async |id: &str, to, payload: String| {
            let message = NewMessage {
                id: id.to_owned(),
                sender: agent("alice"),
                recipients: vec![agent(to)],
                is_broadcast: false,
                topic: None,
                ttl_ms: 1000,
                audited: None,
                members: format!("\"payload\":\"{payload}\""),
            };
            store.send(vec![message]).await.unwrap();
        };
        // More than one part of a page.
        for id in ["1", "2", "3"] {
            send(id, "bob", "x".repeat(200_000)).await;
        }
        let everything = Filter {
            after_ms: None,
            topic: None,
            oldest_first: true,
            limit: 100,
        };
        let inbox = agent("bob").id;
        let first = store.page(Inbox::Of(inbox), everything).await.unwrap();
        assert_eq!((first.envelopes.len(), first.rest.len()), (2, 1));
        let deleted = store.delete(inbox, vec!["3".to_owned()]).await;
        assert_eq!(deleted.unwrap(), [true]);
        send("4", "alice", "not for bob".to_owned()).await;
        let rest = store.rest(first.rest).await.unwrap();
        assert!(rest.envelopes.is_empty(), "{:?}", rest.envelopes);
    }
}
