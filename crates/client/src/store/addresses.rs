//! Where contacts are at a relay: as it was found out there, or, where the relay chooses addresses and has no
//! directory, as their own key cards say it.
//!
//! What a card says leads only from the contact to the address, never back: anybody can put another's address
//! on his card.

use ctalk_core::Card;
use rusqlite::{OptionalExtension, params};

use super::Transaction;
use crate::relay::Kind;

/// The address that a card names at the relay at `url`, if that is one which chooses addresses.
pub(super) fn on_card<'c>(card: &'c Card, url: &str) -> Option<&'c str> {
    if !Kind::of(url).is_ok_and(Kind::chooses_addresses) {
        return None;
    }
    let mut named = card.addresses().filter_map(|entry| entry.split_once('#'));
    named
        .find(|(relay, _)| *relay == url)
        .map(|(_, address)| address)
}

/// Where a contact is at a relay.
pub(super) fn at(
    transaction: &Transaction<'_>,
    contact: i64,
    relay: i64,
) -> rusqlite::Result<Option<String>> {
    // The plus sign keeps SQLite from going through all addresses of the relay.
    let found: Option<(Option<Vec<u8>>, Option<String>, String)> = transaction
        .prepare_cached(
            "SELECT card,
                 (SELECT address FROM addresses WHERE contact = ?1 AND +relay = ?2),
                 (SELECT url FROM relays WHERE id = ?2)
             FROM contacts WHERE id = ?1",
        )?
        .query_row(params![contact, relay], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let Some((card, found, url)) = found else {
        return Ok(None);
    };
    let card = card.and_then(|card| Card::from_stored(&card).ok());
    let named = card.as_ref().and_then(|card| on_card(card, &url));
    Ok(named.map(str::to_owned).or(found))
}
