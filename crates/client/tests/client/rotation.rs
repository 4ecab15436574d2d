//! Own keys that are replaced and destroyed, and how contacts learn of it.

use std::{fs, path::Path, sync::Arc, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use ctalk::{
    Admission, Class, Client, Error, Profile, Reason, Registration, Retired,
    core::{
        Card, Identity, Timestamp,
        envelope::{self, Envelope, OpenError, Opened},
    },
    keystore::{Keystore, Kind, Passphrase, PassphraseSource, Secrets},
    relay::clawtalk::{BearerKey, ClawTalk},
};
use ctalk_relay::testing::TestRelay;
use serde_json::Value;
use tempfile::TempDir;
use zeroize::Zeroizing;

use crate::{
    agents::{body, new_identity, receive_all, text_draft},
    scene::{DAY, NOW, SetClock, at, polled},
};

/// Age at which a key is replaced.
const ROTATION: i64 = 7 * DAY;
/// When a key that was replaced after that time is destroyed, after its card was made.
const DESTRUCTION: i64 = 60 * DAY + 5 * 60 * 1000;

/// An agent with a profile on disk.
struct Peer {
    folder: TempDir,
    kind: Kind,
    clock: SetClock,
    url: String,
    client: Client,
}

impl Peer {
    async fn register(relay: &TestRelay, name: &str, clock: &SetClock, kind: Kind) -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("profile");
        let secrets = Secrets::new(new_identity().to_keygen_json());
        let keystore = Keystore::create(&path, kind, passphrase(), &secrets).unwrap();
        let mut profile = Profile::begin(&path, name, kind).unwrap();
        let admission = Admission::AdminKey(BearerKey::new(relay.admin_key()));
        let (url, time) = (relay.url(), Arc::new(clock.clone()));
        ctalk::register(
            &mut profile,
            &keystore,
            &secrets,
            Registration {
                url: &url,
                relay_name: None,
                admission: Some(admission),
                owner: name,
            },
            time,
        )
        .await
        .unwrap();
        Self {
            client: connect(&path, kind, &url, clock),
            folder,
            kind,
            clock: clock.clone(),
            url,
        }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("profile")
    }

    /// The same agent in a new process.
    fn restart(&mut self) {
        self.client = connect(&self.path(), self.kind, &self.url, &self.clock);
    }

    fn open(&self) -> (Profile, Keystore, Secrets) {
        let (keystore, secrets) = Keystore::open(&self.path(), self.kind, passphrase()).unwrap();
        (Profile::open(&self.path()).unwrap(), keystore, secrets)
    }

    /// The identity with all keys that are left on disk.
    fn identity(&self) -> Identity {
        self.open().2.unlock().unwrap()
    }

    fn card(&self) -> Card {
        Card::from_text(self.open().2.card().unwrap()).unwrap()
    }

    /// What another process of this profile does, up to a crash before it publishes.
    fn rotate_elsewhere(&self, retired: Retired) -> usize {
        let (profile, keystore, _) = self.open();
        let now = at(ctalk::clock::Clock::now(&self.clock));
        let rotated = ctalk::rotate(&profile, &keystore, retired, now).unwrap();
        rotated.destroyed
    }

    fn relay(&self, secrets: &Secrets) -> ClawTalk {
        let key = BearerKey::new(secrets.api_key(&self.url).unwrap());
        ClawTalk::new(&self.url, Some(key), Arc::new(self.clock.clone())).unwrap()
    }

    async fn publish_elsewhere(&self) {
        let (profile, keystore, secrets) = self.open();
        let relay = self.relay(&secrets);
        let now = at(ctalk::clock::Clock::now(&self.clock));
        ctalk::publish(&profile, &keystore, &secrets, &relay, now)
            .await
            .unwrap();
    }

    async fn say(&mut self, to: &str, text: &str) {
        let outcomes = self.client.send(&[to.to_owned()], &text_draft(text)).await;
        outcomes.unwrap().remove(0).unwrap();
    }

    async fn hear(&mut self) -> Vec<String> {
        let (messages, set_aside) = receive_all(&mut self.client).await;
        assert!(set_aside.is_empty(), "{set_aside:?}");
        messages.iter().map(body).collect()
    }

    /// The card that this agent holds of a contact.
    fn card_of(&self, name: &str) -> Card {
        let contact = self.client.store().contact(name).unwrap().unwrap();
        contact.card.unwrap()
    }
}

