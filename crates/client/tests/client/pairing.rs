//! Pairing by a code, over relays that are honest and over those that are not.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ctalk::{
    Class, Client, Error, Pairing, Reason,
    clock::Clock,
    core::{
        XWingSecret,
        pairing::{Code, Joining, MESSAGE_PREFIX},
        trust::Standing,
    },
    relay::clawtalk::ClawTalk,
    store::{Contact, EntryState, Learned, StoreError},
};
use ctalk_relay::testing::TestRelay;
use serde_json::{Value, json};

use crate::{
    agents::rng,
    scene::{NOW, Native, Scene, SetClock, sign},
};

const LIFE: Duration = Duration::from_secs(600);
/// Bytes of a message before its card.
const HEAD: usize = 57;

async fn invite(agent: &mut Native) -> (Pairing, Code) {
    let card = agent.card.clone();
    let (pairing, code) = Pairing::invite(&mut agent.agent.client, card, None, LIFE)
        .await
        .unwrap();
    (pairing, Code::parse(&code).unwrap())
}

async fn try_join(agent: &mut Native, code: Code) -> Result<Pairing, Error> {
    let card = agent.card.clone();
    Pairing::join(&mut agent.agent.client, code, card, None, LIFE).await
}

async fn join(agent: &mut Native, code: Code) -> Pairing {
    try_join(agent, code).await.unwrap()
}

/// Fetches, and goes as far as that allows.
async fn look(agent: &mut Native, pairing: &mut Pairing) -> Result<Option<Contact>, Error> {
    agent.agent.client.fetch(Duration::ZERO).await.unwrap();
    pairing.advance(&mut agent.agent.client).await
}

async fn waits(agent: &mut Native, pairing: &mut Pairing) {
    let outcome = look(agent, pairing).await;
    assert!(matches!(outcome, Ok(None)), "{outcome:?}");
}

async fn paired(agent: &mut Native, pairing: &mut Pairing) -> Contact {
    look(agent, pairing).await.unwrap().expect("a contact")
}

fn other_code() -> Code {
    Code::generate("alice", &mut rng()).unwrap()
}

fn is_verified(agent: &Native, name: &str) -> bool {
    agent
        .contact(name)
        .is_some_and(|contact| contact.standing == Standing::Verified)
}

fn set_aside(agent: &Native) -> Vec<(Option<Reason>, String)> {
    let mut found = Vec::new();
    let store = agent.agent.client.store();
    store
        .each_entry(EntryState::Quarantined, |entry| {
            found.push((entry.reason, entry.detail.unwrap_or_default()));
        })
        .unwrap();
    found
}

/// Takes the message that waits for an agent out of the relay, as a relay can that lies.
async fn intercept(relay: &TestRelay, to: &Native, clock: &SetClock) -> Value {
    let stored = relay.stored().into_iter();
    let mut waiting: Vec<Value> = stored
        .map(|raw| serde_json::from_str(&raw).unwrap())
        .filter(|item: &Value| item["to"] == to.name)
        .collect();
    assert_eq!(waiting.len(), 1, "{waiting:?}");
    let item = waiting.remove(0);
    let adapter = ClawTalk::new(&relay.url(), Some(to.key()), Arc::new(clock.clone())).unwrap();
    assert!(adapter.delete(item["id"].as_str().unwrap()).await.unwrap());
    item
}

/// Delivers a message as a new one.
fn deliver(relay: &TestRelay, to: &str, item: &Value, id: &str) {
    let mut item = item.clone();
    item["id"] = json!(id);
    item["to"] = json!(to);
    relay.inject(to, &item.to_string());
}

fn decoded(item: &Value) -> Vec<u8> {
    let text = item["payload"].as_str().unwrap();
    URL_SAFE_NO_PAD
        .decode(text.strip_prefix(MESSAGE_PREFIX).unwrap())
        .unwrap()
}

fn with_message(item: &Value, message: &[u8]) -> Value {
    let mut item = item.clone();
    item["payload"] = json!(format!(
        "{MESSAGE_PREFIX}{}",
        URL_SAFE_NO_PAD.encode(message)
    ));
    item
}

