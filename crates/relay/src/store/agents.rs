//! Agents: registration, the directory's columns, presence.

use std::collections::HashMap;
use std::sync::Arc;

use ctalk_wire::{Account, Agent as ListedAgent};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::directory::{Agent, AgentId, Directory, fold};
use super::invites::{self, InviteRefusal};
use super::webhooks::{self, NewWebhook};
use super::writer::Changes;
use super::{Store, StoreError};
use super::{quotas, removal};
use crate::auth::KeyHash;
use crate::clock::iso;

/// How long an agent counts as online after it was seen, in milliseconds.
const ONLINE_MS: i64 = 5 * 60 * 1000;

/// An agent to register, already validated.
pub(crate) struct NewAgent {
    pub(crate) name: String,
    pub(crate) owner: String,
    pub(crate) public_key: String,
    pub(crate) signing_key: String,
    pub(crate) capabilities: Option<Vec<String>>,
    pub(crate) webhook: Option<NewWebhook>,
    pub(crate) key_hash: KeyHash,
}

#[cfg(test)]
impl NewAgent {
    /// One of which nothing matters but its name, with its name as its API key.
    pub(crate) fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            owner: "test".to_owned(),
            public_key: String::new(),
            signing_key: String::new(),
            capabilities: None,
            webhook: None,
            key_hash: KeyHash::of(name),
        }
    }
}

/// What came of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Registration {
    Done,
    Invite(InviteRefusal),
    /// The name was that of an agent that was deleted, and no invite gives it away again.
    NameRetired,
    NameTaken,
}

/// Changes to an agent, already validated. `None` leaves a column as it is.
#[derive(Default)]
pub(crate) struct AgentPatch {
    pub(crate) public_key: Option<String>,
    pub(crate) signing_key: Option<String>,
    pub(crate) capabilities: Option<Option<Vec<String>>>,
    pub(crate) webhook: Option<Option<NewWebhook>>,
}

