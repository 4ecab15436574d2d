//! The registered agents in memory: who a key belongs to, who a name means, who was seen when.
//!
//! The writer changes it right after a commit and before the caller hears of it, so it is never
//! behind what was acknowledged.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use rusqlite::types::{ToSql, ToSqlOutput};
use subtle::ConstantTimeEq;
use tokio::sync::{Notify, Semaphore};

use super::news::News;
use crate::auth::KeyHash;
use crate::rate_limit::{RateLimit, Window};

/// An agent's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct AgentId(pub(crate) i64);

impl ToSql for AgentId {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}

/// Requests of one agent that may be under way at once.
pub(crate) const MAX_REQUESTS: usize = 128;

/// A registered agent.
pub(crate) struct Agent {
    pub(crate) id: AgentId,
    /// In the registered spelling.
    pub(crate) name: String,
    last_seen: AtomicI64,
    unsaved: AtomicBool,
    sends: Mutex<Window>,
    /// That a message for it is on disk, or that its key ended.
    news: Arc<News>,
    prompt_webhook: AtomicBool,
    requests: Arc<Semaphore>,
}

impl Agent {
    pub(crate) fn new(id: AgentId, name: String, last_seen: i64) -> Self {
        Self {
            id,
            name,
            last_seen: AtomicI64::new(last_seen),
            unsaved: AtomicBool::new(false),
            sends: Mutex::default(),
            news: Arc::default(),
            prompt_webhook: AtomicBool::new(false),
            requests: Arc::new(Semaphore::new(MAX_REQUESTS)),
        }
    }

    /// When the agent was last seen, in milliseconds since the epoch.
    pub(crate) fn last_seen(&self) -> i64 {
        self.last_seen.load(Ordering::Relaxed)
    }

    /// Counts one send at `now_ms`; `false` when `limit` is reached.
    pub(crate) fn may_send(&self, limit: RateLimit, now_ms: i64) -> bool {
        let mut window = self.sends.lock().unwrap_or_else(PoisonError::into_inner);
        limit.admit(&mut window, now_ms)
    }

    /// For those who wait for the agent's messages.
    pub(crate) fn news(&self) -> &Arc<News> {
        &self.news
    }

    /// One permit for each request that may be under way.
    pub(crate) fn requests(&self) -> &Arc<Semaphore> {
        &self.requests
    }

    /// Whether the agent's webhook took the last message at once.
    pub(crate) fn has_prompt_webhook(&self) -> bool {
        self.prompt_webhook.load(Ordering::Relaxed)
    }

    pub(crate) fn set_prompt_webhook(&self, is_prompt: bool) {
        self.prompt_webhook.store(is_prompt, Ordering::Relaxed);
    }
}

/// What is told to whoever posts to webhooks, of one agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Call {
    /// There is a message to post.
    Message,
    /// What was to be posted is no more.
    Changed,
}

#[derive(Default)]
struct Index {
    by_key: HashMap<[u8; 16], (KeyHash, Arc<Agent>)>,
    by_name: HashMap<String, Arc<Agent>>,
    in_order: Vec<Arc<Agent>>,
}

/// All registered agents.
#[derive(Default)]
pub(crate) struct Directory {
    index: RwLock<Index>,
    unsaved: Mutex<Vec<Arc<Agent>>>,
    /// That a message for anybody is on disk.
    news: Arc<News>,
    calls: Mutex<HashMap<AgentId, Call>>,
    called: Notify,
}

impl Directory {
    pub(super) fn add(&self, agent: Arc<Agent>, key: KeyHash) {
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        index.by_key.insert(half(&key), (key, Arc::clone(&agent)));
        index.by_name.insert(fold(&agent.name), Arc::clone(&agent));
        index.in_order.push(agent);
    }

