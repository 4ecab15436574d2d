//! How much is kept of what waits for the user.

use std::time::Duration;

use ctalk::{
    Contract, Filter, Next, Notice,
    store::{EntryState, InboxLimits},
};
use serde_json::json;

use crate::scene::Scene;

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
    let junk = json!({
        "id": id,
        "from": "mallory",
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
