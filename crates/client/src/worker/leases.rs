//! Keeping the leases of messages in hand alive, whatever else the worker waits for at the moment.

use std::{path::PathBuf, sync::Arc, time::Duration};

use crate::{
    client::as_millis,
    clock::Clock,
    receive::LEASE,
    store::{Fence, Store, StoreError},
};

/// The messages that handlers of this worker have in hand.
///
/// Their leases are renewed over a connection to the store of its own, because the worker's is taken
/// while it waits for the relay.
pub(super) struct Leases {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    store: Option<Store>,
    held: Vec<Fence>,
    /// When they are renewed next, by the monotonic clock in milliseconds.
    next: i64,
}

impl Leases {
    pub(super) fn new(path: PathBuf, clock: Arc<dyn Clock>) -> Self {
        Self {
            next: clock.monotonic(),
            path,
            clock,
            store: None,
            held: Vec::new(),
        }
    }

    pub(super) fn hold(&mut self, claim: Fence) {
        if self.held.is_empty() {
            self.next = self.in_a_while();
        }
        self.held.push(claim);
    }

    pub(super) fn let_go(&mut self, claim: Fence) {
        self.held.retain(|held| *held != claim);
    }

    /// Waits until they are to be renewed. The clock that leases count by is looked at anew each time,
    /// because the machine may have slept.
    pub(super) async fn wait(&self) {
        let left = self.next.saturating_sub(self.clock.monotonic());
        let left = Duration::from_millis(u64::try_from(left).unwrap_or(0));
        tokio::time::sleep(left.min(LEASE / 3)).await;
    }

    /// Renews them if it is time.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) fn renew(&mut self) -> Result<(), StoreError> {
        if self.held.is_empty() || self.clock.monotonic() < self.next {
            return Ok(());
        }
        let store = match &mut self.store {
            Some(store) => store,
            None => self.store.insert(Store::open(&self.path, None)?),
        };
        let until = self.clock.monotonic().saturating_add(as_millis(LEASE));
        store.renew(&self.held, until)?;
        self.next = self.in_a_while();
        Ok(())
    }

    fn in_a_while(&self) -> i64 {
        let now = self.clock.monotonic();
        now.saturating_add(as_millis(LEASE / 3))
    }
}
