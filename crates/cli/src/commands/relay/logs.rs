//! The relay's log on stderr.

use std::io::{self, Write};

use anyhow::Result;
use clap::ValueEnum;
use tracing_subscriber::{
    Layer, filter::Targets, fmt, layer::SubscriberExt, registry, util::SubscriberInitExt,
};

use crate::{output::Output, talk};

/// What is logged: this and what is worse.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Level {
    /// What failed
    Error,
    /// And what an operator should look at
    Warn,
    /// And when the relay starts, stops and changes its database
    Info,
    /// And every request
    Debug,
}

impl Level {
    /// The level when none was asked for.
    pub(crate) fn of(output: &Output) -> Self {
        if output.is_quiet() {
            Self::Error
        } else if output.is_verbose() {
            Self::Debug
        } else {
            Self::Info
        }
    }
}

impl From<Level> for tracing_subscriber::filter::LevelFilter {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => Self::ERROR,
            Level::Warn => Self::WARN,
            Level::Info => Self::INFO,
            Level::Debug => Self::DEBUG,
        }
    }
}

/// How a line is written.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// One JSON object per line
    Json,
}

/// Starts logging. Only the relay's own lines are let through: no library knows what is secret here.
pub(crate) fn install(level: Level, format: Format) -> Result<()> {
    let lines = fmt::layer()
        .with_writer(|| Line)
        .with_ansi(false)
        .with_target(false)
        .log_internal_errors(false);
    let lines = match format {
        Format::Text => lines.boxed(),
        Format::Json => lines
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .boxed(),
    };
    let of_the_relay = Targets::new().with_target("ctalk_relay", level);
    registry()
        .with(lines.with_filter(of_the_relay))
        .try_init()?;
    Ok(())
}

/// Takes one line at a time, and leaves it out when nobody reads: serving goes on.
struct Line;

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        talk::line(String::from_utf8_lossy(line).trim_end());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
