//! How one book moves.

use bookstore_core::{Book, BookId, Cents, Change, Entry, Kind, Seq, Text, decide::Level};

/// What a stretch of the ledger did to one book: all it takes to bring an answer from before that stretch forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moved {
    /// The last entry that touched the book.
    pub(super) seq: Seq,
    stock: u32,
    /// The last new price, and where it is in the ledger.
    priced: Option<(Seq, Cents)>,
}

impl Moved {
    /// By one entry.
    pub(super) fn by(entry: &Entry, change: &Change) -> Self {
        // A sale or a return carries the price at which it was sold, which may not be today's.
        let prices = !matches!(entry.kind, Kind::Sale | Kind::Return);
        Self { seq: entry.seq, stock: change.stock, priced: prices.then_some((entry.seq, change.price_cents)) }
    }

    /// By a later entry as well.
    pub(super) fn then(self, later: Self) -> Self {
        Self { priced: later.priced.or(self.priced), ..later }
    }

    /// Brings a level forward; one that is as new already stays.
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

/// Whether a change is the next one of a book that stands at `level`. If not, they are of two different ledgers.
pub(super) fn follows(level: &Level, change: &Change) -> bool {
    i64::from(level.stock).checked_add(change.delta) == Some(i64::from(change.stock))
}

/// A book in the cache: as of the last entry followed, or newer.
#[derive(Clone, Debug)]
pub(super) struct Cached {
    pub(super) text: Text,
    pub(super) level: Level,
    /// The oldest version that may be shown; above its own while an entry that somebody knows of is still to be followed.
    pub(super) least: Seq,
}

impl Cached {
    pub(super) fn book(&self, id: BookId) -> Book {
        let Level { stock, price_cents, version } = self.level;
        Book { id, text: self.text.clone(), price_cents, stock, version }
    }
}

/// The part of a book that moves.
pub(super) fn level(book: &Book) -> Level {
    Level { stock: book.stock, price_cents: book.price_cents, version: book.version }
}

/// Shows a book at another level.
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

    fn moved(seq: u64, kind: Kind, price: u64, stock: u32) -> Moved {
        let change = Change { book: BookId(1), delta: 0, price_cents: cents(price), stock };
        let entry = Entry { seq: Seq(seq), at: Timestamp(0), kind, key: None, changes: [change].into_iter().collect() };
        Moved::by(&entry, &entry.changes[0])
    }

    fn from(version: u64, moves: &[Moved]) -> (u64, u64, u32) {
        let mut level = Level { stock: 99, price_cents: cents(99), version: Seq(version) };
        moves.iter().copied().reduce(Moved::then).unwrap().bring_forward(&mut level);
        (level.version.0, level.price_cents.get(), level.stock)
    }

    #[test]
    fn an_answer_is_brought_forward_to_the_last_entry_at_the_last_price() {
        let reprice = moved(5, Kind::Reprice, 50, 8);
        let sale = moved(6, Kind::Sale, 40, 7);
        let back = moved(7, Kind::Return, 30, 8);
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
