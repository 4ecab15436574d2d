//! Sealed files, the key store and the export: a header that says how to get the key, and JSON under
//! that key.
//!
//! ```text
//! magic        8  "ctalkkey" for a key store, "ctalkexp" for an export
//! version      1  1
//! kind         1  1 = passphrase, 2 = keyring
//!   passphrase    memory u32 (KiB), passes u32, lanes u32, salt 16   for Argon2id v1.3
//!   keyring       entry id 16
//! nonce       24
//! ciphertext      XChaCha20-Poly1305 over the JSON, tag last
//! ```
//!
//! Integers are big-endian. Everything before the ciphertext is its associated data. The salt is
//! made afresh with each new store and stays, so that a handle that ran Argon2id once can write
//! again; the nonce is random and fresh in every write.

use std::path::Path;

use argon2::{Algorithm, Argon2, Version};
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use zeroize::{Zeroize, Zeroizing};

use super::keyring::EntryId;
use super::{KeystoreError, Kind, Passphrase, PassphraseSource, Prompt};

const VERSION: u8 = 1;
const KIND_PASSPHRASE: u8 = 1;
const KIND_KEYRING: u8 = 2;
const NONCE_LEN: usize = 24;

/// What a sealed file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// The secrets of a profile.
    Keys,
    /// A profile on its way to another machine.
    Export,
}

impl Content {
    pub(crate) const fn magic(self) -> &'static [u8; 8] {
        match self {
            Self::Keys => b"ctalkkey",
            Self::Export => b"ctalkexp",
        }
    }
}

/// The 32-byte key of one sealed file.
pub(super) struct StoreKey(Box<[u8; 32]>);

impl StoreKey {
    pub(super) fn random() -> Result<Self, KeystoreError> {
        Self::fill(|bytes| {
            getrandom::fill(bytes).map_err(|source| KeystoreError::Random { source })
        })
    }

    /// Lets `fill` write the key where it will stay, so that no copy is left on the stack.
    pub(super) fn fill<E>(fill: impl FnOnce(&mut [u8; 32]) -> Result<(), E>) -> Result<Self, E> {
        let mut key = Self(Box::new([0; 32]));
        fill(&mut key.0)?;
        Ok(key)
    }

    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl Drop for StoreKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Argon2id parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Params {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Params {
    pub(super) const DEFAULT: Self = Self {
        memory_kib: 64 * 1024,
        passes: 3,
        lanes: 1,
    };

    /// Refuses what is weaker than a store that is worth having, and what would use up the
    /// machine: 8 to 256 MiB, 1 to 8 passes, 1 to 4 lanes.
    pub(super) fn check(self, path: &Path) -> Result<(), KeystoreError> {
        let Self {
            memory_kib,
            passes,
            lanes,
        } = self;
        let fits = (8 * 1024..=256 * 1024).contains(&memory_kib)
            && (1..=8).contains(&passes)
            && (1..=4).contains(&lanes);
        if fits {
            return Ok(());
        }
        Err(KeystoreError::ParamsOutOfRange {
            path: path.to_owned(),
            memory_kib,
            passes,
            lanes,
        })
    }
}

/// How the key of a sealed file is found; the part of the header that stays from write to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Protection {
    Passphrase { params: Params, salt: [u8; 16] },
    Keyring { id: EntryId },
}

impl Protection {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Passphrase { .. } => Kind::File,
            Self::Keyring { .. } => Kind::Keyring,
        }
    }

    fn header(&self, content: Content, nonce: &XNonce) -> Vec<u8> {
        let mut header = Vec::with_capacity(80);
        header.extend_from_slice(content.magic());
        header.push(VERSION);
        match self {
            Self::Passphrase { params, salt } => {
                header.push(KIND_PASSPHRASE);
                for number in [params.memory_kib, params.passes, params.lanes] {
                    header.extend_from_slice(&number.to_be_bytes());
                }
                header.extend_from_slice(salt);
            }
            Self::Keyring { id } => {
                header.push(KIND_KEYRING);
                header.extend_from_slice(id.as_bytes());
            }
        }
        header.extend_from_slice(nonce);
        header
    }
}

/// A sealed file taken apart. Nothing in it is authenticated before [`Sealed::open`].
pub(super) struct Sealed<'a> {
    pub(super) protection: Protection,
    header: &'a [u8],
    nonce: XNonce,
    ciphertext: &'a [u8],
}

