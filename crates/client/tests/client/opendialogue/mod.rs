//! ctalk over OpenDialogue: what that relay does, what it does wrong, and what others can have it do.

mod clocks;
mod connection;
mod crash;
mod hostile;
mod lists;
mod lossy;
pub(crate) mod stand_in;
mod words;

use std::{sync::Arc, time::Duration};

use ctalk::{
    Class, Client, Draft, Error, Received, SetAside,
    clock::{Clock, SystemClock},
    core::{
        Card, Identity, Timestamp, XWingSecret,
        envelope::{self, Kind, Metadata},
        trust::Standing,
    },
    relay::{
        Body, Destination, Outgoing, Relay, RelayError,
        opendialogue::{Credentials, OpenDialogue, register},
    },
    store::{Learned, NewContact},
    wire::MessageType,
};
use tempfile::TempDir;

use self::{clocks::Passing, stand_in::StandIn};
use crate::{
    agents::{body, new_identity, receive_all, rng, text_draft},
    scene::sign,
};

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(600);

/// An agent of the relay with a key card.
struct Peer {
    credentials: Credentials,
    identity: Identity,
    card: Card,
    folder: TempDir,
    client: Client,
}

impl Peer {
    async fn register(relay: &StandIn, name: &str) -> Self {
        Self::register_with(relay, name, Arc::new(SystemClock)).await
    }

    async fn register_with(relay: &StandIn, name: &str, clock: Arc<dyn Clock>) -> Self {
        let credentials = register(&relay.url(), name).await.unwrap();
        let xwing = XWingSecret::generate(&mut rng());
        let identity = new_identity();
        let card = sign(&identity, &xwing, name, 1, SystemClock.now());
        let identity = identity.with_xwing(xwing);
        let folder = TempDir::new().unwrap();
        let client = client(relay, &credentials, &identity, &folder, clock);
        Self {
            credentials,
            identity,
            card,
            folder,
            client,
        }
    }

    /// How many messages it has to send, or has no receipt for.
    fn outbox(&self) -> usize {
        let mut outgoing = 0;
        let store = self.client.store();
        store.each_outgoing(|_| outgoing += 1).unwrap();
        outgoing
    }

    /// Another client of the same agent, as another process has one.
    fn colleague(&self, relay: &StandIn, clock: Arc<dyn Clock>) -> Client {
        client(
            relay,
            &self.credentials,
            &self.identity,
            &self.folder,
            clock,
        )
    }

    fn id(&self) -> &str {
        self.credentials.agent()
    }

    /// The agent's end of the relay, for what needs no client.
    fn adapter(&self, relay: &StandIn) -> OpenDialogue {
        self.adapter_with(relay, Arc::new(SystemClock))
    }

    fn adapter_with(&self, relay: &StandIn, clock: Arc<dyn Clock>) -> OpenDialogue {
        OpenDialogue::new(&relay.url(), self.credentials.clone(), clock).unwrap()
    }

    /// The same agent in a new process.
    fn restart(self, relay: &StandIn) -> Self {
        let Self {
            credentials,
            identity,
            card,
            folder,
            client: former,
        } = self;
        drop(former);
        let client = client(
            relay,
            &credentials,
            &identity,
            &folder,
            Arc::new(SystemClock),
        );
        Self {
            credentials,
            identity,
            card,
            folder,
            client,
        }
    }

    fn knows(&mut self, name: &str, other: &Self) {
        let new = NewContact {
            name,
            address: Some(other.id()),
            keys: other.card.public_keys(),
            card: Some(&other.card),
            learned: Learned::Card,
            standing: Standing::Pinned,
        };
        self.client.store_mut().pin(new, SystemClock.now()).unwrap();
    }

    async fn send(&mut self, to: &str, draft: &Draft) -> Result<ctalk::Sent, Error> {
        let to = [to.to_owned()];
        self.client.send(&to, draft).await?.remove(0)
    }

    async fn say(&mut self, to: &str, text: &str) -> Result<ctalk::Sent, Error> {
        self.send(to, &text_draft(text)).await
    }

