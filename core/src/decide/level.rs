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
        let (stock, price_cents, seq) = (change.stock, change.price_cents, entry.seq);
        let listed = Self { stock, price_cents, version: seq, text_version: seq, on_sale: true };
        let before = before.unwrap_or(listed);
        let level = Self { stock, version: seq, ..before };
        match entry.kind {
            Kind::Listing => Self { on_sale: before.on_sale, ..listed },
            Kind::Reprice => Self { price_cents, ..level },
            Kind::Revise => Self { text_version: seq, ..level },
            Kind::Withdraw => Self { on_sale: false, ..level },
            Kind::Relist => Self { on_sale: true, ..level },
            // An order's entries carry the price at which the copies were sold or held, which may not be today's.
            _ => level,
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
        levels.set(change.book, Level::after(levels.get(change.book), entry, change));
    }
}