#[tokio::test]
async fn two_agents_with_one_code_verify_each_other() {
    let mut scene = Scene::new().await;
    let (mut inviting, code) = invite(&mut scene.alice).await;
    let mut joining = join(&mut scene.bob, code).await;
    let request = scene.last_stored();
    assert_eq!(
        (&request["encrypted"], &request["type"]),
        (&json!(false), &json!("notification"))
    );
    waits(&mut scene.alice, &mut inviting).await;
    waits(&mut scene.bob, &mut joining).await;
    let bob = paired(&mut scene.alice, &mut inviting).await;
    let alice = paired(&mut scene.bob, &mut joining).await;
    for (contact, native, name) in [(bob, &scene.bob, "bob"), (alice, &scene.alice, "alice")] {
        assert_eq!(contact.name, name);
        assert_eq!(contact.address.as_deref(), Some(name));
        assert_eq!(contact.card.as_ref(), Some(&native.card));
        assert_eq!(contact.standing, Standing::Verified);
        assert_eq!(contact.learned, Learned::Paired);
    }
    // Nothing of it is left to be handed over or looked at.
    drop((inviting, joining));
    assert!(scene.relay.stored().is_empty());
    for agent in [&mut scene.alice, &mut scene.bob] {
        assert!(agent.receive().await.0.is_empty());
        assert!(set_aside(agent).is_empty());
    }
}

/// Real time, from that of the cards on.
struct RealTime(Instant);

