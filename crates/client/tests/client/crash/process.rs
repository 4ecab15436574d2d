//! The process that crashes.

use std::{
    env, fs,
    fs::OpenOptions,
    future::pending,
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use ctalk::{
    Client, Contract, Draft, Until, Work,
    clock::Clock,
    core::{Identity, XWingSecret},
    handler::{Attempt, Handler, Outcome},
    relay::clawtalk::{BearerKey, ClawTalk},
};
use serde_json::{Value, json};

use super::STORIES;
use crate::{
    agents::{body, text_draft},
    scene::{Native, Scene, SetClock},
};

/// Name the story, the folder to work in, how often a process was started for it before, and how often
/// it is told.
pub(super) const STORY: &str = "CTALK_CRASH_STORY";
pub(super) const FOLDER: &str = "CTALK_CRASH_FOLDER";
pub(super) const STARTS: &str = "CTALK_CRASH_STARTS";
pub(super) const TIMES: &str = "CTALK_CRASH_TIMES";

/// What parts the effects of one telling from those of the next.
pub(super) const NEXT_TIME: &str = "again";
/// Longer than the policy of any story lets messages be.
pub(super) const LONG: usize = 100_000;

pub(super) const HOUR: i64 = 60 * 60 * 1000;
/// How much later each process starts, by its clock. No story takes as long.
pub(super) const STEP: i64 = 30 * HOUR;

const CONTRACT: Contract = Contract {
    first_pause: Duration::ZERO,
    ..Contract::HANDLER
};

/// What a process has to know of alice and bob, who keep everything in a file with this name.
pub(super) fn describe(scene: &Scene, store: &str) -> Value {
    let agent = |native: &Native| {
        json!({
            "url": scene.relay.url(),
            "key": native.agent.api_key,
            "identity": *native.agent.identity.to_keygen_json(),
            "seed": *native.xwing.seed(),
            "store": native.agent.folder.path().join(store),
        })
    };
    json!({"alice": agent(&scene.alice), "bob": agent(&scene.bob)})
}

/// A process in which alice and bob work.
pub(super) struct Process {
    pub(super) clock: SetClock,
    effects: PathBuf,
    agents: Value,
}

#[tokio::test]
#[ignore = "the process that crashes"]
async fn tell() {
    let text = |name: &str| env::var(name).unwrap();
    let process = Process::here();
    let name = text(STORY);
    let story = STORIES.iter().find(|story| story.name() == name).unwrap();
    for _ in 0..text(TIMES).parse().unwrap() {
        story.tell(&process).await;
        process.note(NEXT_TIME);
        process.clock.advance(HOUR);
    }
}

impl Process {
    /// As the environment says.
    pub(super) fn here() -> Self {
        let folder = PathBuf::from(env::var_os(FOLDER).unwrap());
        let starts: i64 = env::var(STARTS).unwrap().parse().unwrap();
        let clock = SetClock::new();
        // What the process before it had in hand is in nobody's by now.
        clock.advance(starts * STEP);
        let agents = fs::read(folder.join("agents.json")).unwrap();
        Self {
            clock,
            effects: folder.join("effects"),
            agents: serde_json::from_slice(&agents).unwrap(),
        }
    }

    pub(super) fn client(&self, name: &str) -> Client {
        self.client_at(name, self.agents[name]["url"].as_str().unwrap())
    }

    pub(super) fn client_at(&self, name: &str, url: &str) -> Client {
        let agent = &self.agents[name];
        let text = |name: &str| agent[name].as_str().unwrap();
        let clock = Arc::new(self.clock.clone());
        let seed: [u8; 32] = serde_json::from_value(agent["seed"].clone()).unwrap();
        let identity = Identity::from_keygen_json(text("identity")).unwrap();
        let identity = identity.with_xwing(XWingSecret::from_seed(&seed));
        let key = BearerKey::new(text("key"));
        let relay = ClawTalk::new(url, Some(key), clock.clone()).unwrap();
        Client::new(name, identity, relay, Path::new(text("store")), clock).unwrap()
    }

    pub(super) fn wait_until(&self, time: i64) {
        self.clock.advance((time - self.clock.now()).max(0));
    }

    /// Goes through all that waits for an agent, and sends what it has to say.
    pub(super) async fn work(&self, client: &mut Client) {
        let work = Work {
            contract: CONTRACT,
            replies: true,
            until: Until::Empty,
            ..Work::default()
        };
        // What is to be tried again is left for another look.
        for _ in 0..2 {
            let worked = client.work(&work, self, pending(), |_| {});
            worked.await.unwrap();
        }
    }

    /// Leaves an effect of a message.
    pub(super) fn effect(&self, attempt: &Attempt) {
        let message = &attempt.message;
        let id = message.id.as_ref().or(message.relay_id.as_ref()).unwrap();
        self.note(&format!("{}\t{id}\t{}", what(attempt), attempt.number));
    }

    fn note(&self, line: &str) {
        let mut file = OpenOptions::new().append(true).open(&self.effects).unwrap();
        writeln!(file, "{line}").unwrap();
    }
}

/// What a message says; [`long`] stands for that.
pub(super) fn what(attempt: &Attempt) -> String {
    let payload = &attempt.message.payload;
    if payload.as_bytes().len() == LONG && payload.as_bytes() == long() {
        return "long".to_owned();
    }
    body(&attempt.message)
}

/// More than a relay takes as one message.
pub(super) fn long() -> Vec<u8> {
    (0..LONG).map(|place| (place % 251) as u8).collect()
}

/// Delivers once, however often the story is told.
pub(super) fn keyed(draft: Draft, key: &str) -> Draft {
    Draft {
        idempotency_key: Some(key.to_owned()),
        ..draft
    }
}

/// A text under itself as its key.
pub(super) fn once(text: &str) -> Draft {
    keyed(text_draft(text), text)
}

#[async_trait]
impl Handler for Process {
    async fn handle(&self, attempt: &Attempt) -> Outcome {
        self.effect(attempt);
        let text = what(attempt);
        let why = String::new();
        match &*text {
            "later" if attempt.number == 1 => Outcome::Retry { why, after: None },
            "never" => Outcome::Failed { why },
            "unwanted" => Outcome::Refused { why },
            _ => Outcome::Done {
                output: format!("re: {text}").into_bytes(),
            },
        }
    }
}
