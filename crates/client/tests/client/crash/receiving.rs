//! Bob, who knows nobody, works through messages that are handled, tried again, given up, refused, held,
//! repeated and no messages at all.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use ctalk::{
    Client,
    clock::Clock,
    store::{Entry, EntryState},
};
use serde_json::{Value, json};

use super::{Story, process::Process, trial::Trial};
use crate::{
    agents::{Agent, body, text_draft},
    scene::Scene,
};

pub(super) struct Receiving;

#[async_trait(?Send)]
impl Story for Receiving {
    fn name(&self) -> &'static str {
        "receiving"
    }

    fn writes(&self) -> &'static [&'static str] {
        &[
            "accept",
            "admit",
            "claim-outgoing",
            "drop-entry",
            "end-copy",
            "pin",
            "put-away",
            "reject",
            "relay-row",
            "retry",
            "settle-all",
            "settle-and-claim",
            "settle-outgoing",
        ]
    }

    fn store(&self) -> &'static str {
        "new.sqlite"
    }

    async fn prepare(&self, scene: &mut Scene) -> Vec<Agent> {
        for text in ["now", "later", "never", "unwanted"] {
            scene.alice.say("bob", text).await.unwrap();
        }
        let mut copy: Value = serde_json::from_str(&scene.relay.stored()[0]).unwrap();
        for (id, payload) in [("copy", copy["payload"].clone()), ("junk", json!("junk"))] {
            copy["id"] = json!(id);
            copy["payload"] = payload;
            scene.relay.inject("bob", &copy.to_string());
        }
        // Nobody signs what is sent in the clear.
        let mut dave = Agent::register_with(&scene.relay, "dave", Arc::new(scene.clock.clone()));
        for text in ["good", "bad"] {
            let draft = text_draft(text);
            let bob = ["bob".to_owned()];
            let sent = dave.client.send_plaintext(&bob, &draft).await.unwrap();
            assert!(sent[0].is_ok());
        }
        vec![dave]
    }

    async fn tell(&self, process: &Process) {
        let mut bob = process.client("bob");
        process.work(&mut bob).await;
        for entry in entries(&bob, EntryState::Held) {
            let is_good = String::from_utf8_lossy(&entry.raw).contains("good");
            if is_good {
                bob.store_mut().accept(entry.number).unwrap();
            } else {
                bob.store_mut()
                    .reject(entry.number, process.clock.now())
                    .unwrap();
            }
        }
        for entry in entries(&bob, EntryState::Quarantined) {
            if entry.relay_id.as_deref() == Some("junk") {
                bob.store_mut().retry(entry.number).unwrap();
            }
        }
        process.work(&mut bob).await;
        for entry in entries(&bob, EntryState::Quarantined) {
            if entry.relay_id.as_deref() == Some("junk") {
                bob.store_mut()
                    .drop_entry(entry.number, process.clock.now())
                    .unwrap();
            }
        }
    }

    async fn check(&self, trial: &mut Trial, when: &str) {
        let texts: BTreeSet<_> = trial.effects().into_iter().map(|one| one.text).collect();
        let expected = ["good", "later", "never", "now", "unwanted"];
        assert_eq!(texts, expected.map(str::to_owned).into(), "{when}");
        let states = ["done", "dead", "held", "quarantined"];
        let found = states.map(|state| trial.in_state(&trial.scene.bob, state));
        // A copy, what was accepted and what was rejected are done too.
        assert_eq!(found, [5, 1, 0, 1], "{when}");

        let (replies, set_aside) = trial.scene.alice.receive().await;
        assert!(set_aside.is_empty(), "{when}: {set_aside:?}");
        let replies: Vec<_> = replies.iter().map(body).collect();
        assert_eq!(replies, ["re: now", "re: later"], "{when}");
    }
}

fn entries(client: &Client, state: EntryState) -> Vec<Entry> {
    let mut found = Vec::new();
    let store = client.store();
    store.each_entry(state, |entry| found.push(entry)).unwrap();
    found
}
