//! Envelopes, cards, other statements and safety numbers as their users see them: made, altered,
//! forged and read.
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
mod endings;
mod forge;
mod forged_part;
mod forged_statement;
mod known_answers;
mod parts;
mod receipts;
mod safety;
mod silence;
mod statement_vectors;
mod statements;
mod streaming;
mod support;
mod vectors;
mod worked_example;
