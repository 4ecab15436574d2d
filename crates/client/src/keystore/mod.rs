//! Where the secrets of one profile rest: its identity's private keys, the X-Wing keys that envelopes
//! are sealed to, and its relay API keys.
//!
//! There are three kinds of store, and the user chooses one by name ([`Kind`]):
//!
//! | kind | file | what opens it |
//! | --- | --- | --- |
//! | `keyring` | `keys.sealed` | a 32-byte key kept in the operating system's keyring |
//! | `file` | `keys.sealed` | a passphrase, through Argon2id |
//! | `plain` | `keys.plain.json` | nothing: whoever can read the file has the keys |
//!
//! The file lies in the profile's folder. Folder (0700) and file (0600) are refused when anybody
//! but their owner has access, and the file is only ever replaced as a whole. Where a change of kind
//! was interrupted there may be both files: the sealed one counts ([`Kind::of`]).
//!
//! Everything here blocks: on the disk, on Argon2id, and with the keyring on a person who is asked
//! to unlock it. Call it from plain code or from a blocking task. No call waits for the keyring
//! longer than the limits in [`KeystoreError::KeyringUnavailable`] and
//! [`KeystoreError::KeyringLocked`].

mod change;
mod error;
mod folder;
mod former;
mod keyring;
mod passphrase;
mod renewal;
pub(crate) mod sealed;
mod secrets;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use zeroize::Zeroizing;

pub use self::error::KeystoreError;
pub use self::passphrase::{Passphrase, PassphraseSource, Prompt};
pub use self::secrets::Secrets;

use self::keyring::EntryId;
use self::sealed::{Content, Protection, StoreKey};

/// The name of the sealed file of the kinds `keyring` and `file`.
const SEALED_FILE: &str = "keys.sealed";
/// The name of the file of the kind `plain`.
const PLAIN_FILE: &str = "keys.plain.json";

/// How a profile's secrets are kept. Its text form is `keyring`, `file` or `plain`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Sealed under a key that the operating system's keyring holds.
    Keyring,
    /// Sealed under a passphrase.
    File,
    /// Not protected at all, beyond the file's permissions.
    Plain,
}

impl Kind {
    /// The kind of the store in `folder`, as its files say.
    ///
    /// # Errors
    /// [`KeystoreError::Missing`] if there is none, and what reading a file can meet.
    pub fn of(folder: &Path) -> Result<Self, KeystoreError> {
        if let Some(protection) = sealed_protection(folder)? {
            return Ok(protection.kind());
        }
        if folder::exists(&folder.join(PLAIN_FILE))? {
            return Ok(Self::Plain);
        }
        Err(KeystoreError::Missing {
            path: folder.join(SEALED_FILE),
        })
    }

    fn file_name(self) -> &'static str {
        match self {
            Self::Keyring | Self::File => SEALED_FILE,
            Self::Plain => PLAIN_FILE,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keyring => "keyring",
            Self::File => "file",
            Self::Plain => "plain",
        })
    }
}

/// The text names none of `keyring`, `file` and `plain`.
#[derive(Debug, thiserror::Error)]
#[error("not a kind of key store: use keyring, file or plain")]
pub struct UnknownKind;

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        match text {
            "keyring" => Ok(Self::Keyring),
            "file" => Ok(Self::File),
            "plain" => Ok(Self::Plain),
            _ => Err(UnknownKind),
        }
    }
}

/// The kind to create where the user named none: [`Kind::Keyring`] where a keyring accepts an
/// entry, else [`Kind::File`]. Never [`Kind::Plain`].
///
/// Writes one entry into the keyring and removes it, because a keyring that merely answers may
/// still be locked with nobody there to unlock it. May therefore make the desktop ask for the
/// keyring's password, as creating the store would.
pub fn default_kind() -> Kind {
    if keyring::accepts_entries() {
        Kind::Keyring
    } else {
        Kind::File
    }
}

/// An opened store of one folder.
///
/// Remembers the key that opened it, so that Argon2id runs and the keyring is asked once per
/// handle, however many changes follow; the keyring once more after each time that the store took a
/// new key ([`Keystore::update`]).
pub struct Keystore {
    path: PathBuf,
    access: Access,
}

enum Access {
    Plain,
    Sealed {
        protection: Protection,
        key: StoreKey,
    },
}

impl Access {
    /// The whole file.
    fn encode(&self, secrets: &Secrets) -> Result<Zeroizing<Vec<u8>>, KeystoreError> {
        let json = secrets.to_json()?;
        match self {
            Self::Plain => Ok(json),
            Self::Sealed { protection, key } => sealed::seal(Content::Keys, protection, key, json),
        }
    }

