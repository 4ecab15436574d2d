//! A profile as one file, to keep it safe or to move it to another machine.
//!
//! An export holds the identity with the relays' API keys, the settings, the contacts with their keys,
//! cards and standing, how identities ended, and the policy. It holds no messages and no memory of
//! handled ones, and the keys that envelopes are sealed to only where they were asked for. It is sealed
//! as a key store of kind `file` is, under a passphrase of its own and with another magic.
//!
//! One identity on two machines at once is unsupported: each would take some of the messages, and
//! neither knows what the other has handled.

mod document;
mod error;

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use ctalk_core::Fingerprint;
use zeroize::Zeroizing;

pub use self::error::BackupError;

use self::document::{Opened, Public};
use crate::{
    error::Error,
    keystore::{
        Keystore, Kind, PassphraseSource, Secrets,
        sealed::{self, Content},
    },
    profile::{Profile, ProfileError},
    store::Store,
};

/// The file in a profile's folder that holds its policy.
const POLICY: &str = "policy.toml";
/// Largest export, in bytes: room for 100,000 contacts with key cards.
const MAX_EXPORT: usize = 512 << 20;
/// Largest policy, in bytes.
const MAX_POLICY: u64 = 1 << 20;

/// Whether the keys that envelopes are sealed to are part of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealingKeys {
    /// They stay behind, so that a stolen export opens no message.
    LeftOut,
    /// They come along, so that what was sealed to them can be opened on the other machine.
    Included,
}

/// What an export holds, or what came out of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// How many contacts there are.
    pub contacts: usize,
    /// Whether there is a policy.
    pub has_policy: bool,
}

/// A profile that came out of an export.
#[derive(Debug)]
pub struct Imported {
    /// The profile.
    pub profile: Profile,
    /// Its identity.
    pub fingerprint: Fingerprint,
    /// What else there was.
    pub moved: Moved,
}

/// Writes the profile to a new file at `path`, mode 0600, that is there when it is complete.
///
/// # Errors
/// [`BackupError::Exists`] before anybody is asked for a passphrase, [`BackupError::TooLarge`],
/// [`BackupError::Io`], [`BackupError::Sealed`], [`Error::Store`].
pub fn export(
    profile: &Profile,
    secrets: &Secrets,
    sealing_keys: SealingKeys,
    passphrase: PassphraseSource<'_>,
    path: &Path,
) -> Result<Moved, Error> {
    if path.symlink_metadata().is_ok() {
        return Err(exists(path).into());
    }
    let public = Public {
        settings: profile.settings().clone(),
        store: Store::open(&profile.store_path(), None)?.dump()?,
        policy: read_policy(&profile.folder().join(POLICY))?,
    };
    let json = match sealing_keys {
        SealingKeys::Included => public.to_json(secrets)?,
        SealingKeys::LeftOut => public.to_json(&secrets.without_xwing())?,
    };
    if json.len() > MAX_EXPORT - 128 {
        return Err(BackupError::TooLarge { max: MAX_EXPORT }.into());
    }
    let bytes = sealed::seal_export(passphrase, json).map_err(BackupError::Sealed)?;
    write_new(path, &bytes)?;
    Ok(public.moved())
}

/// Makes a profile in `folder`, which holds none, of the export at `path`. The profile is there whole
/// or not at all, whatever interrupts the call; what an interrupted one leaves beside `folder` is
/// removed by the next.
///
/// `opening` is the export's passphrase; `passphrase` is used by [`Kind::File`] alone.
///
/// # Errors
/// [`ProfileError::Exists`] and [`BackupError::Exists`] before the export is read,
/// [`BackupError::Foreign`], [`BackupError::Newer`], [`BackupError::Unusable`],
/// [`BackupError::Sealed`], [`BackupError::Io`], [`Error::Keystore`].
pub fn import(
    path: &Path,
    opening: PassphraseSource<'_>,
    folder: &Path,
    kind: Kind,
    passphrase: PassphraseSource<'_>,
) -> Result<Imported, Error> {
    refuse_occupied(folder)?;
    let bytes = read_export(path)?;
    let json = sealed::open_export(&bytes, path, opening).map_err(BackupError::Sealed)?;
    let Opened { secrets, public } = Opened::from_json(&json, path)?;
    let unusable = |why: String| BackupError::Unusable {
        path: path.to_owned(),
        why,
    };
    let identity = secrets
        .unlock()
        .map_err(|error| unusable(error.to_string()))?;

    let staging = Staging::begin(folder)?;
    let profile = Profile::restored(&staging.folder, public.settings.clone(), kind)
        .map_err(|error| unusable(error.to_string()))?;
    document::restore(&public.store, &profile.store_path(), path)?;
    if let Some(policy) = &public.policy {
        let target = staging.folder.join(POLICY);
        write_private(&target, policy.as_bytes()).map_err(io_error("write", &target))?;
    }
    Keystore::create(&staging.folder, kind, passphrase, &secrets)?;
    profile.save()?;
    staging.complete(folder)?;
    Ok(Imported {
        profile: Profile::open(folder)?,
        fingerprint: Fingerprint::native(identity.public_keys().verifying()),
        moved: public.moved(),
    })
}

