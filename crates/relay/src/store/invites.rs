//! Invites: codes with which agents register themselves.

use rusqlite::{Connection, OptionalExtension, params};

use super::writer::Changes;
use super::{Store, StoreError};

/// An invite to store. Times are in milliseconds since the epoch.
pub(crate) struct NewInvite {
    pub(crate) code: String,
    pub(crate) label: Option<String>,
    pub(crate) max_uses: Option<i64>,
    pub(crate) expires_ms: Option<i64>,
}

/// A stored invite.
pub(crate) struct InviteRow {
    pub(crate) code: String,
    pub(crate) label: Option<String>,
    pub(crate) max_uses: Option<i64>,
    pub(crate) expires_ms: Option<i64>,
    pub(crate) created_ms: i64,
    pub(crate) uses: i64,
}

/// Why an invite admits nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InviteRefusal {
    Expired,
    Unknown,
    UsedUp,
}

impl Store {
    /// Stores an invite.
    pub(crate) async fn add_invite(&self, invite: NewInvite) -> Result<(), StoreError> {
        let insert = move |changes: &mut Changes<'_>| {
            changes
                .connection
                .prepare_cached(
                    "INSERT INTO invites (code, label, max_uses, expires, created)
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![
                    invite.code,
                    invite.label,
                    invite.max_uses,
                    invite.expires_ms,
                    changes.now_ms
                ])?;
            Ok(())
        };
        self.writer.change(insert).await
    }

    /// Every invite, oldest first.
    pub(crate) async fn list_invites(&self) -> Result<Vec<InviteRow>, StoreError> {
        let list = |connection: &Connection| {
            connection
                .prepare_cached(
                    "SELECT code, label, max_uses, expires, created, uses FROM invites ORDER BY id",
                )?
                .query_map([], |row| {
                    Ok(InviteRow {
                        code: row.get(0)?,
                        label: row.get(1)?,
                        max_uses: row.get(2)?,
                        expires_ms: row.get(3)?,
                        created_ms: row.get(4)?,
                        uses: row.get(5)?,
                    })
                })?
                .collect()
        };
        self.readers.read(list).await
    }

    /// Deletes an invite; `false` when there is none of this code.
    pub(crate) async fn delete_invite(&self, code: String) -> Result<bool, StoreError> {
        let delete = move |changes: &mut Changes<'_>| {
            let deleted = changes
                .connection
                .prepare_cached("DELETE FROM invites WHERE code = ?1")?
                .execute([code])?;
            Ok(deleted > 0)
        };
        self.writer.change(delete).await
    }
}

/// Whether the invite `code` still admits somebody at `now_ms`.
pub(super) fn check(
    connection: &Connection,
    code: &str,
    now_ms: i64,
) -> rusqlite::Result<Result<(), InviteRefusal>> {
    type Row = (Option<i64>, Option<i64>, i64);
    let row: Option<Row> = connection
        .prepare_cached("SELECT expires, max_uses, uses FROM invites WHERE code = ?1")?
        .query_row([code], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    Ok(match row {
        None => Err(InviteRefusal::Unknown),
        Some((Some(expires), _, _)) if expires <= now_ms => Err(InviteRefusal::Expired),
        Some((_, Some(max_uses), uses)) if uses >= max_uses => Err(InviteRefusal::UsedUp),
        Some(_) => Ok(()),
    })
}

/// Counts one registration with the invite `code`.
pub(super) fn count_use(connection: &Connection, code: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE invites SET uses = uses + 1 WHERE code = ?1")?
        .execute([code])?;
    Ok(())
}
