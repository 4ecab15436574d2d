//! Time as an argument.

use std::time::Duration;

use async_trait::async_trait;

/// Tells the time and waits.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Milliseconds since the Unix epoch.
    fn now(&self) -> i64;

    /// Milliseconds since some moment before now, the same for every process of the machine until it is
    /// started anew. Setting the clock does not move it.
    fn monotonic(&self) -> i64 {
        self.now()
    }

    /// Returns after `duration` of this clock's time.
    async fn sleep(&self, duration: Duration);
}

/// Randomness to spread pauses with, so that those whom one thing held up do not return together.
pub(crate) fn jitter() -> u64 {
    // Without it they only return less evenly spread.
    getrandom::u64().unwrap_or_default()
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> i64 {
        jiff::Timestamp::now().as_millisecond()
    }

    fn monotonic(&self) -> i64 {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        time.tv_sec
            .saturating_mul(1000)
            .saturating_add(time.tv_nsec / 1_000_000)
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
