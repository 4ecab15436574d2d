//! The relay over real HTTP on real ports.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod accounts;
mod backups;
mod batches;
mod conformance;
mod connections;
mod crowding;
mod departures;
mod dependencies;
mod durability;
mod faults;
mod hostile;
mod idle;
mod isolation;
mod keys;
mod listening;
mod monitoring;
mod process;
mod quotas;
mod registrations;
mod siege;
mod streams;
mod support;
mod target;
mod webhooks;
mod webhooks_tls;
