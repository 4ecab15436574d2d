//! Contacts: local names, pinned keys and the addresses where relays know them.

use core::fmt;

use ctalk_core::{Card, EncryptionKey, Fingerprint, PublicKeys, VerifyingKey};
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::{Store, StoreError};

/// Somebody whose keys are pinned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Row in the store.
    pub(crate) id: i64,
    /// Local name. No other contact has it in any case of its letters.
    pub name: String,
    /// Name at the current relay, in its spelling; `None` when it is not known there.
    pub address: Option<String>,
    /// How the keys were learned.
    pub learned: Learned,
    /// When these keys were pinned, in milliseconds since the Unix epoch.
    pub since: i64,
    /// The pinned keys.
    pub keys: PublicKeys,
    /// The newest key card known. With one, the contact is written to in envelopes only.
    pub card: Option<Card>,
    /// When the relay's directory last showed its card, in milliseconds since the Unix epoch.
    pub(crate) refreshed: Option<i64>,
}

impl Contact {
    /// The fingerprint that its owner shows: of the identity where a card is known, else of both
    /// classic keys.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        match &self.card {
            Some(card) => card.fingerprint(),
            None => self.keys.fingerprint(),
        }
    }
}

/// How a contact's keys were learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Learned {
    /// The relay showed them when they were first needed.
    FirstUse,
    /// Somebody named their fingerprint, or handed over their card.
    Accepted,
}

impl Learned {
    /// The word used in output and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FirstUse => "first-use",
            Self::Accepted => "accepted",
        }
    }
}

impl fmt::Display for Learned {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A contact about to be pinned.
#[derive(Clone, Copy, Debug)]
pub struct NewContact<'a> {
    /// Local name.
    pub name: &'a str,
    /// Name at the current relay, if it is known there.
    pub address: Option<&'a str>,
    /// The keys.
    pub keys: &'a PublicKeys,
    /// The card that the keys are from, if there is one.
    pub card: Option<&'a Card>,
    /// How they were learned.
    pub learned: Learned,
}

