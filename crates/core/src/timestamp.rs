//! Points in time, always arguments: nothing here reads a clock.

use core::time::Duration;

/// How far two clocks may be apart: 5 minutes.
pub const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);

/// Milliseconds since 1970-01-01T00:00:00Z, at most 2^53 − 1.
///
/// The bound lets every language hold one exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The latest one.
    pub const MAX: Self = Self((1 << 53) - 1);

    /// A point in time, or none if `millis` is beyond [`Self::MAX`].
    #[must_use]
    pub const fn from_millis(millis: u64) -> Option<Self> {
        if millis <= Self::MAX.0 {
            Some(Self(millis))
        } else {
            None
        }
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The point in time `duration` later, or none if that is beyond [`Self::MAX`].
    #[must_use]
    pub fn checked_add(self, duration: Duration) -> Option<Self> {
        let millis = u64::try_from(duration.as_millis()).ok()?;
        Self::from_millis(self.0.checked_add(millis)?)
    }

    /// Whether this is later than `other` by more than `tolerance`.
    pub(crate) fn is_after(self, other: Self, tolerance: Duration) -> bool {
        u128::from(self.0) > u128::from(other.0) + tolerance.as_millis()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis).unwrap()
    }

    #[test]
    fn times_end_where_a_double_stops_counting() {
        assert_eq!(at(9_007_199_254_740_991), Timestamp::MAX);
        assert_eq!(Timestamp::from_millis(9_007_199_254_740_992), None);
        assert_eq!(Timestamp::MAX.checked_add(Duration::from_millis(1)), None);
        assert_eq!(at(1).checked_add(Duration::MAX), None);
        assert_eq!(at(1).checked_add(Duration::from_secs(1)), Some(at(1001)));
    }

    #[test]
    fn the_tolerance_itself_is_tolerated() {
        let tolerance = Duration::from_millis(10);
        assert!(!at(110).is_after(at(100), tolerance));
        assert!(at(111).is_after(at(100), tolerance));
        assert!(!at(0).is_after(Timestamp::MAX, tolerance));
        assert!(!Timestamp::MAX.is_after(Timestamp::MAX, Duration::ZERO));
    }
}
