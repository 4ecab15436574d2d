//! Messages: storing, reading, deleting and expiring copies.

use std::fmt::Write;
use std::sync::Arc;

use ctalk_wire::{AuditDirection, AuditEntry};
use rusqlite::{CachedStatement, Connection, OptionalExtension, params};
use serde_json::value::RawValue;

use super::audit;
use super::directory::{Agent, AgentId, Call};
use super::quotas::usage;
use super::webhooks;
use super::writer::Changes;
use super::{Store, StoreError};
use crate::Quota;
use crate::clock::iso;
use crate::validate;

/// Topics that one `GET /channels` lists at most.
const MAX_CHANNELS: i64 = 1000;
/// The topics that agent ?1 sent or received live messages about at ?2, at most ?3.
///
/// Each step of the recursion jumps to the next topic in an index, so the cost follows the number
/// of topics and not of messages; the limits inside bound it for an agent with very many. The
/// planner does not see how large an inbox is, so the indexes and the order of tables are fixed.
const CHANNELS: &str = "
    WITH RECURSIVE
    received (topic) AS (
        SELECT min(topic) FROM copies INDEXED BY copies_by_topic
        WHERE inbox = ?1 AND topic IS NOT NULL
        UNION ALL
        SELECT (SELECT min(topic) FROM copies INDEXED BY copies_by_topic
                WHERE inbox = ?1 AND topic > received.topic)
        FROM received WHERE topic IS NOT NULL
        LIMIT ?3),
    sent (topic) AS (
        SELECT min(topic) FROM messages INDEXED BY messages_by_sender_topic
        WHERE sender = ?1 AND topic IS NOT NULL
        UNION ALL
        SELECT (SELECT min(topic) FROM messages INDEXED BY messages_by_sender_topic
                WHERE sender = ?1 AND topic > sent.topic)
        FROM sent WHERE topic IS NOT NULL
        LIMIT ?3)
    SELECT topic FROM received WHERE topic IS NOT NULL AND EXISTS (
        SELECT 1 FROM copies c INDEXED BY copies_by_topic
        CROSS JOIN messages m ON m.seq = c.message
        WHERE c.inbox = ?1 AND c.topic = received.topic AND m.expires > ?2)
    UNION
    SELECT topic FROM sent WHERE topic IS NOT NULL AND EXISTS (
        SELECT 1 FROM messages m INDEXED BY messages_by_sender_topic
        WHERE m.sender = ?1 AND m.topic = sent.topic AND m.expires > ?2)
    LIMIT ?3";
/// The copy in inbox ?2 of the message ?1, live at ?3.
const FIND_COPY: &str = "
    SELECT c.ts, m.seq FROM messages m INDEXED BY messages_by_id
    CROSS JOIN copies c INDEXED BY copies_by_message ON c.message = m.seq
    WHERE m.id = ?1 AND c.inbox = ?2 AND m.expires > ?3";
/// About how many bytes of envelopes are read at a time.
const PART: usize = 256 * 1024;

/// A message to store, already validated.
pub(crate) struct NewMessage {
    pub(crate) id: String,
    pub(crate) sender: Arc<Agent>,
    /// Each recipient once; none at all is allowed.
    pub(crate) recipients: Vec<Arc<Agent>>,
    /// Whether it is for whoever is there, so that a full inbox keeps it from nobody else.
    pub(crate) is_broadcast: bool,
    pub(crate) topic: Option<String>,
    /// Life in milliseconds.
    pub(crate) ttl_ms: i64,
    /// What the relay itself writes into the audit log for each copy, if anything.
    pub(crate) audited: Option<Audited>,
    /// The envelope's members from `type` to `signature`: JSON without the braces.
    pub(crate) members: String,
}

/// What an audit entry of the relay's own says that the message does not, as it was sent.
pub(crate) struct Audited {
    pub(crate) correlation_id: Option<String>,
    pub(crate) payload: Box<RawValue>,
}

/// What became of a message.
#[derive(Debug)]
pub(crate) enum Storing {
    Done(Stored),
    /// Nothing was stored: the inboxes of these recipients, whom the message names, are full.
    Full(Vec<String>),
}

/// A message that was accepted.
#[derive(Debug)]
pub(crate) struct Stored {
    /// In milliseconds since the epoch.
    pub(crate) ts: i64,
    /// The recipients that got no copy: deleted since the message was addressed, or with a full
    /// inbox.
    pub(crate) missed: Vec<String>,
}

impl Stored {
    fn for_nobody(now_ms: i64) -> Self {
        Self {
            ts: now_ms,
            missed: Vec::new(),
        }
    }
}

