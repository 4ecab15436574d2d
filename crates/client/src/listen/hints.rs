//! Asking a relay when there is a reason to.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use ctalk_core::{Card, classic};
use tokio::sync::Notify;

use crate::{
    client::as_millis,
    clock::Clock,
    relay::{Accepted, Delivery, Incoming, Outgoing, Peeked, Relay, RelayError},
    store::Stored,
};

/// That something may have come to the relay. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Hints(Arc<Given>);

#[derive(Debug, Default)]
struct Given {
    count: AtomicU64,
    newer: Notify,
}

impl Hints {
    /// Says that something came.
    pub(super) fn give(&self) {
        self.0.count.fetch_add(1, Ordering::SeqCst);
        self.0.newer.notify_waiters();
    }

    /// The same relay, which is asked for messages after a hint, and else once in `longest`.
    pub(super) fn before(
        &self,
        relay: Arc<dyn Relay>,
        clock: Arc<dyn Clock>,
        longest: Duration,
    ) -> Arc<dyn Relay> {
        Arc::new(Hinted {
            relay,
            clock,
            hints: self.clone(),
            longest: as_millis(longest),
            // The first call asks.
            heeded: AtomicU64::new(u64::MAX),
            asked: AtomicI64::new(0),
        })
    }
}

struct Hinted {
    relay: Arc<dyn Relay>,
    clock: Arc<dyn Clock>,
    hints: Hints,
    /// In milliseconds.
    longest: i64,
    /// The count of hints after which nothing was left at the relay.
    heeded: AtomicU64,
    /// When nothing was left, by the monotonic clock.
    asked: AtomicI64,
}

impl Hinted {
    /// How long nobody needs to ask, without a hint.
    fn rest(&self, count: u64) -> Duration {
        if self.heeded.load(Ordering::SeqCst) != count {
            return Duration::ZERO;
        }
        let since = self.clock.monotonic() - self.asked.load(Ordering::SeqCst);
        let left = self.longest.saturating_sub(since.max(0));
        Duration::from_millis(u64::try_from(left).unwrap_or(0))
    }
}

#[async_trait]
impl Relay for Hinted {
    async fn fetch(&self, wait: Duration) -> Result<Vec<Delivery>, RelayError> {
        let began = self.clock.monotonic();
        loop {
            // From here on no hint is missed.
            let newer = self.hints.0.newer.notified();
            let count = self.hints.0.count.load(Ordering::SeqCst);
            let rest = self.rest(count);
            if rest.is_zero() {
                let deliveries = self.relay.fetch(Duration::ZERO).await?;
                if !deliveries.is_empty() {
                    return Ok(deliveries);
                }
                self.asked.store(self.clock.monotonic(), Ordering::SeqCst);
                self.heeded.store(count, Ordering::SeqCst);
                continue;
            }
            let passed = self.clock.monotonic().saturating_sub(began);
            let passed = Duration::from_millis(u64::try_from(passed).unwrap_or(0));
            let left = wait.saturating_sub(passed).min(rest);
            if left.is_zero() {
                return Ok(Vec::new());
            }
            tokio::select! {
                () = newer => {}
                () = self.clock.sleep(left) => {}
            }
        }
    }

    fn url(&self) -> &str {
        self.relay.url()
    }

    fn longest_text(&self) -> usize {
        self.relay.longest_text()
    }

    fn is_mine(&self) -> bool {
        self.relay.is_mine()
    }

    async fn send(&self, outgoing: &Outgoing) -> Result<Accepted, RelayError> {
        self.relay.send(outgoing).await
    }

    fn take_buffered(&self) -> Vec<Delivery> {
        self.relay.take_buffered()
    }

    async fn close(&self) -> Vec<Delivery> {
        self.relay.close().await
    }

    async fn acknowledge(&self, stored: Stored) -> Result<usize, RelayError> {
        self.relay.acknowledge(stored).await
    }

    async fn peek(&self) -> Result<Peeked, RelayError> {
        self.relay.peek().await
    }

