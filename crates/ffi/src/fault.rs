//! Failures on demand, so that tests can see every number and what a panic becomes.

use crate::error::Fault;

/// Where every export begins. Does nothing outside tests.
#[cfg(not(any(test, feature = "fault-points")))]
#[inline]
pub(crate) const fn point() -> Result<(), Fault> {
    Ok(())
}

#[cfg(any(test, feature = "fault-points"))]
pub(crate) use demanded::point;

/// The part that is there for tests.
#[cfg(any(test, feature = "fault-points"))]
pub mod demanded {
    use std::cell::Cell;

    use super::Fault;
    use crate::code::Code;

    thread_local! {
        static NEXT: Cell<u32> = const { Cell::new(0) };
    }

    /// Fails once as [`ctalk_fault_next`] was told to.
    #[allow(clippy::panic, reason = "so that tests see what becomes of it")]
    pub(crate) fn point() -> Result<(), Fault> {
        match Code::from_number(NEXT.take()) {
            None | Some(Code::CTALK_OK) => Ok(()),
            Some(Code::CTALK_PANIC) => panic!("as demanded"),
            Some(code) => Err(Fault::new(code, "as demanded")),
        }
    }

    /// Makes the next call on this thread fail with a code; with CTALK_PANIC it panics.
    #[unsafe(no_mangle)]
    pub extern "C" fn ctalk_fault_next(code: u32) {
        NEXT.set(code);
    }
}
