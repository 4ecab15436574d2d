//! The one thread that writes.
//!
//! Changes wait in a bounded queue. The writer puts all it finds there into one transaction,
//! commits it (which waits for the disk) and only then answers their callers, so that concurrent
//! writers share the cost of a commit. Each change has its own savepoint: one that fails is undone
//! alone.

use std::collections::{HashMap, HashSet};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

use super::StoreError;
use super::directory::{AgentId, Directory};
use crate::metrics::{StoreMetrics, observe_since};
use crate::{Clock, Error};

/// Changes that may wait or run at once; more callers wait before they queue.
const MAX_QUEUED: usize = 1024;
/// Changes that share one commit at most.
const MAX_BATCH: usize = 256;
/// The longest time that the writer waits for more changes to share a commit.
const MAX_GATHERING: Duration = Duration::from_millis(2);

/// The way to the writing thread.
pub(super) struct Writer {
    queue: Sender<Message>,
    slots: Arc<Semaphore>,
    /// Its sender lives as long as the thread works.
    working: watch::Receiver<()>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

enum Message {
    Change(Box<dyn Change>),
    Close,
}

impl Writer {
    pub(super) fn start(
        connection: Connection,
        clock: Arc<dyn Clock>,
        directory: Arc<Directory>,
        newest: HashMap<AgentId, i64>,
        metrics: StoreMetrics,
        newest_seq: i64,
    ) -> Result<Self, Error> {
        let (queue, waiting) = channel();
        let (alive, working) = watch::channel(());
        let slots = Arc::new(Semaphore::new(MAX_QUEUED));
        let mut thread = WriterThread {
            connection,
            clock,
            directory,
            newest: Newest {
                ts: newest,
                unsaved: HashSet::new(),
                seq: newest_seq,
            },
            waiting,
            slots: Arc::clone(&slots),
            _alive: alive,
            expected: 1,
            gathering: Duration::ZERO,
            metrics,
        };
        let thread = Builder::new()
            .name("relay-writer".to_owned())
            .spawn(move || thread.run())
            .map_err(Error::Thread)?;
        Ok(Self {
            queue,
            slots,
            working,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Makes one change and returns its outcome once that is on disk.
    pub(super) async fn change<T, F>(&self, make: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Changes<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        let slot = Arc::clone(&self.slots)
            .acquire_owned()
            .await
            .map_err(|_| StoreError::Closed)?;
        let (answer, outcome) = oneshot::channel();
        let change = Pending {
            make: Some(make),
            outcome: None,
            when_committed: Vec::new(),
            answer,
            _slot: slot,
        };
        self.queue
            .send(Message::Change(Box::new(change)))
            .map_err(|_| StoreError::Closed)?;
        outcome.await.map_err(|_| StoreError::Closed)?
    }

    /// Waits until the thread has ended, for whatever reason.
    pub(super) async fn ended(&self) {
        // Nothing is ever sent, so this waits for the sender's end.
        while self.working.clone().changed().await.is_ok() {}
    }

    /// Commits everything queued so far and ends the thread. Blocks.
    pub(super) fn close(&self) -> Result<(), Error> {
        // An error means that the thread has ended already.
        let _ = self.queue.send(Message::Close);
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        thread.map_or(Ok(()), |thread| thread.join().map_err(|_| Error::Writer))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Whoever cares has called `close`.
        let _ = self.close();
    }
}

/// What a change works with.
pub(super) struct Changes<'w> {
    /// Inside the shared transaction.
    pub(super) connection: &'w Connection,
    /// The relay's time, in milliseconds since the epoch.
    pub(super) now_ms: i64,
    newest: &'w mut Newest,
    when_committed: &'w mut Vec<Hook>,
}

type Hook = Box<dyn FnOnce(&Directory) + Send>;

impl Changes<'_> {
    /// A time for a message to all of `inboxes`: now, or just after the newest they hold.
    pub(super) fn next_ts(&mut self, inboxes: impl Iterator<Item = AgentId> + Clone) -> i64 {
        let ts = inboxes
            .clone()
            .filter_map(|inbox| self.newest.ts.get(&inbox))
            .fold(self.now_ms, |ts, newest| ts.max(newest.saturating_add(1)));
        for inbox in inboxes {
            self.newest.ts.insert(inbox, ts);
            self.newest.unsaved.insert(inbox);
        }
        ts
    }

    /// The number of the next message: higher than any before, deleted ones included, while the
    /// relay runs.
    pub(super) fn next_seq(&mut self) -> i64 {
        self.newest.seq = self.newest.seq.saturating_add(1);
        self.newest.seq
    }

    /// Runs `hook` when this change is on disk, before its caller is answered.
    pub(super) fn when_committed(&mut self, hook: impl FnOnce(&Directory) + Send + 'static) {
        self.when_committed.push(Box::new(hook));
    }
}

/// What was given last, so that what comes next is later.
struct Newest {
    /// The newest ts ever given in each inbox, also after a restart.
    ts: HashMap<AgentId, i64>,
    unsaved: HashSet<AgentId>,
    /// The highest number given to a message since the relay was started.
    seq: i64,
}

/// A change with its own outcome type hidden.
trait Change: Send {
    /// Makes the change inside the shared transaction.
    fn make(
        &mut self,
        connection: &Connection,
        now_ms: i64,
        newest: &mut Newest,
    ) -> rusqlite::Result<()>;
    /// Tells the caller: committed, or why not.
    fn settle(self: Box<Self>, committed: Result<&Directory, StoreError>);
}

struct Pending<T, F> {
    make: Option<F>,
    outcome: Option<T>,
    when_committed: Vec<Hook>,
    answer: oneshot::Sender<Result<T, StoreError>>,
    _slot: OwnedSemaphorePermit,
}

impl<T, F> Change for Pending<T, F>
where
    T: Send,
    F: FnOnce(&mut Changes<'_>) -> rusqlite::Result<T> + Send,
{
    fn make(
        &mut self,
        connection: &Connection,
        now_ms: i64,
        newest: &mut Newest,
    ) -> rusqlite::Result<()> {
        if let Some(make) = self.make.take() {
            self.outcome = Some(make(&mut Changes {
                connection,
                now_ms,
                newest,
                when_committed: &mut self.when_committed,
            })?);
        }
        Ok(())
    }

    fn settle(self: Box<Self>, committed: Result<&Directory, StoreError>) {
        let Self {
            outcome,
            when_committed,
            answer,
            ..
        } = *self;
        let outcome = committed.and_then(|directory| {
            for hook in when_committed {
                hook(directory);
            }
            outcome.ok_or(StoreError::Closed)
        });
        // Nobody listens when the caller has gone away.
        let _ = answer.send(outcome);
    }
}

/// What became of one change inside the shared transaction.
enum Made {
    Whole,
    /// It failed and left no trace.
    Undone(rusqlite::Error),
    /// It failed and what it did cannot be undone alone.
    Stuck(rusqlite::Error),
}

struct WriterThread {
    connection: Connection,
    clock: Arc<dyn Clock>,
    directory: Arc<Directory>,
    newest: Newest,
    waiting: Receiver<Message>,
    slots: Arc<Semaphore>,
    _alive: watch::Sender<()>,
    /// How many changes were under way when the last commit ended: the callers just answered are
    /// likely to come back at once.
    expected: usize,
    /// How long to wait for them: less than the commit that waiting saves.
    gathering: Duration,
    metrics: StoreMetrics,
}

impl WriterThread {
    fn run(&mut self) {
        while let Ok(Message::Change(first)) = self.waiting.recv() {
            let closed = self.commit_batch(first);
            if closed {
                break;
            }
        }
    }

    /// Commits `first` and whatever else waits; `true` when asked to close meanwhile.
    fn commit_batch(&mut self, first: Box<dyn Change>) -> bool {
        if let Err(error) = self.connection.execute_batch("BEGIN IMMEDIATE") {
            self.failed(1);
            first.settle(Err(error.into()));
            return false;
        }
        let gather_until = Instant::now() + self.gathering;
        let mut made = Vec::new();
        let mut closed = false;
        let mut next = Some(first);
        let mut tried = 0;
        while let Some(mut change) = next {
            tried += 1;
            match self.make(change.as_mut()) {
                Made::Whole => made.push(change),
                Made::Undone(error) => {
                    self.failed(1);
                    change.settle(Err(error.into()));
                }
                // A full disk can end the whole transaction.
                Made::Stuck(error) => {
                    // Fails only when the transaction has ended already.
                    let _ = self.connection.execute_batch("ROLLBACK");
                    self.failed(made.len() + 1);
                    change.settle(Err(error.into()));
                    settle_all(made, || Err(StoreError::RolledBack));
                    return false;
                }
            }
            next = match self.next(tried, gather_until) {
                Some(Message::Change(change)) => Some(change),
                Some(Message::Close) => {
                    closed = true;
                    None
                }
                None => None,
            };
        }
        let began = Instant::now();
        let committed = self
            .save_newest_times()
            .and_then(|()| self.connection.execute_batch("COMMIT"));
        self.gathering = (began.elapsed() / 2).min(MAX_GATHERING);
        self.expected = MAX_QUEUED.saturating_sub(self.slots.available_permits());
        match committed {
            Ok(()) => {
                self.newest.unsaved.clear();
                observe_since(&self.metrics.commits, began);
                self.metrics.committed.inc();
                self.metrics.batches.observe(made.len() as f64);
                let directory = Arc::clone(&self.directory);
                settle_all(made, || Ok(&directory));
            }
            Err(error) => {
                // Fails only when the transaction has ended already.
                let _ = self.connection.execute_batch("ROLLBACK");
                self.failed(made.len());
                let error = StoreError::from(error);
                settle_all(made, || Err(error.clone()));
            }
        }
        closed
    }

    fn make(&mut self, change: &mut dyn Change) -> Made {
        let run = |sql| self.connection.prepare_cached(sql)?.execute([]).map(drop);
        if let Err(error) = run("SAVEPOINT change") {
            return Made::Stuck(error);
        }
        let made = change.make(&self.connection, self.clock.now_ms(), &mut self.newest);
        let undone = match &made {
            Ok(()) => Ok(()),
            Err(_) => run("ROLLBACK TO change"),
        };
        match (made, undone.and_then(|()| run("RELEASE change"))) {
            (Ok(()), Ok(())) => Made::Whole,
            (Err(error), Ok(())) => Made::Undone(error),
            (Err(error), Err(_)) | (Ok(()), Err(error)) => Made::Stuck(error),
        }
    }

    /// The next change for this batch, waiting for it while one is likely to come.
    fn next(&self, tried: usize, gather_until: Instant) -> Option<Message> {
        if tried >= MAX_BATCH {
            return None;
        }
        match self.waiting.try_recv() {
            Ok(message) => Some(message),
            Err(TryRecvError::Disconnected) => None,
            Err(TryRecvError::Empty) if tried >= self.expected => None,
            Err(TryRecvError::Empty) => {
                let left = gather_until.saturating_duration_since(Instant::now());
                self.waiting.recv_timeout(left).ok()
            }
        }
    }

    fn failed(&self, changes: usize) {
        let changes = u64::try_from(changes).unwrap_or(u64::MAX);
        self.metrics.failed_changes.inc_by(changes);
    }

    fn save_newest_times(&self) -> rusqlite::Result<()> {
        if self.newest.unsaved.is_empty() {
            return Ok(());
        }
        let mut save = self
            .connection
            .prepare_cached("UPDATE activity SET newest_ts = ?2 WHERE agent = ?1")?;
        for inbox in &self.newest.unsaved {
            save.execute(params![inbox, self.newest.ts.get(inbox)])?;
        }
        Ok(())
    }
}

fn settle_all<'d>(
    changes: Vec<Box<dyn Change>>,
    committed: impl Fn() -> Result<&'d Directory, StoreError>,
) {
    for change in changes {
        change.settle(committed());
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::SystemClock;
    use crate::store::schema::open_writer;

    fn start(path: &Path) -> Writer {
        Writer::start(
            open_writer(path).unwrap(),
            Arc::new(SystemClock),
            Arc::default(),
            HashMap::new(),
            StoreMetrics::default(),
            0,
        )
        .unwrap()
    }

    fn count(connection: &Connection) -> rusqlite::Result<i64> {
        connection.query_row("SELECT count(*) FROM invites", [], |row| row.get(0))
    }

    fn insert(changes: &Changes<'_>, code: &str) -> rusqlite::Result<usize> {
        let sql = "INSERT INTO invites (code, created) VALUES (?1, 0)";
        changes.connection.execute(sql, [code])
    }

    #[tokio::test]
    async fn waiting_changes_share_a_commit_and_one_that_fails_is_undone_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.db");
        let writer = start(&path);
        // Holds the writer until all are queued, so that they meet in one batch.
        let (release, released) = channel::<()>();
        let held = writer.change(move |_| {
            let _ = released.recv();
            Ok(())
        });
        let good = |code: &'static str| {
            let outside = Connection::open(&path).unwrap();
            writer.change(move |changes| {
                insert(changes, code)?;
                Ok((count(&outside)?, count(changes.connection)?))
            })
        };
        let bad = writer.change(|changes| {
            insert(changes, "undone")?;
            insert(changes, "undone")
        });
        let queued = async {
            while writer.slots.available_permits() > MAX_QUEUED - 4 {
                tokio::task::yield_now().await;
            }
            release.send(()).unwrap();
        };
        let (held, first, bad, second, ()) =
            tokio::join!(held, good("first"), bad, good("second"), queued);
        held.unwrap();
        // Neither sees the other's row from outside: nothing was committed in between.
        assert_eq!(first.unwrap(), (0, 1));
        assert_eq!(second.unwrap(), (0, 2));
        assert!(matches!(bad, Err(StoreError::Sqlite(_))));
        assert_eq!(count(&Connection::open(&path).unwrap()).unwrap(), 2);
    }

