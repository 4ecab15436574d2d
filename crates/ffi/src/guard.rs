//! The boundary that no panic passes.

use std::{
    any::Any,
    mem::ManuallyDrop,
    panic::{self, AssertUnwindSafe},
};

use crate::{caller::Caller, code::Code, error::Fault, fault};

/// Runs the body of an export and turns what becomes of it into a code, and into an error where the
/// caller has a place for one.
pub(crate) fn guard(caller: Caller, body: impl FnOnce(&Caller) -> Result<(), Fault>) -> Code {
    // What a panic leaves behind halfway is looked at by nobody: outputs are written last, and locks
    // are taken over as they are.
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
        fault::point()?;
        body(&caller)
    }));
    let fault = match outcome {
        Ok(Ok(())) => return Code::CTALK_OK,
        Ok(Err(fault)) => fault,
        // Not what the panic says: that may hold anything.
        Err(panic) => {
            discard(panic);
            Fault::new(
                Code::CTALK_PANIC,
                "this is a bug in ctalk; please report it with what stderr says",
            )
        }
    };
    let code = fault.code;
    let reported = panic::catch_unwind(AssertUnwindSafe(|| caller.report(fault)));
    if let Err(panic) = reported {
        discard(panic);
    }
    code
}

/// As [`guard`] for an export that returns a value: `default` where there is none, or after a panic.
pub(crate) fn guard_value<T>(default: T, body: impl FnOnce() -> Option<T>) -> T {
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
        fault::point().ok()?;
        body()
    }));
    outcome
        .unwrap_or_else(|panic| {
            discard(panic);
            None
        })
        .unwrap_or(default)
}

/// Drops what a panic said, which may be anything, and may panic in its turn: that one stays.
fn discard(panic: Box<dyn Any + Send>) {
    if let Err(again) = panic::catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        let _ = ManuallyDrop::new(again);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("as it was dropped");
        }
    }

    #[test]
    fn a_panic_whose_payload_panics_too_gets_no_further() {
        assert_eq!(guard_value(7, || panic::panic_any(Bomb)), 7);
        // SAFETY: there is no place for an error.
        let caller = unsafe { Caller::new(std::ptr::null_mut()) };
        let code = guard(caller, |_| panic::panic_any(Bomb));
        assert_eq!(code, Code::CTALK_PANIC);
    }
}
