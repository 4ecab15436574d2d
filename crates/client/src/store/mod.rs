//! Everything one identity remembers, in one SQLite file that several processes may share.
//!
//! Sealed bytes only: messages lie here as they were received, and plaintext is derived again by
//! opening. Every write is durable when its call returns (WAL with `synchronous=FULL`).
//!
//! - [`contacts`]: who is pinned under which keys and addresses
//! - [`inbox`]: what was fetched and not handled yet, or set aside
//! - [`schema`]: the tables and their migrations

mod contacts;
mod inbox;
mod schema;

use std::{fs::OpenOptions, io, os::unix::fs::OpenOptionsExt, path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior};

pub use self::{
    contacts::{Contact, NewContact},
    inbox::{Entry, EntryState, SeenBefore, Stored},
};

/// How long one process waits for another one's write.
const BUSY: Duration = Duration::from_secs(10);

/// An open store.
pub struct Store {
    db: Connection,
    /// Row of the relay that is worked with; 0, which no row has, for none.
    relay: i64,
}

/// Why the store could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// SQLite refused: full disk, damaged or locked file, missing permission.
    #[error("the store {path} failed: {why}")]
    Failed {
        /// The store's file.
        path: String,
        /// SQLite's words; they name no content.
        why: String,
    },
    /// The file was written by a newer ctalk.
    #[error("the store {path} has version {found}, this ctalk reads up to {known}")]
    Newer {
        /// The store's file.
        path: String,
        /// Version of the file.
        found: i64,
        /// Newest version that is known.
        known: i64,
    },
    /// The contact's new name is taken.
    #[error("the name `{name}` already belongs to another contact")]
    NameTaken {
        /// The name.
        name: String,
    },
}

impl Store {
    /// Opens or makes the store at `path`, for work at the relay at `relay_url` if one is given.
    ///
    /// # Errors
    /// [`StoreError::Failed`] and [`StoreError::Newer`].
    pub fn open(path: &Path, relay_url: Option<&str>) -> Result<Self, StoreError> {
        let shown = path.display().to_string();
        let failed = |error: rusqlite::Error| StoreError::Failed {
            path: shown.clone(),
            why: error.to_string(),
        };
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        create_private(path).map_err(|error| StoreError::Failed {
            path: shown.clone(),
            why: error.to_string(),
        })?;
        let mut db = Connection::open_with_flags(path, flags).map_err(failed)?;
        db.busy_timeout(BUSY).map_err(failed)?;
        db.pragma_update(None, "journal_mode", "WAL")
            .map_err(failed)?;
        db.pragma_update(None, "synchronous", "FULL")
            .map_err(failed)?;
        db.pragma_update(None, "foreign_keys", true)
            .map_err(failed)?;
        schema::migrate(&mut db, &shown)?;
        let mut store = Self { db, relay: 0 };
        if let Some(url) = relay_url {
            store.relay = store.relay_row(url)?;
        }
        Ok(store)
    }

    fn relay_row(&mut self, url: &str) -> Result<i64, StoreError> {
        let known = self.read(|db| {
            db.query_row("SELECT id FROM relays WHERE url = ?1", [url], |row| {
                row.get(0)
            })
            .optional()
        })?;
        if let Some(id) = known {
            return Ok(id);
        }
        // Another process may add it at the same moment.
        self.write(|transaction| {
            transaction.execute("INSERT OR IGNORE INTO relays (url) VALUES (?1)", [url])?;
            transaction.query_row("SELECT id FROM relays WHERE url = ?1", [url], |row| {
                row.get(0)
            })
        })
    }

    /// Runs `work` in one durable transaction.
    fn write<T>(
        &mut self,
        work: impl FnOnce(&rusqlite::Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let outcome = (|| {
            let transaction = self
                .db
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(value)
        })();
        outcome.map_err(|error| self.failed(&error))
    }

    fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        work(&self.db).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &rusqlite::Error) -> StoreError {
        StoreError::Failed {
            path: self.db.path().unwrap_or("in memory").to_owned(),
            why: error.to_string(),
        }
    }
}

/// Makes the file with mode 0600 if there is none; SQLite gives its side files the same mode.
fn create_private(path: &Path) -> io::Result<()> {
    match OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
    {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}
