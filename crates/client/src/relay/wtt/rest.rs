//! The service's REST calls. A sender is a parameter there, and whether anybody checks the token beside it
//! is not known: nothing that comes this way says who wrote it.

use std::time::Duration;

use ctalk_wire::ErrorCode;
use reqwest::{Method, Response, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{
    Credentials,
    address::address,
    variants::{self, CODE, MESSAGES, Object, text},
};
use crate::{
    http::{self, cleaned, reason},
    relay::{RelayError, clawtalk::BearerKey},
};

/// Largest answer that is read, in bytes.
const MAX_ANSWER: usize = 16 << 20;
/// Longest request.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long the service is left alone when it wants that and does not say for how long, and at most.
const PAUSE: Duration = Duration::from_secs(30);
const MAX_PAUSE: Duration = Duration::from_secs(300);
/// How long a claim code lasts where the service does not say.
const CODE_LIFE: Duration = Duration::from_secs(900);
/// What agents are said to run on.
const PLATFORM: &str = "ctalk";

/// Has the service make a new agent. Its token is shown this once, and no id is made up where the service
/// gives none.
///
/// # Errors
/// Any [`RelayError`].
pub async fn register(url: &str, name: &str) -> Result<Credentials, RelayError> {
    #[derive(Deserialize)]
    struct Registered {
        agent_id: String,
        agent_token: Zeroizing<String>,
    }
    let rest = Rest::new(&address(url)?.rest, None, None)?;
    let body = json!({ "display_name": name, "platform": PLATFORM });
    let request = rest.request(Method::POST, "/agents/register", &[]);
    let bytes = Zeroizing::new(rest.bytes(request, Some(&body)).await?);
    let Registered {
        agent_id,
        agent_token,
    } = serde_json::from_slice(&bytes)
        .map_err(|_| rest.bad_answer("it gives no id of an agent with a token"))?;
    Credentials::new(&agent_id, &agent_token)
        .ok_or_else(|| rest.bad_answer("its id or its token is none"))
}

/// What a person types into the console to bind an agent.
#[derive(Clone, Debug)]
pub struct ClaimCode {
    /// The code.
    pub code: String,
    /// How long it can be used.
    pub life: Duration,
}

/// The calls.
pub(super) struct Rest {
    http: reqwest::Client,
    base: String,
    credentials: Option<Credentials>,
    bearer: Option<BearerKey>,
}

impl Rest {
    pub(super) fn new(
        base: &str,
        credentials: Option<Credentials>,
        bearer: Option<BearerKey>,
    ) -> Result<Self, RelayError> {
        let http = http::builder(base)
            .timeout(TIMEOUT)
            .build()
            .map_err(|error| RelayError::Unreachable {
                url: base.to_owned(),
                why: reason(&error),
            })?;
        Ok(Self {
            http,
            base: base.to_owned(),
            credentials,
            bearer,
        })
    }

    /// Makes a call as the agent; what nothing is said about is an empty object.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Value, RelayError> {
        let mut request = self.request(method, path, query);
        if let Some(credentials) = &self.credentials {
            request = request.bearer_auth(credentials.token());
        }
        self.json(request, body).await
    }

    /// Makes a call as the user whose agent this is; as the agent where no token of the user is known.
    pub(super) async fn call_as_user(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Value, RelayError> {
        let Some(bearer) = &self.bearer else {
            return self.call(method, path, query, body).await;
        };
        let request = self
            .request(method, path, query)
            .bearer_auth(bearer.expose());
        self.json(request, body).await
    }

    /// Asks for a code that binds the agent to a user.
    pub(super) async fn claim_code(&self, agent: &str) -> Result<ClaimCode, RelayError> {
        let body = json!({ "agent_id": agent });
        let answer = self
            .call(Method::POST, "/agents/claim-code", &[], Some(&body))
            .await?;
        let object = self.object(answer, "claim")?;
        let code = text(&object, CODE).ok_or_else(|| self.bad_answer("it gives no code"))?;
        let life = object.get("expires_in_seconds").and_then(Value::as_u64);
        Ok(ClaimCode {
            code: cleaned(&code),
            life: life.map_or(CODE_LIFE, Duration::from_secs),
        })
    }

    /// Messages that wait for the agent. Where the service does not tell an agent, it may tell its user.
    pub(super) async fn waiting(&self, agent: &str) -> Result<Vec<Value>, RelayError> {
        let path = format!("/messages/poll/{agent}");
        let answer = match self.call(Method::GET, &path, &[], None).await {
            Err(RelayError::Refused { .. } | RelayError::Unauthorized { .. })
                if self.bearer.is_some() =>
            {
                let query = [("page", "1"), ("limit", "50")];
                self.call_as_user(Method::GET, "/feed", &query, None)
                    .await?
            }
            answer => answer?,
        };
        let mut messages = self.list(answer, MESSAGES)?;
        // The user may have other agents.
        messages.retain(|message| {
            let receiver = message.get("received_by_agent").and_then(Value::as_str);
            receiver.is_none_or(|receiver| receiver == agent)
        });
        Ok(messages)
    }

    /// The object that was promised.
    pub(super) fn object(&self, answer: Value, name: &str) -> Result<Object, RelayError> {
        variants::object(answer, name).ok_or_else(|| self.bad_answer("it is no object"))
    }

    /// The list that was promised.
    pub(super) fn list(&self, answer: Value, names: &[&str]) -> Result<Vec<Value>, RelayError> {
        variants::list(answer, names).ok_or_else(|| self.bad_answer("it holds no list"))
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
    ) -> reqwest::RequestBuilder {
        let mut url = format!("{}{path}", self.base);
        if !query.is_empty() {
            let mut pairs = url::form_urlencoded::Serializer::new(String::new());
            pairs.extend_pairs(query);
            url.push('?');
            url.push_str(&pairs.finish());
        }
        let request = self.http.request(method, url);
        match &self.credentials {
            None => request,
            Some(credentials) => request.header("x-agent-token", credentials.token()),
        }
    }

    async fn json(
        &self,
        request: reqwest::RequestBuilder,
        body: Option<&Value>,
    ) -> Result<Value, RelayError> {
        let bytes = self.bytes(request, body).await?;
        if bytes.is_empty() {
            return Ok(json!({}));
        }
        serde_json::from_slice(&bytes).map_err(|_| self.bad_answer("it is no JSON"))
    }

    async fn bytes(
        &self,
        mut request: reqwest::RequestBuilder,
        body: Option<&Value>,
    ) -> Result<Vec<u8>, RelayError> {
        if let Some(body) = body {
            request = request
                .header(header::CONTENT_TYPE, "application/json")
                .body(body.to_string());
        }
        let sent = request.send().await;
        let response = sent.map_err(|error| http::transport(&self.base, &error))?;
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        http::body(&self.base, response, MAX_ANSWER).await
    }

    async fn refusal(&self, response: Response) -> RelayError {
        let status = response.status();
        let code = match status {
            StatusCode::UNAUTHORIZED => {
                return RelayError::Unauthorized {
                    url: self.base.clone(),
                };
            }
            StatusCode::TOO_MANY_REQUESTS => {
                let asked = response.headers().get(header::RETRY_AFTER);
                let seconds = asked.and_then(|value| value.to_str().ok()?.parse().ok());
                return RelayError::RateLimited {
                    pause: seconds.map_or(PAUSE, Duration::from_secs).min(MAX_PAUSE),
                };
            }
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => ErrorCode::BadRequest,
            StatusCode::FORBIDDEN => ErrorCode::Forbidden,
            StatusCode::NOT_FOUND | StatusCode::GONE => ErrorCode::NotFound,
            StatusCode::CONFLICT => ErrorCode::Conflict,
            StatusCode::PAYLOAD_TOO_LARGE => ErrorCode::PayloadTooLarge,
            StatusCode::SERVICE_UNAVAILABLE => ErrorCode::Unavailable,
            status if status.is_server_error() => ErrorCode::InternalError,
            _ => ErrorCode::Unknown,
        };
        let words = match http::body(&self.base, response, MAX_ANSWER).await {
            Ok(bytes) => words(&bytes),
            Err(error) => return error,
        };
        let silence = if status.is_redirection() {
            "it leads elsewhere, and nobody follows it there"
        } else {
            "it gave no reason that can be read"
        };
        RelayError::Refused {
            status: status.as_u16(),
            code,
            text: words.unwrap_or_else(|| silence.to_owned()),
        }
    }

    pub(super) fn bad_answer(&self, why: impl core::fmt::Display) -> RelayError {
        http::bad_answer(&self.base, why)
    }
}

/// What a refusal says to people, in any of the forms that refusals have.
fn words(body: &[u8]) -> Option<String> {
    let Ok(Value::Object(body)) = serde_json::from_slice(body) else {
        return None;
    };
    let said = ["detail", "message", "error"]
        .iter()
        .find_map(|name| match body.get(*name)? {
            Value::String(text) => Some(text.clone()),
            Value::Array(list) => {
                let each = list.iter().filter_map(|item| item.get("msg")?.as_str());
                Some(each.collect::<Vec<_>>().join("; "))
            }
            _ => None,
        });
    said.map(|said| cleaned(&said))
        .filter(|said| !said.is_empty())
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn a_refusals_words_are_found_in_every_form() {
        for (body, expected) in [
            (r#"{"detail":"no"}"#, Some("no")),
            (
                r#"{"detail":[{"msg":"a"},{"loc":[]},{"msg":"b"}]}"#,
                Some("a; b"),
            ),
            (r#"{"message":"no"}"#, Some("no")),
            (r#"{"detail":{},"error":"no\u202e"}"#, Some("no")),
            (r#"{"detail":[]}"#, None),
            (r#"["no"]"#, None),
            ("<html>no</html>", None),
        ] {
            assert_eq!(words(body.as_bytes()).as_deref(), expected, "{body}");
        }
    }
}
