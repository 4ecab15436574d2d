//! The boundary that no panic passes.

use std::panic::{self, AssertUnwindSafe};

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
        Err(_) => Fault::new(
            Code::CTALK_PANIC,
            "this is a bug in ctalk; please report it with what stderr says",
        ),
    };
    let code = fault.code;
    caller.report(fault);
    code
}

/// As [`guard`] for an export that returns a value: `default` where there is none, or after a panic.
pub(crate) fn guard_value<T>(default: T, body: impl FnOnce() -> Option<T>) -> T {
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
        fault::point().ok()?;
        body()
    }));
    outcome.ok().flatten().unwrap_or(default)
}
