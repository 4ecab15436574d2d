//! The cards that contacts had, so that an older one is known for what it is.

use ctalk_core::{Card, VerifyingKey};
use rusqlite::params;
use sha2::{Digest, Sha256};

use super::{Contact, Store, StoreError, Transaction};

/// How many cards of one contact are kept; a contact must not fill the disk with new ones.
const MAX_CARDS: i64 = 32;

impl Store {
    /// The cards taken over from a contact, the newest first: with the present one, at most 32.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn card_history(&self, contact: &Contact) -> Result<Vec<HeldCard>, StoreError> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT card, received FROM cards WHERE contact = ?1
                 ORDER BY received DESC, serial DESC",
            )?
            .query_map([contact.id], |row| {
                let bytes: Vec<u8> = row.get(0)?;
                let card = Card::from_stored(&bytes).map_err(|error| {
                    rusqlite::Error::FromSqlConversionFailure(
                        0,
                        rusqlite::types::Type::Blob,
                        error.into(),
                    )
                })?;
                Ok(HeldCard {
                    card,
                    received: row.get(1)?,
                })
            })?
            .collect()
        })
    }

    /// A contact of another name that has or had a card with this card's X-Wing key under another
    /// signing key.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn xwing_holder(&self, name: &str, card: &Card) -> Result<Option<String>, StoreError> {
        use rusqlite::OptionalExtension;

        self.read(|db| {
            db.prepare_cached(
                "SELECT name FROM cards JOIN contacts ON contacts.id = contact
                 WHERE xwing = ?1 AND signer != ?2 AND name != ?3 LIMIT 1",
            )?
            .query_row(
                params![digest(card), card.signing_key().as_bytes(), name],
                |row| row.get(0),
            )
            .optional()
        })
    }

    /// Whether another card of this identity with the same serial was taken over before.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn has_other_card(&self, card: &Card) -> Result<bool, StoreError> {
        let signer: &VerifyingKey = card.signing_key();
        self.read(|db| {
            db.prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM cards JOIN keys ON keys.contact = cards.contact
                 WHERE kind = 'signing' AND key = ?1 AND signer = ?1 AND serial = ?2 AND card != ?3)",
            )?
            .query_row(
                params![
                    signer.as_bytes(),
                    card.serial().to_be_bytes(),
                    card.as_bytes()
                ],
                |row| row.get(0),
            )
        })
    }
}

/// A card as it was taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldCard {
    /// The card.
    pub card: Card,
    /// When it came, in milliseconds since the Unix epoch.
    pub received: i64,
}

pub(super) fn remember(
    transaction: &Transaction<'_>,
    contact: i64,
    card: &Card,
    now: i64,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO cards (contact, signer, serial, xwing, card, received)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            contact,
            card.signing_key().as_bytes(),
            card.serial().to_be_bytes(),
            digest(card),
            card.as_bytes(),
            now
        ])?;
    transaction
        .prepare_cached(
            "DELETE FROM cards WHERE contact = ?1 AND (signer, serial) IN
             (SELECT signer, serial FROM cards WHERE contact = ?1
              ORDER BY received DESC, serial DESC LIMIT -1 OFFSET ?2)",
        )?
        .execute(params![contact, MAX_CARDS])?;
    Ok(())
}

fn digest(card: &Card) -> [u8; 32] {
    Sha256::digest(card.xwing_key().as_bytes()).into()
}
