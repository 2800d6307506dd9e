//! What readers and writers of this frontend have seen: nothing older is shown after it, though the ledger has not been followed
//! that far.
//!
//! Once the ledger has been followed up to an entry, there is nothing to remember of it: the cached books are as new by then.

use bookstore_core::{BookId, Entry, Error, Seq, decide::Level, error::Shortage};

use super::State;

impl State {
    /// A reader has seen this entry. Which books it touches is not known, so requests on their way may all lack it.
    pub(in crate::cache) fn observe(&mut self, seq: Seq) {
        if !self.has_followed(seq) {
            self.observed = self.observed.max(seq);
            self.requests.abandon_all();
        }
    }

    /// A reader has seen this entry, and it touches this book: nothing older is shown of it.
    pub(in crate::cache) fn require(&mut self, book: BookId, seq: Seq) {
        if self.has_followed(seq) {
            return;
        }
        self.requests.abandon(book);
        if let Some(cached) = self.books.peek_mut(&book) {
            cached.min_version = cached.min_version.max(seq);
        }
    }

    /// A reader has seen these entries.
    pub(in crate::cache) fn require_all(&mut self, entries: &[Entry]) {
        for entry in entries {
            entry.changes.iter().for_each(|change| self.require(change.book, entry.seq));
        }
    }

    /// A book has changed, and how is not known here.
    pub(in crate::cache) fn forget(&mut self, book: BookId) {
        self.requests.abandon(book);
        self.books.pop(&book);
    }

    /// A refusal may contradict what is cached of its book.
    pub(in crate::cache) fn record_refusal(&mut self, error: &Error) {
        match error {
            Error::VersionMismatch { book, version } => self.require(*book, *version),
            Error::TextVersionMismatch { book, text_version } => self.require(*book, *text_version),
            Error::BookWithdrawn { book } => self.forget_unless(*book, |level| !level.on_sale),
            Error::OutOfStock { book, available, short } => {
                self.forget_unless(*book, |level| level.stock == *available);
                for Shortage { book, available } in short {
                    self.forget_unless(*book, |level| level.stock == *available);
                }
            }
            Error::PriceChanged { book, price_cents } => {
                self.forget_unless(*book, |level| level.price_cents == *price_cents);
            }
            _ => {}
        }
    }

    fn forget_unless(&mut self, book: BookId, agrees: impl FnOnce(&Level) -> bool) {
        if !self.books.peek(&book).is_some_and(|cached| agrees(&cached.known.level)) {
            self.forget(book);
        }
    }

    /// A book may have been added, or belong to another topic.
    pub(in crate::cache) fn invalidate_topics(&mut self) {
        self.topics.invalidate();
    }
}
