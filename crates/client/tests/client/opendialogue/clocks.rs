//! The machine's clock, with parts that a test moves.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use ctalk::clock::{Clock, SystemClock};
use tokio::sync::Semaphore;

/// The time between two heartbeats.
pub(super) const BEAT: Duration = Duration::from_secs(30);
/// How long an answer is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Whoever waits for one of these durations goes on when a test says so.
pub(super) struct Gated(HashMap<Duration, Semaphore>);

impl Gated {
    pub(super) fn new(durations: &[Duration]) -> Arc<Self> {
        let gates = durations.iter().map(|gate| (*gate, Semaphore::new(0)));
        Arc::new(Self(gates.collect()))
    }

    /// Lets so many go on.
    pub(super) fn open(&self, duration: Duration, times: usize) {
        self.0[&duration].add_permits(times);
    }
}

#[async_trait::async_trait]
impl Clock for Gated {
    fn now(&self) -> i64 {
        SystemClock.now()
    }

    fn monotonic(&self) -> i64 {
        SystemClock.monotonic()
    }

    async fn sleep(&self, duration: Duration) {
        match self.0.get(&duration) {
            Some(gate) => gate.acquire().await.unwrap().forget(),
            None => SystemClock.sleep(duration).await,
        }
    }
}

/// The monotonic time passes when a test says so.
#[derive(Default)]
pub(super) struct Passing(AtomicI64);

impl Passing {
    pub(super) fn pass(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

#[async_trait::async_trait]
impl Clock for Passing {
    fn now(&self) -> i64 {
        SystemClock.now()
    }

    fn monotonic(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }

    async fn sleep(&self, duration: Duration) {
        SystemClock.sleep(duration).await;
    }
}

/// Time that passes so many times as fast.
#[derive(Clone, Copy)]
pub(super) struct Fast {
    began: Instant,
    at: i64,
    times: u32,
}

impl Fast {
    pub(super) fn new(times: u32) -> Self {
        Self::at(SystemClock.now(), times)
    }

    /// Begins at that time, in milliseconds since the Unix epoch.
    pub(super) fn at(now: i64, times: u32) -> Self {
        Self {
            began: Instant::now(),
            at: now,
            times,
        }
    }
}

#[async_trait::async_trait]
impl Clock for Fast {
    fn now(&self) -> i64 {
        self.at + i64::try_from((self.began.elapsed() * self.times).as_millis()).unwrap()
    }

    async fn sleep(&self, duration: Duration) {
        SystemClock.sleep(duration / self.times).await;
    }
}
