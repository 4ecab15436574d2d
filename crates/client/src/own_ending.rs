//! The end of one's own identity: a successor, or nobody.

use ctalk_core::{
    CLOCK_SKEW, Card, Identity, Revocation, Succession, Timestamp,
    envelope::{self, Kind, MAX_LIFE, Metadata},
    trust::Standing,
};
use ctalk_wire::{self as wire, MessageType};

use crate::{
    endings,
    error::Error,
    keystore::{Keystore, Secrets},
    profile::Profile,
    registration,
    relay::{Body, Destination, Outgoing, Relay, clawtalk::ClawTalk, send_patiently},
    rotation::first_card,
    store::{Contact, Store},
};

/// What giving a profile its next identity came to.
#[derive(Debug)]
pub struct Succeeded {
    /// The card of the new identity.
    pub card: Card,
    /// What both identities signed.
    pub succession: Succession,
    /// The contacts that an envelope was sealed to which names the new identity, and what became of it.
    pub told: Vec<(String, Result<(), Error>)>,
}

/// Gives the profile a new identity, which the present one names as its successor; publishes it, and
/// tells the contacts that have a key card and an address at the relay.
///
/// Safe to repeat after a failure: the new identity is in the key store before anybody hears of it, and
/// one that the relay's directory does not show yet is published instead of making another.
/// Messages to the former identity are opened for as long as any may arrive: until its card has
/// expired, and 30 days.
///
/// # Errors
/// [`Error::OwnIdentityEnded`], [`Error::UnknownRecipient`] when the relay does not know the agent,
/// [`Error::Relay`], [`Error::Store`], [`Error::Keystore`], [`Error::Keygen`], [`Error::Card`].
pub async fn succeed(
    profile: &Profile,
    keystore: &Keystore,
    secrets: &Secrets,
    relay: &ClawTalk,
    now: Timestamp,
) -> Result<Succeeded, Error> {
    let mut store = Store::open(&profile.store_path(), Some(relay.url()))?;
    let present = secrets.unlock()?;
    endings::check_own_not_ended(&store, present.public_keys())?;
    let entries = relay.directory().await?;
    let listed = entries
        .into_iter()
        .find(|entry| entry.name == profile.name())
        .ok_or_else(|| Error::UnknownRecipient {
            name: profile.name().to_owned(),
        })?;
    let is_former = |succession: &Succession| {
        listed.signing_key.as_deref() == Some(succession.predecessor().to_base64().as_str())
    };
    let unpublished = last_succession(secrets)?.filter(is_former);
    let (secrets, succession) = match unpublished {
        Some(succession) => (secrets.clone(), succession),
        None => make_successor(profile, keystore, &present, now)?,
    };
    // What the old identity could still sign is refused here too, and whoever shows its keys.
    store
        .record_successions(&[&succession], None, now)?
        .map_err(|why| Error::SuccessionRefused {
            name: profile.name().to_owned(),
            why: Box::new(why),
        })?;
    let card = registration::publish(profile, keystore, &secrets, relay, now).await?;
    let mut told = Vec::new();
    let former = secrets.former_identities()?.pop();
    for contact in store.contacts()? {
        if let (Some(former), Some(sealed_to)) = (&former, contact.card.as_ref())
            && let Some(address) = contact.address.as_deref()
            && is_told(&store, &contact, now)?
        {
            let payload = [succession.as_bytes(), card.as_bytes()].concat();
            let outcome = tell(former, sealed_to, address, &payload, relay, now).await;
            told.push((contact.name, outcome));
        }
    }
    Ok(Succeeded {
        card,
        succession,
        told,
    })
}

/// Ends the profile's identity for good, without a successor. From then on nothing is sent in its name,
/// and its card in the relay's directory is replaced by the revocation, which is returned. Repeating it
/// publishes it again.
///
/// # Errors
/// [`Error::Relay`], [`Error::Store`], [`Error::Keygen`].
pub async fn revoke(
    profile: &Profile,
    secrets: &Secrets,
    relay: &ClawTalk,
    now: Timestamp,
) -> Result<Revocation, Error> {
    let identity = secrets.unlock()?;
    let revocation = Revocation::sign(&identity, now);
    Store::open(&profile.store_path(), None)?.record_revocation(&revocation, now)?;
    let mut capabilities = relay.other_capabilities(profile.name()).await?;
    capabilities.push(revocation.to_text());
    capabilities.extend_from_slice(secrets.successions());
    let patch = wire::PatchAgent {
        capabilities: Some(capabilities),
        ..wire::PatchAgent::default()
    };
    relay.patch(profile.name(), &patch).await?;
    Ok(revocation)
}

/// Makes the next identity, and has it in the key store.
fn make_successor(
    profile: &Profile,
    keystore: &Keystore,
    present: &Identity,
    now: Timestamp,
) -> Result<(Secrets, Succession), Error> {
    let next = Identity::generate(&mut crate::rng());
    let succession = Succession::sign(present, &next, now)?;
    let mut next_secrets = Secrets::new(next.to_keygen_json());
    first_card(profile, &mut next_secrets, now)?;
    let mut made = Ok(());
    let secrets = keystore.update(|secrets| {
        made = replace(secrets, next_secrets, present, &succession);
    })?;
    made?;
    Ok((secrets, succession))
}

fn replace(
    secrets: &mut Secrets,
    next: Secrets,
    present: &Identity,
    succession: &Succession,
) -> Result<(), Error> {
    // Another process may have done the same meanwhile.
    if secrets.unlock()?.public_keys() != present.public_keys() {
        return Err(Error::IdentityReplaced);
    }
    let expires = match secrets.card() {
        Some(card) => Card::from_text(card)?.expires(),
        None => succession.created(),
    };
    let until = expires.checked_add(MAX_LIFE + CLOCK_SKEW);
    Ok(secrets.succeed(next, succession, until.unwrap_or(Timestamp::MAX))?)
}

fn last_succession(secrets: &Secrets) -> Result<Option<Succession>, Error> {
    let last = secrets.successions().last();
    Ok(last.map(|text| Succession::from_text(text)).transpose()?)
}

fn is_told(store: &Store, contact: &Contact, now: Timestamp) -> Result<bool, Error> {
    let is_current = contact
        .card
        .as_ref()
        .is_some_and(|card| card.is_current(now));
    Ok(is_current
        && contact.standing != Standing::Blocked
        && store.ending(contact.keys.verifying())?.is_none())
}

/// Sends one contact what the former identity says of its successor.
async fn tell(
    former: &Identity,
    contact: &Card,
    address: &str,
    payload: &[u8],
    relay: &ClawTalk,
    now: Timestamp,
) -> Result<(), Error> {
    let sealed = envelope::seal(
        former,
        [contact],
        &Metadata::new(Kind::Succession, "application/octet-stream"),
        payload,
        now,
        now.checked_add(MAX_LIFE).unwrap_or(Timestamp::MAX),
        &mut crate::rng(),
    )?;
    let outgoing = Outgoing {
        to: Destination::Agent(address.to_owned()),
        message_type: MessageType::Notification,
        topic: None,
        correlation_id: None,
        reply_to: None,
        ttl: Some(MAX_LIFE.as_secs()),
        body: Body::Native(envelope::to_text(&sealed)),
    };
    send_patiently(relay, relay.clock(), &outgoing).await?;
    Ok(())
}
