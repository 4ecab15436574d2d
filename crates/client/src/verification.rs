//! Finding out whose keys a contact's are: by its fingerprint, or by a number that both sides see.

use ctalk_core::{Fingerprint, PublicKeys, SafetyNumber, trust::Standing};

use crate::{
    endings,
    error::Error,
    message::Format,
    store::{Contact, Store},
};

/// What two people compare, each on their own side, to find out whether they hold each other's true
/// keys. Section 1 of `docs/TRUST.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// Which fingerprints these are: the native ones where the contact has a key card, else the
    /// classic ones of both sides.
    pub format: Format,
    /// The contact's fingerprint.
    pub theirs: Fingerprint,
    /// One's own.
    pub own: Fingerprint,
    /// The same on both sides, if both know the other's key card or neither does.
    pub number: SafetyNumber,
}

impl Comparison {
    /// What the owner of the keys `me` compares with this contact.
    #[must_use]
    pub fn new(me: &PublicKeys, contact: &Contact) -> Self {
        let (format, own) = match contact.card {
            Some(_) => (Format::Native, Fingerprint::native(me.verifying())),
            None => (Format::Classic, me.fingerprint()),
        };
        let theirs = contact.fingerprint();
        Self {
            format,
            theirs,
            own,
            number: SafetyNumber::of(&own, &theirs),
        }
    }
}

/// Marks the contact of this name as verified, provided that this is its fingerprint: that of the
/// identity where its key card is known, else that of both classic keys.
///
/// # Errors
/// [`Error::WrongFingerprint`], and those of [`confirm`].
pub fn verify_contact(store: &mut Store, name: &str, given: Fingerprint) -> Result<Contact, Error> {
    let contact = store.contact(name)?.ok_or_else(|| Error::UnknownContact {
        name: name.to_owned(),
    })?;
    let held = contact.fingerprint();
    if given != held {
        return Err(Error::WrongFingerprint {
            name: contact.name,
            given,
            held,
            is_classic: contact.card.is_none(),
        });
    }
    confirm(store, contact)
}

/// Marks a contact as verified whose keys the user has compared.
///
/// # Errors
/// [`Error::Blocked`], [`Error::ChangedMeanwhile`] if it has other keys by now or none,
/// [`Error::Ended`], and [`Error::Store`].
pub fn confirm(store: &mut Store, mut contact: Contact) -> Result<Contact, Error> {
    endings::check_not_ended(store, &contact.name, contact.keys.verifying())?;
    match store.change_standing(&contact, Standing::after_verification)? {
        None => Err(Error::ChangedMeanwhile { name: contact.name }),
        Some(Standing::Blocked) => Err(Error::Blocked { name: contact.name }),
        Some(standing) => {
            contact.standing = standing;
            Ok(contact)
        }
    }
}
