//! What it takes to deliver messages of 1 KiB, with every write waited for.
//!
//! Prints one measurement per line, a name and a number. As `delivery rates`: messages received in a second with
//! an empty store, with one that remembers a million, and in the barest way that there is. As
//! `delivery steps`: the time that each step of a message takes, in nanoseconds.
//!
//! As `delivery feed URL @ADMIN-KEY-FILE NAME COUNT` it sends so many messages to an agent of a relay,
//! and prints nothing.

mod author;
mod bare;
mod memory;

use std::{
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use ctalk::{
    Client, Content, Draft, Until, Work,
    handler::{Attempt, Handler, Outcome},
};
use rusqlite::params;

use self::{author::Author, bare::Bare, memory::Memory};

/// Messages that were handled before.
const HISTORY: usize = 1_000_000;
/// Messages received in one round.
const MESSAGES: usize = 1000;
const ROUNDS: usize = 7;
/// Messages that are followed one by one.
const FOLLOWED: usize = 1000;

type Error = Box<dyn std::error::Error>;

fn main() -> Result<(), Error> {
    // All but what is opened ahead is done on this thread.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    // Cargo passes an option of its own.
    let args: Vec<_> = std::env::args().skip(1).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["feed", url, admin_key, name, count, ..] => {
            runtime.block_on(author::feed(url, admin_key, name, count.parse()?))
        }
        ["steps", ..] => runtime.block_on(steps()),
        ["rates", ..] => runtime.block_on(rates()),
        _ => Err("rates, steps or feed".into()),
    }
}

/// Counts what it is handed, and notes when it began with it.
#[derive(Default)]
struct Counter {
    handled: AtomicUsize,
    began: Mutex<Vec<Instant>>,
}

#[async_trait]
impl Handler for Counter {
    async fn handle(&self, _: &Attempt) -> Outcome {
        let now = Instant::now();
        self.began
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(now);
        self.handled.fetch_add(1, Ordering::Relaxed);
        Outcome::Done { output: Vec::new() }
    }
}

/// How many messages a second are fetched, stored, opened, claimed, handled and committed.
async fn rates() -> Result<(), Error> {
    let folder = tempfile::tempdir()?;
    let author = Author::new("alice")?;
    let memory = Memory::default();
    memory.publish(author.entry());
    let mut receivers = Vec::new();
    for (name, history) in [("empty", 0), ("full", HISTORY)] {
        let store = folder.path().join(format!("{name}.sqlite"));
        let receiver = Author::new("bob")?;
        let mut client = receiver.client(memory.clone(), &store)?;
        // The sender is pinned, so that the directory is asked no more.
        receive(&mut client, &author, &receiver, &memory, 1).await?;
        remember(&store, history)?;
        receivers.push((name, receiver, client, Vec::new()));
    }
    let bare = (
        Bare::new(&folder.path().join("bare.sqlite"))?,
        Author::new("bob")?,
    );
    let mut bare_rates = Vec::new();
    let rate = |took: Duration| MESSAGES as f64 / took.as_secs_f64();
    for round in 0..=ROUNDS {
        let took = bare.0.receive(&author, &bare.1, MESSAGES)?;
        if round > 0 {
            bare_rates.push(rate(took));
        }
        for (_, receiver, client, rates) in &mut receivers {
            let took = receive(client, &author, receiver, &memory, MESSAGES).await?;
            // The first round warms caches up and is thrown away.
            if round > 0 {
                rates.push(rate(took));
            }
        }
    }
    let measured = receivers
        .into_iter()
        .map(|(name, _, _, rates)| (name, rates));
    for (name, mut rates) in measured.chain([("bare", bare_rates)]) {
        rates.sort_by(f64::total_cmp);
        let median = rates.get(ROUNDS / 2).ok_or("no rounds")?;
        println!("{name}_per_second {median:.0}");
    }
    Ok(())
}

