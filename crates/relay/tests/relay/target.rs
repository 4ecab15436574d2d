//! What webhooks lead to in tests.

use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::serve::Listener;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::support::{Api, SOON, text};

/// One request that arrived.
#[derive(Debug)]
pub(crate) struct Post {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Post {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// What a target answers with.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Status(u16),
    Redirect(String),
    /// Nothing, for good.
    Nothing,
}

/// A web server that keeps what was posted to it, and ends with its test's runtime.
pub(crate) struct Target {
    pub(crate) url: String,
    reply: Arc<Mutex<Reply>>,
    posts: mpsc::UnboundedReceiver<Post>,
}

impl Target {
    pub(crate) async fn start(reply: Reply) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        Self::serve(listener, url, reply)
    }

    /// One that does TLS.
    pub(crate) async fn start_tls(reply: Reply, tls: TlsAcceptor) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!(
            "https://localhost:{}",
            listener.local_addr().unwrap().port()
        );
        Self::serve(Encrypted { listener, tls }, url, reply)
    }

    fn serve<L: Listener<Addr: Debug>>(listener: L, url: String, reply: Reply) -> Self {
        let (posted, posts) = mpsc::unbounded_channel();
        let reply = Arc::new(Mutex::new(reply));
        let state = (posted, Arc::clone(&reply));
        let app = Router::new().fallback(take).with_state(state);
        tokio::spawn(async { axum::serve(listener, app).await });
        Self { url, reply, posts }
    }

    pub(crate) fn answer(&self, reply: Reply) {
        *self.reply.lock().unwrap() = reply;
    }

    /// The next request, which is on its way.
    pub(crate) async fn next(&mut self) -> Post {
        let post = timeout(SOON, self.posts.recv()).await;
        post.expect("something is posted").unwrap()
    }

    /// The next request, if one has arrived.
    pub(crate) fn try_next(&mut self) -> Option<Post> {
        self.posts.try_recv().ok()
    }

    /// Asserts that nothing arrived that was not taken.
    #[track_caller]
    pub(crate) fn assert_quiet(&mut self) {
        let post = self.posts.try_recv();
        assert!(post.is_err(), "{post:?}");
    }
}

struct Encrypted {
    listener: TcpListener,
    tls: TlsAcceptor,
}

impl Listener for Encrypted {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (stream, address) = self.listener.accept().await.unwrap();
            // Whoever does not like the certificate goes away.
            if let Ok(stream) = self.tls.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

async fn take(
    State((posted, reply)): State<(mpsc::UnboundedSender<Post>, Arc<Mutex<Reply>>)>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let reply = reply.lock().unwrap().clone();
    let _ = posted.send(Post {
        path: parts.uri.to_string(),
        headers: parts.headers,
        body,
    });
    match reply {
        Reply::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Reply::Redirect(to) => (StatusCode::TEMPORARY_REDIRECT, [("location", to)]).into_response(),
        Reply::Nothing => std::future::pending().await,
    }
}

/// Has what `name` gets be posted to `url`, and returns the secret.
pub(crate) async fn set_webhook(api: &Api, name: &str, key: &str, url: &str) -> String {
    let path = format!("/agents/{name}");
    let set = api.patch(&path, key, json!({"webhookUrl": url})).await;
    text(&set.ok(200)["webhookSecret"])
}

/// The only webhook that `key` is shown, once it is as `ready` says.
pub(crate) async fn webhook_when(api: &Api, key: &str, ready: impl Fn(&Value) -> bool) -> Value {
    let look = async {
        loop {
            let shown = api.get("/webhooks", key).await.ok(200);
            let webhook = &shown["webhooks"][0];
            if ready(webhook) {
                return webhook.clone();
            }
            tokio::task::yield_now().await;
        }
    };
    let found = timeout(SOON, look).await;
    match found {
        Ok(webhook) => webhook,
        Err(_) => panic!("{}", api.get("/webhooks", key).await.text),
    }
}
