//! What the operator of a ClawTalk relay does over its API.

use std::sync::Arc;

use ctalk_wire as wire;
use reqwest::Method;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::{
    RelayError,
    clawtalk::{BearerKey, ClawTalk, percent_encoded},
};
use crate::clock::Clock;

/// A connection to one ClawTalk relay in its operator's name.
pub struct Admin {
    relay: ClawTalk,
    key: BearerKey,
}

/// Which entries of the audit log to read.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Only those about messages later than this, an ISO 8601 time.
    pub since: Option<String>,
    /// Only those about messages from this agent.
    pub from: Option<String>,
    /// Only those about messages to this agent.
    pub to: Option<String>,
    /// Only those about this topic.
    pub topic: Option<String>,
    /// Only those logged after this `cursor` of a page.
    pub after: Option<String>,
}

impl Admin {
    /// Prepares a connection to the relay at `url` with its admin key.
    ///
    /// # Errors
    /// As [`ClawTalk::new`].
    pub fn new(url: &str, key: BearerKey, clock: Arc<dyn Clock>) -> Result<Self, RelayError> {
        let relay = ClawTalk::new(url, None, clock)?;
        Ok(Self { relay, key })
    }

    /// Makes an invite.
    ///
    /// # Errors
    /// Any [`RelayError`].
    pub async fn create_invite(
        &self,
        invite: &wire::CreateInvite,
    ) -> Result<wire::CreatedInvite, RelayError> {
        let key = Some(&self.key);
        let created = self.relay.call(Method::POST, "/invites", key, Some(invite));
        created.await
    }

    /// Every invite.
    ///
    /// # Errors
    /// Any [`RelayError`].
    pub async fn invites(&self) -> Result<Vec<wire::Invite>, RelayError> {
        self.ask(Method::GET, "/invites").await
    }

    /// Deletes an invite.
    ///
    /// # Errors
    /// Any [`RelayError`].
    pub async fn delete_invite(&self, code: &str) -> Result<(), RelayError> {
        let path = format!("/invites/{}", percent_encoded(code));
        self.ask::<Box<RawValue>>(Method::DELETE, &path).await?;
        Ok(())
    }

    /// Every agent. ClawTalk's own relay does not show them to its operator.
    ///
    /// # Errors
    /// Any [`RelayError`].
    pub async fn agents(&self) -> Result<Vec<wire::Account>, RelayError> {
        self.ask(Method::GET, "/admin/agents").await
    }

    /// One page of the audit log, in the order in which it was written.
    ///
    /// # Errors
    /// Any [`RelayError`].
    pub async fn audit(&self, filter: &AuditFilter) -> Result<wire::AuditPage, RelayError> {
        let AuditFilter {
            since,
            from,
            to,
            topic,
            after,
        } = filter;
        let mut path = "/audit?limit=200".to_owned();
        for (name, value) in [
            ("since", since),
            ("from", from),
            ("to", to),
            ("topic", topic),
            ("after", after),
        ] {
            if let Some(value) = value {
                path += &format!("&{name}={}", percent_encoded(value));
            }
        }
        self.ask(Method::GET, &path).await
    }

    /// Deletes entries of the audit log about messages from before this ISO 8601 time, and tells
    /// how many there were.
    ///
    /// # Errors
    /// Any [`RelayError`].
    pub async fn clear_audit(&self, before: &str) -> Result<u64, RelayError> {
        #[derive(Deserialize)]
        struct Cleared {
            deleted: u64,
        }
        let path = format!("/audit?before={}", percent_encoded(before));
        let Cleared { deleted } = self.ask(Method::DELETE, &path).await?;
        Ok(deleted)
    }

    /// What the inbox of an agent holds and may hold.
    ///
    /// # Errors
    /// Any [`RelayError`].
    pub async fn usage(&self, name: &str) -> Result<wire::Usage, RelayError> {
        self.ask(Method::GET, &agent(name, "/quota")).await
    }

    /// Changes how much the inbox of an agent may hold.
    ///
    /// # Errors
    /// Any [`RelayError`].
    pub async fn set_quota(
        &self,
        name: &str,
        patch: &wire::PatchQuota,
    ) -> Result<wire::Usage, RelayError> {
        let path = agent(name, "/quota");
        let set = self
            .relay
            .call(Method::PATCH, &path, Some(&self.key), Some(patch));
        set.await
    }

    /// Ends an agent's API key. Its entry and its inbox stay.
    ///
    /// # Errors
    /// Any [`RelayError`].
    pub async fn revoke_key(&self, name: &str) -> Result<(), RelayError> {
        self.ask::<Box<RawValue>>(Method::DELETE, &agent(name, "/key"))
            .await?;
        Ok(())
    }

    /// Ends an agent's API key, if it has one, and makes it another.
    ///
    /// # Errors
    /// Any [`RelayError`].
    pub async fn replace_key(&self, name: &str) -> Result<wire::Registered, RelayError> {
        self.ask(Method::POST, &agent(name, "/key")).await
    }

    /// Deletes an agent with its inbox, and retires its name.
    ///
    /// # Errors
    /// Any [`RelayError`].
    pub async fn delete_agent(&self, name: &str) -> Result<(), RelayError> {
        self.ask::<Box<RawValue>>(Method::DELETE, &agent(name, ""))
            .await?;
        Ok(())
    }

    async fn ask<A: DeserializeOwned>(&self, method: Method, path: &str) -> Result<A, RelayError> {
        let key = Some(&self.key);
        self.relay.call::<(), _>(method, path, key, None).await
    }
}

fn agent(name: &str, what: &str) -> String {
    format!("/agents/{}{what}", percent_encoded(name))
}
