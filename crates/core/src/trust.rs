//! When keys that are offered for a contact are acceptable.

use core::fmt;

use crate::{Fingerprint, PublicKeys};

/// Checks the keys that a relay now offers for a contact against those pinned for it.
///
/// # Errors
///
/// [`KeyChange`] when either key differs.
pub fn compare(pinned: &PublicKeys, offered: &PublicKeys) -> Result<(), KeyChange> {
    let part = match (
        pinned.encryption() == offered.encryption(),
        pinned.verifying() == offered.verifying(),
    ) {
        (true, true) => return Ok(()),
        (false, true) => KeyPart::Encryption,
        (true, false) => KeyPart::Signing,
        (false, false) => KeyPart::Both,
    };
    Err(KeyChange {
        pinned: pinned.fingerprint(),
        offered: offered.fingerprint(),
        part,
    })
}

/// Checks the keys that are offered for `offered_name` against all that are held already.
///
/// One key in two hands lets the second holder pass off the first one's messages as its own. A
/// contact held under `offered_name` itself is skipped; [`compare`] is the rule for that one.
///
/// # Errors
///
/// [`KeyConflict`] with the first holder of either key.
pub fn conflict<'a>(
    offered_name: &str,
    offered: &PublicKeys,
    held: impl IntoIterator<Item = (KeyHolder<'a>, &'a PublicKeys)>,
) -> Result<(), KeyConflict> {
    for (holder, keys) in held {
        if holder == KeyHolder::Contact(offered_name) {
            continue;
        }
        let part = match (
            keys.encryption() == offered.encryption(),
            keys.verifying() == offered.verifying(),
        ) {
            (false, false) => continue,
            (true, false) => KeyPart::Encryption,
            (false, true) => KeyPart::Signing,
            (true, true) => KeyPart::Both,
        };
        return Err(KeyConflict {
            offered_name: offered_name.to_owned(),
            holder: match holder {
                KeyHolder::Me => None,
                KeyHolder::Contact(name) => Some(name.to_owned()),
            },
            part,
        });
    }
    Ok(())
}

/// Which of an agent's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPart {
    /// `publicKey`, the X25519 key.
    Encryption,
    /// `signingKey`, the Ed25519 key.
    Signing,
    /// Both of them.
    Both,
}

impl fmt::Display for KeyPart {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Encryption => "publicKey",
            Self::Signing => "signingKey",
            Self::Both => "publicKey and signingKey",
        })
    }
}

/// Who holds keys already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyHolder<'a> {
    /// The identity itself.
    Me,
    /// The contact of this local name.
    Contact(&'a str),
}

/// A contact's keys are not those that were pinned for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{part} changed: pinned is {pinned}, offered is {offered}; \
     ask the contact by other means which one is right"
)]
pub struct KeyChange {
    /// Fingerprint of the keys pinned before.
    pub pinned: Fingerprint,
    /// Fingerprint of the keys offered now.
    pub offered: Fingerprint,
    /// Which keys differ.
    pub part: KeyPart,
}

/// Keys that are offered for one contact are held by another, or by us.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the {part} offered for {offered_name:?} is already that of {}; one of them is an impostor",
    holder.as_ref().map_or_else(|| "this identity".to_owned(), |name| format!("{name:?}"))
)]
pub struct KeyConflict {
    /// The name that the keys were offered for.
    pub offered_name: String,
    /// The contact that holds them already; none when it is this identity.
    pub holder: Option<String>,
    /// Which keys are shared.
    pub part: KeyPart,
}
