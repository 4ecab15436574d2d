//! How settings are written that the relay has no text for.

use std::{fmt, str::FromStr};

use clap::ValueEnum;

/// How a setting is written that is not in force.
const OFF: &str = "off";

/// Whether something is there.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    /// It is
    On,
    /// It is not
    Off,
}

/// The most of something, or `off` for no limit, which is the largest number.
#[derive(Clone, Copy)]
pub(crate) struct Limit(pub(crate) u64);

impl fmt::Display for Limit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == u64::MAX {
            return formatter.write_str(OFF);
        }
        self.0.fmt(formatter)
    }
}

impl FromStr for Limit {
    type Err = InvalidLimit;

    fn from_str(text: &str) -> Result<Self, InvalidLimit> {
        if text == OFF {
            return Ok(Self(u64::MAX));
        }
        text.parse().map(Self).map_err(|_| InvalidLimit)
    }
}

/// The text is no limit.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a limit is a whole number, or off")]
pub(crate) struct InvalidLimit;

/// A setting that can be off.
#[derive(Clone, Copy)]
pub(crate) struct OrOff<T>(pub(crate) Option<T>);

impl<T: FromStr> FromStr for OrOff<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        match text {
            OFF => Ok(Self(None)),
            text => Ok(Self(Some(text.parse()?))),
        }
    }
}

impl<T: fmt::Display> fmt::Display for OrOff<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(formatter),
            None => formatter.write_str(OFF),
        }
    }
}