fn passphrase() -> PassphraseSource<'static> {
    let text = Zeroizing::new("a passphrase".to_owned());
    PassphraseSource::Given(Passphrase::new(text).unwrap())
}

fn connect(folder: &Path, kind: Kind, url: &str, clock: &SetClock) -> Client {
    let profile = Profile::open(folder).unwrap();
    let (keystore, secrets) = Keystore::open(folder, kind, passphrase()).unwrap();
    let clock = Arc::new(clock.clone());
    ctalk::client(&profile, keystore, &secrets, url, None, clock).unwrap()
}

struct Scene {
    relay: TestRelay,
    clock: SetClock,
    alice: Peer,
    bob: Peer,
}

impl Scene {
    async fn new() -> Self {
        Self::with(Kind::Plain).await
    }

    /// With this key store of bob's.
    async fn with(kind: Kind) -> Self {
        let (relay, clock) = (polled().await, SetClock::new());
        Self {
            alice: Peer::register(&relay, "alice", &clock, Kind::Plain).await,
            bob: Peer::register(&relay, "bob", &clock, kind).await,
            relay,
            clock,
        }
    }

    /// The envelope that was sent last, as the relay holds it.
    fn last_envelope(&self) -> Vec<u8> {
        let stored: Value = serde_json::from_str(self.relay.stored().last().unwrap()).unwrap();
        envelope::from_text(stored["payload"].as_str().unwrap()).unwrap()
    }

    fn listed_card(&self, name: &str) -> String {
        let capabilities = self.relay.agent_capabilities(name);
        let [card] = capabilities.as_slice() else {
            panic!("{capabilities:?}");
        };
        card.clone()
    }
}

fn open(envelope: &[u8], identity: &Identity) -> Result<Opened, OpenError> {
    let envelope = Envelope::parse(envelope).unwrap();
    let created: Timestamp = envelope.claims().created;
    envelope.verify().unwrap().open(identity, created)
}

/// The seeds of all X-Wing keys in a plain key store.
fn seeds(profile: &Path) -> Vec<Vec<u8>> {
    let json = fs::read(profile.join("keys.plain.json")).unwrap();
    let store: Value = serde_json::from_slice(&json).unwrap();
    let retired = store["retired"].as_array().into_iter().flatten();
    retired
        .chain([&store["xwing"]])
        .map(|key| hex::decode(key["seed"].as_str().unwrap()).unwrap())
        .collect()
}

/// Whether a file of the folder holds these bytes, as they are or in a usual encoding.
fn is_left(folder: &Path, secret: &[u8]) -> bool {
    let forms = [
        secret.to_vec(),
        hex::encode(secret).into_bytes(),
        BASE64_STANDARD.encode(secret).into_bytes(),
    ];
    let holds = |path: &Path| {
        let content = fs::read(path).unwrap();
        forms
            .iter()
            .any(|form| content.windows(form.len()).any(|part| part == form))
    };
    fs::read_dir(folder)
        .unwrap()
        .any(|entry| holds(&entry.unwrap().path()))
}

#[tokio::test]
async fn what_was_sealed_to_a_destroyed_key_opens_with_nothing_that_is_left() {
    for kind in [Kind::Plain, Kind::File] {
        let mut scene = Scene::with(kind).await;
        scene.alice.say("bob", "secret").await;
        let (sealed, start) = (scene.last_envelope(), scene.clock.clone());
        let seed = (kind == Kind::Plain).then(|| seeds(&scene.bob.path()).remove(0));

        start.advance(ROTATION);
        scene.bob.client.refresh().await.unwrap();
        start.advance(DESTRUCTION - ROTATION - 1);
        scene.bob.client.refresh().await.unwrap();
        let opened = open(&sealed, &scene.bob.identity()).unwrap();
        assert_eq!(opened.payload, b"secret");
        if let Some(seed) = &seed {
            assert!(is_left(&scene.bob.path(), seed));
        }

        start.advance(1);
        scene.bob.client.refresh().await.unwrap();
        let error = open(&sealed, &scene.bob.identity()).err().unwrap();
        assert_eq!(error, OpenError::NotForMe);
        if let Some(seed) = &seed {
            assert!(!is_left(&scene.bob.path(), seed));
        }
    }
}