const CONTACT: &str = "
    SELECT c.id, c.name, c.learned, e.since, e.key, s.key,
           (SELECT address FROM addresses WHERE contact = c.id AND relay = ?1), c.card,
           c.refreshed
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

    /// The contact with this local name, in any case of its letters.
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

    /// The contacts that hold one of these keys, or held it before.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn holders(&self, keys: &PublicKeys) -> Result<Vec<Holder>, StoreError> {
        let find = "SELECT DISTINCT c.name, k.kind FROM keys k JOIN contacts c ON c.id = k.contact
                    WHERE (k.kind = 'encryption' AND k.key = ?1)
                       OR (k.kind = 'signing' AND k.key = ?2)";
        self.read(|db| {
            let mut query = db.prepare_cached(find)?;
            let keys: [&[u8]; 2] = [keys.encryption().as_bytes(), keys.verifying().as_bytes()];
            query
                .query_map(params![keys[0], keys[1]], |row| {
                    let kind: String = row.get(1)?;
                    Ok(Holder {
                        name: row.get(0)?,
                        is_encryption: kind == "encryption",
                    })
                })?
                .collect()
        })
    }

    /// Pins a new contact, or adds the address to the contact of that name if it has these keys.
    ///
    /// # Errors
    /// [`StoreError::NameTaken`] by a contact with other keys, [`StoreError::Failed`].
    pub fn pin(&mut self, new: NewContact<'_>, now: i64) -> Result<(), StoreError> {
        let relay = self.relay;
        let pinned = self.write(|transaction| {
            // Looked up under the lock: two processes may meet the same agent at the same moment.
            let by_name = format!("{CONTACT} WHERE c.name = ?2");
            let known = transaction
                .prepare_cached(&by_name)?
                .query_row(params![relay, new.name], contact)
                .optional()?;
            let id = match known {
                Some(known) if known.keys == *new.keys => known.id,
                Some(_) => return Ok(false),
                None => {
                    let id = transaction.query_row(
                        "INSERT INTO contacts (name, learned, since, card)
                         VALUES (?1, ?2, ?3, ?4) RETURNING id",
                        params![
                            new.name,
                            new.learned.as_str(),
                            now,
                            new.card.map(Card::as_bytes)
                        ],
                        |row| row.get(0),
                    )?;
                    insert_keys(transaction, id, new.keys, now)?;
                    id
                }
            };
            if let Some(address) = new.address {
                transaction.execute(
                    "INSERT INTO addresses (relay, address, contact) VALUES (?1, ?2, ?3)
                     ON CONFLICT (relay, address) DO NOTHING",
                    params![relay, address, id],
                )?;
            }
            Ok(true)
        })?;
        if pinned {
            Ok(())
        } else {
            Err(StoreError::NameTaken {
                name: new.name.to_owned(),
            })
        }
    }

    /// The contact whose identity signs with this key.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn contact_signing_with(&self, key: &VerifyingKey) -> Result<Option<Contact>, StoreError> {
        self.read(|db| {
            db.prepare_cached(&format!("{CONTACT} WHERE s.key = ?2"))?
                .query_row(params![self.relay, key.as_bytes().as_slice()], contact)
                .optional()
        })
    }

    /// Records a contact's newest card; the caller has checked that it is newer and whose it is.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn set_card(&mut self, contact: &Contact, card: &Card) -> Result<(), StoreError> {
        self.write(|transaction| {
            transaction.execute(
                "UPDATE contacts SET card = ?2 WHERE id = ?1",
                params![contact.id, card.as_bytes()],
            )?;
            Ok(())
        })
    }

    /// Records that the relay's directory showed the contact's card.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub(crate) fn set_refreshed(&mut self, contact: &Contact, now: i64) -> Result<(), StoreError> {
        self.write(|transaction| {
            transaction.execute(
                "UPDATE contacts SET refreshed = ?2 WHERE id = ?1",
                params![contact.id, now],
            )?;
            Ok(())
        })
    }

    /// Records that somebody vouched for a contact's keys.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn set_accepted(&mut self, contact: &Contact) -> Result<(), StoreError> {
        self.write(|transaction| {
            transaction.execute(
                "UPDATE contacts SET learned = ?2 WHERE id = ?1",
                params![contact.id, Learned::Accepted.as_str()],
            )?;
            Ok(())
        })
    }

    /// Replaces a contact's keys, and its card if it had one; the former keys are kept as retired.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn replace_keys(
        &mut self,
        contact: &Contact,
        keys: &PublicKeys,
        card: Option<&Card>,
        now: i64,
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            transaction.execute(
                "UPDATE keys SET until = ?2 WHERE contact = ?1 AND until IS NULL",
                params![contact.id, now],
            )?;
            insert_keys(transaction, contact.id, keys, now)?;
            transaction.execute(
                "UPDATE contacts SET learned = ?2, card = ?3, refreshed = NULL WHERE id = ?1",
                params![
                    contact.id,
                    Learned::Accepted.as_str(),
                    card.map(Card::as_bytes)
                ],
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

/// A contact that holds or held a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The contact's local name.
    pub name: String,
    /// Whether it is the encryption key; else the signing key.
    pub is_encryption: bool,
}

fn insert_keys(
    transaction: &Transaction<'_>,
    contact: i64,
    keys: &PublicKeys,
    now: i64,
) -> rusqlite::Result<()> {
    let insert = "INSERT INTO keys (contact, kind, key, since) VALUES (?1, ?2, ?3, ?4)";
    let rows: [(&str, &[u8]); 2] = [
        ("encryption", keys.encryption().as_bytes()),
        ("signing", keys.verifying().as_bytes()),
    ];
    for (kind, key) in rows {
        transaction.execute(insert, params![contact, kind, key, now])?;
    }
    Ok(())
}

fn contact(row: &Row<'_>) -> rusqlite::Result<Contact> {
    let damaged = |column, what: &'static str| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Blob, what.into())
    };
    let verifying =
        VerifyingKey::from_bytes(row.get(5)?).map_err(|_| damaged(5, "a stored key is damaged"))?;
    let learned: String = row.get(2)?;
    Ok(Contact {
        id: row.get(0)?,
        name: row.get(1)?,
        learned: match learned.as_str() {
            "first-use" => Learned::FirstUse,
            "accepted" => Learned::Accepted,
            _ => return Err(damaged(2, "a stored contact is damaged")),
        },
        since: row.get(3)?,
        keys: PublicKeys::new(EncryptionKey::from_stored(row.get(4)?), verifying),
        address: row.get(6)?,
        card: row
            .get::<_, Option<Vec<u8>>>(7)?
            .map(|card| Card::parse(&card).map_err(|_| damaged(7, "a stored card is damaged")))
            .transpose()?,
        refreshed: row.get(8)?,
    })
}
