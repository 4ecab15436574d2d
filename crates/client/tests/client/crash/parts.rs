//! Alice sends bob what is too long for one message, while a part of something that never became whole
//! lies in his store.

use async_trait::async_trait;
use ctalk::{
    Content, Draft,
    core::{
        envelope::{self, Kind, Metadata},
        part::Split,
    },
};
use serde_json::json;

use super::{
    Story,
    process::{HOUR, Process, keyed, long},
    trial::Trial,
};
use crate::{
    agents::{Agent, rng},
    scene::{Scene, at},
};

pub(super) struct Parts;

#[async_trait(?Send)]
impl Story for Parts {
    fn name(&self) -> &'static str {
        "parts"
    }

    fn writes(&self) -> &'static [&'static str] {
        &[
            "absorb",
            "admit",
            "advance-outgoing",
            "claim-outgoing",
            "enqueue",
            "give-up-unfinished",
            "keep-part",
            "keep-receipt",
            "settle-all",
            "settle-and-claim",
            "settle-outgoing",
        ]
    }

    async fn prepare(&self, scene: &mut Scene) -> Vec<Agent> {
        scene.meet().await;
        let alice = scene.alice.identity();
        let sealed = envelope::seal(
            &alice,
            [&scene.bob.card],
            &Metadata::new(Kind::Request, "application/octet-stream"),
            &[7; 5000],
            at(scene.now()),
            at(scene.now() + HOUR),
            &mut rng(),
        )
        .unwrap();
        let split = Split::new(&alice, &sealed, 2048).unwrap();
        let stray = json!({"id": "stray", "from": "alice", "to": "bob", "type": "notification",
            "encrypted": true, "payload": split.text(&alice, 0), "ts": "2027-01-15T08:00:00.000Z"});
        scene.relay.inject("bob", &stray.to_string());
        Vec::new()
    }

    async fn tell(&self, process: &Process) {
        let (mut alice, mut bob) = (process.client("alice"), process.client("bob"));
        process.work(&mut bob).await;
        process.clock.advance(2 * HOUR);
        // What it began is over by now.
        process.work(&mut bob).await;
        let draft = Draft {
            receipt: true,
            ..Draft::new(Content::Bytes(long()))
        };
        let names = ["bob".to_owned()];
        let mut sent = alice.send(&names, &keyed(draft, "long")).await.unwrap();
        sent.remove(0).unwrap();
        process.work(&mut bob).await;
        process.work(&mut alice).await;
    }

    async fn check(&self, trial: &mut Trial, when: &str) {
        let mut texts: Vec<_> = trial.effects().into_iter().map(|one| one.text).collect();
        texts.dedup();
        assert_eq!(texts, ["long", "re: long"], "{when}");
        let (alice, bob) = (&trial.scene.alice, &trial.scene.bob);
        assert_eq!(trial.count(bob, "FROM wholes"), 1, "{when}");
        // After a crash before it was stored, the lone part has expired.
        let aside = "FROM inbox WHERE state NOT IN ('done', 'quarantined')
                     OR (state = 'quarantined' AND reason != 'expired')";
        assert_eq!(trial.count(bob, aside), 0, "{when}");
        let receipts = trial.count(alice, "FROM receipts WHERE outcome = 'done'");
        assert_eq!(receipts, 1, "{when}");
        assert_eq!(trial.count(alice, "FROM idempotent_outcomes"), 1, "{when}");
    }
}
