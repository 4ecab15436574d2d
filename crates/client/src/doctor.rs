//! What is not as it should be with a profile and its relay, and what to do about it.
//!
//! Each function looks at one thing and returns what it found; nothing means that all is well.
//! Nothing is repaired here.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use ctalk_core::{CLOCK_SKEW, PublicKeys, Timestamp};
use ctalk_wire::{DirectoryEntry, Health};

use crate::{
    client::millis,
    directory::listed_keys,
    error::{Class, Error},
    keystore::{Keystore, KeystoreError, Kind, Secrets},
    profile::Profile,
    refresh::own_card as own,
    rotation::ROTATION,
    store::{Integrity, OutboxState, Store},
};

/// How long SQLite may look through the store.
const STORE_LIMIT: Duration = Duration::from_secs(10);
/// A card that others can seal to for no longer than this is about to end.
const CARD_RESERVE: Duration = Duration::from_secs(3 * 24 * 60 * 60);
/// How long a message may wait in the outbox without being looked into, in milliseconds.
const PATIENCE: i64 = 60 * 60 * 1000;
/// Publishes what the profile is.
const PUBLISH: &str = "run `ctalk card --publish`";

/// One thing that is looked at. Its text form is the word in `ctalk doctor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Check {
    /// The profile's settings.
    Profile,
    /// Who else may read folder and files.
    Permissions,
    /// Whether the key store opens.
    KeyStore,
    /// Whether the keyring gives the key store's key.
    Keyring,
    /// Whether the store opens and is not damaged.
    Store,
    /// What has not left for long.
    Outbox,
    /// Whether the relay answers.
    Relay,
    /// The machine's clock against the relay's.
    Clock,
    /// The age of the own key card.
    Card,
    /// What the relay's directory shows for this profile.
    Directory,
    /// Whether another machine uses this identity.
    Receivers,
}

impl Check {
    /// The word used in output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Profile => "profile",
            Self::Permissions => "permissions",
            Self::KeyStore => "key-store",
            Self::Keyring => "keyring",
            Self::Store => "store",
            Self::Outbox => "outbox",
            Self::Relay => "relay",
            Self::Clock => "clock",
            Self::Card => "card",
            Self::Directory => "directory",
            Self::Receivers => "receivers",
        }
    }
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub text: String,
    /// What to do about it.
    pub hint: String,
    /// What kind of thing it is.
    pub class: Class,
}

impl Finding {
    fn new(class: Class, text: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            hint: hint.into(),
            class,
        }
    }
}

impl From<Error> for Finding {
    fn from(error: Error) -> Self {
        let hint = error
            .hint()
            .unwrap_or_else(|| "try again; the text above names what failed".to_owned());
        Self::new(error.class(), error.to_string(), hint)
    }
}

/// Looks at who else may use the profile's folder and what is in it.
///
/// # Errors
/// [`KeystoreError::Io`] when they cannot be looked at.
pub fn permissions(folder: &Path) -> Result<Vec<Finding>, KeystoreError> {
    let failed = |source| KeystoreError::Io {
        action: "read",
        path: folder.to_owned(),
        source,
    };
    let mut found = open_to_others(folder, 0o700).map_err(failed)?;
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_type().map_err(failed)?.is_file() {
            found.extend(open_to_others(&entry.path(), 0o600).map_err(failed)?);
        }
    }
    Ok(found)
}

fn open_to_others(path: &Path, wanted: u32) -> std::io::Result<Vec<Finding>> {
    let mode = match fs::metadata(path) {
        // SQLite's side files come and go.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        metadata => metadata?.permissions().mode() & 0o7777,
    };
    if mode & 0o077 == 0 {
        return Ok(Vec::new());
    }
    Ok(vec![Finding::from(Error::Keystore(
        KeystoreError::UnsafePermissions {
            path: path.to_owned(),
            mode,
            wanted,
        },
    ))])
}

/// Which check an error of the key store belongs to.
#[must_use]
pub const fn key_store_check(error: &KeystoreError) -> Check {
    match error {
        KeystoreError::UnsafePermissions { .. } => Check::Permissions,
        KeystoreError::KeyringUnavailable { .. }
        | KeystoreError::KeyringLocked { .. }
        | KeystoreError::KeyringEntryMissing { .. } => Check::Keyring,
        _ => Check::KeyStore,
    }
}

