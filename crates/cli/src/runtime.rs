//! Running what waits for the network.

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
    Terminate,
}

/// Waits for as many signals from now on, and returns the last; for ever where signals cannot be heard,
/// because they end the process then anyway.
pub(crate) async fn signalled(times: usize) -> Signal {
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        return std::future::pending().await;
    };
    let mut last = Signal::Interrupt;
    for _ in 0..times {
        last = tokio::select! {
            _ = interrupt.recv() => Signal::Interrupt,
            _ = terminate.recv() => Signal::Terminate,
        };
    }
    last
}

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
