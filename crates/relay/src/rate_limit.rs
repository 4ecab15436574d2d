//! How often something may happen.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

/// How often one agent may send, or one address may try to register, in fixed windows that are
/// aligned to the Unix epoch; or no limit.
///
/// Written `10/10s` (how often, then the window in seconds) or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit(Option<Limit>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limit {
    times: NonZeroU32,
    seconds: NonZeroU32,
}

impl RateLimit {
    /// No limit.
    pub const OFF: Self = Self(None);

    /// How often one address may try to register unless the operator says otherwise: 20 times a
    /// minute.
    pub const REGISTRATIONS: Self = {
        const TWENTY: NonZeroU32 = NonZeroU32::MIN.saturating_add(19);
        const MINUTE: NonZeroU32 = NonZeroU32::MIN.saturating_add(59);
        Self::new(TWENTY, MINUTE)
    };

    /// So many `times` in every window of `seconds`.
    #[must_use]
    pub const fn new(times: NonZeroU32, seconds: NonZeroU32) -> Self {
        Self(Some(Limit { times, seconds }))
    }

    /// The number of the window that `now_ms` is in, if there is a limit.
    pub(crate) fn window(self, now_ms: i64) -> Option<i64> {
        let seconds = i64::from(self.0?.seconds.get());
        Some(now_ms.div_euclid(seconds * 1000))
    }

    /// Counts one time at `now_ms` in `window`; `false` when that is full.
    pub(crate) fn admit(self, window: &mut Window, now_ms: i64) -> bool {
        let (Some(limit), Some(number)) = (self.0, self.window(now_ms)) else {
            return true;
        };
        if window.number != number {
            *window = Window { number, used: 0 };
        }
        if window.used >= limit.times.get() {
            return false;
        }
        window.used += 1;
        true
    }
}

impl Default for RateLimit {
    /// 10 sends in 10 seconds, as on the reference relay.
    fn default() -> Self {
        const TEN: NonZeroU32 = NonZeroU32::MIN.saturating_add(9);
        Self::new(TEN, TEN)
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => formatter.write_str("off"),
            Some(limit) => write!(formatter, "{}/{}s", limit.times, limit.seconds),
        }
    }
}

impl FromStr for RateLimit {
    type Err = InvalidRateLimit;

    fn from_str(text: &str) -> Result<Self, InvalidRateLimit> {
        if text == "off" {
            return Ok(Self::OFF);
        }
        let (times, window) = text.split_once('/').ok_or(InvalidRateLimit)?;
        let seconds = window.strip_suffix('s').ok_or(InvalidRateLimit)?;
        let times = times.parse().map_err(|_| InvalidRateLimit)?;
        let seconds = seconds.parse().map_err(|_| InvalidRateLimit)?;
        Ok(Self::new(times, seconds))
    }
}

/// The text is no rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a rate limit is N/SECONDSs, for example 10/10s, or off")]
pub struct InvalidRateLimit;

/// What was used of the current window.
#[derive(Debug, Default)]
pub(crate) struct Window {
    number: i64,
    used: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_written_as_they_are_read() {
        for text in ["off", "10/10s", "1/3600s"] {
            assert_eq!(text.parse::<RateLimit>().unwrap().to_string(), text);
        }
        assert_eq!(RateLimit::default().to_string(), "10/10s");
    }

    #[test]
    fn texts_that_are_no_limit_are_refused() {
        for text in [
            "",
            "on",
            "10",
            "10/",
            "10/10",
            "0/10s",
            "10/0s",
            "-1/1s",
            "1/1m",
            "5000000000/1s",
        ] {
            assert_eq!(text.parse::<RateLimit>(), Err(InvalidRateLimit), "{text:?}");
        }
    }

    #[test]
    fn windows_are_aligned_to_the_epoch() {
        let limit: RateLimit = "2/10s".parse().unwrap();
        let mut window = Window::default();
        assert!(limit.admit(&mut window, 9_998));
        assert!(limit.admit(&mut window, 9_999));
        assert!(!limit.admit(&mut window, 9_999));
        assert!(limit.admit(&mut window, 10_000));
        assert!(limit.admit(&mut window, 19_999));
        assert!(!limit.admit(&mut window, 19_999));
    }
}
