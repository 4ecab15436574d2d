//! Keeping a client's own keys young: rotation while it runs, and the new card in the directory.

use std::sync::Arc;

use ctalk_core::{Card, Identity};

use crate::{
    client::Client,
    error::Error,
    keystore::{Keystore, Secrets},
    profile::Profile,
    relay::RelayError,
    rotation,
};

/// Where the client's keys come from.
pub(crate) struct Home {
    pub(crate) profile: Profile,
    pub(crate) keystore: Arc<Keystore>,
}

impl Client {
    /// Does what is due for the own keys: replaces an X-Wing key that is older than 7 days, destroys
    /// retired ones whose time has come, takes over what other processes of the profile did of this,
    /// and puts a new card into the relay's directory. Call it before sending and receiving, and in a
    /// program that runs for long every hour or so.
    ///
    /// It needs the profile, so it does nothing for a client that [`Client::new`] made, and nothing
    /// where no card was made yet. May wait for the keyring as [`keystore`](crate::keystore) says.
    ///
    /// # Errors
    /// [`Error::Unpublished`], [`Error::Keystore`], [`Error::Store`], [`Error::Profile`] and those of
    /// [`own_card`](crate::own_card). None of them is a reason not to send and receive: the client
    /// works on with the keys it has, and the next call tries again.
    pub async fn refresh(&mut self) -> Result<(), Error> {
        let now = self.now();
        let Some(home) = &mut self.home else {
            return Ok(());
        };
        let secrets = home.keystore.read()?;
        let identity = Identity::from_keygen_json(secrets.identity())?;
        if self
            .store
            .ending(identity.public_keys().verifying())?
            .is_some()
        {
            let secrets = rotation::wound_down(&home.keystore, secrets, now)?;
            return self.use_keys(&secrets);
        }
        if secrets.card().is_none() {
            return Ok(());
        }
        // Another process may have registered it elsewhere.
        home.profile = Profile::open(home.profile.folder())?;
        let secrets = rotation::refreshed(&home.profile, &home.keystore, secrets, now)?;
        self.use_keys(&secrets)?;
        self.publish().await
    }

    /// Takes over keys that another process made; false when there are none.
    pub(crate) fn reload_keys(&mut self) -> Result<bool, Error> {
        let Some(home) = &self.home else {
            return Ok(false);
        };
        let secrets = home.keystore.read()?;
        if own_card(&secrets)? == self.card {
            return Ok(false);
        }
        self.use_keys(&secrets)?;
        Ok(true)
    }

    /// Opens with these keys and shows their card from now on.
    pub(crate) fn use_keys(&mut self, secrets: &Secrets) -> Result<(), Error> {
        let (card, former) = (own_card(secrets)?, secrets.former_identities()?);
        self.identity = Arc::new(secrets.unlock()?);
        self.former = former;
        self.successions = secrets.successions().to_vec();
        self.card = card;
        Ok(())
    }

    /// Puts the card into the directory of a relay that the profile is registered at, or that shows a
    /// former one, unless it is there.
    async fn publish(&mut self) -> Result<(), Error> {
        let (Some(home), Some(card)) = (&self.home, &self.card) else {
            return Ok(());
        };
        let published = self.store.published()?;
        let mut relays = home.profile.relays().iter();
        let is_listed = published.is_some() || relays.any(|relay| relay.url == self.relay.url());
        if !is_listed || published == Some(card.serial()) {
            return Ok(());
        }
        match self
            .relay
            .publish(&self.name, card, &self.successions)
            .await
        {
            Ok(()) => self.store.set_published(card.serial())?,
            // Nobody looks for it there.
            Err(RelayError::Unsupported { .. }) => {}
            Err(why) => return Err(Error::Unpublished { why }),
        }
        Ok(())
    }
}

/// The card for the newest key, if there is one.
pub(crate) fn own_card(secrets: &Secrets) -> Result<Option<Card>, Error> {
    Ok(secrets.card().map(Card::from_text).transpose()?)
}
