//! Delivery over a relay that fails in every way it can: five agents, and each message handled once.
//!
//! What fails follows from a seed. Three of them always run, with 500 messages each;
//! `cargo xtask chaos --seeds N` tries more, with 10,000.

// Tests may panic.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod agent;

use std::{
    collections::HashMap,
    env,
    sync::{Arc, Mutex, atomic::AtomicI64},
    thread,
};

use ctalk_relay::testing::{Faults, TestRelay};

use self::agent::{Agent, SetClock};

const NAMES: [&str; 5] = ["alice", "bob", "carol", "dave", "erin"];
/// From each agent, unless [`MESSAGES`] says otherwise.
const FEW: usize = 100;
/// Names the number of messages from each agent.
const MESSAGES: &str = "CTALK_CHAOS_MESSAGES";
/// Names the number of seeds that `more_seeds` tries.
const SEEDS: &str = "CTALK_CHAOS_SEEDS";

/// How many messages each agent sends.
pub(crate) fn messages() -> usize {
    env::var(MESSAGES).map_or(FEW, |messages| messages.parse().unwrap())
}

/// A message: who sent it, and which of the sender's it is.
pub(crate) type Message = (String, usize);

/// How often each message was handled, by recipient.
#[derive(Default)]
pub(crate) struct Handled(Mutex<HashMap<(String, Message), usize>>);

impl Handled {
    pub(crate) fn note(&self, to: &str, message: Message) {
        let mut handled = self.0.lock().unwrap();
        *handled.entry((to.to_owned(), message)).or_default() += 1;
    }

    /// Whether everything was handled.
    pub(crate) fn is_all(&self) -> bool {
        self.0.lock().unwrap().len() == NAMES.len() * messages()
    }
}

#[test]
fn everything_arrives_once_with_the_first_seed() {
    everything_arrives_once(1);
}

#[test]
fn everything_arrives_once_with_the_second_seed() {
    everything_arrives_once(2);
}

#[test]
fn everything_arrives_once_with_the_third_seed() {
    everything_arrives_once(3);
}

#[test]
fn everything_arrives_once_with_more_seeds() {
    let seeds = env::var(SEEDS).map_or(0, |seeds| seeds.parse().unwrap());
    for seed in 4..4 + seeds {
        everything_arrives_once(seed);
        println!("seed {seed}: ok");
    }
}

fn everything_arrives_once(seed: u64) {
    let relay = TestRelay::start_blocking();
    let clock = SetClock::new(Arc::new(AtomicI64::new(1_800_000_000_000)));
    let mut agents: Vec<_> = NAMES
        .iter()
        .map(|name| Agent::register(&relay, name, &clock))
        .collect();
    for agent in &mut agents {
        agent.pin_everybody(&NAMES);
    }
    relay.fail(Faults {
        seed,
        drop: 0.05,
        corrupt: 0.05,
        duplicate: 0.05,
        delay: 0.1,
        reorder: 0.3,
        ..Faults::default()
    });
    let handled = Handled::default();
    thread::scope(|scope| {
        for (agent, number) in agents.iter_mut().zip(0..) {
            let random = Random(seed << 8 | number);
            let handled = &handled;
            scope.spawn(move || agent.run(random, handled));
        }
    });
    let counts = relay.fault_counts();
    relay.fail(Faults::default());
    // What was still under way are copies of what was handled before.
    for agent in &mut agents {
        agent.finish(&handled);
    }
    let handled = handled.0.into_inner().unwrap();
    assert_eq!(handled.len(), NAMES.len() * messages(), "seed {seed}");
    let repeated: Vec<_> = handled.iter().filter(|(_, times)| **times != 1).collect();
    assert!(repeated.is_empty(), "seed {seed}: {repeated:?}");
    assert!(relay.stored().is_empty(), "seed {seed}");
    for happened in [
        counts.lost_requests,
        counts.lost_answers,
        counts.corrupted,
        counts.duplicated,
        counts.delayed,
        counts.reordered,
    ] {
        assert!(happened > 10, "seed {seed}: {counts:?}");
    }
}

/// SplitMix64.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