#[tokio::test]
async fn destroying_at_once_ends_what_waits_in_the_inbox_too() {
    let mut scene = Scene::new().await;
    scene.alice.say("bob", "secret").await;
    let sealed = scene.last_envelope();
    scene.bob.client.fetch(Duration::ZERO).await.unwrap();
    let seed = seeds(&scene.bob.path()).remove(0);
    assert_eq!(scene.bob.rotate_elsewhere(Retired::Destroy), 1);
    scene.bob.restart();
    let (messages, set_aside) = receive_all(&mut scene.bob.client).await;
    assert!(messages.is_empty(), "{messages:?}");
    assert_eq!(set_aside[0].reason, Reason::CannotOpen);
    assert_eq!(
        open(&sealed, &scene.bob.identity()).err(),
        Some(OpenError::NotForMe)
    );
    assert!(!is_left(&scene.bob.path(), &seed));
}

#[tokio::test]
async fn what_is_sealed_to_a_retired_key_still_opens() {
    let mut scene = Scene::new().await;
    scene.alice.say("bob", "before").await;
    let old = scene.bob.card();
    scene.bob.rotate_elsewhere(Retired::Keep);
    assert_ne!(scene.bob.card().xwing_key(), old.xwing_key());
    // Alice need not ask the directory within a day.
    scene.alice.say("bob", "after").await;
    assert_eq!(scene.alice.card_of("bob"), old);
    scene.bob.restart();
    assert_eq!(scene.bob.hear().await, ["before", "after"]);
}

#[tokio::test]
async fn a_new_card_reaches_a_contact_by_the_directory() {
    let mut scene = Scene::new().await;
    scene.alice.say("bob", "to the first key").await;
    let first = scene.bob.card();
    assert_eq!(scene.listed_card("bob"), first.to_text());
    scene.clock.advance(ROTATION);
    scene.bob.client.refresh().await.unwrap();
    let second = scene.bob.card();
    assert!(second.serial() > first.serial());
    assert_eq!(scene.listed_card("bob"), second.to_text());
    scene.alice.say("bob", "to the second key").await;
    assert_eq!(scene.alice.card_of("bob"), second);
    assert_eq!(
        scene.bob.hear().await,
        ["to the first key", "to the second key"]
    );
}

#[tokio::test]
async fn a_new_card_reaches_each_contact_once_inside_the_next_message() {
    let mut scene = Scene::new().await;
    let mut carol = Peer::register(&scene.relay, "carol", &scene.clock, Kind::Plain).await;
    let card_inside = |scene: &Scene, reader: &Peer| {
        let opened = open(&scene.last_envelope(), &reader.identity()).unwrap();
        opened.metadata.card
    };
    scene.bob.say("alice", "hello").await;
    assert_eq!(
        card_inside(&scene, &scene.alice),
        Some(scene.bob.card()),
        "the first one"
    );
    scene.bob.say("alice", "again").await;
    assert_eq!(card_inside(&scene, &scene.alice), None, "told already");
    assert_eq!(scene.alice.hear().await, ["hello", "again"]);

    let old = scene.bob.card();
    scene.clock.advance(ROTATION);
    scene.bob.client.refresh().await.unwrap();
    // The relay hides it.
    let listed = old.to_text();
    scene.relay.set_agent_capabilities("bob", &[&listed]);
    scene.bob.say("alice", "new key").await;
    assert_eq!(scene.alice.card_of("bob"), old);
    assert_eq!(scene.alice.hear().await, ["new key"]);
    assert_eq!(scene.alice.card_of("bob"), scene.bob.card());
    scene.bob.restart();
    let both = ["alice".to_owned(), "carol".to_owned()];
    let outcomes = scene.bob.client.send(&both, &text_draft("both")).await;
    assert!(outcomes.unwrap().iter().all(Result::is_ok));
    assert_eq!(card_inside(&scene, &carol), Some(scene.bob.card()));
    assert_eq!(carol.hear().await, ["both"]);
    assert_eq!(carol.card_of("bob"), scene.bob.card());
    scene.bob.say("carol", "once more").await;
    assert_eq!(card_inside(&scene, &carol), None, "told after a restart");
}