/// Seals messages, which is not measured, and then receives them, which is.
async fn receive(
    client: &mut Client,
    author: &Author,
    receiver: &Author,
    memory: &Memory,
    count: usize,
) -> Result<Duration, Error> {
    for _ in 0..count {
        memory.deliver(author.name(), author.seal(receiver.card())?);
    }
    let counter = Counter::default();
    let started = Instant::now();
    let work = Work::default();
    let observe = |_: ctalk::Event<'_>| {};
    client
        .work(&work, &counter, std::future::pending(), observe)
        .await?;
    let took = started.elapsed();
    match counter.handled.load(Ordering::Relaxed) {
        handled if handled == count => Ok(took),
        handled => Err(format!("{handled} of {count} messages were handled").into()),
    }
}

/// Fills a store with messages that were handled; past the store, because a durable write for each of a
/// million would take many minutes.
fn remember(path: &Path, count: usize) -> Result<(), Error> {
    let mut db = rusqlite::Connection::open(path)?;
    // As much as all of it takes, in KiB and so negative.
    db.pragma_update(None, "cache_size", -1_048_576)?;
    let transaction = db.transaction()?;
    let mut seen = transaction.prepare(
        "INSERT INTO seen_envelopes (sender, id, digest, expires)
         VALUES (?1, randomblob(16), randomblob(32), ?2)",
    )?;
    let mut inbox = transaction.prepare(
        "INSERT INTO inbox (relay, relay_id, digest, sent_at, stored_at, state, expires, raw)
         SELECT id, ?1, randomblob(32), ?2, ?2, 'done', ?3, x'' FROM relays",
    )?;
    for number in 0..count {
        let sender = [u8::try_from(number % 100)?; 32];
        seen.execute(params![sender, i64::MAX])?;
        inbox.execute(params![
            number.to_string(),
            i64::try_from(number)?,
            i64::MAX
        ])?;
    }
    drop((seen, inbox));
    transaction.commit()?;
    Ok(())
}

/// The times of each message's steps, one message at a time, with a relay that pushes.
async fn steps() -> Result<(), Error> {
    let folder = tempfile::tempdir()?;
    let (alice, bob) = (Author::new("alice")?, Author::new("bob")?);
    let memory = Memory::default();
    memory.publish(alice.entry());
    memory.publish(bob.entry());
    let mut sender = alice.client(memory.clone(), &folder.path().join("alice.sqlite"))?;
    let mut receiver = bob.client(memory.clone(), &folder.path().join("bob.sqlite"))?;
    let to = [bob.name().to_owned()];
    let draft = Draft::new(Content::Text("x".repeat(author::TEXT_LEN)));
    let counter = Counter::default();
    let work = Work {
        until: Until::Stopped {
            interval: Duration::from_secs(2),
            idle: None,
        },
        ..Work::default()
    };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let send = async {
        let mut times = Vec::with_capacity(FOLLOWED);
        for _ in 0..FOLLOWED {
            memory.idle().await;
            let started = Instant::now();
            for queued in sender.enqueue(&to, &draft).await? {
                queued?;
            }
            let enqueued = Instant::now();
            sender.flush().await?;
            let sent = Instant::now();
            // Whoever follows asks again once the commit is on disk.
            memory.idle().await;
            times.push((started, enqueued, sent, Instant::now()));
        }
        drop(stop);
        Ok::<_, Error>(times)
    };
    let stopped = async { drop(stopped.await) };
    let observe = |_: ctalk::Event<'_>| {};
    let (times, worked) = tokio::join!(send, receiver.work(&work, &counter, stopped, observe));
    let (times, _) = (times?, worked?);
    let began = counter
        .began
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    if began.len() != FOLLOWED {
        return Err(format!("{} of {FOLLOWED} messages were handled", began.len()).into());
    }
    let steps = times.iter().zip(&began);
    print_steps("enqueue", steps.clone().map(|(time, _)| time.1 - time.0));
    print_steps("handover", steps.clone().map(|(time, _)| time.2 - time.1));
    print_steps("start", steps.clone().map(|(time, began)| *began - time.2));
    print_steps("delivery", steps.map(|(time, _)| time.3 - time.0));
    Ok(())
}

fn print_steps(name: &str, times: impl Iterator<Item = Duration>) {
    let mut times: Vec<_> = times.collect();
    times.sort_unstable();
    for percent in [50, 99] {
        let rank = (times.len() * percent).div_ceil(100).max(1);
        if let Some(time) = times.get(rank - 1) {
            println!("{name}_p{percent}_ns {}", time.as_nanos());
        }
    }
}
