//! From a profile to a registered agent, and from a registered agent to a [`Client`].

use std::sync::Arc;

use ctalk_wire as wire;
use zeroize::Zeroizing;

use crate::{
    client::Client,
    clock::Clock,
    error::Error,
    keystore::{Keystore, Secrets},
    profile::Profile,
    relay::clawtalk::{BearerKey, ClawTalk},
};

/// What lets a new agent in.
#[derive(Debug)]
pub enum Admission {
    /// The relay's admin key.
    AdminKey(BearerKey),
    /// An invite code.
    Invite(Zeroizing<String>),
}

/// Registers the profile's agent at the relay at `url`, stores the API key and publishes the keys.
///
/// Safe to repeat: once an API key is stored, only the keys are published again.
///
/// # Errors
/// [`Error::Relay`], [`Error::Keystore`], [`Error::Profile`].
pub async fn register(
    profile: &mut Profile,
    keystore: &Keystore,
    secrets: &Secrets,
    url: &str,
    admission: Admission,
    owner: &str,
    clock: Arc<dyn Clock>,
) -> Result<(), Error> {
    let identity = secrets.unlock()?;
    let public_key = identity.public_keys().encryption().to_base64();
    let signing_key = identity.public_keys().verifying().to_base64();
    let visitor = ClawTalk::new(url, None, Arc::clone(&clock))?;
    let url = crate::relay::Relay::url(&visitor).to_owned();
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
    // An invite's registration leaves the keys empty at the reference relay.
    let patch = wire::PatchAgent {
        public_key: Some(public_key),
        signing_key: Some(signing_key),
        capabilities: None,
    };
    ClawTalk::new(&url, Some(key), clock)?
        .patch(&name, &patch)
        .await?;
    Ok(())
}

/// Puts the profile's agent together for the relay at `url`, with `api_key` or else the stored one.
///
/// # Errors
/// [`Error::Keygen`] when the stored identity is damaged, [`Error::Relay`] for a URL that cannot
/// be used, [`Error::Store`]. A missing API key shows at the first call that needs it.
pub fn client(
    profile: &Profile,
    secrets: &Secrets,
    url: &str,
    api_key: Option<BearerKey>,
    clock: Arc<dyn Clock>,
) -> Result<Client, Error> {
    let identity = secrets.unlock()?;
    let relay = ClawTalk::connect(url, clock.clone(), |url| {
        api_key.or_else(|| secrets.api_key(url).map(BearerKey::new))
    })?;
    Client::new(
        profile.name(),
        identity,
        relay,
        &profile.store_path(),
        clock,
    )
}
