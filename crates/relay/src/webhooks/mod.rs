//! Posting messages to the webhooks of their recipients.
//!
//! What is to be posted waits in the database. Each agent for whom something waits has a task of its
//! own that posts one message after the other, so that nobody waits for another's target.

mod networks;
mod post;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::{Instant, sleep};
use tracing::warn;

use crate::http::App;
use crate::store::{Agent, AgentId, Attempt, Call, Delivery, Failure, Store};

pub use networks::{InvalidNetworks, Networks};
use post::Poster;

/// How long after it came a message is given up.
const PATIENCE_MS: i64 = 24 * 60 * 60 * 1000;
/// The pause after a first failure; each further one doubles it, up to `MAX_PAUSE_MS`.
const MIN_PAUSE_MS: i64 = 5000;
const MAX_PAUSE_MS: i64 = 5 * 60 * 1000;
/// Attempts in a lane at once. Each takes a connection.
const MAX_ATTEMPTS: usize = 128;
/// Attempts in all lanes at once.
pub(crate) const MAX_POSTS: usize = 2 * MAX_ATTEMPTS;
/// What takes a message within this is prompt.
const PROMPT: Duration = Duration::from_secs(2);

/// What posts.
pub(crate) struct Webhooks {
    app: Arc<App>,
    networks: Arc<Networks>,
    /// How often the relay's clock is looked at while something waits for its time.
    tick: Duration,
    /// For targets that took the last message at once.
    prompt: Lane,
    /// For all others, which take nothing from those however many they are.
    slow: Lane,
}

struct Lane {
    slots: Semaphore,
    /// Made when first needed: it reads the system's TLS roots.
    poster: OnceLock<Poster>,
}

impl Lane {
    fn new() -> Self {
        Self {
            slots: Semaphore::new(MAX_ATTEMPTS),
            poster: OnceLock::new(),
        }
    }

    fn poster(&self, networks: &Arc<Networks>) -> reqwest::Result<&Poster> {
        match self.poster.get() {
            Some(poster) => Ok(poster),
            None => {
                let poster = Poster::new(Arc::clone(networks))?;
                Ok(self.poster.get_or_init(|| poster))
            }
        }
    }
}

impl Webhooks {
    pub(crate) fn new(app: Arc<App>, networks: Networks, tick: Duration) -> Self {
        Self {
            app,
            networks: Arc::new(networks),
            tick,
            prompt: Lane::new(),
            slow: Lane::new(),
        }
    }

    /// Posts what is stored until the relay stops. What is cut then is posted again after the next
    /// start.
    pub(crate) async fn run(self) {
        let this = Arc::new(self);
        let mut stopping = this.app.stopping.clone();
        let mut tasks = Tasks::default();
        loop {
            let directory = this.app.store.directory();
            for (agent, call) in directory.calls() {
                tasks.call(&this, agent, call);
            }
            tokio::select! {
                () = directory.called() => {}
                Some(ended) = tasks.running.join_next_with_id() => {
                    let id = match ended {
                        Ok((id, ())) => id,
                        Err(ended) => ended.id(),
                    };
                    tasks.ended(&this, id);
                }
                // An error says that the server is gone, which is the same.
                _ = stopping.wait_for(|stopping| *stopping) => break,
            }
        }
        tasks.running.shutdown().await;
    }

    /// Posts what waits for `agent`, until nothing does.
    async fn serve(self: Arc<Self>, agent: Arc<Agent>) {
        let store = &self.app.store;
        let mut failures = 0;
        loop {
            let (_, newer) = agent.news().newest();
            let delivery = match store.next_delivery(agent.id).await {
                Ok(Some(delivery)) => delivery,
                Ok(None) => return,
                Err(error) => {
                    warn!(error = error.to_string(), "cannot read what to post");
                    sleep(self.tick).await;
                    continue;
                }
            };
            if delivery.due_ms > self.now_ms() {
                tokio::select! {
                    () = self.until(delivery.due_ms) => {}
                    () = newer => {}
                }
                continue;
            }
            match self.attempt(store, &agent, delivery).await {
                Ok(()) => failures = 0,
                Err(failed_ms) => {
                    failures += 1;
                    let pause_ms = pause_ms(failures);
                    self.until(failed_ms.saturating_add(pause_ms)).await;
                }
            }
        }
    }

