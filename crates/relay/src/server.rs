//! Binding, serving and stopping.

use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use socket2::SockRef;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::{info, warn};

use crate::connections::{serve, serve_monitoring};
use crate::http::{App, router};
use crate::log::Tally;
use crate::metrics::Metrics;
use crate::opening::meanwhile;
use crate::places::Places;
use crate::readiness::Readiness;
use crate::registrations::Registrations;
use crate::store::Store;
use crate::testing::Defects;
use crate::tls::Tls;
use crate::webhooks::Webhooks;
use crate::{Config, Error, connections};

/// How long requests may take to end after shutdown was asked for.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);
/// How often expired messages are deleted and presence is saved.
const HOUSEKEEPING: Duration = Duration::from_secs(5);

/// A relay that has its address and its database and waits for [`Server::run`].
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    monitoring: Option<TcpListener>,
    max_connections: (usize, usize),
    app: Arc<App>,
    webhooks: Webhooks,
    defects: Option<Defects>,
    stop: watch::Sender<bool>,
}

impl Server {
    /// Listens and opens the data folder. Whoever comes until that is open gets 503, and then no
    /// answer before [`Server::run`].
    ///
    /// # Errors
    /// [`Error::Bind`] when the address cannot be had; [`Error::DataFolder`], [`Error::InUse`],
    /// [`Error::Database`] and [`Error::NewerDatabase`] when the data folder cannot be used;
    /// [`Error::Thread`] when the system refuses a thread.
    pub async fn bind(config: Config) -> Result<Self, Error> {
        let (listener, address) = listen(config.listen).await?;
        let monitoring = match config.monitoring {
            Some(address) => Some(listen(address).await?.0),
            None => None,
        };
        let max_connections = connections::limits(&config);
        let clock = Arc::clone(&config.clock);
        let tls = blocking(move || config.tls.map(Tls::load).transpose()).await?;
        let opening = blocking(move || Store::open(&config.data, clock, config.quota));
        let store = meanwhile(opening, &listener, tls.as_ref(), monitoring.as_ref()).await?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let metrics = Metrics::new(store.metrics());
        let (stop, stopping) = watch::channel(false);
        let app = Arc::new(App {
            store: Arc::new(store),
            clock: config.clock,
            admin_key: config.admin_key,
            rate_limit: config.rate_limit,
            registrations: Registrations::new(config.registration_limit),
            address_header: config.address_header,
            admin_view: config.admin_view,
            audit: config.audit,
            tls,
            paging: config.paging,
            heartbeat: config.heartbeat,
            stopping,
            tally: Tally::default(),
            metrics,
            readiness: Readiness::default(),
            health: Mutex::default(),
            url: format!("{scheme}://{address}"),
        });
        let webhooks = Webhooks::new(
            Arc::clone(&app),
            config.webhook_networks,
            config.webhook_tick,
        );
        Ok(Self {
            listener,
            address,
            monitoring,
            max_connections,
            app,
            webhooks,
            defects: config.defects,
            stop,
        })
    }

    /// The address it listens on, with the port that was taken.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The address it listens on for monitoring, when it does.
    #[must_use]
    pub fn monitoring_addr(&self) -> Option<SocketAddr> {
        self.monitoring.as_ref()?.local_addr().ok()
    }

    /// The base URL for clients on this machine's network, such as `http://127.0.0.1:8787`.
    #[must_use]
    pub fn url(&self) -> String {
        self.app.url.clone()
    }

    /// Serves until `shutdown` completes, then lets requests end for up to 10 seconds and commits
    /// everything that was accepted.
    ///
    /// # Errors
    /// [`Error::Writer`] as soon as the writing thread breaks down.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        self.run_with_grace(shutdown, SHUTDOWN_GRACE).await
    }

    pub(crate) fn app(&self) -> Arc<App> {
        Arc::clone(&self.app)
    }

    /// As [`Server::run`], but requests that run have only so long to end.
    ///
    /// # Errors
    /// As [`Server::run`].
    pub async fn run_with_grace(
        self,
        shutdown: impl Future<Output = ()>,
        grace: Duration,
    ) -> Result<(), Error> {
        let version = env!("CARGO_PKG_VERSION");
        info!(version, address = self.address.to_string(), "started");
        let housekeeping = tokio::spawn(keep_house(Arc::clone(&self.app)));
        let monitoring = tokio::spawn(serve_monitoring(self.monitoring, Arc::clone(&self.app)));
        let webhooks = tokio::spawn(self.webhooks.run());
        let app = Arc::clone(&self.app);
        let service = TowerToHyperService::new(router(Arc::clone(&self.app), self.defects));
        let places = Places::new(self.max_connections.0, self.max_connections.1);
        let graceful = GracefulShutdown::new();
        let mut connections = JoinSet::new();
        let refused = &app.metrics.refused_connections;
        let store = Arc::clone(&self.app.store);
        let writer_ended = store.writer_ended();
        tokio::pin!(shutdown, writer_ended);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                // Without it every send fails; ending lets whoever started this relay start another.
                () = &mut writer_ended => break,
                Some(_) = connections.join_next() => {}
                (stream, place) = connections::accept(&self.listener, &places, refused, &app.tally) => {
                    let watcher = graceful.watcher();
                    connections.spawn(serve(stream, place, Arc::clone(&app), service.clone(), watcher));
                }
            }
        }
        info!(connections = connections.len(), "stopping");
        // Closing alone would not do: a process that is just being started holds the socket, too.
        let _ = SockRef::from(&self.listener).shutdown(Shutdown::Both);
        drop(self.listener);
        // Requests that wait for messages are answered now.
        let _ = self.stop.send(true);
        // Connections that take longer are cut; what they had committed stays committed.
        let _ = timeout(grace, graceful.shutdown()).await;
        connections.shutdown().await;
        monitoring.abort();
        housekeeping.abort();
        // It ends at its next pause; an error says that it was stopped there.
        let _ = housekeeping.await;
        // It ends by itself when it is told to stop.
        let _ = webhooks.await;
        app.tally.tell();
        Arc::clone(&store).close().await?;
        info!("stopped");
        Ok(())
    }
}

