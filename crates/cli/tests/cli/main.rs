//! The binary itself: what it prints, where, and with which exit code.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod admin;
mod backup;
mod bad_input;
mod calls;
mod cards;
mod contacts;
mod demo;
mod docs;
mod doctor;
mod endings;
mod envelopes;
mod exchange;
mod handlers;
mod inbox;
mod key_stores;
mod keyring;
mod large;
mod listen;
mod openclaw;
mod opendialogue;
mod outbox;
mod pairing;
mod passwd;
mod policy;
mod processes;
mod progress;
mod relay;
mod relays;
mod rotation;
mod saving;
mod service;
mod skill;
mod support;
mod trust;
mod workers;
mod wtt;