/// Looks for what an interrupted `ctalk passwd` left behind.
///
/// # Errors
/// What [`Kind::of`] and [`Keystore::has_leftover`] can meet.
pub fn key_files(profile: &Profile) -> Result<Vec<Finding>, KeystoreError> {
    let kind = Kind::of(profile.folder())?;
    let again = format!("finish the change: `ctalk passwd --key-store {kind}`");
    let mut found = Vec::new();
    if Keystore::has_leftover(profile.folder())? {
        found.push(Finding::new(
            Class::LocalStore,
            "a plain key file is left of an interrupted change of the key store",
            &again,
        ));
    }
    if kind != profile.key_store() {
        let text = format!(
            "the key store is of kind {kind}, and profile.toml says {}",
            profile.key_store()
        );
        found.push(Finding::new(Class::LocalStore, text, again));
    }
    Ok(found)
}

/// Has SQLite look through the store, for at most ten seconds.
///
/// # Errors
/// Those of [`Store::open`] and [`Store::check`].
pub fn store(profile: &Profile) -> Result<Vec<Finding>, Error> {
    let path = profile.store_path();
    let integrity = Store::open(&path, None)?.check(STORE_LIMIT)?;
    Ok(match integrity {
        Integrity::Sound | Integrity::Unfinished => Vec::new(),
        Integrity::Damaged(words) => vec![Finding::new(
            Class::LocalStore,
            format!("the store {} is damaged: {words}", path.display()),
            "move it away and restore the contacts with `ctalk import`, into another --profile",
        )],
    })
}

/// Looks for messages that the relay refuses, and for those that it could not be given for an hour.
///
/// # Errors
/// Those of [`Store::each_outgoing`].
pub fn outbox(store: &Store, now: Timestamp) -> Result<Vec<Finding>, Error> {
    let (mut failed, mut stuck) = (0, 0);
    let now = millis(now);
    store.each_outgoing(|entry| match entry.state {
        OutboxState::Failed => failed += 1,
        OutboxState::Queued if now.saturating_sub(entry.created) > PATIENCE => stuck += 1,
        OutboxState::Queued | OutboxState::Sent => {}
    })?;
    let finding = |class, count: u64, text: &str, hint| {
        (count > 0).then(|| Finding::new(class, format!("{text} (messages: {count})"), hint))
    };
    let failed = finding(
        Class::RelayRefused,
        failed,
        "the relay refuses what is in the outbox",
        "`ctalk outbox list` says why; then `ctalk outbox retry ID` or `ctalk outbox drop ID`",
    );
    let stuck = finding(
        Class::RelayUnreachable,
        stuck,
        "something has been in the outbox for more than an hour",
        "run `ctalk flush`, which says what keeps it",
    );
    Ok(failed.into_iter().chain(stuck).collect())
}

/// Judges what the relay says about itself.
#[must_use]
pub fn relay(health: &Health) -> Vec<Finding> {
    if health.status == "ok" {
        return Vec::new();
    }
    vec![Finding::new(
        Class::RelayRefused,
        format!("the relay says that it is `{}`", health.status),
        "tell whoever runs it",
    )]
}

/// Compares the machine's clock with the relay's, which may be wrong or lie.
#[must_use]
pub fn clock(health: &Health, now: Timestamp) -> Vec<Finding> {
    let theirs = health.ts.parse::<jiff::Timestamp>().ok();
    let theirs = theirs.and_then(|time| u64::try_from(time.as_millisecond()).ok());
    let text = match theirs {
        None => format!("the relay's clock says `{}`, which is no time", health.ts),
        Some(theirs) => {
            let apart = Duration::from_millis(theirs.abs_diff(now.as_millis()));
            if apart <= CLOCK_SKEW {
                return Vec::new();
            }
            let minutes = apart.as_secs() / 60;
            let side = if theirs < now.as_millis() {
                "ahead of"
            } else {
                "behind"
            };
            format!("this machine's clock is {minutes} minutes {side} the relay's")
        }
    };
    vec![Finding::new(
        Class::LocalStore,
        text,
        "set this machine's clock (`timedatectl set-ntp true`), or tell whoever runs the relay",
    )]
}

