//! Asking whoever knows it whether somebody is let in.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;
use url::form_urlencoded;

use crate::{http, relay::RelayError};

/// Most bytes of an answer.
const MAX_ANSWER: usize = 64 << 10;
/// The query's name for the credential, and for its kind.
const TOKEN: &str = "token";
const TOKEN_TYPE: &str = "tokenType";
/// The kind where none is named.
const LOCAL: &str = "local";

/// A service that knows tokens.
pub struct Auth {
    endpoint: String,
    http: reqwest::Client,
    is_required: bool,
}

/// Who connects, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Visitor {
    /// The name that the service knows, or else the one that was given.
    pub(super) id: Option<String>,
    /// Whether the service was asked: then what is said under other names does not count.
    pub(super) is_known: bool,
}

/// Why somebody is not let in: what the protocol has as error and as reason.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotLetIn {
    pub(super) error: String,
    pub(super) reason: &'static str,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    success: bool,
    data: Option<User>,
    error: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct User {
    user_id: String,
}

impl Auth {
    /// Asks the service at `endpoint`, an `http` or `https` URL, for as long as `timeout`. Whoever it does not
    /// know is let in as nobody, unless `is_required`.
    ///
    /// # Errors
    /// [`RelayError::BadUrl`], or [`RelayError::Unreachable`] when the system offers no TLS roots.
    pub fn new(endpoint: &str, timeout: Duration, is_required: bool) -> Result<Self, RelayError> {
        let parsed = url::Url::parse(endpoint);
        if !parsed.is_ok_and(|url| matches!(url.scheme(), "http" | "https")) {
            return Err(RelayError::BadUrl {
                url: http::shown_address(endpoint),
                why: "it needs http:// or https://",
            });
        }
        let http = http::builder(endpoint)
            .timeout(timeout)
            .build()
            .map_err(|error| RelayError::Unreachable {
                url: http::shown_address(endpoint),
                why: http::reason(&error),
            })?;
        Ok(Self {
            endpoint: endpoint.to_owned(),
            http,
            is_required,
        })
    }

    /// Whether nobody is let in whom the service does not know.
    #[must_use]
    pub const fn is_required(&self) -> bool {
        self.is_required
    }

    /// Finds out who connects with this query.
    pub(super) async fn visitor(&self, query: &str) -> Result<Visitor, NotLetIn> {
        let mut given: BTreeMap<_, _> = form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect();
        let known = if given.get(TOKEN).is_some_and(|token| !token.is_empty()) {
            given
                .entry(TOKEN_TYPE.to_owned())
                .or_insert_with(|| LOCAL.to_owned());
            self.ask(&given).await.map_err(|code| NotLetIn {
                error: format!("Authentication failed: {code}"),
                reason: "Authentication failed",
            })
        } else {
            Err(NotLetIn {
                error: "Token required. Connect with ?token=YOUR_TOKEN".to_owned(),
                reason: "Token required",
            })
        };
        match known {
            Ok(user) => Ok(Visitor {
                id: Some(user.user_id),
                is_known: true,
            }),
            // Under no name: it could be that of somebody whom the service knows.
            Err(_) if !self.is_required => Ok(Visitor {
                id: None,
                is_known: true,
            }),
            Err(refused) => Err(refused),
        }
    }

    /// The user, or the code for what went wrong.
    async fn ask(&self, given: &BTreeMap<String, String>) -> Result<User, String> {
        const AWAY: &str = "service_unavailable";
        let body = serde_json::to_vec(given).map_err(|_| AWAY.to_owned())?;
        let asked = self
            .http
            .post(&self.endpoint)
            .header("Content-Type", "application/json")
            .body(body)
            .send();
        let code = |error: &RelayError| match error {
            RelayError::TimedOut { .. } => "timeout",
            _ => AWAY,
        };
        let response = asked
            .await
            .map_err(|error| code(&http::transport(&self.endpoint, &error)).to_owned())?;
        // Whatever its status is.
        let body = http::body(&self.endpoint, response, MAX_ANSWER).await;
        let body = body.map_err(|error| code(&error).to_owned())?;
        let answer: Answer = serde_json::from_slice(&body).map_err(|_| AWAY.to_owned())?;
        match (answer.success, answer.data) {
            (true, Some(user)) => Ok(user),
            _ => Err(answer
                .error
                .map_or_else(|| "auth_failed".to_owned(), |error| http::cleaned(&error))),
        }
    }
}

impl Visitor {
    /// Who it is by his own word.
    pub(super) fn of(query: &str) -> Self {
        let mut given = form_urlencoded::parse(query.as_bytes());
        let id = given.find(|(name, _)| name == "senderId");
        Self {
            id: id.map(|(_, id)| id.into_owned()),
            is_known: false,
        }
    }
}
