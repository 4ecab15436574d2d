//! The profile's folder and the files in it, which only their owner may touch.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::KeystoreError;

/// The largest key file, in bytes.
pub(super) const MAX_FILE_LEN: usize = 1 << 20;

const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
const LOCK_FILE: &str = "keys.lock";
const NEW_FILE: &str = "keys.new";

/// Creates the folder, closed to others, or checks that the existing one is.
pub(super) fn create(folder: &Path) -> Result<(), KeystoreError> {
    DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(folder)
        .map_err(failed("create", folder))?;
    check_folder(folder)
}

/// Whether there is anything at `path`, be it a link that leads nowhere.
pub(super) fn exists(path: &Path) -> Result<bool, KeystoreError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed("read", path)(error)),
    }
}

/// Reads a key file, after checking that folder and file are closed to others.
pub(super) fn read(folder: &Path, path: &Path) -> Result<Zeroizing<Vec<u8>>, KeystoreError> {
    let file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => KeystoreError::Missing {
            path: path.to_owned(),
        },
        _ => failed("open", path)(error),
    })?;
    check_folder(folder)?;
    let metadata = file.metadata().map_err(failed("read", path))?;
    check_mode(path, metadata.permissions().mode(), FILE_MODE)?;
    if !metadata.is_file() {
        return Err(KeystoreError::Damaged {
            path: path.to_owned(),
            what: "it is not a file",
        });
    }
    // One byte of room beyond the limit, so that the buffer never moves and leaves a copy behind.
    let len = usize::try_from(metadata.len())
        .unwrap_or(usize::MAX)
        .min(MAX_FILE_LEN);
    let mut bytes = Zeroizing::new(Vec::with_capacity(len + 1));
    file.take(len as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(failed("read", path))?;
    if bytes.len() > len {
        return Err(KeystoreError::Damaged {
            path: path.to_owned(),
            what: "it is over 1 MiB",
        });
    }
    Ok(bytes)
}

/// Waits until no other process changes the key files of this folder. Dropping the file unlocks.
pub(super) fn lock(folder: &Path) -> Result<File, KeystoreError> {
    let path = folder.join(LOCK_FILE);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(&path)
        .map_err(failed("open", &path))?;
    file.lock().map_err(failed("lock", &path))?;
    Ok(file)
}

/// Puts `bytes` at `path` at once or not at all, and does not return before they are on the disk.
/// The caller holds the lock, so a left-over of an interrupted write is nobody's and is removed.
pub(super) fn replace(folder: &Path, path: &Path, bytes: &[u8]) -> Result<(), KeystoreError> {
    let new = folder.join(NEW_FILE);
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(FILE_MODE)
            .open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        File::open(folder)?.sync_all()
    };
    let remove = || match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    remove().and_then(|()| write()).map_err(|error| {
        // The error to report is the first one.
        let _ = remove();
        failed("write", path)(error)
    })
}

/// Removes a file, if there is one, and does not return before that is on the disk.
pub(super) fn remove(folder: &Path, path: &Path) -> Result<(), KeystoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("remove", path)(error)),
        Ok(()) => File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(failed("write", folder)),
    }
}

fn check_folder(folder: &Path) -> Result<(), KeystoreError> {
    let metadata = fs::metadata(folder).map_err(failed("read", folder))?;
    check_mode(folder, metadata.permissions().mode(), FOLDER_MODE)
}

fn check_mode(path: &Path, mode: u32, wanted: u32) -> Result<(), KeystoreError> {
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let mode = mode & 0o7777;
    Err(KeystoreError::UnsafePermissions {
        path: path.to_owned(),
        mode,
        wanted,
    })
}

fn failed(action: &'static str, path: &Path) -> impl Fn(io::Error) -> KeystoreError {
    let path: PathBuf = path.to_owned();
    move |source| KeystoreError::Io {
        action,
        path: path.clone(),
        source,
    }
}
