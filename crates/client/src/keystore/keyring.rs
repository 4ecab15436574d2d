//! The operating system's keyring, which holds one key per store.
//!
//! On Linux this is the Secret Service over D-Bus. A locked collection makes it ask a person and
//! wait for them, without any limit of its own; and a daemon may hang. So every call runs on a
//! thread of its own with a limit. A thread that is given up waits on and ends with the process.

use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keyring::Entry;
use zeroize::Zeroizing;

use super::KeystoreError;
use super::sealed::StoreKey;

const SERVICE: &str = "ctalk";

/// How long the keyring may take to answer at all. Starting its daemon is part of that.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// How long a call may take when it may wait for a person to unlock the keyring.
const UNLOCK_LIMIT: Duration = Duration::from_secs(60);

/// Names the entry of one store: 16 random bytes, so that two stores never share an entry, in
/// whatever folders and under whatever profile names they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EntryId([u8; 16]);

impl EntryId {
    pub(super) fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    pub(super) fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    fn user(&self) -> String {
        hex::encode(self.0)
    }
}

/// Whether a keyring is there, is unlocked or gets unlocked, and takes an entry.
pub(super) fn accepts_entries() -> bool {
    let Ok(id) = super::sealed::random().map(EntryId::new) else {
        return false;
    };
    let Ok(key) = StoreKey::random() else {
        return false;
    };
    let accepted = put(&id, &key).is_ok();
    if accepted {
        forget(&id);
    }
    accepted
}

/// Stores the key under `id`.
pub(super) fn put(id: &EntryId, key: &StoreKey) -> Result<(), KeystoreError> {
    let text = Zeroizing::new(STANDARD.encode(key.as_bytes()));
    with_entry(id, move |entry| entry.set_password(&text))?.map_err(refused)
}

/// Reads the key under `id`, which opens the store at `path`.
pub(super) fn get(id: &EntryId, path: &Path) -> Result<StoreKey, KeystoreError> {
    let missing = || KeystoreError::KeyringEntryMissing {
        path: path.to_owned(),
        entry: id.user(),
    };
    let text = match with_entry(id, |entry| entry.get_password().map(Zeroizing::new))? {
        Ok(text) => text,
        Err(keyring::Error::NoEntry | keyring::Error::BadEncoding(_)) => return Err(missing()),
        Err(error) => return Err(refused(error)),
    };
    StoreKey::fill(|key| match STANDARD.decode_slice(text.as_bytes(), key) {
        Ok(32) => Ok(()),
        _ => Err(missing()),
    })
}

/// Removes the entry. A failure leaves an entry that opens nothing, which is harmless.
pub(super) fn forget(id: &EntryId) {
    let _ = with_entry(id, |entry| entry.delete_credential());
}

fn with_entry<T: Send + 'static>(
    id: &EntryId,
    call: impl FnOnce(&Entry) -> keyring::Result<T> + Send + 'static,
) -> Result<keyring::Result<T>, KeystoreError> {
    let user = id.user();
    within(ANSWER_LIMIT, || match Entry::store_status() {
        Ok(()) => Ok(()),
        Err(error) => Err(reason(error)),
    })
    .unwrap_or_else(|| Err("it did not answer in time".into()))
    .map_err(|reason| KeystoreError::KeyringUnavailable { reason })?;
    within(UNLOCK_LIMIT, move || call(&Entry::new(SERVICE, &user)?)).ok_or_else(|| {
        KeystoreError::KeyringLocked {
            reason: "nobody unlocked it".into(),
        }
    })
}

fn refused(error: keyring::Error) -> KeystoreError {
    let reason = reason(&error);
    match error {
        keyring::Error::NoStorageAccess(_) => KeystoreError::KeyringLocked { reason },
        _ => KeystoreError::KeyringUnavailable { reason },
    }
}

/// What the platform itself said, where it said anything.
fn reason(error: &keyring::Error) -> String {
    match error {
        keyring::Error::PlatformFailure(cause) | keyring::Error::NoStorageAccess(cause) => {
            cause.to_string()
        }
        other => other.to_string(),
    }
}

/// Runs `call` on its own thread; `None` if it takes longer than `limit`.
fn within<T: Send + 'static>(
    limit: Duration,
    call: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::Builder::new()
        .spawn(move || sender.send(call()))
        .ok()?;
    receiver.recv_timeout(limit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_never_returns_is_given_up() {
        let (_never, receiver) = mpsc::channel::<()>();
        assert_eq!(
            within(Duration::from_millis(1), move || receiver.recv()),
            None
        );
    }

    #[test]
    fn a_call_that_returns_hands_over_its_value() {
        assert_eq!(within(UNLOCK_LIMIT, || 7), Some(7));
    }
}
