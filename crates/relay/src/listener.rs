//! Requests that wait for an agent's messages.
//!
//! Whoever waits looks into the database once, and then only when the writer tells that something
//! arrived: thousands who wait for nothing cost no more than their connections.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::api_error::ApiError;
use crate::auth::KeyHash;
use crate::http::App;
use crate::store::{Agent, Filter, Inbox, StoreError, StoredPage};

/// Requests of one agent that may wait at once.
const MAX_LISTENERS: usize = 16;

/// One request that waits. Its place is free again when this is dropped, as it is when the peer
/// goes away.
pub(crate) struct Listener {
    app: Arc<App>,
    agent: Arc<Agent>,
    key: KeyHash,
    /// What was told when there was nothing more to read.
    caught_up: Option<u64>,
}

/// What ended a wait.
pub(crate) enum Heard {
    Messages(StoredPage),
    /// Nothing came in time.
    Nothing,
    /// The relay is shutting down.
    Stopping,
    /// The key that the request came with admits nobody any more.
    Dismissed,
}

impl Listener {
    /// Takes one of the agent's places.
    pub(crate) fn new(app: Arc<App>, agent: Arc<Agent>, key: KeyHash) -> Result<Self, ApiError> {
        let places = agent.listeners();
        let take = |taken| (taken < MAX_LISTENERS).then_some(taken + 1);
        if places
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take)
            .is_err()
        {
            return Err(ApiError::rate_limited(format!(
                "{MAX_LISTENERS} requests of yours wait for messages already; end one of them"
            )));
        }
        Ok(Self {
            app,
            agent,
            key,
            caught_up: None,
        })
    }

    /// Notes that the agent is there.
    pub(crate) fn saw(&self) {
        let now_ms = self.app.clock.now_ms();
        self.app.store.directory().saw(&self.agent, now_ms);
    }

    /// Waits until the inbox holds something that passes `filter`, but not beyond `deadline`.
    pub(crate) async fn listen(
        &mut self,
        filter: &Filter,
        deadline: Instant,
    ) -> Result<Heard, StoreError> {
        loop {
            let (told, newer) = self.agent.news();
            let store = &self.app.store;
            if store.directory().by_key(&self.key).is_none() {
                return Ok(Heard::Dismissed);
            }
            if self.caught_up != Some(told) {
                let page = store.page(Inbox::Of(self.agent.id), filter.clone()).await?;
                if !page.envelopes.is_empty() {
                    return Ok(Heard::Messages(page));
                }
                self.caught_up = Some(told);
            }
            tokio::select! {
                () = newer => {}
                () = sleep_until(deadline) => return Ok(Heard::Nothing),
                () = stopped(self.app.stopping.clone()) => return Ok(Heard::Stopping),
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.agent.listeners().fetch_sub(1, Ordering::SeqCst);
    }
}

/// Waits until the relay is told to stop.
pub(crate) async fn stopped(mut stopping: watch::Receiver<bool>) {
    // An error says that the server is gone, which is the same.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}
