//! Whether the relay can do what agents come for.

use std::time::Duration;

use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::metrics::StoreMetrics;
use crate::store::Store;

/// How long the outcome of a check counts: whoever asks more often causes no more writing.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// The longest that a write may take to count as possible.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why no agent should be sent to this relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Unready {
    /// Its database is not open yet.
    Starting,
    /// It was told to stop.
    Stopping,
    /// Its disk takes no messages.
    Storage,
}

/// What a check found, and when.
struct Checked {
    at: Instant,
    outcome: Result<(), Unready>,
    /// How many changes had failed by then.
    failed: u64,
    /// How many commits had succeeded by then.
    committed: u64,
}

impl Checked {
    /// Whether neither time nor what happened since speak against it.
    fn holds(&self, metrics: &StoreMetrics) -> bool {
        let is_unchanged = match self.outcome {
            Ok(()) => metrics.failed_changes.get() == self.failed,
            Err(_) => metrics.committed.get() == self.committed,
        };
        is_unchanged && self.at.elapsed() < CHECK_INTERVAL
    }
}

/// The last check.
#[derive(Default)]
pub(crate) struct Readiness(Mutex<Option<Checked>>);

impl Readiness {
    /// Finds out whether `store` takes messages, by storing one, unless that is known.
    pub(crate) async fn check(&self, store: &Store) -> Result<(), Unready> {
        let mut checked = self.0.lock().await;
        let metrics = store.metrics();
        if let Some(checked) = checked.as_ref().filter(|checked| checked.holds(metrics)) {
            return checked.outcome;
        }
        let outcome = match timeout(PATIENCE, store.probe()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Unready::Storage),
        };
        *checked = Some(Checked {
            at: Instant::now(),
            outcome,
            failed: metrics.failed_changes.get(),
            committed: metrics.committed.get(),
        });
        outcome
    }
}
