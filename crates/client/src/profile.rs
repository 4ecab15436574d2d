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
    keystore::{self, Keystore, PassphraseSource, Secrets},
    relay::{self, Kind, RelayError},
    require::Require,
    store::InboxLimits,
};

const SETTINGS: &str = "profile.toml";
const STORE: &str = "store.sqlite";
/// What stands for every relay where one may be named.
const ALL: &str = "all";
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
    key_store: keystore::Kind,
    /// Where earlier versions kept the only relay.
    #[serde(skip_serializing, default)]
    relay: Option<String>,
    /// What is required of everybody who is written to or read.
    #[serde(skip_serializing_if = "Require::is_nothing", default)]
    require: Require,
    /// How much is kept in the inbox of what waits for the user.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    inbox: Option<Inbox>,
    /// Its relays, the one that is preferred first.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    relays: Vec<NamedRelay>,
}

/// A relay by the name that the user knows it by; in settings `NAME=URL`, with the address behind a `#`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NamedRelay {
    /// Its name here.
    pub name: String,
    /// Its URL, normalised.
    pub url: String,
    /// The agent's address there, where that is not its name.
    pub address: Option<String>,
}

impl TryFrom<String> for NamedRelay {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let (name, place) = text.split_once('=').ok_or("a relay is NAME=URL")?;
        let (url, address) = match place.split_once('#') {
            Some((url, address)) => (url, Some(address.to_owned())),
            None => (place, None),
        };
        Ok(Self {
            name: name.to_owned(),
            url: url.to_owned(),
            address,
        })
    }
}

impl From<NamedRelay> for String {
    fn from(relay: NamedRelay) -> Self {
        format!("{}={}", relay.name, relay.on_card())
    }
}

