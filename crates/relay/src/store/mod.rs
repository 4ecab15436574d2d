//! What the relay keeps: one SQLite database, one writing thread, a few reading connections.
//!
//! The modules named after a kind of record hold all SQL about it.

mod agents;
mod directory;
mod invites;
mod messages;
mod readers;
mod schema;
mod writer;

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Arc;

pub(crate) use agents::{AgentPatch, NewAgent, Registration};
pub(crate) use directory::{Agent, Directory};
pub(crate) use invites::{InviteRefusal, InviteRow, NewInvite};
pub(crate) use messages::{CopyKey, Filter, Inbox, NewMessage, StoredEnvelope, StoredPage};

use crate::config::{create_private_folder, private_file};
use crate::{Clock, Error};
use readers::Readers;
use writer::Writer;

const DATABASE: &str = "relay.db";
const LOCK: &str = "relay.lock";

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
    /// Held while this store is open: the directory in memory allows one relay per folder.
    _lock: File,
}

impl Store {
    /// Opens the store in `folder`, making what is missing. Blocks.
    pub(crate) fn open(folder: &Path, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        create_private_folder(folder).map_err(|source| Error::DataFolder {
            path: folder.to_owned(),
            source,
        })?;
        let lock = lock(&folder.join(LOCK))?;
        let path = folder.join(DATABASE);
        let connection = schema::open_writer(&path)?;
        let (directory, newest) = agents::load(&connection).map_err(|source| Error::Database {
            path: path.clone(),
            source,
        })?;
        let directory = Arc::new(directory);
        let writer = Writer::start(
            connection,
            Arc::clone(&clock),
            Arc::clone(&directory),
            newest,
        )?;
        Ok(Self {
            writer,
            readers: Readers::new(path),
            directory,
            clock,
            _lock: lock,
        })
    }

    /// The agents, in memory.
    pub(crate) fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Saves when agents were seen and deletes what has expired.
    pub(crate) async fn keep_house(&self) -> Result<(), StoreError> {
        self.save_presence().await?;
        while self.delete_expired().await? {}
        Ok(())
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

fn lock(path: &Path) -> Result<File, Error> {
    let file = private_file()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(|source| Error::DataFolder {
            path: path.to_owned(),
            source,
        })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse {
            path: path.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(Error::DataFolder {
            path: path.to_owned(),
            source,
        }),
    }
}
