//! A relay in process, for tests of programs that talk to one.
//!
//! [`TestRelay`] runs on a thread of its own, on a free port of 127.0.0.1, in a temporary folder,
//! and stops when dropped. Its methods work from plain and from async code. They panic when they
//! cannot do what they promise: a test could not go on.
//!
//! ```
//! use ctalk_relay::testing::TestRelay;
//!
//! let relay = TestRelay::start_blocking();
//! assert!(relay.url().starts_with("http://127.0.0.1:"));
//! // The keys are any text: the relay opens nothing.
//! let api_key = relay.register("alice", "", "");
//! assert!(api_key.starts_with("ct_"));
//! ```
//!
//! What networks and relays do wrong it does as well, when it is told to:
//!
//! - [`TestRelay::fail`]: requests and answers are lost; messages are damaged, swallowed, repeated, held back
//!   and mixed up, each at its own rate. What happens follows from a seed, so a test that failed fails again.
//! - [`TestRelay::lie`]: the directory shows other keys or names, the inbox old messages or none.
//! - [`TestRelay::inject`]: anything at all is delivered as it is.
//! - [`TestRelay::stop`] and [`TestRelay::restart`]: all connections are cut, and address and data are kept.
//! - [`TestRelay::fill_disk`]: nothing more can be stored.
//! - [`Builder`]: rate limits and quotas, a clock of your own, the reference relay's paging, no streams.
//!
//! A sender that gives up at the first lost answer loses messages; one that sends again sends some twice:
//!
//! ```
//! use ctalk_relay::testing::{Faults, TestRelay};
//! use serde_json::json;
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let relay = TestRelay::start().await;
//! let alice = relay.register("alice", "", "");
//! relay.register("bob", "", "");
//! relay.fail(Faults { seed: 7, drop: 0.5, ..Faults::default() });
//!
//! let message = json!({ "to": "bob", "type": "request", "encrypted": false, "payload": "hello" });
//! # // A client asks for this before it is made, though it never speaks TLS here.
//! # let _ = rustls::crypto::ring::default_provider().install_default();
//! let http = reqwest::Client::new();
//! let mut sent = 0;
//! while sent < 10 {
//!     let request = http.post(format!("{}/messages", relay.url())).bearer_auth(&alice);
//!     // An error says that there was no answer, and not that nothing was stored.
//!     sent += usize::from(request.json(&message).send().await.is_ok());
//! }
//! let counts = relay.fault_counts();
//! assert!(counts.lost_requests > 0 && counts.lost_answers > 0);
//! let stored = relay.stored().len();
//! assert_eq!(stored, 10 + usize::try_from(counts.lost_answers).unwrap());
//! # });
//! ```
#![expect(
    clippy::expect_used,
    reason = "only tests use this module, and they cannot go on without their relay"
)]

mod faults;
mod lies;
mod polled;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use tempfile::TempDir;
use tokio::runtime::{Builder as RuntimeBuilder, Handle};
use tokio::sync::oneshot;

use crate::auth::{KeyHash, new_api_key};
use crate::config::Paging;
use crate::http::App;
use crate::store::{Agent, AgentPatch, Filter, Inbox, NewAgent, Registration, Store, StoreError};
use crate::{
    AddressHeader, AdminKey, Audit, Clock, Config, Error, Networks, Quota, RateLimit, Server,
    SystemClock,
};

use faults::Failing;
pub use faults::{FaultCounts, Faults};
pub use lies::Lie;
use lies::Lies;

/// How long injected messages are kept: 30 days.
const INJECTED_LIFE_MS: i64 = 30 * 86_400_000;
/// Tests move their clock and do not want to wait for it to be looked at.
const WEBHOOK_TICK: Duration = Duration::from_millis(10);

/// Settings of a [`TestRelay`].
pub struct Builder {
    admin_key: String,
    rate_limit: RateLimit,
    registration_limit: RateLimit,
    address_header: Option<AddressHeader>,
    quota: Quota,
    admin_view: bool,
    audit: Audit,
    clock: Arc<dyn Clock>,
    paging: Paging,
    heartbeat: Option<Duration>,
    webhook_networks: Networks,
    defects: Defects,
}

