//! Messages that wait for an earlier one of their sender.
//!
//! Whose they are is known only since they were opened, so they are remembered for as long as a run
//! lasts: a sender with one message that is tried again and again must not have all others opened again
//! and again too.

use std::collections::{BTreeSet, HashMap, HashSet};

/// A message's place in the inbox: its time, and its number.
pub(super) type Place = (i64, i64);

/// The messages that a run passed over.
#[derive(Default)]
pub(super) struct Waiting {
    by_sender: HashMap<[u8; 32], BTreeSet<Place>>,
    numbers: HashSet<i64>,
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
        self.is_stirred
    }

    /// Takes out the first message of each sender that has none in hand, once after something may have
    /// freed it. One whose place a run has not passed stays for now, because what the run has yet to
    /// come to may be an earlier one of its sender.
    pub(super) fn freed<'a>(
        &mut self,
        settled: u64,
        in_hand: impl Iterator<Item = &'a [u8; 32]>,
        passed: Option<Place>,
    ) -> Vec<i64> {
        if self.by_sender.is_empty() || (settled == self.settled && !self.is_stirred) {
            return Vec::new();
        }
        (self.settled, self.is_stirred) = (settled, false);
        let in_hand: HashSet<_> = in_hand.collect();
        let mut freed = Vec::new();
        for (sender, places) in &mut self.by_sender {
            if in_hand.contains(sender) {
                continue;
            }
            if places.first().copied() <= passed {
                freed.extend(places.pop_first().map(|(_, number)| number));
            } else {
                self.is_stirred = true;
            }
        }
        self.by_sender.retain(|_, places| !places.is_empty());
        for number in &freed {
            self.numbers.remove(number);
        }
        freed
    }
}
