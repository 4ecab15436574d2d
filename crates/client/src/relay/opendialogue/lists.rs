//! Whom an agent hears, and what the relay keeps of conversations. Anybody can change the one and read the
//! other, so neither protects from more than nuisance: that is what contacts and policies are for.

use reqwest::Method;
use serde::{Deserialize, Serialize};

use super::{OpenDialogue, credentials::is_id};
use crate::relay::RelayError;

/// Most messages of a conversation that are asked for.
const MAX_HISTORY: u32 = 500;
/// Longest id of a conversation.
const MAX_CONVERSATION: usize = 128;

/// An agent that is not heard.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all(serialize = "camelCase"))]
pub struct Blocked {
    /// Its id.
    #[serde(rename(deserialize = "blocked_id"))]
    pub agent: String,
    /// Why, in words of whoever blocked it.
    pub reason: Option<String>,
    /// Since when, in milliseconds since the Unix epoch.
    pub created_at: i64,
}

/// The agents that are heard.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all(serialize = "camelCase"))]
pub struct AllowList {
    /// Whether nobody else is.
    #[serde(rename(deserialize = "allowlist_enabled"))]
    pub is_enabled: bool,
    /// The agents.
    #[serde(rename(deserialize = "allowlist"))]
    pub agents: Vec<Allowed>,
}

/// An agent that is heard also where others are not.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all(serialize = "camelCase"))]
pub struct Allowed {
    /// Its id.
    #[serde(rename(deserialize = "allowed_id"))]
    pub agent: String,
    /// Since when, in milliseconds since the Unix epoch.
    pub created_at: i64,
}

/// What the relay keeps of a conversation, as it claims.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct History {
    /// The last messages, oldest first.
    pub messages: Vec<Kept>,
    /// How many there are.
    pub total: u64,
}

/// A message that the relay keeps.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Kept {
    /// The sender's id, as the relay claims.
    #[serde(rename(deserialize = "from_agent_id"))]
    pub from: String,
    /// `text`, or what else the relay calls it.
    #[serde(rename = "type")]
    pub kind: String,
    /// An envelope, or words that everybody can read.
    pub content: String,
    /// In milliseconds since the Unix epoch.
    pub timestamp: i64,
}

#[derive(Serialize)]
struct Block<'a> {
    blocked_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

#[derive(Serialize)]
struct Allow<'a> {
    allowed_id: &'a str,
}

/// An answer of which nothing counts but that it is one.
#[derive(Deserialize)]
struct Done {}

impl OpenDialogue {
    /// Has the relay refuse what an agent sends over its connection.
    ///
    /// # Errors
    /// Any [`RelayError`].
    pub async fn block(&self, agent: &str, reason: Option<&str>) -> Result<(), RelayError> {
        let blocked_id = id(agent)?;
        let body = Block { blocked_id, reason };
        self.change(Method::POST, "block", &body).await
    }

    /// Takes an agent off the list of those that are not heard.
    ///
    /// # Errors
    /// Any [`RelayError`].
    pub async fn unblock(&self, agent: &str) -> Result<(), RelayError> {
        let blocked_id = id(agent)?;
        let body = Block {
            blocked_id,
            reason: None,
        };
        self.change(Method::DELETE, "block", &body).await
    }

    /// The agents that are not heard.
    ///
    /// # Errors
    /// Any [`RelayError`].
    pub async fn blocked(&self) -> Result<Vec<Blocked>, RelayError> {
        #[derive(Deserialize)]
        struct List {
            blocklist: Vec<Blocked>,
        }
        let path = self.list("block");
        let list: List = self.rest.call::<(), _>(Method::GET, &path, None).await?;
        Ok(list.blocklist)
    }

    /// Has the relay take what an agent sends also where it takes nothing from others.
    ///
    /// # Errors
    /// Any [`RelayError`].
    pub async fn allow(&self, agent: &str) -> Result<(), RelayError> {
        let allowed_id = id(agent)?;
        self.change(Method::POST, "allow", &Allow { allowed_id })
            .await
    }

    /// Takes an agent off the list of those that are heard.
    ///
    /// # Errors
    /// Any [`RelayError`].
    pub async fn disallow(&self, agent: &str) -> Result<(), RelayError> {
        let allowed_id = id(agent)?;
        self.change(Method::DELETE, "allow", &Allow { allowed_id })
            .await
    }

    /// The agents that are heard also where others are not.
    ///
    /// # Errors
    /// Any [`RelayError`].
    pub async fn allowed(&self) -> Result<AllowList, RelayError> {
        let path = self.list("allow");
        self.rest.call::<(), _>(Method::GET, &path, None).await
    }

    /// Whether only listed agents are heard.
    ///
    /// # Errors
    /// Any [`RelayError`].
    pub async fn hear_only_allowed(&self, enabled: bool) -> Result<(), RelayError> {
        #[derive(Serialize)]
        struct Mode {
            enabled: bool,
        }
        self.change(Method::PUT, "allowlist-mode", &Mode { enabled })
            .await
    }

    /// The last messages, 500 at most, of a conversation: the own one with an agent, or one by its id.
    ///
    /// # Errors
    /// Any [`RelayError`]; 404 where there was none.
    pub async fn history(&self, with: &str, last: u32) -> Result<History, RelayError> {
        let conversation = if is_id(with) {
            self.conversation(with)?
        } else {
            conversation_id(with)?.to_owned()
        };
        let last = last.clamp(1, MAX_HISTORY);
        let path = format!("/api/conversation/{conversation}/history?last={last}");
        let mut history: History = self.rest.call::<(), _>(Method::GET, &path, None).await?;
        // They come by their turns, which begin again whenever the relay forgets the conversation.
        history.messages.sort_by_key(|message| message.timestamp);
        Ok(history)
    }

    fn list(&self, which: &str) -> String {
        format!("/api/agent/{}/{which}", self.agent())
    }

    async fn change(
        &self,
        method: Method,
        which: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<(), RelayError> {
        let Done {} = self
            .rest
            .call(method, &self.list(which), Some(body))
            .await?;
        Ok(())
    }
}

fn id(agent: &str) -> Result<&str, RelayError> {
    if is_id(agent) {
        return Ok(agent);
    }
    Err(RelayError::Unsupported {
        what: "an agent that is not eight digits",
    })
}

/// An id that can stand in a path: the relay reads no escapes there.
fn conversation_id(text: &str) -> Result<&str, RelayError> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if (1..=MAX_CONVERSATION).contains(&text.len()) && text.bytes().all(is_plain) {
        return Ok(text);
    }
    Err(RelayError::Unsupported {
        what: "conversations whose id is not letters, digits, `-` and `_`",
    })
}
