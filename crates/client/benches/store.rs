//! Time of looking one contact up among many, and one message among many that were handled.
//!
//! Given a folder, it leaves the list of contacts that it imports there, as `contacts.jsonl`. Prints
//! one measurement per line, a name and nanoseconds: for one contact of the import, and for one
//! lookup the median over rounds and the least.

use std::{
    fs::File,
    hint::black_box,
    io::{BufReader, BufWriter, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use ctalk::{
    core::{Card, CardStatement, Identity, Timestamp, VerifyingKey, XWingSecret},
    import_contacts,
    store::{Mark, SeenBefore, Store},
};
use getrandom::{
    SysRng,
    rand_core::{Rng, UnwrapErr},
};
use rusqlite::params;

const CONTACTS: usize = 100_000;
const SEEN: usize = 1_000_000;
const ROUNDS: usize = 21;
const LOOKUPS_PER_ROUND: usize = 1000;
/// A prime, to step through all of them without meeting neighbours.
const STEP: usize = 611_953;
const RELAY: &str = "https://relay.example";

type Error = Box<dyn std::error::Error>;

fn main() -> Result<(), Error> {
    let mut rng = UnwrapErr(SysRng);
    let temporary = tempfile::tempdir()?;
    // Cargo passes an option of its own.
    let folder = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with("--"))
        .map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    let list = folder.join("contacts.jsonl");
    let signers = write_list(&list, &mut rng)?;

    let path = temporary.path().join("store.sqlite");
    import(&path, &list, &mut rng)?;
    let seen = fill(&path, &signers, &mut rng)?;
    let store = Store::open(&path, Some(RELAY))?;

    let mut place = 0;
    let mut next = |count: usize| {
        place = (place + STEP) % count;
        place
    };
    measure("sender_by_address", || {
        let contact = store.contact_at(&name(next(CONTACTS)))?;
        black_box(contact.ok_or("no contact")?);
        Ok(())
    })?;
    measure("sender_by_signing_key", || {
        let key = signers.get(next(CONTACTS)).ok_or("no key")?;
        let contact = store.contact_signing_with(key)?;
        black_box(contact.ok_or("no contact")?);
        Ok(())
    })?;
    measure("duplicate_known", || {
        let mark = seen.get(next(SEEN)).ok_or("no mark")?;
        match store.seen(0, mark, None)? {
            SeenBefore::SameCopy => Ok(()),
            other => Err(format!("{other:?}").into()),
        }
    })?;
    measure("duplicate_new", || {
        let sender = signers.get(next(CONTACTS)).ok_or("no key")?;
        match store.seen(0, &mark(sender, &mut rng), None)? {
            SeenBefore::Never => Ok(()),
            other => Err(format!("{other:?}").into()),
        }
    })
}

fn name(place: usize) -> String {
    format!("agent-{place}")
}

/// Writes the list of contacts, each with a card; returns their signing keys.
fn write_list(path: &Path, rng: &mut UnwrapErr<SysRng>) -> Result<Vec<VerifyingKey>, Error> {
    let mut list = BufWriter::new(File::create(path)?);
    let mut signers = Vec::with_capacity(CONTACTS);
    for place in 0..CONTACTS {
        let xwing = XWingSecret::generate(rng);
        let key = xwing.public_key().clone();
        let identity = Identity::generate(rng).with_xwing(xwing);
        let name = name(place);
        let statement = CardStatement {
            name: &name,
            serial: 1,
            created: Timestamp::from_millis(1).ok_or("no time")?,
            expires: Timestamp::MAX,
            addresses: &[RELAY],
        };
        let card = Card::sign(&identity, &key, &statement)?;
        signers.push(*card.signing_key());
        writeln!(list, r#"{{"name":"{name}","card":"{}"}}"#, card.to_text())?;
    }
    list.flush()?;
    Ok(signers)
}

/// Makes a store of the listed contacts.
fn import(path: &Path, list: &Path, rng: &mut UnwrapErr<SysRng>) -> Result<(), Error> {
    let mut store = Store::open(path, Some(RELAY))?;
    let me = Identity::generate(rng);
    let list = BufReader::new(File::open(list)?);
    let now = Timestamp::from_millis(1).ok_or("no time")?;
    let started = Instant::now();
    let imported = import_contacts(&mut store, &me, list, now, |_, _| {})?;
    print("import", started.elapsed(), CONTACTS);
    if imported.added == u64::try_from(CONTACTS)? {
        Ok(())
    } else {
        Err(format!("{imported:?}").into())
    }
}

/// Gives every contact an address, and fills the memory of handled envelopes; past the store, because
/// a durable write for each of a million would take many minutes.
fn fill(
    path: &Path,
    signers: &[VerifyingKey],
    rng: &mut UnwrapErr<SysRng>,
) -> Result<Vec<Mark>, Error> {
    let mut db = rusqlite::Connection::open(path)?;
    let transaction = db.transaction()?;
    transaction.execute(
        "INSERT INTO addresses (relay, address, contact) SELECT relays.id, name, contacts.id
         FROM relays, contacts",
        [],
    )?;
    let mut insert = transaction.prepare(
        "INSERT INTO seen_envelopes (sender, id, digest, expires) VALUES (?1, ?2, ?3, ?4)",
    )?;
    let mut seen = Vec::with_capacity(SEEN);
    for signer in signers.iter().cycle().take(SEEN) {
        let mark = mark(signer, rng);
        if let Mark::Native {
            sender,
            id,
            digest,
            expires,
        } = mark
        {
            insert.execute(params![sender, id, digest, expires])?;
        }
        seen.push(mark);
    }
    drop(insert);
    transaction.commit()?;
    Ok(seen)
}

/// That of an envelope nobody has seen before.
fn mark(sender: &VerifyingKey, rng: &mut UnwrapErr<SysRng>) -> Mark {
    let mut id = [0; 16];
    rng.fill_bytes(&mut id);
    Mark::Native {
        sender: *sender.as_bytes(),
        id,
        digest: [0; 32],
        expires: i64::MAX,
    }
}

fn measure(name: &str, mut lookup: impl FnMut() -> Result<(), Error>) -> Result<(), Error> {
    let mut rounds = Vec::with_capacity(ROUNDS);
    // The first round warms caches up and is thrown away.
    for round in 0..=ROUNDS {
        let started = Instant::now();
        for _ in 0..LOOKUPS_PER_ROUND {
            lookup()?;
        }
        if round > 0 {
            rounds.push(started.elapsed());
        }
    }
    rounds.sort_unstable();
    if let (Some(median), Some(least)) = (rounds.get(ROUNDS / 2), rounds.first()) {
        print(name, *median, LOOKUPS_PER_ROUND);
        print(&format!("{name}_min"), *least, LOOKUPS_PER_ROUND);
    }
    Ok(())
}

fn print(name: &str, elapsed: Duration, times: usize) {
    println!("{name}_ns {}", elapsed.as_nanos() / times as u128);
}
