//! The JSON that programs are shown, the same from the command line and the C ABI. New members may
//! appear; none changes its meaning.
//!
//! What is received has its shape from [`Received`](crate::Received), and what is sent from
//! [`Sent`](crate::Sent).

use std::borrow::Cow;

use ctalk_core::{Fingerprint, PublicKeys, Timestamp};
use serde::{Serialize, Serializer};

use crate::{
    error::Class,
    message::Format,
    profile::Profile,
    store::{self, HeldCard},
    verification,
};

/// The public side of a profile.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Myself<'a> {
    /// The agent's name.
    pub name: &'a str,
    /// Of its Ed25519 key.
    #[serde(serialize_with = "hex")]
    pub fingerprint: Fingerprint,
    /// What those who know no key card of it see.
    #[serde(serialize_with = "hex")]
    pub classic_fingerprint: Fingerprint,
    /// X25519, standard base64.
    pub public_key: String,
    /// Ed25519, standard base64.
    pub signing_key: String,
    /// `keyring`, `file` or `plain`.
    pub key_store: String,
    /// The profile's name.
    pub profile: Cow<'a, str>,
    /// Where it is registered.
    pub relay: Option<&'a str>,
}

impl<'a> Myself<'a> {
    /// The agent of a profile, who has these keys.
    #[must_use]
    pub fn new(profile: &'a Profile, keys: &PublicKeys) -> Self {
        let folder = profile.folder().file_name().unwrap_or_default();
        Self {
            name: profile.name(),
            fingerprint: Fingerprint::native(keys.verifying()),
            classic_fingerprint: keys.fingerprint(),
            public_key: keys.encryption().to_base64(),
            signing_key: keys.verifying().to_base64(),
            key_store: profile.key_store().to_string(),
            profile: folder.to_string_lossy(),
            relay: profile.relay(),
        }
    }
}

/// A profile that was registered.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Registered<'a> {
    /// The agent's name.
    pub name: &'a str,
    /// Where it is registered.
    pub relay: Option<&'a str>,
    /// That of its key card.
    #[serde(serialize_with = "hex")]
    pub fingerprint: Fingerprint,
}

/// A contact.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Contact<'a> {
    /// Its name here.
    pub name: &'a str,
    /// Its name at the relay.
    pub address: Option<&'a str>,
    /// `pinned`, `verified` or `blocked`.
    pub standing: &'a str,
    /// How it became a contact.
    pub learned: &'a str,
    /// Since when it is one.
    pub since: String,
    /// That of its identity where its key card is known, else that of both classic keys.
    #[serde(serialize_with = "hex")]
    pub fingerprint: Fingerprint,
    /// What those who know no key card of it see, and what changed keys are compared by.
    #[serde(serialize_with = "hex")]
    pub classic_fingerprint: Fingerprint,
    /// X25519, standard base64.
    pub public_key: String,
    /// Ed25519, standard base64.
    pub signing_key: String,
    /// The format that it is written to in.
    pub format: Format,
    /// Until when envelopes can be sealed to its card.
    pub card_expires: Option<String>,
    /// What the user wrote down about it.
    pub notes: &'a str,
    /// The cards taken over from it, the newest first; absent where they were not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cards: Option<Vec<Card>>,
}

impl<'a> From<&'a store::Contact> for Contact<'a> {
    fn from(contact: &'a store::Contact) -> Self {
        Self {
            name: &contact.name,
            address: contact.address.as_deref(),
            standing: contact.standing.as_str(),
            learned: contact.learned.as_str(),
            since: time(contact.since),
            fingerprint: contact.fingerprint(),
            classic_fingerprint: contact.keys.fingerprint(),
            public_key: contact.keys.encryption().to_base64(),
            signing_key: contact.keys.verifying().to_base64(),
            format: match contact.card {
                Some(_) => Format::Native,
                None => Format::Classic,
            },
            card_expires: contact.card.as_ref().map(|card| timestamp(card.expires())),
            notes: &contact.notes,
            cards: None,
        }
    }
}

