//! Webhooks, and the messages that are still to be posted to them.
//!
//! A message to post is a reference to a copy in its recipient's inbox: when the copy goes, because
//! its recipient has read it or it expired, there is nothing left to post.

use std::collections::HashSet;
use std::sync::Arc;

use ctalk_wire::{Webhook, WebhookFailure, WebhookSecret, Webhooks};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::directory::{Agent, AgentId, Call};
use super::writer::Changes;
use super::{Store, StoreError};
use crate::clock::iso;
use crate::validate;

/// Messages that may wait for one agent's webhook. Later ones are left to the agent's own reading.
const MAX_QUEUED: i64 = 10_000;
/// Webhooks that are listed at once.
const MAX_LISTED: i64 = 1000;
/// What is to be posted next for agent ?1 at ?2.
const NEXT: &str = "
    SELECT d.ts, d.due, d.attempts, w.url, w.secret, m.id, m.head, c.tail
    FROM deliveries d INDEXED BY deliveries_by_due
    CROSS JOIN webhooks w ON w.agent = d.agent
    CROSS JOIN copies c ON c.inbox = d.agent AND c.ts = d.ts
    CROSS JOIN messages m ON m.seq = c.message
    WHERE d.agent = ?1 AND m.expires > ?2 ORDER BY d.due, d.ts LIMIT 1";

/// A webhook to set, already validated.
pub(crate) struct NewWebhook {
    pub(crate) url: String,
    pub(crate) secret: WebhookSecret,
}

/// A message to post.
pub(crate) struct Delivery {
    /// The `ts` of the copy, which tells it from the agent's others.
    pub(crate) copy: i64,
    /// In milliseconds since the epoch.
    pub(crate) due_ms: i64,
    /// How often it was tried.
    pub(crate) attempts: u32,
    pub(crate) url: String,
    pub(crate) secret: WebhookSecret,
    pub(crate) id: String,
    /// As it is delivered.
    pub(crate) envelope: String,
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// By this status, which is none of 200 to 299.
    Answer(u16),
    /// The connection broke, or what came was no HTTP.
    Broken,
    /// The target is at an address that the operator does not allow.
    Refused,
    Timeout,
    /// The name is unknown, nobody listens, or TLS failed.
    Unreachable,
}

impl Failure {
    fn reason(self) -> &'static str {
        match self {
            Self::Answer(_) => "answer",
            Self::Broken => "broken",
            Self::Refused => "refused",
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
        }
    }

    fn status(self) -> Option<u16> {
        match self {
            Self::Answer(status) => Some(status),
            _ => None,
        }
    }
}

/// What came of posting a message.
pub(crate) enum Attempt {
    Delivered,
    Failed {
        failure: Failure,
        /// When to try again.
        due_ms: i64,
        /// What came before this is given up instead.
        give_up_before_ms: i64,
    },
}

impl Store {
    /// What is to be posted next for `agent`, be it due or not.
    pub(crate) async fn next_delivery(
        &self,
        agent: AgentId,
    ) -> Result<Option<Delivery>, StoreError> {
        let now_ms = self.clock.now_ms();
        let next = move |connection: &Connection| {
            connection
                .prepare_cached(NEXT)?
                .query_row(params![agent, now_ms], delivery)
                .optional()
        };
        self.readers.read(next).await
    }

    /// Notes what came of posting the message of this `copy`. One that is no longer to be posted
    /// changes nothing.
    pub(crate) async fn settle_delivery(
        &self,
        agent: AgentId,
        copy: i64,
        attempt: Attempt,
    ) -> Result<(), StoreError> {
        let settle = move |changes: &mut Changes<'_>| settle(changes, agent, copy, &attempt);
        self.writer.change(settle).await
    }

