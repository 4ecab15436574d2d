//! Posting one message to one webhook.

use std::error::Error as StdError;
use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use ctalk_wire::{WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use tokio::sync::Semaphore;

use super::Networks;
use crate::store::{Delivery, Failure};

/// How long it may take to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an attempt may take in all.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection is kept for the next message.
const KEEP: Duration = Duration::from_secs(15);
/// The most bytes that are read of an answer, so that its connection can be kept.
const MAX_ANSWER: usize = 16 * 1024;
/// Names that are looked up at once; a lookup takes a thread for as long as the name's servers like.
const MAX_LOOKUPS: usize = 32;

/// Posts messages, to permitted addresses only.
pub(super) struct Poster {
    client: Client,
    networks: Arc<Networks>,
}

impl Poster {
    pub(super) fn new(networks: Arc<Networks>) -> reqwest::Result<Self> {
        // A second installation fails because the first one stands, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let names = Names {
            networks: Arc::clone(&networks),
            lookups: Arc::new(Semaphore::new(MAX_LOOKUPS)),
        };
        let client = Client::builder()
            .user_agent(concat!("ctalk-relay/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            // What a proxy connects to could not be checked.
            .no_proxy()
            .dns_resolver(Arc::new(names))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .pool_idle_timeout(KEEP)
            .pool_max_idle_per_host(1)
            .tcp_nodelay(true)
            .build()?;
        Ok(Self { client, networks })
    }

    /// Posts `delivery` at `now_ms` and waits until it was taken.
    pub(super) async fn post(&self, delivery: Delivery, now_ms: i64) -> Result<(), Failure> {
        let url = Url::parse(&delivery.url).map_err(|_| Failure::Unreachable)?;
        // An address that stands in the URL is never looked up.
        if address_in(&url).is_some_and(|address| !self.networks.permit(address)) {
            return Err(Failure::Refused);
        }
        let timestamp = now_ms.div_euclid(1000);
        let body = delivery.envelope;
        let signature = delivery
            .secret
            .sign(&delivery.id, timestamp, body.as_bytes());
        let posted = self
            .client
            .post(url)
            .header("content-type", "application/json")
            .header(WEBHOOK_ID, delivery.id)
            .header(WEBHOOK_TIMESTAMP, timestamp)
            .header(WEBHOOK_SIGNATURE, signature)
            .body(body)
            .send();
        let answer = posted.await.map_err(|error| classify(&error))?;
        let status = answer.status();
        discard(answer).await;
        if status.is_success() {
            Ok(())
        } else {
            Err(Failure::Answer(status.as_u16()))
        }
    }
}

fn address_in(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    let host = host.strip_prefix('[').unwrap_or(host);
    host.strip_suffix(']').unwrap_or(host).parse().ok()
}

/// Reads what little there may be left, so that the connection can be used again.
async fn discard(mut answer: Response) {
    let mut read = 0;
    while let Ok(Some(part)) = answer.chunk().await {
        read += part.len();
        if read > MAX_ANSWER {
            return;
        }
    }
}

fn classify(error: &reqwest::Error) -> Failure {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(each) = cause {
        if each.is::<NotPermitted>() {
            return Failure::Refused;
        }
        cause = each.source();
    }
    if error.is_timeout() {
        Failure::Timeout
    } else if error.is_connect() {
        Failure::Unreachable
    } else {
        Failure::Broken
    }
}

/// Looks names up. Only what is connected to can be checked: by the next lookup the name may lead
/// elsewhere.
struct Names {
    networks: Arc<Networks>,
    lookups: Arc<Semaphore>,
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let networks = Arc::clone(&self.networks);
        let lookups = Arc::clone(&self.lookups);
        Box::pin(async move {
            let place = lookups.acquire_owned().await?;
            let found = tokio::task::spawn_blocking(move || {
                let found = (name.as_str(), 0).to_socket_addrs();
                // Only now: giving up on a lookup does not end it.
                drop(place);
                found
            });
            let permitted: Vec<SocketAddr> = found
                .await??
                .filter(|address| networks.permit(address.ip()))
                .collect();
            if permitted.is_empty() {
                return Err(NotPermitted.into());
            }
            let addresses: Addrs = Box::new(permitted.into_iter());
            Ok(addresses)
        })
    }
}

/// A name leads nowhere but to addresses that are not permitted.
#[derive(Debug)]
struct NotPermitted;

impl fmt::Display for NotPermitted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the name leads to no permitted address")
    }
}

impl StdError for NotPermitted {}
