//! One's own X-Wing key and the card for it: made when first asked for, replaced by age, and destroyed
//! when nothing that was sealed to it can still arrive. So forward secrecy is bounded: who takes
//! everything reads what was sealed within about 60 days before, and nothing older.

use std::time::Duration;

use ctalk_core::{
    CLOCK_SKEW, Card, CardStatement, MAX_CARD_ADDRESSES, Timestamp, XWingSecret, envelope::MAX_LIFE,
};

use crate::{
    error::Error,
    keystore::{Keystore, Secrets},
    profile::{NamedRelay, Profile},
};

/// Age at which a key is replaced.
pub(crate) const ROTATION: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How long others may seal to a card.
const CARD_LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The profile's card. Its X-Wing key is made when there is none, and replaced, with a card of its own,
/// when it is older than 7 days or when name or addresses differ. A new card is in the key store
/// before anybody sees it. Retired keys whose time has come are destroyed.
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
    match fit_card_now(profile, secrets, now)? {
        Some(card) => Ok(card),
        // Once more under the lock, because another process may have made one meanwhile.
        None => Ok(renew(profile, keystore, Demand::WhatIsDue, now)?.card),
    }
}

/// The secrets after everything that is due was done for them.
pub(crate) fn refreshed(
    profile: &Profile,
    keystore: &Keystore,
    secrets: Secrets,
    now: Timestamp,
) -> Result<Secrets, Error> {
    match fit_card_now(profile, &secrets, now)? {
        Some(_) => Ok(secrets),
        None => Ok(renew(profile, keystore, Demand::WhatIsDue, now)?.secrets),
    }
}

/// The secrets of an identity that has ended, without the keys whose time has come: nobody is to seal
/// to it any more, so it gets no new key, and its last one goes when nothing for it can arrive.
pub(crate) fn wound_down(
    keystore: &Keystore,
    secrets: Secrets,
    now: Timestamp,
) -> Result<Secrets, Error> {
    let last = |secrets: &Secrets| {
        let card = secrets.card().map(Card::from_text).transpose()?;
        Ok::<_, Error>(card.and_then(|card| last_arrival(&card)))
    };
    let is_over = last(&secrets)?.is_some_and(|end| end <= now);
    if !is_over && !secrets.has_expired_xwing(now) && !secrets.has_expired_former(now) {
        return Ok(secrets);
    }
    Ok(keystore.update(|secrets| {
        if let Ok(Some(end)) = last(secrets)
            && end <= now
        {
            secrets.retire_xwing(end);
        }
        secrets.destroy_expired_xwing(now);
        secrets.destroy_expired_former(now);
    })?)
}

/// When an envelope for a card arrives at the latest: it may be sealed when the card expires, and lives
/// its whole life then.
fn last_arrival(card: &Card) -> Option<Timestamp> {
    card.expires().checked_add(MAX_LIFE + CLOCK_SKEW)
}

/// What becomes of the keys that were retired before their time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retired {
    /// They stay until then: messages that were sealed to them can still be opened.
    Keep,
    /// They are destroyed now, and with them all that was sealed to them and not yet opened.
    Destroy,
}

/// Replaces the profile's X-Wing key now. Publishing the new card is up to the caller, or to the next
/// [`Client::refresh`](crate::Client::refresh).
///
/// # Errors
/// As [`own_card`].
pub fn rotate(
    profile: &Profile,
    keystore: &Keystore,
    retired: Retired,
    now: Timestamp,
) -> Result<Rotated, Error> {
    renew(profile, keystore, Demand::NewKey(retired), now)
}

/// What a rotation came to.
#[derive(Debug)]
pub struct Rotated {
    /// The card for the new key.
    pub card: Card,
    /// How many retired keys were destroyed.
    pub destroyed: usize,
    /// The secrets as they are now.
    pub secrets: Secrets,
}

#[derive(Clone, Copy)]
enum Demand {
    WhatIsDue,
    NewKey(Retired),
}

