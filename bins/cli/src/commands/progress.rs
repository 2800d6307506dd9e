//! Progress on stderr: a bar on a terminal, else a line now and then.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    io::{self, IsTerminal as _},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How far a command is. The bar is removed by [`Progress::clear`], or when this is dropped.
pub(super) struct Progress {
    bar: ProgressBar,
    /// How often a line is written where there is no terminal, and when the last one was.
    interval: Duration,
    written: Mutex<Instant>,
}

impl Progress {
    /// Shows a bar; where there is no terminal, writes a line at most once in `interval`.
    pub(super) fn start(interval: Duration) -> Self {
        let shown = io::stderr().is_terminal();
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        let style = ProgressStyle::with_template("{prefix:>10} {bar:20} {wide_msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar, interval, written: Mutex::new(Instant::now()) }
    }

    /// Shows that `done` of `total` is done, between a label and a message.
    pub(super) fn update(&self, done: u64, total: u64, label: &str, message: &str) {
        if self.bar.is_hidden() {
            let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
            if written.elapsed() >= self.interval {
                *written = Instant::now();
                eprintln!("{label} {message}");
            }
            return;
        }
        self.bar.set_prefix(label.to_owned());
        self.bar.set_message(message.to_owned());
        self.bar.set_length(total);
        self.bar.set_position(done.min(total));
    }

    /// Removes the bar.
    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    /// Writes a line without disturbing the bar.
    pub(super) fn print(&self, line: &str) {
        self.bar.suspend(|| eprintln!("{line}"));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}
