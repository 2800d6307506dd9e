//! One cached book, and how entries of the ledger bring it forward.

use bookstore_core::{Book, BookId, Cents, Change, Entry, Kind, Seq, Text, decide::Level};

/// What consecutive entries did to one book: all it takes to bring an answer from before them forward.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Update {
    /// The last entry that touched the book.
    pub(super) seq: Seq,
    stock: u32,
    /// The last new price, and the entry that set it.
    priced: Option<(Seq, Cents)>,
    /// The last new text, and the entry that set it.
    text: Option<(Seq, Text)>,
    /// Whether it was put on sale or taken off it last, and the entry that did.
    on_sale: Option<(Seq, bool)>,
}

impl Update {
    /// What one entry did.
    pub(super) fn by(entry: &Entry, change: &Change) -> Self {
        // Entries of orders carry the price at which copies were sold or held, which may not be today's.
        let prices = matches!(entry.kind, Kind::Listing | Kind::Restock | Kind::Reprice);
        let on_sale = match entry.kind {
            Kind::Listing | Kind::Relist => Some((entry.seq, true)),
            Kind::Withdraw => Some((entry.seq, false)),
            _ => None,
        };
        Self {
            seq: entry.seq,
            stock: change.stock,
            priced: prices.then_some((entry.seq, change.price_cents)),
            text: entry.text.clone().map(|text| (entry.seq, text)),
            on_sale,
        }
    }

    /// This, and then what a later entry did.
    pub(super) fn then(self, later: Self) -> Self {
        let (priced, text) = (later.priced.or(self.priced), later.text.or(self.text));
        Self { priced, text, on_sale: later.on_sale.or(self.on_sale), ..later }
    }

    /// Brings a book forward; one that is as new already stays.
    pub(super) fn bring_forward(self, Known { text, level }: &mut Known) {
        if self.seq <= level.version {
            return;
        }
        if let Some((_, price_cents)) = self.priced.filter(|(seq, _)| *seq > level.version) {
            level.price_cents = price_cents;
        }
        if let Some((_, on_sale)) = self.on_sale.filter(|(seq, _)| *seq > level.version) {
            level.on_sale = on_sale;
        }
        if let Some((seq, new)) = self.text.filter(|(seq, _)| *seq > level.version) {
            (level.text_version, *text) = (seq, new);
        }
        level.stock = self.stock;
        level.version = self.seq;
    }
}

/// Whether a change is the next one of a book at this level. If not, the two are of different ledgers.
pub(super) fn follows(level: &Level, change: &Change) -> bool {
    i64::from(level.stock).checked_add(change.delta) == Some(i64::from(change.stock))
}

/// What is known of a book at one version.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) text: Text,
    pub(super) level: Level,
}

impl Known {
    /// What an answer says of a book.
    pub(super) fn of(book: &Book) -> Self {
        Self { text: book.text.clone(), level: Level::shown(book) }
    }

    /// The whole book.
    pub(super) fn book(self, id: BookId) -> Book {
        let Self { text, level: Level { stock, price_cents, version, text_version, on_sale } } = self;
        Book { id, text, price_cents, stock, version, text_version, on_sale }
    }
}

/// A book in the cache: as of the last entry followed, or newer.
#[derive(Clone, Debug)]
pub(super) struct CachedBook {
    pub(super) known: Known,
    /// The oldest version that may be shown. It is newer than the book itself while an entry that a reader has seen is still to be
    /// followed.
    pub(super) min_version: Seq,
}

impl CachedBook {
    /// The whole book, as readers get it.
    pub(super) fn book(&self, id: BookId) -> Book {
        self.known.clone().book(id)
    }

    /// The version of the book.
    pub(super) fn version(&self) -> Seq {
        self.known.level.version
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bookstore_core::{BookText, Timestamp};

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
            text: (kind == Kind::Revise).then(|| text("new")),
            details: None,
        };
        Update::by(&entry, &entry.changes[0])
    }

    fn text(title: &str) -> Text {
        BookText { title: title.into(), ..BookText::default() }.into()
    }

    fn level(stock: u32, price: u64, version: u64) -> Level {
        Level { stock, price_cents: cents(price), version: Seq(version), text_version: Seq(1), on_sale: true }
    }

    fn known_from(version: u64, updates: &[Update]) -> Known {
        let mut known = Known { text: text("old"), level: level(99, 99, version) };
        updates.iter().cloned().reduce(Update::then).unwrap().bring_forward(&mut known);
        known
    }

    fn from(version: u64, updates: &[Update]) -> (u64, u64, u32) {
        let Level { stock, price_cents, version, .. } = known_from(version, updates).level;
        (version.0, price_cents.get(), stock)
    }

    #[test]
    fn an_answer_is_brought_forward_to_the_last_entry_at_the_last_price() {
        let reprice = || update(5, Kind::Reprice, 50, 8);
        let sale = || update(6, Kind::Sale, 40, 7);
        let back = || update(7, Kind::Return, 30, 8);
        assert_eq!(from(4, &[reprice(), sale(), back()]), (7, 50, 8), "a sale or a return does not set the price");
        assert_eq!(from(4, &[sale(), back()]), (7, 99, 8), "without a reprice the answer's own price stands");
        assert_eq!(
            from(6, &[reprice(), sale(), back()]),
            (7, 99, 8),
            "an answer from after the reprice knows the price better"
        );
        assert_eq!(from(7, &[reprice(), sale(), back()]), (7, 99, 99), "an answer as new as the last entry stays");
        assert_eq!(from(8, &[reprice()]), (8, 99, 99), "and so does a newer one");
    }

    #[test]
    fn an_answer_is_brought_forward_to_the_last_text_and_whether_it_is_on_sale() {
        let revise = || update(5, Kind::Revise, 99, 9);
        let withdraw = || update(6, Kind::Withdraw, 99, 9);
        let relist = || update(8, Kind::Relist, 99, 9);
        let shown = |version, updates: &[Update]| {
            let Known { text, level } = known_from(version, updates);
            (text.title().to_owned(), level.text_version.0, level.on_sale)
        };
        let new = |on_sale| ("new".to_owned(), 5, on_sale);
        assert_eq!(shown(4, &[revise(), withdraw(), update(7, Kind::Return, 1, 9)]), new(false));
        assert_eq!(shown(4, &[revise(), withdraw(), relist()]), new(true));
        let old = |on_sale| ("old".to_owned(), 1, on_sale);
        assert_eq!(
            shown(5, &[revise(), withdraw()]),
            old(false),
            "an answer from after the revision knows the text better"
        );
        assert_eq!(shown(6, &[revise(), withdraw()]), old(true));
    }

    #[test]
    fn a_change_follows_only_on_the_stock_before_it() {
        let level = level(5, 0, 1);
        let change = |delta, stock| Change { book: BookId(1), delta, price_cents: Cents::ZERO, stock };
        assert!(follows(&level, &change(-2, 3)) && follows(&level, &change(0, 5)));
        assert!(!follows(&level, &change(-2, 4)) && !follows(&level, &change(i64::MAX, 0)));
    }
}