/// Whose messages to read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Inbox {
    /// Every copy of all traffic.
    Everyone,
    Of(AgentId),
    /// Every copy that was stored after this one, in the order in which they were.
    StoredAfter(Position),
}

/// Where a copy stands among all that are stored while the relay runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Position {
    message: i64,
    inbox: i64,
}

/// Which messages to read, and how many.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    /// Only later ones, in milliseconds since the epoch.
    pub(crate) after_ms: Option<i64>,
    pub(crate) topic: Option<String>,
    pub(crate) oldest_first: bool,
    pub(crate) limit: u32,
}

/// Messages as read, or the first part of them when they are large.
#[derive(Debug, Default)]
pub(crate) struct StoredPage {
    pub(crate) envelopes: Vec<StoredEnvelope>,
    /// What [`Store::rest`] reads on from: memory holds one part at a time.
    pub(crate) rest: Vec<CopyKey>,
}

/// One copy as it is delivered.
#[derive(Debug)]
pub(crate) struct StoredEnvelope {
    /// In milliseconds since the epoch.
    pub(crate) ts: i64,
    pub(crate) position: Position,
    pub(crate) json: String,
}

/// A copy whose envelope was not read yet.
#[derive(Debug)]
pub(crate) struct CopyKey {
    ts: i64,
    position: Position,
    tail: String,
}

impl Store {
    /// Stores a copy of each message for each of its recipients: all of that or nothing, but for
    /// full inboxes.
    pub(crate) async fn send(&self, messages: Vec<NewMessage>) -> Result<Vec<Storing>, StoreError> {
        let now_ms = self.clock.now_ms();
        if messages.iter().all(|message| message.recipients.is_empty()) {
            let unread = messages.iter().map(|message| {
                self.directory.saw(&message.sender, now_ms);
                Storing::Done(Stored::for_nobody(now_ms))
            });
            return Ok(unread.collect());
        }
        let quota = self.quota;
        let store = move |changes: &mut Changes<'_>| {
            let messages = messages.into_iter();
            messages
                .map(|message| store(changes, message, quota))
                .collect()
        };
        let outcomes: Vec<_> = self.writer.change(store).await?;
        for outcome in &outcomes {
            if let Storing::Done(_) = outcome {
                self.metrics.accepted.inc();
            }
        }
        Ok(outcomes)
    }

    /// One page of live messages, or its first part.
    pub(crate) async fn page(
        &self,
        inbox: Inbox,
        filter: Filter,
    ) -> Result<StoredPage, StoreError> {
        if filter.limit == 0 {
            return Ok(StoredPage::default());
        }
        let now_ms = self.clock.now_ms();
        self.readers
            .read(move |connection| read_page(connection, inbox, &filter, now_ms))
            .await
    }

    /// Where the newest copy stands, or one that was deleted since.
    pub(crate) async fn newest(&self) -> Result<Position, StoreError> {
        let message = self.readers.read(newest_seq).await?;
        Ok(Position {
            message,
            inbox: i64::MAX,
        })
    }

    /// The next part of a page.
    pub(crate) async fn rest(&self, keys: Vec<CopyKey>) -> Result<StoredPage, StoreError> {
        self.readers
            .read(|connection| read_rest(connection, keys))
            .await
    }

    /// Deletes the copies of these messages in `inbox`, and tells of each whether there was a live
    /// one.
    pub(crate) async fn delete(
        &self,
        inbox: AgentId,
        ids: Vec<String>,
    ) -> Result<Vec<bool>, StoreError> {
        let delete = move |changes: &mut Changes<'_>| {
            let ids = ids.iter();
            ids.map(|id| delete(changes, inbox, id)).collect()
        };
        self.writer.change(delete).await
    }

    /// The distinct topics of live messages that `agent` sent or received.
    pub(crate) async fn channels(&self, agent: AgentId) -> Result<Vec<String>, StoreError> {
        let now_ms = self.clock.now_ms();
        let list = move |connection: &Connection| {
            connection
                .prepare_cached(CHANNELS)?
                .query_map(params![agent, now_ms, MAX_CHANNELS], |row| row.get(0))?
                .collect()
        };
        self.readers.read(list).await
    }

    /// Refuses to grow the database beyond its present size, or allows it again.
    pub(crate) async fn set_full(&self, full: bool) -> Result<(), StoreError> {
        let limit = move |changes: &mut Changes<'_>| {
            // The limit is never set below the present size.
            let pages = if full { 1 } else { i64::from(u32::MAX - 1) };
            changes.connection.query_row(
                &format!("PRAGMA max_page_count = {pages}"),
                [],
                |_| Ok(()),
            )
        };
        self.writer.change(limit).await
    }

    /// Stores `raw` for `agent` as it is, as a hostile relay would.
    pub(crate) async fn insert_raw(
        &self,
        agent: Arc<Agent>,
        id: String,
        raw: String,
        life_ms: i64,
    ) -> Result<(), StoreError> {
        let store = move |changes: &mut Changes<'_>| {
            let inbox = agent.id;
            let ts = changes.next_ts(core::iter::once(inbox));
            let seq = insert_row(changes, &id, inbox, ts, life_ms, None, &raw)?;
            insert_copy(changes.connection)?.execute(params![
                inbox,
                ts,
                seq,
                None::<String>,
                "",
                len(&raw)
            ])?;
            let is_posted = webhooks::enqueue(changes, inbox, ts)?;
            changes.when_committed(move |directory| {
                agent.news().tell();
                directory.news().tell();
                if is_posted {
                    directory.call(inbox, Call::Message);
                }
            });
            Ok(())
        };
        self.writer.change(store).await
    }
}

