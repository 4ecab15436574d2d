//! One's own key card: made with the identity, renewed before it gets old.

use std::time::Duration;

use ctalk_core::{Card, CardStatement, Timestamp, XWingSecret};

use crate::{
    error::Error,
    keystore::{Keystore, Secrets},
    profile::Profile,
};

/// How long others may seal to a card.
const CARD_LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Age at which a card is replaced, so that nobody who asks gets one that is about to end.
const CARD_AGE: Duration = Duration::from_secs(15 * 24 * 60 * 60);

/// The profile's card: made with its first X-Wing key, and signed anew when name or addresses
/// differ or it is older than 15 days. A new card is in the key store before anybody sees it.
///
/// # Errors
/// [`Error::Keystore`], [`Error::Keygen`] for damaged secrets, [`Error::Card`] for a name or address
/// that no card can carry.
pub fn own_card(
    profile: &Profile,
    keystore: &Keystore,
    secrets: &Secrets,
    now: Timestamp,
) -> Result<Card, Error> {
    let addresses: Vec<_> = profile.relay().into_iter().collect();
    let statement = CardStatement {
        name: profile.name(),
        serial: now.as_millis(),
        created: now,
        expires: now.checked_add(CARD_LIFE).unwrap_or(Timestamp::MAX),
        addresses: &addresses,
    };
    if let Some(card) = fit_card(secrets, &statement)? {
        return Ok(card);
    }
    // Once more under the lock, because another process may have made one meanwhile.
    let mut made = Ok(());
    let secrets = keystore.update(|secrets| made = renew(secrets, statement).map(|_| ()))?;
    made?;
    let text = secrets.card().unwrap_or_default();
    Ok(Card::from_text(text)?)
}

/// Makes the card of the statement unless there is one that says the same.
fn renew(secrets: &mut Secrets, mut statement: CardStatement<'_>) -> Result<Card, Error> {
    if let Some(card) = fit_card(secrets, &statement)? {
        return Ok(card);
    }
    let identity = secrets.unlock()?;
    if let Some(text) = secrets.card() {
        // Time keeps serials growing even for an identity that lost its former cards.
        let next = Card::from_text(text)?.serial().saturating_add(1);
        statement.serial = statement.serial.max(next);
    }
    if let Some(key) = identity.xwing_keys().last() {
        let card = Card::sign(&identity, key, &statement)?;
        secrets.renew_card(&card);
        return Ok(card);
    }
    let secret = XWingSecret::generate(&mut crate::rng());
    let (key, seed) = (secret.public_key().clone(), secret.seed());
    let identity = identity.with_xwing(secret);
    let card = Card::sign(&identity, &key, &statement)?;
    secrets.add_xwing(&XWingSecret::from_seed(&seed), &card);
    Ok(card)
}

/// The card at hand, if it says what is wanted and is not old.
fn fit_card(secrets: &Secrets, wanted: &CardStatement<'_>) -> Result<Option<Card>, Error> {
    let Some(text) = secrets.card() else {
        return Ok(None);
    };
    let card = Card::from_text(text)?;
    let renewal = card.created().checked_add(CARD_AGE);
    let is_fit = card.name() == wanted.name
        && card.addresses().eq(wanted.addresses.iter().copied())
        && renewal.is_some_and(|renewal| wanted.created < renewal);
    Ok(is_fit.then_some(card))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ctalk_core::{CardStatement, Identity, Timestamp};

    use super::{CARD_AGE, CARD_LIFE, renew};
    use crate::keystore::Secrets;

    #[test]
    fn a_card_is_kept_until_it_is_old_or_says_something_else() {
        let identity = Identity::generate(&mut crate::rng());
        let mut secrets = Secrets::new(identity.to_keygen_json());
        let start = Timestamp::from_millis(1_800_000_000_000).unwrap();
        let mut card = |addresses: &[&str], now: Timestamp| {
            let statement = CardStatement {
                name: "alice",
                serial: now.as_millis(),
                created: now,
                expires: now.checked_add(CARD_LIFE).unwrap(),
                addresses,
            };
            renew(&mut secrets, statement).unwrap()
        };
        let first = card(&[], start);
        assert!(first.is_current(start));
        assert_eq!(first.public_keys(), identity.public_keys());

        let almost = start.checked_add(CARD_AGE - Duration::from_millis(1));
        assert_eq!(card(&[], almost.unwrap()), first);

        let moved = card(&["x"], start);
        assert!(moved.serial() > first.serial());
        assert_eq!(moved.xwing_key(), first.xwing_key());

        let late = start.checked_add(CARD_AGE).unwrap();
        let renewed = card(&["x"], late);
        assert!(renewed.serial() > moved.serial());
        assert_eq!(secrets.card(), Some(renewed.to_text().as_str()));
        assert_eq!(secrets.unlock().unwrap().xwing_keys().count(), 1);
    }
}
