//! Handlers: what is run for a message, and what its end means for the message.
//!
//! [`Command`] runs a program, [`Post`] asks an HTTP server, and [`Guarded`] has a program decide
//! first. All of them tell who sent the message and what it is about in the same words, and treat
//! everything in it as data: nothing of it ever becomes part of a command line or of an address.

use core::time::Duration;

use async_trait::async_trait;
use serde::Serialize;

use crate::message::Received;

mod command;
mod guard;
mod openclaw;
mod post;
mod process;

pub use command::{Command, CommandError};
pub use guard::Guarded;
pub use openclaw::OPENCLAW_URL;
pub use post::{Post, PostError};

/// Most bytes of what a handler says, unless another bound is set.
pub const MAX_OUTPUT: usize = 64 << 20;

/// How long a handler may take, unless another bound is set.
pub const TIMEOUT: Duration = Duration::from_secs(600);

/// One attempt at handling a message.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The message.
    pub message: Received,
    /// Which attempt it is; the first is 1. Higher after a crash too.
    pub number: u32,
}

impl Attempt {
    /// What handlers are told beside the payload, as `(name, value)`; what is absent is left out.
    /// Environment variables and HTTP headers take their names from these.
    fn facts(&self) -> impl Iterator<Item = (&'static str, String)> {
        let Received {
            id,
            from,
            fingerprint,
            trust,
            message_type,
            topic,
            correlation_id,
            reply_to,
            hygiene,
            ..
        } = &self.message;
        let removed = hygiene.as_ref().map(|hygiene| hygiene.sanitized.removed());
        FACTS
            .into_iter()
            .zip([
                id.clone(),
                from.clone(),
                fingerprint.clone(),
                Some(trust.as_str().to_owned()),
                topic.clone(),
                Some(message_type.clone()),
                correlation_id.clone(),
                reply_to.clone(),
                Some(self.number.to_string()),
                removed
                    .filter(|removed| *removed > 0)
                    .map(|removed| removed.to_string()),
            ])
            .filter_map(|(name, value)| value.map(|value| (name, value)))
    }

    /// The message as one line of JSON with a line end, in the shape of [`Received`], and the number
    /// of the attempt as `attempt`.
    fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        #[derive(Serialize)]
        struct Line<'a> {
            #[serde(flatten)]
            message: &'a Received,
            attempt: u32,
        }
        let mut line = serde_json::to_vec(&Line {
            message: &self.message,
            attempt: self.number,
        })?;
        line.push(b'\n');
        Ok(line)
    }
}

/// The names of all that handlers are told.
const FACTS: [&str; 10] = [
    "ID",
    "FROM",
    "FINGERPRINT",
    "TRUST",
    "TOPIC",
    "TYPE",
    "CORRELATION_ID",
    "REPLY_TO",
    "ATTEMPT",
    "SANITIZED",
];

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The message is handled and never handed over again.
    Done {
        /// What the handler says, for the sender where replies are wanted.
        output: Vec<u8>,
    },
    /// Not now: it is tried again later, until there were too many attempts.
    Retry {
        /// Why, in words fit to be shown.
        why: String,
        /// No sooner than after so long, where whatever handles it says so. Counts for no longer than the
        /// [longest pause](crate::Contract::longest_pause).
        after: Option<Duration>,
    },
    /// Never: it becomes a dead letter.
    Failed {
        /// Why, in words fit to be shown.
        why: String,
    },
    /// A guard refused it: it is quarantined.
    Refused {
        /// Why, in words fit to be shown.
        why: String,
    },
    /// Nothing can be handled any more, which is not the message's fault: it is given back, and the
    /// worker ends.
    Stop {
        /// Why, in words fit to be shown.
        why: String,
    },
}

/// Is given what a handler says so far.
pub type Show<'a> = &'a (dyn Fn(&[u8]) + Send + Sync);

/// Runs something for each message.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Handles a message. A crash, or dropping the future, counts as an attempt that has to be made
    /// again, so whatever it does may be done more than once until it returned [`Outcome::Done`].
    async fn handle(&self, attempt: &Attempt) -> Outcome;

    /// As [`Self::handle`], and gives `show` what it says while it says it, each time all of it so far.
    /// Handlers that know only in the end what they say show nothing.
    async fn handle_shown(&self, attempt: &Attempt, _show: Show<'_>) -> Outcome {
        self.handle(attempt).await
    }
}
