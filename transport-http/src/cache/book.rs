//! One cached book, and how entries of the ledger bring it forward.

use bookstore_core::{Book, BookId, Cents, Change, Entry, Kind, Seq, Text, decide::Level};

/// What consecutive entries did to one book: all it takes to bring an answer from before them forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Update {
    /// The last entry that touched the book.
    pub(super) seq: Seq,
    stock: u32,
    /// The last new price, and the entry that set it.
    priced: Option<(Seq, Cents)>,
}

impl Update {
    /// What one entry did.
    pub(super) fn by(entry: &Entry, change: &Change) -> Self {
        // Entries of orders carry the price at which copies were sold or held, which may not be today's.
        let prices = matches!(entry.kind, Kind::Listing | Kind::Restock | Kind::Reprice);
        Self { seq: entry.seq, stock: change.stock, priced: prices.then_some((entry.seq, change.price_cents)) }
    }

    /// This, and then what a later entry did.
    pub(super) fn then(self, later: Self) -> Self {
        Self { priced: later.priced.or(self.priced), ..later }
    }

    /// Brings stock and price forward; a level that is as new already stays.
    pub(super) fn bring_forward(self, level: &mut Level) {
        if self.seq <= level.version {
            return;
        }
        if let Some((_, price_cents)) = self.priced.filter(|(seq, _)| *seq > level.version) {
            level.price_cents = price_cents;
        }
        level.stock = self.stock;
        level.version = self.seq;
    }
}

/// Whether a change is the next one of a book at this level. If not, the two are of different ledgers.
pub(super) fn follows(level: &Level, change: &Change) -> bool {
    i64::from(level.stock).checked_add(change.delta) == Some(i64::from(change.stock))
}

/// A book in the cache: as of the last entry followed, or newer.
#[derive(Clone, Debug)]
pub(super) struct CachedBook {
    pub(super) text: Text,
    /// Stock, price and version.
    pub(super) level: Level,
    /// The oldest version that may be shown. It is newer than the book itself while an entry that a reader has seen is still to be
    /// followed.
    pub(super) min_version: Seq,
}

impl CachedBook {
    /// The whole book, as readers get it.
    pub(super) fn book(&self, id: BookId) -> Book {
        let Level { stock, price_cents, version } = self.level;
        Book { id, text: self.text.clone(), price_cents, stock, version }
    }
}

/// The part of a book that sales and amends change.
pub(super) fn level(book: &Book) -> Level {
    Level { stock: book.stock, price_cents: book.price_cents, version: book.version }
}

/// Sets that part of a book.
pub(super) fn set_level(book: &mut Book, level: Level) {
    (book.stock, book.price_cents, book.version) = (level.stock, level.price_cents, level.version);
}

#[cfg(test)]
mod tests {
    use super::*;
    use bookstore_core::Timestamp;

    fn cents(cents: u64) -> Cents {
        Cents::new(cents).unwrap()
    }

    fn update(seq: u64, kind: Kind, price: u64, stock: u32) -> Update {
        let change = Change { book: BookId(1), delta: 0, price_cents: cents(price), stock };
        let entry = Entry {
            seq: Seq(seq),
            at: Timestamp(0),
            kind,
            key: None,
            changes: [change].into_iter().collect(),
            text: None,
            details: None,
        };
        Update::by(&entry, &entry.changes[0])
    }

    fn from(version: u64, updates: &[Update]) -> (u64, u64, u32) {
        let mut level = Level { stock: 99, price_cents: cents(99), version: Seq(version) };
        updates.iter().copied().reduce(Update::then).unwrap().bring_forward(&mut level);
        (level.version.0, level.price_cents.get(), level.stock)
    }

    #[test]
    fn an_answer_is_brought_forward_to_the_last_entry_at_the_last_price() {
        let reprice = update(5, Kind::Reprice, 50, 8);
        let sale = update(6, Kind::Sale, 40, 7);
        let back = update(7, Kind::Return, 30, 8);
        assert_eq!(from(4, &[reprice, sale, back]), (7, 50, 8), "a sale or a return does not set the price");
        assert_eq!(from(4, &[sale, back]), (7, 99, 8), "without a reprice the answer's own price stands");
        assert_eq!(
            from(6, &[reprice, sale, back]),
            (7, 99, 8),
            "an answer from after the reprice knows the price better"
        );
        assert_eq!(from(7, &[reprice, sale, back]), (7, 99, 99), "an answer as new as the last entry stays");
        assert_eq!(from(8, &[reprice]), (8, 99, 99), "and so does a newer one");
    }

    #[test]
    fn a_change_follows_only_on_the_stock_before_it() {
        let level = Level { stock: 5, price_cents: Cents::ZERO, version: Seq(1) };
        let change = |delta, stock| Change { book: BookId(1), delta, price_cents: Cents::ZERO, stock };
        assert!(follows(&level, &change(-2, 3)) && follows(&level, &change(0, 5)));
        assert!(!follows(&level, &change(-2, 4)) && !follows(&level, &change(i64::MAX, 0)));
    }
}
