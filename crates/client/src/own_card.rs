//! One's own key card: made with the identity, renewed before it gets old.

use std::time::Duration;

use ctalk_core::{Card, CardStatement, Timestamp, XWingSecret};

use crate::{error::Error, keystore::Secrets};

/// How long others may seal to a card.
const CARD_LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Age at which a card is replaced, so that nobody who asks gets one that is about to end.
const CARD_AGE: Duration = Duration::from_secs(15 * 24 * 60 * 60);

/// Brings the secrets' card up to date: makes the first X-Wing key and its card, and signs a new
/// card when name or addresses differ or the card is older than 15 days. Returns the card and
/// whether the secrets changed, in which case they are to be stored before anybody sees the card.
///
/// # Errors
/// [`Error::Keygen`] for damaged secrets, [`Error::Card`] for a name or address no card can carry.
pub fn own_card(
    secrets: &mut Secrets,
    name: &str,
    addresses: &[&str],
    now: Timestamp,
) -> Result<(Card, bool), Error> {
    let identity = secrets.unlock()?;
    let old = secrets.card().map(Card::from_text).transpose()?;
    let last = identity.xwing_keys().last().cloned();
    let serial = old
        .as_ref()
        .map_or(0, |card| card.serial().saturating_add(1));
    let statement = CardStatement {
        name,
        // Time keeps serials growing even for an identity that lost its former cards.
        serial: serial.max(now.as_millis()),
        created: now,
        expires: now.checked_add(CARD_LIFE).unwrap_or(Timestamp::MAX),
        addresses,
    };
    match (old, last) {
        (Some(card), Some(_)) if is_fit(&card, &statement) => Ok((card, false)),
        (Some(_), Some(key)) => {
            let card = Card::sign(&identity, &key, &statement)?;
            secrets.renew_card(&card);
            Ok((card, true))
        }
        _ => {
            let secret = XWingSecret::generate(&mut crate::rng());
            let key = secret.public_key().clone();
            let seed = secret.seed();
            let identity = identity.with_xwing(secret);
            let card = Card::sign(&identity, &key, &statement)?;
            secrets.add_xwing(&XWingSecret::from_seed(&seed), &card);
            Ok((card, true))
        }
    }
}

fn is_fit(card: &Card, wanted: &CardStatement<'_>) -> bool {
    let renewal = card.created().checked_add(CARD_AGE);
    card.name() == wanted.name
        && card.addresses().eq(wanted.addresses.iter().copied())
        && renewal.is_some_and(|renewal| wanted.created < renewal)
}

#[cfg(test)]
mod tests {
    use ctalk_core::{Identity, Timestamp};

    use super::{CARD_AGE, own_card};
    use crate::keystore::Secrets;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis).unwrap()
    }

    #[test]
    fn a_card_is_kept_until_it_is_old_or_says_something_else() {
        let identity = Identity::generate(&mut crate::rng());
        let mut secrets = Secrets::new(identity.to_keygen_json());
        let start = at(1_800_000_000_000);
        let (first, changed) = own_card(&mut secrets, "alice", &[], start).unwrap();
        assert!(changed && first.is_current(start));
        assert_eq!(first.public_keys(), identity.public_keys());

        let (same, changed) = own_card(&mut secrets, "alice", &[], at(1_800_000_000_001)).unwrap();
        assert!(!changed && same == first);

        let (moved, changed) = own_card(&mut secrets, "alice", &["x"], start).unwrap();
        assert!(changed && moved.serial() > first.serial());
        assert_eq!(moved.xwing_key(), first.xwing_key());

        let late = start.checked_add(CARD_AGE).unwrap();
        let (renewed, changed) = own_card(&mut secrets, "alice", &["x"], late).unwrap();
        assert!(changed && renewed.serial() > moved.serial());
        assert_eq!(secrets.card(), Some(renewed.to_text().as_str()));
        assert_eq!(secrets.unlock().unwrap().xwing_keys().count(), 1);
    }
}
