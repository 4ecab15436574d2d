//! Sees what other processes of the agent write into the store, so that what one of them leaves in the
//! outbox does not wait until the relay says something.

use std::{path::Path, time::Duration};

use crate::{
    clock::Clock,
    relay::Relay,
    store::{Store, StoreError},
};

/// How often it is looked. It costs a look at shared memory.
const LOOK: Duration = Duration::from_millis(100);

pub(super) struct Watch {
    /// Of its own, because to a connection its own writes are no change.
    store: Store,
    version: i64,
}

impl Watch {
    pub(super) fn new(path: &Path, relay: &dyn Relay) -> Result<Self, StoreError> {
        let store = Store::open(path, Some(relay.url()))?;
        let version = store.version()?;
        Ok(Self { store, version })
    }

    /// Waits until there is something to do that was not there before: a message to be sent, or anything
    /// at all where another process talks to the relay.
    pub(super) async fn changed(&mut self, relay: &dyn Relay, clock: &dyn Clock) {
        loop {
            tokio::time::sleep(LOOK).await;
            // Whoever works with the store meets its trouble too, and tells of it.
            let Ok(version) = self.store.version() else {
                continue;
            };
            if std::mem::replace(&mut self.version, version) == version {
                continue;
            }
            let is_due = || self.store.has_outgoing_due(clock.now(), clock.monotonic());
            if !relay.is_mine() || matches!(is_due(), Ok(true)) {
                return;
            }
        }
    }
}
