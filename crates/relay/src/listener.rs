//! Requests that wait for messages.
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
use crate::store::{Agent, Filter, Inbox, News, StoreError, StoredPage};

/// Requests of one agent, or of the operator, that may wait at once.
const MAX_LISTENERS: usize = 16;

/// One request that waits. Its place is free again when this is dropped, as it is when the peer
/// goes away.
pub(crate) struct Listener {
    app: Arc<App>,
    /// The agent whose inbox it is about, and its key; otherwise it is about all.
    agent: Option<(Arc<Agent>, KeyHash)>,
    news: Arc<News>,
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
    pub(crate) fn of_agent(
        app: Arc<App>,
        agent: Arc<Agent>,
        key: KeyHash,
    ) -> Result<Self, ApiError> {
        let news = Arc::clone(agent.news());
        Self::new(app, Some((agent, key)), news)
    }

    /// Takes one of the operator's places.
    pub(crate) fn of_operator(app: Arc<App>) -> Result<Self, ApiError> {
        let news = Arc::clone(app.store.directory().news());
        Self::new(app, None, news)
    }

    fn new(
        app: Arc<App>,
        agent: Option<(Arc<Agent>, KeyHash)>,
        news: Arc<News>,
    ) -> Result<Self, ApiError> {
        let take = |taken| (taken < MAX_LISTENERS).then_some(taken + 1);
        if news
            .listeners()
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
            news,
            caught_up: None,
        })
    }

    /// Notes that the agent is there.
    pub(crate) fn saw(&self) {
        if let Some((agent, _)) = &self.agent {
            let now_ms = self.app.clock.now_ms();
            self.app.store.directory().saw(agent, now_ms);
        }
    }

    /// Waits until `inbox` holds something that passes `filter`, but not beyond `deadline`.
    pub(crate) async fn listen(
        &mut self,
        inbox: Inbox,
        filter: &Filter,
        deadline: Instant,
    ) -> Result<Heard, StoreError> {
        loop {
            let (told, newer) = self.news.newest();
            let store = &self.app.store;
            if let Some((_, key)) = &self.agent
                && store.directory().by_key(key).is_none()
            {
                return Ok(Heard::Dismissed);
            }
            if self.caught_up != Some(told) {
                let page = store.page(inbox, filter.clone()).await?;
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
        self.news.listeners().fetch_sub(1, Ordering::SeqCst);
    }
}

/// Waits until the relay is told to stop.
pub(crate) async fn stopped(mut stopping: watch::Receiver<bool>) {
    // An error says that the server is gone, which is the same.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}
