//! The progress of long work: who sees it, and who does not.

use std::{
    fs::File,
    io::{PipeWriter, Read, Write},
    os::fd::OwnedFd,
    process::{Child, Stdio},
    sync::mpsc,
    thread,
    time::Instant,
};

use rustix::{
    fs::{Mode, OFlags, open},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};

use crate::support::{PATIENCE, Sandbox};

/// What only a bar holds: how fast it goes.
const SHOWN: &str = "iB/s";
/// What takes a bar away.
const CLEARED: &str = "\r\u{1b}[2K";
/// More than a pipe takes up: once it is written, the work on it has begun.
const BLOCK: usize = 2 << 20;

/// A `ctalk seal` that is fed by the test, and ends when the test does because its input ends then.
struct Sealing {
    child: Child,
    input: PipeWriter,
    stderr: mpsc::Receiver<Vec<u8>>,
    talk: String,
}

impl Sealing {
    /// Starts it with these options and its stderr on a terminal or a pipe, and feeds it once.
    fn start(sandbox: &Sandbox, options: &[&str], on_terminal: bool) -> Self {
        let (stdin, input) = std::io::pipe().unwrap();
        let (reader, stderr): (Box<dyn Read + Send>, Stdio) = if on_terminal {
            let (ours, its) = terminal();
            (Box::new(File::from(ours)), its.into())
        } else {
            let (ours, its) = std::io::pipe().unwrap();
            (Box::new(ours), its.into())
        };
        let card = sandbox.path("card").display().to_string();
        let child = sandbox
            .std_command("alice")
            .args(["seal", "--to", &card])
            .args(options)
            .stdin(stdin)
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .unwrap();
        let mut sealing = Self {
            child,
            input,
            stderr: chunks(reader),
            talk: String::new(),
        };
        sealing.feed();
        sealing
    }

    fn feed(&mut self) {
        self.input.write_all(&vec![0; BLOCK]).unwrap();
    }

    /// Whether anything of a bar was printed so far.
    fn shows_progress(&mut self) -> bool {
        for chunk in self.stderr.try_iter() {
            self.talk += &String::from_utf8_lossy(&chunk);
        }
        self.talk.contains(SHOWN)
    }

    /// Ends the input, waits for the end, and returns all that was printed on stderr.
    fn end(self) -> String {
        let Self {
            mut child,
            input,
            stderr,
            mut talk,
        } = self;
        drop(input);
        loop {
            match stderr.recv_timeout(PATIENCE) {
                Ok(chunk) => talk += &String::from_utf8_lossy(&chunk),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => panic!("the process does not end"),
            }
        }
        assert!(child.wait().unwrap().success(), "{talk}");
        talk
    }
}

/// A terminal: our end and the other one.
fn terminal() -> (OwnedFd, OwnedFd) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let ours = openpt(flags).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    (ours, open(name, flags, Mode::empty()).unwrap())
}

/// What is read until the end, which a terminal reports as an error.
fn chunks(mut reader: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = reader.read(&mut buffer) {
            if send.send(buffer[..length].to_vec()).is_err() {
                return;
            }
        }
    });
    receive
}

#[test]
fn long_work_shows_progress_on_a_terminal_and_nowhere_else() {
    let sandbox = Sandbox::new();
    let keygen = ["keygen", "--name", "alice", "--key-store", "plain"];
    sandbox.run("alice", &keygen).success();
    let card = sandbox.run("alice", &["card"]).success();
    sandbox.file("card", &card.get_output().stdout);

    let mut silent = [(&["--quiet"][..], true), (&["--json"], true), (&[], false)]
        .map(|(options, on_terminal)| Sealing::start(&sandbox, options, on_terminal));
    // The others began before this one: when it has taken long enough, so have they.
    let mut shown = Sealing::start(&sandbox, &[], true);
    let began = Instant::now();
    while !shown.shows_progress() {
        assert!(began.elapsed() < PATIENCE, "no progress: {:?}", shown.talk);
        shown.feed();
    }
    for sealing in &mut silent {
        sealing.feed();
    }
    let talk = shown.end();
    let (_, rest) = talk.rsplit_once(CLEARED).unwrap();
    assert!(rest.starts_with("recipients can open it"), "{talk:?}");
    // Counted from the beginning of the work, not from when the bar appeared.
    assert!(!talk.contains("GiB/s"), "{talk:?}");
    for talk in silent.map(Sealing::end) {
        assert!(!talk.contains(SHOWN), "{talk:?}");
    }
}
