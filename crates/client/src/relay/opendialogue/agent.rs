//! What the relay shows of an agent, of which anybody could have written anything.

use ctalk_core::{CARD_PREFIX, Card, Fingerprint, Identity, Timestamp};
use serde::{Deserialize, Serialize, Serializer};

use super::{OpenDialogue, credentials::is_id};
use crate::{
    client::millis,
    contacts::{add_contact, found},
    directory::Pin,
    error::Error,
    relay::RelayError,
    store::{Contact, Learned, Store},
    verification::confirm,
};

/// An agent as the relay shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Agent {
    /// Its id, which is its address.
    pub agent: String,
    /// What it is called; not unique.
    pub name: String,
    /// What else is said of it.
    pub description: Option<String>,
    /// Whether it is connected.
    pub online: bool,
    /// The key card among what it can do, if there is one that can be read.
    #[serde(rename = "fingerprint", serialize_with = "fingerprint")]
    pub candidate: Option<Candidate>,
}

/// A key card from where anybody may write. Nobody knows whose it is before its fingerprint was compared, and
/// there is no other way from it to a contact.
#[derive(Debug)]
pub struct Candidate {
    card: Card,
    address: String,
}

impl Candidate {
    /// The fingerprint of the card's identity, for a person to compare.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.card.fingerprint()
    }

    /// Pins the card's identity, under `name` or else the name that the card suggests, and marks it as
    /// verified, provided that its fingerprint is the given one, as its owner told it. `me` is the own
    /// identity.
    ///
    /// # Errors
    /// [`Error::OtherFingerprint`], and those of [`add_contact`](crate::add_contact) and
    /// [`confirm`](crate::confirm).
    pub fn accept(
        &self,
        store: &mut Store,
        me: &Identity,
        name: Option<&str>,
        given: Fingerprint,
        now: Timestamp,
    ) -> Result<Contact, Error> {
        let offered = self.fingerprint();
        if given != offered {
            return Err(Error::OtherFingerprint {
                name: name.unwrap_or(&self.address).to_owned(),
                given,
                offered,
            });
        }
        let (contact, _) = add_contact(store, me, &self.card, name, now)?;
        if contact.address.is_none() {
            let pin = Pin {
                name: &contact.name,
                address: &self.address,
                keys: &contact.keys,
                card: None,
                learned: Learned::Accepted,
            };
            pin.add_address(store, millis(now))?;
        }
        let contact = found(store, &contact.name)?;
        confirm(store, contact)
    }
}

/// The relay's answer.
#[derive(Deserialize)]
pub(super) struct Shown {
    card: ShownCard,
    #[serde(default)]
    online: bool,
}

#[derive(Deserialize)]
struct ShownCard {
    #[serde(default)]
    name: String,
    #[serde(default)]
    description: Option<String>,
    /// Of any type.
    #[serde(default)]
    capabilities: serde_json::Value,
}

impl Shown {
    /// What the agent can do, ctalk's key card among it.
    pub(super) fn capabilities(self) -> Vec<serde_json::Value> {
        match self.card.capabilities {
            serde_json::Value::Array(capabilities) => capabilities,
            _ => Vec::new(),
        }
    }

    /// The one key card among what the agent can do. Of several, nobody could say which is meant.
    fn candidate(&self, agent: &str) -> Option<Candidate> {
        let capabilities = self.card.capabilities.as_array()?;
        let texts = capabilities.iter().filter_map(serde_json::Value::as_str);
        let mut cards = texts.filter(|text| text.starts_with(CARD_PREFIX));
        let card = Card::from_text(cards.next()?).ok()?;
        cards.next().is_none().then(|| Candidate {
            card,
            address: agent.to_owned(),
        })
    }
}

impl OpenDialogue {
    /// What the relay shows of an agent.
    ///
    /// # Errors
    /// Any [`RelayError`]; 404 where there is no such agent.
    pub async fn look_up(&self, agent: &str) -> Result<Agent, RelayError> {
        if !is_id(agent) {
            return Err(RelayError::Unsupported {
                what: "an agent that is not eight digits",
            });
        }
        let shown = self.rest.agent(agent).await?;
        Ok(Agent {
            agent: agent.to_owned(),
            candidate: shown.candidate(agent),
            name: shown.card.name,
            description: shown.card.description,
            online: shown.online,
        })
    }
}

fn fingerprint<S: Serializer>(
    candidate: &Option<Candidate>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let hex = candidate.as_ref().map(|card| card.fingerprint().to_hex());
    hex.serialize(serializer)
}
