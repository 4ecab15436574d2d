//! An HTTP server as handler.

use std::time::Duration;

use async_trait::async_trait;
use jiff::fmt::rfc2822;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use reqwest::{
    StatusCode,
    header::{CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
};
use url::Url;

use super::{Attempt, Handler, MAX_OUTPUT, Outcome, TIMEOUT, openclaw};
use crate::http::{self, cleaned, is_loopback, reason};

/// Begins the names of the headers that carry the facts.
const PREFIX: &str = "ctalk-";
/// What is escaped in the facts, beside what is not ASCII: blanks would be trimmed at the ends, and
/// a percent sign has to be told from an escape.
const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

/// Posts each message to an HTTP server.
///
/// The body is the payload as it is, under its own content type. Who sent it and what it is about are
/// headers, named as the environment variables of a [`Command`](super::Command) with hyphens:
/// `CTalk-Id`, `CTalk-From` and so on; whatever in their values is not visible ASCII, and the percent
/// sign, is percent-encoded UTF-8.
///
/// An answer of 2xx is [`Outcome::Done`] with its body; 429, 5xx, no answer and a late one are
/// [`Outcome::Retry`], no sooner than `Retry-After` says; any other is [`Outcome::Failed`], and so is a body longer than
/// [`Post::max_output`] allows. Redirects are not followed, and are failures.
pub struct Post {
    http: reqwest::Client,
    url: Url,
    headers: HeaderMap,
    body: Body,
    max_output: usize,
}

/// What is posted.
#[derive(Clone, Copy)]
enum Body {
    /// The payload as it is.
    Payload,
    /// The whole message as JSON.
    Message,
    /// What OpenClaw's agent hook takes.
    OpenClaw,
}

/// Why there is nowhere to post to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostError {
    /// The address is not one of HTTP.
    #[error("cannot post to that URL: {0}")]
    Url(&'static str),
    /// A header cannot be sent.
    #[error("`{name}` is no header that can be sent: {why}")]
    Header {
        /// Its name, escaped. Its value may be a secret.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The system offers no TLS roots.
    #[error("cannot prepare HTTP: {0}")]
    Http(String),
}

impl Post {
    /// Prepares posting to `url`, `http` or `https`, and gives an answer as long as
    /// [`TIMEOUT`](super::TIMEOUT).
    ///
    /// # Errors
    /// [`PostError`].
    pub fn new(url: &str) -> Result<Self, PostError> {
        Self::with_timeout(url, TIMEOUT)
    }

    /// As [`Post::new`], with a bound for everything from connecting to the end of the answer.
    ///
    /// # Errors
    /// [`PostError`].
    pub fn with_timeout(url: &str, time: Duration) -> Result<Self, PostError> {
        let url = Url::parse(url).map_err(|_| PostError::Url("it is no URL"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(PostError::Url("it must begin with http:// or https://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(PostError::Url(
                "it must not carry a user name or password; use a header",
            ));
        }
        let http = http::builder(url.as_str())
            .timeout(time)
            .build()
            .map_err(|error| PostError::Http(reason(&error)))?;
        Ok(Self {
            http,
            url,
            headers: HeaderMap::new(),
            body: Body::Payload,
            max_output: MAX_OUTPUT,
        })
    }

    /// Sends a header along. It takes the place of one that is sent anyway.
    ///
    /// # Errors
    /// [`PostError::Header`].
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, PostError> {
        let refuse = |why| PostError::Header {
            name: cleaned(name),
            why,
        };
        let key = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| refuse("a name is letters, digits and hyphens"))?;
        if key.as_str().starts_with(PREFIX) || FRAMING.contains(&key.as_str()) {
            return Err(refuse("ctalk writes it itself"));
        }
        let mut value = HeaderValue::from_str(value)
            .map_err(|_| refuse("a value is visible ASCII on one line"))?;
        value.set_sensitive(true);
        self.headers.append(key, value);
        Ok(self)
    }

    /// Posts the whole message instead of the payload: JSON in the shape of
    /// [`Received`](crate::Received), and the number of the attempt as `attempt`.
    #[must_use]
    pub const fn json(mut self) -> Self {
        self.body = Body::Message;
        self
    }

    /// Posts what OpenClaw's `/hooks/agent` takes: `message`, the text that its agent is woken with,
    /// which begins with who sent it and ends with the payload; `name`, `wakeMode`, and `metadata` with
    /// the facts and the links that were found. The token is a header of its own, `Authorization:
    /// Bearer …`.
    #[must_use]
    pub const fn openclaw(mut self) -> Self {
        self.body = Body::OpenClaw;
        self
    }

    /// Bounds the answer's body, in bytes; [`MAX_OUTPUT`] otherwise.
    #[must_use]
    pub const fn max_output(mut self, bytes: usize) -> Self {
        self.max_output = bytes;
        self
    }

    /// Whether what is posted leaves this machine unencrypted.
    #[must_use]
    pub fn is_in_clear(&self) -> bool {
        self.url.scheme() == "http" && !is_loopback(self.url.as_str())
    }

    /// The request for one attempt.
    fn request(&self, attempt: &Attempt) -> Result<reqwest::RequestBuilder, serde_json::Error> {
        let json = HeaderValue::from_static("application/json");
        let message = &attempt.message;
        let (content_type, body) = match self.body {
            Body::Payload => (
                HeaderValue::from_str(&message.content_type)
                    .unwrap_or(HeaderValue::from_static("application/octet-stream")),
                message.payload.as_bytes().to_owned(),
            ),
            Body::Message => (json, attempt.to_json()?),
            Body::OpenClaw => (json, openclaw::body(attempt)?),
        };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, content_type);
        for (name, value) in attempt.facts() {
            let name = format!("{PREFIX}{}", name.to_ascii_lowercase().replace('_', "-"));
            let value = utf8_percent_encode(&value, ESCAPED).to_string();
            if let (Ok(name), Ok(value)) = (
                HeaderName::from_bytes(name.as_bytes()),
                HeaderValue::from_str(&value),
            ) {
                headers.insert(name, value);
            }
        }
        let request = self.http.post(self.url.clone()).body(body);
        Ok(request.headers(headers).headers(self.headers.clone()))
    }

    /// Reads an answer's body; `None` when it is too long.
    async fn body(&self, mut answer: reqwest::Response) -> Result<Option<Vec<u8>>, reqwest::Error> {
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            if bytes.len().saturating_add(chunk.len()) > self.max_output {
                return Ok(None);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Some(bytes))
    }

    async fn outcome(&self, request: reqwest::RequestBuilder) -> Result<Outcome, reqwest::Error> {
        let answer = request.send().await?;
        let status = answer.status();
        let why = format!("the server answered {}", status.as_u16());
        if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
            let after = retry_after(answer.headers());
            return Ok(Outcome::Retry { why, after });
        }
        if !status.is_success() {
            return Ok(Outcome::Failed { why });
        }
        Ok(match self.body(answer).await? {
            Some(output) => Outcome::Done { output },
            None => Outcome::Failed {
                why: format!("the server answered more than {} bytes", self.max_output),
            },
        })
    }
}

/// How long the server wants to be left alone (RFC 9110, section 10.2.3): so many seconds, or until a time
/// by its own clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok();
    let time = |text: &str| rfc2822::parse(text).ok();
    let asked = text(RETRY_AFTER)?;
    if let Ok(seconds) = asked.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let (until, now) = (time(asked)?, time(text(DATE)?)?);
    Duration::try_from(until.duration_since(&now)).ok()
}

/// Headers that say where a request ends or goes.
const FRAMING: [&str; 4] = ["connection", "content-length", "host", "transfer-encoding"];

#[async_trait]
impl Handler for Post {
    async fn handle(&self, attempt: &Attempt) -> Outcome {
        let request = match self.request(attempt) {
            Ok(request) => request,
            Err(error) => {
                return Outcome::Failed {
                    why: format!("the message is no JSON: {error}"),
                };
            }
        };
        self.outcome(request)
            .await
            .unwrap_or_else(|error| Outcome::Retry {
                why: format!("the server did not answer: {}", reason(&error)),
                after: None,
            })
    }
}
