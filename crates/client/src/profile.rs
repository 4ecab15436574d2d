//! Profiles: one folder per identity, with what was chosen once and is never guessed again.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tempfile::NamedTempFile;

use ctalk_core::Identity;

use crate::{
    error::{Class, Error},
    keystore::{Keystore, Kind, PassphraseSource, Secrets},
    require::Require,
    store::InboxLimits,
};

const SETTINGS: &str = "profile.toml";
const STORE: &str = "store.sqlite";
/// Largest settings file that is read, in bytes.
const MAX_SETTINGS: u64 = 64 << 10;

/// A profile's folder and settings. Secrets are not in it: they live in its key store.
#[derive(Clone, Debug)]
pub struct Profile {
    folder: PathBuf,
    settings: Settings,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Settings {
    /// The agent's name.
    name: String,
    /// Where the secrets are.
    #[serde(serialize_with = "kind_to_text", deserialize_with = "kind_from_text")]
    key_store: Kind,
    /// The relay that it is registered at.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    relay: Option<String>,
    /// What is required of everybody who is written to or read.
    #[serde(skip_serializing_if = "Require::is_nothing", default)]
    require: Require,
    /// How much is kept in the inbox of what waits for the user.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    inbox: Option<Inbox>,
}

/// How much is kept in each of the states `dead`, `held` and `quarantined`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Inbox {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    messages: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    bytes: Option<u64>,
}

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// The profile has no identity.
    #[error("there is no identity in {folder}")]
    Missing {
        /// The profile's folder.
        folder: PathBuf,
    },
    /// The profile has an identity.
    #[error("there is already an identity, `{name}`, in {folder}")]
    Exists {
        /// The profile's folder.
        folder: PathBuf,
        /// The agent's name.
        name: String,
    },
    /// The settings make no sense.
    #[error("{path}: {why}")]
    Damaged {
        /// The settings file.
        path: PathBuf,
        /// What is wrong, with its line.
        why: String,
    },
    /// The name cannot be an agent's or a profile's.
    #[error("`{name}` cannot be a name: 2 to 32 letters, digits, `_` or `-`, and not `broadcast`")]
    BadName {
        /// The name, escaped.
        name: String,
    },
    /// The file system refused.
    #[error("{path}: {why}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
}

impl ProfileError {
    /// The class that callers branch on.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::BadName { .. } | Self::Exists { .. } => Class::Usage,
            Self::Missing { .. } | Self::Damaged { .. } | Self::Io { .. } => Class::LocalStore,
        }
    }

    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { .. } => Some("make one: ctalk keygen --name NAME".to_owned()),
            Self::Exists { .. } => {
                Some("another identity needs another profile: --profile OTHER".to_owned())
            }
            _ => None,
        }
    }
}