/// What a relay for tests gets wrong on purpose.
#[derive(Clone, Default)]
pub(crate) struct Defects {
    lies: Arc<Lies>,
    failing: Arc<Failing>,
    is_polled: bool,
}

impl Defects {
    /// Puts the defects between the routes and their callers.
    pub(crate) fn around(self, routes: Router<Arc<App>>, app: &Arc<App>) -> Router<Arc<App>> {
        let Self {
            lies,
            failing,
            is_polled,
        } = self;
        let polled = (is_polled, Arc::clone(&failing));
        routes
            .layer(from_fn_with_state(polled, polled::hide_stream))
            .layer(from_fn_with_state(lies, Lies::tell))
            .layer(from_fn_with_state(
                (failing, Arc::clone(app)),
                Failing::befall,
            ))
    }
}

impl Builder {
    /// The admin key; `test-admin-key` unless changed.
    #[must_use]
    pub fn admin_key(mut self, key: impl Into<String>) -> Self {
        self.admin_key = key.into();
        self
    }

    /// The rate limit; off unless changed.
    #[must_use]
    pub fn rate_limit(mut self, limit: RateLimit) -> Self {
        self.rate_limit = limit;
        self
    }

    /// How often one address may try to register; off unless changed.
    #[must_use]
    pub fn registration_limit(mut self, limit: RateLimit) -> Self {
        self.registration_limit = limit;
        self
    }

    /// The header in which a proxy names its peers; none is believed unless set.
    #[must_use]
    pub fn address_header(mut self, header: AddressHeader) -> Self {
        self.address_header = Some(header);
        self
    }

    /// How much an inbox may hold; as much as in any relay unless changed.
    #[must_use]
    pub fn quota(mut self, quota: Quota) -> Self {
        self.quota = quota;
        self
    }

    /// Whether the admin key shows everybody's messages; it does unless changed.
    #[must_use]
    pub fn admin_view(mut self, on: bool) -> Self {
        self.admin_view = on;
        self
    }

    /// The audit log; there is none unless changed.
    #[must_use]
    pub fn audit(mut self, audit: Audit) -> Self {
        self.audit = audit;
        self
    }

    /// Where time comes from; the system's clock unless changed.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Whether `GET /messages` behaves as the reference relay's snapshot: newest first, `sort`,
    /// `after` and `channel` ignored, nothing but `messages` and `cursor` in the answer.
    #[must_use]
    pub fn reference_paging(mut self, on: bool) -> Self {
        self.paging = if on { Paging::Reference } else { Paging::Full };
        self
    }

    /// Whether there is no `GET /messages/stream`, as at the reference relay, so that clients poll.
    #[must_use]
    pub fn polled(mut self, on: bool) -> Self {
        self.defects.is_polled = on;
        self
    }

    /// How long a stream of messages is silent at most; 15 seconds unless changed.
    #[must_use]
    pub fn heartbeat(mut self, silence: Duration) -> Self {
        self.heartbeat = Some(silence);
        self
    }

    /// Where webhooks may lead besides the open internet; to this machine unless changed.
    #[must_use]
    pub fn webhook_networks(mut self, networks: Networks) -> Self {
        self.webhook_networks = networks;
        self
    }

    /// Starts the relay.
    pub async fn start(self) -> TestRelay {
        tokio::task::spawn_blocking(|| self.start_blocking())
            .await
            .expect("the test relay starts")
    }

    /// Starts the relay and waits until it listens.
    #[must_use]
    pub fn start_blocking(self) -> TestRelay {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let running = Running::start(self.config(any_port, folder.path()));
        TestRelay {
            address: running.address,
            settings: self,
            running: Some(running),
            folder,
        }
    }

    fn config(&self, listen: SocketAddr, folder: &Path) -> Config {
        let admin_key = AdminKey::new(self.admin_key.as_str()).expect("a usable admin key");
        let mut config = Config::new(listen, folder, admin_key);
        config.rate_limit = self.rate_limit;
        config.registration_limit = self.registration_limit;
        config.address_header = self.address_header.clone();
        config.quota = self.quota;
        config.admin_view = self.admin_view;
        config.audit = self.audit;
        config.clock = Arc::clone(&self.clock);
        config.paging = self.paging;
        config.heartbeat = self.heartbeat.unwrap_or(config.heartbeat);
        config.webhook_networks = self.webhook_networks.clone();
        config.webhook_tick = WEBHOOK_TICK;
        config.defects = Some(self.defects.clone());
        config
    }
}

