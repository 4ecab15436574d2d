//! How those who wait for messages hear that there are some.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::{Notify, futures::Notified};

/// What those who wait for one thing want to know.
#[derive(Default)]
pub(crate) struct News {
    /// How often something changed.
    told: AtomicU64,
    newer: Notify,
    listeners: AtomicUsize,
}

impl News {
    /// Wakes whoever waits: what they want to know is on disk.
    pub(super) fn tell(&self) {
        self.told.fetch_add(1, Ordering::SeqCst);
        self.newer.notify_waiters();
    }

    /// A number that changes with everything that is told, and what to wait for until it does. All
    /// that was told before is in the database already.
    pub(crate) fn newest(&self) -> (u64, Notified<'_>) {
        // From here on nothing is missed, also before the first poll.
        let newer = self.newer.notified();
        (self.told.load(Ordering::SeqCst), newer)
    }

    /// How many requests wait.
    pub(crate) fn listeners(&self) -> &AtomicUsize {
        &self.listeners
    }
}
