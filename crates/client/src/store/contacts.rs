//! Contacts: local names, pinned keys and the addresses where relays know them.

use ctalk_core::{EncryptionKey, PublicKeys, VerifyingKey};
use rusqlite::{OptionalExtension, Row, params};

use super::{Store, StoreError};

/// Somebody whose keys are pinned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Row in the store.
    pub(crate) id: i64,
    /// Local name.
    pub name: String,
    /// Name at the current relay, in its spelling; `None` when it is not known there.
    pub address: Option<String>,
    /// `pinned`, `verified` or `blocked`.
    pub standing: String,
    /// `first-use`, or `accepted` when a person named the fingerprint.
    pub learned: String,
    /// When these keys were pinned, in milliseconds since the Unix epoch.
    pub since: i64,
    /// The pinned keys.
    pub keys: PublicKeys,
}

/// A contact about to be pinned.
#[derive(Clone, Copy, Debug)]
pub struct NewContact<'a> {
    /// Local name.
    pub name: &'a str,
    /// Name at the current relay.
    pub address: &'a str,
    /// The keys.
    pub keys: &'a PublicKeys,
    /// `first-use` or `accepted`.
    pub learned: &'static str,
}

const CONTACT: &str = "
    SELECT c.id, c.name, c.standing, c.learned, e.since, e.key, s.key,
           (SELECT address FROM addresses WHERE contact = c.id AND relay = ?1)
    FROM contacts c
    JOIN keys e ON e.contact = c.id AND e.kind = 'encryption' AND e.until IS NULL
    JOIN keys s ON s.contact = c.id AND s.kind = 'signing' AND s.until IS NULL";

impl Store {
    /// All contacts by name.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn contacts(&self) -> Result<Vec<Contact>, StoreError> {
        self.read(|db| {
            let mut query = db.prepare_cached(&format!("{CONTACT} ORDER BY c.name"))?;
            query.query_map([self.relay], contact)?.collect()
        })
    }

    /// The contact with this local name.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn contact(&self, name: &str) -> Result<Option<Contact>, StoreError> {
        self.one(&format!("{CONTACT} WHERE c.name = ?2"), name)
    }

    /// The contact that the current relay knows by this exact name.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn contact_at(&self, address: &str) -> Result<Option<Contact>, StoreError> {
        let at = "WHERE c.id = (SELECT contact FROM addresses WHERE relay = ?1 AND address = ?2)";
        self.one(&format!("{CONTACT} {at}"), address)
    }

    /// The contacts that hold one of these keys.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn holders(&self, keys: &PublicKeys) -> Result<Vec<Contact>, StoreError> {
        self.read(|db| {
            let mut query =
                db.prepare_cached(&format!("{CONTACT} WHERE e.key = ?2 OR s.key = ?3"))?;
            let keys = params![
                self.relay,
                keys.encryption().as_bytes().as_slice(),
                keys.verifying().as_bytes().as_slice()
            ];
            query.query_map(keys, contact)?.collect()
        })
    }

    /// Pins a new contact, or adds the address to the contact of that name if it has these keys.
    ///
    /// # Errors
    /// [`StoreError::NameTaken`] by a contact with other keys, [`StoreError::Failed`].
    pub fn pin(&mut self, new: NewContact<'_>, now: i64) -> Result<(), StoreError> {
        let known = self.contact(new.name)?;
        if known
            .as_ref()
            .is_some_and(|contact| contact.keys != *new.keys)
        {
            return Err(StoreError::NameTaken {
                name: new.name.to_owned(),
            });
        }
        let relay = self.relay;
        self.write(|transaction| {
            let id = match known {
                Some(contact) => contact.id,
                None => {
                    let id = transaction.query_row(
                        "INSERT INTO contacts (name, standing, learned, since)
                         VALUES (?1, 'pinned', ?2, ?3) RETURNING id",
                        params![new.name, new.learned, now],
                        |row| row.get(0),
                    )?;
                    insert_keys(transaction, id, new.keys, now)?;
                    id
                }
            };
            transaction.execute(
                "INSERT INTO addresses (relay, address, contact) VALUES (?1, ?2, ?3)",
                params![relay, new.address, id],
            )?;
            Ok(())
        })
    }

    /// Replaces a contact's keys; the former ones are kept as retired.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn replace_keys(
        &mut self,
        contact: &Contact,
        keys: &PublicKeys,
        now: i64,
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            transaction.execute(
                "UPDATE keys SET until = ?2 WHERE contact = ?1 AND until IS NULL",
                params![contact.id, now],
            )?;
            insert_keys(transaction, contact.id, keys, now)?;
            transaction.execute(
                "UPDATE contacts SET learned = 'accepted', standing = 'pinned' WHERE id = ?1",
                [contact.id],
            )?;
            Ok(())
        })
    }

    /// Forgets a contact; false when there is none of that name.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn remove_contact(&mut self, name: &str) -> Result<bool, StoreError> {
        self.write(|transaction| {
            Ok(transaction.execute("DELETE FROM contacts WHERE name = ?1", [name])? > 0)
        })
    }

    fn one(&self, query: &str, key: &str) -> Result<Option<Contact>, StoreError> {
        self.read(|db| {
            db.prepare_cached(query)?
                .query_row(params![self.relay, key], contact)
                .optional()
        })
    }
}

fn insert_keys(
    transaction: &rusqlite::Transaction<'_>,
    contact: i64,
    keys: &PublicKeys,
    now: i64,
) -> rusqlite::Result<()> {
    let insert = "INSERT INTO keys (contact, kind, key, since) VALUES (?1, ?2, ?3, ?4)";
    let encryption = keys.encryption();
    let verifying = keys.verifying();
    let rows: [(&str, &[u8]); 2] = [
        ("encryption", encryption.as_bytes()),
        ("signing", verifying.as_bytes()),
    ];
    for (kind, key) in rows {
        transaction.execute(insert, params![contact, kind, key, now])?;
    }
    Ok(())
}

fn contact(row: &Row<'_>) -> rusqlite::Result<Contact> {
    // Only keys that passed these checks are ever written; a file that says otherwise is damaged.
    let damaged = |column: usize| {
        rusqlite::Error::FromSqlConversionFailure(
            column,
            rusqlite::types::Type::Blob,
            "a stored key is damaged".into(),
        )
    };
    let encryption = EncryptionKey::from_bytes(row.get(5)?).map_err(|_| damaged(5))?;
    let verifying = VerifyingKey::from_bytes(row.get(6)?).map_err(|_| damaged(6))?;
    Ok(Contact {
        id: row.get(0)?,
        name: row.get(1)?,
        standing: row.get(2)?,
        learned: row.get(3)?,
        since: row.get(4)?,
        keys: PublicKeys::new(encryption, verifying),
        address: row.get(7)?,
    })
}
