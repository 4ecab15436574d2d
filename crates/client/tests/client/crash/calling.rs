//! Alice calls bob, who answers once, and once comes too late; and once the relay refuses the call.

use std::{collections::BTreeSet, time::Duration};

use async_trait::async_trait;
use ctalk::{Call, Draft, Error};

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
            "give-up-call",
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
        scene.meet().await;
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
        let refused = Draft {
            topic: Some("t".repeat(1000)),
            public_topic: true,
            ..text_draft("refused")
        };
        let call = Call::begin(&mut alice, "bob", refused, TIMEOUT).await;
        assert!(matches!(call, Err(Error::Relay(_))));
        process.work(&mut bob).await;
        process.work(&mut alice).await;
    }

    async fn check(&self, trial: &mut Trial, when: &str) {
        let effects = trial.effects();
        let handled = |text: &str| {
            let ids = effects.iter().filter(|effect| effect.text == text);
            let ids: BTreeSet<_> = ids.map(|effect| &effect.id).collect();
            i64::try_from(ids.len()).unwrap()
        };
        let (alice, bob) = (&trial.scene.alice, &trial.scene.bob);
        let answered = trial.count(alice, "FROM calls WHERE answered");
        assert!(answered > 0 && handled("too late") > 0, "{when}");
        // Whatever bob handled has its receipt, and its response unless that came too late.
        let runs = handled("call") + handled("too late");
        let receipts = trial.count(alice, "FROM receipts WHERE outcome = 'done'");
        assert_eq!(receipts, runs, "{when}");
        let answers = trial.count(bob, "FROM answers WHERE outcome = 'done'");
        assert_eq!(answers, runs, "{when}");
        let late = "FROM (SELECT DISTINCT CAST(raw AS TEXT) ->> '$.payload' FROM inbox
                    WHERE state = 'quarantined')";
        assert_eq!(trial.count(alice, late), runs - answered, "{when}");
        let aside = "FROM inbox WHERE state = 'quarantined' AND reason != 'expired'";
        assert_eq!(trial.count(bob, aside), 0, "{when}");
    }
}
