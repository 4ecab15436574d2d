//! One WebSocket (RFC 6455) to a relay, kept alive by a task of its own: it connects, waits until the
//! relay's protocol says that it works, sends heartbeats, connects anew when the line is dead, and keeps
//! what was pushed until somebody takes it.

mod backoff;
mod connect;
mod supervisor;

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{Notify, mpsc, oneshot, watch};

pub(super) use self::connect::Opening;
use self::{backoff::Backoff, supervisor::Supervisor};
use super::{Delivery, RelayError};
use crate::clock::Clock;

/// Most bytes of one frame, and of one message of several frames.
const MAX_FRAME: usize = 4 << 20;
/// Most bytes of messages that wait to be taken; when there are more, nothing is read from the socket.
const MAX_WAITING: usize = 16 << 20;
/// How long a connection may take until the protocol says that it works, and how long an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Heartbeats in a row without an answer after which the line is dead.
const MISSED: u8 = 2;

/// What a relay speaks over its socket, and what it knows of the present connection.
pub(super) trait Protocol: Send + Sync + 'static {
    /// What the caller wants sent.
    type Ask: Send + 'static;
    /// What the relay says to that.
    type Answer: Send + 'static;

    /// The time between two heartbeats.
    const BEAT: Duration;
    /// What is sent as one; nothing stands for a ping of WebSocket itself (RFC 6455, section 5.5.2).
    const PING: &'static str = "";

    /// What the next connection begins with. What was known of the one before is forgotten.
    fn open(&mut self) -> Result<Opening, RelayError>;

    /// The frame for what is asked; the next answer is the one to it.
    fn write(&mut self, ask: Self::Ask) -> Result<String, RelayError>;

    /// What a frame says.
    fn read(&mut self, frame: &str) -> Heard<Self::Answer>;

    /// A frame to be sent that nobody asked for. Called after the connection was opened and after each
    /// frame that was read, until there is none.
    fn unasked(&mut self) -> Option<String> {
        None
    }
}

/// What a frame says.
pub(super) enum Heard<A> {
    /// The connection works.
    Ready,
    /// A heartbeat arrived.
    Pong,
    /// What became of the one frame under way.
    Answer(Result<A, RelayError>),
    /// Messages.
    Delivered(Vec<Delivery>),
    /// The relay refuses this connection.
    Refused(RelayError),
    /// Nothing that matters.
    Nothing,
}

/// The caller's end. The connection is closed when it is dropped.
pub(super) struct Socket<P: Protocol> {
    asks: mpsc::Sender<Asked<P>>,
    shared: Arc<Shared>,
    link: watch::Receiver<Link>,
    /// Its end is the connection's.
    alive: Mutex<Option<oneshot::Sender<Infallible>>>,
}

/// How the connection is.
#[derive(Clone, Debug)]
enum Link {
    /// On the way.
    Connecting,
    /// It works.
    Ready,
    /// It does not, and there is a next attempt later.
    Down(RelayError),
}

struct Asked<P: Protocol> {
    ask: P::Ask,
    answer: oneshot::Sender<Result<P::Answer, RelayError>>,
}

/// What the task and the caller have in common.
#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// Something came.
    arrived: Notify,
    /// Something was taken.
    taken: Notify,
}

#[derive(Default)]
struct Waiting {
    deliveries: VecDeque<Delivery>,
    bytes: usize,
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_full(&self) -> bool {
        self.waiting().bytes >= MAX_WAITING
    }

    fn put(&self, deliveries: Vec<Delivery>) {
        let mut waiting = self.waiting();
        waiting.bytes += deliveries.iter().map(size).sum::<usize>();
        waiting.deliveries.extend(deliveries);
        drop(waiting);
        self.arrived.notify_one();
    }

    fn take(&self) -> Vec<Delivery> {
        let waiting = std::mem::take(&mut *self.waiting());
        if !waiting.deliveries.is_empty() {
            self.taken.notify_one();
        }
        waiting.deliveries.into()
    }
}

/// What a delivery counts; one that is empty takes a place, too.
fn size(delivery: &Delivery) -> usize {
    delivery.raw.len().max(256)
}

impl<P: Protocol> Socket<P> {
    /// Begins to connect. Needs a runtime of Tokio.
    pub(super) fn start(protocol: P, url: &str, clock: Arc<dyn Clock>) -> Self {
        let (asks, asked) = mpsc::channel(1);
        let (link, watched) = watch::channel(Link::Connecting);
        let (alive, dropped) = oneshot::channel();
        let shared = Arc::new(Shared::default());
        let supervisor = Supervisor {
            protocol,
            url: url.to_owned(),
            clock,
            asked,
            shared: Arc::clone(&shared),
            link,
            under_way: None,
            backoff: Backoff::default(),
        };
        tokio::spawn(supervisor.run(dropped));
        Self {
            asks,
            shared,
            link: watched,
            alive: Mutex::new(Some(alive)),
        }
    }

    /// Waits until the connection works, or an attempt has failed.
    pub(super) async fn ready(&self) -> Result<(), RelayError> {
        let mut link = self.link.clone();
        let reached = link
            .wait_for(|link| !matches!(link, Link::Connecting))
            .await
            .map(|link| link.clone());
        match reached {
            Ok(Link::Ready) => Ok(()),
            Ok(Link::Down(error)) => Err(error),
            Ok(Link::Connecting) | Err(_) => Err(ended()),
        }
    }

    /// Has something sent and waits for the relay's answer.
    ///
    /// It may be broken off; what was sent by then is sent.
    pub(super) async fn ask(&self, ask: P::Ask) -> Result<P::Answer, RelayError> {
        self.ready().await?;
        let (answer, answered) = oneshot::channel();
        let sent = self.asks.send(Asked { ask, answer }).await;
        sent.map_err(|_| ended())?;
        answered.await.unwrap_or_else(|_| Err(ended()))
    }

    /// What was pushed. Waits for something for as long as `wait` does, and for as long for a connection
    /// that was lost; the error is why there is none then. May be broken off and loses nothing.
    pub(super) async fn next(
        &self,
        wait: impl Future<Output = ()> + Send,
    ) -> Result<Vec<Delivery>, RelayError> {
        let mut wait = std::pin::pin!(wait);
        loop {
            let arrived = self.shared.arrived.notified();
            let taken = self.shared.take();
            if !taken.is_empty() {
                return Ok(taken);
            }
            tokio::select! {
                biased;
                () = arrived => {}
                () = &mut wait => {
                    let taken = self.shared.take();
                    return match self.ready().await {
                        Err(error) if taken.is_empty() => Err(error),
                        _ => Ok(taken),
                    };
                }
            }
        }
    }

    /// Ends the connection for good. What was pushed until the relay took note of that.
    pub(super) async fn close(&self) -> Vec<Delivery> {
        drop(
            self.alive
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        let mut link = self.link.clone();
        // Its other end goes with the task.
        while link.changed().await.is_ok() {}
        self.shared.take()
    }

    /// What was pushed so far.
    pub(super) fn take(&self) -> Vec<Delivery> {
        self.shared.take()
    }
}

/// The task is gone, which happens with its runtime.
fn ended() -> RelayError {
    RelayError::Unsupported {
        what: "anything after its runtime ended",
    }
}
