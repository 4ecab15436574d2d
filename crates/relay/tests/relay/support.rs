//! HTTP for tests: real requests to a relay on a real port.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Once;
use std::time::Duration;

use ctalk_relay::testing::TestRelay;
use reqwest::{Client, Method, Response, header::HeaderMap};
use serde_json::{Value, json};
use tokio::time::timeout;

/// 32 bytes of base64 that pass as a public key.
pub(crate) const KEY: &str = "B6N8vBQgk8i3VdwbEOhstCY3StFqqFPtC9/AsrhtHHw=";
/// Another 32 bytes.
pub(crate) const OTHER_KEY: &str = "WGmv9FBUlzLLqu1eXfmzCm2jHLDldCutWtShp2jxpns=";

/// An address of this machine with a free port.
pub(crate) const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// One answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A header's value, or the empty text.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// Asserts the status and hands the JSON body on.
    #[track_caller]
    pub(crate) fn ok(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/json", "{self:?}");
        self.json()
    }

    /// Asserts that this is a JSON error of this status and code.
    #[track_caller]
    pub(crate) fn error(&self, status: u16, code: &str) {
        let body = self.ok(status);
        assert_eq!(body["code"], code, "{self:?}");
        assert!(!body["error"].as_str().unwrap().is_empty(), "{self:?}");
    }
}

/// A client of one relay.
#[derive(Clone)]
pub(crate) struct Api {
    http: Client,
    base: String,
}

impl Api {
    pub(crate) fn new(base: impl Into<String>) -> Self {
        // Requests here are plain HTTP, but the client wants to know how it would do TLS.
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| {
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        Self {
            http: Client::builder().no_proxy().build().unwrap(),
            base: base.into(),
        }
    }

    pub(crate) fn of(relay: &TestRelay) -> Self {
        Self::new(relay.url())
    }

    /// One request; `body` is sent as it is.
    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        key: Option<&str>,
        body: Option<String>,
    ) -> Answer {
        let header = key.map(|key| format!("Bearer {key}"));
        self.call_with(method, path, header.as_deref(), body).await
    }

    /// One request with any `Authorization` header.
    pub(crate) async fn call_with(
        &self,
        method: &str,
        path: &str,
        authorization: Option<&str>,
        body: Option<String>,
    ) -> Answer {
        self.try_call(method, path, authorization, body)
            .await
            .unwrap()
    }

    /// One request, which may fail when the relay goes away.
    pub(crate) async fn try_call(
        &self,
        method: &str,
        path: &str,
        authorization: Option<&str>,
        body: Option<String>,
    ) -> Result<Answer, reqwest::Error> {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(authorization) = authorization {
            request = request.header("Authorization", authorization);
        }
        if let Some(body) = body {
            request = request.header("Content-Type", "text/plain").body(body);
        }
        let response = request.send().await?;
        Ok(Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.text().await?,
        })
    }

    /// Opens a stream of messages, with the last event's id when there was one.
    pub(crate) async fn stream(&self, query: &str, key: &str, last: Option<&str>) -> Response {
        let url = format!("{}/messages/stream{query}", self.base);
        let mut request = self.http.get(url).bearer_auth(key);
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last);
        }
        request.send().await.unwrap()
    }

    /// An attempt to register, through a proxy that names its peer so.
    pub(crate) async fn register_via(&self, forwarded: &str, body: Value) -> Answer {
        let request = self.http.post(format!("{}/register", self.base));
        let request = request.header("X-Forwarded-For", forwarded);
        let response = request.body(body.to_string()).send().await.unwrap();
        Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.text().await.unwrap(),
        }
    }

    pub(crate) async fn get(&self, path: &str, key: &str) -> Answer {
        self.call("GET", path, Some(key), None).await
    }

    pub(crate) async fn delete(&self, path: &str, key: &str) -> Answer {
        self.call("DELETE", path, Some(key), None).await
    }

    pub(crate) async fn post(&self, path: &str, key: &str, body: Value) -> Answer {
        self.call("POST", path, Some(key), Some(body.to_string()))
            .await
    }

    pub(crate) async fn patch(&self, path: &str, key: &str, body: Value) -> Answer {
        self.call("PATCH", path, Some(key), Some(body.to_string()))
            .await
    }

    /// Sends `payload` to `to` and returns the message's id and ts.
    pub(crate) async fn send(&self, key: &str, to: &str, payload: Value) -> (String, String) {
        let sent = self
            .post("/messages", key, message(to, payload))
            .await
            .ok(201);
        (text(&sent["id"]), text(&sent["ts"]))
    }

    /// The messages of a page.
    pub(crate) async fn messages(&self, path: &str, key: &str) -> Vec<Value> {
        let page = self.get(path, key).await.ok(200);
        page["messages"].as_array().unwrap().clone()
    }

    /// The directory entry of `name`, as `key` sees it.
    pub(crate) async fn agent(&self, key: &str, name: &str) -> Value {
        let agents = self.get("/agents", key).await.ok(200);
        let mut agents = agents.as_array().unwrap().iter();
        agents.find(|agent| agent["name"] == name).unwrap().clone()
    }
}

/// Far longer than anything here takes, and far shorter than what must not be waited for.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Waits until `count` requests of `name` wait for messages.
pub(crate) async fn until_waiting(relay: &TestRelay, name: &str, count: usize) {
    let waiting = async {
        while relay.waiting(name) != count {
            tokio::task::yield_now().await;
        }
    };
    let reached = timeout(SOON, waiting).await;
    assert!(reached.is_ok(), "{} wait", relay.waiting(name));
}

/// A plain message's body.
pub(crate) fn message(to: &str, payload: Value) -> Value {
    json!({"to": to, "type": "request", "encrypted": false, "payload": payload})
}

/// Registers `name` with a usable key.
pub(crate) fn register(relay: &TestRelay, name: &str) -> String {
    relay.register(name, KEY, OTHER_KEY)
}

#[track_caller]
pub(crate) fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("no text: {value}"))
        .to_owned()
}
