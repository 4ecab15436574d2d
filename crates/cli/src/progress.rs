//! How far a long piece of work is, on a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::Output;

/// What ends sooner shows nothing.
const PATIENCE: Duration = Duration::from_secs(1);

/// A bar that appears when the work takes long, and goes when it ends.
pub(crate) struct Progress(Option<ProgressBar>);

impl Progress {
    /// For `total` bytes, or a number that nobody knows.
    pub(crate) fn new(output: &Output, total: Option<u64>) -> Self {
        Self(output.shows_progress().then(|| hidden(total)))
    }

    /// Shows that so many bytes are done.
    pub(crate) fn show(&self, done: u64) {
        if let Some(bar) = &self.0 {
            if bar.is_hidden() && bar.elapsed() >= PATIENCE {
                bar.set_draw_target(ProgressDrawTarget::stderr());
            }
            bar.set_position(done);
        }
    }

    /// Shows that so many bytes of so many are done.
    pub(crate) fn show_of(&self, done: u64, total: u64) {
        if let Some(bar) = &self.0
            && bar.length() != Some(total)
        {
            bar.set_length(total);
            bar.set_style(style(Some(total)));
        }
        self.show(done);
    }
}

/// A bar that measures from now on and is not to be seen yet.
fn hidden(total: Option<u64>) -> ProgressBar {
    ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden()).with_style(style(total))
}

fn style(total: Option<u64>) -> ProgressStyle {
    let template = match total {
        Some(_) => "{bytes} of {total_bytes} {wide_bar} {bytes_per_sec} {eta}",
        None => "{spinner} {bytes} {bytes_per_sec}",
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
