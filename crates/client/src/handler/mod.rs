//! Handlers: what is run for a message, and what its end means for the message.

use async_trait::async_trait;

use crate::message::Received;

/// One attempt at handling a message.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The message.
    pub message: Received,
    /// Which attempt it is; the first is 1. Higher after a crash too.
    pub number: u32,
}

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

/// Runs something for each message.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Handles a message. A crash, or dropping the future, counts as an attempt that has to be made
    /// again, so whatever it does may be done more than once until it returned [`Outcome::Done`].
    async fn handle(&self, attempt: &Attempt) -> Outcome;
}