fn store(
    changes: &mut Changes<'_>,
    mut message: NewMessage,
    quota: Quota,
) -> rusqlite::Result<Storing> {
    let mut stored = Stored::for_nobody(changes.now_ms);
    let mut recipients = Vec::with_capacity(message.recipients.len());
    let mut full = Vec::new();
    for recipient in core::mem::take(&mut message.recipients) {
        match usage(changes.connection, recipient.id, quota)? {
            Some(usage) if !usage.is_full() => recipients.push(recipient),
            Some(_) if !message.is_broadcast => full.push(recipient.name.clone()),
            _ => stored.missed.push(recipient.name.clone()),
        }
    }
    if !full.is_empty() {
        return Ok(Storing::Full(full));
    }
    let mut posted = Vec::new();
    if !recipients.is_empty() {
        let ts = changes.next_ts(recipients.iter().map(|agent| agent.id));
        let (seq, size) = insert_message(changes, &message, ts)?;
        let mut insert = insert_copy(changes.connection)?;
        for recipient in &recipients {
            let tail = format!(",\"to\":\"{}\"}}", recipient.name);
            let size = len(&tail) + size;
            insert.execute(params![recipient.id, ts, seq, message.topic, tail, size])?;
            if let Some(audited) = &message.audited {
                audit::log(changes, audit_entry(&message, audited, recipient, ts))?;
            }
            if webhooks::enqueue(changes, recipient.id, ts)? {
                posted.push(recipient.id);
            }
        }
        stored.ts = ts;
    }
    let now_ms = changes.now_ms;
    changes.when_committed(move |directory| {
        directory.saw(&message.sender, now_ms);
        for recipient in &recipients {
            recipient.news().tell();
        }
        if !recipients.is_empty() {
            directory.news().tell();
        }
        for recipient in posted {
            directory.call(recipient, Call::Message);
        }
    });
    Ok(Storing::Done(stored))
}

fn audit_entry(message: &NewMessage, audited: &Audited, recipient: &Agent, ts: i64) -> AuditEntry {
    AuditEntry {
        message_id: message.id.clone(),
        direction: AuditDirection::Sent,
        from: message.sender.name.clone(),
        to: recipient.name.clone(),
        topic: message.topic.clone(),
        correlation_id: audited.correlation_id.clone(),
        payload: audited.payload.clone(),
        ts: iso(ts),
        logged_by: validate::SYSTEM.to_owned(),
        logged_at: String::new(),
    }
}

/// The length of `text` in bytes, as SQLite counts.
fn len(text: &str) -> i64 {
    i64::try_from(text.len()).unwrap_or(i64::MAX)
}

/// Returns the row's number and the bytes of the head.
fn insert_message(
    changes: &mut Changes<'_>,
    message: &NewMessage,
    ts: i64,
) -> rusqlite::Result<(i64, i64)> {
    let mut head = String::with_capacity(message.members.len() + 128);
    // Writing to a string cannot fail; names and ids need no escapes.
    let _ = write!(
        head,
        "{{\"id\":\"{}\",\"from\":\"{}\",{},\"ts\":\"{}\"",
        message.id,
        message.sender.name,
        message.members,
        iso(ts)
    );
    let topic = message.topic.as_deref();
    let seq = insert_row(
        changes,
        &message.id,
        message.sender.id,
        ts,
        message.ttl_ms,
        topic,
        &head,
    )?;
    Ok((seq, len(&head)))
}

