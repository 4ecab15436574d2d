//! Everything one identity remembers, in one SQLite file that several processes may share.
//!
//! Sealed bytes only: messages lie here as they were received, and plaintext is derived again by
//! opening. Every write is durable when its call returns (WAL with `synchronous=FULL`).
//!
//! - `answers`: the receipts that were sent for others' messages
//! - `backup`: what of it moves to another machine
//! - `bounds`: how much is kept of what waits for the user
//! - `contacts`: who is pinned under which keys and addresses, and what that counts for
//! - `calls`: requests whose response a process waits for
//! - `cards`: the key cards that contacts had
//! - `claims`: which worker has a message in hand, and what became of it
//! - `counts`: how much senders handed over, for the policy's limits
//! - `endings`: which identities ended, and who took their place
//! - `idempotency`: what was sent under keys of the caller's
//! - `inbox`: what was fetched and not handled yet, held or set aside
//! - `integrity`: whether the file is damaged
//! - `lock`: what only one process at a time does
//! - `outbox`: what is on its way to a relay
//! - `own_card`: who was given the own key card
//! - `parts`: envelopes that come in parts, until they are whole
//! - `receipts`: what became of one's own messages
//! - `schema`: the tables and their migrations

mod addresses;
mod answers;
mod backup;
mod bounds;
mod calls;
mod cards;
mod claims;
mod contacts;
mod counts;
mod endings;
mod idempotency;
mod inbox;
mod integrity;
mod lock;
#[cfg(test)]
mod model;
mod outbox;
mod own_card;
mod parts;
mod receipts;
mod routes;
mod schema;
#[cfg(test)]
mod steps;

use std::{
    fs::OpenOptions,
    io,
    ops::Deref,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, config::DbConfig};

use crate::fault::{self, Side};

pub(crate) use self::{
    backup::{Dump, Unrestored},
    bounds::Dropped,
    calls::{CallKey, CallState},
    claims::{Claim, Claimable, Fence, Settlement},
    counts::CountKey,
    idempotency::{Key, NewOutcome, OutcomeState},
    inbox::REMEMBERED,
    outbox::{Claimed, Enqueued, MAX_PAUSE, NewOutgoing, Settled, To},
    parts::Kept,
    routes::Way,
};
pub use self::{
    bounds::InboxLimits,
    cards::HeldCard,
    contacts::{Contact, Holder, Learned, NewContact, NewKeys},
    inbox::{Entry, EntryState, Mark, SeenBefore, Stored},
    integrity::Integrity,
    outbox::{OutboxEntry, OutboxState},
    receipts::HeldReceipt,
};

/// How long one process waits for another one's write.
const BUSY: Duration = Duration::from_secs(10);

/// SQLite's cache, in KiB and so negative: enough for the inner pages of the indexes of 100,000 contacts.
const CACHE: i64 = -8192;
/// Pages of the write-ahead log after which SQLite moves them into the file: 16 MiB. Most of what a message
/// writes is written again by the next ones, so that more of them together move less.
const CHECKPOINT: i64 = 4096;
/// Statements that stay compiled; more than this crate has.
const STATEMENTS: usize = 256;

/// An open store.
pub struct Store {
    db: Connection,
    path: PathBuf,
    /// Row of the relay that is worked with; 0, which no row has, for none.
    relay: i64,
    limits: InboxLimits,
    /// What was dropped for being too much, and nobody was told of.
    dropped: Vec<Dropped>,
    /// Whose envelopes in parts were given up before they were whole, and nobody was told of.
    unfinished: Vec<Option<[u8; 32]>>,
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
        /// What the user can do about it.
        hint: Option<&'static str>,
    },
    /// The file was written by a newer ctalk, before it was opened or since.
    #[error("the store {path} has version {found}, this ctalk reads up to {known}")]
    Newer {
        /// The store's file.
        path: String,
        /// Version of the file.
        found: i64,
        /// Newest version that is known.
        known: i64,
    },
    /// Another process, or another part of this one, has a pairing code open.
    #[error("a pairing is under way for this profile already")]
    AlreadyPairing,
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
        let mut db = connect(path)?;
        schema::migrate(&mut db, &path.display().to_string())?;
        let mut store = Self {
            db,
            path: path.to_owned(),
            relay: 0,
            limits: InboxLimits::default(),
            dropped: Vec::new(),
            unfinished: Vec::new(),
        };
        if let Some(url) = relay_url {
            store.relay = store.relay_row(url)?;
        }
        Ok(store)
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> PathBuf {
        self.path.clone()
    }

    /// A number that changes whenever another connection has written.
    pub(crate) fn version(&self) -> Result<i64, StoreError> {
        self.read(|db| {
            db.prepare_cached("PRAGMA data_version")?
                .query_row([], |row| row.get(0))
        })
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
        self.write("relay-row", |transaction| {
            transaction.execute("INSERT OR IGNORE INTO relays (url) VALUES (?1)", [url])?;
            transaction.query_row("SELECT id FROM relays WHERE url = ?1", [url], |row| {
                row.get(0)
            })
        })
    }

    /// Runs `work` in one transaction, which is durable when this returns, or with its batch. `what`
    /// names it for tests of crashes.
    #[expect(
        clippy::needless_pass_by_ref_mut,
        reason = "whoever reads holds a shared reference and sees no change meanwhile"
    )]
    fn write<T>(
        &mut self,
        what: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        if !self.db.is_autocommit() {
            let outcome = run(&self.db, "SAVEPOINT part").and_then(|()| {
                let value = work(&Transaction(&self.db));
                if value.is_err() {
                    run(&self.db, "ROLLBACK TO part")?;
                }
                run(&self.db, "RELEASE part")?;
                value
            });
            return outcome.map_err(|error| self.failed(&error));
        }
        self.begin()?;
        match work(&Transaction(&self.db)) {
            Ok(value) => {
                self.commit_batch(what)?;
                Ok(value)
            }
            Err(error) => {
                self.roll_back();
                Err(self.failed(&error))
            }
        }
    }

    /// Runs `work`, whose writes become durable together when this returns, or none of them if it
    /// fails. Reads in it see what it wrote.
    pub(crate) fn batch<T, E: From<StoreError>>(
        &mut self,
        what: &'static str,
        work: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        self.begin()?;
        match work(self) {
            Ok(value) => {
                self.commit_batch(what)?;
                Ok(value)
            }
            Err(error) => {
                self.roll_back();
                Err(error)
            }
        }
    }

    /// Begins a batch. Whoever does so ends it with one of the next two.
    pub(crate) fn begin(&self) -> Result<(), StoreError> {
        self.read(|db| run(db, "BEGIN IMMEDIATE"))?;
        // A newer ctalk may have taken the file over since it was opened.
        schema::refuse_newer(&self.db, &self.path).inspect_err(|_| self.roll_back())
    }

    /// Makes a batch durable, or undoes it if that fails.
    pub(crate) fn commit_batch(&self, what: &'static str) -> Result<(), StoreError> {
        fault::point(what, Side::Before);
        let committed = self.read(|db| run(db, "COMMIT"));
        match committed {
            Ok(()) => fault::point(what, Side::After),
            Err(_) => self.roll_back(),
        }
        committed
    }

    /// Undoes a batch.
    pub(crate) fn roll_back(&self) {
        if !self.db.is_autocommit() {
            // If even this fails, so does everything that follows.
            let _ = run(&self.db, "ROLLBACK");
        }
    }

    fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        work(&self.db).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &rusqlite::Error) -> StoreError {
        StoreError::sqlite(&self.path.display().to_string(), error)
    }
}