fn renew(
    profile: &Profile,
    keystore: &Keystore,
    demand: Demand,
    now: Timestamp,
) -> Result<Rotated, Error> {
    let mut made = Ok(());
    let secrets = keystore.update(|secrets| {
        made = with_statement(profile, now, |wanted| meet(demand, secrets, *wanted));
    })?;
    made?;
    Ok(Rotated {
        card: Card::from_text(secrets.card().unwrap_or_default())?,
        destroyed: secrets.destroyed(),
        secrets,
    })
}

/// The card at hand, if nothing is due.
fn fit_card_now(
    profile: &Profile,
    secrets: &Secrets,
    now: Timestamp,
) -> Result<Option<Card>, Error> {
    let card = with_statement(profile, now, |wanted| fit_card(secrets, wanted))?;
    Ok(card.filter(|_| !secrets.has_expired_xwing(now) && !secrets.has_expired_former(now)))
}

/// Gives new secrets their first key and its card.
pub(crate) fn first_card(
    profile: &Profile,
    secrets: &mut Secrets,
    now: Timestamp,
) -> Result<(), Error> {
    with_statement(profile, now, |wanted| replace_key(secrets, *wanted))
}

/// Hands over what the profile's card should say if it were made now.
fn with_statement<T>(
    profile: &Profile,
    now: Timestamp,
    work: impl FnOnce(&CardStatement<'_>) -> T,
) -> T {
    let relays = profile.relays().iter().take(MAX_CARD_ADDRESSES);
    let addresses: Vec<_> = relays.map(NamedRelay::on_card).collect();
    let addresses: Vec<_> = addresses.iter().map(String::as_str).collect();
    work(&CardStatement {
        name: profile.name(),
        serial: now.as_millis(),
        created: now,
        expires: now.checked_add(CARD_LIFE).unwrap_or(Timestamp::MAX),
        addresses: &addresses,
    })
}

/// Leaves the secrets as they were if it fails.
fn meet(demand: Demand, secrets: &mut Secrets, wanted: CardStatement<'_>) -> Result<(), Error> {
    let (is_wanted, retired) = match demand {
        Demand::WhatIsDue => (fit_card(secrets, &wanted)?.is_none(), Retired::Keep),
        Demand::NewKey(retired) => (true, retired),
    };
    if is_wanted {
        replace_key(secrets, wanted)?;
    }
    let now = match retired {
        Retired::Keep => wanted.created,
        Retired::Destroy => Timestamp::MAX,
    };
    secrets.destroy_expired_xwing(now);
    secrets.destroy_expired_former(now);
    Ok(())
}

/// Makes a key and the card of the statement for it.
fn replace_key(secrets: &mut Secrets, mut statement: CardStatement<'_>) -> Result<(), Error> {
    let former = secrets.card().map(Card::from_text).transpose()?;
    if let Some(former) = &former {
        // Time keeps serials growing even for an identity that lost its former cards.
        statement.serial = statement.serial.max(former.serial().saturating_add(1));
    }
    let secret = XWingSecret::generate(&mut crate::rng());
    let (key, seed) = (secret.public_key().clone(), secret.seed());
    let identity = secrets.unlock()?.with_xwing(secret);
    let card = Card::sign(&identity, &key, &statement)?;
    let until = former.as_ref().and_then(last_arrival);
    let secret = XWingSecret::from_seed(&seed);
    secrets.replace_xwing(&secret, &card, until.unwrap_or(Timestamp::MAX));
    Ok(())
}

/// The card at hand, if it says what is wanted and is not old.
fn fit_card(secrets: &Secrets, wanted: &CardStatement<'_>) -> Result<Option<Card>, Error> {
    let Some(text) = secrets.card() else {
        return Ok(None);
    };
    let card = Card::from_text(text)?;
    let now = wanted.created;
    let rotation = card.created().checked_add(ROTATION);
    let is_fit = card.name() == wanted.name
        && card.addresses().eq(wanted.addresses.iter().copied())
        && rotation.is_some_and(|rotation| now < rotation)
        // Nobody takes one that was made while this machine's clock was ahead.
        && card.is_current(now);
    Ok(is_fit.then_some(card))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ctalk_core::{CLOCK_SKEW, Card, CardStatement, Identity, Timestamp};

    use super::{CARD_LIFE, Demand, MAX_LIFE, ROTATION, Retired, meet};
    use crate::keystore::Secrets;

    const MILLISECOND: Duration = Duration::from_millis(1);

    fn start() -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000).unwrap()
    }

    fn after(duration: Duration) -> Timestamp {
        start().checked_add(duration).unwrap()
    }

    fn new() -> Secrets {
        Secrets::new(Identity::generate(&mut crate::rng()).to_keygen_json())
    }

    fn card(secrets: &mut Secrets, demand: Demand, addresses: &[&str], now: Timestamp) -> Card {
        let statement = CardStatement {
            name: "alice",
            serial: now.as_millis(),
            created: now,
            expires: now.checked_add(CARD_LIFE).unwrap(),
            addresses,
        };
        meet(demand, secrets, statement).unwrap();
        Card::from_text(secrets.card().unwrap()).unwrap()
    }

    fn due(secrets: &mut Secrets, now: Timestamp) -> Card {
        card(secrets, Demand::WhatIsDue, &[], now)
    }

    fn keys(secrets: &Secrets) -> usize {
        secrets.unlock().unwrap().xwing_keys().count()
    }

    #[test]
    fn a_key_is_kept_for_seven_days_and_its_card_lives_for_thirty() {
        let mut secrets = new();
        let first = due(&mut secrets, start());
        assert_eq!(
            (first.created(), first.expires()),
            (start(), after(CARD_LIFE))
        );
        assert_eq!(due(&mut secrets, after(ROTATION - MILLISECOND)), first);
        let second = due(&mut secrets, after(ROTATION));
        assert!(second.serial() > first.serial());
        assert_ne!(second.xwing_key(), first.xwing_key());
        assert_eq!(keys(&secrets), 2);
    }

    #[test]
    fn a_card_that_would_say_something_else_is_replaced_with_its_key() {
        let mut secrets = new();
        let first = due(&mut secrets, start());
        let moved = card(&mut secrets, Demand::WhatIsDue, &["x"], start());
        assert!(moved.serial() > first.serial());
        assert_eq!(moved.addresses().collect::<Vec<_>>(), ["x"]);
        assert_ne!(moved.xwing_key(), first.xwing_key());
    }

    #[test]
    fn a_card_from_the_future_is_replaced_by_one_that_is_newer_nevertheless() {
        let mut secrets = new();
        let ahead = due(&mut secrets, after(Duration::from_secs(86_400)));
        let now = due(&mut secrets, start());
        assert_eq!(now.created(), start());
        assert!(now.serial() > ahead.serial());
    }

    #[test]
    fn a_retired_key_is_destroyed_when_no_envelope_for_it_can_be_alive() {
        let mut secrets = new();
        let first = due(&mut secrets, start());
        due(&mut secrets, after(ROTATION));
        let end = first.expires().checked_add(MAX_LIFE + CLOCK_SKEW).unwrap();
        let almost = Timestamp::from_millis(end.as_millis() - 1).unwrap();
        assert!(!secrets.has_expired_xwing(almost));
        due(&mut secrets, almost);
        assert_eq!(secrets.destroyed(), 0);
        let held = |secrets: &Secrets| {
            let identity = secrets.unlock().unwrap();
            identity.xwing_keys().any(|key| key == first.xwing_key())
        };
        assert!(held(&secrets));
        assert!(secrets.has_expired_xwing(end));
        due(&mut secrets, end);
        assert_eq!(secrets.destroyed(), 1);
        assert!(!held(&secrets));
    }

    #[test]
    fn destroying_at_once_leaves_the_newest_key_alone() {
        let mut secrets = new();
        for _ in 0..3 {
            card(&mut secrets, Demand::NewKey(Retired::Keep), &[], start());
        }
        assert_eq!((keys(&secrets), secrets.destroyed()), (3, 0));
        card(&mut secrets, Demand::NewKey(Retired::Destroy), &[], start());
        assert_eq!((keys(&secrets), secrets.destroyed()), (1, 3));
    }
}