    /// Connects, so that what others send is pushed.
    async fn connect(&mut self, relay: &StandIn) {
        self.client.fetch(Duration::from_millis(1)).await.unwrap();
        assert!(relay.is_online(self.id()));
    }

    /// Waits until the relay's first connection is no longer the last.
    async fn until_it_connected_anew(&mut self, relay: &StandIn) {
        until(|| relay.connections() > 1).await;
        // What was wrong with the first one is said once.
        while self.client.fetch(Duration::from_millis(1)).await.is_err() {}
    }

    /// An envelope for a contact, as the relay would get it.
    fn sealed_for(&self, name: &str, text: &str) -> String {
        let contact = self.client.store().contact(name).unwrap().unwrap();
        let now = u64::try_from(SystemClock.now()).unwrap();
        let at = |millis| Timestamp::from_millis(millis).unwrap();
        let sealed = envelope::seal(
            &self.identity,
            [contact.card.as_ref().unwrap()],
            &Metadata::new(Kind::Notification, "text/plain"),
            text.as_bytes(),
            at(now),
            at(now + 60_000),
            &mut rng(),
        );
        envelope::to_text(&sealed.unwrap())
    }

    /// Waits until so many messages have come, and goes through them.
    async fn receive(&mut self, count: usize) -> (Vec<Received>, Vec<SetAside>) {
        let mut fresh = 0;
        while fresh < count {
            match self.client.fetch(LONG).await {
                Ok(stored) => fresh += stored,
                Err(Error::Relay(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
        receive_all(&mut self.client).await
    }
}

fn client(
    relay: &StandIn,
    credentials: &Credentials,
    identity: &Identity,
    folder: &TempDir,
    clock: Arc<dyn Clock>,
) -> Client {
    let adapter = OpenDialogue::new(&relay.url(), credentials.clone(), clock.clone()).unwrap();
    let [xwing] = identity.xwing_secrets() else {
        panic!("there is one key")
    };
    let seed = xwing.seed();
    let identity = Identity::from_keygen_json(&identity.to_keygen_json())
        .unwrap()
        .with_xwing(XWingSecret::from_seed(&seed));
    let store = folder.path().join("store.sqlite");
    Client::new(credentials.agent(), identity, adapter, &store, clock).unwrap()
}

async fn two(relay: &StandIn) -> (Peer, Peer) {
    let mut alice = Peer::register(relay, "alice").await;
    let mut bob = Peer::register(relay, "bob").await;
    alice.knows("bob", &bob);
    bob.knows("alice", &alice);
    (alice, bob)
}

#[tokio::test]
async fn a_message_is_pushed_to_who_is_there() {
    let relay = StandIn::start().await;
    let (mut alice, mut bob) = two(&relay).await;
    bob.connect(&relay).await;
    let sent = alice.say("bob", "hello").await.unwrap();
    let (messages, _) = bob.receive(1).await;
    let [message] = &messages[..] else {
        panic!("{messages:?}")
    };
    assert_eq!((body(message), &message.id), ("hello".to_owned(), &sent.id));
    assert_eq!(message.from.as_deref(), Some("alice"));
    assert_eq!(message.relay_from, alice.id());
    bob.say("alice", "and back").await.unwrap();
    assert_eq!(alice.receive(1).await.0.len(), 1);
}

#[tokio::test]
async fn what_waited_for_somebody_who_was_away_comes_in_a_run_that_ends_by_itself() {
    let relay = StandIn::start().await;
    let (mut alice, mut bob) = two(&relay).await;
    for text in ["1", "2", "3"] {
        alice.say("bob", text).await.unwrap();
    }
    assert_eq!(relay.waiting(bob.id()), 3);
    let (messages, _) = receive_all(&mut bob.client).await;
    let texts: Vec<_> = messages.iter().map(body).collect();
    assert_eq!(texts, ["1", "2", "3"]);
}

#[tokio::test]
async fn what_a_process_stored_is_there_after_it_died() {
    let relay = StandIn::start().await;
    let (mut alice, mut bob) = two(&relay).await;
    alice.say("bob", "hello").await.unwrap();
    while bob.client.fetch(LONG).await.unwrap() == 0 {}
    assert_eq!(relay.waiting(bob.id()), 0);
    let mut bob = bob.restart(&relay);
    let (messages, _) = receive_all(&mut bob.client).await;
    assert_eq!(messages.iter().map(body).collect::<Vec<_>>(), ["hello"]);
}

#[tokio::test]
async fn a_connection_that_only_sends_loses_nothing_of_what_it_empties() {
    let relay = StandIn::start().await;
    let (mut alice, mut bob) = two(&relay).await;
    alice.say("bob", "before").await.unwrap();
    bob.say("alice", "mine").await.unwrap();
    assert_eq!(relay.waiting(bob.id()), 0);
    let (messages, _) = receive_all(&mut bob.client).await;
    assert_eq!(messages.iter().map(body).collect::<Vec<_>>(), ["before"]);
}

#[tokio::test]
async fn more_messages_than_a_conversation_has_are_sent_in_one() {
    let relay = StandIn::start().await;
    let (mut alice, mut bob) = two(&relay).await;
    bob.connect(&relay).await;
    for number in 0..25 {
        alice.say("bob", &number.to_string()).await.unwrap();
    }
    assert_eq!(bob.receive(25).await.0.len(), 25);
}

#[tokio::test]
async fn where_the_relay_ends_a_conversation_another_one_begins_and_nothing_is_lost() {
    let relay = StandIn::start().await;
    let (mut alice, mut bob) = two(&relay).await;
    bob.connect(&relay).await;
    relay.switch(|switches| switches.turns = Some(2));
    for number in 0..5 {
        alice.say("bob", &number.to_string()).await.unwrap();
    }
    let (messages, _) = bob.receive(5).await;
    let texts: Vec<_> = messages.iter().map(body).collect();
    assert_eq!(texts, ["0", "1", "2", "3", "4"]);
}

#[tokio::test]
async fn where_every_conversation_ends_before_its_first_message_that_waits() {
    let relay = StandIn::start().await;
    let (mut alice, _bob) = two(&relay).await;
    relay.switch(|switches| switches.turns = Some(0));
    let error = alice.say("bob", "hello").await.unwrap_err();
    assert!(
        matches!(
            &error,
            Error::Queued {
                why: Some(RelayError::BadAnswer { .. }),
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn what_is_longer_than_a_message_goes_in_parts() {
    let relay = StandIn::start().await;
    relay.switch(|switches| switches.rate = Some(1000));
    let (mut alice, mut bob) = two(&relay).await;
    bob.connect(&relay).await;
    let long = "0123456789".repeat(10_000);
    let sending = alice.say("bob", &long);
    let receiving = async {
        loop {
            let (messages, _) = bob.receive(1).await;
            if !messages.is_empty() {
                break messages;
            }
        }
    };
    let (sent, messages) = tokio::join!(sending, receiving);
    sent.unwrap();
    assert_eq!(messages.iter().map(body).collect::<Vec<_>>(), [long]);
}

/// What says something to an agent.
fn saying(agent: &str, body: Body) -> Outgoing {
    Outgoing {
        to: Destination::Agent(agent.to_owned()),
        message_type: MessageType::Notification,
        topic: None,
        correlation_id: None,
        reply_to: None,
        ttl: None,
        body,
    }
}

/// Something that looks like an envelope.
fn sealed() -> Body {
    Body::Native("ctalk2:AA".to_owned())
}

/// Waits for something that comes, if it comes, without anything more being done.
async fn until(what: impl Fn() -> bool) {
    let waiting = async {
        while !what() {
            tokio::task::yield_now().await;
        }
    };
    let patience = Duration::from_secs(60);
    tokio::time::timeout(patience, waiting)
        .await
        .expect("it never comes");
}

#[tokio::test]
async fn whoever_sent_less_than_the_limit_and_is_refused_is_to_wait_for_a_whole_window() {
    let relay = StandIn::start().await;
    relay.switch(|switches| switches.rate = Some(1));
    let (alice, bob) = two(&relay).await;
    let (adapter, outgoing) = (alice.adapter(&relay), saying(bob.id(), sealed()));
    adapter.send(&outgoing).await.unwrap();
    let error = adapter.send(&outgoing).await.unwrap_err();
    let RelayError::RateLimited { pause } = error else {
        panic!("{error}")
    };
    assert_eq!(pause.as_secs(), 60);
}

#[tokio::test]
async fn a_rate_limit_lasts_until_the_oldest_message_that_it_counts_is_a_minute_old() {
    let relay = StandIn::start().await;
    let (alice, bob) = two(&relay).await;
    let clock = Arc::new(Passing::default());
    let (adapter, outgoing) = (
        alice.adapter_with(&relay, clock.clone()),
        saying(bob.id(), sealed()),
    );
    for _ in 0..60 {
        adapter.send(&outgoing).await.unwrap();
    }
    let after = async |millis| {
        clock.pass(millis);
        match adapter.send(&outgoing).await.unwrap_err() {
            RelayError::RateLimited { pause } => pause.as_millis(),
            error => panic!("{error}"),
        }
    };
    assert_eq!(after(10_000).await, 50_000);
    assert_eq!(
        after(49_999).await,
        1000,
        "it must not be asked again at once"
    );
}

#[tokio::test]
async fn a_clock_that_is_off_is_named_as_the_reason() {
    let relay = StandIn::start().await;
    let (mut alice, _bob) = two(&relay).await;
    relay.switch(|switches| switches.clock_ahead = 6 * 60 * 1000);
    let error = alice.say("bob", "late").await.unwrap_err();
    assert_eq!(error.class(), Class::RelayRefused);
    assert!(error.to_string().contains("clock"), "{error}");
}

#[tokio::test]
async fn an_agent_that_does_not_exist_gets_nothing() {
    let relay = StandIn::start().await;
    let mut alice = Peer::register(&relay, "alice").await;
    let mut bob = Peer::register(&relay, "bob").await;
    bob.credentials = Credentials::new("99999999", &"0".repeat(64)).unwrap();
    alice.knows("bob", &bob);
    let error = alice.say("bob", "hello").await.unwrap_err();
    assert_eq!(error.class(), Class::RelayRefused);
    assert!(error.to_string().contains("no such agent"), "{error}");
}

#[tokio::test]
async fn a_wrong_secret_is_refused_and_said_to_be_the_reason() {
    let relay = StandIn::start().await;
    let (alice, _bob) = two(&relay).await;
    let wrong = Credentials::new(alice.id(), &"0".repeat(64)).unwrap();
    let adapter = OpenDialogue::new(&relay.url(), wrong, Arc::new(SystemClock)).unwrap();
    let error = adapter.fetch(Duration::ZERO).await.unwrap_err();
    assert!(matches!(error, RelayError::Unauthorized { .. }), "{error}");
}

#[tokio::test]
async fn nothing_is_sent_in_the_clear_to_somebody_without_a_card() {
    let relay = StandIn::start().await;
    let mut alice = Peer::register(&relay, "alice").await;
    let bob = Peer::register(&relay, "bob").await;
    let error = alice.say(bob.id(), "hello").await.unwrap_err();
    assert_eq!(relay.waiting(bob.id()), 0);
    assert_ne!(error.class(), Class::Unexpected, "{error}");
}

#[tokio::test]
async fn a_line_that_breaks_is_made_anew_and_nothing_is_lost() {
    let relay = StandIn::start().await;
    let (mut alice, mut bob) = two(&relay).await;
    bob.connect(&relay).await;
    alice.say("bob", "1").await.unwrap();
    assert_eq!(bob.receive(1).await.0.len(), 1);
    relay.drop_connections();
    let mut alice = alice.restart(&relay);
    alice.say("bob", "2").await.unwrap();
    assert_eq!(bob.receive(1).await.0.len(), 1);
    let relay = relay.restart().await;
    let mut alice = alice.restart(&relay);
    alice.say("bob", "3").await.unwrap();
    let (messages, _) = bob.receive(1).await;
    assert_eq!(messages.iter().map(body).collect::<Vec<_>>(), ["3"]);
    assert!(relay.connections() > 4);
}