impl NamedRelay {
    /// Where the agent is reached, as its key card says it: the relay's URL, and behind a `#` the address
    /// there where that is not its name.
    #[must_use]
    pub fn on_card(&self) -> String {
        match &self.address {
            Some(address) => format!("{}#{address}", self.url),
            None => self.url.clone(),
        }
    }
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
    /// The name is that of another relay of the profile.
    #[error("the name `{name}` already belongs to the relay at {url}")]
    RelayNameTaken {
        /// The name.
        name: String,
        /// The other relay's URL.
        url: String,
    },
    /// The profile has no relay of this name.
    #[error("the profile has no relay called `{name}`")]
    UnknownRelay {
        /// The name, escaped.
        name: String,
    },
    /// The URL is none that a relay has.
    #[error(transparent)]
    BadRelay(#[from] RelayError),
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
            Self::BadName { .. }
            | Self::Exists { .. }
            | Self::RelayNameTaken { .. }
            | Self::UnknownRelay { .. } => Class::Usage,
            Self::BadRelay(error) => error.class(),
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
            Self::RelayNameTaken { .. } => Some("give it another one: --as NAME".to_owned()),
            Self::UnknownRelay { .. } => Some("see them: ctalk relays".to_owned()),
            Self::BadRelay(error) => error.hint(),
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
        let settings = settings
            .current()
            .map_err(|error| damaged(error.to_string()))?;
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
    pub fn begin(
        folder: &Path,
        name: &str,
        key_store: keystore::Kind,
    ) -> Result<Self, ProfileError> {
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
                    relays: Vec::new(),
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
        kind: keystore::Kind,
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
        key_store: keystore::Kind,
    ) -> Result<Self, ProfileError> {
        check_name(&settings.name)?;
        Ok(Self {
            folder: folder.to_owned(),
            settings: Settings {
                key_store,
                ..settings.current()?
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

    /// Where the secrets were put. Where a change was interrupted, [`keystore::Kind::of`] the folder knows better.
    #[must_use]
    pub const fn key_store(&self) -> keystore::Kind {
        self.settings.key_store
    }

    /// Records where the secrets are now; [`Profile::save`] makes it last.
    pub const fn set_key_store(&mut self, kind: keystore::Kind) {
        self.settings.key_store = kind;
    }

    /// The agent's relays, the one that is preferred first.
    #[must_use]
    pub fn relays(&self) -> &[NamedRelay] {
        &self.settings.relays
    }

    /// The URL of the relay that is preferred.
    #[must_use]
    pub fn relay(&self) -> Option<&str> {
        self.relays().first().map(|relay| relay.url.as_str())
    }

    /// The URL of the relay of this name.
    ///
    /// # Errors
    /// [`ProfileError::UnknownRelay`].
    pub fn relay_named(&self, name: &str) -> Result<&str, ProfileError> {
        let mut relays = self.relays().iter();
        let found = relays.find(|relay| relay.name == name);
        found
            .map(|relay| relay.url.as_str())
            .ok_or_else(|| unknown_relay(name))
    }

    /// Adds a relay behind the others, under this name or else that of its [`Kind`], with a number where there
    /// are several, or gives a known one this name; [`Profile::save`] makes it last.
    ///
    /// # Errors
    /// [`ProfileError::BadRelay`], [`ProfileError::BadName`], [`ProfileError::RelayNameTaken`].
    pub fn add_relay(
        &mut self,
        url: &str,
        name: Option<&str>,
    ) -> Result<&NamedRelay, ProfileError> {
        let url = relay::normalised(url)?;
        let kind = Kind::of(&url)?;
        let relays = &mut self.settings.relays;
        let known = relays.iter().position(|relay| relay.url == url);
        let name = match (name, known.and_then(|place| relays.get(place))) {
            (Some(name), _) => name.to_owned(),
            (None, Some(known)) => known.name.clone(),
            (None, None) => (1_u32..)
                .map(|number| match number {
                    1 => kind.as_str().to_owned(),
                    more => format!("{kind}-{more}"),
                })
                .find(|name| relays.iter().all(|relay| relay.name != *name))
                .unwrap_or_default(),
        };
        check_name(&name)?;
        if name.eq_ignore_ascii_case(ALL) {
            return Err(ProfileError::BadName { name });
        }
        let others = relays.iter().filter(|relay| relay.url != url);
        if let Some(other) = others.into_iter().find(|other| other.name == name) {
            let url = other.url.clone();
            return Err(ProfileError::RelayNameTaken { name, url });
        }
        let place = known.unwrap_or(relays.len());
        match relays.get_mut(place) {
            Some(known) => known.name = name,
            None => relays.push(NamedRelay {
                name,
                url,
                address: None,
            }),
        }
        relays.get(place).ok_or_else(|| unknown_relay(ALL))
    }

    /// Records the agent's address at a relay; [`Profile::save`] makes it last.
    pub(crate) fn set_address(&mut self, url: &str, address: &str) {
        let mut relays = self.settings.relays.iter_mut();
        if let Some(relay) = relays.find(|relay| relay.url == url) {
            relay.address = Some(address.to_owned());
        }
    }

    /// Puts a relay before the others: whoever has a new key card uses it first; [`Profile::save`] makes it
    /// last.
    ///
    /// # Errors
    /// [`ProfileError::UnknownRelay`].
    pub fn prefer_relay(&mut self, name: &str) -> Result<(), ProfileError> {
        let relay = self.remove_relay(name)?;
        self.settings.relays.insert(0, relay);
        Ok(())
    }

    /// Takes a relay out, whose contacts and messages stay in the store; [`Profile::save`] makes it last.
    ///
    /// # Errors
    /// [`ProfileError::UnknownRelay`].
    pub fn remove_relay(&mut self, name: &str) -> Result<NamedRelay, ProfileError> {
        let relays = &mut self.settings.relays;
        match relays.iter().position(|relay| relay.name == name) {
            Some(place) => Ok(relays.remove(place)),
            None => Err(unknown_relay(name)),
        }
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

impl Settings {
    /// With what earlier versions wrote as this one does.
    fn current(mut self) -> Result<Self, RelayError> {
        if let Some(url) = self.relay.take().filter(|_| self.relays.is_empty()) {
            self.relays.push(NamedRelay {
                name: Kind::of(&url)?.as_str().to_owned(),
                url,
                address: None,
            });
        }
        Ok(self)
    }
}

fn unknown_relay(name: &str) -> ProfileError {
    let name = crate::text::escaped(name).chars().take(64).collect();
    ProfileError::UnknownRelay { name }
}

fn kind_to_text<S: Serializer>(kind: &keystore::Kind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(kind)
}

fn kind_from_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<keystore::Kind, D::Error> {
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
