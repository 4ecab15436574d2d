//! What the workers at the relays of one agent know of each other: how much they do together, and which of
//! their relays answer.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};

use tokio::sync::{Notify, Semaphore};

use crate::store::Way;

/// Shared by the workers of one process, which run in one task.
pub(crate) struct Together {
    /// How many messages were begun.
    started: AtomicU64,
    /// How many handlers run.
    running: AtomicU64,
    /// When something last came or ended, by the monotonic clock.
    busy_at: AtomicI64,
    /// Lets as many handlers run at once as are to.
    permits: Semaphore,
    relays: Vec<AtRelay>,
}

/// One of the relays.
struct AtRelay {
    /// What may go over it instead of another one.
    way: Option<Way>,
    is_down: AtomicBool,
    /// Tells its worker that something waits in its outbox.
    wake: Notify,
}

impl Together {
    /// For workers at these relays, in order, with so many handlers at once.
    pub(crate) fn new(ways: Vec<Option<Way>>, concurrency: usize, now: i64) -> Self {
        let relays = ways.into_iter().map(|way| AtRelay {
            way,
            is_down: AtomicBool::new(false),
            wake: Notify::new(),
        });
        Self {
            started: AtomicU64::new(0),
            running: AtomicU64::new(0),
            busy_at: AtomicI64::new(now),
            permits: Semaphore::new(concurrency.clamp(1, Semaphore::MAX_PERMITS)),
            relays: relays.collect(),
        }
    }

    pub(crate) fn started(&self) -> u64 {
        self.started.load(Relaxed)
    }

    pub(crate) fn is_running(&self) -> bool {
        self.running.load(Relaxed) > 0
    }

    pub(crate) fn busy_at(&self) -> i64 {
        self.busy_at.load(Relaxed)
    }

    /// Something came or ended.
    pub(crate) fn stir(&self, now: i64) {
        self.busy_at.store(now, Relaxed);
    }

    /// A message is begun.
    pub(crate) fn begin(&self, now: i64) {
        self.started.fetch_add(1, Relaxed);
        self.running.fetch_add(1, Relaxed);
        self.stir(now);
    }

    /// Its handler ended.
    pub(crate) fn end(&self, now: i64) {
        self.running.fetch_sub(1, Relaxed);
        self.stir(now);
    }

    /// Runs a handler once there is room for it.
    pub(crate) async fn in_turn<T>(&self, handling: impl Future<Output = T>) -> T {
        // It is never closed, and without it there would be more at once, not fewer.
        let _permit = self.permits.acquire().await;
        handling.await
    }

    /// The relay in this place answers, or does not.
    pub(crate) fn set_down(&self, place: usize, is_down: bool) {
        if let Some(relay) = self.relays.get(place) {
            relay.is_down.store(is_down, Relaxed);
        }
    }

    /// The relays that may be used instead of the one in this place, which does not answer; none if it does.
    pub(crate) fn instead_of(&self, place: usize) -> impl Iterator<Item = (usize, Way)> {
        let is_down = |relay: &AtRelay| relay.is_down.load(Relaxed);
        let wanted = self.relays.get(place).is_some_and(is_down);
        let others = self.relays.iter().enumerate();
        others.filter_map(move |(other, relay)| {
            let way = relay.way.filter(|_| wanted && !is_down(relay));
            way.map(|way| (other, way))
        })
    }

    /// Tells the worker in this place that something waits in its outbox.
    pub(crate) fn wake(&self, place: usize) {
        if let Some(relay) = self.relays.get(place) {
            relay.wake.notify_one();
        }
    }

    /// Waits to be told so.
    pub(crate) async fn woken(&self, place: usize) {
        match self.relays.get(place) {
            Some(relay) => relay.wake.notified().await,
            None => std::future::pending().await,
        }
    }
}
