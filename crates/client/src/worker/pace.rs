//! How often a worker asks the relay: more often while something comes, less often while nothing does,
//! and ever less while it does not answer.

use std::time::Duration;

use super::Until;
use crate::{client::as_millis, clock::jitter};

/// The pause between two looks while something comes.
const BUSY: Duration = Duration::from_millis(200);
/// The longest pause between two attempts to reach the relay, before jitter.
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);

/// All moments are those of the monotonic clock, in milliseconds.
pub(crate) struct Pace {
    until: Until,
    /// How long the next look may take.
    pause: Duration,
    /// Since the relay does not answer.
    backoff: Option<Duration>,
    /// Whether the relay was asked, whatever it said.
    was_asked: bool,
    /// Before then it is not asked again.
    next_look: i64,
    /// When something last happened.
    busy_at: i64,
}

impl Pace {
    pub(crate) fn new(until: Until, now: i64) -> Self {
        Self {
            until,
            pause: shortest(until),
            backoff: None,
            was_asked: false,
            next_look: now,
            busy_at: now,
        }
    }

    /// Something came or ended.
    pub(crate) fn stir(&mut self, now: i64) {
        self.busy_at = self.busy_at.max(now);
    }

    /// Whether the relay did not answer when it was last asked.
    pub(crate) const fn is_backing_off(&self) -> bool {
        self.backoff.is_some()
    }

    /// How long to wait before the relay is asked, and how long the asking may take.
    pub(crate) fn look(&self, now: i64) -> (Duration, Duration) {
        let left = self.next_look.saturating_sub(now);
        let before = Duration::from_millis(u64::try_from(left).unwrap_or(0));
        if let Some(backoff) = self.backoff {
            return (before.min(backoff.mul_f64(1.25)), Duration::ZERO);
        }
        // A clock that was set back must not make it wait for longer than a pause.
        (before.min(self.pause), self.pause)
    }

    /// The asking begins. If it is broken off, a short while passes before the next one.
    pub(crate) fn begin_look(&mut self, now: i64) {
        self.next_look = now.saturating_add(as_millis(shortest(self.until)));
    }

    /// The relay answered to a look that began then; true when it had not before.
    pub(crate) fn answered(&mut self, fresh: usize, began: i64, now: i64) -> bool {
        self.was_asked = true;
        let longest = match self.until {
            Until::Empty => Duration::ZERO,
            Until::Stopped { interval, .. } => interval,
        };
        if fresh > 0 {
            self.pause = shortest(self.until);
            self.next_look = now;
            self.busy_at = now;
        } else {
            // The look took most of the pause, unless the relay shows what it will not let go.
            self.next_look = began.saturating_add(as_millis(self.pause));
            self.pause = self.pause.mul_f64(1.5).min(longest);
        }
        self.backoff.take().is_some()
    }

    /// The relay did not answer; true when it had before.
    pub(crate) fn failed(&mut self, now: i64) -> bool {
        self.was_asked = true;
        let is_first = self.backoff.is_none();
        let next = match self.backoff {
            None => self.pause.max(BUSY),
            Some(backoff) => backoff.saturating_mul(2),
        };
        let backoff = next.min(LONGEST_BACKOFF);
        self.backoff = Some(backoff);
        self.next_look = now.saturating_add(as_millis(jittered(backoff)));
        is_first
    }

    /// Whether nothing more is to be asked for.
    pub(crate) fn is_done(&self) -> bool {
        self.until == Until::Empty && self.was_asked
    }

    /// How long nothing may happen from now on until the work is over; `None` for ever.
    pub(crate) fn idle_left(&self, now: i64) -> Option<i64> {
        match self.until {
            Until::Empty => self.was_asked.then_some(0),
            Until::Stopped { idle, .. } => {
                let idle = as_millis(idle?);
                let passed = now.saturating_sub(self.busy_at).max(0);
                Some(idle.saturating_sub(passed))
            }
        }
    }
}

