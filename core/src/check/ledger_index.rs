//! The ledger, indexed by key and by book.
//!
//! The checker asks three questions of a ledger: what did this key do, how was this book at that moment, and does this
//! entry do what that call asked for. The index answers the first in constant time and the second in logarithmic time.
//! It takes about 100 bytes an entry, beside the entries themselves.

use std::collections::HashMap;

use super::operation::ListedBook;
use crate::{
    book::{Amend, BookId, Text},
    decide::Level,
    ledger::{Change, Entry, Kind, Seq},
    order::{Order, OrderId},
    request::Lines,
};

/// A state of the shop: the number of entries that lead to it. As the position of an entry, the state right after it; 0
/// stands for no entry.
pub(super) type Pos = usize;

/// A run of consecutive states, both ends included; empty if `last` is less than `first`.
#[derive(Clone, Copy, Debug)]
pub(super) struct States {
    pub(super) first: Pos,
    pub(super) last: Pos,
}

impl States {
    /// The first state in both runs.
    pub(super) fn first_common(self, other: Self) -> Option<Pos> {
        let (first, last) = (self.first.max(other.first), self.last.min(other.last));
        (first <= last).then_some(first)
    }
}

/// Where a key was first used, for each thing that it can do.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct KeyUses {
    pub(super) sale: Pos,
    pub(super) hold: Pos,
    pub(super) confirm: Pos,
    pub(super) lapse: Pos,
    pub(super) returned: Pos,
    pub(super) fulfil: Pos,
    pub(super) void: Pos,
    /// A change of a book, or the return of some copies of an order.
    pub(super) amend: Pos,
}

impl KeyUses {
    /// Where it was used in an entry of this kind.
    pub(super) fn of(&mut self, entry: &Entry) -> &mut Pos {
        match entry.kind {
            Kind::Sale => &mut self.sale,
            Kind::Hold => &mut self.hold,
            Kind::Confirm => &mut self.confirm,
            Kind::Lapse => &mut self.lapse,
            Kind::Return if !entry.is_partial_return() => &mut self.returned,
            Kind::Fulfil => &mut self.fulfil,
            Kind::Void => &mut self.void,
            Kind::Return
            | Kind::Restock
            | Kind::Reprice
            | Kind::Listing
            | Kind::Revise
            | Kind::Withdraw
            | Kind::Relist
            | Kind::Timeline
            | Kind::Extend
            | Kind::Erase => &mut self.amend,
        }
    }

    /// Where an order begins that took copies out of stock; 0 if there is none.
    pub(super) fn taken_out(&self) -> Pos {
        self.sale.max(self.hold)
    }

    /// Where an order was placed; 0 if it never was.
    pub(super) fn placed(&self) -> Pos {
        if self.sale > 0 { self.sale } else { self.confirm }
    }

    /// Where an order was used, in any way.
    fn entries(&self) -> [Pos; 7] {
        [self.sale, self.hold, self.void, self.confirm, self.lapse, self.returned, self.fulfil]
    }
}

/// Whether an entry is what a call asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Match {
    /// It does the same.
    pub(super) same: bool,
    /// It was made under the condition that the call named: a purchase's price, an amend's version.
    pub(super) agreed: bool,
}

/// One book's levels, entry by entry: the level `levels[n]` is in force from the state `at[n]` to the one before `at[n
/// + 1]`.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    at: Vec<Pos>,
    levels: Vec<Level>,
}

impl Timeline {
    /// The level after entry `version`, and the states in which the book stood at it.
    pub(super) fn version(&self, version: Seq) -> Option<(Level, States)> {
        let nth = self.levels.binary_search_by_key(&version, |level| level.version).ok()?;
        let last = self.at.get(nth + 1).map_or(Pos::MAX, |next| next - 1);
        Some((self.levels[nth], States { first: self.at[nth], last }))
    }

    /// The level before the entry at `pos`; none for the first.
    fn before(&self, pos: Pos) -> Option<Level> {
        let nth = self.at.partition_point(|at| *at < pos);
        nth.checked_sub(1).map(|nth| self.levels[nth])
    }