#[tokio::test]
async fn an_old_card_that_the_relay_shows_again_replaces_nothing() {
    let mut scene = Scene::new().await;
    scene.alice.say("bob", "hello").await;
    let old = scene.bob.card().to_text();
    scene.clock.advance(ROTATION);
    scene.bob.client.refresh().await.unwrap();
    scene.alice.say("bob", "new key").await;
    let new = scene.bob.card();
    assert_eq!(scene.alice.card_of("bob"), new);
    scene.relay.set_agent_capabilities("bob", &[&old]);
    scene.clock.advance(2 * DAY);
    scene.alice.say("bob", "still the new key").await;
    assert_eq!(scene.alice.card_of("bob"), new);
}

#[tokio::test]
async fn a_crash_before_publishing_leaves_both_keys_usable_and_publishing_to_the_next_use() {
    let mut scene = Scene::new().await;
    scene.alice.say("bob", "hello").await;
    let old = scene.listed_card("bob");
    scene.bob.rotate_elsewhere(Retired::Keep);
    assert_eq!(scene.listed_card("bob"), old);
    scene.clock.advance(DAY);
    scene.alice.say("bob", "to the old key").await;
    scene.bob.restart();
    scene.bob.client.refresh().await.unwrap();
    let new = scene.bob.card();
    assert_eq!(scene.listed_card("bob"), new.to_text());
    scene.clock.advance(DAY);
    scene.alice.say("bob", "to the new key").await;
    assert_eq!(scene.alice.card_of("bob"), new);
    assert_eq!(
        scene.bob.hear().await,
        ["hello", "to the old key", "to the new key"]
    );
}

#[tokio::test]
async fn a_card_that_cannot_be_published_stops_nothing_and_is_published_later() {
    let mut scene = Scene::new().await;
    let old = scene.bob.card();
    scene.clock.advance(ROTATION);
    scene.relay.stop();
    let error = scene.bob.client.refresh().await.unwrap_err();
    assert!(matches!(error, Error::Unpublished { .. }), "{error:?}");
    assert_eq!(error.class(), Class::RelayUnreachable);
    assert_ne!(scene.bob.card(), old);
    scene.relay.restart();
    scene.bob.say("alice", "with the new card").await;
    assert_eq!(scene.alice.hear().await, ["with the new card"]);
    assert_eq!(scene.alice.card_of("bob"), scene.bob.card());
    assert_eq!(scene.listed_card("bob"), old.to_text());
    scene.bob.client.refresh().await.unwrap();
    assert_eq!(scene.listed_card("bob"), scene.bob.card().to_text());
}

#[tokio::test]
async fn a_card_is_published_once_for_each_key() {
    let mut scene = Scene::new().await;
    scene.bob.client.refresh().await.unwrap();
    scene.relay.set_agent_capabilities("bob", &["chat"]);
    scene.bob.client.refresh().await.unwrap();
    assert_eq!(scene.relay.agent_capabilities("bob"), ["chat"]);
    scene.clock.advance(ROTATION);
    scene.bob.client.refresh().await.unwrap();
    let listed = ["chat".to_owned(), scene.bob.card().to_text()];
    assert_eq!(scene.relay.agent_capabilities("bob"), listed);
}

#[tokio::test]
async fn a_client_that_runs_for_weeks_opens_what_is_sealed_to_its_new_keys() {
    let mut scene = Scene::new().await;
    let mut cards = Vec::new();
    for week in 0..12 {
        scene.alice.client.refresh().await.unwrap();
        scene.bob.client.refresh().await.unwrap();
        cards.push(scene.bob.card());
        let text = format!("week {week}");
        scene.alice.say("bob", &text).await;
        assert_eq!(scene.alice.card_of("bob"), cards[week]);
        assert_eq!(scene.bob.hear().await, [text]);
        scene.clock.advance(ROTATION);
    }
    let serials: Vec<_> = cards.iter().map(Card::serial).collect();
    assert!(serials.is_sorted_by(|a, b| a < b), "{serials:?}");
    // That of the last week and those of 60 days before, not the others.
    let kept = scene.bob.identity().xwing_keys().count();
    assert_eq!(kept, 9);
}

