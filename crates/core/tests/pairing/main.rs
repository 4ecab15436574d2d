//! Pairing as its users and its enemies see it.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod attacks;
mod codes;
mod flow;
mod parsing;
mod scene;
mod silence;
#[path = "../envelope/support.rs"]
#[allow(dead_code, reason = "the tests of envelopes use the rest")]
mod support;
mod vectors;
