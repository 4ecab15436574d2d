//! Crashes: the receiving process ends before and after every durable write, and is started again.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    fs::OpenOptions,
    future::pending,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use ctalk::{
    Client, Contract, Until, Work,
    core::{Identity, XWingSecret},
    handler::{Attempt, Handler, Outcome},
    relay::clawtalk::{BearerKey, ClawTalk},
    store::{EntryState, Store},
};
use serde_json::{Value, json};

use crate::{
    agents::body,
    scene::{Scene, SetClock},
};

/// Names the folder that a receiving process works in.
const FOLDER: &str = "CTALK_CRASH_FOLDER";
/// Says how often that process was started before, which is what its clock goes by.
const STARTS: &str = "CTALK_CRASH_STARTS";

/// Every durable write of the scenario.
const WRITES: [&str; 8] = [
    "admit",
    "drop-entry",
    "end-copy",
    "pin",
    "put-away",
    "relay-row",
    "settle-all",
    "settle-and-claim",
];

const CONTRACT: Contract = Contract {
    first_pause: Duration::ZERO,
    ..Contract::HANDLER
};

/// Leaves a line for each message, and ends as its text says.
struct Effects(PathBuf);

#[async_trait]
impl Handler for Effects {
    async fn handle(&self, attempt: &Attempt) -> Outcome {
        let text = body(&attempt.message);
        let mut file = OpenOptions::new().append(true).open(&self.0).unwrap();
        writeln!(file, "{text} {}", attempt.number).unwrap();
        let why = String::new();
        match &*text {
            "later" if attempt.number == 1 => Outcome::Retry { why },
            "never" => Outcome::Failed { why },
            "unwanted" => Outcome::Refused { why },
            _ => Outcome::Done { output: Vec::new() },
        }
    }
}

/// Receives everything, as a process of its own that may end at any write; the other test starts it.
#[tokio::test]
#[ignore = "the process that crashes"]
async fn receive() {
    let folder = PathBuf::from(env::var_os(FOLDER).unwrap());
    let starts: i64 = env::var(STARTS).unwrap().parse().unwrap();
    let agent: Value =
        serde_json::from_slice(&fs::read(folder.join("agent.json")).unwrap()).unwrap();
    let text = |name: &str| agent[name].as_str().unwrap();
    let clock = SetClock::new();
    clock.advance(starts * 60_000);
    let clock = Arc::new(clock);
    let seed: [u8; 32] = serde_json::from_value(agent["seed"].clone()).unwrap();
    let identity = Identity::from_keygen_json(text("identity")).unwrap();
    let identity = identity.with_xwing(XWingSecret::from_seed(&seed));
    let key = BearerKey::new(text("key"));
    let relay = ClawTalk::new(text("url"), Some(key), clock.clone()).unwrap();
    let path = folder.join("store.sqlite");
    let mut client = Client::new("bob", identity, relay, &path, clock).unwrap();
    let work = Work {
        contract: CONTRACT,
        until: Until::Empty,
        ..Work::default()
    };
    let handler = Effects(folder.join("effects"));
    // What is to be tried again is left for another look.
    for _ in 0..2 {
        let worked = client.work(&work, &handler, pending(), |_| {});
        worked.await.unwrap();
    }
    let mut junk = Vec::new();
    let store = client.store_mut();
    let note = |entry: ctalk::store::Entry| {
        if entry.relay_id.as_deref() == Some("junk") {
            junk.push(entry.number);
        }
    };
    store.each_entry(EntryState::Quarantined, note).unwrap();
    for number in junk {
        store.drop_entry(number, 0).unwrap();
    }
}

/// Messages for bob, and what his process made of them.
struct Trial {
    scene: Scene,
    folder: tempfile::TempDir,
    /// The relay's ids of the messages, by their text.
    ids: BTreeMap<&'static str, String>,
    starts: i64,
}

impl Trial {
    async fn new() -> Self {
        let mut scene = Scene::new().await;
        let mut ids = BTreeMap::new();
        for text in ["now", "later", "never", "unwanted"] {
            let sent = scene.alice.say("bob", text).await.unwrap();
            ids.insert(text, sent.relay_id.unwrap());
        }
        let mut copy: Value = serde_json::from_str(&scene.relay.stored()[0]).unwrap();
        for (id, payload) in [("copy", copy["payload"].clone()), ("junk", json!("junk"))] {
            copy["id"] = json!(id);
            copy["payload"] = payload;
            scene.relay.inject("bob", &copy.to_string());
        }
        let folder = tempfile::tempdir().unwrap();
        let agent = json!({
            "url": scene.relay.url(),
            "key": scene.bob.agent.api_key,
            "identity": *scene.bob.agent.identity.to_keygen_json(),
            "seed": *scene.bob.xwing.seed(),
        });
        fs::write(folder.path().join("agent.json"), agent.to_string()).unwrap();
        fs::write(folder.path().join("effects"), "").unwrap();
        Self {
            scene,
            folder,
            ids,
            starts: 0,
        }
    }

