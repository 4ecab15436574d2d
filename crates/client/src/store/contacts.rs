//! Contacts: local names, pinned keys and the addresses where relays know them.

use core::fmt;

use ctalk_core::{Card, EncryptionKey, Fingerprint, PublicKeys, VerifyingKey, trust::Standing};
use rusqlite::{OptionalExtension, Row, params};

use super::{Store, StoreError, Transaction, addresses};

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
    /// What the keys count for.
    pub standing: Standing,
    /// What the user wrote down about it.
    pub notes: String,
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

    /// Whether it is a contact for no other reason than that it wrote first, which anybody can do under any
    /// number of keys.
    pub(crate) fn only_wrote_first(&self) -> bool {
        self.learned == Learned::FirstMessage && self.standing != Standing::Verified
    }
}

/// How a contact's keys were learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Learned {
    /// The relay showed them when they were first needed.
    FirstUse,
    /// The same, and what needed them was a message that came unasked.
    FirstMessage,
    /// The user added their card.
    Card,
    /// The user named their fingerprint.
    Accepted,
    /// Pairing by a code.
    Paired,
    /// The contact's former identity named them as its successor.
    Succession,
    /// An export had them.
    Imported,
}

impl Learned {
    /// The word used in output and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FirstUse => "first-use",
            Self::FirstMessage => "first-message",
            Self::Card => "card",
            Self::Accepted => "accepted",
            Self::Paired => "paired",
            Self::Succession => "succession",
            Self::Imported => "imported",
        }
    }

    fn from_text(text: &str) -> Option<Self> {
        [
            Self::FirstUse,
            Self::FirstMessage,
            Self::Card,
            Self::Accepted,
            Self::Paired,
            Self::Succession,
            Self::Imported,
        ]
        .into_iter()
        .find(|learned| learned.as_str() == text)
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
    /// What they count for.
    pub standing: Standing,
}

