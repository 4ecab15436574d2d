//! What can keep a relay from starting, running or being backed up.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why a relay did not start, stopped, or was not backed up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file of a backup exists or cannot be written.
    #[error("cannot write the backup {path}: {source}; name a file that does not exist yet")]
    BackupTarget {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; choose another address or port")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// The database cannot be opened, read or brought up to date.
    #[error("cannot use the database {path}: {source}")]
    Database {
        /// The database file.
        path: PathBuf,
        /// SQLite's reason.
        source: rusqlite::Error,
    },
    /// A file of the certificate or its key cannot be used.
    #[error(
        "cannot use {path} for TLS: {reason}; name a certificate and its private key, both in PEM"
    )]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The copy of a database did not pass SQLite's check, and was not kept.
    #[error("the database {path} is damaged: {found}; restore an earlier backup")]
    Damaged {
        /// The database file.
        path: PathBuf,
        /// What SQLite found first.
        found: String,
    },
    /// The data folder or a file in it cannot be made or opened.
    #[error("cannot use {path}: {source}; check that it exists and is yours to write")]
    DataFolder {
        /// The folder or file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Another relay works on the same data folder.
    #[error("{path} is in use by another relay; stop it or choose another data folder")]
    InUse {
        /// The lock file.
        path: PathBuf,
    },
    /// The database cannot have the write-ahead log that this crate relies on.
    #[error(
        "the database {path} cannot have a write-ahead log (its journal mode stays {mode}); \
         keep the data folder on a local disk"
    )]
    JournalMode {
        /// The database file.
        path: PathBuf,
        /// The journal mode that SQLite reports.
        mode: String,
    },
    /// The database was written by a newer version of this program.
    #[error(
        "the database {path} has format {found}, newer than the {known} this version knows; \
         use the newer version that wrote it"
    )]
    NewerDatabase {
        /// The database file.
        path: PathBuf,
        /// The format it has.
        found: i64,
        /// The newest format this version knows.
        known: i64,
    },
    /// There is no relay's database to back up.
    #[error("{path} is no relay's database; name the data folder of a relay")]
    NoDatabase {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The system refused a thread.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    /// The thread that writes to the database broke down; nothing it had not committed was
    /// acknowledged.
    #[error("the thread that writes to the database broke down; start the relay again")]
    Writer,
}