    /// Takes `agent` out: neither its key nor its name leads anywhere any more.
    pub(super) fn remove(&self, agent: &Agent) {
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        index.by_key.retain(|_, (_, other)| other.id != agent.id);
        index.by_name.retain(|_, other| other.id != agent.id);
        index.in_order.retain(|other| other.id != agent.id);
        drop(index);
        agent.news.tell();
    }

    /// Has `key`, if any, and no other key admit `agent` from now on.
    pub(super) fn set_key(&self, agent: &Arc<Agent>, key: Option<KeyHash>) {
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        index.by_key.retain(|_, (_, other)| other.id != agent.id);
        if let Some(key) = key {
            index.by_key.insert(half(&key), (key, Arc::clone(agent)));
        }
        drop(index);
        agent.news.tell();
    }

    /// The agent whose key has this hash.
    ///
    /// Half of the hash finds the candidate; whether it is the one is decided over the whole hash
    /// in time that does not depend on where they differ.
    pub(crate) fn by_key(&self, hash: &KeyHash) -> Option<Arc<Agent>> {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        let (key, agent) = index.by_key.get(&half(hash))?;
        bool::from(key.ct_eq(hash)).then(|| Arc::clone(agent))
    }

    /// The agent of this name in any letter case: no two names differ in nothing else.
    pub(crate) fn by_name(&self, name: &str) -> Option<Arc<Agent>> {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        index.by_name.get(&fold(name)).cloned()
    }

    /// The agent of this row.
    pub(crate) fn by_id(&self, id: AgentId) -> Option<Arc<Agent>> {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        // Rows are numbered in the order of registration.
        let at = index.in_order.binary_search_by_key(&id, |agent| agent.id);
        index.in_order.get(at.ok()?).cloned()
    }

    /// Every agent, in registration order.
    pub(crate) fn all(&self) -> Vec<Arc<Agent>> {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        index.in_order.clone()
    }

    /// For those who wait for everybody's messages.
    pub(crate) fn news(&self) -> &Arc<News> {
        &self.news
    }

    /// Notes that `agent` was seen at `now_ms`. Saved in the background: reading is no write.
    pub(crate) fn saw(&self, agent: &Arc<Agent>, now_ms: i64) {
        let before = agent.last_seen.fetch_max(now_ms, Ordering::Relaxed);
        if before < now_ms && !agent.unsaved.swap(true, Ordering::Relaxed) {
            self.unsaved().push(Arc::clone(agent));
        }
    }

    /// The agents seen since the last call, which the caller now has to save.
    pub(super) fn take_unsaved(&self) -> Vec<Arc<Agent>> {
        let agents = core::mem::take(&mut *self.unsaved());
        for agent in &agents {
            // Before its time is read: whatever comes later is noted again.
            agent.unsaved.store(false, Ordering::SeqCst);
        }
        agents
    }

    /// Returns what could not be saved.
    pub(super) fn put_back_unsaved(&self, agents: Vec<Arc<Agent>>) {
        for agent in agents {
            if !agent.unsaved.swap(true, Ordering::SeqCst) {
                self.unsaved().push(agent);
            }
        }
    }

    /// Tells whoever posts to webhooks.
    pub(super) fn call(&self, agent: AgentId, call: Call) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let told = calls.entry(agent).or_insert(call);
        *told = call.max(*told);
        drop(calls);
        self.called.notify_one();
    }

    /// What was told since the last call, the most important of each agent.
    pub(crate) fn calls(&self) -> HashMap<AgentId, Call> {
        core::mem::take(&mut *self.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until something is told. There may be nothing more by then.
    pub(crate) async fn called(&self) {
        self.called.notified().await;
    }

    fn unsaved(&self) -> MutexGuard<'_, Vec<Arc<Agent>>> {
        self.unsaved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `name` as it is compared: registered names are ASCII.
pub(super) fn fold(name: &str) -> String {
    name.to_ascii_lowercase()
}

fn half(hash: &KeyHash) -> [u8; 16] {
    core::array::from_fn(|at| hash.0.get(at).copied().unwrap_or_default())
}
