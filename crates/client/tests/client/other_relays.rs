//! The client over relays that differ from ClawTalk's: no directory, no acknowledgements, messages
//! pushed unasked, names as they please; and two relays with one store.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use ctalk::{
    Class, Client, Error, Filter, Next, Reason,
    clock::SystemClock,
    core::{
        Identity,
        classic::{self, BoxKeys, Metadata},
    },
    relay::{Accepted, Body, Delivery, Destination, Outgoing, Relay, RelayError},
    store::{EntryState, Learned, NewContact, Store},
    wire::DirectoryEntry,
};
use serde_json::json;
use tempfile::TempDir;

use crate::agents::{body, new_identity, rng, text_draft};

/// A relay in memory that does only what a test gives it.
#[derive(Clone)]
struct Bare {
    url: &'static str,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    directory: Option<Vec<DirectoryEntry>>,
    waiting: Vec<Delivery>,
    pushed: Vec<Delivery>,
    sent: Vec<String>,
    fetches: usize,
}

#[async_trait::async_trait]
impl Relay for Bare {
    fn url(&self) -> &str {
        self.url
    }

    async fn send(&self, outgoing: &Outgoing) -> Result<Accepted, RelayError> {
        let Destination::Agent(name) = &outgoing.to else {
            panic!("nobody broadcasts here")
        };
        assert!(matches!(outgoing.body, Body::Classic(_)));
        self.state.lock().unwrap().sent.push(name.clone());
        Ok(Accepted {
            relay_id: None,
            ts: None,
        })
    }

    async fn fetch(&self, _wait: Duration) -> Result<Vec<Delivery>, RelayError> {
        let mut state = self.state.lock().unwrap();
        state.fetches += 1;
        Ok(state.waiting.clone())
    }

    fn take_buffered(&self) -> Vec<Delivery> {
        std::mem::take(&mut self.state.lock().unwrap().pushed)
    }

    async fn directory(&self) -> Result<Vec<DirectoryEntry>, RelayError> {
        let directory = self.state.lock().unwrap().directory.clone();
        directory.ok_or(RelayError::Unsupported {
            what: "a directory",
        })
    }
}

struct Scene {
    relay: Bare,
    me: Identity,
    folder: TempDir,
}

impl Scene {
    fn new() -> Self {
        Self {
            relay: bare("bare://one"),
            me: new_identity(),
            folder: TempDir::new().unwrap(),
        }
    }

    fn client(&self, relay: &Bare) -> Client {
        let me = Identity::from_keygen_json(&self.me.to_keygen_json()).unwrap();
        let store = self.folder.path().join("store.sqlite");
        Client::new("bob", me, relay.clone(), &store, Arc::new(SystemClock)).unwrap()
    }

    fn store(&self, relay: &Bare) -> Store {
        Store::open(&self.folder.path().join("store.sqlite"), Some(relay.url)).unwrap()
    }

    fn by(&self, name: &str, sender: &Identity, text: &str) -> Delivery {
        let metadata = Metadata {
            to: "bob",
            message_type: "request",
            topic: None,
            correlation_id: None,
        };
        let payload = serde_json::value::to_raw_value(&json!({ "text": text })).unwrap();
        let sealed = classic::seal(
            sender,
            &mut BoxKeys::default(),
            self.me.public_keys().encryption(),
            &metadata,
            &payload,
            &mut rng(),
        )
        .unwrap();
        let item = json!({
            "id": sealed.nonce, "from": name, "to": "bob", "type": "request", "encrypted": true,
            "payload": sealed.payload, "nonce": sealed.nonce, "signature": sealed.signature,
        });
        Delivery {
            relay_id: None,
            sent_at: None,
            raw: item.to_string().into_bytes().into(),
        }
    }
}

fn bare(url: &'static str) -> Bare {
    Bare {
        url,
        state: Arc::default(),
    }
}

