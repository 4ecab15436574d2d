//! Messages that wait for an earlier one of their sender.
//!
//! Whose they are is known only since they were opened, so they are remembered for as long as a run
//! lasts: a sender with one message that is tried again and again must not have all others opened again
//! and again too.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

/// A message's place in the inbox: its time, and its number.
pub(super) type Place = (i64, i64);

/// The messages that a run passed over.
#[derive(Default)]
pub(super) struct Waiting {
    by_sender: HashMap<[u8; 32], BTreeSet<Place>>,
    numbers: HashSet<i64>,
    /// Whose first messages are looked at next. None twice: what was put back would end up behind
    /// what its sender wrote after it.
    ahead: VecDeque<[u8; 32]>,
    /// Whose first messages are looked at once the run has passed their places.
    later: Vec<[u8; 32]>,
    /// How many messages the client had settled when it was last looked which of these are free.
    settled: u64,
    /// Whether something else may have freed one since then.
    is_stirred: bool,
}

impl Waiting {
    pub(super) fn contains(&self, number: i64) -> bool {
        self.numbers.contains(&number)
    }

    /// Whether an earlier message of the sender waits.
    pub(super) fn is_before(&self, sender: &[u8; 32], place: Place) -> bool {
        let first = self.by_sender.get(sender).and_then(BTreeSet::first);
        first.is_some_and(|first| *first < place)
    }

    pub(super) fn add(&mut self, sender: [u8; 32], place: Place) {
        self.by_sender.entry(sender).or_default().insert(place);
        self.numbers.insert(place.1);
    }

    /// Says that one may be free although this client settled nothing.
    pub(super) const fn stir(&mut self) {
        self.is_stirred = true;
    }

    /// Whether something may have freed one since it was last looked which are free.
    pub(super) const fn is_stirred(&self) -> bool {
        self.is_stirred || !self.later.is_empty()
    }

    /// Has a run begin again.
    pub(super) fn begin_again(&mut self) {
        self.ahead.clear();
        self.later.clear();
        self.is_stirred = true;
    }

    /// Takes out the next message that may be free: the first one of each sender that has none in hand,
    /// once after something may have freed it. One whose place a run has not passed stays for now,
    /// because what the run has yet to come to may be an earlier one of its sender.
    pub(super) fn next<'a>(
        &mut self,
        settled: u64,
        in_hand: impl Iterator<Item = &'a [u8; 32]>,
        passed: Option<Place>,
    ) -> Option<i64> {
        if !self.by_sender.is_empty() && (settled != self.settled || self.is_stirred) {
            (self.settled, self.is_stirred) = (settled, false);
            let is_busy: HashSet<_> = in_hand.copied().chain(self.ahead.iter().copied()).collect();
            let senders = self.by_sender.keys().copied();
            self.later = senders.filter(|sender| !is_busy.contains(sender)).collect();
        }
        // Each once: a run that looked at one again and again would never come to the others.
        let by_sender = &self.by_sender;
        let is_passed = |sender: &mut [u8; 32]| {
            by_sender.get(sender).and_then(BTreeSet::first).copied() <= passed
        };
        self.ahead.extend(self.later.extract_if(.., is_passed));
        let sender = self.ahead.pop_front()?;
        let places = self.by_sender.get_mut(&sender)?;
        let (_, number) = places.pop_first()?;
        if places.is_empty() {
            self.by_sender.remove(&sender);
        }
        self.numbers.remove(&number);
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::Waiting;

    #[test]
    fn what_waits_on_comes_before_what_its_sender_wrote_after_it() {
        let mut waiting = Waiting::default();
        for number in 0..30 {
            waiting.add([u8::try_from(number % 3).unwrap(); 32], (number, number));
        }
        let mut left: Vec<i64> = (0..30).collect();
        for round in 1_u64.. {
            let Some(number) = waiting.next(round, [].iter(), Some((30, 30))) else {
                break;
            };
            let first = left.iter().find(|left| **left % 3 == number % 3);
            assert_eq!(first, Some(&number));
            if round.is_multiple_of(2) {
                waiting.add([u8::try_from(number % 3).unwrap(); 32], (number, number));
            } else {
                left.retain(|left| *left != number);
            }
        }
        assert_eq!(left, [0_i64; 0]);
    }

    #[test]
    fn what_a_run_has_not_passed_is_not_next_but_stays() {
        let mut waiting = Waiting::default();
        waiting.add([1; 32], (5, 5));
        waiting.begin_again();
        assert_eq!(waiting.next(0, [].iter(), None), None);
        assert!(waiting.is_stirred() && waiting.contains(5));
        assert_eq!(waiting.next(0, [].iter(), Some((5, 5))), Some(5));
        assert!(!waiting.is_stirred() && !waiting.contains(5));
    }

    #[test]
    fn what_still_waits_keeps_a_run_from_nothing_that_comes_later() {
        let mut waiting = Waiting::default();
        waiting.add([1; 32], (1, 1));
        waiting.add([2; 32], (9, 9));
        waiting.begin_again();
        let passed = Some((5, 5));
        assert_eq!(waiting.next(0, [].iter(), passed), Some(1));
        waiting.add([1; 32], (1, 1));
        assert_eq!(waiting.next(0, [].iter(), passed), None);
        assert!(waiting.is_stirred());
        assert_eq!(waiting.next(0, [].iter(), Some((9, 9))), Some(9));
        assert!(!waiting.is_stirred());
    }

    #[test]
    fn what_follows_a_message_in_hand_is_not_next_before_something_was_settled() {
        let mut waiting = Waiting::default();
        let passed = Some((9, 9));
        waiting.add([1; 32], (5, 5));
        assert_eq!(waiting.next(1, [[1; 32]].iter(), passed), None);
        assert_eq!(waiting.next(1, [].iter(), passed), None);
        assert_eq!(waiting.next(2, [].iter(), passed), Some(5));
    }
}
