//! How far the file is read.

use bookstore_cli::load::counted;
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::commands::progress::Progress;

/// A file that is being read.
pub(super) struct Reading {
    label: &'static str,
    pub(super) progress: Progress,
    size: u64,
    read: Arc<AtomicU64>,
    lines: u64,
}

/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

impl Reading {
    pub(super) fn start(label: &'static str, file: &Path) -> Self {
        let size = std::fs::metadata(file).map_or(0, |meta| meta.len());
        Self { label, progress: Progress::start(LINE_EVERY), size, read: Arc::default(), lines: 0 }
    }

    /// For the file's reader, which calls it with the bytes of every read.
    pub(super) fn counter(&self) -> impl FnMut(usize) + 'static {
        let read = Arc::clone(&self.read);
        move |bytes| {
            read.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    }

    /// Called for every line.
    pub(super) fn line(&mut self, books: u64) {
        self.lines += 1;
        if self.lines.is_multiple_of(250) {
            let message = counted(books, "book", "books");
            self.progress.update(self.read.load(Ordering::Relaxed), self.size, self.label, &message);
        }
    }
}