fn listed(name: &str, identity: &Identity) -> DirectoryEntry {
    let keys = identity.public_keys();
    DirectoryEntry {
        name: name.to_owned(),
        public_key: Some(keys.encryption().to_base64()),
        signing_key: Some(keys.verifying().to_base64()),
        capabilities: Vec::new(),
        online: None,
        last_seen: None,
    }
}

fn pin(store: &mut Store, name: &str, identity: &Identity) {
    let new = NewContact {
        name,
        address: Some(name),
        keys: identity.public_keys(),
        card: None,
        learned: Learned::Accepted,
        standing: ctalk::core::trust::Standing::Pinned,
    };
    store.pin(new, 0).unwrap();
}

async fn run(client: &mut Client) -> (Vec<String>, Vec<Reason>) {
    let mut receiving = client.receive(Filter::default()).unwrap();
    let (mut bodies, mut reasons) = (Vec::new(), Vec::new());
    while let Some(next) = client.next(&mut receiving).await.unwrap() {
        match next {
            Next::Message(handover) | Next::Unauthenticated(handover) => {
                bodies.push(body(&handover.message));
                client.commit(*handover).unwrap();
            }
            Next::SetAside(aside) => reasons.push(aside.reason),
        }
    }
    (bodies, reasons)
}

#[tokio::test]
async fn without_a_directory_contacts_are_served_and_strangers_set_aside() {
    let scene = Scene::new();
    let (alice, stranger) = (new_identity(), new_identity());
    pin(&mut scene.store(&scene.relay), "alice", &alice);
    let waiting = vec![
        scene.by("stranger", &stranger, "hello?"),
        scene.by("alice", &alice, "hello"),
    ];
    scene.relay.state.lock().unwrap().waiting = waiting;
    let mut client = scene.client(&scene.relay);
    client.fetch(Duration::ZERO).await.unwrap();
    assert_eq!(
        run(&mut client).await,
        (vec!["hello".to_owned()], vec![Reason::UnknownSender])
    );

    let names = ["alice".to_owned(), "stranger".to_owned()];
    let outcomes = client.send(&names, &text_draft("hi")).await.unwrap();
    assert!(outcomes[0].is_ok());
    assert!(matches!(outcomes[1], Err(Error::UnknownRecipient { .. })));
    assert_eq!(scene.relay.state.lock().unwrap().sent, ["alice"]);
}

#[tokio::test]
async fn a_relay_without_acknowledgements_is_asked_once_and_heard_once() {
    let scene = Scene::new();
    let alice = new_identity();
    pin(&mut scene.store(&scene.relay), "alice", &alice);
    scene.relay.state.lock().unwrap().waiting = vec![scene.by("alice", &alice, "once")];
    let mut client = scene.client(&scene.relay);
    assert_eq!(client.fetch(Duration::ZERO).await.unwrap(), 1);
    assert_eq!(scene.relay.state.lock().unwrap().fetches, 1);
    assert_eq!(run(&mut client).await.0, ["once"]);
    // It shows the same page for ever; what was handled is not new.
    assert_eq!(client.fetch(Duration::ZERO).await.unwrap(), 0);
    assert_eq!(run(&mut client).await.0, Vec::<String>::new());
}

#[tokio::test]
async fn what_a_relay_pushes_while_something_is_sent_is_stored() {
    let scene = Scene::new();
    let alice = new_identity();
    pin(&mut scene.store(&scene.relay), "alice", &alice);
    scene.relay.state.lock().unwrap().pushed = vec![scene.by("alice", &alice, "pushed")];
    let mut client = scene.client(&scene.relay);
    client
        .send(&["alice".to_owned()], &text_draft("hi"))
        .await
        .unwrap();
    drop(client);
    assert_eq!(run(&mut scene.client(&scene.relay)).await.0, ["pushed"]);
}

