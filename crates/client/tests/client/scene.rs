//! Agents with key cards at a real relay, on one clock.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use ctalk::{
    Client, Draft, Error, Received, SetAside,
    clock::Clock,
    core::{Card, CardStatement, Identity, Timestamp, XWingSecret},
    relay::clawtalk::{BearerKey, ClawTalk},
    wire::PatchAgent,
};
use ctalk_relay::testing::TestRelay;
use serde_json::Value;

use crate::agents::{Agent, rng, text_draft};

pub(crate) const NOW: i64 = 1_800_000_000_000;
pub(crate) const DAY: i64 = 24 * 60 * 60 * 1000;

/// A clock that every agent of a test shares.
#[derive(Clone)]
pub(crate) struct SetClock {
    now: Arc<AtomicI64>,
    monotonic: Arc<AtomicI64>,
}

impl SetClock {
    pub(crate) fn new() -> Self {
        Self {
            now: Arc::new(AtomicI64::new(NOW)),
            monotonic: Arc::new(AtomicI64::new(DAY)),
        }
    }

    pub(crate) fn advance(&self, millis: i64) {
        self.now.fetch_add(millis, Ordering::SeqCst);
        self.monotonic.fetch_add(millis, Ordering::SeqCst);
    }

    /// Shows another time, although none has passed.
    pub(crate) fn set(&self, now: i64) {
        self.now.store(now, Ordering::SeqCst);
    }

    /// Starts the machine anew, which takes no time.
    pub(crate) fn reboot(&self) {
        self.monotonic.store(0, Ordering::SeqCst);
    }
}

#[async_trait::async_trait]
impl Clock for SetClock {
    fn now(&self) -> i64 {
        self.now.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> i64 {
        self.monotonic.load(Ordering::SeqCst)
    }

    async fn sleep(&self, duration: Duration) {
        self.advance(i64::try_from(duration.as_millis()).unwrap());
    }
}

/// An agent with an X-Wing key and a card.
pub(crate) struct Native {
    pub(crate) agent: Agent,
    pub(crate) name: String,
    pub(crate) xwing: XWingSecret,
    pub(crate) card: Card,
}

impl Native {
    pub(crate) async fn register(
        relay: &TestRelay,
        name: &str,
        clock: &SetClock,
        publishes: bool,
    ) -> Self {
        let agent = Agent::register_with(relay, name, Arc::new(clock.clone()));
        let xwing = XWingSecret::generate(&mut rng());
        let card = sign(&agent.identity, &xwing, name, 1, NOW);
        let mut native = Self {
            agent,
            name: name.to_owned(),
            xwing,
            card,
        };
        native.agent.client = native.client(&relay.url(), clock);
        if publishes {
            native.publish(relay, &[native.card.to_text()], clock).await;
        }
        native
    }

    pub(crate) fn identity(&self) -> Identity {
        Identity::from_keygen_json(&self.agent.identity.to_keygen_json())
            .unwrap()
            .with_xwing(XWingSecret::from_seed(&self.xwing.seed()))
    }

    pub(crate) fn client(&self, url: &str, clock: &SetClock) -> Client {
        let relay = ClawTalk::new(url, Some(self.key()), Arc::new(clock.clone())).unwrap();
        let store = self.agent.folder.path().join("store.sqlite");
        Client::new(
            &self.name,
            self.identity(),
            relay,
            &store,
            Arc::new(clock.clone()),
        )
        .unwrap()
    }

    pub(crate) fn key(&self) -> BearerKey {
        BearerKey::new(self.agent.api_key.clone())
    }

    pub(crate) async fn publish(&self, relay: &TestRelay, cards: &[String], clock: &SetClock) {
        let adapter =
            ClawTalk::new(&relay.url(), Some(self.key()), Arc::new(clock.clone())).unwrap();
        let mut capabilities = vec!["chat".to_owned()];
        capabilities.extend_from_slice(cards);
        let patch = PatchAgent {
            capabilities: Some(capabilities),
            ..PatchAgent::default()
        };
        adapter.patch(&self.name, &patch).await.unwrap();
    }

    pub(crate) async fn send(
        &mut self,
        to: &[&str],
        draft: &Draft,
    ) -> Vec<Result<ctalk::Sent, Error>> {
        let names: Vec<String> = to.iter().map(|name| (*name).to_owned()).collect();
        self.agent.client.send(&names, draft).await.unwrap()
    }

    /// Sends one text to one agent.
    pub(crate) async fn say(&mut self, to: &str, text: &str) -> Result<ctalk::Sent, Error> {
        self.send(&[to], &text_draft(text)).await.remove(0)
    }

    pub(crate) async fn receive(&mut self) -> (Vec<Received>, Vec<SetAside>) {
        self.agent.receive_all().await
    }

    pub(crate) fn contact(&self, name: &str) -> Option<ctalk::store::Contact> {
        self.agent.client.store().contact(name).unwrap()
    }
}

pub(crate) fn sign(
    identity: &Identity,
    xwing: &XWingSecret,
    name: &str,
    serial: u64,
    created: i64,
) -> Card {
    let identity = Identity::from_keygen_json(&identity.to_keygen_json())
        .unwrap()
        .with_xwing(XWingSecret::from_seed(&xwing.seed()));
    let statement = CardStatement {
        name,
        serial,
        created: at(created),
        expires: at(created + 30 * DAY),
        addresses: &[],
    };
    Card::sign(&identity, xwing.public_key(), &statement).unwrap()
}

pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(u64::try_from(millis).unwrap()).unwrap()
}

pub(crate) struct Scene {
    pub(crate) relay: TestRelay,
    pub(crate) clock: SetClock,
    pub(crate) alice: Native,
    pub(crate) bob: Native,
}

/// A relay that is polled: where no time passes while something is waited for, nothing can be pushed.
pub(crate) async fn polled() -> TestRelay {
    TestRelay::builder().polled(true).start().await
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let (relay, clock) = (polled().await, SetClock::new());
        Self {
            alice: Native::register(&relay, "alice", &clock, true).await,
            bob: Native::register(&relay, "bob", &clock, true).await,
            relay,
            clock,
        }
    }

    /// Has alice write to bob, who pins her.
    pub(crate) async fn meet(&mut self) {
        self.alice.say("bob", "hello").await.unwrap();
        assert_eq!(self.bob.receive().await.0.len(), 1);
    }

    /// The clock's time, in milliseconds.
    pub(crate) fn now(&self) -> i64 {
        self.clock.now()
    }

    pub(crate) fn last_stored(&self) -> Value {
        serde_json::from_str(self.relay.stored().last().unwrap()).unwrap()
    }

    pub(crate) async fn one_refused(&mut self) -> SetAside {
        let (messages, mut set_aside) = self.bob.receive().await;
        assert!(messages.is_empty(), "{messages:?}");
        assert_eq!(set_aside.len(), 1, "{set_aside:?}");
        set_aside.remove(0)
    }
}
