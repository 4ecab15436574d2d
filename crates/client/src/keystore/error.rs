use std::io;
use std::path::PathBuf;

use super::Kind;

/// Why a key store cannot be created, opened or changed. No variant carries a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeystoreError {
    /// There is no such file, so the profile has no keys of this kind yet.
    #[error("no keys at {}", path.display())]
    Missing {
        /// The file looked for.
        path: PathBuf,
    },
    /// The folder holds keys already; they are never overwritten.
    #[error("keys already exist at {}", path.display())]
    AlreadyExists {
        /// The file that exists.
        path: PathBuf,
    },
    /// The sealed file is of another kind than the one asked for.
    #[error("{} is a key store of kind {found}, not {asked}", path.display())]
    WrongKind {
        /// The sealed file.
        path: PathBuf,
        /// The kind asked for.
        asked: Kind,
        /// The kind the file names.
        found: Kind,
    },
    /// A passphrase is needed and there is no way to get one.
    #[error("the key store needs a passphrase and none was given")]
    PassphraseMissing,
    /// The passphrase is empty.
    #[error("the passphrase is empty")]
    PassphraseEmpty,
    /// The passphrase file holds more than [`Passphrase::MAX_LEN`](super::Passphrase::MAX_LEN)
    /// bytes or is not text.
    #[error("{} is not a passphrase: it must be UTF-8 text of at most {max} bytes", path.display())]
    PassphraseFile {
        /// The passphrase file.
        path: PathBuf,
        /// The largest length, in bytes.
        max: usize,
    },
    /// Asking the person at the terminal failed.
    #[error("cannot ask for the passphrase: {source}")]
    Prompt {
        /// What the terminal said.
        source: io::Error,
    },
    /// The passphrase does not open the file. An altered file looks the same.
    #[error(
        "the passphrase does not open {}: it is wrong, or the file was altered",
        path.display()
    )]
    WrongPassphrase {
        /// The sealed file.
        path: PathBuf,
    },
    /// There is no keyring that can be used, or it did not answer within 10 seconds.
    #[error("no usable keyring: {reason}")]
    KeyringUnavailable {
        /// What the keyring or the way to it said.
        reason: String,
    },
    /// The keyring is locked and was not unlocked, or nobody did so within 60 seconds.
    #[error("the keyring is locked: {reason}")]
    KeyringLocked {
        /// What the keyring said.
        reason: String,
    },
    /// The keyring answers but does not hold the key of this store.
    #[error("the keyring answers but does not hold the key of {} (entry {entry})", path.display())]
    KeyringEntryMissing {
        /// The sealed file.
        path: PathBuf,
        /// The user name of the entry under the service `ctalk`; not secret.
        entry: String,
    },
    /// Others than the owner may read or write the folder or the file.
    #[error("{} is open to other users (mode {mode:o})", path.display())]
    UnsafePermissions {
        /// The folder or file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// The permission bits it must have.
        wanted: u32,
    },
    /// A newer ctalk wrote the file.
    #[error("{} has format version {version}, newer than this ctalk knows", path.display())]
    NewerVersion {
        /// The sealed file.
        path: PathBuf,
        /// Its version.
        version: u8,
    },
    /// The file is not what ctalk wrote.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The file asks for Argon2id parameters that no ctalk writes: too weak, or a trap that
    /// would use up the machine.
    #[error(
        "{} asks for Argon2id with {memory_kib} KiB, {passes} passes, {lanes} lanes: out of range",
        path.display()
    )]
    ParamsOutOfRange {
        /// The sealed file.
        path: PathBuf,
        /// Memory in KiB.
        memory_kib: u32,
        /// Number of passes.
        passes: u32,
        /// Number of lanes.
        lanes: u32,
    },
    /// The identity to be kept is not JSON, or the secrets exceed the 1 MiB a store holds.
    #[error("these secrets cannot be kept: {what}")]
    UnusableSecrets {
        /// What is wrong with them.
        what: &'static str,
    },
    /// The file is no longer the one that was opened: its passphrase or keyring entry changed.
    #[error("{} was replaced by another process", path.display())]
    Replaced {
        /// The sealed file.
        path: PathBuf,
    },
    /// The operating system gave no randomness.
    #[error("the operating system gave no random bytes: {source}")]
    Random {
        /// What it said.
        source: getrandom::Error,
    },
    /// Argon2id could not run, for want of memory.
    #[error("cannot derive the key from the passphrase: {source}")]
    Derive {
        /// What Argon2id said.
        source: argon2::Error,
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

impl KeystoreError {
    /// What to do about it, naming a command or an option of `ctalk`, where there is anything.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Missing { .. } => {
                "make an identity with `ctalk keygen --name NAME`, or name another --profile".into()
            }
            Self::AlreadyExists { .. } => "name a new --profile for another identity".into(),
            Self::WrongKind { found, .. } => format!("use `--key-store {found}`"),
            Self::PassphraseMissing => {
                "give it with `--passphrase-file FILE` or CTALK_PASSPHRASE_FILE".into()
            }
            Self::PassphraseEmpty | Self::PassphraseFile { .. } | Self::Prompt { .. } => {
                "name a file that holds one line with `--passphrase-file FILE` or \
                 CTALK_PASSPHRASE_FILE"
                    .into()
            }
            Self::WrongPassphrase { .. } => {
                "check what `--passphrase-file FILE` or CTALK_PASSPHRASE_FILE names".into()
            }
            Self::KeyringUnavailable { .. } => {
                "start the desktop's keyring, or create the profile with `--key-store file`".into()
            }
            Self::KeyringLocked { .. } => {
                "unlock the keyring and try again, or create the profile with `--key-store file`"
                    .into()
            }
            Self::KeyringEntryMissing { .. } => {
                "restore the keyring from a backup or the profile with `ctalk import`, or make a new \
                 identity with `ctalk keygen --profile NEW`"
                    .into()
            }
            Self::UnsafePermissions { path, wanted, .. } => {
                format!("run `chmod {wanted:o} {}`", path.display())
            }
            Self::NewerVersion { .. } => "update ctalk".into(),
            Self::Damaged { .. } | Self::ParamsOutOfRange { .. } => {
                "restore the file from a backup".into()
            }
            Self::Replaced { .. } => "run the command again".into(),
            Self::UnusableSecrets { .. }
            | Self::Random { .. }
            | Self::Derive { .. }
            | Self::Io { .. } => return None,
        };
        Some(hint)
    }
}
