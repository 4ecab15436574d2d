//! What only one process at a time does with a store. The system takes the locks off a process that
//! ends, however it ends.

use std::{
    fs::{File, OpenOptions, TryLockError},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use super::{Store, StoreError};

impl Store {
    /// Makes the holder of the result the only one that pairs with this store, until the file is
    /// dropped. Messages of pairings wait for it as long.
    ///
    /// # Errors
    /// [`StoreError::AlreadyPairing`], [`StoreError::Failed`].
    pub(crate) fn lock_pairing(&self) -> Result<File, StoreError> {
        let path = self.pairing_path();
        let file = open(&path)?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(StoreError::io(&path, &error)),
            }
            // Whoever only looks shares the lock for a moment; another pairing does not share it.
            match file.try_lock_shared() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(StoreError::AlreadyPairing),
                Err(TryLockError::Error(error)) => return Err(StoreError::io(&path, &error)),
            }
        }
    }

    /// Whether somebody pairs with this store.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub(crate) fn is_pairing(&self) -> Result<bool, StoreError> {
        let path = self.pairing_path();
        match open(&path)?.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(StoreError::io(&path, &error)),
        }
    }

    fn pairing_path(&self) -> PathBuf {
        self.path.with_extension("pairing")
    }
}

fn open(path: &Path) -> Result<File, StoreError> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|error| StoreError::io(path, &error))
}