/// What `work` comes to, on a thread that may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let done = spawn_blocking(work).await;
    done.map_err(|error| Error::Thread(error.into()))?
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let at = |source| Error::Bind { address, source };
    let listener = TcpListener::bind(address).await.map_err(at)?;
    let address = listener.local_addr().map_err(at)?;
    Ok((listener, address))
}

async fn keep_house(app: Arc<App>) {
    let mut ticks = interval(HOUSEKEEPING);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        app.tally.tell();
        let renewing = Arc::clone(&app);
        // It fails only when the relay ends.
        let _ = spawn_blocking(move || renewing.tls.as_ref().map(Tls::renew)).await;
        // What failed, for instance on a full disk, is tried again at the next tick.
        if let Err(error) = app.store.keep_house().await {
            warn!(error = error.to_string(), "housekeeping failed");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::atomic::Ordering;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::sync::oneshot;
    use tokio::time::Instant;

    use super::*;
    use crate::AdminKey;
    use crate::store::NewAgent;

    fn config(folder: &tempfile::TempDir, port: u16) -> Config {
        let key = AdminKey::new("test-admin-key").unwrap();
        Config::new(
            SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            folder.path(),
            key,
        )
    }

    #[tokio::test]
    async fn a_relay_that_stopped_leaves_its_address_and_folder_even_to_whoever_comes_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let first = Server::bind(config(&folder, 0)).await.unwrap();
        let port = first.local_addr().port();
        // As a child has it between `fork` and `exec`.
        let _inherited = SockRef::from(&first.listener).try_clone().unwrap();
        first.run(std::future::ready(())).await.unwrap();
        Server::bind(config(&folder, port)).await.unwrap();
    }

    #[tokio::test]
    async fn a_relay_that_shuts_down_answers_those_who_wait_for_messages() {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::bind(config(&folder, 0)).await.unwrap();
        let (app, url) = (server.app(), format!("{}/messages?wait=60", server.url()));
        let registered = app.store.register(NewAgent::named("alice"), None);
        registered.await.unwrap();
        let alice = app.store.directory().by_name("alice").unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(server.run(async { drop(stopped.await) }));
        // The client wants to know how it would do TLS.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let poll = tokio::spawn(http.get(url).bearer_auth("alice").send());
        while alice.news().listeners().load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        let began = Instant::now();
        drop(stop);
        let page = poll.await.unwrap().unwrap().text().await.unwrap();
        assert_eq!(page, "{\"messages\":[],\"count\":0}");
        running.await.unwrap().unwrap();
        assert!(began.elapsed() < SHUTDOWN_GRACE, "it was not cut");
    }

    #[tokio::test]
    async fn what_is_under_way_when_the_relay_can_write_no_more_is_told_to_come_again() {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::bind(config(&folder, 0)).await.unwrap();
        let (app, address) = (server.app(), server.local_addr());
        let registered = app.store.register(NewAgent::named("alice"), None);
        registered.await.unwrap();
        let running = tokio::spawn(server.run(std::future::pending()));
        let mut sender = TcpStream::connect(address).await.unwrap();
        let body = r#"{"to":"alice","type":"request","encrypted":false,"payload":1}"#;
        let head = format!(
            "POST /messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer alice\r\n\
             Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        sender.write_all(head.as_bytes()).await.unwrap();
        let mut start = [0; 12];
        sender.read_exact(&mut start).await.unwrap();
        app.store.break_writer().await;
        sender.write_all(body.as_bytes()).await.unwrap();
        let mut answer = String::new();
        sender.read_to_string(&mut answer).await.unwrap();
        assert!(answer.contains("HTTP/1.1 503 "), "{answer}");
        assert!(answer.contains("\r\nretry-after: 5\r\n"), "{answer}");
        assert!(matches!(running.await.unwrap(), Err(Error::Writer)));
    }

    #[tokio::test]
    async fn a_relay_that_can_write_no_more_ends_with_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::bind(config(&folder, 0)).await.unwrap();
        let app = server.app();
        let running = tokio::spawn(server.run(std::future::pending()));
        app.store.break_writer().await;
        let ended = running.await.unwrap();
        assert!(matches!(ended, Err(Error::Writer)), "{ended:?}");
    }
}
