//! Contacts as shown.

use anyhow::Result;
use ctalk::{
    Format,
    core::Fingerprint,
    store::{Contact, HeldCard, Store},
    text::{distinct, escaped},
};
use serde::Serialize;

use crate::{commands, output::Output};

/// A contact in JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    name: &'a str,
    /// Its name at the relay.
    address: Option<&'a str>,
    standing: &'a str,
    learned: &'a str,
    since: String,
    #[serde(serialize_with = "commands::whoami::hex")]
    fingerprint: Fingerprint,
    /// What those who know no key card of it see, and what changed keys are compared by.
    #[serde(serialize_with = "commands::whoami::hex")]
    classic_fingerprint: Fingerprint,
    public_key: String,
    signing_key: String,
    /// The format that it is written to in.
    format: Format,
    /// Until when envelopes can be sealed to its card.
    card_expires: Option<String>,
    notes: &'a str,
    /// The cards taken over from it, the newest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    cards: Option<Vec<ShownCard>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownCard {
    serial: u64,
    created: String,
    expires: String,
    received: String,
    /// Of the identity that signed it, which may be a former one.
    #[serde(serialize_with = "commands::whoami::hex")]
    fingerprint: Fingerprint,
}

/// Lists all contacts by name.
pub(super) fn list(store: &Store, output: &Output) -> Result<()> {
    if output.is_json() {
        // One at a time: there may be more than fit into memory.
        let mut printed = Ok(());
        store.each_contact(|contact| {
            printed = output.object(&Shown::new(&contact));
            printed.is_ok()
        })?;
        return printed;
    }
    let heading = ["NAME", "STANDING", "FORMAT", "SINCE", "FINGERPRINT"].map(str::to_owned);
    let mut rows = vec![heading];
    store.each_contact(|contact| {
        let shown = Shown::new(&contact);
        rows.push([
            distinct(shown.name).into_owned(),
            shown.standing.to_owned(),
            shown.format.as_str().to_owned(),
            shown.since,
            shown.fingerprint.to_string(),
        ]);
        true
    })?;
    output.table(&rows)
}

/// Shows one contact.
pub(in crate::commands) fn contact(contact: &Contact, output: &Output) -> Result<()> {
    let shown = Shown::new(contact);
    if output.is_json() {
        return output.object(&shown);
    }
    let row = |label: &str, value: &str| [label.to_owned(), escaped(value).into_owned()];
    output.table(&[
        row("name", &distinct(shown.name)),
        row("at the relay", &distinct(shown.address.unwrap_or("-"))),
        row("standing", shown.standing),
        row("learned", shown.learned),
        row("since", &shown.since),
        row("fingerprint", &shown.fingerprint.to_string()),
        row("public key", &shown.public_key),
        row("signing key", &shown.signing_key),
        row("format", shown.format.as_str()),
        row("card expires", shown.card_expires.as_deref().unwrap_or("-")),
        row(
            "notes",
            if shown.notes.is_empty() {
                "-"
            } else {
                shown.notes
            },
        ),
    ])
}

/// Shows one contact and the cards that it had.
pub(super) fn whole(store: &Store, held: &Contact, output: &Output) -> Result<()> {
    let cards = store.card_history(held)?;
    let cards: Vec<_> = cards.iter().map(ShownCard::new).collect();
    if output.is_json() {
        return output.object(&Shown {
            cards: Some(cards),
            ..Shown::new(held)
        });
    }
    contact(held, output)?;
    if cards.is_empty() {
        return Ok(());
    }
    output.line("")?;
    let heading = ["CARD", "CREATED", "EXPIRES", "RECEIVED"].map(str::to_owned);
    let rows = cards.into_iter().map(|card| {
        [
            card.serial.to_string(),
            card.created,
            card.expires,
            card.received,
        ]
    });
    let rows: Vec<_> = std::iter::once(heading).chain(rows).collect();
    output.table(&rows)
}

impl<'a> Shown<'a> {
    fn new(contact: &'a Contact) -> Self {
        Self {
            name: &contact.name,
            address: contact.address.as_deref(),
            standing: contact.standing.as_str(),
            learned: contact.learned.as_str(),
            since: commands::time(contact.since),
            fingerprint: contact.fingerprint(),
            classic_fingerprint: contact.keys.fingerprint(),
            public_key: contact.keys.encryption().to_base64(),
            signing_key: contact.keys.verifying().to_base64(),
            format: match contact.card {
                Some(_) => Format::Native,
                None => Format::Classic,
            },
            card_expires: contact
                .card
                .as_ref()
                .map(|card| commands::shown_time(card.expires())),
            notes: &contact.notes,
            cards: None,
        }
    }
}

impl ShownCard {
    fn new(held: &HeldCard) -> Self {
        Self {
            serial: held.card.serial(),
            created: commands::shown_time(held.card.created()),
            expires: commands::shown_time(held.card.expires()),
            received: commands::time(held.received),
            fingerprint: held.card.fingerprint(),
        }
    }
}
