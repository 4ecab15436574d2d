//! Delivery over a relay that loses, doubles, delays and reorders what it took, as this one may: each message
//! is handled once.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use ctalk::{
    Content, Draft, Until, Work,
    clock::Clock,
    handler::{Attempt, Handler, Outcome},
};
use futures_util::future::join_all;
use tokio::{sync::watch, time::interval};

use super::{
    LONG, Peer, StandIn, body,
    clocks::Fast,
    receive_all,
    stand_in::{Counts, Faults},
    text_draft, two,
};

const NAMES: [&str; 4] = ["alice", "bob", "carol", "dave"];
/// How many messages each agent sends to each other one.
const MESSAGES: usize = 8;
/// How much faster than usual time passes: what is resent is so after half a minute.
const SPEED: u32 = 100;

/// How often each message was handled, by recipient and sender.
#[derive(Default)]
struct Handled(Mutex<BTreeMap<(String, String), Vec<String>>>);

struct Noting<'a> {
    name: &'a str,
    handled: &'a Handled,
}

#[async_trait]
impl Handler for Noting<'_> {
    async fn handle(&self, attempt: &Attempt) -> Outcome {
        let message = &attempt.message;
        let text = body(message);
        let pair = (self.name.to_owned(), message.from.clone().unwrap());
        let mut handled = self.handled.0.lock().unwrap();
        handled.entry(pair).or_default().push(text);
        Outcome::Done { output: Vec::new() }
    }
}

fn work() -> Work {
    Work {
        until: Until::Stopped {
            interval: Duration::from_secs(1),
            idle: None,
        },
        concurrency: 4,
        ..Work::default()
    }
}

/// Has all agents send to all, and work until everything was handled and every receipt came.
async fn exchange(faults: Faults) -> (Handled, Counts) {
    let clock: Arc<dyn Clock> = Arc::new(Fast::new(SPEED));
    let relay = StandIn::start_with(clock.clone(), Some(faults)).await;
    relay.switch(|switches| switches.rate = Some(usize::MAX));
    let mut peers = Vec::new();
    for name in NAMES {
        peers.push(Peer::register_with(&relay, name, clock.clone()).await);
    }
    for one in 0..NAMES.len() {
        for (other, name) in NAMES.iter().enumerate() {
            if one != other {
                let [peer, known] = peers.get_disjoint_mut([one, other]).unwrap();
                peer.knows(name, known);
            }
        }
    }
    for (peer, name) in peers.iter_mut().zip(NAMES) {
        for number in 0..MESSAGES {
            for other in NAMES.iter().filter(|other| **other != name) {
                let draft = Draft {
                    receipt: true,
                    ..text_draft(&number.to_string())
                };
                let to = [(*other).to_owned()];
                let queued = peer.client.enqueue(&to, &draft).await.unwrap();
                queued.into_iter().for_each(|queued| drop(queued.unwrap()));
            }
        }
    }
    let handled = Handled::default();
    let mut clients = Vec::new();
    for (peer, name) in peers.iter().zip(NAMES) {
        clients.push((name, peer.colleague(&relay, clock.clone())));
    }
    let work = work();
    let (over, is_over) = watch::channel(false);
    let workers = clients.iter_mut().map(async |(name, client)| {
        let noting = Noting {
            name,
            handled: &handled,
        };
        let mut is_over = is_over.clone();
        let stop = async {
            is_over.wait_for(|over| *over).await.unwrap();
        };
        client.work(&work, &noting, stop, |_| {}).await.unwrap();
    });
    let watching = async {
        let mut ticks = interval(Duration::from_millis(20));
        while peers.iter().any(|peer| peer.outbox() > 0) {
            ticks.tick().await;
        }
        over.send_replace(true);
    };
    tokio::join!(join_all(workers), watching);
    let counts = relay.counts();
    (handled, counts)
}

#[tokio::test]
async fn each_message_is_handled_once_whatever_the_relay_loses_doubles_delays_and_reorders() {
    let (handled, counts) = exchange(Faults::new(1, 0.1, 0.1, 0.1, 0.02)).await;
    let handled = handled.0.into_inner().unwrap();
    assert_eq!(handled.len(), NAMES.len() * (NAMES.len() - 1));
    for (pair, mut texts) in handled {
        texts.sort();
        let expected = (0..MESSAGES).map(|number| number.to_string());
        assert!(texts.iter().cloned().eq(expected), "{pair:?}: {texts:?}");
    }
    let Counts {
        dropped,
        duplicated,
        delayed,
        reordered,
        lost_answers,
    } = counts;
    for happened in [dropped, duplicated, delayed, reordered, lost_answers] {
        assert!(happened > 0, "{counts:?}");
    }
}

#[tokio::test]
async fn a_file_goes_in_parts_of_the_relays_length() {
    let relay = StandIn::start().await;
    relay.switch(|switches| switches.rate = Some(usize::MAX));
    let (mut alice, mut bob) = two(&relay).await;
    bob.connect(&relay).await;
    let file: Vec<u8> = (0..4_u32 << 20).map(|place| (place % 251) as u8).collect();
    let draft = Draft::new(Content::Bytes(file.clone()));
    let storing = async {
        loop {
            bob.client.fetch(LONG).await.unwrap();
        }
    };
    tokio::select! {
        sent = alice.send("bob", &draft) => drop(sent.unwrap()),
        () = storing => {}
    }
    let mut messages = Vec::new();
    while messages.is_empty() {
        (messages, _) = receive_all(&mut bob.client).await;
    }
    let message = messages.remove(0);
    assert!(message.payload.as_bytes() == file);
    let lengths: Vec<_> = relay
        .taken()
        .iter()
        .map(|message| message["content"].as_str().unwrap().len())
        .collect();
    assert!(lengths.len() > 300);
    assert!(lengths.iter().all(|length| *length <= 16_384));
}
