//! A store that a newer ctalk has written is left alone.

use std::{fs, path::PathBuf, time::Duration};

use ctalk::{Client, Error, Flushed, Sent, store::StoreError};
use rusqlite::Connection;

use crate::{agents::text_draft, scene::Scene};

/// A version that no ctalk here knows.
const NEWER: i64 = 999;

fn path(scene: &Scene) -> PathBuf {
    scene.alice.agent.folder.path().join("store.sqlite")
}

/// Marks alice's store as that of a newer version.
fn make_newer(scene: &Scene) {
    let db = Connection::open(path(scene)).unwrap();
    db.pragma_update(None, "user_version", NEWER).unwrap();
}

/// Alice knows bob, and has a message for him in her outbox.
async fn queued() -> Scene {
    let mut scene = Scene::new().await;
    scene.meet().await;
    assert!(enqueue(&mut scene.alice.agent.client).await.is_ok());
    scene
}

async fn enqueue(client: &mut Client) -> Result<Sent, Error> {
    let bob = ["bob".to_owned()];
    client.enqueue(&bob, &text_draft("x")).await?.remove(0)
}

async fn send(client: &mut Client) -> Result<Sent, Error> {
    let bob = ["bob".to_owned()];
    client.send(&bob, &text_draft("x")).await?.remove(0)
}

async fn flush(client: &mut Client) -> Result<Vec<Flushed>, Error> {
    client.flush().await
}

fn check(error: &Error) {
    let is_newer = matches!(
        error,
        Error::Store(StoreError::Newer { found: NEWER, known, .. }) if *known < NEWER
    );
    assert!(is_newer, "{error:?}");
    assert!(error.to_string().contains("store.sqlite"), "{error}");
    assert_eq!(error.hint().unwrap(), "use the newer ctalk");
}

#[tokio::test]
async fn a_store_of_a_newer_version_is_not_opened_and_no_byte_of_it_changes() {
    let scene = queued().await;
    let path = path(&scene);
    drop(scene.alice.agent.client);
    let db = Connection::open(&path).unwrap();
    db.pragma_update(None, "user_version", NEWER).unwrap();
    // Nor is it brought to another journal, which would be a change too.
    db.pragma_update(None, "journal_mode", "DELETE").unwrap();
    drop(db);
    let before = fs::read(&path).unwrap();
    let refused = ctalk::store::Store::open(&path, Some(&scene.relay.url()));
    check(&refused.err().unwrap().into());
    assert!(fs::read(&path).unwrap() == before);
}

#[tokio::test]
async fn an_open_store_that_a_newer_ctalk_takes_over_is_written_no_more() {
    let mut scene = queued().await;
    make_newer(&scene);
    let db = Connection::open(path(&scene)).unwrap();
    let changes = || -> i64 {
        db.pragma_query_value(None, "data_version", |row| row.get(0))
            .unwrap()
    };
    let before = changes();
    scene.bob.say("alice", "waits").await.unwrap();
    let client = &mut scene.alice.agent.client;
    check(&enqueue(client).await.unwrap_err());
    check(&send(client).await.unwrap_err());
    check(&flush(client).await.unwrap_err());
    check(&client.flush_due().await.unwrap_err());
    check(&client.fetch(Duration::ZERO).await.unwrap_err());
    assert_eq!(changes(), before);
    assert_eq!(
        scene.relay.stored().len(),
        1,
        "nothing left, and nothing was taken"
    );
}