/// A new profile's folder before it has its name.
struct Staging {
    folder: PathBuf,
    /// The folder around it, locked against another import.
    parent: File,
}

impl Staging {
    fn begin(folder: &Path) -> Result<Self, BackupError> {
        let parent = folder.parent().unwrap_or_else(|| Path::new("."));
        let private = |path: &Path, recursive| {
            DirBuilder::new()
                .mode(0o700)
                .recursive(recursive)
                .create(path)
                .map_err(io_error("create", path))
        };
        private(parent, true)?;
        let locked = File::open(parent)
            .and_then(|parent| parent.lock().map(|()| parent))
            .map_err(io_error("lock", parent))?;
        // No profile's name has dots in it.
        let mut name = std::ffi::OsString::from(".");
        name.push(folder.file_name().unwrap_or_default());
        name.push(".import");
        let staging = Self {
            folder: parent.join(name),
            parent: locked,
        };
        staging
            .remove()
            .map_err(io_error("remove", &staging.folder))?;
        private(&staging.folder, false)?;
        Ok(staging)
    }

    /// Gives the folder its name, in one step.
    fn complete(self, folder: &Path) -> Result<(), BackupError> {
        refuse_nonempty(folder)?;
        let renamed = fs::rename(&self.folder, folder).and_then(|()| self.parent.sync_all());
        renamed.map_err(io_error("create", folder))
    }

    fn remove(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // Where it has its name already there is nothing to remove; and what stays, the next removes.
        let _ = self.remove();
    }
}

/// Refuses a folder that holds a profile, or anything else.
///
/// # Errors
/// [`ProfileError::Exists`], [`BackupError::Exists`].
pub fn refuse_occupied(folder: &Path) -> Result<(), Error> {
    match Profile::open(folder) {
        Ok(profile) => Err(ProfileError::Exists {
            folder: folder.to_owned(),
            name: profile.name().to_owned(),
        }
        .into()),
        Err(ProfileError::Missing { .. }) => Ok(refuse_nonempty(folder)?),
        Err(error) => Err(error.into()),
    }
}

fn refuse_nonempty(folder: &Path) -> Result<(), BackupError> {
    match fs::read_dir(folder).map(|mut entries| entries.next().is_none()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(true) => Ok(()),
        _ => Err(exists(folder)),
    }
}

fn read_export(path: &Path) -> Result<Vec<u8>, BackupError> {
    let failed = io_error("read", path);
    let file = File::open(path).map_err(&failed)?;
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_EXPORT).unwrap_or(u64::MAX);
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    let magic = Content::Export.magic();
    let begins = bytes.get(..magic.len()).unwrap_or(&bytes);
    if begins.is_empty() || !magic.starts_with(begins) {
        return Err(BackupError::Foreign {
            path: path.to_owned(),
        });
    }
    if bytes.len() > MAX_EXPORT {
        return Err(BackupError::TooLarge { max: MAX_EXPORT });
    }
    Ok(bytes)
}

fn read_policy(path: &Path) -> Result<Option<String>, BackupError> {
    let failed = io_error("read", path);
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(&failed)?,
    };
    let mut text = String::new();
    let length = file
        .take(MAX_POLICY + 1)
        .read_to_string(&mut text)
        .map_err(&failed)?;
    if length as u64 > MAX_POLICY {
        return Err(failed(io::ErrorKind::FileTooLarge.into()));
    }
    Ok(Some(text))
}

/// Writes a file that outlives a crash, and is there when all of it is.
fn write_new(path: &Path, bytes: &Zeroizing<Vec<u8>>) -> Result<(), BackupError> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let write = || {
        // Made with mode 0600.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist_noclobber(path)?;
        File::open(folder)?.sync_all()
    };
    write().map_err(|error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => exists(path),
        _ => io_error("write", path)(error),
    })
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn exists(path: &Path) -> BackupError {
    BackupError::Exists {
        path: path.to_owned(),
    }
}

fn io_error(action: &'static str, path: &Path) -> impl Fn(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::Io {
        action,
        path: path.clone(),
        source,
    }
}
