//! The local API of OpenDialogue's plugin, served in its place: programs on this machine that post to it
//! have ctalk send what they say, and need not know of it.
//!
//! The plugin answers whoever asks, a web page that the user has open included. This does not: requests
//! that a browser sends for a page are refused, and so are those that name another host than this one.

use std::{
    convert::Infallible,
    io,
    net::{IpAddr, SocketAddr, TcpListener as StdListener},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{StreamExt, stream::FuturesUnordered};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{net::TcpListener, time::timeout};

use crate::{
    client::Client,
    error::Error,
    message::{Content, Draft, Sent},
    outbox::{Among, Manner},
    store::Contact,
};

/// Connections at once; more wait in the system's queue.
const MAX_CONNECTIONS: usize = 64;
/// The most bytes of a request's body: the longest text, every character escaped, and the rest.
const MAX_BODY: usize = 64 * 1024;
/// The most bytes of its head.
const MAX_HEAD: usize = 16 * 1024;
/// How long head and body may take each.
const TIMEOUT: Duration = Duration::from_secs(20);
/// How long to wait after the system refused a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The longest text, in UTF-16 units: the plugin's own limit, which programs that use it know.
const LONGEST: usize = 2000;

/// What `GET /status` says.
#[derive(Clone, Debug, Serialize)]
pub struct BridgeStatus {
    /// Whether the relay answers.
    pub connected: bool,
    /// The relay's URL.
    pub server_url: String,
    /// The agent's id.
    pub agent_id: String,
    /// How many messages wait to be sent or to be handed to the gateway.
    pub queue_size: usize,
    /// Whether something listens where the gateway should.
    pub gateway_ready: bool,
    /// For how long this has been running.
    pub uptime_seconds: u64,
    /// How many messages of one conversation are handed over.
    pub max_turns_per_conversation: u32,
    /// What went wrong last.
    pub last_error: Option<String>,
}

/// What `POST /send` asks for. The plugin's other members choose a conversation and its turn, which ctalk
/// does itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Saying {
    /// The id of the agent that is spoken to.
    pub to: String,
    /// What is said, 1 to 2,000 UTF-16 units.
    pub content: String,
}

/// Who does what is asked for.
#[async_trait]
pub trait Bridged: Sync {
    /// How things are.
    async fn status(&self) -> BridgeStatus;

    /// Has something sent, which is kept until it is. The error is told to whoever asked.
    async fn say(&self, saying: Saying) -> Result<(), String>;
}

/// A web server on this machine that speaks the plugin's local API.
pub struct Bridge {
    socket: StdListener,
    address: SocketAddr,
}

impl Bridge {
    /// Takes `address`, where port 0 is a free one, without answering yet.
    ///
    /// # Errors
    /// The system's reason.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = StdListener::bind(address)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            address: socket.local_addr()?,
            socket,
        })
    }

    /// The address, with the port that was taken.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Answers until it is dropped.
    ///
    /// # Errors
    /// The system's reason, where it cannot begin.
    pub async fn serve(self, bridged: &impl Bridged) -> io::Result<Infallible> {
        let socket = TcpListener::from_std(self.socket)?;
        let answer = move |request: Request<Incoming>| async move {
            let (status, body) = match answer(request, bridged).await {
                Ok((status, body)) => (status, body),
                Err((status, why)) => (status, json!({ "error": why })),
            };
            Response::builder()
                .status(status)
                .header(header::CONTENT_TYPE, "application/json")
                .body(Full::new(Bytes::from(body.to_string())))
        };
        let mut connections = FuturesUnordered::new();
        loop {
            tokio::select! {
                Some(_) = connections.next() => {}
                accepted = socket.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                    Ok((stream, _)) => connections.push(
                        http1::Builder::new()
                            .timer(TokioTimer::new())
                            .header_read_timeout(TIMEOUT)
                            .max_buf_size(MAX_HEAD)
                            .serve_connection(TokioIo::new(stream), service_fn(answer)),
                    ),
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                },
            }
        }
    }
}

