//! Several workers of one profile, killed at any moment: every message is committed once, in the order
//! of its sender.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::{BufRead, BufReader, Write},
    path::Path,
    process::Command,
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
};

use ctalk::{
    Client, Content, Draft,
    clock::{Clock, SystemClock},
    core::{Card, CardStatement, Identity, Timestamp, XWingSecret},
    relay::{
        Relay,
        clawtalk::{BearerKey, ClawTalk},
    },
};
use getrandom::SysRng;
use rand_core::UnwrapErr;
use rustix::process::Signal;
use tokio::runtime::Runtime;

use crate::support::{PATIENCE, Running, Sandbox};

const WORKERS: usize = 4;
const SENDERS: usize = 20;
/// From each sender.
const MESSAGES: usize = 100;
/// Workers killed on average, spread over the first three quarters of the messages.
const KILLS: usize = 20;
const SEED: u64 = 20_261_121;
/// Notes when it begins and ends, each in one write, which is as a whole before or after every other one.
const HANDLER: &str = r#"
for event in begins ends; do
    printf '%s %s %s %s %s\n' "$event" "$CTALK_ID" "$CTALK_ATTEMPT" "$CTALK_FROM" "$CTALK_TOPIC" >>"$1"
done"#;

#[test]
fn four_workers_under_kill_9_commit_each_of_2000_messages_once_and_keep_each_senders_order() {
    let sandbox = Sandbox::new();
    sandbox.add("bob");
    sandbox.file("handler.sh", HANDLER);
    let mut notes = Notes::new(&sandbox.path("notes"));
    let senders: Vec<_> = (0..SENDERS)
        .map(|number| Sender::register(&sandbox, number))
        .collect();
    let mut workers: Vec<_> = (0..WORKERS).map(|_| start(&sandbox, &[])).collect();
    let sending: Vec<_> = senders.into_iter().map(Sender::start).collect();
    let mut random = Random(SEED);
    let (mut attempts, mut kills) = (Attempts::default(), 0);
    while attempts.messages() < SENDERS * MESSAGES {
        let Some(note) = notes.next() else {
            let said = workers.into_iter().map(|worker| {
                worker.signal(Signal::TERM);
                worker.end()
            });
            let states = ["new", "running", "done", "dead", "held", "quarantined"];
            let inbox = states.map(|state| {
                let list = sandbox.json("bob", &["inbox", "list", "--state", state]);
                (state, list.len(), list.into_iter().next())
            });
            let waiting = sandbox.relay.waiting("bob");
            let (messages, said) = (attempts.messages(), said.collect::<Vec<_>>());
            panic!(
                "no handler's note after {messages} messages and {kills} kills; \
                 at the relay: {waiting}; in the inbox: {inbox:#?}; workers: {said:#?}; \
                 senders at an end: {:?}",
                sending
                    .iter()
                    .map(JoinHandle::is_finished)
                    .collect::<Vec<_>>(),
            );
        };
        if !attempts.note(&note) {
            continue;
        }
        let odds = u64::try_from(SENDERS * MESSAGES * 3 / 4 / KILLS).unwrap();
        if attempts.total < SENDERS * MESSAGES * 3 / 4 && random.next().is_multiple_of(odds) {
            let worker = usize::try_from(random.next()).unwrap_or_default() % WORKERS;
            workers[worker].signal(Signal::KILL);
            let killed = std::mem::replace(&mut workers[worker], start(&sandbox, &[]));
            assert_eq!(killed.end().0.code(), None);
            kills += 1;
        }
    }
    sending
        .into_iter()
        .for_each(|sending| sending.join().unwrap());
    for worker in workers {
        worker.signal(Signal::TERM);
        let (status, _, stderr) = worker.end();
        assert_eq!(status.code(), Some(0), "{stderr:?}");
    }
    attempts.note_all(notes.rest());
    let before = attempts.total;
    // What ran and was not committed runs once more, when the lease of whoever was killed is over.
    let uncommitted = sandbox.json("bob", &["inbox", "list", "--state", "running"]);
    if !uncommitted.is_empty() {
        let count = uncommitted.len().to_string();
        let last = start(&sandbox, &["--count", &count]);
        assert_eq!(last.end().0.code(), Some(0));
    }
    attempts.note_all(notes.rest());
    let once_more = attempts.total - before;
    assert_eq!(
        once_more,
        uncommitted.len(),
        "a message ran after it was committed"
    );
    for state in ["new", "running", "dead", "held", "quarantined"] {
        let left = sandbox.json("bob", &["inbox", "list", "--state", state]);
        assert!(left.is_empty(), "{state}: {left:?}");
    }
    assert!(kills > KILLS / 2, "{kills}");
    let again = attempts.total - attempts.messages();
    assert!(
        again <= kills,
        "{again} attempts more than messages, {kills} kills"
    );
    assert_eq!(processes_about(sandbox.folder.path()), Vec::<String>::new());
}

/// Starts a worker that runs the handler for as many messages as come.
fn start<'s>(sandbox: &'s Sandbox, more: &[&str]) -> Running<'s> {
    let (handler, notes) = (sandbox.path("handler.sh"), sandbox.path("notes"));
    let mut command = sandbox.std_command("bob");
    command
        .args(["recv", "--follow", "--interval", "0.1", "--exec"])
        .arg(format!("sh {} {}", handler.display(), notes.display()))
        .args(more);
    Running::new(Some(sandbox), &mut command)
}

