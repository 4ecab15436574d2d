//! The database file: how it is opened and how its format moves forward.

use std::io;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use tracing::info;

use crate::Error;
use crate::config::private_file;

/// One step per format, applied in order. A step that was released is never changed.
const MIGRATIONS: &[&str] = &[
    // 1: agents, messages, invites.
    //
    // An envelope is stored in two parts: the head, shared by all recipients, and the tail, which
    // names one of them. Both are JSON text; one after the other they are the envelope.
    "CREATE TABLE agents (
        id          INTEGER PRIMARY KEY AUTOINCREMENT, -- registration order, never used again
        name        TEXT NOT NULL,
        folded      TEXT NOT NULL UNIQUE,              -- the name in lower case
        owner       TEXT NOT NULL,
        public_key  TEXT NOT NULL,                     -- base64, or empty
        signing_key TEXT NOT NULL,                     -- base64, or empty
        capabilities TEXT,                             -- JSON array of strings
        webhook_url TEXT,
        key_hash    BLOB NOT NULL UNIQUE,              -- SHA-256 of the API key
        created     INTEGER NOT NULL                   -- this and all times: ms since the epoch
    ) STRICT;
    -- What changes with every message and poll, apart from the wide rows above.
    CREATE TABLE activity (
        agent     INTEGER PRIMARY KEY REFERENCES agents(id) ON DELETE CASCADE,
        last_seen INTEGER NOT NULL,
        newest_ts INTEGER NOT NULL                     -- newest ts ever given in this inbox
    ) STRICT;
    CREATE TABLE messages (
        seq     INTEGER PRIMARY KEY,
        id      TEXT NOT NULL,
        sender  INTEGER NOT NULL,
        ts      INTEGER NOT NULL,
        expires INTEGER NOT NULL,
        topic   TEXT,                                  -- null when absent or empty
        head    TEXT NOT NULL
    ) STRICT;
    CREATE INDEX messages_by_id ON messages (id);
    CREATE INDEX messages_by_ts ON messages (ts);
    CREATE INDEX messages_by_expiry ON messages (expires);
    CREATE INDEX messages_by_sender_topic ON messages (sender, topic) WHERE topic IS NOT NULL;
    CREATE TABLE copies (
        inbox   INTEGER NOT NULL REFERENCES agents(id) ON DELETE CASCADE,
        ts      INTEGER NOT NULL,
        message INTEGER NOT NULL REFERENCES messages(seq) ON DELETE CASCADE,
        topic   TEXT,
        tail    TEXT NOT NULL,
        PRIMARY KEY (inbox, ts)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX copies_by_message ON copies (message);
    CREATE INDEX copies_by_topic ON copies (inbox, topic, ts) WHERE topic IS NOT NULL;
    CREATE TABLE invites (
        id       INTEGER PRIMARY KEY,
        code     TEXT NOT NULL UNIQUE,
        label    TEXT,
        max_uses INTEGER,
        expires  INTEGER,
        created  INTEGER NOT NULL,
        uses     INTEGER NOT NULL DEFAULT 0
    ) STRICT;",
    // 2: deleted agents. Their row stays, without what it said of them, while their inbox is emptied.
    "ALTER TABLE agents ADD COLUMN gone INTEGER NOT NULL DEFAULT 0; -- 1 when deleted
    CREATE INDEX agents_gone ON agents (id) WHERE gone = 1;
    -- Names that had an owner once: no invite gives them to anybody else.
    CREATE TABLE retired_names (
        folded TEXT NOT NULL PRIMARY KEY
    ) STRICT, WITHOUT ROWID;",
    // 3: what each inbox holds, counted as it changes, and how much it may hold.
    "ALTER TABLE copies ADD COLUMN size INTEGER NOT NULL DEFAULT 0; -- bytes of the envelope
    ALTER TABLE activity ADD COLUMN messages INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE activity ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE activity ADD COLUMN max_messages INTEGER;           -- null: the relay's default
    ALTER TABLE activity ADD COLUMN max_bytes INTEGER;              -- null: the relay's default
    UPDATE copies SET size = octet_length(tail)
        + (SELECT octet_length(head) FROM messages WHERE seq = message);
    UPDATE activity SET
        messages = (SELECT count(*) FROM copies WHERE inbox = agent),
        bytes = (SELECT total(size) FROM copies WHERE inbox = agent);
    CREATE TRIGGER copies_come AFTER INSERT ON copies BEGIN
        UPDATE activity SET messages = messages + 1, bytes = bytes + new.size
        WHERE agent = new.inbox;
    END;
    CREATE TRIGGER copies_go AFTER DELETE ON copies BEGIN
        UPDATE activity SET messages = messages - 1, bytes = bytes - old.size
        WHERE agent = old.inbox;
    END;",
    // 4: the audit log and what it holds in all. The entry, which may be long, comes last, so that
    // looking for one reads none.
    "CREATE TABLE audit (
        logged     INTEGER PRIMARY KEY,                -- when it was logged, rising
        ts_ms      INTEGER,                            -- ts in ms, null when it is no time
        size       INTEGER NOT NULL,                   -- bytes of the entry
        message_id TEXT NOT NULL,
        ts         TEXT NOT NULL,                      -- as it was posted
        direction  TEXT NOT NULL,
        logged_by  TEXT NOT NULL,                      -- an agent, or _system
        sender     TEXT NOT NULL,
        recipient  TEXT NOT NULL,
        topic      TEXT,
        entry      TEXT NOT NULL                       -- as it is listed
    ) STRICT;
    CREATE INDEX audit_by_message ON audit (message_id, ts, direction, logged_by);
    CREATE INDEX audit_by_ts ON audit (ts_ms);
    CREATE TABLE audit_size (
        entries INTEGER NOT NULL,
        bytes   INTEGER NOT NULL
    ) STRICT;
    INSERT INTO audit_size (entries, bytes) VALUES (0, 0);
    CREATE TRIGGER audit_comes AFTER INSERT ON audit BEGIN
        UPDATE audit_size SET entries = entries + 1, bytes = bytes + new.size;
    END;
    CREATE TRIGGER audit_goes AFTER DELETE ON audit BEGIN
        UPDATE audit_size SET entries = entries - 1, bytes = bytes - old.size;
    END;",
    // 5: finding invites that expired long ago.
    "CREATE INDEX invites_by_expiry ON invites (expires) WHERE expires IS NOT NULL;",
    // 6: webhooks. Secrets that were made here are known to nobody; their agents ask for others.
    "CREATE TABLE webhooks (
        agent          INTEGER PRIMARY KEY REFERENCES agents(id) ON DELETE CASCADE,
        url            TEXT NOT NULL,
        secret         BLOB NOT NULL,              -- what HMAC takes
        queued         INTEGER NOT NULL DEFAULT 0, -- counted by triggers
        delivered      INTEGER NOT NULL DEFAULT 0,
        failed         INTEGER NOT NULL DEFAULT 0, -- given up
        skipped        INTEGER NOT NULL DEFAULT 0, -- not queued
        last_delivered INTEGER,
        last_failure   INTEGER,
        failure        TEXT,                       -- the reason of the last one
        status         INTEGER                     -- of the answer, when there was one
    ) STRICT;
    INSERT INTO webhooks (agent, url, secret)
    SELECT id, webhook_url, randomblob(32) FROM agents WHERE webhook_url IS NOT NULL;
    ALTER TABLE agents DROP COLUMN webhook_url;
    -- Copies that are still to be posted.
    CREATE TABLE deliveries (
        agent    INTEGER NOT NULL REFERENCES webhooks(agent) ON DELETE CASCADE,
        ts       INTEGER NOT NULL,
        came     INTEGER NOT NULL,
        due      INTEGER NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (agent, ts),
        FOREIGN KEY (agent, ts) REFERENCES copies (inbox, ts) ON DELETE CASCADE
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX deliveries_by_due ON deliveries (agent, due, ts);
    CREATE TRIGGER deliveries_come AFTER INSERT ON deliveries BEGIN
        UPDATE webhooks SET queued = queued + 1 WHERE agent = new.agent;
    END;
    CREATE TRIGGER deliveries_go AFTER DELETE ON deliveries BEGIN
        UPDATE webhooks SET queued = queued - 1 WHERE agent = old.agent;
    END;",
];