impl Store {
    /// Registers `agent`, with an invite's code when it registers itself.
    pub(crate) async fn register(
        &self,
        agent: NewAgent,
        invite: Option<String>,
    ) -> Result<Registration, StoreError> {
        let register = move |changes: &mut Changes<'_>| {
            if let Some(code) = &invite
                && let Err(refusal) = invites::check(changes.connection, code, changes.now_ms)?
            {
                return Ok(Registration::Invite(refusal));
            }
            let is_retired = removal::take_up(changes.connection, &agent.name, invite.is_none())?;
            if is_retired {
                return Ok(Registration::NameRetired);
            }
            let Some(id) = insert(changes.connection, &agent, changes.now_ms)? else {
                return Ok(Registration::NameTaken);
            };
            if let Some(code) = &invite {
                invites::count_use(changes.connection, code)?;
            }
            if let Some(webhook) = &agent.webhook {
                webhooks::set(changes, id, Some(webhook))?;
            }
            let now_ms = changes.now_ms;
            let key = agent.key_hash;
            let agent = Arc::new(Agent::new(id, agent.name, now_ms));
            changes.when_committed(move |directory| directory.add(agent, key));
            Ok(Registration::Done)
        };
        self.writer.change(register).await
    }

    /// Every agent in registration order, as the directory shows it.
    pub(crate) async fn list_agents(&self) -> Result<Vec<ListedAgent>, StoreError> {
        let directory = Arc::clone(&self.directory);
        let now_ms = self.clock.now_ms();
        let list = move |connection: &Connection| {
            let seen = seen(&directory);
            connection
                .prepare_cached(
                    "SELECT name, capabilities, public_key, signing_key, last_seen, id
                     FROM agents JOIN activity ON agent = id WHERE gone = 0 ORDER BY id",
                )?
                .query_map([], |row| {
                    let last_seen = seen.get(&AgentId(row.get(5)?)).copied();
                    listed(row, last_seen, now_ms)
                })?
                .collect()
        };
        self.readers.read(list).await
    }

    /// Every agent in registration order, as the operator sees it.
    pub(crate) async fn list_accounts(&self) -> Result<Vec<Account>, StoreError> {
        let directory = Arc::clone(&self.directory);
        let (now_ms, quota) = (self.clock.now_ms(), self.quota);
        let list = move |connection: &Connection| {
            let seen = seen(&directory);
            connection
                .prepare_cached(
                    "SELECT messages, bytes, max_messages, max_bytes, name, owner, created,
                        last_seen, id
                     FROM agents JOIN activity ON agent = id WHERE gone = 0 ORDER BY id",
                )?
                .query_map([], |row| {
                    let last_seen = seen.get(&AgentId(row.get(8)?)).copied();
                    let last_seen = last_seen.map_or_else(|| row.get(7), Ok)?;
                    Ok(Account {
                        name: row.get(4)?,
                        owner: row.get(5)?,
                        created_at: iso(row.get(6)?),
                        online: is_online(last_seen, now_ms),
                        last_seen: iso(last_seen),
                        usage: quotas::read(row, quota)?.shown(),
                    })
                })?
                .collect()
        };
        self.readers.read(list).await
    }

    /// `agent` as the directory shows it; `None` when it was deleted meanwhile.
    pub(crate) async fn show_agent(
        &self,
        agent: Arc<Agent>,
    ) -> Result<Option<ListedAgent>, StoreError> {
        let now_ms = self.clock.now_ms();
        let show = move |connection: &Connection| {
            connection
                .prepare_cached(
                    "SELECT name, capabilities, public_key, signing_key, last_seen
                     FROM agents JOIN activity ON agent = id WHERE id = ?1 AND gone = 0",
                )?
                .query_row([agent.id], |row| {
                    listed(row, Some(agent.last_seen()), now_ms)
                })
                .optional()
        };
        self.readers.read(show).await
    }

    /// The number of registered agents, by the database: fails when that fails.
    pub(crate) async fn count_agents(&self) -> Result<i64, StoreError> {
        self.readers
            .read(|connection| {
                connection
                    .prepare_cached("SELECT count(*) FROM agents WHERE gone = 0")?
                    .query_row([], |row| row.get(0))
            })
            .await
    }

    /// Changes `agent` and notes that it was seen. `true` when its webhook now has the patch's secret.
    pub(crate) async fn patch_agent(
        &self,
        agent: Arc<Agent>,
        patch: AgentPatch,
    ) -> Result<bool, StoreError> {
        let apply = move |changes: &mut Changes<'_>| {
            let has_secret = update(changes, agent.id, &patch)?;
            let now_ms = changes.now_ms;
            changes.when_committed(move |directory| directory.saw(&agent, now_ms));
            Ok(has_secret)
        };
        self.writer.change(apply).await
    }

    /// Replaces the key that admits `agent`: by `key`, or by none at all. With `held`, only if that
    /// is its key still. `false` when it is not, or when the agent was deleted.
    pub(crate) async fn set_key(
        &self,
        agent: Arc<Agent>,
        key: Option<KeyHash>,
        held: Option<KeyHash>,
    ) -> Result<bool, StoreError> {
        let replace = move |changes: &mut Changes<'_>| {
            // Nobody has a key whose hash is random.
            let replaced = changes
                .connection
                .prepare_cached(
                    "UPDATE agents SET key_hash = coalesce(?2, randomblob(32))
                     WHERE id = ?1 AND gone = 0 AND (?3 IS NULL OR key_hash = ?3)",
                )?
                .execute(params![agent.id, key, held])?;
            if replaced > 0 {
                if key.is_none() {
                    // Whoever had the key may have set it.
                    webhooks::set(changes, agent.id, None)?;
                }
                changes.when_committed(move |directory| directory.set_key(&agent, key));
            }
            Ok(replaced > 0)
        };
        self.writer.change(replace).await
    }

    /// Changes an agent's entry without any check, as a hostile relay would.
    pub(crate) async fn set_raw(
        &self,
        agent: AgentId,
        patch: AgentPatch,
    ) -> Result<(), StoreError> {
        self.writer
            .change(move |changes| update(changes, agent, &patch).map(drop))
            .await
    }

    /// Saves when agents were seen.
    pub(super) async fn save_presence(&self) -> Result<(), StoreError> {
        let agents = self.directory.take_unsaved();
        if agents.is_empty() {
            return Ok(());
        }
        let unsaved: Vec<_> = agents.iter().map(Arc::clone).collect();
        let save = move |changes: &mut Changes<'_>| {
            let mut update = changes
                .connection
                .prepare_cached("UPDATE activity SET last_seen = ?2 WHERE agent = ?1")?;
            for agent in &agents {
                update.execute(params![agent.id, agent.last_seen()])?;
            }
            Ok(())
        };
        let saved = self.writer.change(save).await;
        if saved.is_err() {
            self.directory.put_back_unsaved(unsaved);
        }
        saved
    }
}

