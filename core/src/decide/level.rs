//! The stock and the price of every book, and whether it is on sale, as the entries so far leave them.

use crate::{
    book::{Book, Text},
    id::{BookId, Seq},
    ledger::{Change, Entry, Kind},
    money::Cents,
};

/// The part of a book that the ledger changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Copies in stock.
    pub stock: u32,
    /// The price of one copy, in cents.
    pub price_cents: Cents,
    /// The number of the entry that last changed anything of the book.
    pub version: Seq,
    /// The number of the entry that its text is from.
    pub text_version: Seq,
    /// Whether it can be bought.
    pub on_sale: bool,
}

impl Level {
    /// The book with this text at this level.
    pub(crate) fn of(self, id: BookId, text: Text) -> Book {
        let Self { stock, price_cents, version, text_version, on_sale } = self;
        Book { id, text, price_cents, stock, version, text_version, on_sale }
    }

    /// The level of a book that clients see.
    #[must_use]
    pub fn shown(book: &Book) -> Self {
        let Book { stock, price_cents, version, text_version, on_sale, .. } = *book;
        Self { stock, price_cents, version, text_version, on_sale }
    }

    /// The level after an entry with this change of the book. `before` is the one before it, none if the entry lists the book.
    #[must_use]
    pub fn after(before: Option<Self>, entry: &Entry, change: &Change) -> Self {
        let Some(mut level) = before.filter(|_| entry.kind != Kind::Listing) else {
            let (version, price_cents) = (entry.seq, change.price_cents);
            return Self { stock: change.stock, price_cents, version, text_version: version, on_sale: true };
        };
        level.take(entry, change);
        level
    }

    /// Goes on with an entry that changes the book. `change` is what it does to this one.
    fn take(&mut self, entry: &Entry, change: &Change) {
        (self.stock, self.version) = (change.stock, entry.seq);
        match entry.kind {
            // An order's entries carry the price at which the copies were sold or held, which may not be today's.
            Kind::Reprice => self.price_cents = change.price_cents,
            Kind::Revise => self.text_version = entry.seq,
            Kind::Withdraw => self.on_sale = false,
            Kind::Relist => self.on_sale = true,
            _ => {}
        }
    }
}

/// Every book's [`Level`], in a table by id: 32 bytes a book.
///
/// ```
/// use bookstore_core::{BookId, Cents, Seq, decide::{Level, Levels}};
///
/// let mut levels = Levels::default();
/// levels.set(BookId(2), Level { stock: 3, price_cents: Cents::ZERO, version: Seq(1), text_version: Seq(1), on_sale: true });
/// assert_eq!(levels.get(BookId(2)).map(|level| level.stock), Some(3));
/// assert_eq!(levels.get(BookId(1)), None);
/// assert_eq!(levels.iter().count(), 1);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Levels(Vec<Option<Level>>);

impl Levels {
    /// One book's level, or `None` if there is no such book.
    #[must_use]
    pub fn get(&self, book: BookId) -> Option<Level> {
        usize::try_from(book.0).ok().and_then(|at| self.0.get(at).copied().flatten())
    }

    fn get_mut(&mut self, book: BookId) -> Option<&mut Level> {
        usize::try_from(book.0).ok().and_then(|at| self.0.get_mut(at)?.as_mut())
    }

    /// The last book; 0 if there is none.
    #[must_use]
    pub fn last(&self) -> BookId {
        BookId(self.0.len().saturating_sub(1) as u64)
    }

    /// Every book and its level, by id.
    pub fn iter(&self) -> impl Iterator<Item = (BookId, Level)> {
        let numbered = self.0.iter().zip(0..);
        numbered.filter_map(|(level, id)| level.map(|level| (BookId(id), level)))
    }

    /// Sets one book's level. The table grows up to the highest id that is set, so ids MUST be dense.
    ///
    /// # Panics
    /// If the id is larger than an index can be.
    pub fn set(&mut self, book: BookId, level: Level) {
        let at = usize::try_from(book.0).expect("book ids are dense from 1, so they fit memory");
        if at >= self.0.len() {
            self.0.resize(at + 1, None);
        }
        self.0[at] = Some(level);
    }
}

/// Brings the levels of the books that `entry` touches up to date. Applied to every entry in order, it replays a ledger.
pub fn apply(levels: &mut Levels, entry: &Entry) {
    for change in &entry.changes {
        match levels.get_mut(change.book) {
            Some(level) if entry.kind != Kind::Listing => level.take(entry, change),
            before => {
                let level = Level::after(before.copied(), entry, change);
                levels.set(change.book, level);
            }
        }
    }
}