    /// Has webhooks of `agent` be signed with `secret` from now on; `false` when it has none.
    pub(crate) async fn set_webhook_secret(
        &self,
        agent: Arc<Agent>,
        secret: WebhookSecret,
    ) -> Result<bool, StoreError> {
        let replace = move |changes: &mut Changes<'_>| {
            let replaced = changes
                .connection
                .prepare_cached("UPDATE webhooks SET secret = ?2 WHERE agent = ?1")?
                .execute(params![agent.id, secret.as_bytes()])?;
            Ok(replaced > 0)
        };
        self.writer.change(replace).await
    }

    /// The webhook of one agent, with its URL, or everybody's without.
    pub(crate) async fn list_webhooks(&self, of: Option<AgentId>) -> Result<Webhooks, StoreError> {
        let list = move |connection: &Connection| {
            let webhooks = connection
                .prepare_cached(
                    "SELECT name, url, queued, delivered, failed, skipped, last_delivered,
                            last_failure, failure, status
                     FROM webhooks JOIN agents ON id = agent WHERE ?1 IS NULL OR agent = ?1
                     ORDER BY coalesce(last_failure > coalesce(last_delivered, 0), 0) DESC, agent
                     LIMIT ?2",
                )?
                .query_map(params![of, MAX_LISTED], |row| listed(row, of.is_some()))?
                .collect::<rusqlite::Result<_>>()?;
            let total: i64 = connection
                .prepare_cached("SELECT count(*) FROM webhooks WHERE ?1 IS NULL OR agent = ?1")?
                .query_row([of], |row| row.get(0))?;
            Ok(Webhooks {
                webhooks,
                total: total.unsigned_abs(),
            })
        };
        self.readers.read(list).await
    }
}

/// Sets the webhook of `agent`, or removes it. One with the same URL stays as it is; what waited for
/// another one is forgotten. `true` when `webhook` is now in place with its secret.
pub(super) fn set(
    changes: &mut Changes<'_>,
    agent: AgentId,
    webhook: Option<&NewWebhook>,
) -> rusqlite::Result<bool> {
    let connection = changes.connection;
    let url = webhook.map(|webhook| webhook.url.as_str());
    let removed = connection
        .prepare_cached("DELETE FROM webhooks WHERE agent = ?1 AND url IS NOT ?2")?
        .execute(params![agent, url])?;
    if removed > 0 {
        changes.when_committed(move |directory| directory.call(agent, Call::Changed));
    }
    let Some(webhook) = webhook else {
        return Ok(false);
    };
    let inserted = connection
        .prepare_cached(
            "INSERT INTO webhooks (agent, url, secret) VALUES (?1, ?2, ?3)
             ON CONFLICT (agent) DO NOTHING",
        )?
        .execute(params![agent, webhook.url, webhook.secret.as_bytes()])?;
    Ok(inserted > 0)
}

/// Has the copy that is `ts` in the inbox of `agent` be posted, if the agent has a webhook.
pub(super) fn enqueue(changes: &Changes<'_>, agent: AgentId, ts: i64) -> rusqlite::Result<bool> {
    let connection = changes.connection;
    let queued: Option<i64> = connection
        .prepare_cached("SELECT queued FROM webhooks WHERE agent = ?1")?
        .query_row([agent], |row| row.get(0))
        .optional()?;
    match queued {
        None => Ok(false),
        Some(queued) if queued >= MAX_QUEUED => {
            connection
                .prepare_cached("UPDATE webhooks SET skipped = skipped + 1 WHERE agent = ?1")?
                .execute([agent])?;
            Ok(false)
        }
        Some(_) => {
            connection
                .prepare_cached(
                    "INSERT INTO deliveries (agent, ts, came, due) VALUES (?1, ?2, ?3, ?3)",
                )?
                .execute(params![agent, ts, changes.now_ms])?;
            Ok(true)
        }
    }
}

/// The agents for whom something is to be posted.
pub(super) fn load_waiting(connection: &Connection) -> rusqlite::Result<HashSet<AgentId>> {
    connection
        .prepare("SELECT agent FROM webhooks WHERE queued > 0")?
        .query_map([], |row| row.get(0).map(AgentId))?
        .collect()
}

fn settle(
    changes: &Changes<'_>,
    agent: AgentId,
    copy: i64,
    attempt: &Attempt,
) -> rusqlite::Result<()> {
    let connection = changes.connection;
    let now_ms = changes.now_ms;
    match attempt {
        Attempt::Delivered => {
            let taken = connection
                .prepare_cached("DELETE FROM deliveries WHERE agent = ?1 AND ts = ?2")?
                .execute(params![agent, copy])?;
            if taken > 0 {
                connection
                    .prepare_cached(
                        "UPDATE webhooks SET delivered = delivered + 1, last_delivered = ?2
                         WHERE agent = ?1",
                    )?
                    .execute(params![agent, now_ms])?;
            }
        }
        Attempt::Failed {
            failure,
            due_ms,
            give_up_before_ms,
        } => {
            let tried = connection
                .prepare_cached(
                    "UPDATE deliveries SET attempts = attempts + 1, due = ?3
                     WHERE agent = ?1 AND ts = ?2",
                )?
                .execute(params![agent, copy, due_ms])?;
            if tried == 0 {
                return Ok(());
            }
            let given_up = connection
                .prepare_cached("DELETE FROM deliveries WHERE agent = ?1 AND came < ?2")?
                .execute(params![agent, give_up_before_ms])?;
            connection
                .prepare_cached(
                    "UPDATE webhooks SET failed = failed + ?2, last_failure = ?3, failure = ?4,
                        status = ?5
                     WHERE agent = ?1",
                )?
                .execute(params![
                    agent,
                    i64::try_from(given_up).unwrap_or(i64::MAX),
                    now_ms,
                    failure.reason(),
                    failure.status(),
                ])?;
        }
    }
    Ok(())
}

