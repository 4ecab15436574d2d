//! Which process this is. A child of fork() has copies of what its parent uses, but not the threads, and it
//! must not have the databases: SQLite's locks on files are those of a process.

use std::{
    any::Any,
    process,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use crate::{code::Code, error::Fault};

/// The process that used a profile or a relay first; 0 before there is one.
static USER: AtomicU32 = AtomicU32::new(0);

/// Makes this the process that uses profiles and relays. Fails where it was forked from one that did.
pub(crate) fn enter() -> Result<(), Fault> {
    let this = process::id();
    match USER.compare_exchange(0, this, Ordering::SeqCst, Ordering::SeqCst) {
        Ok(_) => Ok(()),
        Err(user) if user == this => Ok(()),
        Err(_) => Err(forked()),
    }
}

/// What only the process that made it uses and drops.
pub(crate) struct Ours<T: Send + 'static> {
    process: u32,
    /// `None` from the moment that it is dropped.
    value: Option<T>,
}

impl<T: Send + 'static> Ours<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            process: process::id(),
            value: Some(value),
        }
    }

    pub(crate) fn get(&self) -> Result<&T, Fault> {
        let value = self.value.as_ref();
        value
            .filter(|_| self.process == process::id())
            .ok_or_else(forked)
    }
}

/// What a forked child inherited and freed. It has neither the threads nor the locks that this needs, so it
/// leaves all as it is, in a place where nobody takes it for lost.
static INHERITED: Mutex<Vec<Box<dyn Any + Send>>> = Mutex::new(Vec::new());

impl<T: Send + 'static> Drop for Ours<T> {
    fn drop(&mut self) {
        if self.process != process::id()
            && let Some(value) = self.value.take()
        {
            let mut inherited = INHERITED.lock().unwrap_or_else(PoisonError::into_inner);
            inherited.push(Box::new(value));
        }
    }
}

fn forked() -> Fault {
    Fault::new(
        Code::CTALK_FORKED,
        "the process that this one was forked from uses ctalk; to use it here, call exec after fork, or spawn",
    )
}
