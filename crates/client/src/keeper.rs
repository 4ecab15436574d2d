//! Keeping leases from a thread, for programs that call nothing while they have a message in hand.

use std::{
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crate::{
    client::{Client, as_millis},
    clock::Clock,
    error::Error,
    receive::LEASE,
    store::{Fence, Store, StoreError},
};

/// How long after a lease began it begins anew.
const PAUSE: Duration = Duration::from_secs(10);

/// A thread that renews leases until this is dropped.
pub(crate) struct Keeper {
    kept: Arc<Kept>,
    thread: Option<JoinHandle<()>>,
}

struct Kept {
    /// Between two renewals.
    pause: Duration,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    held: Vec<Fence>,
    /// When they are renewed.
    next: Option<Instant>,
    is_over: bool,
}

impl Client {
    /// Keeps the leases of everything in hand from now on, however long that takes, by a thread of its
    /// own. It ends with the client. For programs that go on with other things while they have a message
    /// in hand; [`Client::work`] does so itself.
    ///
    /// # Errors
    /// [`Error::Store`]: the store cannot be opened once more, or there is no thread.
    pub fn keep_leases(&mut self) -> Result<(), Error> {
        if self.keeper.is_none() {
            let keeper = Keeper::start(self.store.path(), self.clock.clone(), PAUSE)?;
            self.in_hand.keys().for_each(|claim| keeper.hold(*claim));
            self.keeper = Some(keeper);
        }
        Ok(())
    }
}

impl Keeper {
    fn start(path: PathBuf, clock: Arc<dyn Clock>, pause: Duration) -> Result<Self, StoreError> {
        let store = Store::open(&path, None)?;
        let kept = Arc::new(Kept {
            pause,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let work = Arc::clone(&kept);
        let thread = std::thread::Builder::new()
            .name("ctalk-leases".to_owned())
            .spawn(move || work.keep(store, &*clock))
            .map_err(|error| StoreError::io(&path, &error))?;
        Ok(Self {
            kept,
            thread: Some(thread),
        })
    }

    pub(crate) fn hold(&self, claim: Fence) {
        let mut state = self.kept.lock();
        if state.held.is_empty() {
            state.next = Some(Instant::now() + self.kept.pause);
        }
        state.held.push(claim);
        self.kept.changed.notify_one();
    }

    pub(crate) fn let_go(&self, claim: Fence) {
        self.kept.lock().held.retain(|held| *held != claim);
    }

    pub(crate) fn let_all_go(&self) {
        self.kept.lock().held.clear();
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.kept.lock().is_over = true;
        self.kept.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic was printed by its own thread.
            let _ = thread.join();
        }
    }
}

impl Kept {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, mut store: Store, clock: &dyn Clock) {
        let mut state = self.lock();
        while !state.is_over {
            let Some(next) = state.next.filter(|_| !state.held.is_empty()) else {
                let waited = self.changed.wait(state);
                state = waited.unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = next.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                let waited = self.changed.wait_timeout(state, left);
                (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.next = Some(Instant::now() + self.pause);
            let held = state.held.clone();
            drop(state);
            let until = clock.monotonic().saturating_add(as_millis(LEASE));
            // If that fails, there is another try before the leases are over.
            let _ = store.renew(&held, until);
            state = self.lock();
        }
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use rusqlite::Connection;

    use super::*;
    use crate::{
        relay::Delivery,
        store::{Claim, Claimable, Mark},
    };

    /// It is always the same time.
    struct Stopped(i64);

    #[async_trait]
    impl Clock for Stopped {
        fn now(&self) -> i64 {
            self.0
        }

        async fn sleep(&self, _: Duration) {}
    }

    #[test]
    fn the_lease_of_a_message_that_is_held_is_renewed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.sqlite");
        let mut store = Store::open(&path, Some("https://relay.example")).unwrap();
        let delivery = Delivery {
            relay_id: None,
            sent_at: Some(1),
            raw: b"bytes".as_slice().into(),
        };
        assert_eq!(store.admit(&[delivery], 1).unwrap().fresh(), 1);
        let mark = Mark::Native {
            sender: [1; 32],
            id: [2; 16],
            digest: [3; 32],
            expires: i64::MAX,
        };
        let claim = Claim {
            number: store.last_number().unwrap(),
            mark: &mark,
            ordered_by: None,
            until: 1,
            most_attempts: None,
            contact: None,
        };
        let Claimable::Yes(fence) = store.claimable(&claim).unwrap() else {
            panic!("it is free");
        };
        store.claim(&claim, None, fence).unwrap();
        let other = Connection::open(&path).unwrap();
        let lease = || -> i64 {
            let query = "SELECT lease FROM inbox";
            other.query_row(query, [], |row| row.get(0)).unwrap()
        };

        let clock = Arc::new(Stopped(1_000_000));
        let keeper = Keeper::start(path, clock, Duration::from_millis(1)).unwrap();
        assert_eq!(lease(), 1);
        keeper.hold(fence);
        while lease() == 1 {
            std::thread::yield_now();
        }
        assert_eq!(lease(), 1_000_000 + as_millis(LEASE));
        keeper.let_go(fence);
        drop(keeper);
    }
}
