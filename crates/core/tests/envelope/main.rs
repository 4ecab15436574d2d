//! Envelopes, cards and safety numbers as their users see them: made, altered, forged and read.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod attacks;
mod boundaries;
mod cards;
mod forge;
mod known_answers;
mod safety;
mod silence;
mod streaming;
mod support;
mod vectors;
mod worked_example;