    #[tokio::test]
    async fn a_change_that_cannot_be_undone_alone_undoes_its_whole_commit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.db");
        let writer = start(&path);
        let (release, released) = channel::<()>();
        let held = writer.change(move |changes| {
            let _ = released.recv();
            insert(changes, "neighbour")
        });
        let stuck = writer.change(|changes| {
            insert(changes, "half")?;
            changes.connection.execute_batch("RELEASE change")?;
            insert(changes, "half")
        });
        let queued = async {
            while writer.slots.available_permits() > MAX_QUEUED - 2 {
                tokio::task::yield_now().await;
            }
            release.send(()).unwrap();
        };
        let (held, stuck, ()) = tokio::join!(held, stuck, queued);
        assert!(matches!(held, Err(StoreError::RolledBack)));
        assert!(matches!(stuck, Err(StoreError::Sqlite(_))));
        assert_eq!(count(&Connection::open(&path).unwrap()).unwrap(), 0);
        writer
            .change(|changes| insert(changes, "later"))
            .await
            .unwrap();
        assert_eq!(count(&Connection::open(&path).unwrap()).unwrap(), 1);
    }

    #[tokio::test]
    async fn closing_commits_what_was_queued_and_refuses_what_comes_later() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.db");
        let writer = start(&path);
        let (release, released) = channel::<()>();
        let held = writer.change(move |_| {
            let _ = released.recv();
            Ok(())
        });
        let queued = writer.change(|changes| insert(changes, "queued"));
        let close = async {
            while writer.slots.available_permits() > MAX_QUEUED - 2 {
                tokio::task::yield_now().await;
            }
            writer.queue.send(Message::Close).unwrap();
            release.send(()).unwrap();
        };
        let (held, queued, ()) = tokio::join!(held, queued, close);
        held.unwrap();
        queued.unwrap();
        writer.close().unwrap();
        let late = writer.change(|changes| insert(changes, "late")).await;
        assert!(matches!(late, Err(StoreError::Closed)));
        assert_eq!(count(&Connection::open(&path).unwrap()).unwrap(), 1);
    }
}
