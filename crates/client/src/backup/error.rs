use std::{io, path::PathBuf};

use crate::{error::Class, keystore::KeystoreError};

/// Why an export cannot be written or read. No variant carries a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The file is nothing that `ctalk export` wrote.
    #[error("{} is no export of ctalk", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The sealed file, or its passphrase, is not what it must be.
    #[error(transparent)]
    Sealed(KeystoreError),
    /// The export opens, but what it holds cannot be used.
    #[error("{} holds no profile that can be restored: {why}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A newer ctalk wrote what the export holds.
    #[error("{} is of a newer ctalk than this one", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
    },
    /// An export would be, or is, larger than one can be.
    #[error("an export of more than {max} bytes is not possible")]
    TooLarge {
        /// The largest size, in bytes.
        max: usize,
    },
    /// There is something at the place of the new file or folder.
    #[error("{} exists, and nothing is overwritten", path.display())]
    Exists {
        /// The file or folder.
        path: PathBuf,
    },
    /// The disk refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, such as `read`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

impl BackupError {
    /// The class that callers branch on.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Sealed(KeystoreError::WrongPassphrase { .. }) => Class::CannotOpen,
            Self::Foreign { .. }
            | Self::Unusable { .. }
            | Self::Newer { .. }
            | Self::Sealed(
                KeystoreError::Damaged { .. }
                | KeystoreError::NewerVersion { .. }
                | KeystoreError::ParamsOutOfRange { .. },
            ) => Class::Malformed,
            Self::Exists { .. } | Self::Io { .. } => Class::Usage,
            Self::TooLarge { .. } | Self::Sealed(_) => Class::LocalStore,
        }
    }

    /// What to do about it, where there is anything.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Foreign { .. } => "name the file that `ctalk export -o FILE` wrote",
            Self::Unusable { .. }
            | Self::Sealed(
                KeystoreError::Damaged { .. } | KeystoreError::ParamsOutOfRange { .. },
            ) => "export again on the other machine, and compare the length of the copy",
            Self::Newer { .. } | Self::Sealed(KeystoreError::NewerVersion { .. }) => "update ctalk",
            Self::Exists { .. } => "name another one, or move this one away",
            Self::Sealed(
                KeystoreError::PassphraseMissing
                | KeystoreError::PassphraseEmpty
                | KeystoreError::PassphraseFile { .. }
                | KeystoreError::Prompt { .. },
            ) => "name a file that holds the export's on one line: `--export-passphrase-file FILE`",
            Self::Sealed(KeystoreError::WrongPassphrase { .. }) => {
                "check what `--export-passphrase-file FILE` names; it is the export's passphrase, \
                 not the key store's"
            }
            Self::TooLarge { .. } | Self::Io { .. } | Self::Sealed(_) => return None,
        };
        Some(hint.to_owned())
    }
}
