//! What must hold for any bytes: nothing panics, and what is accepted has one encoding.
//!
//! Each target is a function that panics where a rule is broken. Its libFuzzer program is in
//! `fuzz_targets/`, what was found worth keeping in `corpus/`. The tests of `ctalk-core` include this
//! file too and replay the corpus, so nothing here knows of libFuzzer.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a target fails by panicking"
)]

mod card;
mod classic;
mod content;
mod envelope;
mod pairing;
mod part;
mod people;
mod statement;
mod text;

/// A target: takes any bytes and says whether they were accepted as what they were taken for.
type Target = fn(&[u8]) -> bool;

/// The targets by name.
pub const TARGETS: &[(&str, Target)] = &[
    ("card", card::check),
    ("classic", classic::check),
    ("content", content::check),
    ("envelope", envelope::check),
    ("pairing", pairing::check),
    ("part", part::check),
    ("statement", statement::check),
    ("text", text::check),
];

/// Gives `data` to a target and says whether it was accepted.
///
/// # Panics
///
/// When the target finds a broken rule, or does not exist.
pub fn check(target: &str, data: &[u8]) -> bool {
    let (_, check) = TARGETS
        .iter()
        .find(|(name, _)| *name == target)
        .unwrap_or_else(|| panic!("there is no target `{target}`"));
    check(data)
}
