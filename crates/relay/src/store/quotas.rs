//! What inboxes hold and may hold. Triggers in the schema count the former.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::directory::{Agent, AgentId};
use super::writer::Changes;
use super::{Store, StoreError};
use crate::Quota;

/// What an inbox holds and may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    pub(crate) quota: Quota,
}

impl Usage {
    /// As it is shown: limits that are off are left out.
    pub(crate) fn shown(self) -> ctalk_wire::Usage {
        let limit = |limit| (limit != u64::MAX).then_some(limit);
        ctalk_wire::Usage {
            messages: self.messages,
            bytes: self.bytes,
            max_messages: limit(self.quota.messages),
            max_bytes: limit(self.quota.bytes),
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.messages >= self.quota.messages || self.bytes >= self.quota.bytes
    }
}

/// Changes to an inbox's quota: `None` leaves a limit as it is, `Some(None)` returns to the relay's
/// default.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct QuotaPatch {
    pub(crate) messages: Option<Option<u64>>,
    pub(crate) bytes: Option<Option<u64>>,
}

impl Store {
    /// What the inbox of `agent` holds and may hold; `None` when the agent was deleted.
    pub(crate) async fn usage(&self, agent: Arc<Agent>) -> Result<Option<Usage>, StoreError> {
        let default = self.quota;
        self.readers
            .read(move |connection| usage(connection, agent.id, default))
            .await
    }

    /// Changes how much the inbox of `agent` may hold; `None` when the agent was deleted.
    pub(crate) async fn set_quota(
        &self,
        agent: Arc<Agent>,
        patch: QuotaPatch,
    ) -> Result<Option<Usage>, StoreError> {
        let default = self.quota;
        let set = move |changes: &mut Changes<'_>| {
            let limit = |limit: Option<Option<u64>>| limit.flatten().map(to_column);
            changes
                .connection
                .prepare_cached(
                    "UPDATE activity SET
                        max_messages = iif(?2, ?3, max_messages),
                        max_bytes = iif(?4, ?5, max_bytes)
                     WHERE agent = ?1",
                )?
                .execute(params![
                    agent.id,
                    patch.messages.is_some(),
                    limit(patch.messages),
                    patch.bytes.is_some(),
                    limit(patch.bytes),
                ])?;
            usage(changes.connection, agent.id, default)
        };
        self.writer.change(set).await
    }
}

/// What the inbox of `agent` holds and may hold; `None` when the agent was deleted.
pub(super) fn usage(
    connection: &Connection,
    agent: AgentId,
    default: Quota,
) -> rusqlite::Result<Option<Usage>> {
    connection
        .prepare_cached(
            "SELECT messages, bytes, max_messages, max_bytes
             FROM agents JOIN activity ON agent = id WHERE id = ?1 AND gone = 0",
        )?
        .query_row([agent], |row| read(row, default))
        .optional()
}

/// A row that begins with `messages, bytes, max_messages, max_bytes`.
pub(super) fn read(row: &Row<'_>, default: Quota) -> rusqlite::Result<Usage> {
    let limit = |limit: Option<i64>, default| match limit {
        None => default,
        Some(i64::MAX) => u64::MAX,
        Some(limit) => limit.unsigned_abs(),
    };
    Ok(Usage {
        messages: row.get::<_, i64>(0)?.unsigned_abs(),
        bytes: row.get::<_, i64>(1)?.unsigned_abs(),
        quota: Quota {
            messages: limit(row.get(2)?, default.messages),
            bytes: limit(row.get(3)?, default.bytes),
        },
    })
}

fn to_column(limit: u64) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
