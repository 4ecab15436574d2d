//! Identities that the profile had before: their statements for good, and their secrets for as long as
//! messages to them may still arrive.

use ctalk_core::{Identity, Succession, Timestamp};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{KeystoreError, Secrets};

/// An identity that handed over to the next one.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FormerIdentity {
    /// The stored form of [`Secrets`] with this identity alone, as hex digits: no reader has to
    /// unescape them, which would leave a copy behind.
    secrets: Zeroizing<String>,
    /// When it is to be destroyed, in milliseconds since the Unix epoch.
    until: u64,
}

impl FormerIdentity {
    /// Most bytes of JSON that it takes.
    pub(super) fn stored_len(&self) -> usize {
        self.secrets.len() + 64
    }

    fn secrets(&self) -> Option<Secrets> {
        let json = hex::decode(self.secrets.as_bytes())
            .map(Zeroizing::new)
            .ok()?;
        Secrets::from_json(&json, "".as_ref()).ok()
    }

    fn unlock(&self) -> Result<Identity, KeystoreError> {
        self.secrets()
            .and_then(|secrets| secrets.unlock().ok())
            .ok_or(KeystoreError::UnusableSecrets {
                what: "a former identity is damaged",
            })
    }

    /// What is left of its secrets without the retired keys whose time has come, and how many those
    /// are; `None` if there are none.
    fn without_expired(&self, now: Timestamp) -> Option<(Zeroizing<String>, usize)> {
        let mut secrets = self.secrets()?;
        if !secrets.has_expired_xwing(now) {
            return None;
        }
        secrets.destroy_expired_xwing(now);
        let left = Zeroizing::new(hex::encode(secrets.to_json().ok()?));
        Some((left, secrets.destroyed()))
    }
}

impl Secrets {
    /// Puts the next identity, with its card, in the place of this one, which is kept until `until` to
    /// open what is under way to it. API keys stay.
    ///
    /// # Errors
    /// [`KeystoreError::UnusableSecrets`]; nothing has changed then.
    pub fn succeed(
        &mut self,
        next: Self,
        succession: &Succession,
        until: Timestamp,
    ) -> Result<(), KeystoreError> {
        let Self {
            identity,
            xwing,
            retired,
            ..
        } = self.clone();
        let alone = Self {
            identity,
            xwing,
            retired,
            ..Self::new(Zeroizing::default())
        };
        let former = FormerIdentity {
            secrets: Zeroizing::new(hex::encode(alone.to_json()?)),
            until: until.as_millis(),
        };
        let api_keys = std::mem::take(&mut self.api_keys);
        let mut formers = std::mem::take(&mut self.former);
        let mut successions = std::mem::take(&mut self.successions);
        formers.push(former);
        successions.push(succession.to_text());
        *self = Self {
            api_keys,
            former: formers,
            successions,
            ..next
        };
        Ok(())
    }

    /// The identities that handed over and were not destroyed yet, the last one last.
    ///
    /// # Errors
    /// [`KeystoreError::UnusableSecrets`] when one is damaged.
    pub fn former_identities(&self) -> Result<Vec<Identity>, KeystoreError> {
        self.former.iter().map(FormerIdentity::unlock).collect()
    }

    /// The text forms of the successions that led to this identity, in their order.
    pub fn successions(&self) -> &[String] {
        &self.successions
    }

    /// Whether the time of a former identity has come, or of a key that it had retired.
    pub fn has_expired_former(&self, now: Timestamp) -> bool {
        self.former
            .iter()
            .any(|former| former.until <= now.as_millis() || former.without_expired(now).is_some())
    }

