//! Where a command finds its profile, its secrets and its relay.

use std::{
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Result;
use ctalk::{
    Agent, Class, Client, Profile,
    clock::{Clock, SystemClock},
    keystore::{Keystore, KeystoreError, Kind, Passphrase, PassphraseSource, Prompt, Secrets},
    relay::{
        Relay,
        clawtalk::{BearerKey, ClawTalk},
    },
    store::Store,
};
use zeroize::Zeroizing;

use crate::{
    args::{Global, RelayArg},
    clear_text::travels_in_the_clear,
    environment,
    exit::Complaint,
    output::Output,
    secrets,
};

/// What every command is given.
pub(crate) struct Context<'a> {
    pub(crate) output: &'a Output,
    pub(crate) profile_name: String,
    passphrase_file: Option<PathBuf>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(global: Global, output: &'a Output) -> Self {
        Self {
            output,
            profile_name: global.profile,
            passphrase_file: global
                .passphrase_file
                .or_else(|| environment::value(environment::PASSPHRASE_FILE).map(PathBuf::from)),
        }
    }

    /// The profile's folder, which may not exist.
    pub(crate) fn folder(&self) -> Result<PathBuf> {
        let home = match environment::value(environment::HOME) {
            Some(home) => PathBuf::from(home),
            None => ctalk::profiles_folder().ok_or_else(|| {
                Complaint::new(Class::Usage, "there is no home folder to keep profiles in")
                    .hint("set CTALK_HOME to a folder")
            })?,
        };
        let folder = home.join(&self.profile_name);
        self.output
            .detail(&format!("profile folder: {}", folder.display()));
        Ok(folder)
    }

    /// The profile, which must exist.
    pub(crate) fn profile(&self) -> Result<Profile> {
        Ok(Profile::open(&self.folder()?)?)
    }

    /// Opens the profile's key store.
    pub(crate) fn keystore(&self, profile: &Profile) -> Result<(Keystore, Secrets)> {
        let kind = Kind::of(profile.folder())?;
        self.output.detail(&format!("key store: {kind}"));
        let opened = self.with_passphrase(kind, |passphrase| {
            Keystore::open(profile.folder(), kind, passphrase)
        })?;
        Ok(opened)
    }

    /// Refuses to go on with an identity that has ended.
    pub(crate) fn check_not_ended(&self, profile: &Profile, secrets: &Secrets) -> Result<()> {
        let store = self.store(profile, RelayArg { url: None })?;
        ctalk::check_own_not_ended(&store, secrets.unlock()?.public_keys())?;
        Ok(())
    }

    /// Runs `work` with what opens or seals a key store of this kind.
    pub(crate) fn with_passphrase<T, E: From<KeystoreError>>(
        &self,
        kind: Kind,
        work: impl FnOnce(PassphraseSource<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        work(self.passphrase(kind, &mut asking("key store"))?)
    }

    /// What opens or seals a key store of this kind.
    pub(crate) fn passphrase<'p>(
        &self,
        kind: Kind,
        ask: &'p mut dyn FnMut(Prompt) -> Result<Passphrase, KeystoreError>,
    ) -> Result<PassphraseSource<'p>, KeystoreError> {
        let file = self.passphrase_file.as_deref();
        passphrase(file.filter(|_| kind == Kind::File), ask)
    }

    /// The relay's address, which must be known.
    pub(crate) fn relay_url(&self, given: RelayArg, profile: Option<&Profile>) -> Result<String> {
        self.known_relay_url(given, profile)?.ok_or_else(|| {
            Complaint::new(Class::Usage, "no relay is known")
                .hint("name one with --relay URL, or register: ctalk register --relay URL")
                .into()
        })
    }

    /// The relay's address: as given, else of the environment, else of the profile.
    pub(crate) fn known_relay_url(
        &self,
        given: RelayArg,
        profile: Option<&Profile>,
    ) -> Result<Option<String>> {
        let url = match (given.url, profile) {
            (Some(name), Some(profile)) if !name.contains("://") => {
                Some(profile.relay_named(&name)?.to_owned())
            }
            (Some(url), _) => Some(url),
            (None, _) => environment::text(environment::RELAY_URL)?
                .or_else(|| profile?.relay().map(str::to_owned)),
        };
        if let Some(url) = &url {
            self.output.detail(&format!("relay: {url}"));
        }
        Ok(url)
    }

    /// Warns that `what` travels in the clear to the relay at `url`, where it does.
    pub(crate) fn warn_of_clear_text(&self, url: &str, what: &str) {
        if travels_in_the_clear(url) {
            let text = format!("{what} travels in the clear; use https://");
            self.output.warning(&text);
        }
    }

    /// The profile's client.
    pub(crate) fn client(&self, profile: &Profile, relay: RelayArg) -> Result<Client> {
        let url = self.relay_url(relay, Some(profile))?;
        let (keystore, secrets) = self.keystore(profile)?;
        self.client_with(profile, keystore, &secrets, &url)
    }

    /// The profile's agent at the relay that is given, or in the environment, or else at all of its relays.
    pub(crate) fn agent(&self, profile: &Profile, relay: RelayArg) -> Result<Agent> {
        let is_named = relay.url.is_some() || environment::text(environment::RELAY_URL)?.is_some();
        if is_named || profile.relays().len() < 2 {
            let url = self.relay_url(relay.clone(), Some(profile))?;
            let url = ctalk::relay::normalised(&url)?;
            let mut named = profile.relays().iter().filter(|named| named.url == url);
            let name = named.next().map(|named| named.name.clone());
            let client = self.client(profile, relay)?;
            return Ok(Agent::new(vec![(name.unwrap_or_default(), client)]));
        }
        let (keystore, secrets) = self.keystore(profile)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        Ok(ctalk::agent(
            profile,
            keystore,
            &secrets,
            api_key()?,
            &clock,
        )?)
    }

    /// Connections to the relay of the environment, or else to all that the profile is registered at, in
    /// its name.
    pub(crate) fn relays(
        &self,
        profile: &Profile,
        secrets: &Secrets,
    ) -> Result<Vec<Arc<dyn Relay>>> {
        let first = self.relay_url(RelayArg { url: None }, Some(profile))?;
        let mut urls = vec![first];
        if environment::text(environment::RELAY_URL)?.is_none() {
            let others = profile.relays().iter().skip(1);
            let registered = others.filter(|relay| secrets.api_key(&relay.url).is_some());
            urls.extend(registered.map(|relay| relay.url.clone()));
        }
        let mut relays = Vec::with_capacity(urls.len());
        for (place, url) in urls.iter().enumerate() {
            let key = api_key()?.filter(|_| place == 0);
            relays.push(ctalk::connect(url, secrets, key, Arc::new(SystemClock))?);
        }
        Ok(relays)
    }

    /// The profile's client at the relay at `url`, for who has opened the key store already.
    pub(crate) fn client_with(
        &self,
        profile: &Profile,
        keystore: impl Into<Arc<Keystore>>,
        secrets: &Secrets,
        url: &str,
    ) -> Result<Client> {
        let (api_key, clock) = (api_key()?, Arc::new(SystemClock));
        let client = ctalk::client(profile, keystore, secrets, url, api_key, clock)?;
        Ok(client)
    }

    /// A connection to the relay in the profile's name, for what needs no identity.
    pub(crate) fn connection(&self, profile: &Profile, relay: RelayArg) -> Result<ClawTalk> {
        let url = self.relay_url(relay, Some(profile))?;
        if let Some(key) = api_key()? {
            return Ok(ClawTalk::new(&url, Some(key), Arc::new(SystemClock))?);
        }
        let (_, secrets) = self.keystore(profile)?;
        self.connect(&url, &secrets)
    }

    /// A connection to the relay at `url` with the environment's API key, else with the stored one.
    pub(crate) fn connect(&self, url: &str, secrets: &Secrets) -> Result<ClawTalk> {
        let given = api_key()?;
        let key = |url: &str| given.or_else(|| secrets.api_key(url).map(BearerKey::new));
        Ok(ClawTalk::connect(url, Arc::new(SystemClock), key)?)
    }

    /// The profile's contacts and messages, as seen from the relay.
    pub(crate) fn store(&self, profile: &Profile, relay: RelayArg) -> Result<Store> {
        // Without a relay there are contacts nevertheless, only no addresses.
        let url = self
            .known_relay_url(relay, Some(profile))?
            .map(|url| ctalk::relay::normalised(&url))
            .transpose()?;
        Ok(Store::open(&profile.store_path(), url.as_deref())?)
    }
}

