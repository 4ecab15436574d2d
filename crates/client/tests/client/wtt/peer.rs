//! Agents of the stand-in with key cards.

use std::{sync::Arc, time::Duration};

use ctalk::{
    Client, Draft, Error, Received, SetAside,
    clock::{Clock, SystemClock},
    core::{
        Card, Identity, XWingSecret,
        envelope::{self, Kind, Metadata},
        trust::Standing,
    },
    relay::wtt::{Credentials, Wtt, register},
    store::{Learned, NewContact},
};
use tempfile::TempDir;

use super::stand_in::StandIn;
use crate::{
    agents::{new_identity, receive_all, rng, text_draft},
    scene::{at, sign},
};

/// Longer than any test takes.
pub(crate) const LONG: Duration = Duration::from_secs(600);

/// An agent of the service with a key card.
pub(crate) struct Peer {
    pub(crate) credentials: Credentials,
    pub(crate) identity: Identity,
    pub(crate) card: Card,
    folder: TempDir,
    pub(crate) client: Client,
}

impl Peer {
    pub(crate) async fn register(service: &StandIn, name: &str) -> Self {
        let credentials = register(&service.url(), name).await.unwrap();
        let xwing = XWingSecret::generate(&mut rng());
        let identity = new_identity();
        let card = sign(&identity, &xwing, name, 1, SystemClock.now());
        let identity = identity.with_xwing(xwing);
        let folder = TempDir::new().unwrap();
        let client = client(service, &credentials, &identity, &folder);
        Self {
            credentials,
            identity,
            card,
            folder,
            client,
        }
    }

    pub(crate) fn id(&self) -> &str {
        self.credentials.agent()
    }

    /// The agent's connection, as another process has one.
    pub(crate) fn adapter(&self, service: &StandIn) -> Wtt {
        self.adapter_with(service, Arc::new(SystemClock))
    }

    pub(crate) fn adapter_with(&self, service: &StandIn, clock: Arc<dyn Clock>) -> Wtt {
        Wtt::new(&service.url(), self.credentials.clone(), None, clock).unwrap()
    }

    /// The same agent in a new process.
    pub(crate) fn restart(self, service: &StandIn) -> Self {
        drop(self.client);
        Self {
            client: client(service, &self.credentials, &self.identity, &self.folder),
            credentials: self.credentials,
            identity: self.identity,
            card: self.card,
            folder: self.folder,
        }
    }

    pub(crate) fn knows(&mut self, name: &str, other: &Self) {
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

    pub(crate) async fn send(&mut self, to: &str, draft: &Draft) -> Result<ctalk::Sent, Error> {
        let to = [to.to_owned()];
        self.client.send(&to, draft).await?.remove(0)
    }

    pub(crate) async fn say(&mut self, to: &str, text: &str) -> Result<ctalk::Sent, Error> {
        self.send(to, &text_draft(text)).await
    }

    /// Connects, so that what others send is pushed.
    pub(crate) async fn connect(&mut self, service: &StandIn) {
        self.client.fetch(Duration::from_millis(1)).await.unwrap();
        assert!(service.is_online(self.id()));
    }

    /// An envelope for a contact, as the service would get it.
    pub(crate) fn sealed_for(&self, name: &str, text: &str) -> String {
        let contact = self.client.store().contact(name).unwrap().unwrap();
        let now = SystemClock.now();
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
    pub(crate) async fn receive(&mut self, count: usize) -> (Vec<Received>, Vec<SetAside>) {
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
    service: &StandIn,
    credentials: &Credentials,
    identity: &Identity,
    folder: &TempDir,
) -> Client {
    let clock = Arc::new(SystemClock);
    let adapter = Wtt::new(&service.url(), credentials.clone(), None, clock).unwrap();
    let [xwing] = identity.xwing_secrets() else {
        panic!("there is one key")
    };
    let seed = xwing.seed();
    let identity = Identity::from_keygen_json(&identity.to_keygen_json())
        .unwrap()
        .with_xwing(XWingSecret::from_seed(&seed));
    Client::new(
        credentials.agent(),
        identity,
        adapter,
        &folder.path().join("store.sqlite"),
        Arc::new(SystemClock),
    )
    .unwrap()
}

pub(crate) async fn two(service: &StandIn) -> (Peer, Peer) {
    let mut alice = Peer::register(service, "alice").await;
    let mut bob = Peer::register(service, "bob").await;
    alice.knows("bob", &bob);
    bob.knows("alice", &alice);
    (alice, bob)
}
