//! What goes wrong by itself, by a seed.

use serde_json::Value;

/// How likely what is, and how often it was.
pub(crate) struct Faults {
    seed: u64,
    /// A message is taken and never delivered.
    pub(crate) drop: f64,
    /// A message is delivered twice.
    pub(crate) duplicate: f64,
    /// A message is delivered with a later one, in any order.
    pub(crate) delay: f64,
    /// Whoever sent a message is told nothing.
    pub(crate) lose_answer: f64,
    counts: Counts,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) dropped: usize,
    pub(crate) duplicated: usize,
    pub(crate) delayed: usize,
    pub(crate) reordered: usize,
    pub(crate) lost_answers: usize,
}

impl Faults {
    pub(crate) fn new(seed: u64, drop: f64, duplicate: f64, delay: f64, lose_answer: f64) -> Self {
        Self {
            seed,
            drop,
            duplicate,
            delay,
            lose_answer,
            counts: Counts::default(),
        }
    }

    pub(crate) const fn counts(&self) -> Counts {
        self.counts
    }

    /// What is delivered now in place of these messages; the rest is kept for later, or lost.
    pub(super) fn upset(
        &mut self,
        messages: Vec<(String, Value)>,
        delayed: &mut Vec<(String, Value)>,
    ) -> Vec<(String, Value)> {
        let mut now = Vec::new();
        for message in messages {
            if self.happens(self.drop) {
                self.counts.dropped += 1;
            } else if self.happens(self.delay) {
                self.counts.delayed += 1;
                delayed.push(message);
            } else {
                if self.happens(self.duplicate) {
                    self.counts.duplicated += 1;
                    now.push(message.clone());
                }
                now.push(message);
            }
        }
        // What comes late does so behind what was sent after it.
        while !delayed.is_empty() && self.happens(0.5) {
            let place = (self.next() % delayed.len() as u64) as usize;
            self.counts.reordered += usize::from(place > 0 || !now.is_empty());
            now.push(delayed.swap_remove(place));
        }
        now
    }

    pub(super) fn loses_answer(&mut self) -> bool {
        let loses = self.happens(self.lose_answer);
        self.counts.lost_answers += usize::from(loses);
        loses
    }

    fn happens(&mut self, likely: f64) -> bool {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64 > 1.0 - likely
    }

    /// `SplitMix64`.
    fn next(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