    /// Runs bob's process to its end, with this in its environment.
    async fn start(&mut self, name: &'static str, value: String) -> ExitStatus {
        let mut command = Command::new(env::current_exe().unwrap());
        command
            .args(["--exact", "crash::receive", "--ignored"])
            .env(FOLDER, self.folder.path())
            .env(STARTS, self.starts.to_string())
            .env(name, value)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.starts += 1;
        let run = tokio::task::spawn_blocking(move || command.status());
        run.await.unwrap().unwrap()
    }

    async fn finish(&mut self) {
        let status = self.start(STARTS, self.starts.to_string()).await;
        assert!(status.success(), "{status}");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The attempts at each message that left an effect.
    fn effects(&self) -> BTreeMap<String, Vec<u32>> {
        let mut effects: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for line in fs::read_to_string(self.path("effects")).unwrap().lines() {
            let (text, attempt) = line.split_once(' ').unwrap();
            let attempts = effects.entry(text.to_owned()).or_default();
            attempts.push(attempt.parse().unwrap());
        }
        effects
    }

    /// The relay's ids of the messages in a state.
    fn in_state(&self, state: EntryState) -> BTreeSet<String> {
        let store = Store::open(&self.path("store.sqlite"), Some(&self.scene.relay.url())).unwrap();
        let mut ids = BTreeSet::new();
        let note = |entry: ctalk::store::Entry| ids.extend(entry.relay_id);
        store.each_entry(state, note).unwrap();
        ids
    }

    fn of(&self, texts: &[&str]) -> BTreeSet<String> {
        texts.iter().map(|text| self.ids[text].clone()).collect()
    }

    /// Whether everything came to its end, as if nothing had happened.
    fn check(&self, when: &str) {
        assert!(self.in_state(EntryState::New).is_empty(), "{when}");
        assert!(self.in_state(EntryState::Running).is_empty(), "{when}");
        assert_eq!(
            self.in_state(EntryState::Dead),
            self.of(&["never"]),
            "{when}"
        );
        let unwanted = self.of(&["unwanted"]);
        assert_eq!(self.in_state(EntryState::Quarantined), unwanted, "{when}");
        let mut done = self.of(&["now", "later"]);
        done.insert("copy".to_owned());
        assert_eq!(self.in_state(EntryState::Done), done, "{when}");
        let effects = self.effects();
        assert_eq!(effects.len(), 4, "{when}: {effects:?}");
        for attempts in effects.values() {
            // Only another attempt may do something again.
            assert!(
                attempts.is_sorted_by(|one, next| one < next),
                "{when}: {effects:?}"
            );
        }
    }
}

fn passed(log: &Path) -> Vec<String> {
    let log = fs::read_to_string(log).unwrap();
    log.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn no_crash_at_any_write_loses_a_message_or_runs_a_handled_one_again() {
    let mut trial = Trial::new().await;
    let log = trial.path("log");
    let status = trial
        .start("CTALK_FAULT_LOG", log.display().to_string())
        .await;
    assert!(status.success(), "{status}");
    trial.check("without a crash");
    let points = passed(&log);
    let names = points.iter().filter_map(|point| point.split(' ').next());
    assert_eq!(names.collect::<BTreeSet<_>>(), WRITES.into());

    for (place, point) in points.iter().enumerate() {
        let mut trial = Trial::new().await;
        let status = trial.start("CTALK_FAULT_AT", (place + 1).to_string()).await;
        assert!(!status.success(), "{point}: it did not crash");
        let done = trial.in_state(EntryState::Done);
        let before = trial.effects();
        trial.finish().await;
        trial.check(point);
        for (text, id) in &trial.ids {
            if done.contains(id) {
                assert_eq!(before[*text], trial.effects()[*text], "{point}: ran again");
            }
        }
        let before = trial.effects();
        trial.finish().await;
        assert_eq!(before, trial.effects(), "{point}: ran again");
    }
    println!("{} points covered", points.len());
}
