//! How many messages are taken in a minute.

use std::{collections::VecDeque, time::Duration};

use crate::client::as_millis;

/// How long a message counts.
const WINDOW: Duration = Duration::from_secs(60);

/// The last messages that were taken, as many as are within a window.
pub(super) struct Window {
    most: usize,
    /// When each was, by the monotonic clock.
    taken: VecDeque<i64>,
}

impl Window {
    pub(super) const fn new(most: usize) -> Self {
        Self {
            most,
            taken: VecDeque::new(),
        }
    }

    /// One more was taken.
    pub(super) fn count(&mut self, now: i64) {
        self.taken.push_back(now);
        while self.taken.len() > self.most {
            self.taken.pop_front();
        }
    }

    /// How long it is until another one may be taken, by what was counted here.
    pub(super) fn left(&self, now: i64) -> Duration {
        let oldest = self.taken.front().filter(|_| self.taken.len() == self.most);
        oldest.map_or(Duration::ZERO, |oldest| {
            let passed = now.saturating_sub(*oldest).max(0);
            let left = as_millis(WINDOW).saturating_sub(passed).max(0);
            Duration::from_millis(left.unsigned_abs())
        })
    }

    /// How long to wait when another one was refused, as others than those counted here may have been.
    pub(super) fn pause(&self, now: i64) -> Duration {
        match self.left(now) {
            Duration::ZERO if self.taken.len() < self.most => WINDOW,
            left => left.max(Duration::from_secs(1)),
        }
    }
}