    async fn directory(&self) -> Result<Vec<ctalk_wire::DirectoryEntry>, RelayError> {
        self.relay.directory().await
    }

    async fn publish(
        &self,
        name: &str,
        card: &Card,
        successions: &[String],
    ) -> Result<(), RelayError> {
        self.relay.publish(name, card, successions).await
    }

    fn read(&self, raw: &[u8]) -> Result<Incoming, classic::Malformed> {
        self.relay.read(raw)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, atomic::AtomicUsize};

    use super::*;

    /// Stands still but for those who sleep.
    #[derive(Default)]
    struct Passing(AtomicI64);

    #[async_trait]
    impl Clock for Passing {
        fn now(&self) -> i64 {
            self.0.load(Ordering::SeqCst)
        }

        async fn sleep(&self, duration: Duration) {
            self.0.fetch_add(as_millis(duration), Ordering::SeqCst);
        }
    }

    /// Answers with what it was given, in that order, and else that there is nothing.
    #[derive(Default)]
    struct Scripted {
        asked: AtomicUsize,
        answers: Mutex<Vec<Result<Vec<Delivery>, RelayError>>>,
    }

    #[async_trait]
    impl Relay for Scripted {
        fn url(&self) -> &str {
            "scripted"
        }

        async fn send(&self, _: &Outgoing) -> Result<Accepted, RelayError> {
            Err(RelayError::BadKey)
        }

        async fn fetch(&self, _: Duration) -> Result<Vec<Delivery>, RelayError> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            self.answers.lock().unwrap().pop().unwrap_or(Ok(Vec::new()))
        }
    }

    #[tokio::test]
    async fn the_relay_is_asked_at_the_start_after_a_hint_until_nothing_is_left_and_once_in_a_while()
     {
        const LOOK: Duration = Duration::from_secs(2);
        let relay = Arc::new(Scripted::default());
        let hints = Hints::default();
        let clock = Arc::new(Passing::default());
        let hinted = hints.before(relay.clone(), clock.clone(), Duration::from_secs(60));
        let asked = || relay.asked.load(Ordering::SeqCst);
        assert_eq!(hinted.fetch(LOOK).await.unwrap(), []);
        assert_eq!((asked(), clock.now()), (1, 2000), "it waited all the time");
        hinted.fetch(LOOK).await.unwrap();
        hinted.fetch(Duration::ZERO).await.unwrap();
        assert_eq!(asked(), 1);
        hints.give();
        let delivery = Delivery {
            relay_id: None,
            sent_at: None,
            raw: Box::default(),
        };
        let page = || Ok(vec![delivery.clone()]);
        *relay.answers.lock().unwrap() = vec![page(), Err(RelayError::BadKey), page()];
        assert_eq!(hinted.fetch(LOOK).await.unwrap().len(), 1);
        assert!(hinted.fetch(Duration::ZERO).await.is_err());
        assert_eq!(hinted.fetch(Duration::ZERO).await.unwrap().len(), 1);
        assert_eq!(hinted.fetch(Duration::ZERO).await.unwrap(), []);
        assert_eq!(asked(), 5);
        let quiet = clock.now();
        while asked() == 5 {
            hinted.fetch(LOOK).await.unwrap();
        }
        let passed = clock.now() - quiet;
        assert!((60_000..=64_000).contains(&passed), "{passed}");
    }

    #[tokio::test]
    async fn a_hint_ends_a_wait() {
        let relay = Arc::new(Scripted::default());
        let hints = Hints::default();
        let day = Duration::from_secs(86_400);
        let hinted = hints.before(relay.clone(), Arc::new(crate::clock::SystemClock), day);
        hinted.fetch(Duration::ZERO).await.unwrap();
        let delivery = Delivery {
            relay_id: None,
            sent_at: None,
            raw: Box::default(),
        };
        let (page, ()) = tokio::join!(hinted.fetch(day), async {
            *relay.answers.lock().unwrap() = vec![Ok(vec![delivery])];
            hints.give();
        });
        assert_eq!(page.unwrap().len(), 1);
    }
}