/// Looks at the age of the own key card.
///
/// # Errors
/// [`Error::Card`] when it is damaged.
pub fn card(profile: &Profile, secrets: &Secrets, now: Timestamp) -> Result<Vec<Finding>, Error> {
    let renew = match profile.relay() {
        Some(_) => PUBLISH,
        None => "run `ctalk card` and hand it out",
    };
    let Some(card) = own(secrets)? else {
        return Ok(vec![Finding::new(
            Class::LocalStore,
            "there is no key card yet, so nobody can seal an envelope to this profile",
            renew,
        )]);
    };
    // Once over the time without being replaced is a week without use.
    let overdue = card.created().checked_add(2 * ROTATION);
    let text = if card.expires() <= now {
        "the key card has expired, so nobody can seal to it"
    } else if now
        .checked_add(CARD_RESERVE)
        .is_none_or(|soon| card.expires() <= soon)
    {
        "the key card expires within three days"
    } else if overdue.is_none_or(|overdue| overdue <= now) {
        "the key that envelopes are sealed to is older than 14 days"
    } else if !card.is_current(now) {
        "the key card is from the future: this machine's clock was wrong, or is"
    } else {
        return Ok(Vec::new());
    };
    Ok(vec![Finding::new(Class::LocalStore, text, renew)])
}

/// What the relay's directory shows for the profile: first what is wrong with its entry, then whether
/// a card in it is from another machine.
///
/// # Errors
/// [`Error::Card`] and [`Error::Keygen`] when the profile's own are damaged.
pub fn directory(
    profile: &Profile,
    secrets: &Secrets,
    entries: &[DirectoryEntry],
) -> Result<(Vec<Finding>, Vec<Finding>), Error> {
    let name = profile.name();
    let mine = own(secrets)?;
    let identity = secrets.unlock()?;
    let keys: &PublicKeys = identity.public_keys();
    let finding = |class, text: String, hint| Ok((vec![Finding::new(class, text, hint)], vec![]));
    let Some(entry) = entries.iter().find(|entry| entry.name == name) else {
        return finding(
            Class::RelayRefused,
            format!("the relay's directory shows no `{name}`"),
            "run `ctalk register --relay URL`",
        );
    };
    let shown = match listed_keys(entry) {
        Ok((shown, card)) if shown == *keys => card,
        Ok(_) => {
            return finding(
                Class::NotTrusted,
                format!("the relay's directory shows other keys than mine for `{name}`"),
                "run `ctalk card --publish`; if they come back, the relay is lying to others: use \
                 another one",
            );
        }
        Err(error) => return finding(error.class(), error.to_string(), PUBLISH),
    };
    let newer = match (&shown, &mine) {
        (Some(shown), Some(mine)) => shown.serial() > mine.serial(),
        _ => false,
    };
    let elsewhere = vec![Finding::new(
        Class::LocalStore,
        "another machine has published a newer key card of this identity, and takes its messages",
        "one identity on two machines is unsupported: end ctalk on one of them, then run \
         `ctalk card --publish` on the other",
    )];
    let entry = match (&shown, &mine) {
        (Some(shown), Some(mine)) if shown == mine => Vec::new(),
        (Some(_), None) => vec![Finding::new(
            Class::LocalStore,
            "the relay's directory shows a key card whose keys this profile does not have",
            PUBLISH,
        )],
        (None, _) => vec![Finding::new(
            Class::RelayRefused,
            "the relay's directory shows no key card of this profile",
            PUBLISH,
        )],
        // That is the other machine's doing.
        (Some(_), Some(_)) if newer => Vec::new(),
        (Some(_), Some(_)) => vec![Finding::new(
            Class::RelayRefused,
            "the relay's directory shows an older key card of this profile",
            PUBLISH,
        )],
    };
    Ok((entry, if newer { elsewhere } else { Vec::new() }))
}
