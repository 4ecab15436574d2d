//! The audit log: what agents and the relay itself say about messages that were sent or received.
//!
//! The log is bounded. When it would grow beyond its bounds the oldest entries go.

use ctalk_wire::AuditEntry;
use rusqlite::{Connection, OptionalExtension, ToSql, params};

use super::writer::Changes;
use super::{Store, StoreError};
use crate::clock::{iso, parse_iso};

/// How long an entry is kept, in milliseconds: 30 days.
const LIFE_MS: i64 = 30 * 86_400_000;
/// Entries deleted in one go, so that sends need not wait long.
const SWEEP: usize = 500;
/// About how many bytes of entries are read at a time.
const PART: usize = 1 << 20;
/// The most that the log holds.
const BOUNDS: Bounds = Bounds {
    entries: 100_000,
    bytes: 256 << 20,
};

#[derive(Clone, Copy)]
struct Bounds {
    entries: i64,
    bytes: i64,
}

/// Which entries to read, and how many.
#[derive(Clone, Debug, Default)]
pub(crate) struct AuditFilter {
    /// Only those logged later, in milliseconds since the epoch.
    pub(crate) after_ms: Option<i64>,
    /// Only those whose own time is later, in milliseconds since the epoch.
    pub(crate) since_ms: Option<i64>,
    pub(crate) from: Option<String>,
    pub(crate) to: Option<String>,
    pub(crate) topic: Option<String>,
    pub(crate) limit: u32,
}

/// An entry as it is listed.
#[derive(Debug)]
pub(crate) struct LoggedEntry {
    /// When it was logged, in milliseconds since the epoch.
    pub(crate) at_ms: i64,
    pub(crate) json: String,
}

impl Store {
    /// Logs `entry`, whose `logged_at` is set here, in place of the one that the same agent logged
    /// about the same end of the same message.
    pub(crate) async fn log_audit(&self, entry: AuditEntry) -> Result<(), StoreError> {
        let replace = move |changes: &mut Changes<'_>| {
            let former: Option<i64> = changes
                .connection
                .prepare_cached(
                    "SELECT logged FROM audit
                     WHERE message_id = ?1 AND ts = ?2 AND direction = ?3 AND logged_by = ?4",
                )?
                .query_row(
                    params![
                        entry.message_id,
                        entry.ts,
                        entry.direction.as_str(),
                        entry.logged_by
                    ],
                    |row| row.get(0),
                )
                .optional()?;
            log(changes, entry)?;
            if let Some(former) = former {
                changes
                    .connection
                    .prepare_cached("DELETE FROM audit WHERE logged = ?1")?
                    .execute([former])?;
            }
            Ok(())
        };
        self.writer.change(replace).await
    }

    /// Entries in the order in which they were logged: as many as the filter allows, or fewer when
    /// they are large.
    pub(crate) async fn list_audit(
        &self,
        filter: AuditFilter,
    ) -> Result<Vec<LoggedEntry>, StoreError> {
        let expired = self.clock.now_ms().saturating_sub(LIFE_MS);
        self.readers
            .read(move |connection| read(connection, &filter, expired))
            .await
    }

    /// Deletes the entries whose own time is before `before_ms`, and tells how many there were.
    pub(crate) async fn delete_audit(&self, before_ms: i64) -> Result<usize, StoreError> {
        const OLD: &str = "ts_ms < ?1";
        let mut deleted = 0;
        loop {
            let swept = self.sweep_audit(OLD, before_ms).await?;
            deleted += swept;
            if swept < SWEEP {
                return Ok(deleted);
            }
        }
    }

    /// Deletes some entries that are kept no longer; `true` when there may be more.
    pub(super) async fn delete_expired_audit(&self) -> Result<bool, StoreError> {
        let expired = self.clock.now_ms().saturating_sub(LIFE_MS);
        let swept = self.sweep_audit("logged <= ?1", expired).await?;
        Ok(swept >= SWEEP)
    }

    async fn sweep_audit(&self, which: &'static str, than: i64) -> Result<usize, StoreError> {
        let sweep = move |changes: &mut Changes<'_>| {
            changes
                .connection
                .prepare_cached(&format!(
                    "DELETE FROM audit WHERE logged IN
                     (SELECT logged FROM audit WHERE {which} LIMIT {SWEEP})"
                ))?
                .execute([than])
        };
        self.writer.change(sweep).await
    }
}

