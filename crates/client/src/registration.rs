//! From a profile to a registered agent, and from a registered agent to a [`Client`].

use std::sync::Arc;

use ctalk_core::{Card, Identity, PublicKeys, Timestamp};
use ctalk_wire as wire;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{
    agent::Agent,
    client::{Client, timestamp},
    clock::Clock,
    endings,
    error::Error,
    keystore::{Keystore, Secrets},
    profile::Profile,
    refresh::Home,
    relay::{
        self, Exclusive, Kind, Relay, RelayError,
        clawtalk::{BearerKey, ClawTalk},
        opendialogue, wtt,
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

/// Where and how an agent is registered.
#[derive(Debug)]
pub struct Registration<'a> {
    /// The relay's URL.
    pub url: &'a str,
    /// What the profile calls the relay from then on, unless it is called after its kind.
    pub relay_name: Option<&'a str>,
    /// What lets the agent in, which only ClawTalk relays ask for.
    pub admission: Option<Admission>,
    /// Who answers for the agent, where the relay wants to know.
    pub owner: &'a str,
}

/// Registers the profile's agent at a relay, stores what the relay knows it by, and publishes the keys and
/// the key card, which is returned.
///
/// Safe to repeat: once that is stored, there is only publishing left.
///
/// # Errors
/// [`Error::Relay`], [`Error::Profile`], [`Error::Store`], [`Error::OwnIdentityEnded`], and those of [`own_card`].
pub async fn register(
    profile: &mut Profile,
    keystore: &Keystore,
    secrets: &Secrets,
    registration: Registration<'_>,
    clock: Arc<dyn Clock>,
) -> Result<Card, Error> {
    let identity = secrets.unlock()?;
    check_not_ended(profile, &identity)?;
    let mut registered = profile.clone();
    let relay = registered.add_relay(registration.url, registration.relay_name)?;
    let (url, kind) = (relay.url.clone(), Kind::of(&relay.url)?);
    let known = secrets
        .api_key(&url)
        .map(|key| Zeroizing::new(key.to_owned()));
    let key = match known {
        Some(key) => key,
        None => {
            let key = match kind {
                Kind::ClawTalk => {
                    let agent = NewAgent {
                        name: profile.name(),
                        owner: registration.owner,
                        keys: identity.public_keys(),
                    };
                    let admission = registration.admission;
                    agent
                        .at_clawtalk(&url, admission, Arc::clone(&clock))
                        .await?
                }
                Kind::OpenDialogue => opendialogue::register(&url, profile.name()).await?.expose(),
                Kind::Wtt => wtt::register(&url, profile.name()).await?.expose(),
            };
            keystore.update(|secrets| secrets.set_api_key(&url, key.clone()))?;
            key
        }
    };
    if let Some(address) = kind.address(&key) {
        registered.set_address(&url, &address);
    }
    registered.save()?;
    *profile = registered;
    let secrets = keystore.read()?;
    let relay = connect(&url, &secrets, None, Arc::clone(&clock))?;
    publish(profile, keystore, &secrets, &*relay, timestamp(clock.now())).await
}

/// Who is to be registered.
struct NewAgent<'a> {
    name: &'a str,
    owner: &'a str,
    keys: &'a PublicKeys,
}

impl NewAgent<'_> {
    async fn at_clawtalk(
        &self,
        url: &str,
        admission: Option<Admission>,
        clock: Arc<dyn Clock>,
    ) -> Result<Zeroizing<String>, RelayError> {
        let visitor = ClawTalk::new(url, None, clock)?;
        let public_key = self.keys.encryption().to_base64();
        let signing_key = self.keys.verifying().to_base64();
        let registered = match admission {
            Some(Admission::AdminKey(admin_key)) => {
                let agent = wire::RegisterAgent {
                    name: self.name.to_owned(),
                    owner: self.owner.to_owned(),
                    public_key,
                    signing_key,
                    capabilities: None,
                    webhook_url: None,
                };
                visitor.register(&admin_key, &agent).await?
            }
            Some(Admission::Invite(code)) => {
                let registration = wire::RegisterWithInvite {
                    invite: code.as_str().to_owned(),
                    name: self.name.to_owned(),
                    owner: Some(self.owner.to_owned()),
                    webhook_url: None,
                    public_key: Some(public_key),
                    signing_key: Some(signing_key),
                };
                visitor.register_with_invite(&registration).await?
            }
            None => {
                let url = url.to_owned();
                return Err(RelayError::NoKey { url });
            }
        };
        Ok(Zeroizing::new(registered.api_key))
    }
}

