//! The relay's REST calls. None of them proves who calls: whoever knows an agent's id may change its card
//! and its lists.

use std::time::Duration;

use ctalk_core::{CARD_PREFIX, Card, StatementKind};
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use super::{CONNECT, Credentials, SCHEME, agent::Shown};
use crate::{
    http::{self, reason},
    relay::RelayError,
};

/// Largest answer that is read, in bytes: a history of the longest messages.
const MAX_ANSWER: usize = 32 << 20;
/// Longest request.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Where a relay is.
pub(super) struct Address {
    /// As it is written in settings.
    pub(super) url: String,
    /// The WebSocket.
    pub(super) socket: String,
    /// What REST paths are appended to.
    pub(super) rest: String,
}

/// Reads `opendialogue+wss://HOST/connect`; `/connect` may be left out.
pub(super) fn address(text: &str) -> Result<Address, RelayError> {
    let bad = |why| RelayError::BadUrl {
        url: http::shown_address(text),
        why,
    };
    let socket = text
        .strip_prefix(SCHEME)
        .ok_or_else(|| bad("it must begin with opendialogue+wss://"))?;
    let url = http::plain_url(socket).map_err(bad)?;
    let scheme = match url.scheme() {
        "wss" => "https",
        "ws" => "http",
        _ => {
            return Err(bad(
                "it must begin with opendialogue+wss:// or opendialogue+ws://",
            ));
        }
    };
    let base = url.as_str().trim_end_matches('/');
    let base = base.strip_suffix(CONNECT).unwrap_or(base);
    let rest = format!("{scheme}{}", base.trim_start_matches(url.scheme()));
    Ok(Address {
        url: format!("{SCHEME}{base}{CONNECT}"),
        socket: format!("{base}{CONNECT}"),
        rest,
    })
}

/// Has the relay make a new agent. Its secret is shown this once.
///
/// # Errors
/// Any [`RelayError`].
pub async fn register(url: &str, name: &str) -> Result<Credentials, RelayError> {
    #[derive(Serialize)]
    struct Registration<'a> {
        name: &'a str,
        version: &'a str,
        capabilities: [&'a str; 1],
    }
    #[derive(Deserialize)]
    struct Registered {
        agent_id: String,
        agent_secret: Zeroizing<String>,
    }
    let rest = Rest::new(&address(url)?)?;
    let registration = Registration {
        name,
        version: env!("CARGO_PKG_VERSION"),
        capabilities: ["text"],
    };
    let Registered {
        agent_id,
        agent_secret,
    } = rest
        .call(Method::POST, "/api/agent/register", Some(&registration))
        .await?;
    Credentials::new(&agent_id, &agent_secret)
        .ok_or_else(|| rest.bad_answer("its id or its secret is none"))
}

/// The calls.
pub(super) struct Rest {
    http: reqwest::Client,
    base: String,
}

impl Rest {
    pub(super) fn new(address: &Address) -> Result<Self, RelayError> {
        let base = address.rest.clone();
        let http = http::builder(&base)
            .timeout(TIMEOUT)
            .build()
            .map_err(|error| RelayError::Unreachable {
                url: base.clone(),
                why: reason(&error),
            })?;
        Ok(Self { http, base })
    }

    /// What the relay shows of an agent.
    pub(super) async fn agent(&self, id: &str) -> Result<Shown, RelayError> {
        self.call::<(), _>(Method::GET, &format!("/api/agent/{id}"), None)
            .await
    }

    /// Puts a key card, and the successions that led to it, into the place of former ones among what the
    /// agent can do.
    pub(super) async fn publish(
        &self,
        id: &str,
        card: &Card,
        successions: &[String],
    ) -> Result<(), RelayError> {
        #[derive(Serialize)]
        struct Patch {
            capabilities: Vec<serde_json::Value>,
        }
        let own = [
            CARD_PREFIX,
            StatementKind::Succession.prefix(),
            StatementKind::Revocation.prefix(),
        ];
        let mut capabilities = self.agent(id).await?.capabilities();
        capabilities.retain(|entry| {
            let text = entry.as_str().unwrap_or_default();
            !own.iter().any(|prefix| text.starts_with(prefix))
        });
        capabilities.push(card.to_text().into());
        capabilities.extend(successions.iter().map(|text| text.as_str().into()));
        let _: serde_json::Value = self
            .call(
                Method::PATCH,
                &format!("/api/agent/{id}/card"),
                Some(&Patch { capabilities }),
            )
            .await?;
        Ok(())
    }

    pub(super) async fn call<Q: Serialize, A: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Q>,
    ) -> Result<A, RelayError> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(body) = body {
            let json = serde_json::to_vec(body).map_err(|error| self.bad_answer(error))?;
            request = request.body(json);
        }
        let sent = request.send().await;
        let response = sent.map_err(|error| http::transport(&self.base, &error))?;
        let status = response.status();
        if !status.is_success() {
            return Err(self.refusal(status));
        }
        let bytes = http::body(&self.base, response, MAX_ANSWER).await?;
        serde_json::from_slice(&bytes).map_err(|error| self.bad_answer(error))
    }

    /// The words in the answer are for people who read Chinese.
    fn refusal(&self, status: StatusCode) -> RelayError {
        use ctalk_wire::ErrorCode;
        let (code, text) = match status.as_u16() {
            404 => (
                ErrorCode::NotFound,
                "it knows no such agent or conversation",
            ),
            400 => (ErrorCode::BadRequest, "it does not take this"),
            _ => (ErrorCode::Unknown, "it gave no reason that can be read"),
        };
        RelayError::Refused {
            status: status.as_u16(),
            code,
            text: text.to_owned(),
        }
    }

    fn bad_answer(&self, why: impl core::fmt::Display) -> RelayError {
        http::bad_answer(&self.base, why)
    }
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn an_address_leads_to_socket_and_rest() {
        for text in [
            "opendialogue+wss://od.example/base/connect",
            "opendialogue+wss://od.example/base/",
            "opendialogue+wss://od.example/base",
        ] {
            let address = address(text).unwrap();
            assert_eq!(address.url, "opendialogue+wss://od.example/base/connect");
            assert_eq!(address.socket, "wss://od.example/base/connect");
            assert_eq!(address.rest, "https://od.example/base");
        }
        let local = address("opendialogue+ws://127.0.0.1:19000/connect").unwrap();
        assert_eq!(local.rest, "http://127.0.0.1:19000");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "wss://od.example",
            "opendialogue+https://od.example",
            "opendialogue+wss://user@od.example",
            "opendialogue+wss://od.example/?key=1",
            "opendialogue+wss://",
        ] {
            assert!(address(text).is_err(), "{text}");
        }
    }
}
