//! What is linked.

use crate::{bytes::ctalk_slice, guard::guard_value};

/// The version of this interface. It grows with every change that existing programs would notice; new
/// functions, codes, options and JSON members are none.
pub const CTALK_ABI_VERSION: u32 = 1;

/// CTALK_ABI_VERSION of the library that is linked, which a program compares with that of its header.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_abi_version() -> u32 {
    guard_value(0, || Some(CTALK_ABI_VERSION))
}

/// The library's own version, such as `0.1.0`. Valid for ever.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_version() -> ctalk_slice {
    guard_value(ctalk_slice::NONE, || {
        Some(ctalk_slice::of(env!("CARGO_PKG_VERSION").as_bytes()))
    })
}
