//! A few connections for reading, used on threads that may block.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::{StoreError, schema};
use crate::metrics::{StoreMetrics, observe_since};

/// Reads that run at once; more callers wait.
const MAX_READERS: usize = 4;
/// The longest that one read may take, so that none keeps the others waiting. No read of this crate
/// comes near it unless the disk fails.
const DEADLINE: Duration = Duration::from_secs(5);
/// Steps of SQLite's virtual machine between two looks at the deadline: a fraction of a millisecond.
const STEPS: i32 = 10_000;

pub(super) struct Readers {
    path: PathBuf,
    idle: Arc<Mutex<Vec<Connection>>>,
    slots: Arc<Semaphore>,
    metrics: StoreMetrics,
}

impl Readers {
    /// Opens every connection at once: later there may be no file handle left for one.
    pub(super) fn open(path: &Path, metrics: StoreMetrics) -> rusqlite::Result<Self> {
        let connections: rusqlite::Result<Vec<_>> = (0..MAX_READERS)
            .map(|_| schema::open_reader(path))
            .collect();
        Ok(Self {
            path: path.to_owned(),
            idle: Arc::new(Mutex::new(connections?)),
            slots: Arc::new(Semaphore::new(MAX_READERS)),
            metrics,
        })
    }

    /// Runs `read` in one transaction of its own, which sees all that was committed before.
    pub(super) async fn read<T, F>(&self, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let slot = Arc::clone(&self.slots)
            .acquire_owned()
            .await
            .map_err(|_| StoreError::Closed)?;
        let idle = Arc::clone(&self.idle);
        let path = self.path.clone();
        let metrics = self.metrics.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let taken = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            // There is one for each slot, unless a read broke down and took its own along.
            let mut connection = taken.map_or_else(|| schema::open_reader(&path), Ok)?;
            let began = Instant::now();
            let deadline = began + DEADLINE;
            connection.progress_handler(STEPS, Some(move || Instant::now() >= deadline))?;
            let transaction = connection.unchecked_transaction()?;
            let outcome = read(&transaction);
            drop(transaction);
            observe_since(&metrics.reads, began);
            idle.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(connection);
            drop(slot);
            outcome
        });
        let outcome = reading.await.map_err(|_| StoreError::Closed)?;
        outcome.map_err(StoreError::from)
    }

    /// How many slots are taken by what `ask` asks for, while no read goes on.
    #[cfg(test)]
    pub(super) fn taken_by(&self, ask: impl FnOnce()) -> usize {
        let _standstill = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        ask();
        MAX_READERS - self.slots.available_permits()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[tokio::test]
    async fn readers_need_no_file_once_they_are_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.db");
        let _writer = schema::open_writer(&path).unwrap();
        let readers = Readers::open(&path, StoreMetrics::default()).unwrap();
        for file in std::fs::read_dir(folder.path()).unwrap() {
            std::fs::remove_file(file.unwrap().path()).unwrap();
        }
        // All at once, so that each takes a connection of its own.
        let together = Arc::new(Barrier::new(MAX_READERS));
        let count = || {
            let together = Arc::clone(&together);
            readers.read(move |connection| {
                together.wait();
                connection.query_row("SELECT count(*) FROM agents", [], |row| {
                    row.get::<_, i64>(0)
                })
            })
        };
        let counts = tokio::join!(count(), count(), count(), count());
        for count in [counts.0, counts.1, counts.2, counts.3] {
            assert_eq!(count.unwrap(), 0);
        }
    }

    #[tokio::test]
    async fn a_read_that_does_not_end_is_interrupted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.db");
        let _writer = schema::open_writer(&path).unwrap();
        let readers = Readers::open(&path, StoreMetrics::default()).unwrap();
        let endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
                       SELECT count(*) FROM n";
        let read = readers
            .read(|connection| connection.query_row(endless, [], |row| row.get::<_, i64>(0)));
        let Err(StoreError::Sqlite(error)) = read.await else {
            panic!("it ended");
        };
        let code = error.sqlite_error_code();
        assert_eq!(code, Some(rusqlite::ErrorCode::OperationInterrupted));
        let again = readers
            .read(|connection| connection.query_row("SELECT 1", [], |row| row.get::<_, i64>(0)));
        assert_eq!(again.await.unwrap(), 1);
    }
}