fn shortest(until: Until) -> Duration {
    match until {
        Until::Empty => Duration::ZERO,
        Until::Stopped { interval, .. } => BUSY.min(interval),
    }
}

/// Up to a quarter longer, so that many workers do not return at the same moment.
fn jittered(pause: Duration) -> Duration {
    let quarter = as_millis(pause).unsigned_abs() / 4;
    pause + Duration::from_millis(jitter() % (quarter + 1))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{BUSY, LONGEST_BACKOFF, Pace, Until, jittered};

    const INTERVAL: Duration = Duration::from_secs(2);
    const FOLLOWING: Until = Until::Stopped {
        interval: INTERVAL,
        idle: None,
    };

    #[test]
    fn it_looks_less_often_while_nothing_comes_and_at_once_when_something_does() {
        let mut pace = Pace::new(FOLLOWING, 0);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let (_, pause) = pace.look(0);
            pauses.push(pause.as_millis());
            pace.begin_look(0);
            pace.answered(0, 0, 0);
        }
        assert_eq!(pauses, [200, 300, 450, 675, 1012, 1518, 2000, 2000]);
        pace.answered(1, 0, 9);
        assert_eq!(pace.look(9), (Duration::ZERO, BUSY));
    }

    #[test]
    fn an_answer_without_news_that_comes_at_once_is_not_asked_for_at_once_again() {
        let mut pace = Pace::new(FOLLOWING, 0);
        pace.begin_look(1000);
        pace.answered(0, 1000, 1001);
        assert_eq!(pace.look(1001).0, BUSY - Duration::from_millis(1));
        // One that took all of the pause is followed by the next.
        pace.begin_look(1200);
        pace.answered(0, 1200, 1600);
        assert_eq!(pace.look(1600).0, Duration::ZERO);
    }

    #[test]
    fn a_clock_that_was_set_back_delays_a_look_by_a_pause_at_most() {
        let mut pace = Pace::new(FOLLOWING, 1_000_000);
        pace.begin_look(1_000_000);
        assert_eq!(pace.look(0).0, BUSY);
    }

    #[test]
    fn a_relay_that_does_not_answer_is_asked_ever_less_often_until_it_does() {
        let mut pace = Pace::new(FOLLOWING, 0);
        assert!(pace.failed(0));
        for _ in 0..20 {
            assert!(!pace.failed(0));
        }
        let (before, wait) = pace.look(0);
        assert!((LONGEST_BACKOFF..=LONGEST_BACKOFF.mul_f64(1.25)).contains(&before));
        assert_eq!(wait, Duration::ZERO);
        // It passes while something else is waited for.
        assert!(pace.look(50_000).0 < before);
        assert_eq!(pace.look(80_000).0, Duration::ZERO);
        assert!(pace.answered(0, 0, 0));
        assert!(!pace.answered(0, 0, 0));
        assert!(pace.look(0).0 <= INTERVAL);
    }

    #[test]
    fn without_an_end_it_goes_on_and_with_one_it_counts_from_the_last_event() {
        let pace = Pace::new(FOLLOWING, 0);
        assert_eq!(pace.idle_left(i64::MAX), None);
        let mut pace = Pace::new(
            Until::Stopped {
                interval: INTERVAL,
                idle: Some(Duration::from_secs(5)),
            },
            0,
        );
        assert_eq!(pace.idle_left(2000), Some(3000));
        pace.stir(2000);
        assert_eq!(pace.idle_left(2000), Some(5000));
        assert_eq!(pace.idle_left(8000), Some(-1000));
    }

    #[test]
    fn jitter_adds_at_most_a_quarter() {
        for _ in 0..100 {
            let pause = jittered(LONGEST_BACKOFF);
            assert!((LONGEST_BACKOFF..=LONGEST_BACKOFF.mul_f64(1.25)).contains(&pause));
        }
    }
}
