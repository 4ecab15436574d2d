//! A child process with all it starts: fed, drained, and never left behind.

use std::{
    io,
    os::unix::process::ExitStatusExt,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use super::Show;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{ChildStdin, ChildStdout, Command},
    time::timeout,
};

/// How long a process may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(2);
/// How long a pipe is still served after the process has ended, when something else holds it open.
const LINGER: Duration = Duration::from_secs(1);
/// How much is read at once, in bytes: what a pipe holds.
const CHUNK: usize = 64 << 10;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// By itself, with this code.
    Exit(i32),
    /// By this signal.
    Signal(i32),
    /// It was ended because its time was over.
    TimedOut,
}

/// What came out of a process, up to a number of bytes.
pub(super) struct Output {
    /// The first bytes.
    pub(super) bytes: Vec<u8>,
    /// Whether there were more.
    pub(super) is_cut: bool,
    max: usize,
}

impl Output {
    fn push(&mut self, chunk: &[u8]) {
        let room = self.max.saturating_sub(self.bytes.len());
        let fits = chunk.get(..room).unwrap_or(chunk);
        self.bytes.extend_from_slice(fits);
        self.is_cut |= fits.len() < chunk.len();
    }
}

/// Runs a command with `input` on its stdin until it ends or its time is over, and keeps at most
/// `max_output` bytes of its stdout; what exceeds them is read and dropped. `show` is given what there is of
/// them whenever something came. Stderr is the caller's.
///
/// It runs in a process group of its own, which is killed when this returns or is dropped: nothing
/// goes on that did not leave the group.
///
/// # Errors
/// That of starting it.
pub(super) async fn run(
    command: &mut Command,
    input: &[u8],
    max_output: usize,
    time: Duration,
    show: Show<'_>,
) -> io::Result<(End, Output)> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let mut output = Output {
        bytes: Vec::new(),
        is_cut: false,
        max: max_output,
    };
    let end = {
        let ended = async {
            let mut pipes = Box::pin(async {
                tokio::join!(feed(stdin, input), drain(stdout, &mut output, show))
            });
            let mut is_served = false;
            let status = loop {
                tokio::select! {
                    status = child.wait() => break status,
                    _ = &mut pipes, if !is_served => is_served = true,
                }
            };
            if !is_served {
                let _ = timeout(LINGER, pipes).await;
            }
            status
        };
        tokio::pin!(ended);
        match timeout(time, &mut ended).await {
            Ok(status) => end_of(status?),
            Err(_) => {
                group.signal(Signal::TERM);
                if timeout(GRACE, &mut ended).await.is_err() {
                    group.signal(Signal::KILL);
                    let _ = ended.await;
                }
                End::TimedOut
            }
        }
    };
    Ok((end, output))
}

fn end_of(status: ExitStatus) -> End {
    match (status.code(), status.signal()) {
        (Some(code), _) => End::Exit(code),
        (None, signal) => End::Signal(signal.unwrap_or_default()),
    }
}

/// Writes the input and closes the pipe. A process need not read it.
async fn feed(pipe: Option<ChildStdin>, input: &[u8]) {
    if let Some(mut pipe) = pipe {
        let _ = pipe.write_all(input).await;
    }
}

/// Reads the output to its end, so that nobody has to wait for room in the pipe.
async fn drain(pipe: Option<ChildStdout>, output: &mut Output, show: Show<'_>) {
    let Some(mut pipe) = pipe else { return };
    let mut chunk = vec![0; CHUNK];
    while let Ok(length @ 1..) = pipe.read(&mut chunk).await {
        output.push(chunk.get(..length).unwrap_or_default());
        show(&output.bytes);
    }
}

/// A process group, which ends with this value. No other group can get its number meanwhile: its
/// leader is reaped only just before, and while members are left the number is taken.
struct Group(Option<Pid>);

impl Group {
    /// Sends a signal to all members that are left.
    fn signal(&self, signal: Signal) {
        if let Self(Some(group)) = self {
            let _ = kill_process_group(*group, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}
