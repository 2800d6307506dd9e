//! Following the ledger: every entry brings the cached books forward, and the answers that are on their way.
//!
//! An entry says what the stock of a book was before and after it. So a cached book that an entry does not fit is of another
//! ledger, and everything is dropped rather than shown.

use bookstore_core::{Entries, Entry, Error, Result, Seq};
use tokio::time::Instant;

use super::State;
use crate::cache::{
    book::{Update, follows},
    position::LedgerPosition,
    stats,
};

impl State {
    /// Takes in the next page, requested at `sent`. The first page after a start says where the ledger ends.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the page does not continue where the last one ended: everything is dropped then.
    pub(in crate::cache) fn apply_page(&mut self, page: &Entries, sent: Instant) -> Result<()> {
        let Some(mut position) = self.position else {
            // Answers to what was asked earlier may lack entries that are before this end.
            self.requests.abandon_all();
            self.topics.invalidate();
            self.position = Some(LedgerPosition::at_head(page, sent));
            self.currency = Some(page.identity.currency);
            return Ok(());
        };
        let applied = position.check(page).and_then(|()| page.entries.iter().try_for_each(|entry| self.apply(entry)));
        if applied.is_err() {
            self.reset();
            return applied;
        }
        position.advance(page, sent);
        self.position = Some(position);
        self.stats.entries_followed += page.entries.len() as u64;
        Ok(())
    }

    /// Applies one entry. A book that is newer already, since a reader has brought it, stays as it is.
    fn apply(&mut self, entry: &Entry) -> Result<()> {
        for change in &entry.changes {
            let update = Update::by(entry, change);
            if let Some(cached) = self.books.peek_mut(&change.book)
                && cached.version() < entry.seq
            {
                if !follows(&cached.known.level, change) {
                    let (seq, book) = (entry.seq, change.book);
                    return Err(Error::unavailable(format!("entry {seq} does not follow on book {book} as cached")));
                }
                update.clone().bring_forward(&mut cached.known);
            }
            self.requests.record(change.book, update);
        }
        if entry.changes_lists() {
            self.topics.invalidate();
        }
        Ok(())
    }

    /// Drops everything, and the place in the ledger. A new epoch begins, so that answers of before are not mixed in.
    fn reset(&mut self) {
        self.books.clear();
        self.requests.abandon_all();
        self.topics.invalidate();
        self.position = None;
        self.observed = Seq(0);
        self.stats.resets += 1;
        stats::count_reset();
        stats::show_books(0);
    }
}
