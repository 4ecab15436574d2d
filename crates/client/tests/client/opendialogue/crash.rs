//! A receiver that ends before and after every durable write, as if it were killed, and is started again.
//! The relay has forgotten what it gave out; the sender's receipts make up for that.

use std::{
    collections::BTreeMap,
    env, fs,
    fs::OpenOptions,
    io,
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{ChildStdin, Command, Output, Stdio},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use ctalk::{
    Client, Contract, Draft, Until, Work,
    clock::Clock,
    core::{Identity, XWingSecret},
    handler::{Attempt, Handler, Outcome},
    relay::opendialogue::{Credentials, OpenDialogue},
};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    sync::watch,
    task::{JoinHandle, spawn_blocking},
    time::interval,
};

use super::{Peer, StandIn, body, clocks::Fast, text_draft};

/// Name the folder of the process that crashes, and the time that it begins at.
const FOLDER: &str = "CTALK_OPENDIALOGUE_CRASH_FOLDER";
const NOW: &str = "CTALK_OPENDIALOGUE_CRASH_NOW";
/// How much faster than usual time passes.
const SPEED: u32 = 40;
/// How many trials run at once.
const AT_ONCE: usize = 4;
/// Writes that must be among those that it comes to.
const WRITES: [&str; 4] = ["admit", "claim-outgoing", "keep-part", "settle-outgoing"];
/// Goes in parts.
const LONG: usize = 20_000;

/// Bob's process: works until its input ends.
#[tokio::test]
#[ignore = "the process that crashes"]
async fn work() {
    let folder = PathBuf::from(env::var_os(FOLDER).unwrap());
    let bob: Value = serde_json::from_slice(&fs::read(folder.join("bob.json")).unwrap()).unwrap();
    let text = |name: &str| bob[name].as_str().unwrap();
    let seed: [u8; 32] = serde_json::from_value(bob["seed"].clone()).unwrap();
    let identity = Identity::from_keygen_json(text("identity")).unwrap();
    let identity = identity.with_xwing(XWingSecret::from_seed(&seed));
    let now = env::var(NOW).unwrap().parse().unwrap();
    let clock = Arc::new(Fast::at(now, SPEED));
    let credentials = Credentials::from_text(text("credentials")).unwrap();
    let relay = OpenDialogue::new(text("url"), credentials, clock.clone()).unwrap();
    let store = Path::new(text("store"));
    let mut client = Client::new("bob", identity, relay, store, clock).unwrap();
    let handler = Noting(folder.join("effects"));
    let work = Work {
        contract: Contract {
            first_pause: Duration::ZERO,
            ..Contract::HANDLER
        },
        until: Until::Stopped {
            interval: Duration::from_secs(1),
            idle: None,
        },
        ..Work::default()
    };
    let stop = async {
        let reading = spawn_blocking(|| io::stdin().read_to_end(&mut Vec::new()));
        reading.await.unwrap().unwrap();
    };
    client.work(&work, &handler, stop, |_| {}).await.unwrap();
}

struct Noting(PathBuf);

#[async_trait]
impl Handler for Noting {
    async fn handle(&self, attempt: &Attempt) -> Outcome {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.0)
            .unwrap();
        let text = body(&attempt.message);
        let what = if text.len() == LONG { "long" } else { &text };
        writeln!(file, "{what} {}", attempt.number).unwrap();
        Outcome::Done { output: Vec::new() }
    }
}