    /// A new way in. That of [`Kind::Keyring`] is in the keyring when this returns.
    fn new(kind: Kind, passphrase: PassphraseSource<'_>) -> Result<Self, KeystoreError> {
        match kind {
            Kind::Plain => Ok(Self::Plain),
            Kind::File => {
                let (protection, key) = sealed::protect(passphrase)?;
                Ok(Self::Sealed { protection, key })
            }
            Kind::Keyring => {
                let id = EntryId::new(sealed::random()?);
                let key = StoreKey::random()?;
                keyring::put(&id, &key)?;
                Ok(Self::Sealed {
                    protection: Protection::Keyring { id },
                    key,
                })
            }
        }
    }

    /// Removes the entry in the keyring, if there is one.
    fn forget(&self) {
        if let Self::Sealed {
            protection: Protection::Keyring { id },
            ..
        } = self
        {
            keyring::forget(id);
        }
    }

    /// As [`Access::forget`], but not where the file is known or feared to need the entry: the write
    /// that failed may have got that far.
    fn forget_unless_used(&self, folder: &Path) {
        if let Self::Sealed { protection, .. } = self
            && sealed_protection(folder).is_ok_and(|found| found.as_ref() != Some(protection))
        {
            self.forget();
        }
    }
}

impl fmt::Debug for Keystore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, access: _ } = self;
        f.debug_struct("Keystore")
            .field("path", path)
            .finish_non_exhaustive()
    }
}

impl Keystore {
    /// Creates a store of `kind` that holds `secrets`, and `folder` (0700) where it is missing.
    ///
    /// `passphrase` is used by [`Kind::File`] alone.
    ///
    /// # Errors
    /// [`KeystoreError::AlreadyExists`] if `folder` holds keys of any kind: nothing is ever
    /// overwritten. Else whatever the kind can meet: no passphrase, no usable keyring, an unsafe
    /// folder, a full disk. A failed call leaves neither a file nor a keyring entry.
    pub fn create(
        folder: &Path,
        kind: Kind,
        passphrase: PassphraseSource<'_>,
        secrets: &Secrets,
    ) -> Result<Self, KeystoreError> {
        refuse_existing(folder)?;
        let store = Self {
            path: folder.join(kind.file_name()),
            access: Access::new(kind, passphrase)?,
        };
        match store.write_new(folder, secrets) {
            Ok(()) => Ok(store),
            Err(error) => {
                store.access.forget_unless_used(folder);
                Err(error)
            }
        }
    }

    /// Opens the store of `kind` in `folder` and reads its secrets.
    ///
    /// `passphrase` is used by [`Kind::File`] alone.
    ///
    /// # Errors
    /// [`KeystoreError::Missing`] if there is none, [`KeystoreError::UnsafePermissions`] if others
    /// have access to it, and one variant for each way in which a kind can refuse.
    pub fn open(
        folder: &Path,
        kind: Kind,
        passphrase: PassphraseSource<'_>,
    ) -> Result<(Self, Secrets), KeystoreError> {
        let path = folder.join(kind.file_name());
        // File and keyring belong together, and another process may be changing both.
        let _lock = if kind == Kind::Keyring && folder::exists(&path)? {
            Some(folder::lock(folder)?)
        } else {
            None
        };
        let bytes = folder::read(folder, &path)?;
        if kind == Kind::Plain {
            if let Some(protection) = sealed_protection(folder)? {
                return Err(KeystoreError::WrongKind {
                    path: folder.join(SEALED_FILE),
                    asked: kind,
                    found: protection.kind(),
                });
            }
            let secrets = Secrets::from_json(&bytes, &path)?;
            return Ok((
                Self {
                    path,
                    access: Access::Plain,
                },
                secrets,
            ));
        }
        let sealed = sealed::parse(Content::Keys, &bytes, &path)?;
        let key = match (kind, &sealed.protection) {
            (Kind::File, Protection::Passphrase { params, salt }) => {
                params.check(&path)?;
                sealed::derive(&passphrase.get(Prompt::Existing)?, salt, *params)?
            }
            (Kind::Keyring, Protection::Keyring { id }) => keyring::get(id, &path)?,
            (_, other) => {
                return Err(KeystoreError::WrongKind {
                    path,
                    asked: kind,
                    found: other.kind(),
                });
            }
        };
        let secrets = Secrets::from_json(&sealed.open(&key, &path)?, &path)?;
        let protection = sealed.protection;
        Ok((
            Self {
                path,
                access: Access::Sealed { protection, key },
            },
            secrets,
        ))
    }

    /// Reads the secrets again, as other processes may have changed them.
    ///
    /// # Errors
    /// As [`Keystore::update`].
    pub fn read(&self) -> Result<Secrets, KeystoreError> {
        let _lock = folder::lock(self.folder())?;
        Ok(self.read_again()?.0)
    }

