//! The crate as its users see it: keys, trust, and messages made, altered and read.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod keygen;
mod keys;
mod parsing;
mod silence;
mod support;
mod tampering;
mod trust;
mod vectors;
