//! Running what waits for the network.

use std::{fs, sync::LazyLock};

use anyhow::Result;
use ctalk::Class;
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};

use crate::exit::Complaint;

/// Runs `work` on this thread to its end, or until Ctrl-C.
pub(crate) fn run<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        // Before the work begins, so that Ctrl-C ends all of it in the same way.
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::select! {
            outcome = work => outcome,
            _ = interrupt.recv() => Err(interrupted()),
        }
    });
    // A name that is still being looked up must not hold up the exit.
    runtime.shutdown_background();
    outcome
}

/// Runs `work` on this thread to its end, whatever signals come; it looks after them itself.
pub(crate) fn run_through<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(work);
    runtime.shutdown_background();
    outcome
}

/// A signal that asks to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM, SIGQUIT, or SIGHUP when the terminal is gone.
    Terminate,
}

/// Waits for as many signals from now on, and returns the last; for ever where signals cannot be heard,
/// because they end the process then anyway.
pub(crate) async fn signalled(times: usize) -> Signal {
    let ignores_hangup = *IGNORES_HANGUP;
    let (Ok(mut interrupt), Ok(mut terminate), Ok(mut quit)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
        signal(SignalKind::quit()),
    ) else {
        return std::future::pending().await;
    };
    let mut hangup = if ignores_hangup {
        None
    } else {
        signal(SignalKind::hangup()).ok()
    };
    let mut last = Signal::Interrupt;
    for _ in 0..times {
        let hung_up = async {
            match &mut hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        last = tokio::select! {
            _ = interrupt.recv() => Signal::Interrupt,
            _ = terminate.recv() => Signal::Terminate,
            _ = quit.recv() => Signal::Terminate,
            _ = hung_up => Signal::Terminate,
        };
    }
    last
}

/// Whether ctalk was started to outlive its terminal, as `nohup` does it: hearing a signal would undo
/// that. It is looked up once, because a signal that is heard is no longer ignored. Where there is no
/// Linux to ask, nothing is ignored.
static IGNORES_HANGUP: LazyLock<bool> = LazyLock::new(|| {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    // A mask in hex; the lowest bit is signal 1, SIGHUP.
    let mut masks = status
        .lines()
        .filter_map(|line| line.strip_prefix("SigIgn:"));
    let mask = masks
        .next()
        .map(|mask| u64::from_str_radix(mask.trim(), 16));
    matches!(mask, Some(Ok(mask)) if mask & 1 == 1)
});

impl From<Signal> for anyhow::Error {
    fn from(_: Signal) -> Self {
        interrupted()
    }
}

fn interrupted() -> anyhow::Error {
    Complaint::new(Class::Interrupted, "interrupted").into()
}

/// Runs `work` on another thread, which is left behind when the waiting for it ends early.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await?
}
