//! The profile's webhook at its relay, and the secret of it.

use ctalk_wire::WebhookSecret;
use zeroize::Zeroizing;

use crate::{
    error::Error,
    keystore::{Keystore, Secrets},
    relay::{Relay, clawtalk::ClawTalk},
};

/// Has the relay post to `url` what comes for the agent `name`, and keeps the secret that it signs with.
///
/// # Errors
/// [`Error::Relay`], with [`RelayError::Unsupported`](crate::relay::RelayError::Unsupported) where the relay posts, but does not sign;
/// [`Error::Keystore`], after which [`rotate_webhook_secret`] makes another secret.
pub async fn set_webhook(
    relay: &ClawTalk,
    keystore: &Keystore,
    name: &str,
    url: &str,
) -> Result<(), Error> {
    match relay.set_webhook(name, Some(url)).await? {
        Some(secret) => keep(relay, keystore, &secret),
        // It was set to that before, and the secret shown to whoever did it.
        None if keystore.read()?.webhook_secret(relay.url()).is_some() => Ok(()),
        None => {
            let made = relay.replace_webhook_secret(name).await;
            let secret = made.map_err(|error| error.or_unsupported("webhooks that are signed"))?;
            keep(relay, keystore, &secret)
        }
    }
}

/// Has the relay sign with another secret from now on, and keeps it.
///
/// # Errors
/// [`Error::Relay`], [`Error::Keystore`].
pub async fn rotate_webhook_secret(
    relay: &ClawTalk,
    keystore: &Keystore,
    name: &str,
) -> Result<(), Error> {
    let secret = relay.replace_webhook_secret(name).await?;
    keep(relay, keystore, &secret)
}

/// Has the relay post nothing any more, and forgets the secret.
///
/// # Errors
/// [`Error::Relay`], [`Error::Keystore`].
pub async fn clear_webhook(relay: &ClawTalk, keystore: &Keystore, name: &str) -> Result<(), Error> {
    relay.set_webhook(name, None).await?;
    keystore.update(|secrets| secrets.set_webhook_secret(relay.url(), None))?;
    Ok(())
}

/// What the relay at this base URL signs its posts with, if that is known here.
#[must_use]
pub fn webhook_secret(secrets: &Secrets, relay: &str) -> Option<WebhookSecret> {
    secrets.webhook_secret(relay)?.parse().ok()
}

fn keep(relay: &ClawTalk, keystore: &Keystore, secret: &WebhookSecret) -> Result<(), Error> {
    let secret = Zeroizing::new(secret.reveal());
    keystore.update(|secrets| secrets.set_webhook_secret(relay.url(), Some(secret)))?;
    Ok(())
}
