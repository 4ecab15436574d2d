//! Crashes: a process ends before and after every durable write, and is started again.
//!
//! A story is what agents do, told so that it can be begun anew at any time. One run of it shows which
//! points it passes; then for each of them another run ends there, as if it were killed, and a last one
//! has to bring everything to its end.

mod answering;
mod calling;
mod killed;
mod parts;
mod process;
mod reading;
mod receiving;
mod rerouting;
mod sending;
mod source;
mod trial;

use std::collections::BTreeSet;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};

use self::{
    process::Process,
    trial::{Ended, Trial},
};
use crate::{agents::Agent, scene::Scene};

/// How many trials run at once.
const AT_ONCE: usize = 2;

const STORIES: [&dyn Story; 7] = [
    &sending::Sending,
    &receiving::Receiving,
    &reading::Reading,
    &parts::Parts,
    &answering::Answering,
    &calling::Calling,
    &rerouting::Rerouting,
];

#[async_trait(?Send)]
trait Story {
    fn name(&self) -> &'static str;

    /// The names of all durable writes in it.
    fn writes(&self) -> &'static [&'static str];

    /// The file that each agent keeps everything in.
    fn store(&self) -> &'static str {
        "store.sqlite"
    }

    /// Does what comes before it; returns the agents who take part beside alice and bob.
    async fn prepare(&self, scene: &mut Scene) -> Vec<Agent>;

    /// What the process does, from its beginning.
    async fn tell(&self, process: &Process);

    /// Whether all is as it would be if nothing had happened, beyond what is checked of every story.
    async fn check(&self, trial: &mut Trial, when: &str);
}

#[tokio::test]
async fn no_crash_at_any_write_loses_a_message_or_runs_a_handled_one_again_or_leaves_orphans() {
    let mut covered = 0;
    for story in STORIES {
        let mut trial = Trial::new(story).await;
        let Ended { success, points } = trial.start(None, 1).await;
        assert!(success, "{}: it failed", story.name());
        let runs = trial.runs();
        trial.check("without a crash", &runs).await;
        let names = points.iter().filter_map(|point| point.split(' ').next());
        let names: BTreeSet<_> = names.collect();
        assert_eq!(
            names,
            story.writes().iter().copied().collect(),
            "{}",
            story.name()
        );
        let trials = points.iter().enumerate().map(async |(place, point)| {
            let when = format!("{}, {} {point}", story.name(), place + 1);
            let mut trial = Trial::new(story).await;
            let ended = trial.start(Some(place + 1), 1).await;
            assert!(!ended.success, "{when}: it did not crash");
            assert_eq!(ended.points, points[..=place], "{when}");
            let (settled, before) = (trial.settled(), trial.effects());
            let ended = trial.start(None, 2).await;
            assert!(ended.success, "{when}: it did not recover");
            for effect in &trial.effects()[before.len()..] {
                assert!(!settled.contains(&effect.id), "{when}: {effect:?} again");
            }
            trial.check(&when, &runs).await;
        });
        let mut trials = stream::iter(trials).buffer_unordered(AT_ONCE);
        while trials.next().await.is_some() {}
        println!("{}: {} points covered", story.name(), points.len());
        covered += points.len();
    }
    println!("{covered} points covered");
}
