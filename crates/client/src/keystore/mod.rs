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
//! but their owner has access, and the file is only ever replaced as a whole.
//!
//! Everything here blocks: on the disk, on Argon2id, and with the keyring on a person who is asked
//! to unlock it. Call it from plain code or from a blocking task. No call waits for the keyring
//! longer than the limits in [`KeystoreError::KeyringUnavailable`] and
//! [`KeystoreError::KeyringLocked`].

mod error;
mod folder;
mod keyring;
mod passphrase;
mod renewal;
mod sealed;
mod secrets;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use zeroize::Zeroizing;

pub use self::error::KeystoreError;
pub use self::passphrase::{Passphrase, PassphraseSource, Prompt};
pub use self::secrets::Secrets;

use self::keyring::EntryId;
use self::sealed::{Params, Protection, StoreKey};

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
            Self::Sealed { protection, key } => sealed::seal(protection, key, json),
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
        let access = match kind {
            Kind::Plain => Access::Plain,
            Kind::File => {
                let params = Params::DEFAULT;
                let salt = sealed::random()?;
                let key = sealed::derive(&passphrase.get(Prompt::New)?, &salt, params)?;
                Access::Sealed {
                    protection: Protection::Passphrase { params, salt },
                    key,
                }
            }
            Kind::Keyring => {
                let id = EntryId::new(sealed::random()?);
                let key = StoreKey::random()?;
                keyring::put(&id, &key)?;
                Access::Sealed {
                    protection: Protection::Keyring { id },
                    key,
                }
            }
        };
        let store = Self {
            path: folder.join(kind.file_name()),
            access,
        };
        let written = store.write_new(folder, secrets);
        if let (
            Err(_),
            Access::Sealed {
                protection: Protection::Keyring { id },
                ..
            },
        ) = (&written, &store.access)
        {
            keyring::forget(id);
        }
        written.map(|()| store)
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
            let secrets = Secrets::from_json(&bytes, &path)?;
            return Ok((
                Self {
                    path,
                    access: Access::Plain,
                },
                secrets,
            ));
        }
        let sealed = sealed::parse(&bytes, &path)?;
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
        Ok(secrets)
    }

    /// Reads the secrets as they are now, with the access to them where it is no longer that of this
    /// handle. The caller holds the lock.
    fn read_again(&self) -> Result<(Secrets, Option<Access>), KeystoreError> {
        let bytes = folder::read(self.folder(), &self.path)?;
        let Access::Sealed { protection, key } = &self.access else {
            return Ok((Secrets::from_json(&bytes, &self.path)?, None));
        };
        let sealed = sealed::parse(&bytes, &self.path)?;
        if sealed.protection == *protection {
            let json = sealed.open(key, &self.path)?;
            return Ok((Secrets::from_json(&json, &self.path)?, None));
        }
        let (Protection::Keyring { .. }, Protection::Keyring { id }) =
            (protection, &sealed.protection)
        else {
            return Err(KeystoreError::Replaced {
                path: self.path.clone(),
            });
        };
        let key = keyring::get(id, &self.path)?;
        let secrets = Secrets::from_json(&sealed.open(&key, &self.path)?, &self.path)?;
        let protection = sealed.protection;
        Ok((secrets, Some(Access::Sealed { protection, key })))
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

fn refuse_existing(folder: &Path) -> Result<(), KeystoreError> {
    for name in [SEALED_FILE, PLAIN_FILE] {
        let path = folder.join(name);
        if folder::exists(&path)? {
            return Err(KeystoreError::AlreadyExists { path });
        }
    }
    Ok(())
}
