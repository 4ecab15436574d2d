//! When keys that are offered for a contact are acceptable, when they have ended, and what they count
//! for.

mod ending;
mod standing;

pub use ending::{
    Ended, Ending, RevocationStep, SuccessionRefused, SuccessionStep, not_ended, revocation,
    succession,
};
pub use standing::Standing;

use core::{cmp::Ordering, fmt};

use crate::{CLOCK_SKEW, Card, Fingerprint, PublicKeys, Timestamp, VerifyingKey, XWingKey};

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
        return Err(KeyConflict::new(offered_name, holder, part));
    }
    Ok(())
}

/// Decides what becomes of a card that is offered at `now` for an identity of which `held` is the
/// newest card known, if any is.
///
/// # Errors
///
/// [`CardRefused`] for a card that must not be used and whose coming is worth a report.
pub fn card_update(
    held: Option<&Card>,
    offered: &Card,
    now: Timestamp,
) -> Result<CardUpdate, CardRefused> {
    let fingerprint = offered.fingerprint();
    if let Some(held) = held
        && held.signing_key() != offered.signing_key()
    {
        return Err(CardRefused::OtherIdentity {
            held: held.fingerprint(),
            offered: fingerprint,
        });
    }
    if offered.created().is_after(now, CLOCK_SKEW) {
        return Err(CardRefused::Future { fingerprint });
    }
    let Some(held) = held else {
        return Ok(CardUpdate::Newer);
    };
    match offered.serial().cmp(&held.serial()) {
        Ordering::Greater => Ok(CardUpdate::Newer),
        Ordering::Less => Ok(CardUpdate::Older),
        Ordering::Equal if offered == held => Ok(CardUpdate::Same),
        Ordering::Equal => Err(CardRefused::SameSerial {
            fingerprint,
            serial: offered.serial(),
        }),
    }
}

/// Checks that a card may make a native contact of one that is pinned with classic keys.
///
/// # Errors
///
/// [`KeyChange`] when either classic key on the card differs.
pub fn upgrade(pinned: &PublicKeys, card: &Card) -> Result<(), KeyChange> {
    compare(pinned, card.public_keys())
}

/// Checks the X-Wing key of a card against those of all identities that are held already, by their
/// signing keys. [`conflict`] does the same for the other keys.
///
/// An X-Wing key on two cards cannot misdirect an envelope, because each is bound to a signing key
/// too; its second holder is a liar all the same.
///
/// # Errors
///
/// [`KeyConflict`] with the first other holder of the key.
pub fn xwing_conflict<'a>(
    offered_name: &str,
    offered: &Card,
    held: impl IntoIterator<Item = (KeyHolder<'a>, &'a VerifyingKey, &'a XWingKey)>,
) -> Result<(), KeyConflict> {
    let same = held.into_iter().find(|(_, signing_key, xwing_key)| {
        *signing_key != offered.signing_key() && *xwing_key == offered.xwing_key()
    });
    match same {
        Some((holder, _, _)) => Err(KeyConflict::new(offered_name, holder, KeyPart::XWing)),
        None => Ok(()),
    }
}

/// What becomes of an offered card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardUpdate {
    /// Use it from now on.
    Newer,
    /// It is the one held.
    Same,
    /// Ignore it: a newer one is known.
    Older,
}

/// An offered card that must not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CardRefused {
    /// Created later than the clock allows.
    #[error(
        "the key card of {fingerprint} was created in the future; \
         compare this machine's clock with its owner's"
    )]
    Future {
        /// Whose card.
        fingerprint: Fingerprint,
    },
    /// The card of another identity.
    #[error(
        "the key card is that of {offered} where that of {held} is pinned; \
         ask the contact by other means which one is right"
    )]
    OtherIdentity {
        /// Whose card is held.
        held: Fingerprint,
        /// Whose card is offered.
        offered: Fingerprint,
    },
    /// Two different cards with one serial.
    #[error(
        "{fingerprint} has signed two different key cards with serial {serial}; \
         its keys may be in use at two places, so ask its owner for a new card"
    )]
    SameSerial {
        /// Whose cards.
        fingerprint: Fingerprint,
        /// Their serial.
        serial: u64,
    },
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
    /// The X-Wing key of a key card.
    XWing,
}

impl fmt::Display for KeyPart {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Encryption => "publicKey",
            Self::Signing => "signingKey",
            Self::Both => "publicKey and signingKey",
            Self::XWing => "X-Wing key",
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

impl KeyConflict {
    fn new(offered_name: &str, holder: KeyHolder<'_>, part: KeyPart) -> Self {
        Self {
            offered_name: offered_name.to_owned(),
            holder: match holder {
                KeyHolder::Me => None,
                KeyHolder::Contact(name) => Some(name.to_owned()),
            },
            part,
        }
    }
}
