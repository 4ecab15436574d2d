//! How much is kept of what waits for the user.

use std::{fs, time::Duration};

use ctalk::{
    Contract, Filter, Next, Notice,
    store::{EntryState, InboxLimits},
};
use serde_json::json;

use crate::scene::{Native, Scene};

/// What waits for bob in a state, by the relay's ids, oldest first.
fn waiting(scene: &Scene, state: EntryState) -> Vec<String> {
    let mut ids = Vec::new();
    let store = scene.bob.agent.client.store();
    store
        .each_entry(state, |entry| ids.extend(entry.relay_id))
        .unwrap();
    ids
}

fn limit(scene: &mut Scene, messages: u64, bytes: u64) {
    let limits = InboxLimits { messages, bytes };
    scene.bob.agent.client.limit_inbox(limits);
}

/// Something for bob that nobody can open, of about so many bytes.
fn junk(scene: &Scene, id: &str, bytes: usize) {
    junk_from(scene, "mallory", id, bytes);
}

fn junk_from(scene: &Scene, from: &str, id: &str, bytes: usize) {
    let junk = json!({
        "id": id,
        "from": from,
        "to": "bob",
        "type": "request",
        "ts": "2027-01-15T08:00:00.000Z",
        "encrypted": true,
        "payload": "x".repeat(bytes),
    });
    scene.relay.inject("bob", &junk.to_string());
}

/// What was said to have been dropped: how many, in which state.
fn dropped(scene: &mut Scene) -> Vec<(EntryState, u64)> {
    let notices = scene.bob.agent.client.take_notices().into_iter();
    let dropped = notices.filter_map(|notice| match notice {
        Notice::Dropped { state, messages } => Some((state, messages)),
        _ => None,
    });
    dropped.collect()
}

/// Has bob's handler give up what alice writes; as it lay at the relay.
async fn give_up(scene: &mut Scene, text: &str) -> String {
    scene.alice.say("bob", text).await.unwrap();
    let stored = scene.last_stored().to_string();
    let client = &mut scene.bob.agent.client;
    client.fetch(Duration::ZERO).await.unwrap();
    let mut receiving = client
        .receive_under(Contract::HANDLER, Filter::default())
        .unwrap();
    while let Some(next) = client.next(&mut receiving).await.unwrap() {
        if let Next::Message(handover) = next {
            client.reject(*handover, "broken").unwrap();
        }
    }
    stored
}

#[tokio::test]
async fn the_oldest_of_too_many_is_dropped_and_that_is_said() {
    let mut scene = Scene::new().await;
    limit(&mut scene, 2, u64::MAX);
    for id in ["j1", "j2", "j3", "j4"] {
        junk(&scene, id, 10);
    }
    let (_, set_aside) = scene.bob.receive().await;
    assert_eq!(set_aside.len(), 4);
    let quarantined = EntryState::Quarantined;
    assert_eq!(waiting(&scene, quarantined), ["j3", "j4"]);
    assert_eq!(dropped(&mut scene), [(quarantined, 2)]);
    assert_eq!(dropped(&mut scene), []);
}

#[tokio::test]
async fn the_oldest_of_too_many_bytes_are_dropped_but_never_the_newest() {
    let mut scene = Scene::new().await;
    limit(&mut scene, 100, 5000);
    for (id, bytes) in [("j1", 1000), ("j2", 1000), ("j3", 3500)] {
        junk(&scene, id, bytes);
    }
    scene.bob.receive().await;
    assert_eq!(waiting(&scene, EntryState::Quarantined), ["j2", "j3"]);
    junk(&scene, "j4", 10_000);
    scene.bob.receive().await;
    assert_eq!(waiting(&scene, EntryState::Quarantined), ["j4"]);
    assert_eq!(dropped(&mut scene), [(EntryState::Quarantined, 3)]);
}