#[tokio::test]
async fn a_name_in_other_letters_never_stands_in_for_a_contact() {
    let scene = Scene::new();
    let (alice, mallory) = (new_identity(), new_identity());
    scene.relay.state.lock().unwrap().directory = Some(vec![listed("Alice", &alice)]);
    let mut client = scene.client(&scene.relay);
    let to_alice = ["alice".to_owned()];
    assert!(
        client.send(&to_alice, &text_draft("1")).await.unwrap()[0]
            .as_ref()
            .unwrap()
            .pinned
    );
    for name in ["alice", "\u{430}lice", "Alice ", "-alice", "x;$(reboot)"] {
        let entries = vec![listed("Alice", &alice), listed(name, &mallory)];
        {
            let mut state = scene.relay.state.lock().unwrap();
            state.directory = Some(entries);
            state.waiting = vec![scene.by(name, &mallory, "hi")];
            state.sent.clear();
        }
        client.fetch(Duration::ZERO).await.unwrap();
        let (bodies, reasons) = run(&mut client).await;
        assert!(bodies.is_empty(), "{name}");
        assert!(
            matches!(reasons[..], [Reason::KeyConflict | Reason::UnknownSender]),
            "{name}: {reasons:?}"
        );
        let outcome = client
            .send(&[name.to_owned()], &text_draft("x"))
            .await
            .unwrap()
            .remove(0);
        match outcome {
            Ok(sent) => assert_eq!((sent.to.as_str(), sent.pinned), ("Alice", false), "{name}"),
            Err(error) => assert_eq!(error.class(), Class::NotTrusted, "{name}: {error}"),
        }
        let sent = scene.relay.state.lock().unwrap().sent.clone();
        assert!(sent.iter().all(|to| to == "Alice"), "{name}: {sent:?}");
    }
    let contacts = client.store().contacts().unwrap();
    assert_eq!(contacts.len(), 1);
    assert_eq!(contacts[0].keys, *alice.public_keys());
    // Whoever knows the fingerprint may still pin an unusual name.
    let fingerprint = mallory.public_keys().fingerprint();
    client.accept_key("x;$(reboot)", fingerprint).await.unwrap();
}

#[tokio::test]
async fn messages_and_names_of_two_relays_are_kept_apart() {
    let scene = Scene::new();
    let other = bare("bare://two");
    let (alice, namesake) = (new_identity(), new_identity());
    scene.relay.state.lock().unwrap().directory = Some(vec![listed("alice", &alice)]);
    other.state.lock().unwrap().directory = Some(vec![listed("alice", &namesake)]);
    scene.relay.state.lock().unwrap().waiting = vec![scene.by("alice", &alice, "from one")];

    let mut at_one = scene.client(&scene.relay);
    at_one.fetch(Duration::ZERO).await.unwrap();
    let mut at_two = scene.client(&other);
    assert_eq!(run(&mut at_two).await, (vec![], vec![]));
    assert_eq!(run(&mut at_one).await.0, ["from one"]);

    // The namesake is another person, and cannot take the contact's place.
    let error = at_two
        .send(&["alice".to_owned()], &text_draft("x"))
        .await
        .unwrap()
        .remove(0);
    assert!(matches!(error, Err(Error::NameTaken { .. })), "{error:?}");
    let error = at_two
        .accept_key("alice", namesake.public_keys().fingerprint())
        .await;
    assert!(matches!(error, Err(Error::NameTaken { .. })), "{error:?}");
    assert_eq!(
        at_one.store().contact("alice").unwrap().unwrap().keys,
        *alice.public_keys()
    );

    // The same person at both relays is one contact.
    other.state.lock().unwrap().directory = Some(vec![listed("alice", &alice)]);
    at_two
        .send(&["alice".to_owned()], &text_draft("x"))
        .await
        .unwrap()
        .remove(0)
        .unwrap();
    assert_eq!(at_two.store().contacts().unwrap().len(), 1);
}

