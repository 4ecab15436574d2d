//! An agent that sends and handles at the same time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use ctalk::{
    Client, Content, Draft, Error, Event, Work,
    clock::{Clock, SystemClock},
    core::{Card, CardStatement, Identity, Timestamp, XWingSecret},
    handler::{Attempt, Handler, Outcome},
    relay::{
        Relay,
        clawtalk::{BearerKey, ClawTalk},
    },
    store::EntryState,
};
use ctalk_relay::testing::TestRelay;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::{Handled, NAMES, Random, messages};

/// Messages that are put into the outbox before they are sent.
const BATCH: usize = 50;
/// How far an agent that has nothing to do moves the clock, in milliseconds.
const PAUSE: i64 = 10_000;
/// Long enough for the slowest machine; reached only when something is lost.
const PATIENCE: Duration = Duration::from_secs(900);
const DAY: u64 = 24 * 60 * 60 * 1000;

/// A clock that all agents share. Who sleeps moves it; leases go by the machine's own, because the
/// handlers of others take no time in which a lease could end.
#[derive(Clone)]
pub(crate) struct SetClock(Arc<AtomicI64>);

impl SetClock {
    pub(crate) const fn new(now: Arc<AtomicI64>) -> Self {
        Self(now)
    }
}

#[async_trait]
impl Clock for SetClock {
    fn now(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> i64 {
        SystemClock.monotonic()
    }

    async fn sleep(&self, duration: Duration) {
        let millis = i64::try_from(duration.as_millis()).unwrap();
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

pub(crate) struct Agent {
    name: String,
    client: Client,
    clock: SetClock,
    runtime: Runtime,
    sent: usize,
    _folder: TempDir,
}

impl Agent {
    pub(crate) fn register(relay: &TestRelay, name: &str, clock: &SetClock) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
        let xwing = XWingSecret::generate(&mut rng);
        let xwing_key = xwing.public_key().clone();
        let identity = Identity::generate(&mut rng).with_xwing(xwing);
        let keys = identity.public_keys();
        let key = relay.register(
            name,
            &keys.encryption().to_base64(),
            &keys.verifying().to_base64(),
        );
        let now = u64::try_from(clock.now()).unwrap();
        let statement = CardStatement {
            name,
            serial: 1,
            created: Timestamp::from_millis(now).unwrap(),
            expires: Timestamp::from_millis(now + 30 * DAY).unwrap(),
            addresses: &[],
        };
        let card = Card::sign(&identity, &xwing_key, &statement).unwrap();
        let clock_of_all = Arc::new(clock.clone());
        let key = BearerKey::new(key);
        let adapter = ClawTalk::new(&relay.url(), Some(key), clock_of_all.clone()).unwrap();
        runtime.block_on(adapter.publish(name, &card, &[])).unwrap();
        let folder = TempDir::new().unwrap();
        let store = folder.path().join("store.sqlite");
        Self {
            client: Client::new(name, identity, adapter, &store, clock_of_all).unwrap(),
            name: name.to_owned(),
            clock: clock.clone(),
            runtime,
            sent: 0,
            _folder: folder,
        }
    }

    /// Takes over the key cards of all others.
    pub(crate) fn pin_everybody(&mut self, names: &[&str]) {
        for name in names.iter().filter(|name| **name != self.name) {
            let pinned = self.client.add_contact(name, None);
            self.runtime.block_on(pinned).unwrap();
        }
    }

    /// Sends all its messages to the others and handles what comes, until everybody has everything.
    pub(crate) fn run(&mut self, mut random: Random, handled: &Handled) {
        let started = Instant::now();
        while !handled.is_all() {
            assert!(started.elapsed() < PATIENCE, "{} lost something", self.name);
            let is_busy = self.sent < messages();
            for _ in self.sent..messages().min(self.sent + BATCH) {
                self.enqueue(&mut random);
            }
            let Self {
                runtime, client, ..
            } = self;
            runtime.block_on(client.flush()).unwrap();
            let done = self.work(handled);
            if !is_busy && done == 0 {
                self.clock.0.fetch_add(PAUSE, Ordering::SeqCst);
            }
        }
    }

    fn enqueue(&mut self, random: &mut Random) {
        let others: Vec<_> = NAMES.iter().filter(|name| **name != self.name).collect();
        let to = others[usize::try_from(random.below(4)).unwrap()];
        let draft = Draft::new(Content::Text(self.sent.to_string()));
        let to = [(*to).to_owned()];
        let queued = self.client.enqueue(&to, &draft);
        let queued = self.runtime.block_on(queued).unwrap();
        queued.into_iter().for_each(|queued| drop(queued.unwrap()));
        self.sent += 1;
    }

    /// Handles what waits; says how much that was.
    fn work(&mut self, handled: &Handled) -> u64 {
        let noting = Noting {
            name: &self.name,
            handled,
        };
        let observe = |event: Event<'_>| {
            if let Event::Ended { state, .. } = event {
                assert_eq!(state, EntryState::Done);
            }
        };
        let work = Work::default();
        let worked = self
            .client
            .work(&work, &noting, std::future::pending(), observe);
        match self.runtime.block_on(worked) {
            Ok(worked) => worked.done,
            // An answer was lost.
            Err(Error::Relay(_)) => 0,
            Err(error) => panic!("{error}"),
        }
    }

    /// Takes what a relay that fails no more still has.
    pub(crate) fn finish(&mut self, handled: &Handled) {
        self.work(handled);
        let Self {
            runtime, client, ..
        } = self;
        runtime.block_on(client.flush()).unwrap();
        for state in [EntryState::New, EntryState::Running, EntryState::Dead] {
            let mut left = Vec::new();
            let visited = client
                .store()
                .each_entry(state, |entry| left.push(entry.number));
            visited.unwrap();
            assert!(left.is_empty(), "{}: {state:?}: {left:?}", self.name);
        }
    }
}

struct Noting<'a> {
    name: &'a str,
    handled: &'a Handled,
}

#[async_trait]
impl Handler for Noting<'_> {
    async fn handle(&self, attempt: &Attempt) -> Outcome {
        let message = &attempt.message;
        let Content::Text(number) = &message.payload else {
            panic!("{message:?}")
        };
        let from = message.from.clone().unwrap();
        self.handled
            .note(self.name, (from, number.parse().unwrap()));
        Outcome::Done { output: Vec::new() }
    }
}
