//! One agent at several relays: what one of them loses goes over another, and nothing is handled twice.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use ctalk::{
    Admission, Agent, Class, Client, Error, Event, Pairing, Profile, Progress, Registration,
    Sending, Sent, Until, Via, Work,
    clock::{Clock, SystemClock},
    core::{Card, CardStatement, XWingSecret, pairing::Code},
    handler::{Attempt, Handler, Outcome},
    keystore::{Keystore, Kind, PassphraseSource},
    relay::clawtalk::BearerKey,
    store::OutboxEntry,
    wire::MessageType,
};
use ctalk_relay::testing::TestRelay;
use tempfile::TempDir;
use tokio::sync::Notify;

use crate::{
    agents::{body, new_identity, receive_all, rng, text_draft},
    opendialogue::stand_in::StandIn,
    scene::{DAY, at},
};

/// A relay of each kind.
struct Relays {
    claw: TestRelay,
    dialogue: StandIn,
}

impl Relays {
    async fn start() -> Self {
        Self {
            claw: TestRelay::start().await,
            dialogue: StandIn::start().await,
        }
    }
}

/// An agent with a profile on disk, registered at both relays.
struct Peer {
    folder: TempDir,
    agent: Agent,
}

impl Peer {
    /// Prefers the relay that is named first.
    async fn register(relays: &Relays, name: &str, order: [&str; 2]) -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("profile");
        let source = PassphraseSource::None;
        let identity = new_identity();
        let (mut profile, keystore) =
            Profile::create(&path, name, Kind::Plain, source, &identity).unwrap();
        for relay in order {
            let (url, admission) = match relay {
                "claw" => {
                    let key = BearerKey::new(relays.claw.admin_key());
                    (relays.claw.url(), Some(Admission::AdminKey(key)))
                }
                _ => (relays.dialogue.url(), None),
            };
            let (secrets, clock) = (keystore.read().unwrap(), Arc::new(SystemClock));
            let registering = ctalk::register(
                &mut profile,
                &keystore,
                &secrets,
                Registration {
                    url: &url,
                    relay_name: Some(relay),
                    admission,
                    owner: name,
                },
                clock,
            );
            registering.await.unwrap();
        }
        let agent = agent(&path);
        Self { folder, agent }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("profile")
    }

    /// The same agent in a new process.
    async fn restart(self) -> Self {
        let Self {
            folder,
            agent: mut old,
        } = self;
        old.close().await.unwrap();
        let agent = agent(&folder.path().join("profile"));
        Self { folder, agent }
    }

    fn card(&self) -> Card {
        let (profile, keystore) = (Profile::open(&self.path()).unwrap(), keystore(&self.path()));
        let secrets = keystore.read().unwrap();
        let now = u64::try_from(SystemClock.now()).unwrap();
        let now = ctalk::core::Timestamp::from_millis(now).unwrap();
        ctalk::own_card(&profile, &keystore, &secrets, now).unwrap()
    }

    /// Adds the other one by the card.
    fn knows(&mut self, other: &Self) {
        let identity = keystore(&self.path()).read().unwrap().unlock().unwrap();
        let card = other.card();
        let now = card.created();
        let store = self.first().store_mut();
        ctalk::add_contact(store, &identity, &card, None, now).unwrap();
    }

    fn first(&mut self) -> &mut Client {
        self.agent.clients_mut().next().unwrap()
    }

    async fn send(&mut self, to: &str, text: &str, via: Via<'_>) -> Result<Sent, Error> {
        let (to, draft) = ([to.to_owned()], text_draft(text));
        let sent = self.agent.send(&to, &draft, Sending::Now, via).await;
        sent?.remove(0)
    }

    async fn say(&mut self, to: &str, text: &str) -> Sent {
        self.send(to, text, Via::Preferred).await.unwrap()
    }

    fn outbox(&mut self) -> Vec<OutboxEntry> {
        let mut entries = Vec::new();
        let store = self.first().store();
        store.each_outgoing(|entry| entries.push(entry)).unwrap();
        entries
    }

    /// Handles what comes until so many messages were, and answers each where that is asked for; what they
    /// said, in order.
    async fn handle(&mut self, count: usize, replies: bool) -> Vec<String> {
        let counted = Counted::new(count);
        let work = Work {
            replies,
            until: FOLLOWING,
            ..Work::default()
        };
        let stop = counted.complete.notified();
        let worked = self.agent.work(&work, &counted, stop, quiet);
        let worked = tokio::time::timeout(LONG, worked).await;
        worked.expect("not all came").unwrap();
        counted.texts.into_inner().unwrap()
    }
}