/// A key card that a contact had.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Card {
    /// Its number among the identity's cards.
    pub serial: u64,
    /// When it was made.
    pub created: String,
    /// Until when envelopes can be sealed to it.
    pub expires: String,
    /// When it was taken over.
    pub received: String,
    /// Of the identity that signed it, which may be a former one.
    #[serde(serialize_with = "hex")]
    pub fingerprint: Fingerprint,
}

impl From<&HeldCard> for Card {
    fn from(held: &HeldCard) -> Self {
        Self {
            serial: held.card.serial(),
            created: timestamp(held.card.created()),
            expires: timestamp(held.card.expires()),
            received: time(held.received),
            fingerprint: held.card.fingerprint(),
        }
    }
}

/// What both sides compare.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison<'a> {
    /// The contact.
    pub name: &'a str,
    /// What its keys count for.
    pub standing: &'a str,
    /// Which fingerprints the number is of.
    pub format: Format,
    /// 75 digits in groups of five.
    pub safety_number: String,
    /// The same in words.
    pub words: String,
    /// The contact's.
    #[serde(serialize_with = "hex")]
    pub fingerprint: Fingerprint,
    /// The own one.
    #[serde(serialize_with = "hex")]
    pub own_fingerprint: Fingerprint,
}

impl<'a> Comparison<'a> {
    /// What is compared with this contact.
    #[must_use]
    pub fn new(contact: &'a store::Contact, compared: &verification::Comparison) -> Self {
        Self {
            name: &contact.name,
            standing: contact.standing.as_str(),
            format: compared.format,
            safety_number: compared.number.to_string(),
            words: compared.number.words().join(" "),
            fingerprint: compared.theirs,
            own_fingerprint: compared.own,
        }
    }
}

/// A failure.
#[derive(Clone, Debug, Serialize)]
pub struct Failure<'a> {
    /// What went wrong, in words.
    pub error: Cow<'a, str>,
    /// The word for its class.
    pub class: &'static str,
    /// The class's exit code.
    pub code: u8,
    /// What the user can do about it.
    pub hint: Option<Cow<'a, str>>,
}

impl<'a> Failure<'a> {
    /// A failure of this class.
    #[must_use]
    pub fn new(class: Class, error: &'a str, hint: Option<&'a str>) -> Self {
        Self {
            error: error.into(),
            class: class.as_str(),
            code: class.code(),
            hint: hint.map(Into::into),
        }
    }
}

impl From<&crate::Error> for Failure<'_> {
    fn from(error: &crate::Error) -> Self {
        let class = error.class();
        Self {
            error: error.to_string().into(),
            class: class.as_str(),
            code: class.code(),
            hint: error.hint().map(Into::into),
        }
    }
}

/// What became of a message for a recipient who did not get it.
#[derive(Serialize)]
pub struct NotSent<'a> {
    /// The recipient as named.
    pub to: &'a str,
    /// Why.
    #[serde(flatten)]
    pub failure: Failure<'a>,
}

/// Milliseconds since the Unix epoch as people and relays write times: RFC 3339 in UTC, with
/// milliseconds.
#[must_use]
pub fn time(milliseconds: i64) -> String {
    jiff::Timestamp::from_millisecond(milliseconds)
        .map_or_else(|_| "-".to_owned(), |time| format!("{time:.3}"))
}

/// The time of an envelope or a card, as [`time`] writes it.
#[must_use]
pub fn timestamp(time: Timestamp) -> String {
    i64::try_from(time.as_millis()).map_or_else(|_| "-".to_owned(), self::time)
}

/// 64 hex digits, as JSON carries fingerprints.
///
/// # Errors
/// The serializer's.
pub fn hex<S: Serializer>(fingerprint: &Fingerprint, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&fingerprint.to_hex())
}