/// Returns the row's number.
fn insert_row(
    changes: &mut Changes<'_>,
    id: &str,
    sender: AgentId,
    ts: i64,
    life_ms: i64,
    topic: Option<&str>,
    head: &str,
) -> rusqlite::Result<i64> {
    let seq = changes.next_seq();
    let expires = changes.now_ms.saturating_add(life_ms);
    changes
        .connection
        .prepare_cached(
            "INSERT INTO messages (seq, id, sender, ts, expires, topic, head)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![seq, id, sender, ts, expires, topic, head])?;
    Ok(seq)
}

fn insert_copy(connection: &Connection) -> rusqlite::Result<CachedStatement<'_>> {
    connection.prepare_cached(
        "INSERT INTO copies (inbox, ts, message, topic, tail, size)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )
}

fn delete(changes: &Changes<'_>, inbox: AgentId, id: &str) -> rusqlite::Result<bool> {
    let found: Option<(i64, i64)> = changes
        .connection
        .prepare_cached(FIND_COPY)?
        .query_row(params![id, inbox, changes.now_ms], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let Some((ts, seq)) = found else {
        return Ok(false);
    };
    changes
        .connection
        .prepare_cached("DELETE FROM copies WHERE inbox = ?1 AND ts = ?2")?
        .execute(params![inbox, ts])?;
    changes
        .connection
        .prepare_cached(
            "DELETE FROM messages WHERE seq = ?1
             AND NOT EXISTS (SELECT 1 FROM copies WHERE message = ?1)",
        )?
        .execute([seq])?;
    Ok(true)
}

/// The highest number of a stored message, or zero.
pub(super) fn newest_seq(connection: &Connection) -> rusqlite::Result<i64> {
    let mut select = connection.prepare_cached("SELECT ifnull(max(seq), 0) FROM messages")?;
    select.query_row([], |row| row.get(0))
}

fn page_sql(inbox: Inbox, filter: &Filter) -> String {
    let direction = if filter.oldest_first { "ASC" } else { "DESC" };
    // CROSS JOIN fixes the order of the tables: the first one's index gives the order of the page.
    let (from, scope, order) = match inbox {
        Inbox::Of(_) if filter.topic.is_some() => (
            "copies c INDEXED BY copies_by_topic CROSS JOIN messages m ON m.seq = c.message",
            "c.inbox = ?1 AND c.ts > ?2",
            format!("c.ts {direction}"),
        ),
        Inbox::Of(_) => (
            "copies c CROSS JOIN messages m ON m.seq = c.message",
            "c.inbox = ?1 AND c.ts > ?2",
            format!("c.ts {direction}"),
        ),
        Inbox::Everyone => (
            "messages m CROSS JOIN copies c ON c.message = m.seq",
            "?1 IS NULL AND m.ts > ?2",
            format!("m.ts {direction}, m.seq {direction}, c.inbox {direction}"),
        ),
        Inbox::StoredAfter(_) => (
            "messages m CROSS JOIN copies c ON c.message = m.seq",
            "m.seq >= ?1 AND (m.seq, c.inbox) > (?1, ?2)",
            "m.seq, c.inbox".to_owned(),
        ),
    };
    let topic = match filter.topic {
        Some(_) => "c.topic = ?4",
        None => "?4 IS NULL",
    };
    format!(
        "SELECT c.ts, m.seq, c.inbox, c.tail, m.head FROM {from}
         WHERE {scope} AND m.expires > ?3 AND {topic} ORDER BY {order} LIMIT ?5"
    )
}

fn read_page(
    connection: &Connection,
    inbox: Inbox,
    filter: &Filter,
    now_ms: i64,
) -> rusqlite::Result<StoredPage> {
    let after_ms = filter.after_ms.unwrap_or(i64::MIN);
    let (of, after) = match inbox {
        Inbox::Of(agent) => (Some(agent.0), after_ms),
        Inbox::Everyone => (None, after_ms),
        Inbox::StoredAfter(position) => (Some(position.message), position.inbox),
    };
    let mut select = connection.prepare_cached(&page_sql(inbox, filter))?;
    let mut rows = select.query(params![of, after, now_ms, filter.topic, filter.limit])?;
    let mut page = StoredPage::default();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let ts = row.get(0)?;
        let position = Position {
            message: row.get(1)?,
            inbox: row.get(2)?,
        };
        if bytes < PART {
            let parts = [row.get_ref(4)?.as_str()?, row.get_ref(3)?.as_str()?];
            let json = parts.concat();
            bytes += json.len();
            page.envelopes.push(StoredEnvelope { ts, position, json });
        } else {
            let tail = row.get(3)?;
            page.rest.push(CopyKey { ts, position, tail });
        }
    }
    Ok(page)
}

/// Reads on; what was deleted since is left out.
fn read_rest(connection: &Connection, keys: Vec<CopyKey>) -> rusqlite::Result<StoredPage> {
    // Others may have kept their copies of a message.
    let mut select = connection.prepare_cached(
        "SELECT head FROM messages WHERE seq = ?1 AND EXISTS (
         SELECT 1 FROM copies INDEXED BY copies_by_message
         WHERE message = ?1 AND ts = ?2 AND tail = ?3)",
    )?;
    let mut page = StoredPage::default();
    let mut bytes = 0;
    for key in keys {
        if bytes >= PART {
            page.rest.push(key);
            continue;
        }
        let head: Option<String> = select
            .query_row(params![key.position.message, key.ts, key.tail], |row| {
                row.get(0)
            })
            .optional()?;
        if let Some(mut json) = head {
            json.push_str(&key.tail);
            bytes += json.len();
            page.envelopes.push(StoredEnvelope {
                ts: key.ts,
                position: key.position,
                json,
            });
        }
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema::plan;

    #[test]
    fn every_page_is_read_from_an_index_in_its_order() {
        const BY_SEQ: &str = "SEARCH m USING INTEGER PRIMARY KEY (rowid=?)";
        const BY_TS: &str = "SEARCH m USING INDEX messages_by_ts (ts>?)";
        const BY_MESSAGE: &str = "SEARCH c USING INDEX copies_by_message (message=?)";
        const INBOX: &str = "SEARCH c USING PRIMARY KEY (inbox=? AND ts>?)";
        const TOPIC: &str = "SEARCH c USING INDEX copies_by_topic (inbox=? AND topic=? AND ts>?)";
        const AFTER_SEQ: &str = "SEARCH m USING INTEGER PRIMARY KEY (rowid>?)";
        let topic = Some("t".to_owned());
        let position = Position {
            message: 1,
            inbox: 1,
        };
        for (inbox, topic, expected) in [
            (Inbox::Of(AgentId(1)), None, [INBOX, BY_SEQ]),
            (Inbox::Of(AgentId(1)), topic.clone(), [TOPIC, BY_SEQ]),
            (Inbox::Everyone, None, [BY_TS, BY_MESSAGE]),
            (Inbox::Everyone, topic, [BY_TS, BY_MESSAGE]),
            (Inbox::StoredAfter(position), None, [AFTER_SEQ, BY_MESSAGE]),
        ] {
            for oldest_first in [false, true] {
                let filter = Filter {
                    after_ms: None,
                    topic: topic.clone(),
                    oldest_first,
                    limit: 50,
                };
                let sql = page_sql(inbox, &filter);
                let steps = plan(&sql, params![1, 0, 0, topic, 50]);
                assert_eq!(steps, expected, "{inbox:?} {filter:?}");
            }
        }
    }

    #[test]
    fn channels_and_deletions_look_only_at_the_rows_they_name() {
        let steps = plan(CHANNELS, params![1, 0, 1000]);
        // What is scanned are the topics found so far, which are bounded.
        let tables: Vec<_> = steps
            .iter()
            .filter(|step| step.starts_with("SEARCH") || step.starts_with("SCAN"))
            .collect();
        const NEXT_RECEIVED: &str =
            "SEARCH copies USING COVERING INDEX copies_by_topic (inbox=? AND topic>?)";
        const NEXT_SENT: &str =
            "SEARCH messages USING COVERING INDEX messages_by_sender_topic (sender=? AND topic>?)";
        assert_eq!(
            tables,
            [
                NEXT_RECEIVED,
                "SCAN received",
                NEXT_RECEIVED,
                "SCAN received",
                "SEARCH c USING INDEX copies_by_topic (inbox=? AND topic=?)",
                "SEARCH m USING INTEGER PRIMARY KEY (rowid=?)",
                NEXT_SENT,
                "SCAN sent",
                NEXT_SENT,
                "SCAN sent",
                "SEARCH m EXISTS USING INDEX messages_by_sender_topic (sender=? AND topic=?)",
            ]
        );
        let steps = plan(FIND_COPY, params!["id", 1, 0]);
        assert_eq!(
            steps,
            [
                "SEARCH m USING INDEX messages_by_id (id=?)",
                "SEARCH c USING COVERING INDEX copies_by_message (message=? AND inbox=?)",
            ]
        );
    }
}
