//! The contract of a handler: in which order it gets messages, for how long it has them, and how often
//! they are tried.

use std::time::Duration;

/// How long a message is in the hands of whoever got it before somebody else may have it, unless that
/// is put off: [`Client::renew`](crate::Client::renew). The same for all who share a store.
pub(crate) const LEASE: Duration = Duration::from_secs(30);

/// How messages are handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contract {
    /// Whether the messages of one sender wait for each other: a later one is not handed over before an
    /// earlier one is handled or given up.
    pub is_ordered: bool,
    /// How often a message is tried at most; `None` for as often as it takes.
    pub most_attempts: Option<u32>,
    /// The pause before the second attempt; it doubles from attempt to attempt.
    pub first_pause: Duration,
    /// The longest pause between two attempts.
    pub longest_pause: Duration,
    /// Whether a message that is done keeps its bytes, still sealed, so that it can be looked at.
    pub keeps_done: bool,
    /// Whether what nobody signed is held for the user to decide on, and not handed over.
    pub holds_unsigned: bool,
    /// Whether text is handed over [without what hides in it](crate::sanitize()).
    pub sanitizes: bool,
}

impl Contract {
    /// For a program that runs on messages: eight attempts, only what somebody signed, and text without
    /// what hides in it.
    pub const HANDLER: Self = Self {
        most_attempts: Some(8),
        holds_unsigned: true,
        sanitizes: true,
        ..Self::READER
    };

    /// For a reader, who takes everything.
    pub const READER: Self = Self {
        is_ordered: true,
        most_attempts: None,
        first_pause: Duration::from_secs(1),
        longest_pause: Duration::from_secs(5 * 60),
        keeps_done: false,
        holds_unsigned: false,
        sanitizes: false,
    };

    /// The pause after this attempt, the first being 1.
    pub(crate) fn pause(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        let pause = self.first_pause.saturating_mul(1 << doublings);
        pause.min(self.longest_pause)
    }

    /// Whether there is another attempt after this one.
    pub(crate) fn tries_again(&self, attempt: u32) -> bool {
        self.most_attempts.is_none_or(|most| attempt < most)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Contract;

    #[test]
    fn pauses_double_from_one_second_to_five_minutes() {
        let pauses: Vec<_> = (1..=11)
            .map(|attempt| Contract::HANDLER.pause(attempt).as_secs())
            .collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(Contract::HANDLER.pause(u32::MAX), Duration::from_secs(300));
    }

    #[test]
    fn a_handler_has_eight_attempts_and_a_reader_as_many_as_it_takes() {
        assert!(Contract::HANDLER.tries_again(7) && !Contract::HANDLER.tries_again(8));
        assert!(Contract::READER.tries_again(u32::MAX));
    }
}
