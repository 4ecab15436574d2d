//! How far a long piece of work is, on a terminal.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::Output;

/// What ends sooner shows nothing.
const PATIENCE: Duration = Duration::from_secs(1);

/// A bar that appears when the work takes long, and goes when it ends.
pub(crate) struct Progress {
    started: Instant,
    total: Option<u64>,
    wanted: bool,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// For `total` bytes, or a number that nobody knows.
    pub(crate) fn new(output: &Output, total: Option<u64>) -> Self {
        Self {
            started: Instant::now(),
            total,
            wanted: output.shows_progress(),
            bar: None,
        }
    }

    /// Shows that so many bytes are done.
    pub(crate) fn show(&mut self, done: u64) {
        if !self.wanted || self.started.elapsed() < PATIENCE {
            return;
        }
        let (started, total) = (self.started, self.total);
        let bar = self.bar.get_or_insert_with(|| {
            let template = match total {
                Some(_) => "{bytes} of {total_bytes} {wide_bar} {bytes_per_sec} {eta}",
                None => "{spinner} {bytes} {bytes_per_sec}",
            };
            let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr())
                .with_elapsed(started.elapsed());
            match ProgressStyle::with_template(template) {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            }
        });
        bar.set_position(done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