#[async_trait::async_trait]
impl Clock for RealTime {
    fn now(&self) -> i64 {
        NOW + i64::try_from(self.0.elapsed().as_millis()).unwrap()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

#[tokio::test]
async fn both_sides_wait_for_each_other() {
    let mut scene = Scene::new().await;
    let clock = Arc::new(RealTime(Instant::now()));
    for agent in [&mut scene.alice, &mut scene.bob] {
        let relay = ClawTalk::new(&scene.relay.url(), Some(agent.key()), clock.clone()).unwrap();
        let store = agent.agent.folder.path().join("store.sqlite");
        let client = Client::new(&agent.name, agent.identity(), relay, &store, clock.clone());
        agent.agent.client = client.unwrap();
    }
    let (inviting, code) = invite(&mut scene.alice).await;
    let joining = join(&mut scene.bob, code).await;
    let (alice, bob) = (&mut scene.alice.agent.client, &mut scene.bob.agent.client);
    let (bob, alice) = tokio::join!(inviting.wait(alice), joining.wait(bob));
    assert_eq!(bob.unwrap().standing, Standing::Verified);
    assert_eq!(alice.unwrap().standing, Standing::Verified);
}

#[tokio::test]
async fn messages_of_another_session_change_nothing() {
    let mut scene = Scene::new().await;
    let (mut inviting, code) = invite(&mut scene.alice).await;
    let mut joining = join(&mut scene.bob, code).await;
    waits(&mut scene.alice, &mut inviting).await;
    let foreign = |scene: &Scene, to: &str| {
        let item = scene.last_stored();
        let mut message = decoded(&item);
        message[9] ^= 1;
        let mut item = with_message(&item, &message);
        item["ts"] = json!("2026-01-01T00:00:00.000Z");
        deliver(
            &scene.relay,
            to,
            &item,
            &format!("foreign-to-{to}-{}", message[8]),
        );
    };
    foreign(&scene, "bob");
    waits(&mut scene.bob, &mut joining).await;
    foreign(&scene, "alice");
    assert_eq!(paired(&mut scene.alice, &mut inviting).await.name, "bob");
    foreign(&scene, "bob");
    assert_eq!(paired(&mut scene.bob, &mut joining).await.name, "alice");
    assert_eq!(
        (set_aside(&scene.alice).len(), set_aside(&scene.bob).len()),
        (1, 2)
    );
}

#[tokio::test]
async fn a_wrong_code_verifies_nobody_and_burns_the_right_one() {
    let mut scene = Scene::new().await;
    let (mut inviting, code) = invite(&mut scene.alice).await;
    let mut joining = join(&mut scene.bob, other_code()).await;
    waits(&mut scene.alice, &mut inviting).await;
    waits(&mut scene.bob, &mut joining).await;
    let error = look(&mut scene.alice, &mut inviting).await.unwrap_err();
    assert_eq!(error.class(), Class::NotVerified);
    assert!(error.to_string().contains("make a new code"), "{error}");
    assert!(scene.relay.stored().is_empty(), "the inviter says no more");

    // A second guess, with the right code, finds nobody who would answer.
    scene.clock.advance(60_000);
    let error = look(&mut scene.bob, &mut joining).await.unwrap_err();
    assert_eq!(error.class(), Class::TimedOut);
    assert!(error.to_string().contains("mistyped"), "{error}");
    drop(joining);
    let mut joining = join(&mut scene.bob, code).await;
    let _ = look(&mut scene.alice, &mut inviting).await;
    waits(&mut scene.bob, &mut joining).await;
    assert!(!is_verified(&scene.alice, "bob") && !is_verified(&scene.bob, "alice"));
}

#[tokio::test]
async fn a_second_joiner_is_not_answered() {
    let mut scene = Scene::new().await;
    let mut mallory = Native::register(&scene.relay, "mallory", &scene.clock, true).await;
    let (mut inviting, code) = invite(&mut scene.alice).await;
    let mut joining = join(&mut scene.bob, code).await;
    waits(&mut scene.alice, &mut inviting).await;
    let mut second = join(&mut mallory, other_code()).await;
    waits(&mut scene.alice, &mut inviting).await;
    waits(&mut mallory, &mut second).await;
    assert_eq!(
        set_aside(&scene.alice),
        [(
            Some(Reason::Pairing),
            "no pairing waited for this message".to_owned()
        )]
    );
    waits(&mut scene.bob, &mut joining).await;
    assert_eq!(paired(&mut scene.alice, &mut inviting).await.name, "bob");
    assert_eq!(paired(&mut scene.bob, &mut joining).await.name, "alice");
}

/// What a relay changes in a message.
#[derive(Clone, Copy, Debug)]
enum Change {
    Session,
    /// A tag, or an element, by one bit.
    Value,
    /// The element, by one that the relay knows the scalar of.
    Element,
    Card,
}

#[tokio::test]
async fn a_message_that_the_relay_changed_verifies_nobody() {
    let cases = [
        (1, Change::Session),
        (1, Change::Value),
        (1, Change::Element),
        (1, Change::Card),
        (2, Change::Session),
        (2, Change::Value),
        (2, Change::Element),
        (2, Change::Card),
        (3, Change::Session),
        (3, Change::Value),
        (4, Change::Session),
        (4, Change::Value),
    ];
    for (step, change) in cases {
        let mut scene = Scene::new().await;
        let mallory = Native::register(&scene.relay, "mallory", &scene.clock, true).await;
        let (mut inviting, code) = invite(&mut scene.alice).await;
        let mut joining = join(&mut scene.bob, code).await;
        for passing in 1..=4 {
            let Scene {
                relay,
                clock,
                alice,
                bob,
            } = &mut scene;
            let (to, pairing) = if passing % 2 == 1 {
                (alice, &mut inviting)
            } else {
                (bob, &mut joining)
            };
            if passing == step {
                let item = intercept(relay, to, clock).await;
                let message = changed(&decoded(&item), change, &mallory);
                deliver(relay, &to.name, &with_message(&item, &message), "changed");
            }
            let outcome = look(to, pairing).await;
            if !matches!(outcome, Ok(None)) || relay.stored().is_empty() {
                break;
            }
        }
        let names = [(&scene.alice, "bob"), (&scene.bob, "alice")];
        // Before the fourth message the inviter knows all that it has to.
        let verified = names.map(|(agent, name)| is_verified(agent, name));
        assert_eq!(verified, [step == 4, false], "{step} {change:?}");
        let names = [(&scene.alice, "mallory"), (&scene.bob, "mallory")];
        assert!(
            names
                .iter()
                .all(|(agent, name)| agent.contact(name).is_none())
        );
    }
}

fn changed(message: &[u8], change: Change, mallory: &Native) -> Vec<u8> {
    let mut message = message.to_vec();
    match change {
        Change::Session => message[9] ^= 1,
        Change::Value => message[25] ^= 1,
        Change::Element => {
            let (own, _) = Joining::start(other_code(), mallory.card.clone(), &mut rng());
            message[25..HEAD].copy_from_slice(&own.to_bytes()[25..HEAD]);
        }
        Change::Card => {
            message.truncate(HEAD);
            message.extend_from_slice(mallory.card.as_bytes());
        }
    }
    message
}

#[tokio::test]
async fn a_reflected_message_changes_nothing() {
    let mut scene = Scene::new().await;
    let (mut inviting, code) = invite(&mut scene.alice).await;
    let mut joining = join(&mut scene.bob, code).await;
    let request = scene.last_stored();
    deliver(&scene.relay, "bob", &request, "r1");
    waits(&mut scene.bob, &mut joining).await;
    waits(&mut scene.alice, &mut inviting).await;
    let answer = scene.last_stored();
    deliver(&scene.relay, "alice", &answer, "r2");
    waits(&mut scene.alice, &mut inviting).await;
    waits(&mut scene.bob, &mut joining).await;
    let confirmation = scene.last_stored();
    deliver(&scene.relay, "bob", &confirmation, "r3");
    waits(&mut scene.bob, &mut joining).await;
    // The same tag as if it were the inviter's is one that the joiner can tell from it.
    let mut message = decoded(&confirmation);
    message[8] = 4;
    deliver(&scene.relay, "bob", &with_message(&answer, &message), "r4");
    let error = look(&mut scene.bob, &mut joining).await.unwrap_err();
    assert_eq!(error.class(), Class::NotVerified);
    assert!(!is_verified(&scene.bob, "alice"));
}

#[tokio::test]
async fn messages_of_a_former_pairing_are_worth_nothing() {
    let mut scene = Scene::new().await;
    let (mut inviting, code) = invite(&mut scene.alice).await;
    let mut joining = join(&mut scene.bob, code).await;
    let request = scene.last_stored();
    waits(&mut scene.alice, &mut inviting).await;
    waits(&mut scene.bob, &mut joining).await;
    let confirmation = scene.last_stored();
    paired(&mut scene.alice, &mut inviting).await;
    drop(inviting);
    scene
        .alice
        .agent
        .client
        .store_mut()
        .remove_contact("bob")
        .unwrap();

    // Those that are there when a code is made do not use it up.
    deliver(&scene.relay, "alice", &request, "again-1");
    let (mut inviting, _code) = invite(&mut scene.alice).await;
    waits(&mut scene.alice, &mut inviting).await;
    assert!(set_aside(&scene.alice)[0].1.contains("before the pairing"));

    // A replayed request does, and what was confirmed then is no confirmation now.
    deliver(&scene.relay, "alice", &request, "again-2");
    waits(&mut scene.alice, &mut inviting).await;
    deliver(&scene.relay, "alice", &confirmation, "again-3");
    let error = look(&mut scene.alice, &mut inviting).await.unwrap_err();
    assert_eq!(error.class(), Class::NotVerified);
    assert!(scene.alice.contact("bob").is_none());
}

#[tokio::test]
async fn a_relay_that_withholds_after_one_element_stops_both_and_verifies_nobody() {
    let mut scene = Scene::new().await;
    let (mut inviting, code) = invite(&mut scene.alice).await;
    let mut joining = join(&mut scene.bob, code).await;
    waits(&mut scene.alice, &mut inviting).await;
    intercept(&scene.relay, &scene.bob, &scene.clock).await;
    scene.clock.advance(60_000);
    let error = look(&mut scene.alice, &mut inviting).await.unwrap_err();
    assert_eq!(error.class(), Class::TimedOut);
    waits(&mut scene.bob, &mut joining).await;
    scene.clock.advance(540_000);
    let error = look(&mut scene.bob, &mut joining).await.unwrap_err();
    assert_eq!(error.class(), Class::TimedOut);
    assert!(scene.alice.contact("bob").is_none() && scene.bob.contact("alice").is_none());
}

#[tokio::test]
async fn a_code_is_good_for_ten_minutes_and_no_longer() {
    for (late, is_answered) in [(599_999, true), (600_000, false)] {
        let mut scene = Scene::new().await;
        let (mut inviting, code) = invite(&mut scene.alice).await;
        assert_eq!(inviting.deadline(), NOW + 600_000);
        scene.clock.advance(late);
        let _joining = join(&mut scene.bob, code).await;
        match look(&mut scene.alice, &mut inviting).await {
            Ok(None) => assert!(is_answered),
            Err(error) => assert_eq!((error.class(), is_answered), (Class::TimedOut, false)),
            Ok(Some(contact)) => panic!("{contact:?}"),
        }
    }
}

#[tokio::test]
async fn an_inviter_that_is_killed_leaves_a_code_that_is_good_for_nothing() {
    let mut scene = Scene::new().await;
    let (mut inviting, code) = invite(&mut scene.alice).await;
    let mut joining = join(&mut scene.bob, code).await;
    waits(&mut scene.alice, &mut inviting).await;
    drop(inviting);
    scene.alice.agent.client = scene.alice.client(&scene.relay.url(), &scene.clock);
    waits(&mut scene.bob, &mut joining).await;

    let (messages, reported) = scene.alice.receive().await;
    assert!(messages.is_empty() && reported.is_empty());
    assert_eq!(
        set_aside(&scene.alice),
        [(Some(Reason::Pairing), "no pairing code was open".to_owned())]
    );
    scene.clock.advance(60_000);
    assert!(look(&mut scene.bob, &mut joining).await.is_err());
    assert!(scene.alice.contact("bob").is_none() && scene.bob.contact("alice").is_none());
}

#[tokio::test]
async fn a_joiner_that_is_killed_at_the_end_leaves_only_what_was_proven() {
    let mut scene = Scene::new().await;
    let (mut inviting, code) = invite(&mut scene.alice).await;
    let mut joining = join(&mut scene.bob, code).await;
    waits(&mut scene.alice, &mut inviting).await;
    waits(&mut scene.bob, &mut joining).await;
    drop(joining);
    scene.bob.agent.client = scene.bob.client(&scene.relay.url(), &scene.clock);
    let bob = paired(&mut scene.alice, &mut inviting).await;
    assert_eq!(bob.card.as_ref(), Some(&scene.bob.card));
    assert!(scene.bob.receive().await.0.is_empty());
    assert!(scene.bob.contact("alice").is_none());
}

#[tokio::test]
async fn without_an_open_code_messages_of_strangers_are_set_aside_and_never_handed_over() {
    let mut scene = Scene::new().await;
    let _joining = join(&mut scene.bob, other_code()).await;
    let (messages, reported) = scene.alice.receive().await;
    assert!(messages.is_empty(), "{messages:?}");
    assert!(reported.is_empty(), "there is nothing to do: {reported:?}");
    assert_eq!(set_aside(&scene.alice).len(), 1);
    assert!(scene.alice.contact("bob").is_none());

    // Whatever follows the prefix.
    for (id, text) in [("j1", "ctalk-pair:"), ("j2", "ctalk-pair:%%%")] {
        let junk = json!({"id": id, "from": "eve", "to": "alice", "type": "request",
            "encrypted": false, "payload": text, "ts": "2026-01-01T00:00:00.000Z"});
        scene.relay.inject("alice", &junk.to_string());
    }
    assert!(scene.alice.receive().await.0.is_empty());
    assert_eq!(set_aside(&scene.alice).len(), 3);
}

#[tokio::test]
async fn while_a_code_is_open_whoever_receives_leaves_its_messages_alone() {
    let mut scene = Scene::new().await;
    let (mut inviting, code) = invite(&mut scene.alice).await;
    let mut joining = join(&mut scene.bob, code).await;
    scene.bob.say("alice", "beside it").await.unwrap();
    // Another process of Alice's receives.
    let mut other = scene.alice.client(&scene.relay.url(), &scene.clock);
    std::mem::swap(&mut other, &mut scene.alice.agent.client);
    let (messages, reported) = scene.alice.receive().await;
    assert_eq!((messages.len(), reported.len()), (1, 0));
    std::mem::swap(&mut other, &mut scene.alice.agent.client);

    assert!(scene.relay.stored().is_empty(), "it was fetched already");
    waits(&mut scene.alice, &mut inviting).await;
    waits(&mut scene.bob, &mut joining).await;
    assert_eq!(paired(&mut scene.alice, &mut inviting).await.name, "bob");
}

#[tokio::test]
async fn a_profile_has_one_code_open_at_a_time() {
    let mut scene = Scene::new().await;
    let (inviting, _) = invite(&mut scene.alice).await;
    let mut other = scene.alice.client(&scene.relay.url(), &scene.clock);
    let card = scene.alice.card.clone();
    let again = Pairing::invite(&mut other, card.clone(), None, LIFE).await;
    assert!(matches!(
        again.err(),
        Some(Error::Store(StoreError::AlreadyPairing))
    ));
    drop(inviting);
    assert!(Pairing::invite(&mut other, card, None, LIFE).await.is_ok());
}

#[tokio::test]
async fn a_pinned_contact_becomes_verified_and_its_card_newer() {
    let mut scene = Scene::new().await;
    scene.alice.say("bob", "1").await.unwrap();
    assert!(!is_verified(&scene.alice, "bob"));
    let xwing = XWingSecret::generate(&mut rng());
    scene.bob.card = sign(&scene.bob.agent.identity, &xwing, "robert", 2, NOW);
    let (mut inviting, code) = invite(&mut scene.alice).await;
    let mut joining = join(&mut scene.bob, code).await;
    waits(&mut scene.alice, &mut inviting).await;
    waits(&mut scene.bob, &mut joining).await;
    let bob = paired(&mut scene.alice, &mut inviting).await;
    assert_eq!(
        (bob.name.as_str(), bob.standing),
        ("bob", Standing::Verified)
    );
    assert_eq!(bob.card.as_ref(), Some(&scene.bob.card));
}

#[tokio::test]
async fn other_keys_under_a_known_name_are_refused_and_not_confirmed() {
    let mut scene = Scene::new().await;
    scene.alice.say("bob", "1").await.unwrap();
    let pinned = scene.alice.contact("bob").unwrap();
    let stranger = Native::register(&scene.relay, "bob2", &scene.clock, false).await;
    scene.bob.card = sign(&stranger.agent.identity, &stranger.xwing, "bob", 1, NOW);
    let (mut inviting, code) = invite(&mut scene.alice).await;
    let mut joining = join(&mut scene.bob, code).await;
    waits(&mut scene.alice, &mut inviting).await;
    waits(&mut scene.bob, &mut joining).await;
    let error = look(&mut scene.alice, &mut inviting).await.unwrap_err();
    assert_eq!(error.class(), Class::NotTrusted, "{error}");
    assert!(error.hint().unwrap().contains("contact accept-key bob"));
    assert_eq!(scene.alice.contact("bob").unwrap(), pinned);
    waits(&mut scene.bob, &mut joining).await;
    assert!(scene.bob.contact("alice").is_none());
}

#[tokio::test]
async fn a_card_with_my_own_keys_is_refused() {
    let mut scene = Scene::new().await;
    let mine = sign(
        &scene.alice.agent.identity,
        &scene.alice.xwing,
        "bob",
        1,
        NOW,
    );
    scene.bob.card = mine;
    let (mut inviting, code) = invite(&mut scene.alice).await;
    let mut joining = join(&mut scene.bob, code).await;
    waits(&mut scene.alice, &mut inviting).await;
    waits(&mut scene.bob, &mut joining).await;
    let error = look(&mut scene.alice, &mut inviting).await.unwrap_err();
    assert!(matches!(error, Error::KeyConflict(_)), "{error}");
    assert!(scene.alice.contact("bob").is_none());
}

#[tokio::test]
async fn a_blocked_contact_stays_blocked() {
    let mut scene = Scene::new().await;
    scene.alice.say("bob", "1").await.unwrap();
    let bob = scene.alice.contact("bob").unwrap();
    let store = scene.alice.agent.client.store_mut();
    store.change_standing(&bob, |_| Standing::Blocked).unwrap();

    let (mut inviting, code) = invite(&mut scene.alice).await;
    let mut joining = join(&mut scene.bob, code).await;
    waits(&mut scene.alice, &mut inviting).await;
    waits(&mut scene.bob, &mut joining).await;
    let error = look(&mut scene.alice, &mut inviting).await.unwrap_err();
    assert_eq!(error.class(), Class::Refused);
    waits(&mut scene.bob, &mut joining).await;
    drop((inviting, joining));

    // Nor does Alice write to him, whose code is not used up by that.
    let (mut inviting, code) = invite(&mut scene.bob).await;
    let error = try_join(&mut scene.alice, code).await.err().unwrap();
    assert_eq!(error.class(), Class::Refused);
    waits(&mut scene.bob, &mut inviting).await;
    assert!(scene.relay.stored().is_empty());
    let bob = scene.alice.contact("bob").unwrap();
    assert_eq!(bob.standing, Standing::Blocked);
}

#[tokio::test]
async fn a_code_of_nobody_or_of_oneself_is_refused_before_it_is_used() {
    let mut scene = Scene::new().await;
    for (name, class) in [("nobody", Class::RelayRefused), ("bob", Class::Usage)] {
        let code = Code::generate(name, &mut rng()).unwrap();
        let error = try_join(&mut scene.bob, code).await.err().unwrap();
        assert_eq!(error.class(), class, "{error}");
    }
    assert!(scene.relay.stored().is_empty());
}