/// When each agent was last seen: newer than what is saved.
fn seen(directory: &Directory) -> HashMap<AgentId, i64> {
    let agents = directory.all();
    let seen = agents.iter().map(|agent| (agent.id, agent.last_seen()));
    seen.collect()
}

fn is_online(last_seen: i64, now_ms: i64) -> bool {
    now_ms.saturating_sub(last_seen) < ONLINE_MS
}

/// A row of `name, capabilities, public_key, signing_key, last_seen`. The time in memory is newer
/// than the saved one.
fn listed(row: &Row<'_>, last_seen: Option<i64>, now_ms: i64) -> rusqlite::Result<ListedAgent> {
    let capabilities: Option<String> = row.get(1)?;
    let last_seen = last_seen.map_or_else(|| row.get(4), Ok)?;
    Ok(ListedAgent {
        name: row.get(0)?,
        capabilities: capabilities.and_then(|json| serde_json::from_str(&json).ok()),
        public_key: row.get(2)?,
        signing_key: row.get(3)?,
        online: is_online(last_seen, now_ms),
        last_seen: iso(last_seen),
    })
}

/// Reads all agents, and the newest ts of each inbox.
pub(super) fn load(
    connection: &Connection,
) -> rusqlite::Result<(Directory, HashMap<AgentId, i64>)> {
    let directory = Directory::default();
    let mut newest = HashMap::new();
    let mut select = connection.prepare(
        "SELECT id, name, key_hash, last_seen, newest_ts
         FROM agents JOIN activity ON agent = id WHERE gone = 0 ORDER BY id",
    )?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let id = AgentId(row.get(0)?);
        let agent = Agent::new(id, row.get(1)?, row.get(3)?);
        directory.add(Arc::new(agent), row.get(2)?);
        newest.insert(id, row.get(4)?);
    }
    Ok((directory, newest))
}

/// Inserts `agent`; `None` when its name is taken in any letter case.
fn insert(
    connection: &Connection,
    agent: &NewAgent,
    now_ms: i64,
) -> rusqlite::Result<Option<AgentId>> {
    let id = connection
        .prepare_cached(
            "INSERT INTO agents (name, folded, owner, public_key, signing_key, capabilities,
                                 key_hash, created)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (folded) DO NOTHING RETURNING id",
        )?
        .query_row(
            params![
                agent.name,
                fold(&agent.name),
                agent.owner,
                agent.public_key,
                agent.signing_key,
                agent.capabilities.as_deref().map(to_json),
                agent.key_hash,
                now_ms,
            ],
            |row| row.get(0).map(AgentId),
        )
        .optional()?;
    if let Some(id) = id {
        connection
            .prepare_cached(
                "INSERT INTO activity (agent, last_seen, newest_ts) VALUES (?1, ?2, 0)",
            )?
            .execute(params![id, now_ms])?;
    }
    Ok(id)
}

/// `true` when the agent's webhook now has the patch's secret.
fn update(changes: &mut Changes<'_>, agent: AgentId, patch: &AgentPatch) -> rusqlite::Result<bool> {
    // A pair is "whether to set" and "to what".
    let changed = changes
        .connection
        .prepare_cached(
            "UPDATE agents SET
                public_key = coalesce(?2, public_key),
                signing_key = coalesce(?3, signing_key),
                capabilities = iif(?4, ?5, capabilities)
             WHERE id = ?1 AND gone = 0",
        )?
        .execute(params![
            agent,
            patch.public_key,
            patch.signing_key,
            patch.capabilities.is_some(),
            patch
                .capabilities
                .as_ref()
                .and_then(Option::as_deref)
                .map(to_json),
        ])?;
    match &patch.webhook {
        Some(webhook) if changed > 0 => webhooks::set(changes, agent, webhook.as_ref()),
        _ => Ok(false),
    }
}

fn to_json(capabilities: &[String]) -> String {
    serde_json::Value::from(capabilities).to_string()
}