impl Profile {
    /// Opens the profile in `folder`.
    ///
    /// # Errors
    /// [`ProfileError::Missing`], [`ProfileError::Damaged`], [`ProfileError::Io`].
    pub fn open(folder: &Path) -> Result<Self, ProfileError> {
        let path = folder.join(SETTINGS);
        let io = |error: io::Error| ProfileError::Io {
            path: path.clone(),
            why: error.to_string(),
        };
        let damaged = |why: String| ProfileError::Damaged {
            path: path.clone(),
            why,
        };
        let length = match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ProfileError::Missing {
                    folder: folder.to_owned(),
                });
            }
            outcome => outcome.map_err(io)?.len(),
        };
        if length > MAX_SETTINGS {
            return Err(damaged(format!("larger than {MAX_SETTINGS} bytes")));
        }
        let text = fs::read_to_string(&path).map_err(io)?;
        let settings: Settings =
            toml::from_str(&text).map_err(|error| damaged(error.to_string()))?;
        check_name(&settings.name)?;
        Ok(Self {
            folder: folder.to_owned(),
            settings,
        })
    }

    /// Begins a profile in `folder`; nothing is written before [`Profile::save`].
    ///
    /// # Errors
    /// [`ProfileError::Exists`], [`ProfileError::BadName`], and what [`Profile::open`] gives.
    pub fn begin(folder: &Path, name: &str, key_store: Kind) -> Result<Self, ProfileError> {
        check_name(name)?;
        match Self::open(folder) {
            Ok(old) => Err(ProfileError::Exists {
                folder: folder.to_owned(),
                name: old.settings.name,
            }),
            Err(ProfileError::Missing { .. }) => Ok(Self {
                folder: folder.to_owned(),
                settings: Settings {
                    name: name.to_owned(),
                    key_store,
                    relay: None,
                    require: Require::default(),
                    inbox: None,
                },
            }),
            Err(error) => Err(error),
        }
    }

    /// Makes a profile in `folder` for an identity, whose keys go into a new key store of this kind.
    ///
    /// # Errors
    /// Those of [`Profile::begin`], [`Keystore::create`] and [`Profile::save`].
    pub fn create(
        folder: &Path,
        name: &str,
        kind: Kind,
        passphrase: PassphraseSource<'_>,
        identity: &Identity,
    ) -> Result<(Self, Keystore), Error> {
        let profile = Self::begin(folder, name, kind)?;
        let secrets = Secrets::new(identity.to_keygen_json());
        let keystore = Keystore::create(folder, kind, passphrase, &secrets)?;
        profile.save()?;
        Ok((profile, keystore))
    }

    /// Begins a profile in `folder` with settings of another one.
    ///
    /// # Errors
    /// [`ProfileError::BadName`].
    pub(crate) fn restored(
        folder: &Path,
        settings: Settings,
        key_store: Kind,
    ) -> Result<Self, ProfileError> {
        check_name(&settings.name)?;
        Ok(Self {
            folder: folder.to_owned(),
            settings: Settings {
                key_store,
                ..settings
            },
        })
    }

    /// What was chosen for this profile.
    pub(crate) const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Writes the settings, whole or not at all.
    ///
    /// # Errors
    /// [`ProfileError::Io`].
    pub fn save(&self) -> Result<(), ProfileError> {
        let path = self.folder.join(SETTINGS);
        let failed = |why: String| ProfileError::Io {
            path: path.clone(),
            why,
        };
        let text = toml::to_string(&self.settings).map_err(|error| failed(error.to_string()))?;
        let write = || {
            let mut file = NamedTempFile::new_in(&self.folder)?;
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(&path)?;
            fs::File::open(&self.folder)?.sync_all()
        };
        write().map_err(|error: io::Error| failed(error.to_string()))
    }

    /// The profile's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The agent's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Where the secrets were put. Where a change was interrupted, [`Kind::of`] the folder knows better.
    #[must_use]
    pub const fn key_store(&self) -> Kind {
        self.settings.key_store
    }

    /// Records where the secrets are now; [`Profile::save`] makes it last.
    pub const fn set_key_store(&mut self, kind: Kind) {
        self.settings.key_store = kind;
    }

    /// The relay that the agent is registered at.
    #[must_use]
    pub fn relay(&self) -> Option<&str> {
        self.settings.relay.as_deref()
    }

    /// Records the relay that the agent is registered at; [`Profile::save`] makes it last.
    pub fn set_relay(&mut self, url: &str) {
        self.settings.relay = Some(url.to_owned());
    }

    /// What is required of everybody who is written to or read; the user writes it into the settings.
    #[must_use]
    pub const fn require(&self) -> Require {
        self.settings.require
    }

    /// How much is kept in the inbox of what waits for the user, who writes it into the settings.
    #[must_use]
    pub fn inbox_limits(&self) -> InboxLimits {
        let default = InboxLimits::default();
        self.settings.inbox.map_or(default, |inbox| InboxLimits {
            messages: inbox.messages.unwrap_or(default.messages),
            bytes: inbox.bytes.unwrap_or(default.bytes),
        })
    }

    /// The file that holds contacts and messages.
    #[must_use]
    pub fn store_path(&self) -> PathBuf {
        self.folder.join(STORE)
    }
}

fn kind_to_text<S: Serializer>(kind: &Kind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(kind)
}

fn kind_from_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Kind, D::Error> {
    String::deserialize(deserializer)?
        .parse()
        .map_err(serde::de::Error::custom)
}

/// The folder in which a user's profiles are, each in a folder of its name, unless the user says
/// otherwise; `None` for a user without a home folder.
#[must_use]
pub fn profiles_folder() -> Option<PathBuf> {
    let folders = directories::BaseDirs::new()?;
    Some(folders.data_dir().join("ctalk"))
}

/// Names are those that ClawTalk's self-registration takes; they are safe as file names too.
///
/// # Errors
/// [`ProfileError::BadName`].
pub fn check_name(name: &str) -> Result<(), ProfileError> {
    let fits = (2..=32).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
        && !name.starts_with('-')
        && !name.eq_ignore_ascii_case("broadcast");
    if fits {
        Ok(())
    } else {
        let name = crate::text::escaped(name).chars().take(64).collect();
        Err(ProfileError::BadName { name })
    }
}
