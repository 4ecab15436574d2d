//! A relay in memory that pushes, so that nothing but the client is measured.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use ctalk::{
    relay::{Accepted, Body, Delivery, Outgoing, Relay, RelayError},
    store::Stored,
    wire::DirectoryEntry,
};
use serde_json::json;
use tokio::sync::Notify;

/// As large as a ClawTalk relay's page.
const PAGE: usize = 100;

/// The relay, which forgets by handing out.
#[derive(Clone, Default)]
pub(crate) struct Memory(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Something arrived.
    arrived: Notify,
    /// Somebody waits for something to arrive.
    idle: Notify,
}

#[derive(Default)]
struct State {
    directory: Vec<DirectoryEntry>,
    waiting: VecDeque<Delivery>,
    count: i64,
}

impl Memory {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an agent into the directory.
    pub(crate) fn publish(&self, entry: DirectoryEntry) {
        self.state().directory.push(entry);
    }

    /// Puts an envelope's text into the inbox of the one agent that receives.
    pub(crate) fn deliver(&self, from: &str, text: String) {
        let mut state = self.state();
        state.count += 1;
        let id = state.count.to_string();
        let item = json!({
            "id": id, "from": from, "to": "bob", "type": "notification", "encrypted": true,
            "payload": text, "ts": "2026-01-01T00:00:00.000Z",
        });
        let delivery = Delivery {
            relay_id: Some(id),
            sent_at: Some(state.count),
            raw: item.to_string().into_bytes().into(),
        };
        state.waiting.push_back(delivery);
        drop(state);
        self.0.arrived.notify_one();
    }

    /// Waits until somebody waits for messages.
    pub(crate) async fn idle(&self) {
        self.0.idle.notified().await;
    }
}

#[async_trait]
impl Relay for Memory {
    fn url(&self) -> &str {
        "https://relay.example"
    }

    async fn send(&self, outgoing: &Outgoing) -> Result<Accepted, RelayError> {
        let Body::Native(text) = &outgoing.body else {
            return Err(RelayError::Unsupported {
                what: "any other format",
            });
        };
        self.deliver("alice", text.clone());
        Ok(Accepted {
            relay_id: None,
            ts: None,
        })
    }

    async fn fetch(&self, wait: Duration) -> Result<Vec<Delivery>, RelayError> {
        let is_empty = self.state().waiting.is_empty();
        if is_empty && !wait.is_zero() {
            self.0.idle.notify_one();
            // Nothing within this time is as good an answer.
            let _ = tokio::time::timeout(wait, self.0.arrived.notified()).await;
        }
        let mut state = self.state();
        let page = state.waiting.len().min(PAGE);
        Ok(state.waiting.drain(..page).collect())
    }

    async fn acknowledge(&self, stored: Stored) -> Result<usize, RelayError> {
        Ok(stored.len())
    }

    async fn directory(&self) -> Result<Vec<DirectoryEntry>, RelayError> {
        Ok(self.state().directory.clone())
    }
}