fn delivery(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    let secret: Vec<u8> = row.get(4)?;
    let secret = WebhookSecret::from_bytes(secret);
    let unusable = || rusqlite::Error::InvalidColumnType(4, "secret".to_owned(), Type::Blob);
    let parts = [row.get_ref(6)?.as_str()?, row.get_ref(7)?.as_str()?];
    Ok(Delivery {
        copy: row.get(0)?,
        due_ms: row.get(1)?,
        attempts: row.get(2)?,
        url: row.get(3)?,
        secret: secret.ok_or_else(unusable)?,
        id: row.get(5)?,
        envelope: parts.concat(),
    })
}

fn listed(row: &Row<'_>, with_url: bool) -> rusqlite::Result<Webhook> {
    let count = |at| row.get::<_, i64>(at).map(i64::unsigned_abs);
    let url: String = row.get(1)?;
    let failed: Option<i64> = row.get(7)?;
    let last_failure = failed.map(|failed| {
        Ok::<_, rusqlite::Error>(WebhookFailure {
            ts: iso(failed),
            reason: row.get(8)?,
            status: row.get(9)?,
        })
    });
    Ok(Webhook {
        agent: row.get(0)?,
        target: validate::webhook_target(&url),
        url: with_url.then_some(url),
        queued: count(2)?,
        delivered: count(3)?,
        failed: count(4)?,
        skipped: count(5)?,
        last_delivered: row.get::<_, Option<i64>>(6)?.map(iso),
        last_failure: last_failure.transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema::plan;
    use crate::store::{AgentPatch, NewAgent, NewMessage};
    use crate::{ManualClock, Quota};

    #[test]
    fn what_is_next_is_read_from_an_index_in_its_order() {
        let steps = plan(NEXT, [1, 0]);
        assert_eq!(
            steps,
            [
                "SEARCH d USING INDEX deliveries_by_due (agent=?)",
                "SEARCH w USING INTEGER PRIMARY KEY (rowid=?)",
                "SEARCH c USING PRIMARY KEY (inbox=? AND ts=?)",
                "SEARCH m USING INTEGER PRIMARY KEY (rowid=?)",
            ]
        );
    }

    #[tokio::test]
    async fn no_more_than_10000_messages_wait_for_one_webhook_and_expired_ones_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::new(0);
        let store = Store::open(folder.path(), Arc::new(clock.clone()), Quota::OFF).unwrap();
        store
            .register(NewAgent::named("alice"), None)
            .await
            .unwrap();
        let alice = store.directory().by_name("alice").unwrap();
        let patch = AgentPatch {
            webhook: Some(Some(NewWebhook {
                url: "http://example.invalid/".to_owned(),
                secret: WebhookSecret::from_bytes([7; 32]).unwrap(),
            })),
            ..AgentPatch::default()
        };
        assert!(store.patch_agent(Arc::clone(&alice), patch).await.unwrap());
        let messages = (0..10_002).map(|number| NewMessage {
            id: format!("{number}"),
            sender: Arc::clone(&alice),
            recipients: vec![Arc::clone(&alice)],
            is_broadcast: false,
            audited: None,
            topic: None,
            ttl_ms: if number == 0 { 1000 } else { 2000 },
            members: "\"payload\":1".to_owned(),
        });
        store.send(messages.collect()).await.unwrap();
        let shown = store.list_webhooks(Some(alice.id)).await.unwrap();
        let counts = |shown: &Webhooks| (shown.webhooks[0].queued, shown.webhooks[0].skipped);
        assert_eq!(counts(&shown), (10_000, 2));
        clock.set(1000);
        let next = store.next_delivery(alice.id).await.unwrap().unwrap();
        assert_eq!(next.id, "1");
        clock.set(2000);
        assert!(store.next_delivery(alice.id).await.unwrap().is_none());
        store.keep_house().await.unwrap();
        let shown = store.list_webhooks(Some(alice.id)).await.unwrap();
        assert_eq!(counts(&shown), (0, 2));
    }
}
