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
            _ = interrupt.recv() => Err(Complaint::new(Class::Interrupted, "interrupted").into()),
        }
    });
    // A name that is still being looked up must not hold up the exit.
    runtime.shutdown_background();
    outcome
}

/// Runs `work` on another thread, which is left behind when the waiting for it ends early.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await?
}