    /// Changes the secrets: reads them again, applies `change`, and replaces the file, all under
    /// a lock between processes, so that no concurrent change is lost. Returns the new secrets.
    ///
    /// A change that destroyed an X-Wing key replaces the key in the keyring as well, so that no copy
    /// of the former file can be opened any more. With the other kinds that would gain nothing: the
    /// former file and the passphrase would still open it.
    ///
    /// # Errors
    /// [`KeystoreError::Replaced`] if the file is no longer the one this handle opened, and
    /// everything that reading and writing can meet. The store then opens as before, unless the disk
    /// refused after the file was replaced.
    pub fn update(&self, change: impl FnOnce(&mut Secrets)) -> Result<Secrets, KeystoreError> {
        let _lock = folder::lock(self.folder())?;
        let (mut secrets, renewed) = self.read_again()?;
        change(&mut secrets);
        let access = renewed.as_ref().unwrap_or(&self.access);
        if secrets.destroyed() > 0 {
            self.write_under_new_key(access, &secrets)?;
        } else {
            self.write(access, &secrets)?;
        }
        self.remove_other()?;
        Ok(secrets)
    }

    /// Whether an interrupted change of kind left a plain file in `folder` that does not count. The next
    /// write removes it.
    ///
    /// # Errors
    /// [`KeystoreError::Io`].
    pub fn has_leftover(folder: &Path) -> Result<bool, KeystoreError> {
        Ok(folder::exists(&folder.join(SEALED_FILE))? && folder::exists(&folder.join(PLAIN_FILE))?)
    }

    /// Reads the secrets as they are now, with the access to them where it is no longer that of this
    /// handle. The caller holds the lock.
    fn read_again(&self) -> Result<(Secrets, Option<Access>), KeystoreError> {
        let folder = self.folder();
        let path = &self.path;
        let open = |key: &StoreKey| {
            let bytes = folder::read(folder, path)?;
            let sealed = sealed::parse(Content::Keys, &bytes, path)?;
            Secrets::from_json(&sealed.open(key, path)?, path)
        };
        match (&self.access, sealed_protection(folder)?) {
            (Access::Plain, None) => {
                let secrets = Secrets::from_json(&folder::read(folder, path)?, path)?;
                Ok((secrets, None))
            }
            (Access::Sealed { protection, key }, Some(found)) if found == *protection => {
                Ok((open(key)?, None))
            }
            (
                Access::Sealed {
                    protection: Protection::Keyring { .. },
                    ..
                },
                Some(Protection::Keyring { id }),
            ) => {
                let key = keyring::get(&id, path)?;
                let secrets = open(&key)?;
                let protection = Protection::Keyring { id };
                Ok((secrets, Some(Access::Sealed { protection, key })))
            }
            (Access::Sealed { .. }, None) if !folder::exists(&folder.join(PLAIN_FILE))? => {
                Err(KeystoreError::Missing { path: path.clone() })
            }
            _ => Err(KeystoreError::Replaced { path: path.clone() }),
        }
    }

    /// Removes the key file that does not count, which an interrupted change of kind left behind.
    /// The caller holds the lock.
    fn remove_other(&self) -> Result<(), KeystoreError> {
        let other = match self.access {
            Access::Plain => SEALED_FILE,
            Access::Sealed { .. } => PLAIN_FILE,
        };
        folder::remove(self.folder(), &self.folder().join(other))
    }

    fn write_new(&self, folder: &Path, secrets: &Secrets) -> Result<(), KeystoreError> {
        let bytes = self.access.encode(secrets)?;
        folder::create(folder)?;
        let _lock = folder::lock(folder)?;
        refuse_existing(folder)?;
        folder::replace(folder, &self.path, &bytes)
    }

    /// Replaces the file. The caller holds the lock.
    fn write(&self, access: &Access, secrets: &Secrets) -> Result<(), KeystoreError> {
        folder::replace(self.folder(), &self.path, &access.encode(secrets)?)
    }

    fn folder(&self) -> &Path {
        self.path.parent().unwrap_or_else(|| Path::new("."))
    }
}

/// How the sealed file is opened, if there is one.
fn sealed_protection(folder: &Path) -> Result<Option<Protection>, KeystoreError> {
    let path = folder.join(SEALED_FILE);
    if !folder::exists(&path)? {
        return Ok(None);
    }
    let bytes = folder::read(folder, &path)?;
    Ok(Some(
        sealed::parse(Content::Keys, &bytes, &path)?.protection,
    ))
}

fn refuse_existing(folder: &Path) -> Result<(), KeystoreError> {
    for name in [SEALED_FILE, PLAIN_FILE] {
        let path = folder.join(name);
        if folder::exists(&path)? {
            return Err(KeystoreError::AlreadyExists { path });
        }
    }
    Ok(())
}
