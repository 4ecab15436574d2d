//! How much an inbox may hold.

/// The most that the relay keeps for one agent. An inbox that holds that much or more is full; the
/// message that fills it may go beyond the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Messages; expired ones count until they are deleted, which takes seconds.
    pub messages: u64,
    /// Bytes of their envelopes as they are delivered, in UTF-8.
    pub bytes: u64,
}

impl Quota {
    /// No limit.
    pub const OFF: Self = Self {
        messages: u64::MAX,
        bytes: u64::MAX,
    };
}

impl Default for Quota {
    /// 100,000 messages and 1 GiB.
    fn default() -> Self {
        Self {
            messages: 100_000,
            bytes: 1 << 30,
        }
    }
}
