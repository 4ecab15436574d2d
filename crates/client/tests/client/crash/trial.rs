//! One trial of a story: its agents, its process, and what is left when that has ended.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use rusqlite::Connection;
use tempfile::TempDir;

use super::{
    Story,
    process::{FOLDER, NEXT_TIME, STARTS, STEP, STORY, TIMES, describe},
};
use crate::{
    agents::Agent,
    scene::{Native, Scene},
};

/// What no store holds when everything has come to its end, as a count of it.
const ORPHANS: [(&str, &str); 12] = [
    (
        "a message that waits, or is in hand for ever",
        "FROM inbox WHERE state IN ('new', 'running') OR lease IS NOT NULL",
    ),
    (
        "bytes or marks of a message that is done",
        "FROM inbox WHERE state = 'done'
         AND (length(raw) > 0 OR envelope IS NOT NULL OR sender IS NOT NULL OR mark IS NOT NULL)",
    ),
    (
        "a message that is done and never forgotten",
        "FROM inbox WHERE state = 'done' AND expires IS NULL",
    ),
    (
        "a wrong count of what waits for the user",
        "FROM aside WHERE (messages, bytes) !=
         (SELECT count(*), ifnull(sum(size), 0) FROM inbox WHERE inbox.state = aside.state)",
    ),
    ("a message to be sent", "FROM outbox"),
    ("a recipient of nothing", "FROM outbox_recipients"),
    (
        "an outcome of what is not sent",
        "FROM idempotent_outcomes WHERE state != 'sent' OR sent ->> '$.state' != 'sent'",
    ),
    ("a slice of an envelope", "FROM slices"),
    (
        "an envelope that misses parts",
        "FROM wholes WHERE missing > 0",
    ),
    (
        "a call that is still waited for",
        "FROM calls WHERE NOT answered AND expires > ?1",
    ),
    (
        "a contact without keys",
        "FROM contacts WHERE 2 != (SELECT count(*) FROM keys WHERE contact = contacts.id
         AND until IS NULL)",
    ),
    (
        "a row that belongs to nothing",
        "FROM pragma_foreign_key_check",
    ),
];

/// What a handler left of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Effect {
    pub(super) text: String,
    pub(super) id: String,
    attempt: u32,
    /// In which telling of the last process.
    telling: usize,
}

/// How often the handler runs for messages with a text, without a crash.
pub(super) type Runs = BTreeMap<String, usize>;

/// How a process ended.
pub(super) struct Ended {
    pub(super) success: bool,
    /// The points that it passed.
    pub(super) points: Vec<String>,
}

pub(super) struct Trial {
    story: &'static dyn Story,
    pub(super) scene: Scene,
    pub(super) others: Vec<Agent>,
    folder: TempDir,
    starts: i64,
}

