//! Points at which a test can end the process: before and after each durable write.
//!
//! Without the feature `fault-points`, which only tests switch on, there are none.

/// On which side of a durable write a point lies.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Side {
    Before,
    After,
}

#[cfg(not(feature = "fault-points"))]
pub(crate) const fn point(_write: &'static str, _side: Side) {}

/// Passes a point. `CTALK_FAULT_LOG` names a file that gets a line for each one passed, and with
/// `CTALK_FAULT_AT` the process ends at the point with that number, the first being 1, as if it were
/// killed.
#[cfg(feature = "fault-points")]
pub(crate) fn point(write: &'static str, side: Side) {
    use std::{
        env,
        fs::OpenOptions,
        io::Write,
        process,
        sync::atomic::{AtomicU64, Ordering},
    };

    static PASSED: AtomicU64 = AtomicU64::new(0);

    let number = PASSED.fetch_add(1, Ordering::SeqCst) + 1;
    if let Some(path) = env::var_os("CTALK_FAULT_LOG")
        && let Ok(mut log) = OpenOptions::new().create(true).append(true).open(path)
    {
        let _ = writeln!(log, "{write} {side:?}");
    }
    let end = env::var("CTALK_FAULT_AT").ok();
    if end.and_then(|end| end.parse().ok()) == Some(number) {
        process::abort();
    }
}
