use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::path::Path;

use ctalk_core::{Card, Identity, KeygenError, Timestamp, XWING_SEED_LEN, XWingSecret};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::KeystoreError;
use super::folder::MAX_FILE_LEN;
use super::former::FormerIdentity;

/// What a key store keeps: the identity, and the API keys and webhook secrets of the relays it is
/// registered with.
///
/// Wiped when dropped; `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Secrets {
    pub(super) identity: Zeroizing<String>,
    pub(super) xwing: Option<CurrentKey>,
    /// In the order in which they were replaced.
    pub(super) retired: Vec<RetiredKey>,
    pub(super) api_keys: BTreeMap<String, Zeroizing<String>>,
    /// In their text form, by the base URL of the relay.
    pub(super) webhook_secrets: BTreeMap<String, Zeroizing<String>>,
    /// In the order in which they handed over.
    pub(super) former: Vec<FormerIdentity>,
    /// As text, in their order. They are no secrets.
    pub(super) successions: Vec<String>,
    /// How many X-Wing keys and former identities were destroyed since this was read. Not stored.
    pub(super) destroyed: usize,
}

/// The X-Wing key that envelopes are sealed to, and the card that says so.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CurrentKey {
    /// The secret's 32-byte seed, as hex digits.
    seed: Zeroizing<String>,
    /// Its card, in its text form.
    card: String,
}

/// An X-Wing key that was replaced. Envelopes that were sealed to it may still arrive.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RetiredKey {
    /// The secret's 32-byte seed, as hex digits.
    seed: Zeroizing<String>,
    /// When it is to be destroyed, in milliseconds since the Unix epoch.
    until: u64,
}

/// The stored form. The identity stays the JSON text it is, so that reading it makes no copies
/// beyond the one that is kept.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document<'a> {
    version: u8,
    #[serde(borrow)]
    identity: &'a RawValue,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    xwing: Option<Cow<'a, CurrentKey>>,
    #[serde(default, skip_serializing_if = "<[RetiredKey]>::is_empty")]
    retired: Cow<'a, [RetiredKey]>,
    api_keys: Cow<'a, BTreeMap<String, Zeroizing<String>>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    webhook_secrets: Cow<'a, BTreeMap<String, Zeroizing<String>>>,
    #[serde(default, skip_serializing_if = "<[FormerIdentity]>::is_empty")]
    former: Cow<'a, [FormerIdentity]>,
    #[serde(default, skip_serializing_if = "<[String]>::is_empty")]
    successions: Cow<'a, [String]>,
}

#[derive(Deserialize)]
struct Version {
    version: u8,
}

const VERSION: u8 = 1;

impl Secrets {
    /// The secrets of a new profile: `identity` is the JSON text of the identity's private form,
    /// kept as it is. There are no API keys yet.
    pub fn new(identity: Zeroizing<String>) -> Self {
        Self {
            identity,
            xwing: None,
            retired: Vec::new(),
            api_keys: BTreeMap::new(),
            webhook_secrets: BTreeMap::new(),
            former: Vec::new(),
            successions: Vec::new(),
            destroyed: 0,
        }
    }

    /// The identity with every X-Wing key it has, the current one last.
    ///
    /// # Errors
    /// [`KeygenError`] when the stored identity or a key is damaged.
    pub fn unlock(&self) -> Result<Identity, KeygenError> {
        let mut identity = Identity::from_keygen_json(&self.identity)?;
        let retired = self.retired.iter().map(|key| &key.seed);
        for text in retired.chain(self.xwing.as_ref().map(|key| &key.seed)) {
            let mut seed = Zeroizing::new([0; XWING_SEED_LEN]);
            hex::decode_to_slice(text.as_bytes(), &mut *seed).map_err(|_| KeygenError::Secret {
                member: "xwing",
                expected: 2 * XWING_SEED_LEN,
            })?;
            identity = identity.with_xwing(XWingSecret::from_seed(&seed));
        }
        Ok(identity)
    }

    /// The card that others seal to; `None` before the first one.
    pub fn card(&self) -> Option<&str> {
        self.xwing.as_ref().map(|key| key.card.as_str())
    }

    /// Makes this the X-Wing key that envelopes are sealed to. The one before is retired, and is to be
    /// destroyed at `until`.
    pub fn replace_xwing(&mut self, secret: &XWingSecret, card: &Card, until: Timestamp) {
        let mut seed = Zeroizing::new(String::with_capacity(2 * XWING_SEED_LEN));
        for byte in *secret.seed() {
            // Writing to a `String` cannot fail.
            let _ = write!(*seed, "{byte:02x}");
        }
        let card = card.to_text();
        if let Some(former) = self.xwing.replace(CurrentKey { seed, card }) {
            self.retired.push(RetiredKey {
                seed: former.seed,
                until: until.as_millis(),
            });
        }
    }

    /// Retires the X-Wing key that envelopes are sealed to, to be destroyed at `until`; there is none
    /// any more, and no card.
    pub fn retire_xwing(&mut self, until: Timestamp) {
        if let Some(last) = self.xwing.take() {
            self.retired.push(RetiredKey {
                seed: last.seed,
                until: until.as_millis(),
            });
        }
    }

