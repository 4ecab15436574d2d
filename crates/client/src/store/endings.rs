//! How identities ended, as first seen. It stays when their contact is removed.

use ctalk_core::{
    Card, Revocation, Succession, Timestamp, VerifyingKey,
    trust::{self, Ending, RevocationStep, SuccessionRefused, SuccessionStep},
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    Contact, Learned, NewKeys, Store, StoreError,
    contacts::{CONTACT, contact, replace_keys, unchanged},
};

impl Store {
    /// How the identity that signs with this key ended, if that was seen.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn ending(&self, identity: &VerifyingKey) -> Result<Option<Ending>, StoreError> {
        self.read(|db| ending(db, identity))
    }

    /// The contact whose identity is known to have handed over to the one that signs with this key,
    /// and whose keys were not replaced yet.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn contact_succeeded_by(&self, key: &VerifyingKey) -> Result<Option<Contact>, StoreError> {
        let of_predecessor =
            format!("{CONTACT} WHERE s.key IN (SELECT identity FROM endings WHERE successor = ?2)");
        self.read(|db| {
            db.prepare_cached(&of_predecessor)?
                .query_row(params![self.relay, key.as_bytes()], contact)
                .optional()
        })
    }

    /// Records that an identity was revoked, unless it ended before.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn record_revocation(
        &mut self,
        revocation: &Revocation,
        now: Timestamp,
    ) -> Result<RevocationStep, StoreError> {
        let identity = revocation.identity();
        self.write("record-revocation", |transaction| {
            let step = trust::revocation(ending(transaction, identity)?.as_ref());
            if step == RevocationStep::First {
                record(transaction, identity, None, revocation.as_bytes(), now)?;
            }
            Ok(step)
        })
    }

    /// Records a line of successions, each following the one before it, unless one of them must not be
    /// followed. In the same moment the keys of the contact that had the first identity are replaced by
    /// those on the card of the last one, unless somebody else has replaced them by now.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn record_successions(
        &mut self,
        line: &[&Succession],
        contact: Option<(&Contact, &Card)>,
        now: Timestamp,
    ) -> Result<Result<(), SuccessionRefused>, StoreError> {
        let relay = self.relay;
        self.write("record-successions", |transaction| {
            let mut first_seen = Vec::new();
            for succession in line {
                let predecessor = ending(transaction, succession.predecessor())?;
                let successor = ending(transaction, succession.successor())?;
                match trust::succession(predecessor.as_ref(), successor.as_ref(), succession, now) {
                    Ok(SuccessionStep::First) => first_seen.push(*succession),
                    Ok(SuccessionStep::Same) => {}
                    Err(refused) => return Ok(Err(refused)),
                }
            }
            for succession in first_seen {
                let (old, new) = (succession.predecessor(), succession.successor());
                record(transaction, old, Some(new), succession.as_bytes(), now)?;
            }
            if let Some((contact, card)) = contact
                && let Some(held) = unchanged(transaction, relay, contact)?
            {
                let new = NewKeys {
                    keys: card.public_keys(),
                    card: Some(card),
                    learned: Learned::Succession,
                    standing: held.standing.after_succession(),
                };
                replace_keys(transaction, &held, &new, crate::client::millis(now))?;
            }
            Ok(Ok(()))
        })
    }
}

fn ending(db: &Connection, identity: &VerifyingKey) -> rusqlite::Result<Option<Ending>> {
    let successor: Option<Option<[u8; 32]>> = db
        .prepare_cached("SELECT successor FROM endings WHERE identity = ?1")?
        .query_row([identity.as_bytes()], |row| row.get(0))
        .optional()?;
    match successor {
        None => Ok(None),
        Some(None) => Ok(Some(Ending::Revoked)),
        Some(Some(key)) => match VerifyingKey::from_bytes(key) {
            Ok(successor) => Ok(Some(Ending::Succeeded { successor })),
            Err(error) => Err(rusqlite::Error::FromSqlConversionFailure(
                0,
                rusqlite::types::Type::Blob,
                error.into(),
            )),
        },
    }
}

fn record(
    db: &Connection,
    identity: &VerifyingKey,
    successor: Option<&VerifyingKey>,
    statement: &[u8],
    now: Timestamp,
) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO endings (identity, successor, statement, seen) VALUES (?1, ?2, ?3, ?4)",
        params![
            identity.as_bytes(),
            successor.map(VerifyingKey::as_bytes),
            statement,
            crate::client::millis(now)
        ],
    )?;
    Ok(())
}
