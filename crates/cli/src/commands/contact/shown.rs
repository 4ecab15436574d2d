//! Contacts as shown.

use anyhow::Result;
use ctalk::{
    shown::{Card, Contact as Shown},
    store::{Contact, Store},
    text::{distinct, escaped},
};

use crate::output::Output;

/// Lists all contacts by name.
pub(super) fn list(store: &Store, output: &Output) -> Result<()> {
    if output.is_json() {
        // One at a time: there may be more than fit into memory.
        let mut printed = Ok(());
        store.each_contact(|contact| {
            printed = output.object(&Shown::from(&contact));
            printed.is_ok()
        })?;
        return printed;
    }
    let heading = ["NAME", "STANDING", "FORMAT", "SINCE", "FINGERPRINT"].map(str::to_owned);
    let mut rows = vec![heading];
    store.each_contact(|contact| {
        let shown = Shown::from(&contact);
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
    let shown = Shown::from(contact);
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
    let cards: Vec<_> = cards.iter().map(Card::from).collect();
    if output.is_json() {
        return output.object(&Shown {
            cards: Some(cards),
            ..Shown::from(held)
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
