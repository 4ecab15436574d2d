//! One relay per data folder.

use std::fs::{File, TryLockError};
use std::path::Path;

use crate::Error;
use crate::config::private_file;

/// Held while a store is open: the directory in memory allows one relay per folder.
pub(super) struct Lock(File);

impl Lock {
    /// Takes the lock file at `path`, made when missing.
    pub(super) fn take(path: &Path) -> Result<Self, Error> {
        let at = |source| Error::DataFolder {
            path: path.to_owned(),
            source,
        };
        let file = private_file()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(at)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(Error::InUse {
                path: path.to_owned(),
            }),
            Err(TryLockError::Error(source)) => Err(at(source)),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing alone would not do: a process that is just being started holds the file, too.
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_ends_with_its_holder_even_while_another_process_has_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.lock");
        let held = Lock::take(&path).unwrap();
        assert!(matches!(Lock::take(&path), Err(Error::InUse { .. })));
        // As a child has it between `fork` and `exec`.
        let _inherited = held.0.try_clone().unwrap();
        drop(held);
        Lock::take(&path).unwrap();
    }
}
