//! Alice sends bob a request that he replies to and one that he refuses, and asks for receipts, which she
//! misses at first.

use std::{collections::BTreeMap, fs};

use async_trait::async_trait;
use ctalk::Draft;

use super::{
    Story,
    process::{Process, once},
    trial::Trial,
};
use crate::{agents::Agent, scene::Scene};

const MINUTE: i64 = 60 * 1000;
/// What bob's policy does not let him be sent.
const TOO_LONG: &str = "much too long for what bob wants to be sent by anybody";

pub(super) struct Answering;

#[async_trait(?Send)]
impl Story for Answering {
    fn name(&self) -> &'static str {
        "answering"
    }

    fn writes(&self) -> &'static [&'static str] {
        &[
            "absorb",
            "admit",
            "answer",
            "claim-outgoing",
            "end-copy",
            "enqueue",
            "keep-receipt",
            "put-away",
            "repeat-answer",
            "settle-all",
            "settle-and-claim",
            "settle-outgoing",
        ]
    }

    async fn prepare(&self, scene: &mut Scene) -> Vec<Agent> {
        scene.meet().await;
        let policy = "[default]\nmax-size = 20\nper-minute = 100";
        fs::write(scene.bob.agent.folder.path().join("policy.toml"), policy).unwrap();
        Vec::new()
    }

    async fn tell(&self, process: &Process) {
        let (mut alice, mut bob) = (process.client("alice"), process.client("bob"));
        let names = ["bob".to_owned()];
        for text in ["ask", TOO_LONG] {
            let asked = Draft {
                receipt: true,
                ..once(text)
            };
            alice.send(&names, &asked).await.unwrap().remove(0).unwrap();
        }
        process.work(&mut bob).await;
        // No receipt has come, so all is sent again, and answered again.
        process.clock.advance(MINUTE);
        alice.flush_due().await.unwrap();
        process.work(&mut bob).await;
        process.work(&mut alice).await;
    }

    async fn check(&self, trial: &mut Trial, when: &str) {
        let mut ids: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for effect in trial.effects() {
            let ids = ids.entry(effect.text).or_default();
            if !ids.contains(&effect.id) {
                ids.push(effect.id);
            }
        }
        // One reply, under one id.
        let numbers: Vec<_> = ids.iter().map(|(text, ids)| (&**text, ids.len())).collect();
        assert_eq!(numbers, [("ask", 1), ("re: ask", 1)], "{when}");
        let (alice, bob) = (&trial.scene.alice, &trial.scene.bob);
        for outcome in ["done", "refused"] {
            let given = format!("FROM receipts WHERE outcome = '{outcome}'");
            assert_eq!(trial.count(alice, &given), 1, "{when}: {outcome}");
        }
        assert_eq!(trial.count(alice, "FROM idempotent_outcomes"), 2, "{when}");
        assert_eq!(trial.count(bob, "FROM answers"), 2, "{when}");
        // Counted once, however often it was tried.
        assert_eq!(trial.count(bob, "FROM inbox WHERE counted"), 1, "{when}");
        // Each copy is answered once at most, unless the crash left in doubt whether it was.
        let doubts = [
            "answer After",
            "put-away Before",
            "repeat-answer After",
            "end-copy Before",
        ];
        let is_in_doubt = doubts.iter().any(|point| when.ends_with(point));
        let copies = trial.numbered(bob, "inbox") - 1;
        let answers = trial.numbered(bob, "outbox") - 1;
        let most = copies + i64::from(is_in_doubt);
        assert!(answers <= most, "{when}: {answers} of {most}");
    }
}