/// Statements one connection keeps compiled; more than this crate has.
const STATEMENT_CACHE: usize = 96;

/// Opens `path` for writing, made with mode 0600 when missing, and brings its format up to date.
pub(super) fn open_writer(path: &Path) -> Result<Connection, Error> {
    match private_file().write(true).create_new(true).open(path) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(source) => {
            return Err(Error::DataFolder {
                path: path.to_owned(),
                source,
            });
        }
    }
    let at = |source| Error::Database {
        path: path.to_owned(),
        source,
    };
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(at)?;
    // Of a new file, unused pages can be given back. FULL makes every commit wait for the disk; the WAL is folded back after about 16 MiB; what is
    // temporary needs no file handle.
    connection
        .execute_batch(
            "PRAGMA auto_vacuum = INCREMENTAL;
             PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA temp_store = MEMORY;
             PRAGMA foreign_keys = ON;
             PRAGMA wal_autocheckpoint = 4000;
             PRAGMA journal_size_limit = 67108864;
             PRAGMA cache_size = -16384;",
        )
        .map_err(at)?;
    // Some file systems cannot have a write-ahead log; SQLite then keeps the old mode and says so.
    let mode: String = connection
        .query_row("PRAGMA journal_mode", [], |row| row.get(0))
        .map_err(at)?;
    if mode != "wal" {
        return Err(Error::JournalMode {
            path: path.to_owned(),
            mode,
        });
    }
    migrate(&mut connection, path)?;
    Ok(connection)
}

