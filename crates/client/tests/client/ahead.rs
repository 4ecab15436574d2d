//! What is opened before its turn.

use std::{
    sync::{Arc, Mutex, mpsc},
    thread::{self, ThreadId},
    time::Duration,
};

use ctalk::{
    Client, Filter, Next, Reason, Receiving,
    core::{classic::Malformed, trust::Standing},
    relay::{Accepted, Delivery, Incoming, Outgoing, Relay, RelayError, clawtalk::ClawTalk},
    store::{Store, Stored},
};

use crate::{agents::body, scene::Scene};

/// How long a thread may take to begin.
const PATIENCE: Duration = Duration::from_secs(60);

/// A relay that tells of each message which another thread than the receiver's reads.
struct Watched {
    relay: ClawTalk,
    receiver: ThreadId,
    elsewhere: Mutex<mpsc::Sender<()>>,
}

#[async_trait::async_trait]
impl Relay for Watched {
    fn url(&self) -> &str {
        self.relay.url()
    }

    async fn send(&self, outgoing: &Outgoing) -> Result<Accepted, RelayError> {
        self.relay.send(outgoing).await
    }

    async fn fetch(&self, wait: Duration) -> Result<Vec<Delivery>, RelayError> {
        self.relay.fetch(wait).await
    }

    async fn acknowledge(&self, stored: Stored) -> Result<usize, RelayError> {
        self.relay.acknowledge(stored).await
    }

    fn read(&self, raw: &[u8]) -> Result<Incoming, Malformed> {
        if thread::current().id() != self.receiver {
            self.elsewhere.lock().unwrap().send(()).unwrap();
        }
        self.relay.read(raw)
    }
}

/// Bob, who knows alice and has two messages of hers at the relay, and what is read elsewhere.
async fn bob(scene: &mut Scene) -> (Client, mpsc::Receiver<()>) {
    scene.meet().await;
    for text in ["one", "two"] {
        scene.alice.say("bob", text).await.unwrap();
    }
    let (elsewhere, told) = mpsc::channel();
    let clock = Arc::new(scene.clock.clone());
    let watched = Watched {
        relay: ClawTalk::new(&scene.relay.url(), Some(scene.bob.key()), clock.clone()).unwrap(),
        receiver: thread::current().id(),
        elsewhere: Mutex::new(elsewhere),
    };
    let store = scene.bob.agent.folder.path().join("store.sqlite");
    let bob = Client::new("bob", scene.bob.identity(), watched, &store, clock);
    (bob.unwrap(), told)
}

/// Takes the first message, and waits until the second one is read elsewhere.
async fn take_one(bob: &mut Client, told: &mpsc::Receiver<()>) -> Receiving {
    bob.fetch(Duration::ZERO).await.unwrap();
    let mut receiving = bob.receive(Filter::default()).unwrap();
    let Some(Next::Message(one)) = bob.next(&mut receiving).await.unwrap() else {
        panic!("there is no message");
    };
    assert_eq!(body(&one.message), "one");
    told.recv_timeout(PATIENCE).unwrap();
    bob.commit(*one).unwrap();
    receiving
}

#[tokio::test]
async fn the_next_message_is_opened_while_one_is_in_hand() {
    let mut scene = Scene::new().await;
    let (mut bob, told) = bob(&mut scene).await;
    let mut receiving = take_one(&mut bob, &told).await;
    let Some(Next::Message(two)) = bob.next(&mut receiving).await.unwrap() else {
        panic!("there is no second message");
    };
    assert_eq!(body(&two.message), "two");
    bob.commit(*two).unwrap();
    assert!(bob.next(&mut receiving).await.unwrap().is_none());
    assert!(told.try_recv().is_err(), "something was opened twice");
}

#[tokio::test]
async fn what_was_opened_ahead_is_judged_in_its_turn() {
    let mut scene = Scene::new().await;
    let (mut bob, told) = bob(&mut scene).await;
    let mut receiving = take_one(&mut bob, &told).await;
    let path = scene.bob.agent.folder.path().join("store.sqlite");
    let mut store = Store::open(&path, None).unwrap();
    let alice = store.contact("alice").unwrap().unwrap();
    store
        .change_standing(&alice, |_| Standing::Blocked)
        .unwrap();
    let Some(Next::SetAside(aside)) = bob.next(&mut receiving).await.unwrap() else {
        panic!("a message of somebody blocked was handed over");
    };
    assert_eq!(aside.reason, Reason::Blocked);
}
