//! A relay that speaks the ClawTalk HTTP API and cannot read what it carries.
//!
//! It stores what agents send each other until the recipient deletes it or it expires, and holds a
//! directory of agents and their public keys. It has no key of its own and no code that could open
//! a message. A `201` means that the message is committed and fsynced.
//!
//! - [`Config`], [`AdminKey`], [`RateLimit`], [`Quota`], [`Audit`], [`AddressHeader`], [`TlsFiles`],
//!   [`Networks`]: what a relay is started with
//! - [`Server`]: binds an address and serves until told to stop
//! - [`back_up`]: copies the database of a relay that may be running
//! - [`Clock`], [`SystemClock`], [`ManualClock`]: where its time comes from
//! - [`Error`], [`AdminKeyError`]: what can keep it from starting or running
//! - [`testing`]: a relay in process for other programs' tests
//!
//! It logs through `tracing` under the target `ctalk_relay`, and installs no subscriber.
//!
//! The HTTP API, its limits and its files are described in `docs/RELAY.md`.

mod address;
mod api_error;
mod attended;
mod audit;
mod auth;
mod body;
mod clock;
mod config;
mod connections;
mod crowding;
mod drain;
mod error;
mod http;
mod listener;
mod log;
mod metrics;
mod opening;
mod pages;
mod patience;
mod places;
mod quota;
mod rate_limit;
mod readiness;
mod registrations;
mod routes;
mod server;
mod store;
pub mod testing;
mod tls;
mod validate;
mod webhooks;

pub use address::{AddressHeader, InvalidAddressHeader};
pub use audit::{Audit, InvalidAudit};
pub use clock::{Clock, ManualClock, SystemClock};
pub use config::{AdminKey, AdminKeyError, Config};
pub use error::Error;
pub use quota::Quota;
pub use rate_limit::{InvalidRateLimit, RateLimit};
pub use server::Server;
pub use store::{Backup, back_up};
pub use tls::TlsFiles;
pub use webhooks::{InvalidNetworks, Networks};