/// A connection to the relay at `url` in the name of whose secrets these are, with `api_key` or else what
/// the relay gave out at registration.
///
/// # Errors
/// As [`relay::connect`].
pub fn connect(
    url: &str,
    secrets: &Secrets,
    api_key: Option<BearerKey>,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Relay>, RelayError> {
    let given = api_key.map(|key| Zeroizing::new(key.expose().to_owned()));
    let stored = |url: &str| {
        secrets
            .api_key(url)
            .map(|key| Zeroizing::new(key.to_owned()))
    };
    relay::connect(url, |url| given.or_else(|| stored(url)), clock)
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
    relay: &dyn Relay,
    now: Timestamp,
) -> Result<Card, Error> {
    check_not_ended(profile, &secrets.unlock()?)?;
    let card = own_card(profile, keystore, secrets, now)?;
    let successions = secrets.successions();
    match relay.publish(profile.name(), &card, successions).await {
        // Nobody looks for it there.
        Ok(()) | Err(RelayError::Unsupported { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    Store::open(&profile.store_path(), Some(relay.url()))?.set_published(card.serial())?;
    Ok(card)
}

fn check_not_ended(profile: &Profile, identity: &Identity) -> Result<(), Error> {
    let store = Store::open(&profile.store_path(), None)?;
    endings::check_own_not_ended(&store, identity.public_keys())
}

/// Puts the profile's agent together for all relays that it is registered at, with `api_key` for the
/// preferred one, or else the stored keys.
///
/// # Errors
/// As [`client`]; [`Error::UnknownRelay`] where the profile has no relay.
pub fn agent(
    profile: &Profile,
    keystore: impl Into<Arc<Keystore>>,
    secrets: &Secrets,
    api_key: Option<BearerKey>,
    clock: &Arc<dyn Clock>,
) -> Result<Agent, Error> {
    let keystore = keystore.into();
    let mut clients = Vec::new();
    for (place, relay) in profile.relays().iter().enumerate() {
        let is_clawtalk = Kind::of(&relay.url)? == Kind::ClawTalk;
        let key = api_key.clone().filter(|_| place == 0 && is_clawtalk);
        // The others are only named so far.
        if key.is_none() && secrets.api_key(&relay.url).is_none() {
            continue;
        }
        let (keystore, clock) = (Arc::clone(&keystore), Arc::clone(clock));
        let client = client(profile, keystore, secrets, &relay.url, key, clock)?;
        clients.push((relay.name.clone(), client));
    }
    if let (Some(first), true) = (profile.relays().first(), clients.is_empty()) {
        // Which says what is missing.
        let clock = Arc::clone(clock);
        let client = client(profile, keystore, secrets, &first.url, api_key, clock)?;
        clients.push((first.name.clone(), client));
    }
    Ok(Agent::new(clients))
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
    let mut relay = connect(url, secrets, api_key, clock.clone())?;
    if Kind::of(url)?.is_exclusive() {
        let digest = hex::encode(Sha256::digest(relay.url()));
        let lock = format!("relay-{}.lock", digest.get(..16).unwrap_or_default());
        let path = profile.folder().join(lock);
        relay = Arc::new(Exclusive::new(relay, path, clock.clone()));
    }
    over(profile, keystore.into(), secrets, relay, clock)
}

/// As [`client`], over any relay.
///
/// # Errors
/// As [`client`].
pub fn client_over(
    profile: &Profile,
    keystore: impl Into<Arc<Keystore>>,
    secrets: &Secrets,
    relay: impl Relay + 'static,
    clock: Arc<dyn Clock>,
) -> Result<Client, Error> {
    over(profile, keystore.into(), secrets, Arc::new(relay), clock)
}

fn over(
    profile: &Profile,
    keystore: Arc<Keystore>,
    secrets: &Secrets,
    relay: Arc<dyn Relay>,
    clock: Arc<dyn Clock>,
) -> Result<Client, Error> {
    let (identity, store) = (secrets.unlock()?, profile.store_path());
    // Where the relay chose an address, the agent is called that there.
    let mut here = profile.relays().iter().filter(|at| at.url == relay.url());
    let address = here.find_map(|at| at.address.as_deref());
    let name = address.unwrap_or_else(|| profile.name());
    let mut client = Client::at(name, identity, Arc::clone(&relay), &store, clock)?;
    client.require(profile.require());
    client.limit_inbox(profile.inbox_limits());
    client.use_keys(secrets)?;
    client.home = Some(Home {
        profile: profile.clone(),
        keystore,
    });
    Ok(client)
}
