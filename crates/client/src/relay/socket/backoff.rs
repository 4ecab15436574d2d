//! How long to wait before the next connection.

use std::time::Duration;

/// The first pause after a connection that worked is at most so long.
const FIRST: u64 = 100;
/// The longest pause, in milliseconds.
const LONGEST: u64 = 60_000;

/// Pauses that double from one failure to the next, and begin again when a connection has worked.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// A connection worked.
    pub(super) const fn reset(&mut self) {
        self.failures = 0;
    }

    /// The pause before the next attempt. `random` spreads it, so that the clients of a relay that was
    /// restarted do not all return at once.
    pub(super) fn next(&mut self, random: u64) -> Duration {
        let most = (FIRST << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let least = most / 2;
        Duration::from_millis(least + random % (most - least + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::Backoff;

    #[test]
    fn pauses_double_to_a_minute_and_begin_again_after_a_connection_that_worked() {
        let mut backoff = Backoff::default();
        let most: Vec<_> = (0..12)
            .map(|_| {
                let failures = backoff.failures;
                let longest = (0..200).map(|random| {
                    backoff.failures = failures;
                    backoff.next(random * 997).as_millis()
                });
                longest.max().unwrap()
            })
            .collect();
        assert!(most[0] <= 100 && most[0] > 50, "{most:?}");
        assert!(
            most.is_sorted() && most[1] > 100 && most[11] <= 60_000,
            "{most:?}"
        );
        assert!(most[11] > 50_000, "{most:?}");
        backoff.reset();
        assert!(backoff.next(u64::MAX).as_millis() <= 100);
    }

    #[test]
    fn no_pause_is_shorter_than_half_of_the_longest() {
        let mut backoff = Backoff::default();
        for least in [50, 100, 200, 400] {
            assert_eq!(backoff.next(0).as_millis(), least);
        }
    }
}
