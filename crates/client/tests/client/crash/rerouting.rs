//! Alice prefers a relay that does not answer: what it is to get goes over another one.

use std::future::pending;

use async_trait::async_trait;
use ctalk::{
    Agent as AtRelays, Sending, Until, Via, Work,
    core::trust::Standing,
    store::{Learned, NewContact},
};

use super::{
    Story,
    process::{HOUR, Process, once},
    trial::Trial,
};
use crate::{
    agents::{Agent, body, receive_all},
    scene::{DAY, NOW, Scene},
};

/// Nothing listens there.
const DEAD: &str = "http://127.0.0.1:1";

pub(super) struct Rerouting;

#[async_trait(?Send)]
impl Story for Rerouting {
    fn name(&self) -> &'static str {
        "rerouting"
    }

    fn writes(&self) -> &'static [&'static str] {
        &[
            "claim-outgoing",
            "enqueue",
            "pin",
            "relay-row",
            "reroute",
            "reroute-tried",
            "set-refreshed",
            "settle-outgoing",
        ]
    }

    async fn prepare(&self, scene: &mut Scene) -> Vec<Agent> {
        scene.alice.say("bob", "hello").await.unwrap();
        assert_eq!(scene.bob.receive().await.0.len(), 1);
        Vec::new()
    }

    async fn tell(&self, process: &Process) {
        let to = ["bob".to_owned()];
        let mut live = process.client("alice");
        // So that the directory of the dead one need not be asked.
        process.wait_until(NOW + DAY);
        let before = live.send(&to, &once("before")).await.unwrap();
        assert!(before[0].is_ok(), "{before:?}");
        let mut dead = process.client_at("alice", DEAD);
        let bob = dead.store().contact("bob").unwrap().unwrap();
        let there = NewContact {
            name: "bob",
            address: Some("bob"),
            keys: &bob.keys,
            card: None,
            learned: Learned::Card,
            standing: Standing::Pinned,
        };
        dead.store_mut().pin(there, NOW).unwrap();
        let mut alice = AtRelays::new(vec![("dead".to_owned(), dead), ("live".to_owned(), live)]);
        for (text, sending, via) in [
            ("instead", Sending::Now, Via::Preferred),
            ("over all", Sending::Now, Via::All),
            ("owed", Sending::Later, Via::Named("dead")),
        ] {
            let sent = alice.send(&to, &once(text), sending, via).await.unwrap();
            assert!(sent[0].is_ok(), "{sent:?}");
        }
        let work = Work {
            until: Until::Empty,
            ..Work::default()
        };
        alice.work(&work, process, pending(), |_| {}).await.unwrap();
        process.clock.advance(HOUR);
        for client in alice.clients_mut() {
            client.flush().await.unwrap();
        }
        // The copy for the dead relay.
        let mut queued = Vec::new();
        let store = alice.clients_mut().next().unwrap().store_mut();
        store.each_outgoing(|entry| queued.push(entry)).unwrap();
        for entry in queued {
            store.drop_outgoing(entry.number).unwrap();
        }
    }

    async fn check(&self, trial: &mut Trial, when: &str) {
        let bob = &mut trial.scene.bob.agent.client;
        let (messages, _) = receive_all(bob).await;
        let mut received: Vec<String> = messages.iter().map(body).collect();
        received.sort_unstable();
        assert_eq!(
            received,
            ["before", "instead", "over all", "owed"],
            "{when}"
        );
    }
}