/// A relay that runs while this value lives.
pub struct TestRelay {
    settings: Builder,
    address: SocketAddr,
    running: Option<Running>,
    folder: TempDir,
}

impl TestRelay {
    /// Starts a relay with the settings of [`TestRelay::builder`].
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// Starts a relay with the settings of [`TestRelay::builder`] and waits until it listens.
    #[must_use]
    pub fn start_blocking() -> Self {
        Self::builder().start_blocking()
    }

    /// Settings to change before the start.
    #[must_use]
    pub fn builder() -> Builder {
        Builder {
            admin_key: "test-admin-key".to_owned(),
            rate_limit: RateLimit::OFF,
            registration_limit: RateLimit::OFF,
            address_header: None,
            quota: Quota::default(),
            admin_view: true,
            audit: Audit::Off,
            clock: Arc::new(SystemClock),
            paging: Paging::Full,
            heartbeat: None,
            webhook_networks: Networks::loopback(),
            defects: Defects::default(),
        }
    }

    /// The base URL, such as `http://127.0.0.1:40123`; it stays the same over a restart.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The key that admits the operator.
    #[must_use]
    pub fn admin_key(&self) -> &str {
        &self.settings.admin_key
    }

    /// The relay's clock.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        &*self.settings.clock
    }

    /// The data folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Cuts all connections and stops, keeping address and data for [`TestRelay::restart`].
    pub fn stop(&mut self) {
        self.running = None;
    }

    /// Stops if it runs, then starts again with the same address, data and settings.
    pub fn restart(&mut self) {
        self.stop();
        let config = self.settings.config(self.address, self.folder.path());
        self.running = Some(Running::start(config));
    }

    /// Registers an agent with any texts as its keys and returns its API key.
    pub fn register(&self, name: &str, public_key: &str, signing_key: &str) -> String {
        let api_key = new_api_key().expect("the system has randomness");
        let agent = NewAgent {
            name: name.to_owned(),
            owner: "test".to_owned(),
            public_key: public_key.to_owned(),
            signing_key: signing_key.to_owned(),
            capabilities: None,
            webhook: None,
            key_hash: KeyHash::of(&api_key),
        };
        let outcome = self.with_store(async |store| store.register(agent, None).await);
        let outcome = outcome.expect("the agent is stored");
        assert_eq!(outcome, Registration::Done, "registering {name}");
        api_key
    }

    /// Replaces the keys that the directory shows for `name` by any texts.
    pub fn set_agent_keys(&self, name: &str, public_key: &str, signing_key: &str) {
        self.set_entry(
            name,
            AgentPatch {
                public_key: Some(public_key.to_owned()),
                signing_key: Some(signing_key.to_owned()),
                ..AgentPatch::default()
            },
        );
    }

    /// Replaces the capabilities that the directory shows for `name`.
    pub fn set_agent_capabilities(&self, name: &str, capabilities: &[&str]) {
        let capabilities = capabilities.iter().map(|text| (*text).to_owned());
        self.set_entry(
            name,
            AgentPatch {
                capabilities: Some(Some(capabilities.collect())),
                ..AgentPatch::default()
            },
        );
    }

    /// The capabilities that the directory shows for `name`.
    #[must_use]
    pub fn agent_capabilities(&self, name: &str) -> Vec<String> {
        let name = name.to_owned();
        let listed = self.with_store(async |store| store.list_agents().await);
        let listed = listed.expect("the agents are read");
        let entry = listed.into_iter().find(|agent| agent.name == name);
        entry
            .and_then(|agent| agent.capabilities)
            .unwrap_or_default()
    }

    fn set_entry(&self, name: &str, patch: AgentPatch) {
        let id = self.agent(name).id;
        self.with_store(async move |store| store.set_raw(id, patch).await)
            .expect("the entry is stored");
    }

    /// Puts `raw` into the inbox of `to`, to be delivered as it is: any text that `GET /messages`
    /// shall list. Its `id`, when it has one, is the id under which it can be deleted.
    pub fn inject(&self, to: &str, raw: &str) {
        let agent = self.agent(to);
        let id = serde_json::from_str(raw)
            .ok()
            .and_then(|item: serde_json::Value| Some(item.get("id")?.as_str()?.to_owned()))
            .unwrap_or_default();
        let raw = raw.to_owned();
        let insert =
            async move |store: Arc<Store>| store.insert_raw(agent, id, raw, INJECTED_LIFE_MS).await;
        self.with_store(insert).expect("the message is stored");
    }

    /// Every copy of every live message as it would be delivered, oldest first.
    #[must_use]
    pub fn stored(&self) -> Vec<String> {
        let everything = Filter {
            after_ms: None,
            topic: None,
            oldest_first: true,
            limit: u32::MAX,
        };
        let read = async |store: Arc<Store>| {
            let mut page = store.page(Inbox::Everyone, everything).await?;
            let mut all = page.envelopes;
            while !page.rest.is_empty() {
                page = store.rest(page.rest).await?;
                all.append(&mut page.envelopes);
            }
            Ok::<_, StoreError>(all)
        };
        let all = self.with_store(read).expect("the messages are read");
        all.into_iter().map(|envelope| envelope.json).collect()
    }

    /// How many requests wait for messages of `name` at this moment.
    #[must_use]
    pub fn waiting(&self, name: &str) -> usize {
        self.agent(name).news().listeners().load(Ordering::SeqCst)
    }

    /// Shows agents and messages with these lies from now on, and with none but these.
    pub fn lie(&self, lies: impl IntoIterator<Item = Lie>) {
        self.settings.defects.lies.set(lies.into_iter().collect());
    }

    /// Fails with these faults from now on, beginning anew with their seed, and with none but these.
    pub fn fail(&self, faults: Faults) {
        self.settings.defects.failing.set(faults);
    }

    /// How often which fault happened since the last [`TestRelay::fail`].
    #[must_use]
    pub fn fault_counts(&self) -> FaultCounts {
        self.settings.defects.failing.counts()
    }

    /// Fails every write that needs more room, like a full disk, until [`TestRelay::empty_disk`].
    pub fn fill_disk(&self) {
        self.with_store(async |store| store.set_full(true).await)
            .expect("the size is limited");
    }

    /// Ends what [`TestRelay::fill_disk`] began.
    pub fn empty_disk(&self) {
        self.with_store(async |store| store.set_full(false).await)
            .expect("the size is unlimited");
    }

    fn agent(&self, name: &str) -> Arc<Agent> {
        let agent = self.running().app.store.directory().by_name(name);
        agent.expect("the agent is registered")
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("the relay runs")
    }

    /// Runs `work` on the relay's own runtime and waits for it, whatever thread this is.
    fn with_store<T, F>(&self, work: impl FnOnce(Arc<Store>) -> F) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let running = self.running();
        let work = work(Arc::clone(&running.app.store));
        let (done, outcome) = mpsc::channel();
        running.runtime.spawn(async move { done.send(work.await) });
        outcome.recv().expect("the relay runs")
    }
}

/// A server on its thread.
struct Running {
    address: SocketAddr,
    app: Arc<App>,
    runtime: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn start(config: Config) -> Self {
        let (ready, started) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = async move |ready: mpsc::Sender<Result<_, Error>>| {
            let server = match Server::bind(config).await {
                Ok(server) => server,
                Err(error) => {
                    let _ = ready.send(Err(error));
                    return;
                }
            };
            let _ = ready.send(Ok((server.local_addr(), server.app(), Handle::current())));
            // A dropped sender means stop, too.
            let shutdown = async { drop(stopped.await) };
            let _ = server.run_with_grace(shutdown, Duration::ZERO).await;
        };
        let thread = std::thread::spawn(move || {
            RuntimeBuilder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime")
                .block_on(serve(ready));
        });
        let (address, app, runtime) = started
            .recv()
            .expect("the relay's thread lives")
            .expect("the relay starts");
        Self {
            address,
            app,
            runtime,
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the relay was printed by its own thread.
            let _ = thread.join();
        }
    }
}