/// Does what is due for the client's own keys. What of it fails stops nothing.
pub(crate) async fn refresh(client: &mut Client, output: &Output) {
    if let Err(error) = client.refresh().await {
        output.warning(&format!("{error}; trying again at the next use"));
    }
}

fn api_key() -> Result<Option<BearerKey>> {
    let key = secrets::from_environment(environment::API_KEY)?;
    Ok(key.map(|key| BearerKey::new(key.as_str())))
}

/// A passphrase: the one in the file if one is named, else what a person at the terminal answers.
pub(crate) fn passphrase<'a>(
    file: Option<&Path>,
    ask: &'a mut dyn FnMut(Prompt) -> Result<Passphrase, KeystoreError>,
) -> Result<PassphraseSource<'a>, KeystoreError> {
    Ok(match file {
        Some(file) => PassphraseSource::Given(Passphrase::read_file(file)?),
        None if io::stderr().is_terminal() => PassphraseSource::Ask(ask),
        None => PassphraseSource::None,
    })
}

/// Asks at the terminal, which is not stdin, so that messages can be piped in meanwhile, for the
/// passphrase of `what`.
pub(crate) fn asking(
    what: &'static str,
) -> impl FnMut(Prompt) -> Result<Passphrase, KeystoreError> {
    let read = |question: &str| {
        rpassword::prompt_password(question)
            .map(Zeroizing::new)
            .map_err(|source| KeystoreError::Prompt { source })
    };
    move |prompt| match prompt {
        Prompt::Existing => Passphrase::new(read(&format!("Passphrase of the {what}: "))?),
        Prompt::New => loop {
            let first = read(&format!("New passphrase for the {what}: "))?;
            if *first == *read("The same passphrase again: ")? {
                return Passphrase::new(first);
            }
            // Nobody hears this who does not also see the questions.
            let _ = io::Write::write_all(&mut io::stderr(), b"They differ, once more.\n");
        },
    }
}