/// Opens `path` for reading only, with all the files that reading takes.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    // Readers of a write-ahead log share memory that they write to.
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.execute_batch(
        "PRAGMA query_only = ON;
         PRAGMA cache_size = -4096;
         PRAGMA mmap_size = 268435456;
         PRAGMA temp_store = MEMORY;",
    )?;
    // The first read opens the write-ahead log.
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(connection)
}

pub(super) fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
    // Else SQLite compiles each statement anew whenever it is given other values.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

/// The format of a database, 0 of one that is empty or somebody else's. A newer one is refused.
pub(super) fn format(connection: &Connection, path: &Path) -> Result<i64, Error> {
    let found: i64 = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(|source| Error::Database {
            path: path.to_owned(),
            source,
        })?;
    if found > newest_format() {
        return Err(Error::NewerDatabase {
            path: path.to_owned(),
            found,
            known: newest_format(),
        });
    }
    Ok(found)
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), Error> {
    let at = |source| Error::Database {
        path: path.to_owned(),
        source,
    };
    let found = format(connection, path)?;
    for (version, step) in (1..)
        .zip(MIGRATIONS)
        .filter(|(version, _)| *version > found)
    {
        let transaction = connection.transaction().map_err(at)?;
        transaction.execute_batch(step).map_err(at)?;
        transaction
            .pragma_update(None, "user_version", version)
            .map_err(at)?;
        transaction.commit().map_err(at)?;
    }
    if found < newest_format() {
        info!(format = newest_format(), "brought the database up to date");
    }
    Ok(())
}

