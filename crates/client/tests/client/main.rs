//! The client against real relays, honest and hostile.

// Tests may panic.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod agents;
mod ahead;
mod bounds;
mod call;
mod claims;
mod contact_list;
mod crash;
mod delivery;
mod edges;
mod endings;
mod following;
mod hostile_inbox;
mod hostile_relay;
mod lying_relay;
mod native;
mod newer_store;
mod openclaw;
mod opendialogue;
mod other_relays;
mod outbox;
mod pairing;
mod parts;
mod policy;
mod push;
mod receipts;
mod rotation;
mod scene;
mod several;
mod trust_model;
mod verification;
mod webhooks;
mod worker;
mod wtt;
