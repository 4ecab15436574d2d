//! An agent that sends and handles at the same time.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use ctalk::{
    Client, Content, Draft, Error, Event, Work,
    clock::Clock,
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

use crate::{Handled, NAMES, Random};

/// Messages that an agent puts into its outbox in one round.
const BATCH: usize = 50;
/// One of so many messages is handled only at the second attempt.
const TRIED_TWICE: usize = 20;
const DAY: u64 = 24 * 60 * 60 * 1000;

/// A clock that all agents share, and that moves between rounds only.
#[derive(Clone)]
pub(crate) struct SetClock(Arc<AtomicI64>);

impl SetClock {
    pub(crate) fn new(now: i64) -> Self {
        Self(Arc::new(AtomicI64::new(now)))
    }

    pub(crate) fn advance(&self, duration: Duration) {
        let millis = i64::try_from(duration.as_millis()).unwrap();
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

#[async_trait]
impl Clock for SetClock {
    fn now(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> i64 {
        self.now()
    }

    async fn sleep(&self, duration: Duration) {
        assert!(duration.is_zero(), "nobody waits within a round");
    }
}

pub(crate) struct Agent {
    name: &'static str,
    client: Client,
    random: Random,
    /// How many messages were put into the outbox.
    pub(crate) sent: usize,
    _folder: TempDir,
}

impl Agent {
    pub(crate) async fn register(
        relay: &TestRelay,
        name: &'static str,
        clock: &SetClock,
        random: Random,
    ) -> Self {
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
        let clock = Arc::new(clock.clone());
        let key = BearerKey::new(key);
        let adapter = ClawTalk::new(&relay.url(), Some(key), clock.clone()).unwrap();
        adapter.publish(name, &card, &[]).await.unwrap();
        let folder = TempDir::new().unwrap();
        let store = folder.path().join("store.sqlite");
        Self {
            client: Client::new(name, identity, adapter, &store, clock).unwrap(),
            name,
            random,
            sent: 0,
            _folder: folder,
        }
    }

    /// Takes over the key cards of all others.
    pub(crate) async fn pin_everybody(&mut self) {
        for name in NAMES.iter().filter(|name| **name != self.name) {
            self.client.add_contact(name, None).await.unwrap();
        }
    }

    /// Puts some more messages into the outbox, `messages` in all, sends what is due, handles what comes
    /// and answers it. Says how many messages that were.
    pub(crate) async fn round(&mut self, messages: usize, handled: &Handled) -> u64 {
        let before = self.sent;
        while self.sent < messages.min(before + BATCH) {
            self.enqueue().await;
        }
        let enqueued = u64::try_from(self.sent - before).unwrap();
        enqueued + self.work(handled).await
    }

    async fn enqueue(&mut self) {
        let others: Vec<_> = NAMES.iter().filter(|name| **name != self.name).collect();
        let to = others[usize::try_from(self.random.below(4)).unwrap()];
        let draft = Draft {
            receipt: true,
            ..Draft::new(Content::Text(self.sent.to_string()))
        };
        let to = [(*to).to_owned()];
        let queued = self.client.enqueue(&to, &draft).await.unwrap();
        queued.into_iter().for_each(|queued| drop(queued.unwrap()));
        self.sent += 1;
    }

    async fn work(&mut self, handled: &Handled) -> u64 {
        let noting = Noting {
            name: self.name,
            handled,
        };
        let observe = |event: Event<'_>| {
            if let Event::Ended { state, .. } = event {
                assert!(matches!(state, EntryState::Done | EntryState::New));
            }
        };
        let work = Work::default();
        let worked = self
            .client
            .work(&work, &noting, std::future::pending(), observe);
        match worked.await {
            Ok(worked) => worked.done,
            // A look at the relay was lost.
            Err(Error::Relay(_)) => 0,
            Err(error) => panic!("{error}"),
        }
    }

    /// How many messages are in the outbox: to be sent, or without their receipt.
    pub(crate) fn outbox(&self) -> usize {
        let mut outgoing = 0;
        let store = self.client.store();
        store.each_outgoing(|_| outgoing += 1).unwrap();
        outgoing
    }

    /// The relay's ids of the messages in the inbox that are in that state.
    pub(crate) fn inbox(&self, state: EntryState) -> BTreeSet<String> {
        let mut ids = BTreeSet::new();
        let store = self.client.store();
        let visited = store.each_entry(state, |entry| ids.extend(entry.relay_id));
        visited.unwrap();
        ids
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
        let number = number.parse().unwrap();
        if number % TRIED_TWICE == 0 && attempt.number == 1 {
            let why = "not now".to_owned();
            return Outcome::Retry { why, after: None };
        }
        let from = message.from.clone().unwrap();
        self.handled.note(self.name, from, number);
        Outcome::Done { output: Vec::new() }
    }
}
