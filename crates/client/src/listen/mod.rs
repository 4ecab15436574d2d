//! Being told by webhooks that something came, instead of asking the relay again and again.
//!
//! A [`Listener`] takes what the relay posts, if it is signed under the profile's webhook secret
//! (Standard Webhooks 1.0.0), new, and not older than 5 minutes. All that it makes of a post is a hint:
//! the message is fetched with the agent's own key, and judged like any other.

mod hints;
mod judge;

use std::{
    convert::Infallible,
    io,
    net::{SocketAddr, TcpListener as StdListener},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use ctalk_wire::WebhookSecret;
use futures_util::{StreamExt, stream::FuturesUnordered};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{
    Method, Request, Response,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, time::timeout};

pub use self::judge::Refusal;
use self::{
    hints::Hints,
    judge::{Head, Seen},
};
use crate::{
    client::{Client, as_millis},
    clock::Clock,
};

/// Connections at once; more wait in the system's queue.
const MAX_CONNECTIONS: usize = 64;
/// The most bytes of a post's body. Relays take messages of up to 192 KiB.
const MAX_BODY: usize = 256 * 1024;
/// The most bytes of its head.
const MAX_HEAD: usize = 16 * 1024;
/// How long head and body may take each. Also ends idle connections, which relays keep for less.
const TIMEOUT: Duration = Duration::from_secs(20);
/// How often the secret is looked up at most: anybody may post what is not signed.
const RENEWAL: Duration = Duration::from_secs(1);
/// How long to wait after the system refused a connection, for instance for want of file handles.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A web server that takes what a relay posts for one agent.
pub struct Listener {
    socket: StdListener,
    address: SocketAddr,
    secret: Mutex<WebhookSecret>,
    renew: Arc<dyn Fn() -> Option<WebhookSecret> + Send + Sync>,
    /// When the secret was last looked up, by the monotonic clock.
    renewed: AtomicI64,
    clock: Arc<dyn Clock>,
    seen: Mutex<Seen>,
    hints: Hints,
}

impl Listener {
    /// Takes `address`, where port 0 is a free one, without answering yet. Posts are to be signed with
    /// `secret`, or with what `renew` says when one is not; that may block, as looking into a
    /// [`Keystore`](crate::keystore::Keystore) does.
    ///
    /// # Errors
    /// The system's reason.
    pub fn bind(
        address: SocketAddr,
        secret: WebhookSecret,
        renew: impl Fn() -> Option<WebhookSecret> + Send + Sync + 'static,
        clock: Arc<dyn Clock>,
    ) -> io::Result<Self> {
        let socket = StdListener::bind(address)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            address: socket.local_addr()?,
            socket,
            secret: Mutex::new(secret),
            renew: Arc::new(renew),
            renewed: AtomicI64::new(i64::MIN),
            clock,
            seen: Mutex::default(),
            hints: Hints::default(),
        })
    }

    /// The address, with the port that was taken.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Has `client` ask its relay when something was posted here, and else once in `longest`, in case
    /// that something was posted in vain.
    pub fn wake(&self, client: &mut Client, longest: Duration) {
        client.relay = self
            .hints
            .before(client.relay.clone(), client.clock.clone(), longest);
    }

    /// Answers until it is dropped. `refused` is told of each post that was refused.
    ///
    /// # Errors
    /// The system's reason, where it cannot begin.
    pub async fn serve(self, refused: impl Fn(Refusal)) -> io::Result<Infallible> {
        let socket = TcpListener::from_std(self.socket.try_clone()?)?;
        let (listener, refused) = (&self, &refused);
        let answer = move |request: Request<Incoming>| async move {
            let status = match listener.take(request).await {
                Ok(()) => 204,
                Err(refusal) => {
                    refused(refusal);
                    refusal.status()
                }
            };
            Response::builder()
                .status(status)
                .body(Empty::<Bytes>::new())
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
                    Err(_) => self.clock.sleep(ACCEPT_PAUSE).await,
                },
            }
        }
    }

    async fn take(&self, request: Request<Incoming>) -> Result<(), Refusal> {
        if request.method() != Method::POST {
            return Err(Refusal::NoPost);
        }
        let now = self.clock.now().div_euclid(1000);
        let head = Head::of(request.headers())?;
        head.check_time(now)?;
        let body = Limited::new(request.into_body(), MAX_BODY).collect();
        let body = match timeout(TIMEOUT, body).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
                return Err(Refusal::TooLong);
            }
            Ok(Err(_)) | Err(_) => return Err(Refusal::Broken),
        };
        let mut signature = head.check_signature(&self.secret(), &body);
        if signature.is_err() && self.renew().await {
            signature = head.check_signature(&self.secret(), &body);
        }
        signature?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.check_new(head, now)?;
        self.hints.give();
        Ok(())
    }

    fn secret(&self) -> WebhookSecret {
        let secret = self.secret.lock().unwrap_or_else(PoisonError::into_inner);
        secret.clone()
    }

    /// Looks the secret up again, unless that was done just now.
    async fn renew(&self) -> bool {
        let now = self.clock.monotonic();
        let last = self.renewed.load(Ordering::SeqCst);
        if now.saturating_sub(last) < as_millis(RENEWAL) {
            return false;
        }
        self.renewed.store(now, Ordering::SeqCst);
        let renew = Arc::clone(&self.renew);
        let Ok(Some(secret)) = tokio::task::spawn_blocking(move || renew()).await else {
            return false;
        };
        *self.secret.lock().unwrap_or_else(PoisonError::into_inner) = secret;
        true
    }
}
