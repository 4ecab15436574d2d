//! What is inside of an export: one JSON object.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::{BackupError, Moved};
use crate::{
    error::Error,
    keystore::{KeystoreError, Secrets},
    profile::Settings,
    store::{Dump, Unrestored},
};

/// Grows with every member that is added anywhere, because unknown ones are refused.
const VERSION: u8 = 1;

/// The outermost object. Its parts stay the JSON text that they are, so that secrets are copied no more
/// than needed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<'a> {
    version: u8,
    #[serde(borrow)]
    secrets: &'a RawValue,
    #[serde(borrow)]
    profile: &'a RawValue,
}

#[derive(Deserialize)]
struct Version {
    version: u8,
}

/// Everything but the secrets.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Public {
    pub(super) settings: Settings,
    pub(super) store: Dump,
    /// The policy file's text.
    pub(super) policy: Option<String>,
}

/// What came out of an export.
pub(super) struct Opened {
    pub(super) secrets: Secrets,
    pub(super) public: Public,
}

impl Public {
    pub(super) fn moved(&self) -> Moved {
        Moved {
            contacts: self.store.contacts(),
            has_policy: self.policy.is_some(),
        }
    }

    /// The document with these secrets.
    pub(super) fn to_json(&self, secrets: &Secrets) -> Result<Zeroizing<Vec<u8>>, KeystoreError> {
        let unusable = || KeystoreError::UnusableSecrets { what: "not JSON" };
        let secrets = secrets.to_json()?;
        let profile = serde_json::to_string(self).map_err(|_| unusable())?;
        // The buffer must not grow while it is filled, because a buffer that moves leaves its old
        // content behind.
        let mut json = Zeroizing::new(Vec::with_capacity(secrets.len() + profile.len() + 128));
        let document = Document {
            version: VERSION,
            secrets: serde_json::from_slice(&secrets).map_err(|_| unusable())?,
            profile: serde_json::from_str(&profile).map_err(|_| unusable())?,
        };
        serde_json::to_writer(&mut *json, &document).map_err(|_| unusable())?;
        Ok(json)
    }
}

impl Opened {
    pub(super) fn from_json(json: &[u8], path: &Path) -> Result<Self, BackupError> {
        // What serde says may repeat what it read, which may be a secret.
        let unusable = |_| BackupError::Unusable {
            path: path.to_owned(),
            why: "it does not hold the JSON of an export".to_owned(),
        };
        let Version { version } = serde_json::from_slice(json).map_err(unusable)?;
        if version > VERSION {
            return Err(BackupError::Newer {
                path: path.to_owned(),
            });
        }
        let document: Document<'_> = serde_json::from_slice(json).map_err(unusable)?;
        Ok(Self {
            secrets: Secrets::from_json(document.secrets.get().as_bytes(), path)
                .map_err(BackupError::Sealed)?,
            public: serde_json::from_str(document.profile.get()).map_err(unusable)?,
        })
    }
}

/// Makes the store of the export at `path`.
pub(super) fn restore(dump: &Dump, store: &Path, path: &Path) -> Result<(), Error> {
    dump.restore(store).map_err(|error| match error {
        Unrestored::Newer => BackupError::Newer {
            path: path.to_owned(),
        }
        .into(),
        Unrestored::Damaged(why) => BackupError::Unusable {
            path: path.to_owned(),
            why,
        }
        .into(),
        Unrestored::Store(error) => Error::Store(error),
    })
}