/// Takes a sealed file apart, without any cryptography.
pub(super) fn parse<'a>(
    content: Content,
    bytes: &'a [u8],
    path: &Path,
) -> Result<Sealed<'a>, KeystoreError> {
    let damaged = |what| KeystoreError::Damaged {
        path: path.to_owned(),
        what,
    };
    let truncated = || damaged("it is truncated");
    let mut rest = bytes;
    if take(&mut rest).ok_or_else(truncated)? != content.magic() {
        return Err(damaged(match content {
            Content::Keys => "it does not begin as a sealed key store",
            Content::Export => "it does not begin as an export",
        }));
    }
    match take::<1>(&mut rest).ok_or_else(truncated)? {
        [VERSION] => {}
        [0] => return Err(damaged("there is no format version 0")),
        [version] => {
            return Err(KeystoreError::NewerVersion {
                path: path.to_owned(),
                version: *version,
            });
        }
    }
    let number = |rest: &mut &'a [u8]| take(rest).map(|bytes| u32::from_be_bytes(*bytes));
    let protection = match take::<1>(&mut rest).ok_or_else(truncated)? {
        [KIND_PASSPHRASE] => Protection::Passphrase {
            params: Params {
                memory_kib: number(&mut rest).ok_or_else(truncated)?,
                passes: number(&mut rest).ok_or_else(truncated)?,
                lanes: number(&mut rest).ok_or_else(truncated)?,
            },
            salt: *take(&mut rest).ok_or_else(truncated)?,
        },
        [KIND_KEYRING] => Protection::Keyring {
            id: EntryId::new(*take(&mut rest).ok_or_else(truncated)?),
        },
        [_] => return Err(damaged("it names no known kind of key")),
    };
    let nonce = XNonce::from(*take::<NONCE_LEN>(&mut rest).ok_or_else(truncated)?);
    let header = bytes
        .get(..bytes.len() - rest.len())
        .ok_or_else(truncated)?;
    Ok(Sealed {
        protection,
        header,
        nonce,
        ciphertext: rest,
    })
}

impl Sealed<'_> {
    /// Decrypts the secrets' JSON. All bytes up to the end of the file are authenticated.
    pub(super) fn open(
        &self,
        key: &StoreKey,
        path: &Path,
    ) -> Result<Zeroizing<Vec<u8>>, KeystoreError> {
        let mut buffer = Zeroizing::new(self.ciphertext.to_vec());
        XChaCha20Poly1305::new(key.as_bytes().into())
            .decrypt_in_place(&self.nonce, self.header, &mut *buffer)
            .map_err(|_| match self.protection {
                Protection::Passphrase { .. } => KeystoreError::WrongPassphrase {
                    path: path.to_owned(),
                },
                Protection::Keyring { .. } => KeystoreError::Damaged {
                    path: path.to_owned(),
                    what: "the key in the keyring does not open it",
                },
            })?;
        Ok(buffer)
    }
}

/// Seals `json` under a fresh nonce and returns the whole file.
pub(super) fn seal(
    content: Content,
    protection: &Protection,
    key: &StoreKey,
    mut json: Zeroizing<Vec<u8>>,
) -> Result<Zeroizing<Vec<u8>>, KeystoreError> {
    let nonce = XNonce::from(random::<NONCE_LEN>()?);
    let mut file = protection.header(content, &nonce);
    let tag = XChaCha20Poly1305::new(key.as_bytes().into())
        .encrypt_inout_detached(&nonce, &file, json.as_mut_slice().into())
        .map_err(|_| KeystoreError::UnusableSecrets {
            what: "they are too long to seal",
        })?;
    file.extend_from_slice(&json);
    file.extend_from_slice(&tag);
    Ok(Zeroizing::new(file))
}

/// A new key from a new passphrase, with the way back to it.
pub(super) fn protect(
    passphrase: PassphraseSource<'_>,
) -> Result<(Protection, StoreKey), KeystoreError> {
    let params = Params::DEFAULT;
    let salt = random()?;
    let key = derive(&passphrase.get(Prompt::New)?, &salt, params)?;
    Ok((Protection::Passphrase { params, salt }, key))
}

/// Seals `json` as an export and returns the whole file.
pub(crate) fn seal_export(
    passphrase: PassphraseSource<'_>,
    json: Zeroizing<Vec<u8>>,
) -> Result<Zeroizing<Vec<u8>>, KeystoreError> {
    let (protection, key) = protect(passphrase)?;
    seal(Content::Export, &protection, &key, json)
}

/// Decrypts the JSON of the export that `bytes` are, all of them.
pub(crate) fn open_export(
    bytes: &[u8],
    path: &Path,
    passphrase: PassphraseSource<'_>,
) -> Result<Zeroizing<Vec<u8>>, KeystoreError> {
    let sealed = parse(Content::Export, bytes, path)?;
    let Protection::Passphrase { params, salt } = &sealed.protection else {
        return Err(KeystoreError::Damaged {
            path: path.to_owned(),
            what: "it names no passphrase",
        });
    };
    params.check(path)?;
    let key = derive(&passphrase.get(Prompt::Existing)?, salt, *params)?;
    sealed.open(&key, path)
}

/// Runs Argon2id. Its memory is not wiped here: it is returned to the operating system at once,
/// being larger than what allocators keep.
pub(super) fn derive(
    passphrase: &Passphrase,
    salt: &[u8; 16],
    params: Params,
) -> Result<StoreKey, KeystoreError> {
    let failed = |source| KeystoreError::Derive { source };
    let params = argon2::Params::new(params.memory_kib, params.passes, params.lanes, Some(32))
        .map_err(failed)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    StoreKey::fill(|key| argon2.hash_password_into(passphrase.as_bytes(), salt, key))
        .map_err(failed)
}

/// Fresh bytes from the operating system.
pub(super) fn random<const N: usize>() -> Result<[u8; N], KeystoreError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|source| KeystoreError::Random { source })?;
    Ok(bytes)
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(taken)
}