#[tokio::test]
async fn a_flood_in_the_quarantine_pushes_out_no_dead_letter() {
    let mut scene = Scene::new().await;
    limit(&mut scene, 2, u64::MAX);
    give_up(&mut scene, "one").await;
    give_up(&mut scene, "two").await;
    let dead = waiting(&scene, EntryState::Dead);
    for number in 0..20 {
        junk(&scene, &format!("j{number}"), 10);
    }
    scene.bob.receive().await;
    assert_eq!(waiting(&scene, EntryState::Dead), dead);
    assert_eq!(waiting(&scene, EntryState::Quarantined), ["j18", "j19"]);
}

#[tokio::test]
async fn a_flood_of_one_contact_pushes_out_its_own_oldest_alone() {
    let mut scene = Scene::new().await;
    let carol = Native::register(&scene.relay, "carol", &scene.clock, true).await;
    let mut senders = [std::mem::replace(&mut scene.alice, carol)];
    limit(&mut scene, 4, u64::MAX);
    for name in ["alice", "carol"] {
        scene.bob.say(name, "hello").await.unwrap();
    }
    give_up(&mut scene, "carol's first").await;
    give_up(&mut scene, "carol's second").await;
    let carols = waiting(&scene, EntryState::Dead);
    std::mem::swap(&mut scene.alice, &mut senders[0]);
    for number in 0..6 {
        give_up(&mut scene, &number.to_string()).await;
    }
    let dead = waiting(&scene, EntryState::Dead);
    assert_eq!((dead.len(), &dead[..2]), (4, &carols[..]));
    assert_eq!(dropped(&mut scene), [(EntryState::Dead, 4)]);
}

#[tokio::test]
async fn what_strangers_make_under_many_names_and_keys_pushes_out_nothing_of_a_contact() {
    let mut scene = Scene::new().await;
    limit(&mut scene, 4, u64::MAX);
    scene.bob.say("alice", "hello").await.unwrap();
    bob_restarts(&mut scene, "[default]\ntopics = ['none']");
    for text in ["one", "two"] {
        scene.alice.say("bob", text).await.unwrap();
    }
    scene.bob.receive().await;
    let alices = waiting(&scene, EntryState::Quarantined);
    assert_eq!(alices.len(), 2);
    bob_restarts(&mut scene, "[stranger]\nper-minute = 1");
    for number in 0..8 {
        let name = format!("mallory-{number}");
        junk_from(&scene, &name, &name, 10);
        let mut key = Native::register(&scene.relay, &name, &scene.clock, true).await;
        // The first of them makes it a contact, the second is one too many.
        for text in ["wrote first", "too many"] {
            key.say("bob", text).await.unwrap();
        }
        scene.bob.receive().await;
        assert!(scene.bob.contact(&name).is_some());
    }
    let aside = waiting(&scene, EntryState::Quarantined);
    assert_eq!((aside.len(), &aside[..2]), (4, &alices[..]));
}

/// Bob in a new process, with this policy and the same limit.
fn bob_restarts(scene: &mut Scene, policy: &str) {
    let folder = scene.bob.agent.folder.path();
    fs::write(folder.join("policy.toml"), policy).unwrap();
    scene.bob.agent.client = scene.bob.client(&scene.relay.url(), &scene.clock);
    limit(scene, 4, u64::MAX);
}

#[tokio::test]
async fn a_dead_letter_that_is_dropped_for_another_one_is_not_handled_after_all() {
    let mut scene = Scene::new().await;
    limit(&mut scene, 1, u64::MAX);
    let stored = give_up(&mut scene, "one").await;
    give_up(&mut scene, "two").await;
    assert_eq!(dropped(&mut scene), [(EntryState::Dead, 1)]);
    scene.relay.inject("bob", &stored);
    let (messages, set_aside) = scene.bob.receive().await;
    assert!(
        messages.is_empty() && set_aside.is_empty(),
        "{messages:?} {set_aside:?}"
    );
}
