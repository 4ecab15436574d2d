//! A program that decides whether a handler sees a message.

use async_trait::async_trait;

use super::{Attempt, Command, Handler, Outcome, Show, command::Ended};

/// The exit code that refuses a message.
const REFUSED: i32 = 1;

/// Runs a guard before a handler.
///
/// The guard gets what a [`Command`] gets, and its output is dropped. Exit code 0 lets the message
/// pass to the handler; 1 is [`Outcome::Refused`]; everything else means what it means for a handler,
/// and the handler does not see the message. Every attempt asks the guard anew.
pub struct Guarded<H> {
    guard: Command,
    handler: H,
}

impl<H: Handler> Guarded<H> {
    /// Puts a guard before a handler.
    #[must_use]
    pub const fn new(guard: Command, handler: H) -> Self {
        Self { guard, handler }
    }
}

#[async_trait]
impl<H: Handler> Handler for Guarded<H> {
    async fn handle(&self, attempt: &Attempt) -> Outcome {
        self.handle_shown(attempt, &|_| {}).await
    }

    async fn handle_shown(&self, attempt: &Attempt, show: Show<'_>) -> Outcome {
        match self.guard.run(attempt, &|_| {}).await {
            Ok(Ended::Exit { code: 0, .. }) => self.handler.handle_shown(attempt, show).await,
            Ok(Ended::Exit { code: REFUSED, .. }) => Outcome::Refused {
                why: self.guard.say("refused it"),
            },
            Ok(Ended::Exit { code, .. }) => self.guard.failure(code),
            Ok(Ended::Early(why)) => Outcome::Retry { why, after: None },
            Err(why) => Outcome::Failed { why },
        }
    }
}
