//! Copies of the database while it is in use.

use std::fs::File;
use std::io;
use std::path::Path;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags};

use super::totals::{Totals, totals};
use super::{DATABASE, schema};
use crate::Error;

/// A backup that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backup {
    /// The registered agents in it.
    pub agents: u64,
    /// The messages in it, one for each inbox that holds it.
    pub messages: u64,
    /// The size of its file.
    pub bytes: u64,
}

/// Copies the database of the relay with the data folder `folder` to the new file `target`, also
/// while that relay runs: all that was committed before, and nothing half. The file can be read by its
/// owner only, appears whole, checked and on disk, or not at all, and is a relay's `relay.db`. Blocks.
///
/// The relay goes on meanwhile; its write-ahead log grows until the copy is made.
///
/// # Errors
/// [`Error::NoDatabase`] when `folder` holds none; [`Error::NewerDatabase`] when a newer version wrote it;
/// [`Error::Database`] when it cannot be read; [`Error::Damaged`] when the copy does not pass SQLite's
/// check; [`Error::BackupTarget`] when `target` exists or cannot be written.
pub fn back_up(folder: &Path, target: &Path) -> Result<Backup, Error> {
    let path = folder.join(DATABASE);
    let source = open(&path)?;
    let at_target = |source| Error::BackupTarget {
        path: target.to_owned(),
        source,
    };
    if target.try_exists().map_err(at_target)? {
        return Err(at_target(io::ErrorKind::AlreadyExists.into()));
    }
    let parent = target.parent().filter(|parent| *parent != Path::new(""));
    let parent = parent.unwrap_or_else(|| Path::new("."));
    // Private from the beginning; goes away with whatever goes wrong.
    let file = tempfile::Builder::new()
        .prefix(".relay-backup-")
        .tempfile_in(parent)
        .map_err(at_target)?;
    let at = |source| Error::Database {
        path: path.clone(),
        source,
    };
    // What was made before files could shrink can from its backup on.
    source
        .execute_batch("PRAGMA auto_vacuum = INCREMENTAL")
        .map_err(at)?;
    source
        .execute("VACUUM INTO ?1", [FileName(file.path())])
        .map_err(at)?;
    let copied = check(file.path(), &path)?;
    file.as_file().sync_all().map_err(at_target)?;
    let bytes = file.as_file().metadata().map_err(at_target)?.len();
    file.persist_noclobber(target)
        .map_err(|error| at_target(error.error))?;
    File::open(parent)
        .and_then(|folder| folder.sync_all())
        .map_err(at_target)?;
    let count = |number| u64::try_from(number).unwrap_or_default();
    Ok(Backup {
        agents: count(copied.agents),
        messages: count(copied.messages),
        bytes,
    })
}

/// Opens a relay's database of any format up to the present one, and leaves that as it is.
fn open(path: &Path) -> Result<Connection, Error> {
    let none = || Error::NoDatabase {
        path: path.to_owned(),
    };
    if !path.is_file() {
        return Err(none());
    }
    let at = |source| Error::Database {
        path: path.to_owned(),
        source,
    };
    // Readers of a write-ahead log share memory that they write to.
    let connection = schema::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(at)?;
    match schema::format(&connection, path)? {
        0 => Err(none()),
        _ => Ok(connection),
    }
}

/// Has SQLite check the whole copy of `original`, and counts what is in it.
fn check(copy: &Path, original: &Path) -> Result<Totals, Error> {
    let at = |source| Error::Database {
        path: copy.to_owned(),
        source,
    };
    // Of a database that is opened for reading only, SQLite does not check the constraints.
    let connection = schema::connect(copy, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(at)?;
    let ask = |sql| connection.query_row(sql, [], |row| row.get(0));
    let found: String = ask("PRAGMA integrity_check(1)").map_err(at)?;
    if found != "ok" {
        return Err(Error::Damaged {
            path: original.to_owned(),
            found,
        });
    }
    totals(&connection).map_err(at)
}

/// A file's name as SQLite takes it.
struct FileName<'p>(&'p Path);

impl rusqlite::ToSql for FileName<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let bytes = self.0.as_os_str().as_encoded_bytes();
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backup_of_a_file_that_cannot_shrink_can() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(DATABASE);
        let shrinks = |path: &Path| -> i64 {
            let connection = Connection::open(path).unwrap();
            let ask = connection.query_row("PRAGMA auto_vacuum", [], |row| row.get(0));
            ask.unwrap()
        };
        let made_before = Connection::open(&path).unwrap();
        made_before
            .execute_batch("PRAGMA journal_mode = WAL")
            .unwrap();
        drop(made_before);
        drop(schema::open_writer(&path).unwrap());
        assert_eq!(shrinks(&path), 0);
        let target = folder.path().join("backup.db");
        back_up(folder.path(), &target).unwrap();
        assert_eq!(shrinks(&target), 2);
    }
}
