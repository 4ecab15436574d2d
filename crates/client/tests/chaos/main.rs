//! Delivery over a relay that fails in every way it can: five agents, and each message handled once.
//!
//! What fails follows from a seed. Three of them always run, with 10,000 messages each;
//! `cargo xtask chaos --seeds N` tries more.

// Tests may panic.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod agent;

use std::{
    collections::BTreeMap,
    env,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use ctalk::store::EntryState;
use ctalk_relay::testing::{FaultCounts, Faults, TestRelay};
use futures_util::future::join_all;

use self::agent::{Agent, SetClock};

const NAMES: [&str; 5] = ["alice", "bob", "carol", "dave", "erin"];
/// How many messages each agent sends.
const MESSAGES: usize = 2000;
/// Names how many seeds are tried instead of the first three.
const SEEDS: &str = "CTALK_CHAOS_SEEDS";
/// How many seeds are tried at once.
const AT_ONCE: usize = 3;
/// How long a round takes by the agents' clock: their retries are due in the one after the next.
const ROUND: Duration = Duration::from_secs(1);
/// How long one takes in which nobody had anything to do.
const IDLE_ROUND: Duration = Duration::from_secs(10);
/// More than it takes; reached only when something is lost.
const MAX_ROUNDS: usize = 5000;

/// What was handled, in order, by recipient and sender.
#[derive(Default)]
pub(crate) struct Handled(Mutex<BTreeMap<(String, String), Vec<usize>>>);

impl Handled {
    pub(crate) fn note(&self, to: &str, from: String, number: usize) {
        let mut handled = self.0.lock().unwrap();
        let pair = (to.to_owned(), from);
        handled.entry(pair).or_default().push(number);
    }

    fn len(&self) -> usize {
        self.0.lock().unwrap().values().map(Vec::len).sum()
    }

    /// Checks that all messages of each agent were handled, and each once.
    fn check_once(&self, seed: u64, messages: usize) {
        for name in NAMES {
            let handled = self.0.lock().unwrap();
            let of_them = handled.iter().filter(|((_, from), _)| from == name);
            let mut numbers: Vec<_> = of_them.flat_map(|(_, numbers)| numbers).copied().collect();
            numbers.sort_unstable();
            assert!(
                numbers.iter().copied().eq(0..messages),
                "seed {seed}: {name}: {numbers:?}"
            );
        }
    }

    /// Checks that what one agent sent to another was handled in that order.
    fn check_order(&self, seed: u64) {
        for (pair, numbers) in &*self.0.lock().unwrap() {
            assert!(numbers.is_sorted(), "seed {seed}: {pair:?}: {numbers:?}");
        }
    }
}

#[test]
fn each_message_is_handled_once() {
    let seeds = match env::var(SEEDS) {
        Ok(more) => 4..4 + more.parse::<u64>().unwrap(),
        Err(_) => 1..4,
    };
    let next = AtomicU64::new(seeds.start);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if !seeds.contains(&seed) {
                        break;
                    }
                    handled_once(seed);
                }
            });
        }
    });
}

fn handled_once(seed: u64) {
    let faults = Faults {
        seed,
        drop: 0.05,
        corrupt: 0.05,
        swallow: 0.05,
        duplicate: 0.05,
        delay: 0.1,
        reorder: 0.3,
    };
    let (handled, counts, quarantined) = exchange(faults, MESSAGES);
    handled.check_once(seed, MESSAGES);
    assert_eq!(
        u64::try_from(quarantined).unwrap(),
        counts.corrupted,
        "seed {seed}"
    );
    for happened in [
        counts.lost_requests,
        counts.lost_answers,
        counts.corrupted,
        counts.swallowed,
        counts.duplicated,
        counts.delayed,
        counts.reordered,
    ] {
        assert!(happened > 10, "seed {seed}: {counts:?}");
    }
}

#[test]
fn what_is_lost_repeated_or_damaged_is_handled_in_the_order_in_which_it_was_sent() {
    let faults = Faults {
        seed: 1,
        drop: 0.1,
        corrupt: 0.1,
        duplicate: 0.1,
        ..Faults::default()
    };
    let (handled, ..) = exchange(faults, 100);
    handled.check_once(1, 100);
    handled.check_order(1);
}

/// Has the agents send each other so many messages each. Returns what was handled when nothing is left
/// to do, what failed meanwhile, and how many copies of messages were set aside.
fn exchange(faults: Faults, messages: usize) -> (Handled, FaultCounts, usize) {
    let seed = faults.seed;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let relay = TestRelay::start().await;
        let clock = SetClock::new(1_800_000_000_000);
        let mut agents = Vec::new();
        for (name, number) in NAMES.into_iter().zip(0..) {
            let random = Random(seed << 8 | number);
            agents.push(Agent::register(&relay, name, &clock, random).await);
        }
        for agent in &mut agents {
            agent.pin_everybody().await;
        }
        relay.fail(faults);
        let handled = Handled::default();
        let mut rounds = 0;
        loop {
            rounds += 1;
            assert!(
                rounds < MAX_ROUNDS,
                "seed {seed}: {} were handled",
                handled.len()
            );
            let done: u64 = round(&mut agents, messages, &handled).await;
            if done > 0 {
                clock.advance(ROUND);
                continue;
            }
            if agents.iter().all(|agent| agent.outbox() == 0) {
                break;
            }
            clock.advance(IDLE_ROUND);
        }
        let counts = relay.fault_counts();
        relay.fail(Faults::default());
        // What is still under way are copies of what was handled before, and receipts for those.
        for _ in 0..10 {
            round(&mut agents, messages, &handled).await;
            clock.advance(ROUND);
        }
        assert!(relay.stored().is_empty(), "seed {seed}");
        let mut quarantined = 0;
        for agent in &agents {
            assert_eq!(agent.outbox(), 0, "seed {seed}");
            for state in [
                EntryState::New,
                EntryState::Running,
                EntryState::Dead,
                EntryState::Held,
            ] {
                let left = agent.inbox(state);
                assert!(left.is_empty(), "seed {seed}: {state:?}: {left:?}");
            }
            // By the relay's ids: when an acknowledgement is lost, what was set aside may come again with
            // another time.
            quarantined += agent.inbox(EntryState::Quarantined).len();
        }
        println!("seed {seed}: handled in {rounds} rounds with {counts:?}");
        (handled, counts, quarantined)
    })
}

async fn round(agents: &mut [Agent], messages: usize, handled: &Handled) -> u64 {
    let rounds = agents
        .iter_mut()
        .map(|agent| agent.round(messages, handled));
    join_all(rounds).await.into_iter().sum()
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
