//! The C ABI of ctalk. What callers see is described in `ctalk.h`, which is generated from here.
//!
//! Every export has one shape. It is `unsafe`, because a C caller can pass anything; the first thing
//! it does is to turn that into a [`Caller`](caller::Caller), the proof that the rules in `ctalk.h`
//! were accepted, through which alone pointers are read and written. The rest runs within
//! [`guard`](guard::guard), from which no panic gets out, and is safe code. Handles are no pointers
//! at all: [`handle`] looks each one up, so that a freed or foreign one is an error.

#![allow(
    non_camel_case_types,
    reason = "the types of the header are named as C names types"
)]
#![allow(
    clippy::missing_safety_doc,
    reason = "the rules for callers are the same everywhere, and stand at the top of ctalk.h"
)]

mod agent;
pub mod bytes;
mod caller;
pub mod card;
pub mod classic;
pub mod client;
pub mod code;
pub mod contacts;
pub mod envelope;
pub mod error;
pub mod fault;
mod guard;
pub mod handle;
pub mod identity;
pub mod message;
#[cfg(test)]
mod online_tests;
pub mod opened;
mod options;
mod process;
pub mod profile;
pub mod receipt;
pub mod relay;
mod shown;
pub mod stopper;
pub mod stream;
pub mod trust;
pub mod version;

/// The operating system's randomness.
fn rng() -> impl rand_core::CryptoRng {
    rand_core::UnwrapErr(getrandom::SysRng)
}