#[tokio::test]
async fn a_running_client_opens_what_is_sealed_to_a_key_that_another_process_made() {
    let mut scene = Scene::new().await;
    scene.alice.say("bob", "hello").await;
    assert_eq!(scene.bob.hear().await, ["hello"]);
    scene.bob.rotate_elsewhere(Retired::Keep);
    scene.bob.publish_elsewhere().await;
    scene.clock.advance(DAY);
    scene.alice.say("bob", "to the other key").await;
    assert_eq!(scene.alice.card_of("bob"), scene.bob.card());
    assert_eq!(scene.bob.hear().await, ["to the other key"]);
}

#[tokio::test]
async fn a_message_that_is_too_long_with_the_card_goes_without_it() {
    let mut scene = Scene::new().await;
    let longest = "x".repeat(42_900);
    scene.bob.say("alice", &longest).await;
    let opened = open(&scene.last_envelope(), &scene.alice.identity()).unwrap();
    assert_eq!(opened.metadata.card, None);
    assert_eq!(scene.alice.hear().await, [longest]);
    scene.bob.say("alice", "short").await;
    let opened = open(&scene.last_envelope(), &scene.alice.identity()).unwrap();
    assert_eq!(opened.metadata.card, Some(scene.bob.card()));
}

#[tokio::test]
async fn nobody_is_told_of_a_key_that_was_never_asked_for() {
    let (relay, clock) = (polled().await, SetClock::new());
    let mut alice = Peer::register(&relay, "alice", &clock, Kind::Plain).await;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("profile");
    let identity = new_identity();
    let secrets = Secrets::new(identity.to_keygen_json());
    Keystore::create(&path, Kind::Plain, passphrase(), &secrets).unwrap();
    let profile = Profile::begin(&path, "dave", Kind::Plain).unwrap();
    profile.save().unwrap();
    let keys = identity.public_keys();
    let api_key = relay.register(
        "dave",
        &keys.encryption().to_base64(),
        &keys.verifying().to_base64(),
    );
    let (keystore, secrets) = Keystore::open(&path, Kind::Plain, passphrase()).unwrap();
    let key = Some(BearerKey::new(api_key));
    let mut dave = ctalk::client(
        &profile,
        keystore,
        &secrets,
        &relay.url(),
        key,
        Arc::new(clock.clone()),
    )
    .unwrap();
    dave.refresh().await.unwrap();
    assert_eq!(secrets_of(&path).card(), None);
    let sent = dave.send(&["alice".to_owned()], &text_draft("hi")).await;
    sent.unwrap().remove(0).unwrap();
    let opened = {
        let stored: Value = serde_json::from_str(relay.stored().last().unwrap()).unwrap();
        let sealed = envelope::from_text(stored["payload"].as_str().unwrap()).unwrap();
        open(&sealed, &alice.identity()).unwrap()
    };
    assert_eq!(opened.metadata.card, None);
    assert_eq!(alice.hear().await, ["hi"]);
    // Nor is a card published by itself at a relay that dave did not register at.
    let (keystore, secrets) = Keystore::open(&path, Kind::Plain, passphrase()).unwrap();
    ctalk::own_card(&profile, &keystore, &secrets, at(NOW)).unwrap();
    dave.refresh().await.unwrap();
    assert!(relay.agent_capabilities("dave").is_empty());
}

fn secrets_of(folder: &Path) -> Secrets {
    Keystore::open(folder, Kind::Plain, passphrase()).unwrap().1
}

