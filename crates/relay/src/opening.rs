//! Answering while the database is being opened, which can take long when its format moves forward.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::service::TowerToHyperService;
use prometheus_client::metrics::counter::Counter;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::attended::Attended;
use crate::connections::{accept, connection, patient};
use crate::http;
use crate::log::Tally;
use crate::metrics::Traffic;
use crate::places::{Place, Places};
use crate::tls::Tls;

/// Connections at once, each of which has one answer.
const MAX_CONNECTIONS: usize = 64;
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(10);

type Service = TowerToHyperService<Router>;

/// Waits for what `opening` opens. Meanwhile whoever comes is told to come again: to `listener`, which
/// does TLS if there is `tls`, or to `monitoring`.
pub(crate) async fn meanwhile<T>(
    opening: impl Future<Output = T>,
    listener: &TcpListener,
    tls: Option<&Tls>,
    monitoring: Option<&TcpListener>,
) -> T {
    let service = TowerToHyperService::new(http::opening());
    tokio::select! {
        opened = opening => opened,
        never = turn_away(Some(listener), tls, &service) => match never {},
        never = turn_away(monitoring, None, &service) => match never {},
    }
}

async fn turn_away(
    listener: Option<&TcpListener>,
    tls: Option<&Tls>,
    service: &Service,
) -> Infallible {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    let places = Places::new(MAX_CONNECTIONS, MAX_CONNECTIONS);
    let (refused, tally) = (Counter::default(), Tally::default());
    loop {
        let (stream, place) = accept(listener, &places, &refused, &tally).await;
        let tls = tls.map(Tls::acceptor);
        // It ends by itself, also when the database is open by then.
        tokio::spawn(answer(stream, place, tls, service.clone()));
    }
}

async fn answer(stream: TcpStream, place: Place, tls: Option<TlsAcceptor>, service: Service) {
    let place = Arc::new(place);
    let service = Attended {
        service,
        place: Arc::clone(&place),
    };
    let stream = patient(stream, Traffic::default());
    let answered = async {
        // An error is the peer's, and the end of its connection.
        let _ = match tls {
            None => connection(stream, service).await,
            Some(tls) => match tls.accept(stream).await {
                Ok(stream) => connection(stream, service).await,
                Err(_) => return,
            },
        };
    };
    tokio::select! {
        _ = timeout(PATIENCE, answered) => {}
        () = place.give_way() => {}
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};
    use std::path::Path;

    use reqwest::Client;

    use crate::{AdminKey, Config, Error, Server};

    fn free_address() -> SocketAddr {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = std::net::TcpListener::bind(any).unwrap();
        listener.local_addr().unwrap()
    }

    /// Status, `Retry-After` and body of an answer.
    async fn ask(http: &Client, address: SocketAddr, path: &str) -> Option<(u16, String, String)> {
        let answer = http.get(format!("http://{address}{path}")).send().await;
        let answer = answer.ok()?;
        let again = answer.headers().get("retry-after");
        let again = again.map_or("", |seconds| seconds.to_str().unwrap());
        let (status, again) = (answer.status().as_u16(), again.to_owned());
        Some((status, again, answer.text().await.ok()?))
    }

    fn bind(folder: &Path, addresses: [SocketAddr; 2]) -> Config {
        let key = AdminKey::new("test-admin-key").unwrap();
        let mut config = Config::new(addresses[0], folder, key);
        config.monitoring = Some(addresses[1]);
        config
    }

    #[tokio::test]
    async fn whoever_comes_before_the_database_is_open_is_told_to_come_again() {
        let folder = tempfile::tempdir().unwrap();
        let addresses = [free_address(), free_address()];
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder().no_proxy().build().unwrap();
        // Keeps the relay from opening it.
        let busy = rusqlite::Connection::open(folder.path().join("relay.db")).unwrap();
        busy.execute_batch("BEGIN EXCLUSIVE").unwrap();
        let mut attempts = 0;
        let mut binding = tokio::spawn(Server::bind(bind(folder.path(), addresses)));
        for (address, path) in [
            (addresses[0], "/health"),
            (addresses[0], "/messages"),
            (addresses[0], "/ready"),
            (addresses[1], "/ready"),
            (addresses[1], "/metrics"),
        ] {
            let (status, again, body) = loop {
                if let Some(answer) = ask(&http, address, path).await {
                    break answer;
                }
                if binding.is_finished() {
                    // It waits for 5 seconds only, which a busy machine may take.
                    attempts += 1;
                    assert!(attempts < 5, "{path} was not answered");
                    let failed = binding.await.unwrap().err().unwrap();
                    assert!(matches!(failed, Error::Database { .. }), "{failed}");
                    binding = tokio::spawn(Server::bind(bind(folder.path(), addresses)));
                }
                tokio::task::yield_now().await;
            };
            assert_eq!((status, again.as_str()), (503, "5"), "{path}: {body}");
            if path == "/ready" {
                assert_eq!(body, "{\"ready\":false,\"reason\":\"starting\"}");
            } else {
                assert!(body.contains("\"code\":\"UNAVAILABLE\""), "{body}");
            }
        }
        busy.execute_batch("ROLLBACK").unwrap();
        let server = match binding.await.unwrap() {
            Err(Error::Database { .. }) => Server::bind(bind(folder.path(), addresses)).await,
            bound => bound,
        };
        let running = tokio::spawn(server.unwrap().run(std::future::pending()));
        for address in addresses {
            let (status, _, body) = ask(&http, address, "/ready").await.unwrap();
            assert_eq!((status, body.as_str()), (200, "{\"ready\":true}"));
        }
        running.abort();
    }
}
