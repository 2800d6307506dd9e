//! The ledger, made ready for questions: by key, by book, and by what a book stood at.

use std::{cell::OnceCell, collections::HashMap};

use crate::{
    book::{Amend, BookId},
    decide::Level,
    ledger::{Change, Entry, Kind, Seq},
    money::Cents,
    order::OrderId,
};

/// A state of the shop: after so many entries. As the place of an entry, the state that it leads to; 0 is no entry.
pub(super) type Pos = usize;

/// Where a key was first used, for each thing that it can do.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Uses {
    pub(super) sale: Pos,
    pub(super) back: Pos,
    pub(super) amend: Pos,
}

/// What became of one book, entry by entry.
#[derive(Debug, Default)]
pub(super) struct Track {
    at: Vec<Pos>,
    levels: Vec<Level>,
    by_stock: OnceCell<Vec<(u64, usize)>>,
    by_price: OnceCell<Vec<(u64, usize)>>,
}

/// What to look for in a book's past.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stood {
    /// Exactly so many copies in stock.
    Stock(u32),
    /// This price.
    Price(Cents),
}

impl Track {
    fn push(&mut self, pos: Pos, level: Level) {
        self.at.push(pos);
        self.levels.push(level);
    }

    /// Where the book was listed.
    pub(super) fn listed(&self) -> Pos {
        self.at.first().copied().unwrap_or_default()
    }

    /// The level after entry `version`, and the first and the last state in which it stood.
    pub(super) fn version(&self, version: Seq) -> Option<(Level, Pos, Pos)> {
        let nth = self.levels.binary_search_by_key(&version, |level| level.version).ok()?;
        let last = self.at.get(nth + 1).map_or(Pos::MAX, |next| next - 1);
        Some((self.levels[nth], self.at[nth], last))
    }

    /// The version before the entry at `pos`; 0 for the first.
    pub(super) fn version_before(&self, pos: Pos) -> Seq {
        let nth = self.at.partition_point(|at| *at < pos);
        nth.checked_sub(1).map_or(Seq(0), |nth| self.levels[nth].version)
    }

    /// The first state in `from..=to` in which the book stood so.
    pub(super) fn find(&self, stood: Stood, from: Pos, to: Pos) -> Option<Pos> {
        let values = |value: fn(&Level) -> u64| {
            let mut values: Vec<_> = self.levels.iter().map(value).zip(0..).collect();
            values.sort_unstable();
            values
        };
        let (value, index) = match stood {
            Stood::Stock(stock) => {
                (u64::from(stock), self.by_stock.get_or_init(|| values(|level| u64::from(level.stock))))
            }
            Stood::Price(cents) => (cents.get(), self.by_price.get_or_init(|| values(|level| level.price_cents.get()))),
        };
        let current = self.at.partition_point(|at| *at <= from).saturating_sub(1);
        let next = index.get(index.partition_point(|entry| *entry < (value, current)))?;
        let pos = self.at[next.1].max(from);
        (next.0 == value && pos <= to).then_some(pos)
    }
}

/// The indexed ledger.
#[derive(Debug)]
pub(super) struct Ledger<'a> {
    entries: &'a [Entry],
    keys: HashMap<OrderId, Uses>,
    books: HashMap<BookId, Track>,
    /// The state in which recording began.
    pub(super) since: Pos,
}

impl<'a> Ledger<'a> {
    pub(super) fn new(entries: &'a [Entry], since: Seq) -> Self {
        let since = entries.partition_point(|entry| entry.seq <= since);
        let mut ledger = Self { entries, keys: HashMap::with_capacity(entries.len()), books: HashMap::new(), since };
        for (pos, entry) in (1..).zip(entries) {
            ledger.take(pos, entry);
        }
        ledger
    }

    fn take(&mut self, pos: Pos, entry: &Entry) {
        if let Some(key) = entry.key {
            let uses = self.keys.entry(key).or_default();
            let used = match entry.kind {
                Kind::Sale => &mut uses.sale,
                Kind::Return => &mut uses.back,
                Kind::Restock | Kind::Reprice | Kind::Listing => &mut uses.amend,
            };
            if *used == 0 {
                *used = pos;
            }
        }
        for change in &entry.changes {
            let track = self.books.entry(change.book).or_default();
            let price_cents = match (entry.kind, track.levels.last()) {
                // These carry the price at which it was sold.
                (Kind::Sale | Kind::Return, Some(level)) => level.price_cents,
                _ => change.price_cents,
            };
            // An entry that touches a book twice is misshapen, which the audit says; its last word counts.
            if track.at.last() == Some(&pos) {
                track.at.pop();
                track.levels.pop();
            }
            track.push(pos, Level { stock: change.stock, price_cents, version: entry.seq });
        }
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> Pos {
        self.entries.len()
    }

    /// The entry at a place, which must be one.
    pub(super) fn entry(&self, pos: Pos) -> &'a Entry {
        &self.entries[pos - 1]
    }

    /// The entries after recording began, with their places.
    pub(super) fn recorded(&self) -> impl Iterator<Item = (Pos, &'a Entry)> {
        (1..).zip(self.entries).skip(self.since)
    }

    /// Whether the entry at `pos` does what an amend asked for, and whether the amend had seen the right version.
    pub(super) fn amends(&self, pos: Pos, book: BookId, change: Amend) -> (bool, bool) {
        let entry = self.entry(pos);
        let [Change { book: amended, delta, price_cents, stock }] = entry.changes[..] else { return (false, false) };
        let (does, seen) = match change {
            Amend::StockDelta { delta: asked } => (entry.kind == Kind::Restock && delta == asked, None),
            Amend::Set { price_cents: price, stock: asked, version } => {
                let kind = if price.is_some() { Kind::Reprice } else { Kind::Restock };
                let stocked = asked.map_or(delta == 0, |asked| asked == stock);
                let priced = price.is_none_or(|price| price == price_cents);
                (entry.kind == kind && stocked && priced, version)
            }
        };
        let before = self.track(book).map(|track| track.version_before(pos));
        (does && amended == book, seen.is_none_or(|seen| Some(seen) == before))
    }

    /// All entries up to `head`.
    pub(super) fn up_to(&self, head: Seq) -> impl Iterator<Item = &'a Entry> {
        self.entries.iter().take_while(move |entry| entry.seq <= head)
    }

    pub(super) fn head(&self) -> Seq {
        self.entries.last().map_or(Seq(0), |entry| entry.seq)
    }

    /// What a key did.
    pub(super) fn uses(&self, key: OrderId) -> Uses {
        self.keys.get(&key).copied().unwrap_or_default()
    }

    /// A book's past.
    pub(super) fn track(&self, book: BookId) -> Option<&Track> {
        self.books.get(&book)
    }

    /// Where a book was listed; 0 if it never was.
    pub(super) fn listed(&self, book: BookId) -> Pos {
        self.track(book).map_or(0, Track::listed)
    }
}