impl Trial {
    pub(super) async fn new(story: &'static dyn Story) -> Self {
        let mut scene = Scene::new().await;
        let others = story.prepare(&mut scene).await;
        let folder = tempfile::tempdir().unwrap();
        let trial = Self {
            story,
            scene,
            others,
            folder,
            starts: 0,
        };
        let agents = describe(&trial.scene, story.store());
        fs::write(trial.path("agents.json"), agents.to_string()).unwrap();
        fs::write(trial.path("effects"), "").unwrap();
        trial
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn store(&self, native: &Native) -> PathBuf {
        native.agent.folder.path().join(self.story.store())
    }

    /// Has a process tell the story so many times, or end at that point.
    pub(super) async fn start(&mut self, at: Option<usize>, times: u32) -> Ended {
        let log = self.path("log");
        let mut command = Command::new(env::current_exe().unwrap());
        command
            .args([
                "--exact",
                "crash::process::tell",
                "--ignored",
                "--nocapture",
            ])
            .env(STORY, self.story.name())
            .env(FOLDER, self.folder.path())
            .env(STARTS, self.starts.to_string())
            .env(TIMES, times.to_string())
            .env("CTALK_FAULT_LOG", &log)
            .stdin(Stdio::null());
        if let Some(point) = at {
            command.env("CTALK_FAULT_AT", point.to_string());
        }
        self.starts += 1;
        let _ = fs::remove_file(&log);
        let output = tokio::task::spawn_blocking(move || command.output());
        let output = output.await.unwrap().unwrap();
        if !output.status.success() && at.is_none() {
            println!("{}", String::from_utf8_lossy(&output.stderr));
        }
        // There is none if nothing was left to write.
        let points = fs::read_to_string(&log).unwrap_or_default();
        Ended {
            success: output.status.success(),
            points: points.lines().map(str::to_owned).collect(),
        }
    }

    /// All that handlers did, in order.
    pub(super) fn effects(&self) -> Vec<Effect> {
        let mut telling = 0;
        let mut effects = Vec::new();
        for line in fs::read_to_string(self.path("effects")).unwrap().lines() {
            if line == NEXT_TIME {
                telling += 1;
                continue;
            }
            let fields: Vec<_> = line.split('\t').collect();
            effects.push(Effect {
                text: fields[0].to_owned(),
                id: fields[1].to_owned(),
                attempt: fields[2].parse().unwrap(),
                telling,
            });
        }
        effects
    }

    /// How often each text was handled.
    pub(super) fn runs(&self) -> Runs {
        let mut runs = Runs::new();
        for effect in self.effects() {
            *runs.entry(effect.text).or_default() += 1;
        }
        runs
    }

    /// The ids of messages that are durably handled or given up.
    pub(super) fn settled(&self) -> BTreeSet<String> {
        let mut settled = BTreeSet::new();
        for native in self.agents() {
            let db = Connection::open(self.store(native)).unwrap();
            // Whoever crashed early enough has no tables.
            let found = db.prepare(
                "SELECT lower(hex(id)) FROM seen_envelopes
                 UNION SELECT relay_id FROM seen WHERE relay_id IS NOT NULL
                 UNION SELECT lower(hex(substr(mark, 33))) FROM inbox
                 WHERE state IN ('dead', 'quarantined') AND mark IS NOT NULL",
            );
            if let Ok(mut found) = found {
                let ids = found.query_map([], |row| row.get(0)).unwrap();
                settled.extend(ids.map(|id| id.unwrap()));
            }
        }
        settled
    }

    /// Those whose part the process takes.
    fn agents(&self) -> impl Iterator<Item = &Native> {
        let both = [&self.scene.alice, &self.scene.bob];
        both.into_iter()
            .filter(|native| self.store(native).exists())
    }

    /// A number from an agent's store.
    pub(super) fn count(&self, native: &Native, from: &str) -> i64 {
        let db = Connection::open(self.store(native)).unwrap();
        let query = format!("SELECT count(*) {from}");
        let mut query = db.prepare(&query).unwrap();
        let now = self.scene.now();
        let parameters: Vec<i64> = [now].into_iter().take(query.parameter_count()).collect();
        let counted = query.query_row(rusqlite::params_from_iter(parameters), |row| row.get(0));
        counted.unwrap()
    }

    /// How many rows a table of an agent's store ever had.
    pub(super) fn numbered(&self, native: &Native, table: &str) -> i64 {
        let db = Connection::open(self.store(native)).unwrap();
        let query = "SELECT seq FROM sqlite_sequence WHERE name = ?1";
        db.query_row(query, [table], |row| row.get(0)).unwrap()
    }

    /// How many messages of an agent's inbox are in a state.
    pub(super) fn in_state(&self, native: &Native, state: &str) -> i64 {
        self.count(native, &format!("FROM inbox WHERE state = '{state}'"))
    }

    /// Whether everything has come to its end, given how often handlers run without a crash.
    pub(super) async fn check(&mut self, when: &str, runs: &Runs) {
        let effects = self.effects();
        let mut of: BTreeMap<&str, Vec<&Effect>> = BTreeMap::new();
        for effect in &effects {
            of.entry(&effect.id).or_default().push(effect);
        }
        for again in of.values() {
            // Only another attempt may do something again, and only the one that the crash ended.
            let is_raised = again.is_sorted_by(|one, next| one.attempt < next.attempt);
            assert!(is_raised, "{when}: {again:?}");
            let usual = runs.get(&again[0].text).copied().unwrap_or_default();
            assert!(again.len() <= usual + 1, "{when}: {again:?}");
            // Nothing is handled anew when the story is told once more.
            let is_once = again.iter().all(|one| one.telling == again[0].telling);
            assert!(is_once, "{when}: {again:?}");
        }
        // Whoever reads now does so after all that the process did.
        self.scene.clock.advance((self.starts + 1) * STEP);
        let story = self.story;
        story.check(self, when).await;
        for native in self.agents() {
            for (what, from) in ORPHANS {
                let found = self.count(native, from);
                assert_eq!(found, 0, "{when}: {} has {what}", native.name);
            }
        }
        let left = self.scene.relay.stored();
        assert!(left.is_empty(), "{when}: at the relay {left:?}");
    }
}
