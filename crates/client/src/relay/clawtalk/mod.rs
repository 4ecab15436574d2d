//! ClawTalk relays: HTTP, polled or pushing, with a directory.
//!
//! The reference relay pages only by deleting and flips its order from poll to poll, so
//! [`ClawTalk::fetch`](Relay::fetch) takes any page in any order and relies on the caller to store
//! and acknowledge it before asking again.

mod push;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use ctalk_core::{
    CARD_PREFIX, Card, StatementKind,
    classic::{Claims, MAX_MESSAGE_LEN, Malformed, Message},
};
use ctalk_wire as wire;
use futures_util::StreamExt;
use reqwest::{Method, StatusCode, header};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use self::push::{Push, Pushed};
use super::{
    Accepted, Body, Delivery, Destination, Incoming, OWN_PREFIXES, Outgoing, Peeked, Relay,
    RelayError,
};
use crate::{
    clock::{Clock, jitter},
    http::{self, cleaned, reason},
    store::Stored,
};

/// Largest page that a relay gives.
const PAGE: usize = 100;
/// Largest answer read, in bytes: a page of the largest messages, every character escaped.
const MAX_ANSWER: usize = 64 << 20;
/// How many acknowledgements are under way at once.
const ACKNOWLEDGEMENTS: usize = 16;
/// Length of the relay's rate window.
const RATE_WINDOW: Duration = Duration::from_secs(10);
/// Longest pause that a relay can ask for.
const MAX_PAUSE: Duration = Duration::from_secs(300);
/// Longest silence within an answer, and longest request of all.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(300);
/// For how many seconds it is asked to keep an envelope at least: the reference relay refuses less, and when
/// an envelope's life is over stands inside.
const LEAST_TTL: u64 = 60;
/// Most messages that looking without taking holds in memory.
const MAX_PEEKED: usize = 10_000;
/// Longest message id that is put into a path.
const MAX_ID: usize = 128;

/// A key that opens a relay's doors; shown nowhere.
#[derive(Clone)]
pub struct BearerKey(Zeroizing<String>);

impl BearerKey {
    /// Takes a key as text.
    #[must_use]
    pub fn new(key: impl Into<String>) -> Self {
        Self(Zeroizing::new(key.into()))
    }

    /// The key itself, for the key store.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl core::fmt::Debug for BearerKey {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self(_) = self;
        formatter.write_str("BearerKey")
    }
}

/// A connection to one ClawTalk relay.
pub struct ClawTalk {
    http: reqwest::Client,
    url: String,
    key: Option<BearerKey>,
    clock: Arc<dyn Clock>,
    push: Mutex<Push>,
}

