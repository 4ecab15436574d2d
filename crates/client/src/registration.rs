//! From a profile to a registered agent, and from a registered agent to a [`Client`].

use std::sync::Arc;

use ctalk_core::{Card, Identity, Timestamp};
use ctalk_wire as wire;
use zeroize::Zeroizing;

use crate::{
    client::{Client, timestamp},
    clock::Clock,
    endings,
    error::Error,
    keystore::{Keystore, Secrets},
    profile::Profile,
    refresh::Home,
    relay::{
        Relay,
        clawtalk::{BearerKey, ClawTalk},
    },
    rotation::own_card,
    store::Store,
};

/// What lets a new agent in.
#[derive(Debug)]
pub enum Admission {
    /// The relay's admin key.
    AdminKey(BearerKey),
    /// An invite code.
    Invite(Zeroizing<String>),
}

/// Registers the profile's agent at the relay at `url`, stores the API key, and publishes the keys
/// and the key card, which is returned.
///
/// Safe to repeat: once an API key is stored, there is only publishing left.
///
/// # Errors
/// [`Error::Relay`], [`Error::Profile`], [`Error::Store`], [`Error::OwnIdentityEnded`], and those of [`own_card`].
pub async fn register(
    profile: &mut Profile,
    keystore: &Keystore,
    secrets: &Secrets,
    url: &str,
    admission: Admission,
    owner: &str,
    clock: Arc<dyn Clock>,
) -> Result<Card, Error> {
    let identity = secrets.unlock()?;
    check_not_ended(profile, &identity)?;
    let public_key = identity.public_keys().encryption().to_base64();
    let signing_key = identity.public_keys().verifying().to_base64();
    let visitor = ClawTalk::new(url, None, Arc::clone(&clock))?;
    let url = visitor.url().to_owned();
    let name = profile.name().to_owned();
    let key = match secrets.api_key(&url) {
        Some(key) => BearerKey::new(key),
        None => {
            let registered = match admission {
                Admission::AdminKey(admin_key) => {
                    let agent = wire::RegisterAgent {
                        name: name.clone(),
                        owner: owner.to_owned(),
                        public_key: public_key.clone(),
                        signing_key: signing_key.clone(),
                        capabilities: None,
                        webhook_url: None,
                    };
                    visitor.register(&admin_key, &agent).await?
                }
                Admission::Invite(code) => {
                    let registration = wire::RegisterWithInvite {
                        invite: code.as_str().to_owned(),
                        name: name.clone(),
                        owner: Some(owner.to_owned()),
                        webhook_url: None,
                        public_key: Some(public_key.clone()),
                        signing_key: Some(signing_key.clone()),
                    };
                    visitor.register_with_invite(&registration).await?
                }
            };
            let key = Zeroizing::new(registered.api_key);
            keystore.update(|secrets| secrets.set_api_key(&url, key.clone()))?;
            BearerKey::new(key.as_str())
        }
    };
    profile.set_relay(&url);
    profile.save()?;
    let relay = ClawTalk::new(&url, Some(key), Arc::clone(&clock))?;
    publish(profile, keystore, secrets, &relay, timestamp(clock.now())).await
}

/// Publishes the profile's keys and its card in its entry of the relay's directory, and returns the
/// card. The successions that led to its identity stand beside it. Whatever else the entry says that
/// the agent can do stays there.
///
/// # Errors
/// [`Error::Relay`], [`Error::Store`], [`Error::OwnIdentityEnded`], and those of [`own_card`].
pub async fn publish(
    profile: &Profile,
    keystore: &Keystore,
    secrets: &Secrets,
    relay: &ClawTalk,
    now: Timestamp,
) -> Result<Card, Error> {
    check_not_ended(profile, &secrets.unlock()?)?;
    let card = own_card(profile, keystore, secrets, now)?;
    let successions = secrets.successions();
    relay.publish(profile.name(), &card, successions).await?;
    Store::open(&profile.store_path(), Some(relay.url()))?.set_published(card.serial())?;
    Ok(card)
}

fn check_not_ended(profile: &Profile, identity: &Identity) -> Result<(), Error> {
    let store = Store::open(&profile.store_path(), None)?;
    endings::check_own_not_ended(&store, identity.public_keys())
}

/// Puts the profile's agent together for the relay at `url`, with `api_key` or else the stored one.
/// It requires what the profile does.
/// [`Client::refresh`] keeps its keys young.
///
/// # Errors
/// [`Error::Keygen`] and [`Error::Card`] when the stored identity is damaged, [`Error::Relay`] for a
/// URL that cannot be used, [`Error::Store`], [`Error::Policy`]. A missing API key shows at the first
/// call that needs it.
pub fn client(
    profile: &Profile,
    keystore: impl Into<Arc<Keystore>>,
    secrets: &Secrets,
    url: &str,
    api_key: Option<BearerKey>,
    clock: Arc<dyn Clock>,
) -> Result<Client, Error> {
    let identity = secrets.unlock()?;
    let relay = ClawTalk::connect(url, clock.clone(), |url| {
        api_key.or_else(|| secrets.api_key(url).map(BearerKey::new))
    })?;
    let mut client = Client::new(
        profile.name(),
        identity,
        relay,
        &profile.store_path(),
        clock,
    )?;
    client.require(profile.require());
    client.limit_inbox(profile.inbox_limits());
    client.use_keys(secrets)?;
    client.home = Some(Home {
        profile: profile.clone(),
        keystore: keystore.into(),
    });
    Ok(client)
}
