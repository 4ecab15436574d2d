//! Alice sends to somebody she knows and to others whom she has to look up: at once, after she was broken
//! off, from the outbox, too late, and not at all.

use std::sync::Arc;

use async_trait::async_trait;
use ctalk::{
    Client, Draft, Error, Reason, SetAside,
    core::{Revocation, Succession},
};
use futures_util::FutureExt;

use super::{
    Story,
    process::{HOUR, Process, once},
    trial::Trial,
};
use crate::{
    agents::{Agent, body, new_identity, receive_all},
    scene::{DAY, NOW, Native, Scene, at, sign},
};

pub(super) struct Sending;

#[async_trait(?Send)]
impl Story for Sending {
    fn name(&self) -> &'static str {
        "sending"
    }

    fn writes(&self) -> &'static [&'static str] {
        &[
            "claim-outgoing",
            "drop-outgoing",
            "enqueue",
            "expire-outgoing",
            "hasten-outgoing",
            "pin",
            "record-revocation",
            "record-successions",
            "retry-outgoing",
            "set-card",
            "set-refreshed",
            "settle-outgoing",
        ]
    }

    async fn prepare(&self, scene: &mut Scene) -> Vec<Agent> {
        let (relay, clock) = (&scene.relay, &scene.clock);
        let carol = Native::register(relay, "carol", clock, true).await;
        let dave = Agent::register_with(relay, "dave", Arc::new(clock.clone()));
        let mut erin = Native::register(relay, "erin", clock, true).await;
        let mut frank = Native::register(relay, "frank", clock, true).await;
        for agent in [&mut scene.bob, &mut erin, &mut frank] {
            scene.alice.say(&agent.name, "hello").await.unwrap();
            assert_eq!(agent.receive().await.0.len(), 1);
        }
        let show = |agent: &Native, texts: &[String]| {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            scene.relay.set_agent_capabilities(&agent.name, &texts);
        };
        let bob = &scene.bob;
        let renewed = sign(&bob.agent.identity, &bob.xwing, "bob", 2, NOW);
        show(bob, &[renewed.to_text()]);
        let revocation = Revocation::sign(&erin.agent.identity, at(NOW));
        show(&erin, &[revocation.to_text()]);
        let next = new_identity();
        let succession = Succession::sign(&frank.agent.identity, &next, at(NOW)).unwrap();
        frank.agent.identity = next;
        let card = sign(&frank.agent.identity, &frank.xwing, "frank", 1, NOW);
        show(&frank, &[card.to_text(), succession.to_text()]);
        let keys = frank.agent.identity.public_keys();
        let (encryption, signing) = (keys.encryption(), keys.verifying());
        relay.set_agent_keys("frank", &encryption.to_base64(), &signing.to_base64());
        frank.agent.client = frank.client(&relay.url(), clock);
        vec![carol.agent, dave, frank.agent]
    }

    async fn tell(&self, process: &Process) {
        let mut alice = process.client("alice");
        // The directory is to be asked again, but not by each process.
        process.wait_until(NOW + DAY);
        for (text, names) in [
            ("shared", &["bob", "carol"][..]),
            ("classic", &["dave"]),
            ("moved", &["frank"]),
        ] {
            for sent in alice.send(&owned(names), &once(text)).await.unwrap() {
                sent.unwrap();
            }
        }
        let erin = owned(&["erin"]);
        let ended = alice.send(&erin, &once("ended")).await.unwrap().remove(0);
        assert!(matches!(ended, Err(Error::Ended { .. })), "{ended:?}");

        let bob = owned(&["bob"]);
        let _ = alice.send(&bob, &once("broken off")).now_or_never();
        let again = alice.send(&bob, &once("broken off")).await.unwrap();
        assert!(again[0].is_ok(), "{again:?}");

        let _ = alice.send(&bob, &once("given back")).now_or_never();
        drop(alice);
        let mut alice = process.client("alice");
        alice.flush().await.unwrap();

        let short_lived = Draft {
            ttl: Some(60),
            ..once("too late")
        };
        enqueue(&mut alice, &short_lived).await;
        process.clock.advance(HOUR);
        alice.flush().await.unwrap();

        enqueue(&mut alice, &once("dropped")).await;
        let mut queued = Vec::new();
        let store = alice.store_mut();
        store.each_outgoing(|entry| queued.push(entry)).unwrap();
        for entry in queued {
            store.drop_outgoing(entry.number).unwrap();
        }
    }

    async fn check(&self, trial: &mut Trial, when: &str) {
        let alice = &trial.scene.alice;
        assert_eq!(trial.count(alice, "FROM endings"), 2, "{when}");
        let outcomes = trial.count(alice, "FROM idempotent_outcomes");

        let mut received = Vec::new();
        let clients = trial.others.iter_mut().map(|agent| &mut agent.client);
        for client in clients.chain([&mut trial.scene.bob.agent.client]) {
            let (messages, set_aside) = receive_all(client).await;
            // ClawTalk's format has no ids, so that a copy is told by its content alone.
            let is_copy = |aside: &SetAside| aside.reason == Reason::Replayed;
            assert!(set_aside.iter().all(is_copy), "{when}: {set_aside:?}");
            let texts = messages
                .iter()
                .map(|one| format!("{}: {}", one.to, body(one)));
            received.extend(texts);
        }
        received.sort_unstable();
        // It may have left after a crash, before it was to be dropped.
        let dropped = received.iter().position(|text| text == "bob: dropped");
        let dropped = dropped.map(|place| received.remove(place));
        let expected = [
            "bob: broken off",
            "bob: given back",
            "bob: shared",
            "carol: shared",
            "dave: classic",
            "frank: moved",
        ];
        assert_eq!(received, expected, "{when}");
        assert_eq!(outcomes, 6 + i64::from(dropped.is_some()), "{when}");
    }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

async fn enqueue(alice: &mut Client, draft: &Draft) {
    let mut queued = alice.enqueue(&owned(&["bob"]), draft).await.unwrap();
    queued.remove(0).unwrap();
}
