//! What is counted and measured for monitoring.
//!
//! No label can have values without bound: methods, routes and statuses are this crate's own.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::store::Totals;

/// Bounds of the buckets for times, in seconds: from 0.1 ms to 6.6 s.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(1e-4, 3.0, 11))
}

/// What a request was and how it ended.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    /// The template of the route.
    route: String,
    status: u16,
}

/// What the store measures itself.
#[derive(Clone)]
pub(crate) struct StoreMetrics {
    /// Commits that reached the disk.
    pub(crate) committed: Counter,
    /// And by how many changes shared them.
    pub(crate) batches: Histogram,
    /// Changes that were not stored, as on a full disk.
    pub(crate) failed_changes: Counter,
    /// How long committing took.
    pub(crate) commits: Histogram,
    /// How long reading took.
    pub(crate) reads: Histogram,
    /// Messages that were accepted.
    pub(crate) accepted: Counter,
}

impl Default for StoreMetrics {
    fn default() -> Self {
        Self {
            committed: Counter::default(),
            batches: Histogram::new(exponential_buckets(1.0, 2.0, 9)),
            failed_changes: Counter::default(),
            commits: seconds(),
            reads: seconds(),
            accepted: Counter::default(),
        }
    }
}

/// Bytes that peers and relay exchanged, as they were on the network.
#[derive(Clone, Default)]
pub(crate) struct Traffic {
    pub(crate) received: Counter,
    pub(crate) sent: Counter,
}

/// One more of what `gauge` counts while this lives.
pub(crate) struct OneMore(Gauge);

impl OneMore {
    pub(crate) fn of(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for OneMore {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Everything that `GET /metrics` shows.
pub(crate) struct Metrics {
    registry: Registry,
    answered: Family<Answered, Counter>,
    pub(crate) rate_limited: Counter,
    pub(crate) connections: Gauge,
    /// Closed because there was no place for them.
    pub(crate) refused_connections: Counter,
    /// Closed to make room.
    pub(crate) evicted_connections: Counter,
    pub(crate) streams: Gauge,
    pub(crate) traffic: Traffic,
    agents: Gauge,
    stored_messages: Gauge,
    stored_bytes: Gauge,
    database: Gauge,
}

impl Metrics {
    /// Metrics of a relay whose store measures `store`.
    pub(crate) fn new(store: &StoreMetrics) -> Self {
        let metrics = Self {
            registry: Registry::with_prefix("ctalk_relay"),
            answered: Family::default(),
            rate_limited: Counter::default(),
            connections: Gauge::default(),
            refused_connections: Counter::default(),
            evicted_connections: Counter::default(),
            streams: Gauge::default(),
            traffic: Traffic::default(),
            agents: Gauge::default(),
            stored_messages: Gauge::default(),
            stored_bytes: Gauge::default(),
            database: Gauge::default(),
        };
        metrics.registered(store)
    }

    fn registered(mut self, store: &StoreMetrics) -> Self {
        let all = &mut self.registry;
        all.register("requests", "Answered requests", self.answered.clone());
        all.register(
            "rate_limited",
            "Messages refused by the rate limit",
            self.rate_limited.clone(),
        );
        all.register(
            "accepted_messages",
            "Messages that were accepted, each once however many got it",
            store.accepted.clone(),
        );
        all.register("connections", "Open connections", self.connections.clone());
        all.register(
            "refused_connections",
            "Connections closed because all that could make room were in use",
            self.refused_connections.clone(),
        );
        all.register(
            "evicted_connections",
            "Idle connections closed to make room for new ones",
            self.evicted_connections.clone(),
        );
        all.register("streams", "Open streams of messages", self.streams.clone());
        let Traffic { received, sent } = &self.traffic;
        all.register_with_unit(
            "received",
            "What came over the network",
            Unit::Bytes,
            received.clone(),
        );
        all.register_with_unit(
            "sent",
            "What went over the network",
            Unit::Bytes,
            sent.clone(),
        );
        all.register(
            "commits",
            "Commits that reached the disk",
            store.committed.clone(),
        );
        all.register(
            "commit_changes",
            "Changes that shared a commit",
            store.batches.clone(),
        );
        all.register_with_unit(
            "commit",
            "How long commits took",
            Unit::Seconds,
            store.commits.clone(),
        );
        all.register(
            "failed_changes",
            "Changes that could not be stored, as on a full disk",
            store.failed_changes.clone(),
        );
        all.register_with_unit(
            "read",
            "How long reads of the database took",
            Unit::Seconds,
            store.reads.clone(),
        );
        all.register("agents", "Registered agents", self.agents.clone());
        all.register(
            "stored_messages",
            "Messages in all inboxes together",
            self.stored_messages.clone(),
        );
        all.register_with_unit(
            "stored",
            "Their envelopes",
            Unit::Bytes,
            self.stored_bytes.clone(),
        );
        all.register_with_unit(
            "database",
            "The database file, without its write-ahead log",
            Unit::Bytes,
            self.database.clone(),
        );
        self
    }

    /// Counts a request that was answered.
    pub(crate) fn answered(&self, method: &'static str, route: String, status: StatusCode) {
        let answered = Answered {
            method,
            route,
            status: status.as_u16(),
        };
        self.answered.get_or_create(&answered).inc();
    }

    /// All of it in the text format of OpenMetrics 1.0, with these totals.
    pub(crate) fn text(&self, totals: &Totals) -> Result<String, std::fmt::Error> {
        self.agents.set(totals.agents);
        self.stored_messages.set(totals.messages);
        self.stored_bytes.set(totals.bytes);
        self.database.set(totals.database);
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// Adds the time since `began` to `histogram`.
pub(crate) fn observe_since(histogram: &Histogram, began: Instant) {
    histogram.observe(Duration::as_secs_f64(&began.elapsed()));
}