    /// Posts `delivery` once; tells when, if that failed or could not be noted.
    async fn attempt(&self, store: &Store, agent: &Agent, delivery: Delivery) -> Result<(), i64> {
        let (copy, attempts) = (delivery.copy, delivery.attempts + 1);
        let posted = self.post(agent, delivery).await;
        let now_ms = self.now_ms();
        let attempt = match posted {
            Ok(()) => Attempt::Delivered,
            Err(failure) => {
                self.app.tally.failed_webhook();
                let due_ms = now_ms.saturating_add(pause_ms(attempts));
                Attempt::Failed {
                    failure,
                    due_ms,
                    give_up_before_ms: due_ms.saturating_sub(PATIENCE_MS),
                }
            }
        };
        let delivered = matches!(attempt, Attempt::Delivered);
        match store.settle_delivery(agent.id, copy, attempt).await {
            Ok(()) if delivered => Ok(()),
            Ok(()) => Err(now_ms),
            Err(error) => {
                warn!(error = error.to_string(), "cannot note what was posted");
                Err(now_ms)
            }
        }
    }

    async fn post(&self, agent: &Agent, delivery: Delivery) -> Result<(), Failure> {
        let lane = if agent.has_prompt_webhook() {
            &self.prompt
        } else {
            &self.slow
        };
        // Never closed.
        let _slot = lane.slots.acquire().await.map_err(|_| Failure::Broken)?;
        let poster = lane.poster(&self.networks).map_err(|error| {
            warn!(error = error.to_string(), "cannot post to any webhook");
            Failure::Broken
        })?;
        let began = Instant::now();
        let posted = poster.post(delivery, self.now_ms()).await;
        agent.set_prompt_webhook(posted.is_ok() && began.elapsed() < PROMPT);
        posted
    }

    /// Waits until the relay's clock shows `due_ms`.
    async fn until(&self, due_ms: i64) {
        loop {
            let left = due_ms.saturating_sub(self.now_ms());
            let Ok(left) = u64::try_from(left) else {
                return;
            };
            if left == 0 {
                return;
            }
            sleep(self.tick.min(Duration::from_millis(left))).await;
        }
    }

    fn now_ms(&self) -> i64 {
        self.app.clock.now_ms()
    }
}

/// How long to wait after the `failures`th failure in a row.
fn pause_ms(failures: u32) -> i64 {
    let doubled = 2_i64.saturating_pow(failures.saturating_sub(1));
    MIN_PAUSE_MS.saturating_mul(doubled).min(MAX_PAUSE_MS)
}

/// The agents that are served at this moment.
#[derive(Default)]
struct Tasks {
    running: JoinSet<()>,
    served: HashMap<AgentId, Served>,
    by_task: HashMap<Id, AgentId>,
}

struct Served {
    task: AbortHandle,
    /// Something came since, which the task may not see any more.
    again: bool,
}

impl Tasks {
    fn call(&mut self, webhooks: &Arc<Webhooks>, agent: AgentId, call: Call) {
        match self.served.get_mut(&agent) {
            Some(served) => {
                served.again = true;
                if call == Call::Changed {
                    served.task.abort();
                }
            }
            None => self.start(webhooks, agent),
        }
    }

    fn start(&mut self, webhooks: &Arc<Webhooks>, id: AgentId) {
        let Some(agent) = webhooks.app.store.directory().by_id(id) else {
            return;
        };
        let serving = Arc::clone(webhooks).serve(agent);
        let task = self.running.spawn(serving);
        self.by_task.insert(task.id(), id);
        self.served.insert(id, Served { task, again: false });
    }

    fn ended(&mut self, webhooks: &Arc<Webhooks>, task: Id) {
        let Some(agent) = self.by_task.remove(&task) else {
            return;
        };
        let served = self.served.remove(&agent);
        if served.is_some_and(|served| served.again) {
            self.start(webhooks, agent);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_five_minutes() {
        let pauses: Vec<_> = (1..=8).map(pause_ms).collect();
        let expected = [
            5000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000,
        ];
        assert_eq!(pauses, expected);
        assert_eq!(pause_ms(u32::MAX), MAX_PAUSE_MS);
    }
}