pub(super) const CONTACT: &str = "
    SELECT c.id, c.name, c.learned, e.since, e.key, s.key,
           (SELECT address FROM addresses WHERE contact = c.id AND relay = ?1), c.card,
           c.refreshed, c.standing, c.notes, (SELECT url FROM relays WHERE id = ?1)
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

    /// Shows every contact to `visit`, by name and one at a time, until it returns false: together
    /// they may be more than fits into memory.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn each_contact(&self, mut visit: impl FnMut(Contact) -> bool) -> Result<(), StoreError> {
        self.read(|db| {
            let mut query = db.prepare_cached(&format!("{CONTACT} ORDER BY c.name"))?;
            for found in query.query_map([self.relay], contact)? {
                if !visit(found?) {
                    break;
                }
            }
            Ok(())
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
        let pinned = self.write("pin", |transaction| {
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
                        "INSERT INTO contacts (name, learned, since, card, standing)
                         VALUES (?1, ?2, ?3, ?4, ?5) RETURNING id",
                        params![
                            new.name,
                            new.learned.as_str(),
                            now,
                            new.card.map(Card::as_bytes),
                            new.standing.as_str(),
                        ],
                        |row| row.get(0),
                    )?;
                    insert_keys(transaction, id, new.keys, now)?;
                    if let Some(card) = new.card {
                        super::cards::remember(transaction, id, card, now)?;
                    }
                    id
                }
            };
            if let Some(address) = new.address {
                // At one relay a contact has one address, and an address leads to one contact: the
                // last one that was found to be right.
                // The plus sign keeps SQLite from going through all addresses of the relay.
                transaction.execute(
                    "DELETE FROM addresses WHERE +relay = ?1 AND contact = ?2",
                    params![relay, id],
                )?;
                transaction.execute(
                    "DELETE FROM addresses WHERE relay = ?1 AND address = ?2",
                    params![relay, address],
                )?;
                transaction.execute(
                    "INSERT INTO addresses (relay, address, contact) VALUES (?1, ?2, ?3)",
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

    /// Records a contact's newest card; the caller has checked that it is newer and whose it is. False
    /// if the contact is gone or has other keys or another card meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn set_card(
        &mut self,
        contact: &Contact,
        card: &Card,
        now: i64,
    ) -> Result<bool, StoreError> {
        let relay = self.relay;
        self.write("set-card", |transaction| {
            let held = unchanged(transaction, relay, contact)?;
            if held.is_none_or(|held| held.card != contact.card) {
                return Ok(false);
            }
            transaction.execute(
                "UPDATE contacts SET card = ?2 WHERE id = ?1",
                params![contact.id, card.as_bytes()],
            )?;
            super::cards::remember(transaction, contact.id, card, now)?;
            Ok(true)
        })
    }

    /// Changes what a contact's keys count for.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn set_standing(
        &mut self,
        contact: &Contact,
        standing: Standing,
    ) -> Result<(), StoreError> {
        self.change_standing(contact, |_| standing).map(|_| ())
    }

    /// Changes what a contact's keys count for by a rule of [`Standing`], and returns what they count
    /// for now; `None` when the contact is gone or has other keys meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn change_standing(
        &mut self,
        contact: &Contact,
        rule: impl FnOnce(Standing) -> Standing,
    ) -> Result<Option<Standing>, StoreError> {
        let relay = self.relay;
        self.write("change-standing", |transaction| {
            // What was decided about some keys must not count for others, and must not unblock who was
            // blocked meanwhile.
            let held = unchanged(transaction, relay, contact)?;
            let Some(held) = held else {
                return Ok(None);
            };
            let standing = rule(held.standing);
            transaction.execute(
                "UPDATE contacts SET standing = ?2 WHERE id = ?1",
                params![contact.id, standing.as_str()],
            )?;
            Ok(Some(standing))
        })
    }

    /// Changes what the user wrote down about a contact.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn set_notes(&mut self, contact: &Contact, notes: &str) -> Result<(), StoreError> {
        self.write("set-notes", |transaction| {
            transaction.execute(
                "UPDATE contacts SET notes = ?2 WHERE id = ?1",
                params![contact.id, notes],
            )?;
            Ok(())
        })
    }

    /// Gives a contact another local name.
    ///
    /// # Errors
    /// [`StoreError::NameTaken`] by another contact, [`StoreError::Failed`].
    pub fn rename_contact(&mut self, contact: &Contact, name: &str) -> Result<(), StoreError> {
        let renamed = self.write("rename-contact", |transaction| {
            transaction.execute(
                "UPDATE contacts SET name = ?2 WHERE id = ?1 AND NOT EXISTS
                 (SELECT 1 FROM contacts WHERE name = ?2 AND id != ?1)",
                params![contact.id, name],
            )
        })?;
        if renamed == 1 {
            Ok(())
        } else {
            Err(StoreError::NameTaken {
                name: name.to_owned(),
            })
        }
    }

    /// Records that the relay's directory showed the contact's card.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub(crate) fn set_refreshed(&mut self, contact: &Contact, now: i64) -> Result<(), StoreError> {
        self.write("set-refreshed", |transaction| {
            transaction.execute(
                "UPDATE contacts SET refreshed = ?2 WHERE id = ?1",
                params![contact.id, now],
            )?;
            Ok(())
        })
    }

    /// Records how a contact's keys were learned in the meantime.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn set_learned(&mut self, contact: &Contact, learned: Learned) -> Result<(), StoreError> {
        self.write("set-learned", |transaction| {
            transaction.execute(
                "UPDATE contacts SET learned = ?2 WHERE id = ?1",
                params![contact.id, learned.as_str()],
            )?;
            Ok(())
        })
    }

    /// Replaces a contact's keys and its card, with what the new ones count for; the former keys are
    /// kept as retired. False if the contact is gone or has other keys meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn replace_keys(
        &mut self,
        contact: &Contact,
        new: &NewKeys<'_>,
        now: i64,
    ) -> Result<bool, StoreError> {
        let relay = self.relay;
        self.write("replace-keys", |transaction| {
            if unchanged(transaction, relay, contact)?.is_none() {
                return Ok(false);
            }
            replace_keys(transaction, contact, new, now)?;
            Ok(true)
        })
    }

    /// Forgets a contact; false when there is none of that name.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn remove_contact(&mut self, name: &str) -> Result<bool, StoreError> {
        self.write("remove-contact", |transaction| {
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

/// Keys that take the place of a contact's former ones.
#[derive(Clone, Copy, Debug)]
pub struct NewKeys<'a> {
    /// The keys.
    pub keys: &'a PublicKeys,
    /// The card that they are from, if there is one.
    pub card: Option<&'a Card>,
    /// How they were learned.
    pub learned: Learned,
    /// What they count for.
    pub standing: Standing,
}

/// The contact as it is now, if it still has the keys that something was decided about. Asked under
/// the lock, because another process may have changed it.
pub(super) fn unchanged(
    transaction: &Transaction<'_>,
    relay: i64,
    contact: &Contact,
) -> rusqlite::Result<Option<Contact>> {
    let held = transaction
        .prepare_cached(&format!("{CONTACT} WHERE c.id = ?2"))?
        .query_row(params![relay, contact.id], self::contact)
        .optional()?;
    Ok(held.filter(|held| held.keys == contact.keys))
}

pub(super) fn replace_keys(
    transaction: &Transaction<'_>,
    contact: &Contact,
    new: &NewKeys<'_>,
    now: i64,
) -> rusqlite::Result<()> {
    transaction.execute(
        "UPDATE keys SET until = ?2 WHERE contact = ?1 AND until IS NULL",
        params![contact.id, now],
    )?;
    insert_keys(transaction, contact.id, new.keys, now)?;
    // Whoever wrote first stays that to the policy, whatever keys it hands itself over to.
    let learned = match (contact.learned, new.learned) {
        (Learned::FirstMessage, Learned::Succession) => Learned::FirstMessage,
        (_, learned) => learned,
    };
    transaction.execute(
        "UPDATE contacts SET learned = ?2, standing = ?3, card = ?4, refreshed = NULL, told = NULL
         WHERE id = ?1",
        params![
            contact.id,
            learned.as_str(),
            new.standing.as_str(),
            new.card.map(Card::as_bytes)
        ],
    )?;
    match new.card {
        Some(card) => super::cards::remember(transaction, contact.id, card, now),
        None => Ok(()),
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

pub(super) fn contact(row: &Row<'_>) -> rusqlite::Result<Contact> {
    let damaged = |column, what: &'static str| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Blob, what.into())
    };
    let card = row
        .get::<_, Option<Vec<u8>>>(7)?
        .map(|card| Card::from_stored(&card).map_err(|_| damaged(7, "a stored card is damaged")))
        .transpose()?;
    let bytes: [u8; 32] = row.get(5)?;
    // Reading a key takes longer than reading all else, and a card has it already.
    let of_card = card.as_ref().map(|card| card.public_keys().verifying());
    let verifying = match of_card.filter(|key| *key.as_bytes() == bytes) {
        Some(key) => *key,
        None => {
            VerifyingKey::from_bytes(bytes).map_err(|_| damaged(5, "a stored key is damaged"))?
        }
    };
    let (learned, standing): (String, String) = (row.get(2)?, row.get(9)?);
    let relay: Option<String> = row.get(11)?;
    let named = card.as_ref().zip(relay.as_deref());
    let named = named.and_then(|(card, relay)| addresses::on_card(card, relay));
    let address = match named {
        Some(address) => Some(address.to_owned()),
        None => row.get(6)?,
    };
    Ok(Contact {
        id: row.get(0)?,
        name: row.get(1)?,
        learned: Learned::from_text(&learned)
            .ok_or_else(|| damaged(2, "a stored contact is damaged"))?,
        since: row.get(3)?,
        keys: PublicKeys::new(EncryptionKey::from_stored(row.get(4)?), verifying),
        address,
        card,
        refreshed: row.get(8)?,
        standing: [Standing::Blocked, Standing::Pinned, Standing::Verified]
            .into_iter()
            .find(|known| known.as_str() == standing)
            .ok_or_else(|| damaged(9, "a stored contact is damaged"))?,
        notes: row.get(10)?,
    })
}
