//! The host's side: whoever speaks the protocol can talk with an agent of ctalk's.
//!
//! What clients say is stored, judged and handled like what comes over any relay, and answers leave through
//! the outbox. Only what is said in the clear is answered there and then.

mod answering;
mod auth;
mod connection;
mod desk;

use std::{
    collections::HashMap,
    convert::Infallible,
    io,
    net::{SocketAddr, TcpListener as StdListener},
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use ctalk_core::classic::{Malformed, Message as Classic};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};

use self::desk::Desk;
pub use self::{answering::Answering, auth::Auth};
use crate::{
    clock::Clock,
    handler::Handler,
    relay::{Accepted, Body, Delivery, Destination, Incoming, Outgoing, Relay, RelayError},
    store::{EntryState, Store, StoreError, Stored},
    worker::Event,
};

/// What the host's side is called where relays have addresses.
const URL: &str = "openclaw+serve:";
/// What envelopes are from, as far as the host can tell.
const CLIENT: &str = "client";
/// Connections at once; who comes when there are as many is hung up on.
const MAX_CONNECTIONS: usize = 256;
/// Most messages that are stored at once.
const MAX_BURST: usize = 64;
/// How long to wait after the system refused a connection, for instance for want of file handles.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long clients may take to hear that it is over.
const FAREWELL: Duration = Duration::from_secs(1);

/// Whom a host lets in, and to what.
pub struct Rules {
    /// Where the WebSocket is, such as `/ws`.
    pub path: String,
    /// Who knows tokens; without it everybody is let in but web pages.
    pub auth: Option<Auth>,
    /// Whether what is said in the clear is handled.
    pub takes_plaintext: bool,
    /// Tells the time and waits.
    pub clock: Arc<dyn Clock>,
}

/// A server that clients of OpenClaw's WebSocket channel connect to. It is a relay whose agents are whoever is
/// connected.
#[derive(Clone)]
pub struct Host(Arc<Inner>);

struct Inner {
    socket: StdListener,
    address: SocketAddr,
    rules: Rules,
    desk: Arc<Desk>,
}

impl Host {
    /// Messages that are begun at once at most.
    pub const MOST_AT_ONCE: usize = 256;

    /// Takes `address`, where port 0 is a free one, without answering yet.
    ///
    /// # Errors
    /// The system's reason.
    pub fn bind(address: SocketAddr, rules: Rules) -> io::Result<Self> {
        let socket = StdListener::bind(address)?;
        socket.set_nonblocking(true)?;
        Ok(Self(Arc::new(Inner {
            address: socket.local_addr()?,
            socket,
            desk: Arc::new(Desk::new(rules.takes_plaintext)),
            rules,
        })))
    }

    /// The address, with the port that was taken.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.0.address
    }

    /// Has `handler` answer clients, as many at once; `store` is that of the client whose relay this is. The
    /// worker's own concurrency is to be [`MOST_AT_ONCE`](Self::MOST_AT_ONCE), because whoever waits for a turn
    /// counts there.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn answering(
        &self,
        handler: Box<dyn Handler>,
        store: &Path,
        at_once: usize,
    ) -> Result<Answering, StoreError> {
        Ok(Answering {
            handler,
            desk: Arc::clone(&self.0.desk),
            clock: Arc::clone(&self.0.rules.clock),
            store: Mutex::new(Store::open(store, Some(URL))?),
            turns: Semaphore::new(at_once),
            sessions: Mutex::new(HashMap::new()),
        })
    }

    /// Tells clients what became of what they said, where it is not answered.
    pub fn observe(&self, event: &Event<'_>) {
        let desk = &self.0.desk;
        match event {
            Event::SetAside(aside) => {
                if let Some(ask) = &aside.relay_id {
                    // Why is for the agent's owner alone.
                    desk.fail(ask, "The message was not accepted");
                    desk.forget(ask);
                }
            }
            Event::Ended {
                attempt,
                state: EntryState::Dead | EntryState::Quarantined,
                ..
            } => {
                if let Some(ask) = &attempt.message.relay_id {
                    desk.fail(ask, "The agent failed to handle the message");
                    desk.forget(ask);
                }
            }
            _ => {}
        }
    }

    /// Serves clients until it is dropped or [closed](Self::close).
    ///
    /// # Errors
    /// The system's reason, where it cannot begin.
    pub async fn serve(&self) -> io::Result<Infallible> {
        let inner = &self.0;
        let listener = TcpListener::from_std(inner.socket.try_clone()?)?;
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                Some(_) = connections.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) if connections.len() < MAX_CONNECTIONS => {
                        let inner = Arc::clone(inner);
                        connections.spawn(async move {
                            connection::serve(stream, &inner.rules, &inner.desk).await;
                        });
                    }
                    Ok(_) => {}
                    Err(_) => inner.rules.clock.sleep(ACCEPT_PAUSE).await,
                },
            }
        }
    }

    /// Tells every client that it is over, and waits a moment until they know. [`Self::serve`] goes on
    /// meanwhile.
    pub async fn close(&self) {
        let inner = &self.0;
        inner.desk.close();
        let gone = async {
            while inner.desk.connections() > 0 {
                inner.rules.clock.sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            () = gone => {}
            () = inner.rules.clock.sleep(FAREWELL) => {}
        }
    }
}

#[async_trait]
impl Relay for Host {
    fn url(&self) -> &str {
        URL
    }

    /// Hands an envelope to the contact with this fingerprint, if it is connected.
    async fn send(&self, outgoing: &Outgoing) -> Result<Accepted, RelayError> {
        let (Body::Native(text), Destination::Agent(to)) = (&outgoing.body, &outgoing.to) else {
            return Err(RelayError::Unsupported {
                what: "anything but envelopes to one agent",
            });
        };
        self.0.desk.answer(to, text)?;
        Ok(Accepted {
            relay_id: None,
            ts: None,
        })
    }

    async fn fetch(&self, wait: Duration) -> Result<Vec<Delivery>, RelayError> {
        let mut arrived = self.0.desk.arrived.lock().await;
        let mut deliveries = Vec::new();
        tokio::select! {
            biased;
            delivery = arrived.recv() => deliveries.extend(delivery),
            () = self.0.rules.clock.sleep(wait) => {}
        }
        while deliveries.len() < MAX_BURST
            && let Ok(delivery) = arrived.try_recv()
        {
            deliveries.push(delivery);
        }
        Ok(deliveries)
    }

    /// Now that it is stored, its sender may count on it.
    async fn acknowledge(&self, stored: Stored) -> Result<usize, RelayError> {
        let asks = stored.into_relay_ids();
        for ask in &asks {
            self.0.desk.typing(ask);
        }
        Ok(asks.len().max(1))
    }

    fn read(&self, raw: &[u8]) -> Result<Incoming, Malformed> {
        if raw.starts_with(b"{") {
            return Classic::parse(raw).map(Incoming::Classic);
        }
        super::read(raw, CLIENT)
    }
}
