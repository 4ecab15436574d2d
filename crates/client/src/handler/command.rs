//! A program as handler.

use std::{borrow::Cow, ffi::OsString, path::PathBuf, time::Duration};

use async_trait::async_trait;
use tokio::process;

use super::{
    Attempt, FACTS, Handler, MAX_OUTPUT, Outcome, Show, TIMEOUT,
    process::{End, run},
};
use crate::text::escaped;

/// The exit code that asks for another attempt, `EX_TEMPFAIL` of `sysexits.h`.
const TEMPORARY: i32 = 75;
/// Most bytes of an environment variable's value. Linux ends at 128 KiB with the name.
const MAX_VALUE: usize = 64 << 10;
/// Begins the names of the variables.
const PREFIX: &str = "CTALK_";
/// Lists the links that were found.
const URLS: &str = "CTALK_URLS";

/// Runs a program for each message.
///
/// The payload is its stdin, as it is: text in UTF-8, JSON as written, or bytes. Who sent it and what
/// it is about are the environment variables `CTALK_ID`, `CTALK_FROM`, `CTALK_FINGERPRINT`,
/// `CTALK_TRUST`, `CTALK_TOPIC`, `CTALK_TYPE`, `CTALK_CORRELATION_ID`, `CTALK_REPLY_TO` and
/// `CTALK_ATTEMPT`, each of them unset where there is nothing to say. [`sanitize`](crate::sanitize()) adds
/// `CTALK_SANITIZED`, how many characters it removed, and `CTALK_URLS`, the links that it found, one a
/// line, as many as fit. Nothing of a message is ever part
/// of the command line. Everything else in the environment is inherited, and so is stderr.
///
/// Exit code 0 is [`Outcome::Done`] with what it wrote to stdout; 75 (`EX_TEMPFAIL`), a signal, the
/// timeout, and a program that cannot be started are [`Outcome::Retry`]; every other code is
/// [`Outcome::Failed`], and so is more output than [`Command::max_output`] allows. A message whose facts
/// no environment variable can hold, because of a NUL or more than 64 KiB, fails without being run.
///
/// The program need not read its stdin. It runs in a process group of its own, and what is left of the
/// group when it has ended, or when the attempt is dropped, is killed.
#[derive(Clone, Debug)]
pub struct Command {
    program: PathBuf,
    arguments: Vec<OsString>,
    /// What the program is called in messages, and by itself.
    name: String,
    removed: Vec<OsString>,
    takes_json: bool,
    max_output: usize,
    timeout: Duration,
}

/// Why there is nothing to run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// A quote is not closed, or a backslash stands at the end.
    #[error("the command has a quote that is not closed, or ends in a backslash")]
    Quotes,
    /// There is no word in it.
    #[error("the command is empty")]
    Empty,
    /// It holds a NUL, which no argument can.
    #[error("the command holds a NUL")]
    Nul,
    /// The program is not there, or not executable.
    #[error("cannot run `{program}`: {why}")]
    NotRunnable {
        /// The program as it was named, escaped.
        program: String,
        /// What is wrong with it.
        why: which::Error,
    },
}

impl Command {
    /// Takes a program and its arguments, split as a POSIX shell splits words (quotes, backslashes,
    /// comments) but without a shell: nothing is expanded.
    ///
    /// The program is looked for right away, in `PATH` if its name has no slash.
    ///
    /// # Errors
    /// [`CommandError`].
    pub fn new(line: &str) -> Result<Self, CommandError> {
        let words = shlex::split(line).ok_or(CommandError::Quotes)?;
        let mut words = words.into_iter();
        let name = words.next().ok_or(CommandError::Empty)?;
        Self::of(name, words.map(OsString::from).collect(), line)
    }

    /// Takes a line for `/bin/sh -c`, which expands whatever stands in it.
    ///
    /// # Errors
    /// [`CommandError`].
    pub fn shell(line: &str) -> Result<Self, CommandError> {
        if line.trim().is_empty() {
            return Err(CommandError::Empty);
        }
        Self::of("/bin/sh".to_owned(), vec!["-c".into(), line.into()], line)
    }

    fn of(name: String, arguments: Vec<OsString>, line: &str) -> Result<Self, CommandError> {
        if line.contains('\0') {
            return Err(CommandError::Nul);
        }
        let program = which::which(&name).map_err(|why| CommandError::NotRunnable {
            program: escaped(&name).into_owned(),
            why,
        })?;
        Ok(Self {
            program,
            arguments,
            name,
            removed: Vec::new(),
            takes_json: false,
            max_output: MAX_OUTPUT,
            timeout: TIMEOUT,
        })
    }

    /// Gives it the whole message on stdin instead of the payload: one line of JSON in the shape of
    /// [`Received`](crate::Received), and the number of the attempt as `attempt`.
    #[must_use]
    pub const fn json_stdin(mut self) -> Self {
        self.takes_json = true;
        self
    }

