//! Connections: taking them, with TLS or without, and ending those that take too much.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::HttpBody;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::HttpService;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::Watcher;
use hyper_util::service::TowerToHyperService;
use prometheus_client::metrics::counter::Counter;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::warn;

use crate::Config;
use crate::attended::Attended;
use crate::http::{App, monitoring};
use crate::listener::stopped;
use crate::log::Tally;
use crate::metrics::{OneMore, Traffic};
use crate::patience::{Pace, Patient};
use crate::places::{Place, Places};
use crate::webhooks::MAX_POSTS;

/// Connections for monitoring at once.
const MAX_MONITORS: usize = 64;
/// File handles that are left for everything but connections of agents.
const RESERVED_FILES: usize = 64 + MAX_MONITORS + MAX_POSTS;
/// How long a request's headers may take to arrive, which also ends idle connections. Longer than
/// the 90 seconds for which common clients keep a connection for its next request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(120);
/// The most bytes of a request's headers.
const MAX_HEADERS: usize = 32 * 1024;
/// What a peer has to take of an answer that waits for it.
const PACE: Pace = Pace {
    bytes: 64 * 1024,
    within: Duration::from_secs(60),
};
/// How long a TLS handshake may take.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait after the system refused a connection, for instance for want of file handles.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How many connections there may be, in all and from one address: fewer than `config` says, in the same
/// proportion, where the system allows this process fewer files.
pub(crate) fn limits(config: &Config) -> (usize, usize) {
    let size = |number: std::num::NonZeroU32| usize::try_from(number.get()).unwrap_or(usize::MAX);
    let (wanted, per_address) = (
        size(config.max_connections),
        size(config.max_connections_per_address),
    );
    let possible = max_files().saturating_sub(RESERVED_FILES).max(1);
    if possible >= wanted {
        return (wanted, per_address);
    }
    warn!(
        max_connections = possible,
        wanted, "the system allows too few files for all connections"
    );
    let per_address = per_address.saturating_mul(possible) / wanted;
    (possible, per_address.max(1))
}

/// How many files this process may have open.
#[cfg(unix)]
fn max_files() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let limit = limit.current.map(usize::try_from);
    limit.map_or(usize::MAX, |limit| limit.unwrap_or(usize::MAX))
}

#[cfg(not(unix))]
fn max_files() -> usize {
    usize::MAX
}

/// The next connection, and its place. Those for which there is none are closed and counted as `refused`.
pub(crate) async fn accept(
    listener: &TcpListener,
    places: &Arc<Places>,
    refused: &Counter,
    tally: &Tally,
) -> (TcpStream, Place) {
    loop {
        match listener.accept().await {
            Ok((stream, address)) => match places.take(address.ip()) {
                Some(place) => return (stream, place),
                None => {
                    refused.inc();
                }
            },
            Err(error) => not_accepted(&error, places, tally).await,
        }
    }
}

/// Does what lets the next connection be accepted after one was not.
async fn not_accepted(error: &io::Error, places: &Places, tally: &Tally) {
    // The peer has gone before it was taken.
    if is_of_one(error) {
        return;
    }
    tally.unaccepted(error);
    // The wait is over as soon as that one has gone, when its end wakes the caller.
    places.make_room();
    sleep(ACCEPT_PAUSE).await;
}

/// Whether `error` is that of one connection, and not of all that the system would accept.
fn is_of_one(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::NetworkUnreachable
    )
}

/// Serves one agent's connection until it ends or has to make room.
pub(crate) async fn serve(
    stream: TcpStream,
    place: Place,
    app: Arc<App>,
    service: TowerToHyperService<Router>,
    watcher: Watcher,
) {
    let _counted = OneMore::of(&app.metrics.connections);
    let place = Arc::new(place);
    let service = Attended {
        service,
        place: Arc::clone(&place),
    };
    tokio::select! {
        () = serve_requests(stream, &app, service, watcher) => {}
        () = place.give_way() => {
            app.metrics.evicted_connections.inc();
        }
    }
}

/// Serves requests, after a handshake where there is TLS.
async fn serve_requests(
    stream: TcpStream,
    app: &App,
    service: Attended<TowerToHyperService<Router>>,
    watcher: Watcher,
) {
    let stream = patient(stream, app.metrics.traffic.clone());
    // An error is the peer's, and the end of its connection.
    let _ = match &app.tls {
        None => watcher.watch(connection(stream, service)).await,
        Some(tls) => {
            let handshake = tokio::select! {
                done = timeout(HANDSHAKE_TIMEOUT, tls.acceptor().accept(stream)) => done,
                () = stopped(app.stopping.clone()) => return,
            };
            let Ok(Ok(stream)) = handshake else { return };
            watcher.watch(connection(stream, service)).await
        }
    };
}

/// Gives up on a peer that hardly reads, and counts `traffic`.
pub(crate) fn patient(stream: TcpStream, traffic: Traffic) -> Patient<TcpStream> {
    // Answers are small and whole: waiting to fill a packet only delays them.
    let _ = stream.set_nodelay(true);
    Patient::new(stream, PACE, traffic)
}

/// Serves the requests of one connection.
pub(crate) fn connection<S, V>(stream: S, service: V) -> http1::Connection<TokioIo<S>, V>
where
    S: AsyncRead + AsyncWrite + Unpin,
    V: HttpService<Incoming>,
    V::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    V::ResBody: HttpBody + 'static,
    <V::ResBody as HttpBody>::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service)
}

/// Serves the listener for monitoring, if there is one, also while the relay is stopping.
pub(crate) async fn serve_monitoring(listener: Option<TcpListener>, app: Arc<App>) {
    let Some(listener) = listener else { return };
    let places = Places::new(MAX_MONITORS, MAX_MONITORS);
    let service = TowerToHyperService::new(monitoring(Arc::clone(&app)));
    let mut connections = JoinSet::new();
    let refused = &app.metrics.refused_connections;
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            (stream, place) = accept(&listener, &places, refused, &app.tally) => {
                let place = Arc::new(place);
                let service = Attended {
                    service: service.clone(),
                    place: Arc::clone(&place),
                };
                let connection = connection(patient(stream, Traffic::default()), service);
                connections.spawn(async move {
                    tokio::select! {
                        // An error is the peer's, and the end of its connection.
                        _ = connection => {}
                        () = place.give_way() => {}
                    }
                });
            }
        }
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use futures_util::FutureExt;
    use rustix::io::Errno;

    use super::*;

    /// Whether a connection that is idle goes when another one is not accepted because of `error`, and
    /// whether the next one is accepted at once.
    fn outcome(error: Errno) -> (bool, bool) {
        let places = Places::new(2, 2);
        let idle = places.take("192.0.2.1".parse().unwrap()).unwrap();
        let ended = not_accepted(&error.into(), &places, &Tally::default()).now_or_never();
        (idle.give_way().now_or_never().is_some(), ended.is_some())
    }

    #[tokio::test]
    async fn a_connection_that_ended_before_it_was_accepted_ends_no_other_and_delays_none() {
        for error in [
            Errno::CONNABORTED,
            Errno::CONNRESET,
            Errno::HOSTUNREACH,
            Errno::NETDOWN,
            Errno::NETUNREACH,
        ] {
            assert_eq!(outcome(error), (false, true), "{error}");
        }
        for error in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM] {
            assert_eq!(outcome(error), (true, false), "{error}");
        }
    }
}