#[tokio::test]
async fn two_processes_make_one_new_key() {
    let mut scene = Scene::new().await;
    let (profile, keystore, stale) = scene.bob.open();
    scene.clock.advance(ROTATION);
    scene.bob.client.refresh().await.unwrap();
    let card = scene.bob.card();
    let now = at(NOW + ROTATION);
    let same = ctalk::own_card(&profile, &keystore, &stale, now).unwrap();
    assert_eq!(same, card);
    assert_eq!(scene.bob.identity().xwing_keys().count(), 2);
}

#[tokio::test]
async fn whoever_takes_a_contacts_place_is_told_of_the_card_too() {
    let mut scene = Scene::new().await;
    scene.alice.say("bob", "hello").await;
    assert_eq!(scene.bob.hear().await, ["hello"]);
    let other = Peer::register(&scene.relay, "other", &scene.clock, Kind::Plain).await;
    let keys = other.client.public_keys();
    scene.relay.set_agent_keys(
        "bob",
        &keys.encryption().to_base64(),
        &keys.verifying().to_base64(),
    );
    let listed = other.card().to_text();
    scene.relay.set_agent_capabilities("bob", &[&listed]);
    let fingerprint = other.card().fingerprint();
    let accepted = scene.alice.client.accept_key("bob", fingerprint).await;
    accepted.unwrap();
    scene.alice.say("bob", "hello again").await;
    let opened = open(&scene.last_envelope(), &other.identity()).unwrap();
    assert_eq!(opened.metadata.card, Some(scene.alice.card()));
}

#[tokio::test]
async fn a_running_client_goes_on_with_the_next_identity_and_publishes_what_led_to_it() {
    let mut scene = Scene::new().await;
    scene.alice.say("bob", "hello").await;
    scene.bob.hear().await;
    let (profile, keystore, secrets) = scene.bob.open();
    let relay = scene.bob.relay(&secrets);
    let done = ctalk::succeed(&profile, &keystore, &secrets, &relay, at(NOW))
        .await
        .unwrap();
    scene.clock.advance(ROTATION);
    scene.bob.client.refresh().await.unwrap();
    let keys = scene.bob.client.public_keys();
    assert_eq!(keys.verifying(), done.succession.successor());
    let listed = scene.relay.agent_capabilities("bob");
    assert_eq!(
        listed,
        [scene.bob.card().to_text(), done.succession.to_text()]
    );
    // The former one is kept until nothing for it can arrive.
    assert_eq!(scene.bob.open().2.former_identities().unwrap().len(), 1);
    scene.clock.advance(DESTRUCTION);
    scene.bob.client.refresh().await.unwrap();
    assert!(scene.bob.open().2.former_identities().unwrap().is_empty());
}

#[tokio::test]
async fn the_card_of_a_revoked_identity_is_not_published_again() {
    let mut scene = Scene::new().await;
    let (profile, _, secrets) = scene.bob.open();
    let relay = scene.bob.relay(&secrets);
    let revocation = ctalk::revoke(&profile, &secrets, &relay, at(NOW))
        .await
        .unwrap();
    scene.clock.advance(ROTATION);
    scene.bob.client.refresh().await.unwrap();
    let listed = scene.relay.agent_capabilities("bob");
    assert_eq!(listed, [revocation.to_text()]);
}

#[tokio::test]
async fn the_keys_of_a_revoked_identity_end_when_nothing_for_them_can_arrive() {
    let mut scene = Scene::new().await;
    scene.alice.say("bob", "first").await;
    let first = scene.last_envelope();
    scene.clock.advance(ROTATION);
    scene.bob.client.refresh().await.unwrap();
    let (profile, _, secrets) = scene.bob.open();
    let relay = scene.bob.relay(&secrets);
    ctalk::revoke(&profile, &secrets, &relay, at(NOW + ROTATION))
        .await
        .unwrap();

    for (pause, keys) in [
        (DESTRUCTION - ROTATION - 1, 2),
        (1, 1),
        (ROTATION - 1, 1),
        (1, 0),
    ] {
        scene.clock.advance(pause);
        scene.bob.client.refresh().await.unwrap();
        let identity = scene.bob.identity();
        assert_eq!(identity.xwing_keys().count(), keys);
        assert_eq!(open(&first, &identity).is_ok(), keys == 2);
    }
    assert!(scene.bob.open().2.card().is_none());
}