    /// Destroys the former identities whose time has come, and of the others the retired keys whose
    /// time has come; with [`Timestamp::MAX`] all of them.
    pub fn destroy_expired_former(&mut self, now: Timestamp) {
        let before = self.former.len();
        self.former.retain(|former| former.until > now.as_millis());
        self.destroyed += before - self.former.len();
        for former in &mut self.former {
            if let Some((left, destroyed)) = former.without_expired(now) {
                former.secrets = left;
                self.destroyed += destroyed;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ctalk_core::{Card, CardStatement, Identity, Succession, Timestamp, XWingSecret};
    use zeroize::Zeroizing;

    use crate::keystore::Secrets;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis).unwrap()
    }

    fn with_key() -> (Identity, Secrets) {
        let identity = Identity::generate(&mut crate::rng());
        let mut secrets = Secrets::new(identity.to_keygen_json());
        let xwing = XWingSecret::generate(&mut crate::rng());
        let key = xwing.public_key().clone();
        let statement = CardStatement {
            name: "alice",
            serial: 1,
            created: at(1_000),
            expires: at(2_000),
            addresses: &[],
        };
        let seed = xwing.seed();
        let identity = identity.with_xwing(xwing);
        let card = Card::sign(&identity, &key, &statement).unwrap();
        secrets.replace_xwing(&XWingSecret::from_seed(&seed), &card, at(2_000));
        (identity, secrets)
    }

    #[test]
    fn a_former_identity_keeps_its_retired_keys_no_longer_than_it_would_have() {
        let ((old, mut secrets), (new, next)) = (with_key(), with_key());
        let xwing = XWingSecret::generate(&mut crate::rng());
        let retired = old.xwing_keys().next().cloned().unwrap();
        let card = Card::from_text(secrets.card().unwrap()).unwrap();
        secrets.replace_xwing(&xwing, &card, at(2_500));
        let succession = Succession::sign(&old, &new, at(1_500)).unwrap();
        secrets.succeed(next, &succession, at(3_000)).unwrap();
        let keys = |secrets: &Secrets| {
            let former = secrets.former_identities().unwrap().remove(0);
            former.xwing_keys().cloned().collect::<Vec<_>>()
        };
        assert!(!secrets.has_expired_former(at(2_499)));
        secrets.destroy_expired_former(at(2_499));
        assert!(keys(&secrets).contains(&retired));
        assert!(secrets.has_expired_former(at(2_500)));
        secrets.destroy_expired_former(at(2_500));
        assert_eq!(keys(&secrets), [xwing.public_key().clone()]);
        assert_eq!(secrets.destroyed(), 1);
        assert!(!secrets.has_expired_former(at(2_500)));
    }

    #[test]
    fn a_former_identity_is_kept_whole_until_its_time_has_come() {
        let ((old, mut secrets), (new, next)) = (with_key(), with_key());
        let key = Zeroizing::new("key".to_owned());
        secrets.set_api_key("https://relay.example", key);
        let card = next.card().map(str::to_owned);
        let succession = Succession::sign(&old, &new, at(1_500)).unwrap();
        secrets.succeed(next, &succession, at(3_000)).unwrap();

        let stored = secrets.to_json().unwrap();
        let mut secrets = Secrets::from_json(&stored, "keys".as_ref()).unwrap();
        assert_eq!(secrets.unlock().unwrap().public_keys(), new.public_keys());
        assert_eq!(secrets.card(), card.as_deref());
        assert_eq!(secrets.api_key("https://relay.example"), Some("key"));
        let former = secrets.former_identities().unwrap().remove(0);
        assert_eq!(former.public_keys(), old.public_keys());
        assert!(former.xwing_keys().eq(old.xwing_keys()));

        assert!(!secrets.has_expired_former(at(2_999)));
        secrets.destroy_expired_former(at(2_999));
        assert_eq!(secrets.former_identities().unwrap().len(), 1);
        assert!(secrets.has_expired_former(at(3_000)));
        secrets.destroy_expired_former(at(3_000));
        assert!(secrets.former_identities().unwrap().is_empty());
        assert_eq!(secrets.successions(), [succession.to_text()]);
    }
}