/// Bob's process, which ends when this is dropped or at that durable write.
fn start(folder: &Path, now: i64, at: Option<usize>) -> (ChildStdin, JoinHandle<Output>) {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args([
            "--exact",
            "opendialogue::crash::work",
            "--ignored",
            "--nocapture",
        ])
        .env(FOLDER, folder)
        .env(NOW, now.to_string())
        .env("CTALK_FAULT_LOG", folder.join("log"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(point) = at {
        command.env("CTALK_FAULT_AT", point.to_string());
    }
    let mut child = command.spawn().unwrap();
    let input = child.stdin.take().unwrap();
    (
        input,
        spawn_blocking(move || child.wait_with_output().unwrap()),
    )
}

/// What became of a trial.
struct Trial {
    /// Whether the process came to the write that it was to end at.
    crashed: bool,
    /// The writes that it came to.
    points: Vec<String>,
}

/// Alice sends three messages, one of them in parts, to bob, whose process crashes there.
async fn trial(at: Option<usize>) -> Trial {
    let when = format!("{at:?}");
    let clock: Arc<dyn Clock> = Arc::new(Fast::new(SPEED));
    let relay = StandIn::start_with(clock.clone(), None).await;
    relay.switch(|switches| switches.rate = Some(usize::MAX));
    let mut alice = Peer::register_with(&relay, "alice", clock.clone()).await;
    let mut bob = Peer::register_with(&relay, "bob", clock.clone()).await;
    alice.knows("bob", &bob);
    bob.knows("alice", &alice);
    let folder = TempDir::new().unwrap();
    let [xwing] = bob.identity.xwing_secrets() else {
        panic!("there is one key")
    };
    let known = json!({
        "url": relay.url(),
        "credentials": *bob.credentials.expose(),
        "identity": *bob.identity.to_keygen_json(),
        "seed": *xwing.seed(),
        "store": bob.folder.path().join("store.sqlite"),
    });
    fs::write(folder.path().join("bob.json"), known.to_string()).unwrap();
    let Peer {
        client,
        folder: _store,
        ..
    } = bob;
    drop(client);
    for text in ["1", &"x".repeat(LONG), "2"] {
        let draft = Draft {
            receipt: true,
            ..text_draft(text)
        };
        let queued = alice.client.enqueue(&["bob".to_owned()], &draft).await;
        queued.unwrap().remove(0).unwrap();
    }
    let (over, mut is_over) = watch::channel(false);
    let mut sender = alice.colleague(&relay, clock.clone());
    let work = Work {
        until: Until::Stopped {
            interval: Duration::from_secs(1),
            idle: None,
        },
        ..Work::default()
    };
    let handler = Noting(folder.path().join("alice"));
    let stop = async {
        is_over.wait_for(|over| *over).await.unwrap();
    };
    let telling = async {
        let mut ticks = interval(Duration::from_millis(20));
        let (mut input, mut process) = start(folder.path(), clock.now(), at);
        let mut crashed = false;
        while alice.outbox() > 0 {
            ticks.tick().await;
            if process.is_finished() {
                let output = process.await.unwrap();
                let errors = String::from_utf8_lossy(&output.stderr);
                assert!(!crashed && at.is_some(), "{when}: it ended: {errors}");
                crashed = true;
                (input, process) = start(folder.path(), clock.now(), None);
            }
        }
        drop(input);
        let output = process.await.unwrap();
        crashed |= at.is_some() && !output.status.success();
        over.send_replace(true);
        crashed
    };
    let (worked, crashed) = tokio::join!(sender.work(&work, &handler, stop, |_| {}), telling);
    worked.unwrap();
    let effects = fs::read_to_string(folder.path().join("effects")).unwrap();
    let mut attempts: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for line in effects.lines() {
        let (text, attempt) = line.split_once(' ').unwrap();
        attempts
            .entry(text)
            .or_default()
            .push(attempt.parse().unwrap());
    }
    assert!(
        attempts.keys().copied().eq(["1", "2", "long"]),
        "{when}: {effects}"
    );
    for attempts in attempts.values() {
        // Once; or again, as another attempt, where the crash ended the first one.
        let is_fine =
            matches!(attempts[..], [1]) || crashed && matches!(attempts[..], [1, 2] | [2]);
        assert!(is_fine, "{when}: {effects}");
    }
    let points = fs::read_to_string(folder.path().join("log")).unwrap();
    Trial {
        crashed,
        points: points.lines().map(str::to_owned).collect(),
    }
}

#[tokio::test]
async fn no_crash_at_any_write_loses_what_the_relay_has_forgotten_or_handles_it_again() {
    let Trial { points, .. } = trial(None).await;
    for write in WRITES {
        let is_passed = points.iter().any(|point| point.starts_with(write));
        assert!(is_passed, "{write}: {points:?}");
    }
    let trials = (1..=points.len()).map(async |at| trial(Some(at)).await);
    let trials: Vec<_> = stream::iter(trials)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let crashed = trials.iter().filter(|trial| trial.crashed).count();
    // How many writes there are depends on what comes together.
    assert!(crashed * 2 > points.len(), "{crashed} of {}", points.len());
}