impl Client {
    /// Puts words for the agent with this address into the outbox: in an envelope where a contact with a key
    /// card is there, and else as they are, which everybody on the way can read.
    ///
    /// # Errors
    /// As [`Client::enqueue`]; [`Error::PlaintextRefused`] where something is required.
    pub async fn enqueue_words(&mut self, address: &str, words: String) -> Result<Sent, Error> {
        // A name would lead to whoever has it, wherever that one is; and of several who say to be there
        // nobody knows who is.
        let is_named = |contact: &Contact| contact.name.eq_ignore_ascii_case(address);
        let is_there = |contact: &Contact| contact.address.as_deref() == Some(address);
        let mut contacts = self.store.contacts()?;
        let is_unclear = contacts.iter().any(|one| is_named(one) && !is_there(one));
        contacts.retain(is_there);
        if is_unclear || contacts.len() > 1 {
            return Err(Error::UnknownRecipient {
                name: address.to_owned(),
            });
        }
        let (manner, name) = match contacts.pop() {
            Some(contact) if contact.card.is_some() => (Manner::Sealed, contact.name),
            _ => {
                self.check_plaintext()?;
                (Manner::Plaintext, address.to_owned())
            }
        };
        let (to, draft) = ([name], Draft::new(Content::Text(words)));
        let among = Among::these(&to);
        let mut outcomes = self.post(&to, among, &draft, manner, false).await?;
        let [name] = to;
        outcomes
            .pop()
            .unwrap_or(Err(Error::UnknownRecipient { name }))
    }
}

type Refused = (StatusCode, String);

async fn answer(
    request: Request<Incoming>,
    bridged: &impl Bridged,
) -> Result<(StatusCode, Value), Refused> {
    let refused = |status, why: &str| Err((status, why.to_owned()));
    if !is_of_this_machine(&request) {
        return refused(StatusCode::FORBIDDEN, "not for web pages");
    }
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/status") => {
            let status = serde_json::to_value(bridged.status().await);
            let status = status.map_err(|why| (StatusCode::INTERNAL_SERVER_ERROR, why.to_string()));
            Ok((StatusCode::OK, status?))
        }
        (&Method::POST, "/send") => {
            let bad = |why: String| (StatusCode::BAD_REQUEST, why);
            let body = Limited::new(request.into_body(), MAX_BODY).collect();
            let Ok(Ok(body)) = timeout(TIMEOUT, body).await else {
                return refused(
                    StatusCode::BAD_REQUEST,
                    "the body does not come or is too long",
                );
            };
            let saying: Saying =
                serde_json::from_slice(&body.to_bytes()).map_err(|why| bad(why.to_string()))?;
            let length = saying.content.encode_utf16().count();
            if !(1..=LONGEST).contains(&length) {
                return Err(bad(format!("content has 1 to {LONGEST} characters")));
            }
            bridged.say(saying).await.map_err(bad)?;
            Ok((StatusCode::ACCEPTED, json!({ "ok": true })))
        }
        _ => refused(StatusCode::NOT_FOUND, "there are /status and /send"),
    }
}

/// Whether a program on this machine asks, and not a page in its browser: those say where they come from,
/// or name the host that led them here.
fn is_of_this_machine<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let host = host.unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = name
        .parse()
        .is_ok_and(|address: IpAddr| address.is_loopback());
    !headers.contains_key(header::ORIGIN) && (is_loopback || name == "localhost")
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::is_of_this_machine;

    #[test]
    fn a_browsers_request_for_a_page_is_none_of_this_machine() {
        let of = |host: &str, origin: Option<&str>| {
            let mut request = Request::builder().header("host", host);
            if let Some(origin) = origin {
                request = request.header("origin", origin);
            }
            is_of_this_machine(&request.body(()).unwrap())
        };
        for host in [
            "127.0.0.1:18787",
            "localhost:18787",
            "localhost",
            "[::1]:18787",
        ] {
            assert!(of(host, None), "{host}");
            assert!(!of(host, Some("https://page.example")), "{host}");
            assert!(!of(host, Some("null")), "{host}");
        }
        for host in ["page.example:18787", "127.0.0.1.page.example", ""] {
            assert!(!of(host, None), "{host}");
        }
    }
}