const LONG: Duration = Duration::from_secs(60);
const FOLLOWING: Until = Until::Stopped {
    interval: Duration::from_millis(50),
    idle: None,
};

fn quiet(_: Event<'_>) {}

fn keystore(path: &std::path::Path) -> Keystore {
    Keystore::open(path, Kind::Plain, PassphraseSource::None)
        .unwrap()
        .0
}

fn agent(path: &std::path::Path) -> Agent {
    let (profile, keystore) = (Profile::open(path).unwrap(), keystore(path));
    let secrets = keystore.read().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    ctalk::agent(&profile, keystore, &secrets, None, &clock).unwrap()
}

/// Tells when so many messages were handled; each is answered with what it says.
struct Counted {
    count: usize,
    texts: Mutex<Vec<String>>,
    complete: Notify,
}

impl Counted {
    fn new(count: usize) -> Self {
        Self {
            count,
            texts: Mutex::default(),
            complete: Notify::new(),
        }
    }
}

#[async_trait]
impl Handler for Counted {
    async fn handle(&self, attempt: &Attempt) -> Outcome {
        let mut texts = self.texts.lock().unwrap();
        texts.push(body(&attempt.message));
        if texts.len() == self.count {
            self.complete.notify_one();
        }
        let output = format!("to {}", body(&attempt.message)).into_bytes();
        Outcome::Done { output }
    }
}

async fn two(relays: &Relays, order: [&str; 2]) -> (Peer, Peer) {
    let mut alice = Peer::register(relays, "alice", order).await;
    let mut bob = Peer::register(relays, "bob", order).await;
    alice.knows(&bob);
    bob.knows(&alice);
    (alice, bob)
}

#[tokio::test]
async fn a_message_goes_over_the_relay_that_the_recipients_card_names_first() {
    let relays = Relays::start().await;
    let (mut alice, _bob) = two(&relays, ["dialogue", "claw"]).await;
    let sent = alice.say("bob", "hello").await;
    assert_eq!(sent.via.as_deref(), Some("dialogue"));
    let relays = Relays::start().await;
    let (mut alice, _bob) = two(&relays, ["claw", "dialogue"]).await;
    let sent = alice.say("bob", "hello").await;
    assert_eq!(sent.via.as_deref(), Some("claw"));
}

#[tokio::test]
async fn the_relay_that_is_named_is_the_one_and_one_that_is_not_there_is_refused() {
    let relays = Relays::start().await;
    let (mut alice, mut bob) = two(&relays, ["claw", "dialogue"]).await;
    let sent = alice.send("bob", "hello", Via::Named("dialogue")).await;
    assert_eq!(sent.unwrap().state, Progress::Sent);
    assert!(relays.claw.stored().is_empty());
    let refused = alice.send("bob", "hello", Via::Named("other")).await;
    let refused = refused.unwrap_err();
    assert!(matches!(refused, Error::UnknownRelay { .. }), "{refused:?}");
    assert_eq!(refused.class(), Class::Usage);
    assert_eq!(bob.handle(1, false).await, ["hello"]);
}

#[tokio::test]
async fn a_conversation_that_loses_its_relay_goes_on_over_another() {
    let mut relays = Relays::start().await;
    let (mut alice, mut bob) = two(&relays, ["claw", "dialogue"]).await;
    assert_eq!(alice.say("bob", "1").await.via.as_deref(), Some("claw"));
    assert_eq!(bob.handle(1, true).await, ["1"]);
    assert_eq!(alice.handle(1, false).await, ["to 1"]);
    relays.claw.stop();
    let (mut alice, mut bob) = (alice.restart().await, bob.restart().await);
    assert_eq!(alice.say("bob", "2").await.via.as_deref(), Some("dialogue"));
    assert_eq!(bob.handle(1, true).await, ["2"]);
    assert_eq!(alice.handle(1, false).await, ["to 2"]);
    relays.claw.restart();
    let (mut alice, mut bob) = (alice.restart().await, bob.restart().await);
    assert_eq!(alice.say("bob", "3").await.via.as_deref(), Some("claw"));
    assert_eq!(bob.handle(1, true).await, ["3"]);
    assert_eq!(alice.handle(1, false).await, ["to 3"]);
    assert_eq!((alice.outbox().len(), bob.outbox().len()), (0, 0));
}

#[tokio::test]
async fn what_waits_for_a_recipient_goes_before_what_is_sent_over_another_relay() {
    let mut relays = Relays::start().await;
    let (mut alice, mut bob) = two(&relays, ["claw", "dialogue"]).await;
    alice.say("bob", "0").await;
    assert_eq!(bob.handle(1, false).await, ["0"]);
    let (to, draft) = (["bob".to_owned()], text_draft("1"));
    let queued = alice
        .agent
        .send(&to, &draft, Sending::Later, Via::Preferred)
        .await;
    assert_eq!(queued.unwrap().remove(0).unwrap().state, Progress::Queued);
    relays.claw.stop();
    let sent = alice.say("bob", "2").await;
    assert_eq!(sent.via.as_deref(), Some("dialogue"));
    assert_eq!(bob.restart().await.handle(2, false).await, ["1", "2"]);
    // What was moved left with it.
    for client in alice.agent.clients_mut() {
        client.flush().await.unwrap();
    }
    assert!(alice.outbox().is_empty(), "{:?}", alice.outbox());
}

#[tokio::test]
async fn what_goes_over_all_relays_runs_once() {
    let relays = Relays::start().await;
    let (mut alice, mut bob) = two(&relays, ["claw", "dialogue"]).await;
    for text in ["1", "2", "3"] {
        let sent = alice.send("bob", text, Via::All).await.unwrap();
        assert_eq!(sent.state, Progress::Sent);
    }
    assert_eq!((relays.claw.stored().len(), alice.outbox().len()), (3, 0));
    let mut texts = bob.handle(3, false).await;
    texts.sort_unstable();
    assert_eq!(texts, ["1", "2", "3"]);
    // Whatever else came is a copy.
    let work = Work {
        until: Until::Empty,
        ..Work::default()
    };
    let counted = Counted::new(1);
    let never = std::future::pending();
    let worked = bob.agent.work(&work, &counted, never, quiet).await.unwrap();
    assert_eq!(worked.done, 0);
}

#[tokio::test]
async fn over_all_relays_one_that_works_is_enough() {
    let mut relays = Relays::start().await;
    let (mut alice, bob) = two(&relays, ["claw", "dialogue"]).await;
    alice.send("bob", "0", Via::All).await.unwrap();
    relays.claw.stop();
    let sent = alice.send("bob", "1", Via::All).await.unwrap();
    assert_eq!(sent.state, Progress::Sent);
    let [waiting] = &alice.outbox()[..] else {
        panic!("{:?}", alice.outbox())
    };
    assert_eq!(waiting.id, sent.id);
    let mut texts = bob.restart().await.handle(2, false).await;
    texts.sort_unstable();
    assert_eq!(texts, ["0", "1"]);
}

#[tokio::test]
async fn who_was_added_by_the_card_is_answered_where_the_directory_shows_that_identity() {
    let relays = Relays::start().await;
    let (mut alice, mut bob) = two(&relays, ["claw", "dialogue"]).await;
    assert_eq!(
        bob.first()
            .store()
            .contact("alice")
            .unwrap()
            .unwrap()
            .address,
        None
    );
    alice.send("bob", "?", Via::Named("claw")).await.unwrap();
    assert_eq!(bob.handle(1, true).await, ["?"]);
    assert_eq!(relays.claw.stored().len(), 1);
    assert_eq!(alice.handle(1, false).await, ["to ?"]);
}

#[tokio::test]
async fn what_a_worker_owes_goes_over_a_relay_that_answers() {
    let mut relays = Relays::start().await;
    let (mut alice, mut bob) = two(&relays, ["claw", "dialogue"]).await;
    alice.say("bob", "hello").await;
    assert_eq!(bob.handle(1, false).await, ["hello"]);
    alice.say("bob", "question").await;
    // Bob has it, and nobody answers there any more.
    bob.first().fetch(Duration::ZERO).await.unwrap();
    relays.claw.stop();
    let mut bob = bob.restart().await;
    let (counted, answered) = (Counted::new(1), Counted::new(1));
    let work = |replies| Work {
        replies,
        until: FOLLOWING,
        ..Work::default()
    };
    let (asked, asking) = (work(true), work(false));
    let mut alice = alice.restart().await;
    let never = std::future::pending;
    let both = async {
        tokio::select! {
            worked = bob.agent.work(&asked, &counted, never(), quiet) => worked,
            worked = alice.agent.work(&asking, &answered, answered.complete.notified(), quiet) => worked,
        }
    };
    let ended = tokio::time::timeout(LONG, both).await;
    ended.expect("the answer never came").unwrap();
    assert_eq!(*answered.texts.lock().unwrap(), ["to question"]);
}

#[tokio::test]
async fn workers_at_several_relays_take_no_more_than_they_are_to_together() {
    let relays = Relays::start().await;
    let (mut alice, mut bob) = two(&relays, ["claw", "dialogue"]).await;
    for via in ["claw", "dialogue", "claw", "dialogue"] {
        alice.send("bob", via, Via::Named(via)).await.unwrap();
    }
    let work = Work {
        most: Some(3),
        until: FOLLOWING,
        concurrency: 2,
        ..Work::default()
    };
    let counted = Counted::new(usize::MAX);
    let worked = bob
        .agent
        .work(&work, &counted, std::future::pending(), quiet);
    let worked = tokio::time::timeout(LONG, worked)
        .await
        .expect("it goes on");
    assert_eq!(worked.unwrap().done, 3);
    assert_eq!(bob.restart().await.handle(1, false).await.len(), 1);
}

#[tokio::test]
async fn who_is_not_connected_has_the_process_that_is_hand_over_its_messages() {
    let relays = Relays::start().await;
    let (mut alice, mut bob) = two(&relays, ["dialogue", "claw"]).await;
    let mut beside = agent(&bob.path());
    let (counted, work) = (
        Counted::new(1),
        Work {
            until: FOLLOWING,
            ..Work::default()
        },
    );
    alice.say("bob", "are you there?").await;
    let stop = Notify::new();
    let working = bob.agent.work(&work, &counted, stop.notified(), quiet);
    let beside = async {
        counted.complete.notified().await;
        let (to, draft) = (["alice".to_owned()], text_draft("yes"));
        let sent = beside
            .send(&to, &draft, Sending::Now, Via::Named("dialogue"))
            .await;
        stop.notify_one();
        sent.unwrap().remove(0).unwrap()
    };
    let both = async { tokio::join!(working, beside) };
    let (worked, sent) = tokio::time::timeout(LONG, both)
        .await
        .expect("it waits for ever");
    worked.unwrap();
    assert_eq!(sent.state, Progress::Sent);
    assert_eq!(alice.handle(1, false).await, ["yes"]);
    // One of each of them.
    assert_eq!(relays.dialogue.connections(), 2);
}

#[tokio::test]
async fn a_relay_that_refuses_its_agent_does_not_stop_the_others() {
    let relays = Relays::start().await;
    let (mut alice, bob) = two(&relays, ["dialogue", "claw"]).await;
    let url = relays.claw.url();
    keystore(&bob.path())
        .update(|secrets| secrets.set_api_key(&url, "no key".to_owned().into()))
        .unwrap();
    alice.say("bob", "hello").await;
    assert_eq!(bob.restart().await.handle(1, false).await, ["hello"]);
}

#[tokio::test]
async fn a_response_goes_back_to_who_asked_over_whichever_relay() {
    let relays = Relays::start().await;
    let (mut alice, mut bob) = two(&relays, ["dialogue", "claw"]).await;
    let draft = ctalk::Draft {
        message_type: MessageType::Request,
        correlation_id: Some("7".to_owned()),
        ..text_draft("?")
    };
    let to = ["bob".to_owned()];
    let sent = alice
        .agent
        .send(&to, &draft, Sending::Now, Via::Preferred)
        .await;
    sent.unwrap().remove(0).unwrap();
    assert_eq!(bob.handle(1, true).await, ["?"]);
    assert_eq!(alice.handle(1, false).await, ["to ?"]);
}

#[tokio::test]
async fn an_address_on_a_card_leads_nobody_who_looks_for_its_owner_to_the_card() {
    let relays = Relays::start().await;
    let mut alice = Peer::register(&relays, "alice", ["claw", "dialogue"]).await;
    let carol = Peer::register(&relays, "carol", ["claw", "dialogue"]).await;
    let number = carol
        .card()
        .addresses()
        .find_map(|at| Some(at.split_once('#')?.1.to_owned()));
    let number = number.unwrap();
    let xwing = XWingSecret::generate(&mut rng());
    let identity = new_identity().with_xwing(XWingSecret::from_seed(&xwing.seed()));
    let addresses = [
        format!("{}#carol", relays.claw.url()),
        format!("{}#{number}", relays.dialogue.url()),
    ];
    let created = at(SystemClock.now());
    let statement = CardStatement {
        name: "mallory",
        serial: 1,
        created,
        expires: at(SystemClock.now() + DAY),
        addresses: &[&addresses[0], &addresses[1]],
    };
    let card = Card::sign(&identity, xwing.public_key(), &statement).unwrap();
    let me = keystore(&alice.path()).read().unwrap().unlock().unwrap();
    for client in alice.agent.clients_mut() {
        ctalk::add_contact(client.store_mut(), &me, &card, None, created).unwrap();
    }
    let unknown = alice
        .send(&number, "for carol", Via::Named("dialogue"))
        .await;
    let unknown = unknown.unwrap_err();
    assert!(
        matches!(unknown, Error::UnknownRecipient { .. }),
        "{unknown:?}"
    );
    let sent = alice
        .send("carol", "for carol", Via::Named("claw"))
        .await
        .unwrap();
    assert_eq!(sent.fingerprint, Some(carol.card().fingerprint().to_hex()));
}

#[tokio::test]
async fn over_all_relays_the_first_may_be_away_before_anything_was_sent() {
    let mut relays = Relays::start().await;
    let (mut alice, bob) = two(&relays, ["claw", "dialogue"]).await;
    relays.claw.stop();
    let sent = alice.send("bob", "hello", Via::All).await.unwrap();
    assert_eq!(sent.state, Progress::Sent);
    assert_eq!(bob.restart().await.handle(1, false).await, ["hello"]);
}

#[tokio::test]
async fn a_key_stands_for_what_one_relay_took_though_the_other_one_refused_it() {
    let relays = Relays::start().await;
    let (mut alice, mut bob) = two(&relays, ["claw", "dialogue"]).await;
    alice.say("bob", "0").await;
    assert_eq!(bob.handle(1, false).await, ["0"]);
    let url = relays.claw.url();
    keystore(&alice.path())
        .update(|secrets| secrets.set_api_key(&url, "no key".to_owned().into()))
        .unwrap();
    let mut alice = alice.restart().await;
    let draft = ctalk::Draft {
        idempotency_key: Some("k".to_owned()),
        ..text_draft("once")
    };
    let to = ["bob".to_owned()];
    for _ in 0..2 {
        let sent = alice.agent.send(&to, &draft, Sending::Now, Via::All).await;
        assert_eq!(sent.unwrap().remove(0).unwrap().state, Progress::Sent);
    }
    assert_eq!(bob.handle(1, false).await, ["once"]);
    let work = Work {
        until: Until::Empty,
        ..Work::default()
    };
    let counted = Counted::new(1);
    let never = std::future::pending();
    let worked = bob.agent.work(&work, &counted, never, quiet).await.unwrap();
    assert_eq!(worked.done, 0);
}

#[tokio::test]
async fn the_first_receipt_ends_the_copies_for_all_relays() {
    let mut relays = Relays::start().await;
    let (mut alice, mut bob) = two(&relays, ["claw", "dialogue"]).await;
    alice.say("bob", "0").await;
    assert_eq!(bob.handle(1, false).await, ["0"]);
    relays.claw.stop();
    let draft = ctalk::Draft {
        receipt: true,
        ..text_draft("hello")
    };
    let to = ["bob".to_owned()];
    let sent = alice.agent.send(&to, &draft, Sending::Now, Via::All).await;
    sent.unwrap().remove(0).unwrap();
    assert_eq!(alice.outbox().len(), 2);
    assert_eq!(bob.restart().await.handle(1, false).await, ["hello"]);
    // It holds the receipt alone.
    let mut receiving = alice
        .agent
        .into_client_for("bob", Via::Named("dialogue"))
        .unwrap();
    let mut fresh = 0;
    while fresh == 0 {
        fresh = receiving.fetch(LONG).await.unwrap();
    }
    let (messages, _) = receive_all(&mut receiving).await;
    assert!(messages.is_empty(), "{messages:?}");
    let mut left = 0;
    receiving.store().each_outgoing(|_| left += 1).unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn strangers_at_different_relays_are_found_in_one_call() {
    let relays = Relays::start().await;
    let other = TestRelay::start().await;
    let mut alice = Peer::register(&relays, "alice", ["claw", "dialogue"]).await;
    let _bob = Peer::register(&relays, "bob", ["claw", "dialogue"]).await;
    let path = alice.path();
    let mut profile = Profile::open(&path).unwrap();
    let keystore = keystore(&path);
    let registration = Registration {
        url: &other.url(),
        relay_name: Some("other"),
        admission: Some(Admission::AdminKey(BearerKey::new(other.admin_key()))),
        owner: "alice",
    };
    let (secrets, clock) = (keystore.read().unwrap(), Arc::new(SystemClock));
    ctalk::register(&mut profile, &keystore, &secrets, registration, clock)
        .await
        .unwrap();
    let _carol = crate::agents::Agent::register(&other, "carol");
    alice.agent = agent(&path);
    let (to, draft) = (
        ["bob", "nobody", "carol"].map(str::to_owned),
        text_draft("hello"),
    );
    let sent = alice
        .agent
        .send(&to, &draft, Sending::Now, Via::Preferred)
        .await;
    let sent = sent.unwrap();
    assert_eq!(sent[0].as_ref().unwrap().via.as_deref(), Some("claw"));
    assert!(
        matches!(sent[1], Err(Error::UnknownRecipient { .. })),
        "{sent:?}"
    );
    assert_eq!(sent[2].as_ref().unwrap().via.as_deref(), Some("other"));
}

#[tokio::test]
async fn a_pairing_code_names_the_address_that_the_relay_chose() {
    const LIFE: Duration = Duration::from_secs(600);
    let relays = Relays::start().await;
    let alice = Peer::register(&relays, "alice", ["claw", "dialogue"]).await;
    let bob = Peer::register(&relays, "bob", ["claw", "dialogue"]).await;
    let (alices, bobs) = (alice.card(), bob.card());
    let Peer {
        folder: _alices,
        agent,
    } = alice;
    let mut alice = agent.into_client_for("", Via::Named("dialogue")).unwrap();
    let Peer {
        folder: _bobs,
        agent,
    } = bob;
    let mut bob = agent.into_client_for("", Via::Named("dialogue")).unwrap();
    let inviting = Pairing::invite(&mut alice, alices, None, LIFE).await;
    let (inviting, code) = inviting.unwrap();
    let code = Code::parse(&code).unwrap();
    let joining = Pairing::join(&mut bob, code, bobs, None, LIFE)
        .await
        .unwrap();
    let (found, finder) = tokio::join!(inviting.wait(&mut alice), joining.wait(&mut bob));
    assert_eq!(
        (found.unwrap().name, finder.unwrap().name),
        ("bob".to_owned(), "alice".to_owned())
    );
}