    /// The version before the entry at `pos`; 0 for the first.
    pub(super) fn version_before(&self, pos: Pos) -> Seq {
        self.before(pos).map_or(Seq(0), |level| level.version)
    }

    /// The version of the text before the entry at `pos`; 0 for the first.
    pub(super) fn text_version_before(&self, pos: Pos) -> Seq {
        self.before(pos).map_or(Seq(0), |level| level.text_version)
    }

    /// The first of `states` in which the book's level was such.
    pub(super) fn find(&self, states: States, is_such: impl Fn(&Level) -> bool) -> Option<Pos> {
        let nth = self.at.partition_point(|at| *at <= states.first).saturating_sub(1);
        let mut levels = self.at[nth..].iter().map(|at| states.first.max(*at)).zip(&self.levels[nth..]);
        let found = levels.find(|(pos, level)| *pos > states.last || is_such(level));
        found.map(|(pos, _)| pos).filter(|pos| *pos <= states.last)
    }
}

/// The indexed ledger.
#[derive(Debug)]
pub(super) struct LedgerIndex<'a> {
    entries: &'a [Entry],
    keys: HashMap<OrderId, KeyUses>,
    /// Where orders were changed under another key than their id.
    others: HashMap<OrderId, Vec<Pos>>,
    books: HashMap<BookId, Timeline>,
    /// The state in which recording began.
    pub(super) since: Pos,
}

impl<'a> LedgerIndex<'a> {
    /// Indexes the whole ledger. Recording began when its head was `since`.
    pub(super) fn new(entries: &'a [Entry], since: Seq) -> Self {
        let since = entries.partition_point(|entry| entry.seq <= since);
        let (keys, others, books) = (HashMap::with_capacity(entries.len()), HashMap::new(), HashMap::new());
        let mut index = Self { entries, keys, others, books, since };
        for (pos, entry) in (1..).zip(entries) {
            index.take(pos, entry);
        }
        index
    }

    /// Adds the next entry to the index.
    fn take(&mut self, pos: Pos, entry: &Entry) {
        if let Some(key) = entry.key {
            let used = self.keys.entry(key).or_default().of(entry);
            if *used == 0 {
                *used = pos;
            }
        }
        if let Some(order) = entry.order_id().filter(|order| entry.key != Some(*order)) {
            self.others.entry(order).or_default().push(pos);
        }
        for change in &entry.changes {
            let timeline = self.books.entry(change.book).or_default();
            // The audit reports an entry that touches a book twice. Here its last change counts.
            if timeline.at.last() == Some(&pos) {
                timeline.at.pop();
                timeline.levels.pop();
            }
            timeline.at.push(pos);
            timeline.levels.push(Level::after(timeline.levels.last().copied(), entry, change));
        }
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> Pos {
        self.entries.len()
    }

    /// The entry at a position, which MUST NOT be 0.
    pub(super) fn entry(&self, pos: Pos) -> &'a Entry {
        &self.entries[pos - 1]
    }

    /// The entries after recording began, with their positions.
    pub(super) fn recorded(&self) -> impl Iterator<Item = (Pos, &'a Entry)> {
        (1..).zip(self.entries).skip(self.since)
    }

