//! Alice calls bob, who answers once, and once comes too late.

use std::time::Duration;

use async_trait::async_trait;
use ctalk::{Call, Error};

use super::{Story, process::Process, trial::Trial};
use crate::{
    agents::{Agent, text_draft},
    scene::Scene,
};

const TIMEOUT: Duration = Duration::from_secs(5);

pub(super) struct Calling;

#[async_trait(?Send)]
impl Story for Calling {
    fn name(&self) -> &'static str {
        "calling"
    }

    fn writes(&self) -> &'static [&'static str] {
        &[
            "absorb",
            "admit",
            "claim-outgoing",
            "end-call",
            "keep-receipt",
            "post-recorded",
            "put-away",
            "settle-all",
            "settle-and-claim",
            "settle-outgoing",
            "settle-response",
        ]
    }

    async fn prepare(&self, scene: &mut Scene) -> Vec<Agent> {
        scene.alice.say("bob", "hello").await.unwrap();
        assert_eq!(scene.bob.receive().await.0.len(), 1);
        Vec::new()
    }

    async fn tell(&self, process: &Process) {
        let (mut alice, mut bob) = (process.client("alice"), process.client("bob"));
        let call = Call::begin(&mut alice, "bob", text_draft("call"), TIMEOUT);
        let call = call.await.unwrap();
        process.work(&mut bob).await;
        let response = call.wait(&mut alice).await.unwrap();
        assert_eq!(response.message.payload.as_bytes(), b"re: call");
        response.settle(&mut alice).unwrap();

        let call = Call::begin(&mut alice, "bob", text_draft("too late"), TIMEOUT);
        let error = call.await.unwrap().wait(&mut alice).await.unwrap_err();
        assert!(matches!(error, Error::NoResponse { .. }), "{error}");
        process.work(&mut bob).await;
        process.work(&mut alice).await;
    }

    async fn check(&self, trial: &mut Trial, when: &str) {
        let effects = trial.effects();
        for text in ["call", "too late"] {
            assert!(effects.iter().any(|effect| effect.text == text), "{when}");
        }
        let (alice, bob) = (&trial.scene.alice, &trial.scene.bob);
        assert!(
            trial.count(alice, "FROM calls WHERE answered") > 0,
            "{when}"
        );
        // Every call was run, and has its receipt; of responses only late ones are left.
        let calls = trial.count(alice, "FROM calls");
        let receipts = trial.count(alice, "FROM receipts WHERE outcome = 'done'");
        assert_eq!(receipts, calls, "{when}");
        let answers = trial.count(bob, "FROM answers WHERE outcome = 'done'");
        assert_eq!(answers, calls, "{when}");
        let aside = "FROM (SELECT DISTINCT CAST(raw AS TEXT) ->> '$.payload' FROM inbox
                     WHERE state = 'quarantined' AND reason = 'unasked')";
        let unanswered = trial.count(alice, "FROM calls WHERE NOT answered");
        assert_eq!(trial.count(alice, aside), unanswered, "{when}");
    }
}
