//! Talk on stderr, which must not stop the work when nobody reads it.
//!
//! A pipe that is full takes nothing more until somebody reads, and whoever writes then waits: with messages
//! in hand, that would be for longer than their leases last. So a line that finds no room in time is left
//! out, and how many were is said as soon as there is room again.

use std::{
    io::{self, Write},
    os::fd::AsFd,
    sync::Mutex,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

/// How long a line waits for room, unless the one before it waited in vain.
const PATIENCE: Duration = Duration::from_secs(1);
/// A pipe with room has room for so many bytes: the least `PIPE_BUF` of POSIX.
const PIECE: usize = 512;

/// What could not be written.
#[derive(Default)]
struct Lost {
    lines: u64,
    /// Whether the last line broke off.
    is_torn: bool,
}

static LOST: Mutex<Lost> = Mutex::new(Lost {
    lines: 0,
    is_torn: false,
});

/// Writes a line, unless nobody reads. Talk is not worth failing for when nobody can hear it.
pub(crate) fn line(line: &str) {
    if let Ok(mut lost) = LOST.lock() {
        lost.write(&mut io::stderr(), line, PATIENCE);
    }
}

/// Writes the last line of a run, however long that takes.
pub(crate) fn last_line(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

impl Lost {
    fn write(&mut self, stream: &mut (impl Write + AsFd), line: &str, patience: Duration) {
        let patience = if self.lines == 0 {
            patience
        } else {
            Duration::ZERO
        };
        let end = if self.is_torn { "\n" } else { "" };
        let left_out = match self.lines {
            0 => String::new(),
            lines => format!("{lines} lines of this were left out, because nobody read it\n"),
        };
        let text = format!("{end}{left_out}{line}\n");
        for (place, piece) in text.as_bytes().chunks(PIECE).enumerate() {
            if !has_room(stream, patience) {
                self.lines = self.lines.saturating_add(1);
                self.is_torn |= place > 0;
                return;
            }
            if stream.write_all(piece).is_err() {
                return;
            }
        }
        *self = Self::default();
    }
}

fn has_room(stream: &impl AsFd, patience: Duration) -> bool {
    let Ok(patience) = Timespec::try_from(patience) else {
        return true;
    };
    loop {
        let mut descriptors = [PollFd::new(stream, PollFlags::OUT)];
        match poll(&mut descriptors, Some(&patience)) {
            Ok(ready) => return ready > 0,
            Err(Errno::INTR) => {}
            // Then writing says what is wrong.
            Err(_) => return true,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, BufRead, BufReader},
        time::Duration,
    };

    use super::Lost;

    #[test]
    fn what_nobody_reads_is_left_out_and_counted_when_there_is_room_again() {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut lost = Lost::default();
        let mut say = |lost: &mut Lost, line: &str| lost.write(&mut writer, line, Duration::ZERO);
        let long = "x".repeat(3000);
        let mut written = 0;
        while lost.lines == 0 {
            say(&mut lost, &long);
            written += 1;
        }
        say(&mut lost, "left out, too");
        let mut lines = BufReader::new(reader).lines();
        for _ in 1..written {
            assert_eq!(lines.next().unwrap().unwrap(), long);
        }
        let is_torn = lost.is_torn;
        say(&mut lost, "heard");
        drop(writer);
        let rest: Vec<_> = lines.map(Result::unwrap).collect();
        let rest = rest.iter().skip(usize::from(is_torn));
        let said = "2 lines of this were left out, because nobody read it";
        assert!(rest.eq([said, "heard"]));
    }
}