/// Runs a statement that says nothing, and which is needed again.
fn run(db: &Connection, statement: &str) -> rusqlite::Result<()> {
    db.prepare_cached(statement)?.execute([]).map(|_| ())
}

/// What was written within it becomes durable together.
struct Transaction<'a>(&'a Connection);

impl Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.0
    }
}

impl StoreError {
    fn sqlite(path: &str, error: &rusqlite::Error) -> Self {
        let hint = match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Some("make room on the disk; nothing was lost"),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Some("another ctalk is writing to it; try again")
            }
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                Some("check that you may write to the file and its folder")
            }
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Some("the file is damaged: restore it from a backup, or move it away to start anew")
            }
            _ => None,
        };
        Self::Failed {
            path: path.to_owned(),
            why: error.to_string(),
            hint,
        }
    }

    pub(crate) fn io(path: &Path, error: &io::Error) -> Self {
        Self::Failed {
            path: path.display().to_string(),
            why: error.to_string(),
            hint: None,
        }
    }
}

/// Switches to WAL, if the file is new. That takes the whole file for a moment, and SQLite does not
/// wait by itself for another process that does the same.
fn use_wal(db: &Connection) -> rusqlite::Result<()> {
    let until = Instant::now() + BUSY;
    loop {
        match db.pragma_update(None, "journal_mode", "WAL") {
            Err(error) if is_busy(&error) && Instant::now() < until => {
                thread::sleep(Duration::from_millis(5));
            }
            outcome => return outcome,
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

/// Opens the file at `path`, or makes it, without any tables.
fn connect(path: &Path) -> Result<Connection, StoreError> {
    let shown = path.display().to_string();
    let failed = |error: rusqlite::Error| StoreError::sqlite(&shown, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    create_private(path).map_err(|error| StoreError::io(path, &error))?;
    let db = Connection::open_with_flags(path, flags).map_err(failed)?;
    db.busy_timeout(BUSY).map_err(failed)?;
    // Before anything in it is changed.
    schema::refuse_newer(&db, path)?;
    use_wal(&db).map_err(failed)?;
    db.pragma_update(None, "synchronous", "FULL")
        .map_err(failed)?;
    db.pragma_update(None, "foreign_keys", true)
        .map_err(failed)?;
    db.pragma_update(None, "cache_size", CACHE)
        .map_err(failed)?;
    db.pragma_update(None, "wal_autocheckpoint", CHECKPOINT)
        .map_err(failed)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    // Else SQLite compiles each statement anew whenever it is given other values.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
        .map_err(failed)?;
    Ok(db)
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

#[cfg(test)]
mod tests {
    use super::{Store, StoreError};

    const COUNT: &str = "SELECT count(*) FROM relays";

    fn add(store: &mut Store, url: &str) -> Result<(), StoreError> {
        store.relay_row(url).map(|_| ())
    }

    #[test]
    fn a_batch_is_written_as_a_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.sqlite");
        let mut store = Store::open(&path, None).unwrap();
        let other = Store::open(&path, None).unwrap();
        let seen = |store: &Store| -> i64 {
            let counted = store.read(|db| db.query_row(COUNT, [], |row| row.get(0)));
            counted.unwrap()
        };
        let written = store.batch("test", |store| {
            add(store, "a")?;
            add(store, "b")?;
            assert_eq!((seen(store), seen(&other)), (2, 0));
            Ok::<_, StoreError>(())
        });
        written.unwrap();
        assert_eq!(seen(&other), 2);

        let failed = store.batch("test", |store| {
            add(store, "c")?;
            Err::<(), _>(StoreError::AlreadyPairing)
        });
        assert!(matches!(failed, Err(StoreError::AlreadyPairing)));
        assert_eq!(seen(&store), 2);
        // And what is written after it lasts.
        add(&mut store, "d").unwrap();
        assert_eq!(seen(&other), 3);
    }
}