/// Logs `entry`, whose `logged_at` is set here, beside all others.
pub(super) fn log(changes: &Changes<'_>, mut entry: AuditEntry) -> rusqlite::Result<()> {
    let connection = changes.connection;
    let newest: Option<i64> = connection
        .prepare_cached("SELECT max(logged) FROM audit")?
        .query_row([], |row| row.get(0))?;
    // Rises with every entry, so that a page goes on where the one before it ended.
    let logged = newest.map_or(changes.now_ms, |newest| {
        changes.now_ms.max(newest.saturating_add(1))
    });
    entry.logged_at = iso(logged);
    let json = serde_json::to_string(&entry)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    connection
        .prepare_cached(
            "INSERT INTO audit
                (logged, ts_ms, size, message_id, ts, direction, logged_by, sender, recipient,
                 topic, entry)
             VALUES (?1, ?2, octet_length(?10), ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            logged,
            parse_iso(&entry.ts),
            entry.message_id,
            entry.ts,
            entry.direction.as_str(),
            entry.logged_by,
            entry.from,
            entry.to,
            entry.topic,
            json,
        ])?;
    trim(connection, BOUNDS)
}

/// Deletes the oldest entries until the log is within its bounds.
fn trim(connection: &Connection, bounds: Bounds) -> rusqlite::Result<()> {
    loop {
        let deleted = connection
            .prepare_cached(
                "DELETE FROM audit WHERE logged = (SELECT min(logged) FROM audit)
                 AND EXISTS (SELECT 1 FROM audit_size WHERE entries > ?1 OR bytes > ?2)",
            )?
            .execute([bounds.entries, bounds.bytes])?;
        if deleted == 0 {
            return Ok(());
        }
    }
}

fn read(
    connection: &Connection,
    filter: &AuditFilter,
    expired: i64,
) -> rusqlite::Result<Vec<LoggedEntry>> {
    let after = filter.after_ms.unwrap_or(i64::MIN).max(expired);
    let mut sql = "SELECT logged, entry FROM audit WHERE logged > ?1".to_owned();
    let mut values: Vec<&dyn ToSql> = vec![&after];
    let texts = [
        ("sender", &filter.from),
        ("recipient", &filter.to),
        ("topic", &filter.topic),
    ];
    let mut narrow = |column: &str, sign: &str, value| {
        values.push(value);
        sql += &format!(" AND {column} {sign} ?{}", values.len());
    };
    if let Some(since) = &filter.since_ms {
        narrow("ts_ms", ">", since);
    }
    for (column, text) in texts {
        if let Some(text) = text {
            narrow(column, "=", text);
        }
    }
    sql += &format!(" ORDER BY logged LIMIT {}", filter.limit);
    let mut select = connection.prepare(&sql)?;
    let mut rows = select.query(values.as_slice())?;
    let (mut entries, mut bytes) = (Vec::new(), 0);
    while bytes < PART
        && let Some(row) = rows.next()?
    {
        let (at_ms, json): (_, String) = (row.get(0)?, row.get(1)?);
        bytes += json.len();
        entries.push(LoggedEntry { at_ms, json });
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema::open_writer;

    #[test]
    fn the_oldest_entries_go_when_there_are_too_many_or_too_large_ones() {
        let folder = tempfile::tempdir().unwrap();
        let connection = open_writer(&folder.path().join("relay.db")).unwrap();
        for logged in 1..=6 {
            connection
                .execute(
                    "INSERT INTO audit (logged, size, message_id, ts, direction, logged_by, sender,
                        recipient, entry)
                     VALUES (?1, ?1 * 100, ?1, '', 'sent', '', '', '', '')",
                    [logged],
                )
                .unwrap();
        }
        let kept_within = |entries, bytes| -> Vec<i64> {
            trim(&connection, Bounds { entries, bytes }).unwrap();
            let mut select = connection
                .prepare("SELECT logged FROM audit ORDER BY 1")
                .unwrap();
            let kept = select.query_map([], |row| row.get(0)).unwrap();
            kept.collect::<rusqlite::Result<_>>().unwrap()
        };
        assert_eq!(kept_within(6, 2100), [1, 2, 3, 4, 5, 6]);
        assert_eq!(kept_within(5, 2100), [2, 3, 4, 5, 6]);
        assert_eq!(kept_within(5, 1500), [4, 5, 6]);
        assert_eq!(kept_within(5, 100), [0; 0]);
    }
}