#[test]
fn an_id_of_digits_means_the_local_number_alone() {
    let scene = Scene::new();
    let mut store = scene.store(&scene.relay);
    let delivery = |id: &str, raw: &str| Delivery {
        relay_id: Some(id.to_owned()),
        sent_at: None,
        raw: raw.as_bytes().into(),
    };
    let _ = store
        .admit(&[delivery("2", "a"), delivery("b", "b")], 0)
        .unwrap();
    let raws = |id: &str| {
        let entries = store.entries_named(id).unwrap();
        entries
            .into_iter()
            .map(|entry| entry.raw)
            .collect::<Vec<_>>()
    };
    assert_eq!(raws("2"), [b"b".to_vec()]);
    assert_eq!(raws("1"), [b"a".to_vec()]);
    assert_eq!(raws("b"), [b"b".to_vec()]);
}

#[test]
fn many_processes_may_meet_the_same_agent_at_once() {
    let scene = Scene::new();
    let alice = new_identity();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| pin(&mut scene.store(&scene.relay), "alice", &alice));
        }
    });
    assert_eq!(scene.store(&scene.relay).contacts().unwrap().len(), 1);
}

#[test]
fn the_store_and_its_side_files_are_private_and_synchronous() {
    use std::os::unix::fs::PermissionsExt;
    let scene = Scene::new();
    let mut store = scene.store(&scene.relay);
    pin(&mut store, "alice", &new_identity());
    let mut files = 0;
    for file in std::fs::read_dir(scene.folder.path()).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", file.path());
        files += 1;
    }
    assert_eq!(files, 3, "the database, its log and its index");
    drop(store);
    let db = rusqlite::Connection::open(scene.folder.path().join("store.sqlite")).unwrap();
    let mode: String = db
        .pragma_query_value(None, "journal_mode", |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "wal");
}

#[test]
fn a_store_from_a_newer_version_is_refused_and_left_alone() {
    let scene = Scene::new();
    drop(scene.store(&scene.relay));
    let path = scene.folder.path().join("store.sqlite");
    let db = rusqlite::Connection::open(&path).unwrap();
    db.pragma_update(None, "user_version", 999).unwrap();
    drop(db);
    let error = Store::open(&path, None).err().unwrap();
    assert_eq!(Error::from(error).class(), Class::LocalStore);
    let db = rusqlite::Connection::open(&path).unwrap();
    let version: i64 = db
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(version, 999);
}

#[test]
fn the_clients_futures_can_be_spawned() {
    fn is_send<T: Send>(_: T) {}
    let scene = Scene::new();
    let mut client = scene.client(&scene.relay);
    let (names, draft) = (["alice".to_owned()], text_draft("x"));
    is_send(client.send(&names, &draft));
    is_send(client.send_plaintext(&names, &draft));
    is_send(client.broadcast_plaintext(&draft));
    is_send(client.everyone_else());
    is_send(client.fetch(Duration::ZERO));
    is_send(client.peek(Filter::default()));
    let mut receiving = client.receive(Filter::default()).unwrap();
    is_send(client.next(&mut receiving));
}

#[tokio::test]
async fn a_set_aside_message_is_kept_as_received_and_can_be_retried_once_done() {
    let scene = Scene::new();
    let alice = new_identity();
    let delivery = scene.by("alice", &alice, "patience");
    scene.relay.state.lock().unwrap().waiting = vec![delivery.clone()];
    let mut client = scene.client(&scene.relay);
    client.fetch(Duration::ZERO).await.unwrap();
    assert_eq!(run(&mut client).await.1, [Reason::UnknownSender]);
    let mut kept = Vec::new();
    client
        .store()
        .each_entry(EntryState::Quarantined, |entry| kept.push(entry))
        .unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].raw, delivery.raw.as_ref());
    pin(client.store_mut(), "alice", &alice);
    client.store_mut().retry(kept[0].number).unwrap();
    assert_eq!(run(&mut client).await.0, ["patience"]);
    client.store_mut().retry(kept[0].number).unwrap();
    assert_eq!(
        run(&mut client).await.0,
        Vec::<String>::new(),
        "done is done"
    );
}
