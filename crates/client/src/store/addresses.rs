//! Where contacts are reached, as their own key cards say it: the relay's URL, a `#`, and the address there.

use ctalk_core::Card;
use rusqlite::{OptionalExtension, params};

use super::Transaction;

/// Records the addresses on a contact's card at those of its relays that are known here. An address that
/// another contact has stays with that one.
pub(super) fn take_from_card(
    transaction: &Transaction<'_>,
    contact: i64,
    card: &Card,
) -> rusqlite::Result<()> {
    for (url, address) in card.addresses().filter_map(|entry| entry.split_once('#')) {
        let relay: Option<i64> = transaction
            .prepare_cached("SELECT id FROM relays WHERE url = ?1")?
            .query_row([url], |row| row.get(0))
            .optional()?;
        let Some(relay) = relay else {
            continue;
        };
        let is_taken = transaction
            .prepare_cached("SELECT 1 FROM addresses WHERE relay = ?1 AND address = ?2")?
            .exists(params![relay, address])?;
        if is_taken {
            continue;
        }
        // The plus sign keeps SQLite from going through all addresses of the relay.
        transaction
            .prepare_cached("DELETE FROM addresses WHERE +relay = ?1 AND contact = ?2")?
            .execute(params![relay, contact])?;
        transaction
            .prepare_cached("INSERT INTO addresses (relay, address, contact) VALUES (?1, ?2, ?3)")?
            .execute(params![relay, address, contact])?;
    }
    Ok(())
}

/// Records what the cards of all contacts say, for a relay that is new here.
pub(super) fn take_from_cards(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let mut query = transaction.prepare("SELECT id, card FROM contacts WHERE card IS NOT NULL")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let (contact, bytes): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
        if let Ok(card) = Card::from_stored(&bytes) {
            take_from_card(transaction, contact, &card)?;
        }
    }
    Ok(())
}
