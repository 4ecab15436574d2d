//! Stopping a blocking call from outside.

use std::{
    ffi::c_int,
    io::{self, Write},
    os::{fd::AsRawFd, unix::net::UnixStream},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::{
    caller::Caller,
    code::{Code, ctalk_code},
    error::{Fault, ctalk_error},
    guard::{guard, guard_value},
    handle::{self, Opaque},
    process::Ours,
};

/// What ends blocking calls early: those that were given it and run, and all that are given it later.
/// Owned by whoever made it; freed with ctalk_stopper_free, even while a call uses it.
pub struct ctalk_stopper {
    _private: [u8; 0],
}

impl Opaque for ctalk_stopper {
    type Value = Stopper;
    const NAME: &'static str = "ctalk_stopper";
}

/// What is behind [`ctalk_stopper`]: it is stopped once there is something to read. Whoever reads
/// leaves it there.
pub(crate) struct Stopper {
    /// What is written to. Never blocks, because nothing but a first byte matters.
    bell: Ours<UnixStream>,
    watched: UnixStream,
}

impl Stopper {
    fn new() -> io::Result<Self> {
        let (bell, watched) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        watched.set_nonblocking(true)?;
        Ok(Self {
            bell: Ours::new(bell),
            watched,
        })
    }

    fn stop(&self) {
        // A forked child would ring for its parent.
        if let Ok(mut bell) = self.bell.get() {
            // One that is full was rung before.
            let _ = bell.write(&[1]);
        }
    }

    /// Whether it was stopped.
    pub(crate) fn is_stopped(&self) -> bool {
        let mut watched = [PollFd::new(&self.watched, PollFlags::IN)];
        poll(&mut watched, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    /// What becomes readable when it is stopped, on the runtime of whoever waits: a descriptor of its own for
    /// each call, because one cannot be watched twice.
    pub(crate) fn watch(&self) -> io::Result<tokio::net::UnixStream> {
        tokio::net::UnixStream::from_std(self.watched.try_clone()?)
    }
}

/// Makes a stopper. It has two file descriptors, and a call that it is given to has one more:
/// CTALK_UNEXPECTED, before anything is done, where the process has no more of them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_stopper_new(
    out: *mut *mut ctalk_stopper,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let out = caller.out(out)?;
        let stopper = Stopper::new().map_err(|error| {
            Fault::new(Code::CTALK_UNEXPECTED, format!("no more sockets: {error}"))
        })?;
        out.put(stopper);
        Ok(())
    })
}

/// Ends the calls that have this stopper, now and later, with CTALK_INTERRUPTED. From any thread; from a
/// signal handler, write to ctalk_stopper_fd instead. Does nothing in a forked child, whose parent's calls
/// they are.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_stopper_stop(
    stopper: *const ctalk_stopper,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |_| {
        handle::get(stopper)?.stop();
        Ok(())
    })
}

/// A file descriptor; to write any byte to it does what ctalk_stopper_stop does. It never blocks, so a
/// signal handler may write to it, and Python's signal.set_wakeup_fd takes it. Valid as long as the
/// stopper, which closes it; -1 for what is no stopper, and in a forked child.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_stopper_fd(stopper: *const ctalk_stopper) -> c_int {
    guard_value(-1, || {
        Some(handle::find(stopper)?.bell.get().ok()?.as_raw_fd())
    })
}

/// Frees a stopper. NULL is allowed, and freeing twice does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_stopper_free(stopper: *mut ctalk_stopper) {
    guard_value((), || {
        handle::free(stopper);
        Some(())
    });
}