    /// All entries up to `head`.
    pub(super) fn up_to(&self, head: Seq) -> impl Iterator<Item = &'a Entry> {
        self.entries.iter().take_while(move |entry| entry.seq <= head)
    }

    /// The last entry's number; 0 if there is none.
    pub(super) fn head(&self) -> Seq {
        self.entries.last().map_or(Seq(0), |entry| entry.seq)
    }

    /// What a key did.
    pub(super) fn uses(&self, key: OrderId) -> KeyUses {
        self.keys.get(&key).copied().unwrap_or_default()
    }

    /// Where an order was changed under another key than its id.
    pub(super) fn others(&self, order: OrderId) -> &[Pos] {
        self.others.get(&order).map_or(&[], Vec::as_slice)
    }

    /// The entries of an order, with their positions, oldest first.
    pub(super) fn entries_of(&self, order: OrderId) -> Vec<Pos> {
        let mut entries = self.uses(order).entries().to_vec();
        entries.retain(|pos| *pos > 0);
        entries.extend(self.others(order));
        entries.sort_unstable();
        entries
    }

    /// The order with its newest entry `version`, where that is, and where its next entry is.
    pub(super) fn order_at(&self, order: OrderId, version: Seq) -> Option<(Order, Pos, Option<Pos>)> {
        let all = self.entries_of(order);
        let nth = all.iter().position(|pos| self.entry(*pos).seq == version)?;
        let shown = Order::of(all[..=nth].iter().map(|pos| self.entry(*pos)))?;
        Some((shown, all[nth], all.get(nth + 1).copied()))
    }

    /// A book's past.
    pub(super) fn timeline(&self, book: BookId) -> Option<&Timeline> {
        self.books.get(&book)
    }

    /// Where a book was listed; 0 if it never was.
    pub(super) fn listed(&self, book: BookId) -> Pos {
        self.timeline(book).and_then(|timeline| timeline.at.first()).copied().unwrap_or_default()
    }

    /// The price and stock with which the entry at `pos` lists a book, if it is a listing.
    pub(super) fn listed_as(&self, pos: Pos) -> Option<ListedBook> {
        let entry = self.entry(pos);
        match entry.changes[..] {
            [Change { price_cents, stock, .. }] if entry.kind == Kind::Listing => {
                Some(ListedBook { price_cents, stock })
            }
            _ => None,
        }
    }

    /// Whether the sale or hold at `pos` is what a purchase of `lines` asked for: the same copies of the same books, and every
    /// price that the lines name.
    pub(super) fn sells(&self, pos: Pos, lines: &Lines) -> Match {
        let changes = &self.entry(pos).changes;
        let sold = changes.iter().map(|change| (change.book, change.delta));
        let same = sold.eq(lines.iter().map(|line| (line.book, -i64::from(line.quantity))));
        let mut lines = lines.iter().zip(changes);
        let agreed = lines.all(|(line, change)| line.price_cents.is_none_or(|seen| seen == change.price_cents));
        Match { same, agreed }
    }

    /// Whether the entry at `pos` takes these copies of an order back.
    pub(super) fn returns(&self, pos: Pos, order: OrderId, lines: &Lines) -> bool {
        let entry = self.entry(pos);
        let back = entry.changes.iter().map(|change| (change.book, change.delta));
        let asked = lines.iter().map(|line| (line.book, i64::from(line.quantity)));
        entry.is_partial_return() && entry.order_id() == Some(order) && back.eq(asked)
    }

    /// Whether the entry at `pos` is what an amend of `book` asked for. A change of the price is a reprice, one of the stock alone a
    /// restock; what the amend leaves open, the entry must not have changed.
    pub(super) fn amends(&self, pos: Pos, book: BookId, change: &Amend) -> Match {
        let entry = self.entry(pos);
        let [Change { book: amended, delta, price_cents, stock }] = entry.changes[..] else {
            return Match { same: false, agreed: false };
        };
        let timeline = self.timeline(book);
        let (same, seen) = match change {
            Amend::StockDelta { delta: asked } => (entry.kind == Kind::Restock && delta == *asked, None),
            Amend::Revise { text, text_version } => {
                let same = entry.kind == Kind::Revise && entry.text == Some(Text::from(&**text)) && amended == book;
                let before = timeline.map(|timeline| timeline.text_version_before(pos));
                return Match { same, agreed: text_version.is_some() && *text_version == before };
            }
            Amend::Withdraw => (entry.kind == Kind::Withdraw, None),
            Amend::Relist => (entry.kind == Kind::Relist, None),
            Amend::Set { price_cents: price, stock: asked, version } => {
                let kind = if price.is_some() { Kind::Reprice } else { Kind::Restock };
                let stocked = asked.map_or(delta == 0, |asked| asked == stock);
                let priced = price.is_none_or(|price| price == price_cents);
                (entry.kind == kind && stocked && priced, *version)
            }
        };
        let before = timeline.map(|timeline| timeline.version_before(pos));
        Match { same: same && amended == book, agreed: seen.is_none_or(|seen| Some(seen) == before) }
    }
}