/// An agent that writes to bob.
struct Sender {
    client: Client,
    runtime: Runtime,
}

impl Sender {
    fn register(sandbox: &Sandbox, number: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let name = format!("sender-{number}");
        let mut rng = UnwrapErr(SysRng);
        let xwing = XWingSecret::generate(&mut rng);
        let xwing_key = xwing.public_key().clone();
        let identity = Identity::generate(&mut rng).with_xwing(xwing);
        let keys = identity.public_keys();
        let key = sandbox.relay.register(
            &name,
            &keys.encryption().to_base64(),
            &keys.verifying().to_base64(),
        );
        let clock = Arc::new(SystemClock);
        let now = u64::try_from(clock.now()).unwrap();
        let statement = CardStatement {
            name: &name,
            serial: 1,
            created: Timestamp::from_millis(now).unwrap(),
            expires: Timestamp::from_millis(now + 86_400_000).unwrap(),
            addresses: &[],
        };
        let card = Card::sign(&identity, &xwing_key, &statement).unwrap();
        let key = Some(BearerKey::new(key));
        let relay = ClawTalk::new(&sandbox.relay.url(), key, clock.clone()).unwrap();
        runtime.block_on(relay.publish(&name, &card, &[])).unwrap();
        let store = sandbox.path(&format!("{name}.sqlite"));
        let client = Client::new(&name, identity, relay, &store, clock).unwrap();
        Self { client, runtime }
    }

    /// Sends its messages, one by one, numbered by their topics.
    fn start(mut self) -> JoinHandle<()> {
        thread::spawn(move || {
            let mut draft = Draft::new(Content::Text("work".to_owned()));
            for number in 0..MESSAGES {
                draft.topic = Some(number.to_string());
                let to = ["bob".to_owned()];
                let sent = self.runtime.block_on(self.client.send(&to, &draft));
                sent.unwrap()
                    .into_iter()
                    .for_each(|sent| drop(sent.unwrap()));
            }
        })
    }
}

/// What handlers noted, line by line, through a named pipe.
struct Notes {
    lines: mpsc::Receiver<String>,
    pipe: File,
}

impl Notes {
    fn new(path: &Path) -> Self {
        let made = Command::new("mkfifo").arg(path).status().unwrap();
        assert!(made.success());
        // Open for writing, too, so that it does not end with a handler.
        let pipe = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .unwrap();
        let (send, lines) = mpsc::channel();
        let reader = BufReader::new(pipe.try_clone().unwrap());
        thread::spawn(move || {
            for line in reader.lines() {
                if send.send(line.unwrap()).is_err() {
                    return;
                }
            }
        });
        Self { lines, pipe }
    }

    /// The next one, unless none comes.
    fn next(&self) -> Option<String> {
        self.lines.recv_timeout(PATIENCE).ok()
    }

    /// What was noted until now.
    fn rest(&mut self) -> Vec<String> {
        self.pipe.write_all(b"now\n").unwrap();
        let noted = std::iter::from_fn(|| self.next());
        noted.take_while(|line| line != "now").collect()
    }
}

/// The attempts that were made.
#[derive(Default)]
struct Attempts {
    total: usize,
    /// The newest attempt at each message.
    newest: HashMap<String, u32>,
    /// The last message of each sender that was begun, and whether a handler came to its end with it.
    last: HashMap<String, (usize, bool)>,
}

impl Attempts {
    /// Notes that one began or ended; true if it began. It must be newer than all before it at the same
    /// message, and at the sender's last message or, once that was handled, the one after it.
    fn note(&mut self, line: &str) -> bool {
        let [event, id, attempt, from, place] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let place: usize = place.parse().unwrap();
        let last = self.last.get(from).copied();
        if event == "ends" {
            // A handler whose worker was killed goes on, and may end when its message is long settled.
            if last.is_some_and(|(last, _)| last == place) {
                self.last.insert(from.to_owned(), (place, true));
            }
            return false;
        }
        let attempt: u32 = attempt.parse().unwrap();
        let newest = self.newest.insert(id.to_owned(), attempt);
        assert!(newest < Some(attempt), "{line} after {newest:?}");
        match last {
            None => assert_eq!(place, 0, "{line}"),
            Some((last, is_over)) => assert!(
                place == last || (place == last + 1 && is_over),
                "{line} after {last}"
            ),
        }
        self.last.insert(from.to_owned(), (place, false));
        self.total += 1;
        true
    }

    fn note_all(&mut self, lines: Vec<String>) {
        for line in lines {
            let _has_begun = self.note(&line);
        }
    }

    fn messages(&self) -> usize {
        self.newest.len()
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// The command lines of processes that name something in `folder`.
fn processes_about(folder: &Path) -> Vec<String> {
    let folder = folder.display().to_string();
    let lines = fs::read_dir("/proc").unwrap().filter_map(|process| {
        let line = process.unwrap().path().join("cmdline");
        // Most of what is there is no process, and those that are may end any time.
        fs::read_to_string(line).ok()
    });
    lines.filter(|line| line.contains(&folder)).collect()
}
