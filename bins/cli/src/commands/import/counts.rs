//! What became of the lines of a file.

use bookstore::import::BrokenLine;
use bookstore_cli::load::grouped;
use serde::Serialize;
use std::{fmt::Display, time::Duration};

use crate::commands::{
    output::{print, print_json},
    progress::Progress,
};

/// Lines of each kind that are named; more are counted.
const NAMED_MAX: u64 = 1000;

/// The result, as `--json` prints it. Each line is counted once.
#[derive(Debug, Default, Serialize)]
pub(super) struct Counts {
    /// Well-formed books: the sum of the next four.
    pub(super) books: u64,
    /// Added now.
    pub(super) added: u64,
    /// In the catalog before; text, price or stock were set.
    pub(super) updated: u64,
    /// In the catalog before, and the same.
    pub(super) unchanged: u64,
    /// Not taken, or not all of it: the book differs from the one in the catalog, or from an earlier line.
    pub(super) conflicting: u64,
    /// No books.
    pub(super) broken: u64,
}

impl Counts {
    /// Counts and names a line that is no book.
    pub(super) fn broken(&mut self, broken: &BrokenLine, progress: &Progress) {
        self.broken += 1;
        name(self.broken, broken, "broken", progress);
    }

    /// Counts and names a line that was not taken.
    pub(super) fn conflicting(&mut self, line: u64, why: &str, progress: &Progress) {
        self.conflicting += 1;
        name(self.conflicting, &format!("line {line}: {why}"), "conflicting", progress);
    }

    /// Prints them.
    pub(super) fn print(&self, json: bool, dry_run: bool, time: Duration) {
        if json {
            print_json(self);
            return;
        }
        let [added, updated, unchanged, conflicting, broken] =
            [self.added, self.updated, self.unchanged, self.conflicting, self.broken].map(grouped);
        let text = format!(
            "{added} added, {updated} updated, {unchanged} unchanged, {conflicting} conflicting, {broken} broken"
        );
        if dry_run {
            print(&format!("Nothing was changed. The import would come to: {text}."));
        } else {
            print(&format!("{text} in {:.1} s.", time.as_secs_f64()));
        }
    }
}

fn name(nth: u64, line: &impl Display, kind: &str, progress: &Progress) {
    match nth {
        ..=NAMED_MAX => progress.print(&line.to_string()),
        n if n == NAMED_MAX + 1 => progress.print(&format!("… more {kind} lines follow; they are counted only")),
        _ => {}
    }
}