impl ClawTalk {
    /// Prepares a connection to the relay at `url` (`http` or `https`, a trailing `/` is dropped).
    ///
    /// `key` is the agent's API key; calls that need one fail with
    /// [`RelayError::NoKey`] without it.
    ///
    /// # Errors
    /// [`RelayError::BadUrl`], or [`RelayError::Unreachable`] when the system offers no TLS roots.
    pub fn new(
        url: &str,
        key: Option<BearerKey>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, RelayError> {
        let url = normalise_url(url)?;
        let http = http::builder(&url)
            .read_timeout(READ_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .build()
            .map_err(|error| RelayError::Unreachable {
                url: url.clone(),
                why: reason(&error),
            })?;
        Ok(Self {
            http,
            url,
            key,
            clock,
            push: Mutex::default(),
        })
    }

    /// As [`ClawTalk::new`], with the key looked up under the relay's normalised URL.
    ///
    /// # Errors
    /// As [`ClawTalk::new`].
    pub fn connect(
        url: &str,
        clock: Arc<dyn Clock>,
        key: impl FnOnce(&str) -> Option<BearerKey>,
    ) -> Result<Self, RelayError> {
        let mut relay = Self::new(url, None, clock)?;
        relay.key = key(&relay.url);
        Ok(relay)
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// Registers an agent with the relay's admin key.
    ///
    /// # Errors
    /// Any [`RelayError`].
    pub async fn register(
        &self,
        admin_key: &BearerKey,
        agent: &wire::RegisterAgent,
    ) -> Result<wire::Registered, RelayError> {
        self.call(Method::POST, "/agents", Some(admin_key), Some(agent))
            .await
    }

    /// Registers an agent with an invite and publishes its keys.
    ///
    /// The reference relay drops keys given at registration, so the caller goes on with
    /// [`ClawTalk::patch`] once the API key is stored.
    ///
    /// # Errors
    /// Any [`RelayError`].
    pub async fn register_with_invite(
        &self,
        registration: &wire::RegisterWithInvite,
    ) -> Result<wire::Registered, RelayError> {
        self.call(Method::POST, "/register", None, Some(registration))
            .await
    }

    /// Changes the agent's own directory entry.
    ///
    /// # Errors
    /// Any [`RelayError`].
    pub async fn patch(&self, name: &str, patch: &wire::PatchAgent) -> Result<(), RelayError> {
        let path = format!("/agents/{}", percent_encoded(name));
        let _: Box<RawValue> = self
            .call(Method::PATCH, &path, Some(self.key()?), Some(patch))
            .await?;
        Ok(())
    }

    /// Has the relay post to `url` what comes for the agent, or nowhere. The secret that it signs with
    /// from now on, where it made one: it does not sign, or `url` was set before, otherwise.
    ///
    /// # Errors
    /// Any [`RelayError`].
    pub(crate) async fn set_webhook(
        &self,
        name: &str,
        url: Option<&str>,
    ) -> Result<Option<wire::WebhookSecret>, RelayError> {
        let path = format!("/agents/{}", percent_encoded(name));
        let body = wire::SetWebhook { webhook_url: url };
        let answer: WebhookSet = self
            .call(Method::PATCH, &path, Some(self.key()?), Some(&body))
            .await?;
        let secret = answer.webhook_secret.map(|secret| secret.parse());
        secret.transpose().map_err(|error| self.bad_answer(error))
    }

    /// Has the relay sign with another secret.
    ///
    /// # Errors
    /// Any [`RelayError`].
    pub(crate) async fn replace_webhook_secret(
        &self,
        name: &str,
    ) -> Result<wire::WebhookSecret, RelayError> {
        let path = format!("/agents/{}/webhook-secret", percent_encoded(name));
        let made =
            self.call::<(), wire::WebhookSecretMade>(Method::POST, &path, Some(self.key()?), None);
        let secret = made.await?.webhook_secret.parse();
        secret.map_err(|error| self.bad_answer(error))
    }

    /// How the agent's webhook goes, if it has one.
    ///
    /// # Errors
    /// Any [`RelayError`]; [`RelayError::Unsupported`] where the relay does not tell.
    pub async fn webhook(&self) -> Result<Option<wire::Webhook>, RelayError> {
        let shown =
            self.call::<(), wire::Webhooks>(Method::GET, "/webhooks", Some(self.key()?), None);
        let shown = shown
            .await
            .map_err(|error| error.or_unsupported("telling how webhooks go"))?;
        Ok(shown.webhooks.into_iter().next())
    }

    /// What the directory says that the agent can do, without what ctalk puts there itself.
    pub(crate) async fn other_capabilities(&self, name: &str) -> Result<Vec<String>, RelayError> {
        let own = [
            CARD_PREFIX,
            StatementKind::Succession.prefix(),
            StatementKind::Revocation.prefix(),
        ];
        let entries = self.directory().await?;
        let mut capabilities = entries
            .into_iter()
            .find(|entry| entry.name == name)
            .map(|entry| entry.capabilities)
            .unwrap_or_default();
        capabilities.retain(|text| !own.iter().any(|prefix| text.starts_with(prefix)));
        Ok(capabilities)
    }

    /// Topics of the agent's messages.
    ///
    /// # Errors
    /// Any [`RelayError`].
    pub async fn channels(&self) -> Result<Vec<String>, RelayError> {
        self.call::<(), _>(Method::GET, "/channels", Some(self.key()?), None)
            .await
    }

    /// The relay's word on itself; needs no key.
    ///
    /// # Errors
    /// Any [`RelayError`].
    pub async fn health(&self) -> Result<wire::Health, RelayError> {
        self.call::<(), _>(Method::GET, "/health", None, None).await
    }

    /// Deletes one message from the agent's inbox at the relay; false when it is not there.
    ///
    /// # Errors
    /// Any [`RelayError`] but "not found".
    pub async fn delete(&self, id: &str) -> Result<bool, RelayError> {
        if !is_usable_id(id) {
            return Ok(false);
        }
        let request = self.request(
            Method::DELETE,
            &format!("/messages/{id}"),
            Some(self.key()?),
        );
        let response = self.run(request).await?;
        match response.status() {
            StatusCode::NOT_FOUND => Ok(false),
            status if status.is_success() => Ok(true),
            _ => Err(self.refusal(response).await),
        }
    }

    async fn page(&self, query: &str) -> Result<wire::Listing, RelayError> {
        let path = format!("/messages?limit={PAGE}{query}");
        self.call::<(), _>(Method::GET, &path, Some(self.key()?), None)
            .await
    }

    fn key(&self) -> Result<&BearerKey, RelayError> {
        self.key.as_ref().ok_or_else(|| RelayError::NoKey {
            url: self.url.clone(),
        })
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        key: Option<&BearerKey>,
    ) -> reqwest::RequestBuilder {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if let Some(key) = key {
            request = request.bearer_auth(key.expose());
        }
        request
    }

    pub(super) async fn call<Q: Serialize, A: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        key: Option<&BearerKey>,
        body: Option<&Q>,
    ) -> Result<A, RelayError> {
        let mut request = self.request(method, path, key);
        if let Some(body) = body {
            let json = serde_json::to_vec(body).map_err(|error| self.bad_answer(error))?;
            request = request
                .header(header::CONTENT_TYPE, "application/json")
                .body(json);
        }
        let response = self.run(request).await?;
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        let bytes = self.body(response).await?;
        serde_json::from_slice(&bytes).map_err(|error| self.bad_answer(error))
    }

    async fn run(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response, RelayError> {
        request
            .send()
            .await
            .map_err(|error| http::transport(&self.url, &error))
    }

    async fn body(&self, response: reqwest::Response) -> Result<Vec<u8>, RelayError> {
        http::body(&self.url, response, MAX_ANSWER).await
    }

    async fn refusal(&self, response: reqwest::Response) -> RelayError {
        let status = response.status();
        if status == StatusCode::UNAUTHORIZED {
            return RelayError::Unauthorized {
                url: self.url.clone(),
            };
        }
        if status == StatusCode::TOO_MANY_REQUESTS {
            let asked = response.headers().get(header::RETRY_AFTER);
            let seconds = asked.and_then(|value| value.to_str().ok()?.parse().ok());
            let pause = seconds.map_or_else(|| self.next_window(), Duration::from_secs);
            return RelayError::RateLimited {
                pause: pause.min(MAX_PAUSE),
            };
        }
        let bytes = match self.body(response).await {
            Ok(bytes) => bytes,
            Err(error) => return error,
        };
        match serde_json::from_slice::<wire::ErrorBody>(&bytes) {
            Ok(body) => RelayError::Refused {
                status: status.as_u16(),
                code: body.code,
                text: cleaned(&body.error),
            },
            Err(_) => RelayError::Refused {
                status: status.as_u16(),
                code: wire::ErrorCode::Unknown,
                text: "it gave no reason that can be read".to_owned(),
            },
        }
    }

    fn bad_answer(&self, why: impl core::fmt::Display) -> RelayError {
        http::bad_answer(&self.url, why)
    }

    /// How long it is into the next rate window, spread so that several clients do not return together.
    fn next_window(&self) -> Duration {
        let window = i64::try_from(RATE_WINDOW.as_millis()).unwrap_or(i64::MAX);
        let left = window - self.clock.now().rem_euclid(window);
        Duration::from_millis(u64::try_from(left).unwrap_or(0) + jitter() % 1000)
    }
}

#[async_trait]
impl Relay for ClawTalk {
    fn url(&self) -> &str {
        &self.url
    }

    async fn send(&self, outgoing: &Outgoing) -> Result<Accepted, RelayError> {
        let message = post_body(outgoing)?;
        let Posted { id, ts } = self
            .call(Method::POST, "/messages", Some(self.key()?), Some(&message))
            .await?;
        Ok(Accepted { relay_id: id, ts })
    }

    async fn fetch(&self, wait: Duration) -> Result<Vec<Delivery>, RelayError> {
        if let Pushed::Messages(messages) = self.push.lock().await.wait(self, wait).await? {
            return Ok(messages);
        }
        let page = self.page("&sort=asc").await?;
        if page.messages.is_empty() {
            // Polled relays cannot say when something comes; the next call looks again.
            self.clock.sleep(wait).await;
        }
        Ok(deliveries(page))
    }

    async fn acknowledge(&self, stored: Stored) -> Result<usize, RelayError> {
        let ids = futures_util::stream::iter(stored.into_relay_ids());
        let outcomes: Vec<Result<bool, RelayError>> = ids
            .map(|id| async move { self.delete(&id).await })
            .buffer_unordered(ACKNOWLEDGEMENTS)
            .collect()
            .await;
        let mut dropped = 0;
        let mut failure = None;
        for outcome in outcomes {
            match outcome {
                Ok(was_there) => dropped += usize::from(was_there),
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            // One message that the relay will not let go must not keep the others back.
            Some(error) if dropped == 0 => Err(error),
            _ => {
                self.push.lock().await.acknowledged();
                Ok(dropped)
            }
        }
    }

    async fn peek(&self) -> Result<Peeked, RelayError> {
        let mut seen = deliveries(self.page("&sort=asc").await?);
        let mut truncated = seen.len() == PAGE;
        while truncated && seen.len() < MAX_PEEKED {
            let Some(newest) = seen.iter().filter_map(|delivery| delivery.sent_at).max() else {
                break;
            };
            let after = format!("&sort=asc&after={}", timestamp(newest));
            let next = deliveries(self.page(&after).await?);
            if next.iter().any(|delivery| delivery.sent_at <= Some(newest)) {
                // The reference relay knows neither `sort` nor `after`.
                break;
            }
            truncated = next.len() == PAGE;
            seen.extend(next);
        }
        Ok(Peeked {
            deliveries: seen,
            truncated,
        })
    }

    async fn directory(&self) -> Result<Vec<wire::DirectoryEntry>, RelayError> {
        let directory: wire::Directory = self
            .call::<(), _>(Method::GET, "/agents", Some(self.key()?), None)
            .await?;
        Ok(directory.into_entries())
    }

    async fn publish(
        &self,
        name: &str,
        card: &Card,
        successions: &[String],
    ) -> Result<(), RelayError> {
        let mut capabilities = self.other_capabilities(name).await?;
        capabilities.push(card.to_text());
        capabilities.extend_from_slice(successions);
        // An invite's registration leaves the keys empty at the reference relay.
        let patch = wire::PatchAgent {
            public_key: Some(card.public_keys().encryption().to_base64()),
            signing_key: Some(card.public_keys().verifying().to_base64()),
            capabilities: Some(capabilities),
        };
        self.patch(name, &patch).await
    }
}

/// Answer to a change of the webhook.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WebhookSet {
    #[serde(default)]
    webhook_secret: Option<Zeroizing<String>>,
}

/// Answer to a send. That it was accepted is in the status; the rest may be missing.
#[derive(Default, Deserialize)]
struct Posted {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    ts: Option<String>,
}

fn post_body(outgoing: &Outgoing) -> Result<wire::SendMessage, RelayError> {
    let to = match &outgoing.to {
        Destination::Agent(name) => wire::Recipients::One(name.clone()),
        Destination::Agents(names) => wire::Recipients::Many(names.clone()),
        Destination::Everyone => wire::Recipients::One("broadcast".to_owned()),
    };
    let (encrypted, payload, nonce, signature) = match &outgoing.body {
        Body::Plaintext(json) => (false, json.clone(), None, None),
        Body::Native(text) => (true, raw_text(text)?, None, None),
        Body::Pairing(text) => (false, raw_text(text)?, None, None),
        Body::Classic(sealed) => (
            true,
            raw_text(&sealed.payload)?,
            Some(sealed.nonce.clone()),
            Some(sealed.signature.clone()),
        ),
    };
    Ok(wire::SendMessage {
        to,
        message_type: outgoing.message_type,
        topic: outgoing.topic.clone(),
        correlation_id: outgoing.correlation_id.clone(),
        reply_to: outgoing.reply_to.clone(),
        encrypted,
        payload,
        nonce,
        signature,
        ttl: match outgoing.body {
            Body::Native(_) => outgoing.ttl.map(|ttl| ttl.max(LEAST_TTL)),
            _ => outgoing.ttl,
        },
    })
}

fn raw_text(text: &str) -> Result<Box<RawValue>, RelayError> {
    serde_json::value::to_raw_value(text).map_err(|_| RelayError::Unsupported {
        what: "this payload",
    })
}

/// Reads one item of a message list: an envelope, a part of one or a message of a pairing where the
/// payload is the text of one, else a message in ClawTalk's own format.
pub(super) fn read(raw: &[u8]) -> Result<Incoming, Malformed> {
    #[derive(Deserialize)]
    struct Item {
        id: Option<String>,
        from: String,
        to: String,
        #[serde(rename = "type")]
        message_type: String,
        ts: Option<String>,
        payload: String,
    }
    let is_ours = |text: &str| OWN_PREFIXES.iter().any(|prefix| text.starts_with(prefix));
    let item = match serde_json::from_slice::<Item>(raw) {
        Ok(item) if is_ours(&item.payload) && raw.len() <= MAX_MESSAGE_LEN => item,
        _ => return Message::parse(raw).map(Incoming::Classic),
    };
    let claims = Claims {
        id: item.id,
        from: item.from,
        to: item.to,
        message_type: item.message_type,
        topic: None,
        correlation_id: None,
        reply_to: None,
        ts: item.ts,
    };
    Ok(Incoming::of(claims, item.payload))
}

/// Takes the items of a page.
fn deliveries(page: wire::Listing) -> Vec<Delivery> {
    let items = page.messages.iter();
    let mut deliveries: Vec<_> = items.map(|item| delivery(item.get())).collect();
    deliveries.sort_by_key(|delivery| delivery.sent_at);
    deliveries
}

/// Takes an item; whatever else it holds, only id and time are looked at here.
fn delivery(item: &str) -> Delivery {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Routing {
        id: Option<serde_json::Value>,
        ts: Option<serde_json::Value>,
    }
    let Routing { id, ts } = serde_json::from_str(item).unwrap_or_default();
    let text = |value: &Option<serde_json::Value>| {
        let text = value.as_ref().and_then(serde_json::Value::as_str);
        text.map(str::to_owned)
    };
    Delivery {
        relay_id: text(&id).filter(|id| is_usable_id(id)),
        sent_at: text(&ts)
            .and_then(|ts| ts.parse::<jiff::Timestamp>().ok())
            .map(jiff::Timestamp::as_millisecond),
        raw: bounded(item).into(),
    }
}

/// As much of an item as can matter: one that is longer can only be set aside as over-long.
fn bounded(item: &str) -> &[u8] {
    let bytes = item.as_bytes();
    bytes.get(..=MAX_MESSAGE_LEN).unwrap_or(bytes)
}

/// Message ids go into a path undecoded, so only harmless ones do.
fn is_usable_id(id: &str) -> bool {
    (1..=MAX_ID).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// Milliseconds since the Unix epoch as the relay writes times.
pub(crate) fn timestamp(milliseconds: i64) -> String {
    jiff::Timestamp::from_millisecond(milliseconds)
        .map(|time| format!("{time:.3}"))
        .unwrap_or_default()
}

/// Checks a relay's address and takes its trailing slash off.
pub(super) fn normalise_url(text: &str) -> Result<String, RelayError> {
    let bad = |why| RelayError::BadUrl {
        url: http::shown_address(text),
        why,
    };
    let url = http::plain_url(text).map_err(bad)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad("it must begin with http:// or https://"));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

pub(super) fn percent_encoded(segment: &str) -> String {
    percent_encoding::utf8_percent_encode(segment, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use ctalk_wire::MessageType;

    use super::{super::Outgoing, Body, Destination, post_body};

    #[test]
    fn envelopes_are_kept_for_a_minute_or_longer_however_short_their_life_is() {
        let ttl = |seconds| {
            let outgoing = Outgoing {
                to: Destination::Agent("bob".to_owned()),
                message_type: MessageType::Notification,
                topic: None,
                correlation_id: None,
                reply_to: None,
                ttl: Some(seconds),
                body: Body::Native(String::new()),
            };
            post_body(&outgoing).unwrap().ttl
        };
        assert_eq!([ttl(1), ttl(60), ttl(61)], [Some(60), Some(60), Some(61)]);
    }
}