    /// Whether the time of a retired X-Wing key has come.
    pub fn has_expired_xwing(&self, now: Timestamp) -> bool {
        self.retired.iter().any(|key| key.until <= now.as_millis())
    }

    /// Destroys the retired X-Wing keys whose time has come; with [`Timestamp::MAX`] all of them.
    pub fn destroy_expired_xwing(&mut self, now: Timestamp) {
        let before = self.retired.len();
        self.retired.retain(|key| key.until > now.as_millis());
        self.destroyed += before - self.retired.len();
    }

    /// How many X-Wing keys were destroyed since these secrets were read from their store.
    pub fn destroyed(&self) -> usize {
        self.destroyed
    }

    /// The same without the keys that envelopes are sealed to and the cards for them.
    #[must_use]
    pub(crate) fn without_xwing(&self) -> Self {
        Self {
            xwing: None,
            retired: Vec::new(),
            ..self.clone()
        }
    }

    /// The JSON text of the identity, as given to [`Secrets::new`] but for white space around it.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// The API key for the relay with this base URL, compared as text.
    pub fn api_key(&self, relay: &str) -> Option<&str> {
        self.api_keys.get(relay).map(|key| key.as_str())
    }

    /// Sets the API key for the relay with this base URL, in place of an earlier one.
    pub fn set_api_key(&mut self, relay: &str, key: Zeroizing<String>) {
        self.api_keys.insert(relay.to_owned(), key);
    }

    /// What the relay with this base URL, compared as text, signs its webhooks with.
    pub fn webhook_secret(&self, relay: &str) -> Option<&str> {
        self.webhook_secrets
            .get(relay)
            .map(|secret| secret.as_str())
    }

    /// Sets the webhook secret of the relay with this base URL in place of an earlier one, or forgets
    /// that.
    pub fn set_webhook_secret(&mut self, relay: &str, secret: Option<Zeroizing<String>>) {
        match secret {
            Some(secret) => drop(self.webhook_secrets.insert(relay.to_owned(), secret)),
            None => drop(self.webhook_secrets.remove(relay)),
        }
    }

    pub(crate) fn to_json(&self) -> Result<Zeroizing<Vec<u8>>, KeystoreError> {
        let unusable = |what| KeystoreError::UnusableSecrets { what };
        let identity = serde_json::from_str::<&RawValue>(&self.identity)
            .map_err(|_| unusable("the identity is not JSON"))?;
        // An escaped byte takes at most 6 bytes. The buffer must not grow while it is filled,
        // because a buffer that moves leaves its old content behind.
        let keys: usize = self
            .api_keys
            .iter()
            .chain(&self.webhook_secrets)
            .map(|(url, key)| 6 * (url.len() + key.len()) + 8)
            .sum();
        let xwing = self.card().map_or(0, |card| card.len() + 128);
        let retired = 128 * self.retired.len();
        let former: usize = self.former.iter().map(FormerIdentity::stored_len).sum();
        let successions: usize = self.successions.iter().map(|text| text.len() + 4).sum();
        let capacity = self.identity.len() + keys + xwing + retired + former + successions + 224;
        let mut json = Zeroizing::new(Vec::with_capacity(capacity));
        let document = Document {
            version: VERSION,
            identity,
            xwing: self.xwing.as_ref().map(Cow::Borrowed),
            retired: Cow::Borrowed(&self.retired),
            api_keys: Cow::Borrowed(&self.api_keys),
            webhook_secrets: Cow::Borrowed(&self.webhook_secrets),
            former: Cow::Borrowed(&self.former),
            successions: Cow::Borrowed(&self.successions),
        };
        serde_json::to_writer(&mut *json, &document).map_err(|_| unusable("not JSON"))?;
        // Leaves room for the header and tag of a sealed file.
        if json.len() > MAX_FILE_LEN - 128 {
            return Err(unusable("they take more than 1 MiB"));
        }
        Ok(json)
    }

    pub(crate) fn from_json(json: &[u8], path: &Path) -> Result<Self, KeystoreError> {
        let damaged = || KeystoreError::Damaged {
            path: path.to_owned(),
            what: "it does not hold the JSON of a key store",
        };
        let Version { version } = serde_json::from_slice(json).map_err(|_| damaged())?;
        if version > VERSION {
            return Err(KeystoreError::NewerVersion {
                path: path.to_owned(),
                version,
            });
        }
        let document: Document<'_> = serde_json::from_slice(json).map_err(|_| damaged())?;
        if document.version != VERSION {
            return Err(damaged());
        }
        Ok(Self {
            identity: Zeroizing::new(document.identity.get().to_owned()),
            xwing: document.xwing.map(Cow::into_owned),
            retired: document.retired.into_owned(),
            api_keys: document.api_keys.into_owned(),
            webhook_secrets: document.webhook_secrets.into_owned(),
            former: document.former.into_owned(),
            successions: document.successions.into_owned(),
            destroyed: 0,
        })
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            identity: _,
            xwing: _,
            retired: _,
            api_keys: _,
            webhook_secrets: _,
            former: _,
            successions: _,
            destroyed: _,
        } = self;
        f.write_str("Secrets(..)")
    }
}
