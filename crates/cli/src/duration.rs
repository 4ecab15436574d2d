//! Durations in arguments: `30s`, `5m`, `1h30m`, `7d`, or a bare number of seconds.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

/// How durations are shown in the usage.
pub(crate) const VALUE_NAME: &str = "DURATION";

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// Reads durations from `least` to `most`.
pub(crate) fn between(
    least: Duration,
    most: Duration,
) -> impl Fn(&str) -> Result<Duration, String> + Clone + Send + Sync + 'static {
    move |text| {
        let duration =
            parse(text).ok_or("neither a time such as 30s, 5m or 1h30m nor a number of seconds")?;
        if duration < least {
            return Err(format!("less than {least:?}"));
        }
        if duration > most {
            return Err(format!("more than {}", shown(most)));
        }
        Ok(duration)
    }
}

/// Reads pauses that something waits for.
pub(crate) fn pause() -> impl Fn(&str) -> Result<Duration, String> + Clone + Send + Sync + 'static {
    between(Duration::from_millis(100), Duration::from_hours(24))
}

/// Whole seconds, of which one that has begun counts.
pub(crate) fn whole_seconds(duration: Duration) -> u64 {
    let begun = u64::from(duration.subsec_nanos() > 0);
    duration.as_secs().saturating_add(begun)
}

fn parse(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let span: Span = text.parse().ok()?;
    let days = SpanRelativeTo::days_are_24_hours();
    Duration::try_from(span.to_duration(days).ok()?).ok()
}

/// In whole units, as bounds are.
fn shown(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(24 * 60 * 60, "d"), (60 * 60, "h"), (60, "m")];
    let unit = units
        .into_iter()
        .find(|(length, _)| seconds >= *length && seconds.is_multiple_of(*length));
    match unit {
        Some((length, unit)) => format!("{}{unit}", seconds / length),
        None => format!("{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{between, pause, whole_seconds};

    #[test]
    fn durations_have_units_and_bare_numbers_are_seconds() {
        let parse = between(Duration::ZERO, Duration::MAX);
        for (text, millis) in [
            ("30", 30_000),
            ("0.1", 100),
            ("30s", 30_000),
            ("30 s", 30_000),
            ("500ms", 500),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("7d", 604_800_000),
            ("2w", 1_209_600_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in [
            "", "s", "-1", "-1s", "1s ago", "1 month", "1y", "soon", "inf", "NaN", "5x", "1e30",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_have_bounds_which_refusals_name() {
        assert_eq!(pause()("100ms"), Ok(Duration::from_millis(100)));
        assert_eq!(pause()("24h"), Ok(Duration::from_secs(86_400)));
        assert_eq!(pause()("99ms"), Err("less than 100ms".to_owned()));
        assert_eq!(pause()("86401"), Err("more than 1d".to_owned()));
    }

    #[test]
    fn a_second_that_has_begun_counts() {
        let seconds = [0, 1, 1000, 1001].map(|millis| whole_seconds(Duration::from_millis(millis)));
        assert_eq!(seconds, [0, 1, 1, 2]);
    }
}
