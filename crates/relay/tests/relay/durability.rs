//! A 201 means that the message is on disk, whatever happens next.

use std::collections::HashSet;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

use ctalk_relay::testing::TestRelay;
use ctalk_relay::{Error, Server};
use serde_json::json;

use crate::process::{ADMIN_KEY, RelayProcess, config};
use crate::support::{Api, KEY, OTHER_KEY, message, register, text};

/// How many senders there are at once.
const SENDERS: usize = 8;
/// How often the relay is killed, every other time on a full disk.
const CRASHES: usize = 20;
/// The most answers before a kill.
const MAX_ANSWERS: u64 = 120;
/// What the moments of the kills are drawn from.
const SEED: u64 = 20;

/// Every message id in the inbox, asserting that ts rises strictly.
async fn read_all(api: &Api, key: &str) -> HashSet<String> {
    let mut ids = HashSet::new();
    let mut after = String::new();
    loop {
        let path = format!("/messages?sort=asc&limit=100&after={after}");
        let page = api.messages(&path, key).await;
        for message in &page {
            let ts = text(&message["ts"]);
            assert!(ts > after, "{ts} after {after}");
            after = ts;
            assert!(ids.insert(text(&message["id"])), "listed twice: {message}");
        }
        if page.len() < 100 {
            return ids;
        }
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_message_survives_20_kills_under_load_and_no_multicast_is_half() {
    let folder = tempfile::tempdir().unwrap();
    let mut relay = RelayProcess::start(folder.path(), None);
    let api = Api::new(&relay.url);
    let mut keys = Vec::new();
    for name in ["alice", "bob", "carol"] {
        let body = json!({"name": name, "owner": "o", "publicKey": KEY, "signingKey": OTHER_KEY});
        keys.push(text(
            &api.post("/agents", ADMIN_KEY, body).await.ok(201)["apiKey"],
        ));
    }
    let [alice, bob, carol] = keys.try_into().unwrap();
    let mut random = Random(SEED);
    let (mut acknowledged, mut refused) = (HashSet::new(), 0);
    for crash in 0..CRASHES {
        let room = (crash % 2 == 1).then(|| {
            let log = folder.path().join("relay.db-wal");
            fs::metadata(log).unwrap().len() + random.below(1 << 19)
        });
        relay.kill();
        relay = RelayProcess::start(folder.path(), room);
        let kill_after = 1 + random.below(MAX_ANSWERS);
        let sent = send_and_kill(&mut relay, &alice, kill_after).await;
        assert!(room.is_some() || sent.refused == 0);
        acknowledged.extend(sent.acknowledged);
        refused += sent.refused;
        relay = RelayProcess::start(folder.path(), None);
        let api = Api::new(&relay.url);
        let (bobs, carols) = (read_all(&api, &bob).await, read_all(&api, &carol).await);
        let lost: Vec<_> = acknowledged.difference(&bobs).collect();
        assert!(lost.is_empty(), "lost after crash {crash}: {lost:?}");
        let half: Vec<_> = bobs.symmetric_difference(&carols).collect();
        assert!(half.is_empty(), "half after crash {crash}: {half:?}");
    }
    assert!(
        refused > 0 && acknowledged.len() > CRASHES,
        "the disk was full, and was not"
    );
    relay.kill();
    let connection = rusqlite::Connection::open(folder.path().join("relay.db")).unwrap();
    let check: String = connection
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok");
    let broken: Option<i64> = connection
        .query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(broken, Some(0));
}

/// Numbers that look random (Marsaglia's xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// What became of the messages that were answered.
#[derive(Default)]
struct Answered {
    acknowledged: Vec<String>,
    refused: u64,
}

/// Sends to two agents over 8 connections until the relay is gone, which is killed once `kill_after`
/// messages are answered.
async fn send_and_kill(relay: &mut RelayProcess, key: &str, kill_after: u64) -> Answered {
    let (answer, mut answers) = tokio::sync::mpsc::unbounded_channel();
    for sender in 0..SENDERS {
        let api = Api::new(&relay.url);
        let header = format!("Bearer {key}");
        let answer = answer.clone();
        tokio::spawn(async move {
            let mut body = message("", json!(sender));
            body["to"] = json!(["bob", "carol"]);
            let body = body.to_string();
            let send = async || {
                let body = Some(body.clone());
                api.try_call("POST", "/messages", Some(&header), body).await
            };
            while let Ok(answered) = send().await {
                let id = match answered.status {
                    500 => None,
                    _ => Some(text(&answered.ok(201)["id"])),
                };
                answer.send(id).unwrap();
            }
        });
    }
    // The senders' own: when all of them have ended, so does the channel.
    drop(answer);
    let mut answered = Answered::default();
    let mut count = 0;
    while let Some(id) = answers.recv().await {
        match id {
            Some(id) => answered.acknowledged.push(id),
            None => answered.refused += 1,
        }
        count += 1;
        if count == kill_after {
            relay.kill();
        }
    }
    answered
}

#[tokio::test]
async fn a_full_disk_acknowledges_nothing_and_is_survived() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let (alice, bob) = (register(&relay, "alice"), register(&relay, "bob"));
    let large = message("bob", json!("x".repeat(60_000)));
    api.post("/messages", &alice, large.clone()).await.ok(201);
    relay.fill_disk();
    for _ in 0..5 {
        let refused = api.post("/messages", &alice, large.clone()).await;
        refused.error(500, "INTERNAL_ERROR");
        assert!(!refused.text.to_lowercase().contains("sql"), "{refused:?}");
    }
    let kept = api.messages("/messages", &bob).await;
    assert_eq!(kept.len(), 1, "reading goes on");
    assert_eq!(api.get("/health", "").await.ok(200)["status"], "ok");
    relay.empty_disk();
    api.post("/messages", &alice, large).await.ok(201);
    assert_eq!(api.messages("/messages", &bob).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_full_disk_exactly_the_acknowledged_deletions_happen() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let (alice, bob) = (register(&relay, "alice"), register(&relay, "bob"));
    for _ in 0..20 {
        api.send(&alice, "bob", json!(1)).await;
    }
    let waiting = api.messages("/messages", &bob).await;
    relay.fill_disk();
    // Each may or may not go through, as they share commits with sends that fail.
    let calls: Vec<_> = waiting
        .into_iter()
        .map(|message| {
            let (api, alice, bob) = (api.clone(), alice.clone(), bob.clone());
            tokio::spawn(async move {
                let path = format!("/messages/{}", text(&message["id"]));
                let large = crate::support::message("bob", json!("x".repeat(60_000)));
                let (sent, deleted) = tokio::join!(
                    api.post("/messages", &alice, large),
                    api.delete(&path, &bob)
                );
                (sent.status, deleted.status)
            })
        })
        .collect();
    let mut deleted = 0;
    for call in calls {
        let (sent, gone) = call.await.unwrap();
        assert_eq!(sent, 500);
        assert!(gone == 204 || gone == 500, "{gone}");
        deleted += usize::from(gone == 204);
    }
    let left = api.messages("/messages", &bob).await.len();
    assert_eq!(left, 20 - deleted, "exactly what was acknowledged is gone");
}

#[tokio::test]
async fn a_graceful_stop_keeps_everything_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::bind(config(folder.path())).await.unwrap();
    let (url, address) = (server.url(), server.local_addr());
    assert_eq!(url, format!("http://{address}"));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async move { drop(stopped.await) }));
    let api = Api::new(&url);
    let body = json!({"name": "alice", "owner": "o", "publicKey": KEY, "signingKey": OTHER_KEY});
    let alice = text(&api.post("/agents", ADMIN_KEY, body).await.ok(201)["apiKey"]);
    for number in 0..10 {
        api.send(&alice, "alice", json!(number)).await;
    }
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
    assert!(
        std::net::TcpStream::connect(address).is_err(),
        "it listens no more"
    );

    let server = Server::bind(config(folder.path())).await.unwrap();
    let api = Api::new(server.url());
    let running = tokio::spawn(server.run(std::future::pending()));
    assert_eq!(api.messages("/messages", &alice).await.len(), 10);
    running.abort();
}

#[tokio::test]
async fn one_folder_serves_one_relay() {
    let folder = tempfile::tempdir().unwrap();
    let first = Server::bind(config(folder.path())).await.unwrap();
    let second = Server::bind(config(folder.path())).await;
    assert!(matches!(second, Err(Error::InUse { .. })));
    drop(first);
    Server::bind(config(folder.path())).await.unwrap();
}

#[tokio::test]
async fn an_address_in_use_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut config = config(folder.path());
    config.listen = taken.local_addr().unwrap();
    let error = Server::bind(config).await.err().unwrap();
    assert!(
        error
            .to_string()
            .contains(&taken.local_addr().unwrap().to_string()),
        "{error}"
    );
}

#[cfg(unix)]
#[tokio::test]
async fn data_is_private_to_its_owner() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("new").join("data");
    let server = Server::bind(config(&folder)).await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    for file in fs::read_dir(&folder).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    drop(server);
}
