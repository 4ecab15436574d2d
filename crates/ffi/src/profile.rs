//! Identities in profiles: the folders in which the command line and the client keep everything of one
//! agent.

use std::{ffi::c_char, path::Path};

use ctalk::{
    Profile,
    core::{CLOCK_SKEW, Card, CardStatement, Timestamp, envelope::MAX_LIFE},
    keystore::{self, Keystore, Kind, Passphrase, PassphraseSource, Secrets, UnknownKind},
    store::Store,
};
use zeroize::Zeroizing;

use crate::{
    caller::Caller,
    card,
    code::{Code, ctalk_code},
    error::{Fault, ctalk_error},
    guard::guard,
    handle,
    identity::{Own, ctalk_identity},
    process, shown,
};

impl From<UnknownKind> for Fault {
    fn from(error: UnknownKind) -> Self {
        Self::new(Code::CTALK_BAD_ARGUMENT, error.to_string())
    }
}

/// Makes a profile of an identity in a folder, as `ctalk keygen` does, from where ctalk_identity_load, a
/// client and the command line take it. `name` is the agent's: 2 to 32 letters, digits, `_` or `-`.
/// `key_store` is `keyring`, `file` (which needs the passphrase) or `plain` (unprotected); empty is the
/// keyring if one answers, or a file. The passphrase may be NULL where none is needed. The folder is made
/// where it is missing, open to its owner alone. CTALK_PROFILE_EXISTS and CTALK_KEY_STORE_EXISTS where
/// there is one already, which is never overwritten.
///
/// Blocks: on the disk, for about a second on the passphrase, and for up to a minute on a locked keyring.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_identity_save(
    identity: *const ctalk_identity,
    folder: *const c_char,
    folder_len: usize,
    name: *const c_char,
    name_len: usize,
    key_store: *const c_char,
    key_store_len: usize,
    passphrase: *const c_char,
    passphrase_len: usize,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let own = handle::get(identity)?;
        let folder = Path::new(caller.text(folder, folder_len)?);
        let name = caller.text(name, name_len)?;
        let key_store = caller.text(key_store, key_store_len)?;
        let passphrase = source(caller, passphrase, passphrase_len)?;
        process::enter()?;
        // Before the keyring is asked.
        Profile::begin(folder, name, Kind::File)?;
        let kind = if key_store.is_empty() {
            keystore::default_kind()
        } else {
            key_store.parse()?
        };
        let profile = Profile::begin(folder, name, kind)?;
        let secrets = secrets(&own, name, shown::now())?;
        Keystore::create(folder, kind, passphrase, &secrets)?;
        Ok(profile.save()?)
    })
}

/// The secrets of a new profile: all keys of the identity, and a card for the newest X-Wing key.
fn secrets(own: &Own, name: &str, now: Timestamp) -> Result<Secrets, Fault> {
    let mut secrets = Secrets::new(own.identity.to_keygen_json());
    let expires = now.checked_add(card::LIFE).unwrap_or(Timestamp::MAX);
    // When nothing can arrive any more that was sealed to one of the older keys.
    let until = expires.checked_add(MAX_LIFE + CLOCK_SKEW);
    for secret in own.identity.xwing_secrets() {
        let statement = CardStatement {
            name,
            serial: now.as_millis(),
            created: now,
            expires,
            addresses: &[],
        };
        let card = Card::sign(&own.identity, secret.public_key(), &statement)?;
        secrets.replace_xwing(secret, &card, until.unwrap_or(Timestamp::MAX));
    }
    Ok(secrets)
}

/// Loads the identity of a profile with every key it has, and its card. Its X-Wing key is made where
/// there is none yet, and replaced when it is older than 7 days; the new card is in the key store before
/// this returns. The passphrase may be NULL where none is needed.
///
/// Blocks as ctalk_identity_save does. CTALK_NO_PROFILE, CTALK_NO_KEY_STORE, CTALK_BAD_PASSPHRASE,
/// CTALK_KEYRING_FAILED, CTALK_UNSAFE_PERMISSIONS or CTALK_KEY_STORE_FAILED say why not;
/// CTALK_BAD_ARGUMENT that the identity has ended.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_identity_load(
    folder: *const c_char,
    folder_len: usize,
    passphrase: *const c_char,
    passphrase_len: usize,
    out: *mut *mut ctalk_identity,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let out = caller.out(out)?;
        let folder = Path::new(caller.text(folder, folder_len)?);
        let passphrase = source(caller, passphrase, passphrase_len)?;
        process::enter()?;
        let profile = Profile::open(folder)?;
        let (keystore, secrets) = Keystore::open(folder, Kind::of(folder)?, passphrase)?;
        let store = Store::open(&profile.store_path(), None)?;
        ctalk::check_own_not_ended(&store, secrets.unlock()?.public_keys())?;
        let card = ctalk::own_card(&profile, &keystore, &secrets, shown::now())?;
        let identity = keystore.read()?.unlock()?;
        out.put(Own::new(identity, Some(card)));
        Ok(())
    })
}

/// The passphrase that the caller gives, if any.
fn source(
    caller: &Caller,
    text: *const c_char,
    len: usize,
) -> Result<PassphraseSource<'static>, Fault> {
    Ok(match caller.text_or_none(text, len)? {
        Some(text) => PassphraseSource::Given(Passphrase::new(Zeroizing::new(text.to_owned()))?),
        None => PassphraseSource::None,
    })
}
