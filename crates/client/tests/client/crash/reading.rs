//! Bob reads by himself: he commits, gives back and gives up messages, keeps some for longer, and ends
//! with others in his hands.

use core::{mem::ManuallyDrop, time::Duration};

use async_trait::async_trait;
use ctalk::{Contract, Draft, Filter, Next, core::envelope::ReceiptOutcome, handler::Attempt};

use super::{Story, process::Process, trial::Trial};
use crate::{
    agents::{Agent, text_draft},
    scene::Scene,
};

const MINUTE: i64 = 60 * 1000;
/// The topic of the message that nobody survives.
const DEADLY: &str = "deadly";

pub(super) struct Reading;

#[async_trait(?Send)]
impl Story for Reading {
    fn name(&self) -> &'static str {
        "reading"
    }

    fn writes(&self) -> &'static [&'static str] {
        &[
            "admit",
            "claim-outgoing",
            "give-up",
            "reap",
            "release",
            "renew",
            "settle-and-claim",
            "settle-one",
            "settle-outgoing",
        ]
    }

    async fn prepare(&self, scene: &mut Scene) -> Vec<Agent> {
        scene.meet().await;
        for text in [DEADLY, "again", "no", "yes"] {
            let draft = Draft {
                topic: Some(text.to_owned()),
                receipt: true,
                ..text_draft(text)
            };
            scene.alice.send(&["bob"], &draft).await.remove(0).unwrap();
        }
        Vec::new()
    }

    async fn tell(&self, process: &Process) {
        let deadly = || Filter {
            topic: Some(DEADLY.to_owned()),
            ..Filter::default()
        };
        let mut bob = process.client("bob");
        bob.fetch(Duration::ZERO).await.unwrap();
        let mut receiving = bob.receive(deadly()).unwrap();
        if bob.next(&mut receiving).await.unwrap().is_some() {
            // As if it had ended here.
            let _ = ManuallyDrop::new(bob);
        }
        process.clock.advance(MINUTE);

        let once = Contract {
            most_attempts: Some(1),
            ..Contract::READER
        };
        let mut bob = process.client("bob");
        let mut receiving = bob.receive_under(once, deadly()).unwrap();
        while let Some(next) = bob.next(&mut receiving).await.unwrap() {
            assert!(matches!(next, Next::SetAside(_)), "{next:?}");
        }
        while !read(process).await {}
    }

    async fn check(&self, trial: &mut Trial, when: &str) {
        let mut texts: Vec<_> = trial.effects().into_iter().map(|one| one.text).collect();
        texts.dedup();
        assert_eq!(texts, ["again", "yes"], "{when}");
        assert_eq!(trial.in_state(&trial.scene.bob, "dead"), 2, "{when}");

        let (messages, set_aside) = trial.scene.alice.receive().await;
        assert!(
            messages.is_empty() && set_aside.is_empty(),
            "{when}: {set_aside:?}"
        );
        for (outcome, expected) in [(ReceiptOutcome::Failed, 2), (ReceiptOutcome::Done, 2)] {
            let given = format!("FROM receipts WHERE outcome = '{}'", outcome.as_str());
            assert_eq!(trial.count(&trial.scene.alice, &given), expected, "{when}");
        }
        let receipts = trial.count(&trial.scene.alice, "FROM seen_envelopes");
        assert_eq!(receipts, 4, "{when}: each receipt was sent once");
    }
}

/// Reads until nothing is left, or as far as somebody does who gives back what he has in hand; says
/// which of both it was.
async fn read(process: &Process) -> bool {
    let mut bob = process.client("bob");
    let mut receiving = bob.receive(Filter::default()).unwrap();
    while let Some(next) = bob.next(&mut receiving).await.unwrap() {
        let Next::Message(handover) = next else {
            panic!("{next:?}");
        };
        let attempt = Attempt {
            message: handover.message.clone(),
            number: handover.attempt,
        };
        match (attempt.message.topic.as_deref(), attempt.number) {
            (Some("again"), 1) => return false,
            (Some("again"), 2) => {
                bob.retry(*handover, "later").unwrap();
                process.clock.advance(MINUTE);
                receiving.rewind();
            }
            (Some("no"), _) => bob.reject(*handover, "no").unwrap(),
            _ => {
                bob.renew().unwrap();
                process.effect(&attempt);
                bob.commit(*handover).unwrap();
            }
        }
    }
    bob.flush().await.unwrap();
    true
}
