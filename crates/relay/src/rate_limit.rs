//! How many messages one agent may send.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

/// A number of sends per agent in fixed windows that are aligned to the Unix epoch, or none.
///
/// Written `10/10s` (sends, then the window in seconds) or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit(Option<Limit>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limit {
    sends: NonZeroU32,
    seconds: NonZeroU32,
}

impl RateLimit {
    /// No limit.
    pub const OFF: Self = Self(None);

    /// `sends` in every window of `seconds`.
    #[must_use]
    pub const fn new(sends: NonZeroU32, seconds: NonZeroU32) -> Self {
        Self(Some(Limit { sends, seconds }))
    }

    /// Counts one send at `now_ms` in the agent's `window`; `false` when the window is full.
    pub(crate) fn admit(self, window: &mut Window, now_ms: i64) -> bool {
        let Some(limit) = self.0 else {
            return true;
        };
        let number = now_ms.div_euclid(i64::from(limit.seconds.get()) * 1000);
        if window.number != number {
            *window = Window { number, used: 0 };
        }
        if window.used >= limit.sends.get() {
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
            Some(limit) => write!(formatter, "{}/{}s", limit.sends, limit.seconds),
        }
    }
}

impl FromStr for RateLimit {
    type Err = InvalidRateLimit;

    fn from_str(text: &str) -> Result<Self, InvalidRateLimit> {
        if text == "off" {
            return Ok(Self::OFF);
        }
        let (sends, window) = text.split_once('/').ok_or(InvalidRateLimit)?;
        let seconds = window.strip_suffix('s').ok_or(InvalidRateLimit)?;
        let sends = sends.parse().map_err(|_| InvalidRateLimit)?;
        let seconds = seconds.parse().map_err(|_| InvalidRateLimit)?;
        Ok(Self::new(sends, seconds))
    }
}

/// The text is no rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a rate limit is SENDS/SECONDSs, for example 10/10s, or off")]
pub struct InvalidRateLimit;

/// What one agent has used of its current window.
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
