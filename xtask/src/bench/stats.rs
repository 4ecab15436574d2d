//! Medians, percentiles and how they are written.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

/// The `percent`-th percentile by nearest rank; 50 is the (lower) median. 0 of an empty slice.
pub(crate) fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0.0)
}

/// Nanoseconds in the unit people would choose, three significant digits or more.
pub(crate) fn duration(nanoseconds: f64) -> String {
    match nanoseconds {
        ns if ns < 1e3 => format!("{ns:.0} ns"),
        ns if ns < 1e6 => format!("{:.2} µs", ns / 1e3),
        ns if ns < 1e9 => format!("{:.2} ms", ns / 1e6),
        ns => format!("{:.2} s", ns / 1e9),
    }
}

/// Whether a limit was kept, in a table cell.
pub(crate) fn verdict(kept: bool) -> &'static str {
    if kept { "met" } else { "MISSED" }
}

/// The measurements in a bench program's output: lines of a name, a space and a number. Other lines
/// are not measurements.
pub(crate) fn measurements(output: &str) -> BTreeMap<String, f64> {
    output
        .lines()
        .filter_map(|line| {
            let (name, value) = line.trim().split_once(' ')?;
            Some((name.to_owned(), value.trim().parse().ok()?))
        })
        .collect()
}

/// The measurement called `name`.
///
/// # Errors
/// When the program did not print it.
pub(crate) fn measurement(all: &BTreeMap<String, f64>, name: &str) -> Result<f64> {
    all.get(name)
        .copied()
        .with_context(|| format!("the bench printed no `{name}`"))
}

/// The median of what each round printed under `name`.
///
/// # Errors
/// When a round did not print it.
pub(crate) fn median(rounds: &[BTreeMap<String, f64>], name: &str) -> Result<f64> {
    let values = rounds
        .iter()
        .map(|round| measurement(round, name))
        .collect::<Result<Vec<_>>>()?;
    Ok(percentile(&values, 50))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_do_not_depend_on_the_order_of_the_values() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(percentile(&values, 50), 50.0);
        assert_eq!(percentile(&values, 95), 95.0);
        assert_eq!(percentile(&[3.0, 1.0, 2.0], 50), 2.0);
        assert_eq!(percentile(&[7.0], 95), 7.0);
    }

    #[test]
    fn durations_change_unit_at_a_thousand() {
        assert_eq!(duration(999.0), "999 ns");
        assert_eq!(duration(1_500.0), "1.50 µs");
        assert_eq!(duration(2_250_000.0), "2.25 ms");
        assert_eq!(duration(3e9), "3.00 s");
    }

    #[test]
    fn only_lines_of_a_name_and_a_number_are_measurements() {
        let all = measurements("warming up\nseal_ns 12345\nopen_ns 1.5\nseal_ns twelve\n");
        assert_eq!(all.len(), 2);
        assert_eq!(measurement(&all, "seal_ns").unwrap(), 12345.0);
        assert_eq!(measurement(&all, "open_ns").unwrap(), 1.5);
        assert!(
            measurement(&all, "missing")
                .unwrap_err()
                .to_string()
                .contains("missing")
        );
    }
}
