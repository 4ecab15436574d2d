//! A backup is a relay's database as it was at one moment.

use std::fs;
use std::path::Path;

use ctalk_relay::testing::TestRelay;
use ctalk_relay::{AdminKey, Backup, Config, Error, Server, back_up};
use serde_json::json;
use tokio::task::spawn_blocking;

use crate::support::{ANY_PORT, Api, message, register, text};

async fn backup(folder: &Path, target: &Path) -> Result<Backup, Error> {
    let (folder, target) = (folder.to_owned(), target.to_owned());
    spawn_blocking(move || back_up(&folder, &target))
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_made_while_messages_arrive_holds_all_that_was_acknowledged_and_nothing_half() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let (alice, bob) = (register(&relay, "alice"), register(&relay, "bob"));
    let carol = register(&relay, "carol");
    let mut before = Vec::new();
    for number in 0..20 {
        before.push(api.send(&alice, "bob", json!(number)).await.0);
    }
    let elsewhere = tempfile::tempdir().unwrap();
    let target = elsewhere.path().join("relay.db");
    let sending = {
        let (api, alice) = (api.clone(), alice.clone());
        tokio::spawn(async move {
            loop {
                let mut body = message("", json!(1));
                body["to"] = json!(["bob", "carol"]);
                api.post("/messages", &alice, body).await.ok(201);
            }
        })
    };
    let made = backup(relay.folder(), &target).await.unwrap();
    sending.abort();
    assert_eq!(
        (made.agents, made.bytes),
        (3, fs::metadata(&target).unwrap().len())
    );

    // It is restored by being put into a folder of its own.
    let key = AdminKey::new("another-admin-key").unwrap();
    let restored = Server::bind(Config::new(ANY_PORT, elsewhere.path(), key))
        .await
        .unwrap();
    let api = Api::new(restored.url());
    let running = tokio::spawn(restored.run(std::future::pending()));
    let listed = async |key: &str| -> Vec<String> {
        let mut ids = Vec::new();
        let mut after = String::new();
        loop {
            let path = format!("/messages?sort=asc&limit=100&after={after}");
            let page = api.messages(&path, key).await;
            let Some(last) = page.last() else { return ids };
            after = text(&last["ts"]);
            ids.extend(page.iter().map(|message| text(&message["id"])));
        }
    };
    let (bobs, carols) = (listed(&bob).await, listed(&carol).await);
    assert_eq!(bobs[..20], before);
    assert_eq!(bobs[20..], carols);
    assert_eq!(made.messages as usize, bobs.len() + carols.len());
    api.send(&alice, "bob", json!("goes on")).await;
    running.abort();
}

#[tokio::test]
async fn a_backup_is_private_and_never_takes_the_place_of_a_file() {
    let relay = TestRelay::start().await;
    let elsewhere = tempfile::tempdir().unwrap();
    let target = elsewhere.path().join("backup.db");
    backup(relay.folder(), &target).await.unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(&target).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let first = fs::read(&target).unwrap();
    register(&relay, "alice");
    let refused = backup(relay.folder(), &target).await;
    assert!(
        matches!(refused, Err(Error::BackupTarget { .. })),
        "{refused:?}"
    );
    assert_eq!(fs::read(&target).unwrap(), first);
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn what_is_no_relays_database_or_damaged_makes_no_backup() {
    let elsewhere = tempfile::tempdir().unwrap();
    let target = elsewhere.path().join("backup.db");
    let empty = tempfile::tempdir().unwrap();
    let refused = backup(empty.path(), &target).await;
    assert!(
        matches!(refused, Err(Error::NoDatabase { .. })),
        "{refused:?}"
    );
    assert_eq!(fs::read_dir(empty.path()).unwrap().count(), 0);

    let mut relay = TestRelay::start().await;
    let database = relay.folder().join("relay.db");
    register(&relay, "alice");
    relay.stop();
    let connection = rusqlite::Connection::open(&database).unwrap();
    // A row that is not as its table says.
    connection
        .execute_batch(
            "PRAGMA writable_schema = ON;
             UPDATE sqlite_schema
             SET sql = replace(sql, 'created     INTEGER NOT NULL', 'created INTEGER CHECK (created < 0)')
             WHERE name = 'agents'",
        )
        .unwrap();
    drop(connection);
    let refused = backup(relay.folder(), &target).await;
    assert!(matches!(refused, Err(Error::Damaged { .. })), "{refused:?}");
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}