    /// Keeps environment variables from it, such as those that hold secrets.
    #[must_use]
    pub fn without_variables<N: Into<OsString>>(
        mut self,
        names: impl IntoIterator<Item = N>,
    ) -> Self {
        self.removed.extend(names.into_iter().map(Into::into));
        self
    }

    /// Bounds what it may write to stdout, in bytes; [`MAX_OUTPUT`] otherwise.
    #[must_use]
    pub const fn max_output(mut self, bytes: usize) -> Self {
        self.max_output = bytes;
        self
    }

    /// Bounds how long it may take, [`TIMEOUT`] otherwise. Its group is asked to end with `SIGTERM`,
    /// and killed 2 seconds later.
    #[must_use]
    pub const fn timeout(mut self, time: Duration) -> Self {
        self.timeout = time;
        self
    }

    /// Runs it once, and gives `show` what it says so far. The error is a message that it cannot be given.
    pub(super) async fn run(&self, attempt: &Attempt, show: Show<'_>) -> Result<Ended, String> {
        let input = if self.takes_json {
            let json = attempt.to_json();
            Cow::Owned(json.map_err(|error| format!("the message is no JSON: {error}"))?)
        } else {
            Cow::Borrowed(attempt.message.payload.as_bytes())
        };
        let mut command = process::Command::new(&self.program);
        command.arg0(&self.name).args(&self.arguments);
        for name in &self.removed {
            command.env_remove(name);
        }
        // One of an outer handler must not pass for one of this message.
        for name in FACTS {
            command.env_remove(format!("{PREFIX}{name}"));
        }
        command.env_remove(URLS);
        for (name, value) in attempt.facts() {
            let name = format!("{PREFIX}{name}");
            if value.contains('\0') || value.len() > MAX_VALUE {
                return Err(format!(
                    "what would be {name} holds a NUL or more than {MAX_VALUE} bytes"
                ));
            }
            command.env(name, value);
        }
        let hygiene = attempt.message.hygiene.as_ref();
        if let Some(urls) = hygiene
            .map(|hygiene| lines(&hygiene.urls))
            .filter(|urls| !urls.is_empty())
        {
            command.env(URLS, urls);
        }
        let ended = match run(&mut command, &input, self.max_output, self.timeout, show).await {
            Ok((End::Exit(code), output)) => Ended::Exit {
                code,
                output: (!output.is_cut).then_some(output.bytes),
            },
            Ok((End::Signal(signal), _)) => {
                Ended::Early(self.say(format_args!("was ended by signal {signal}")))
            }
            Ok((End::TimedOut, _)) => Ended::Early(self.say(format_args!(
                "did not end within {} s",
                self.timeout.as_secs_f64()
            ))),
            Err(error) => Ended::Early(self.say(format_args!("did not start: {}", error))),
        };
        Ok(ended)
    }

    /// What happened to it, in words fit to be shown.
    pub(super) fn say(&self, what: impl core::fmt::Display) -> String {
        format!("`{}` {what}", escaped(&self.name))
    }

    /// What becomes of a message after a run that was no success.
    pub(super) fn failure(&self, code: i32) -> Outcome {
        let why = self.say(format_args!("exited with {code}"));
        if code == TEMPORARY {
            Outcome::Retry { why, after: None }
        } else {
            Outcome::Failed { why }
        }
    }
}

/// How a program ended that was run for a message.
pub(super) enum Ended {
    /// With an exit code, and with its output unless that was too long.
    Exit { code: i32, output: Option<Vec<u8>> },
    /// Before it could say anything: why, in words.
    Early(String),
}

#[async_trait]
impl Handler for Command {
    async fn handle(&self, attempt: &Attempt) -> Outcome {
        self.handle_shown(attempt, &|_| {}).await
    }

    async fn handle_shown(&self, attempt: &Attempt, show: Show<'_>) -> Outcome {
        match self.run(attempt, show).await {
            Ok(Ended::Exit {
                code: 0,
                output: Some(output),
            }) => Outcome::Done { output },
            Ok(Ended::Exit {
                code: 0,
                output: None,
            }) => Outcome::Failed {
                why: self.say(format_args!("wrote more than {} bytes", self.max_output)),
            },
            Ok(Ended::Exit { code, .. }) => self.failure(code),
            Ok(Ended::Early(why)) => Outcome::Retry { why, after: None },
            Err(why) => Outcome::Failed { why },
        }
    }
}

/// As many whole lines as a variable holds.
fn lines(texts: &[String]) -> String {
    let mut lines = String::new();
    for text in texts {
        if lines.len() + text.len() >= MAX_VALUE {
            break;
        }
        if !lines.is_empty() {
            lines.push('\n');
        }
        lines.push_str(text);
    }
    lines
}