fn newest_format() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// The steps in which SQLite does `sql`.
#[cfg(test)]
pub(super) fn plan(sql: &str, params: impl rusqlite::Params) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let connection = open_writer(&folder.path().join("relay.db")).unwrap();
    connection
        .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
        .unwrap()
        .query_map(params, |row| row.get(3))
        .unwrap()
        .collect::<rusqlite::Result<_>>()
        .unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_of_a_newer_version_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.db");
        let connection = open_writer(&path).unwrap();
        connection.pragma_update(None, "user_version", 999).unwrap();
        drop(connection);
        let refused = open_writer(&path);
        assert!(matches!(
            refused,
            Err(Error::NewerDatabase { found: 999, known, .. }) if known == MIGRATIONS.len() as i64
        ));
        let version: i64 = Connection::open(&path)
            .unwrap()
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .unwrap();
        assert_eq!(version, 999);
    }

    #[test]
    fn opening_twice_migrates_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.db");
        drop(open_writer(&path).unwrap());
        drop(open_writer(&path).unwrap());
    }

    #[test]
    fn inboxes_of_an_older_format_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.db");
        let old = Connection::open(&path).unwrap();
        for step in &MIGRATIONS[..2] {
            old.execute_batch(step).unwrap();
        }
        old.execute_batch(
            "PRAGMA user_version = 2;
             INSERT INTO agents (id, name, folded, owner, public_key, signing_key, key_hash, created)
             VALUES (1, 'a', 'a', '', '', '', x'01', 0), (2, 'b', 'b', '', '', '', x'02', 0);
             INSERT INTO activity (agent, last_seen, newest_ts) VALUES (1, 0, 2), (2, 0, 0);
             INSERT INTO messages (seq, id, sender, ts, expires, head)
             VALUES (1, '1', 2, 1, 1, 'h\u{e9}ad'), (2, '2', 2, 2, 1, 'head');
             INSERT INTO copies (inbox, ts, message, tail)
             VALUES (1, 1, 1, 'tail'), (1, 2, 2, 'tail');",
        )
        .unwrap();
        drop(old);
        let connection = open_writer(&path).unwrap();
        let usage = |agent: i64| -> (i64, i64) {
            let sql = "SELECT messages, bytes FROM activity WHERE agent = ?1";
            let row = connection.query_row(sql, [agent], |row| Ok((row.get(0)?, row.get(1)?)));
            row.unwrap()
        };
        assert_eq!((usage(1), usage(2)), ((2, 17), (0, 0)));
        connection
            .execute("DELETE FROM messages WHERE seq = 1", [])
            .unwrap();
        assert_eq!(usage(1), (1, 8));
    }

    #[test]
    fn webhooks_of_an_older_format_stay_and_get_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.db");
        let old = Connection::open(&path).unwrap();
        for step in &MIGRATIONS[..3] {
            old.execute_batch(step).unwrap();
        }
        old.execute_batch(
            "PRAGMA user_version = 3;
             INSERT INTO agents (id, name, folded, owner, public_key, signing_key, webhook_url,
                                 key_hash, created)
             VALUES (1, 'a', 'a', '', '', '', 'http://a/', x'01', 0),
                    (2, 'b', 'b', '', '', '', NULL, x'02', 0),
                    (3, 'c', 'c', '', '', '', 'http://c/', x'03', 0);",
        )
        .unwrap();
        drop(old);
        let connection = open_writer(&path).unwrap();
        let webhooks: Vec<(i64, String)> = connection
            .prepare(
                "SELECT agent, url FROM webhooks
                 WHERE length(secret) = 32 AND secret != zeroblob(32) ORDER BY agent",
            )
            .unwrap()
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .collect::<rusqlite::Result<_>>()
            .unwrap();
        let expected = [(1, "http://a/".to_owned()), (3, "http://c/".to_owned())];
        assert_eq!(webhooks, expected);
        let secrets = "SELECT count(DISTINCT secret) FROM webhooks";
        let secrets: i64 = connection.query_row(secrets, [], |row| row.get(0)).unwrap();
        assert_eq!(secrets, 2);
    }

    #[test]
    fn a_file_that_is_no_database_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.db");
        std::fs::write(&path, "junk".repeat(1000)).unwrap();
        assert!(matches!(open_writer(&path), Err(Error::Database { .. })));
    }

    #[test]
    fn commits_wait_for_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let connection = open_writer(&folder.path().join("relay.db")).unwrap();
        let pragma = |name: &str| -> String {
            connection
                .query_row(&format!("PRAGMA {name}"), [], |row| {
                    row.get_ref(0)?
                        .as_str()
                        .map(str::to_owned)
                        .or_else(|_| row.get::<_, i64>(0).map(|number| number.to_string()))
                })
                .unwrap()
        };
        assert_eq!(pragma("journal_mode"), "wal");
        assert_eq!(pragma("synchronous"), "2");
        assert_eq!(pragma("foreign_keys"), "1");
    }
}
