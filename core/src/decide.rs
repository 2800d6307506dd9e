//! The decision: what a command does to the ledger. Pure, and the same for every store.
//!
//! A store puts what a batch touches into [`State`], calls [`State::decide`] command by command, and commits the
//! [`Batch`] it gets. Nothing else in the project decides what is sold.

use serde::{Deserialize, Serialize};
use smallvec::{SmallVec, smallvec};
use std::collections::{HashMap, HashSet};

use crate::{
    book::{Added, Amend, Book, BookId, NewBook, Text},
    clock::Timestamp,
    error::{Error, Result},
    ledger::{Change, Entry, Kind, Seq},
    money::Cents,
    order::{Lines, Order, OrderId, Receipt, Status},
};

/// A change to the ledger that somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "command")]
pub enum Command {
    /// Sell all lines or none.
    #[serde(rename = "reserve")]
    Sell {
        /// The buyer's key.
        order: OrderId,
        /// What to sell.
        lines: Lines,
    },
    /// Take a sale back.
    Release {
        /// The sale's key.
        order: OrderId,
    },
    /// Change a book's price or stock.
    Amend {
        /// Which book.
        book: BookId,
        /// What to change.
        change: Amend,
        /// Makes it happen once, however often it is sent.
        key: Option<OrderId>,
    },
    /// List a new book.
    #[serde(rename = "list")]
    AddBook {
        /// The book; boxed, because it is many times larger than the commands that come by the thousand.
        book: Box<NewBook>,
    },
}

impl Command {
    /// The key whose entries the decision must know.
    #[must_use]
    pub fn key(&self) -> Option<OrderId> {
        match self {
            Self::Sell { order, .. } | Self::Release { order } => Some(*order),
            Self::Amend { key, .. } => *key,
            Self::AddBook { .. } => None,
        }
    }
}

/// What a command did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A sale or a return, now or earlier.
    Receipt(Receipt),
    /// The amended book as it stands now.
    Amended(BookId, Level),
    /// A new book's number, or the number it has already.
    Added(Added),
}

/// The part of a book that the ledger changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Copies in stock.
    pub stock: u32,
    /// What one costs.
    pub price_cents: Cents,
    /// The entry that last changed either.
    pub version: Seq,
}

impl Level {
    /// The book that stands at this level.
    pub(crate) fn of(self, id: BookId, text: Text) -> Book {
        Book { id, text, price_cents: self.price_cents, stock: self.stock, version: self.version }
    }
}

/// What the ledger holds under one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// An order, standing or cancelled.
    Order(Order),
    /// A restock or a reprice, and what it did.
    Amend(Kind, Change),
}

/// Every book's [`Level`], by id: dense, as ids are.
#[derive(Clone, Debug, Default)]
pub struct Levels(Vec<Option<Level>>);

impl Levels {
    /// One book's level.
    #[must_use]
    pub fn get(&self, book: BookId) -> Option<Level> {
        usize::try_from(book.0).ok().and_then(|at| self.0.get(at).copied().flatten())
    }

    /// Every book's level, by id.
    pub fn iter(&self) -> impl Iterator<Item = (BookId, Level)> {
        let numbered = self.0.iter().zip(0..);
        numbered.filter_map(|(level, id)| level.map(|level| (BookId(id), level)))
    }

    /// Sets one book's level.
    pub fn set(&mut self, book: BookId, level: Level) {
        let at = usize::try_from(book.0).expect("book ids are dense from 1, so they fit memory");
        if at >= self.0.len() {
            self.0.resize(at + 1, None);
        }
        self.0[at] = Some(level);
    }
}

/// What decisions are made from: filled by the store, moved on by every decision.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The last entry decided.
    pub head: Seq,
    /// The highest book id in use; 0 if there is none.
    pub last_book: u64,
    /// The books: at least all that the batch touches.
    pub levels: Levels,
    /// The keys of the batch that the ledger holds already, as far as they are not in [`Batch::sales`]. A key that is in
    /// neither is new.
    pub known: HashMap<OrderId, Known>,
    /// The identities of the batch's new books that are listed already.
    pub identities: HashMap<String, BookId>,
}

/// What a store must commit, atomically: all of it or nothing.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// New entries, consecutive.
    pub entries: Vec<Entry>,
    /// The texts of new books; each has its `Listing` among the entries.
    pub listed: Vec<(BookId, NewBook)>,
    /// Books whose price a `Reprice` changed.
    pub repriced: HashSet<BookId>,
    /// Where the sales are among the entries. One that was cancelled again is also in [`State::known`], which knows better.
    pub sales: HashMap<OrderId, usize, foldhash::quality::RandomState>,
}

impl Batch {
    /// An empty batch with room for this many sales.
    #[must_use]
    pub fn with_capacity(sales: usize) -> Self {
        let hasher = foldhash::quality::RandomState::default();
        Self {
            entries: Vec::with_capacity(sales),
            sales: HashMap::with_capacity_and_hasher(sales, hasher),
            ..Self::default()
        }
    }

    /// An order that was placed in this batch, as it was placed.
    fn order(&self, id: OrderId) -> Option<Order> {
        self.entries.get(*self.sales.get(&id)?)?.order()
    }
}

impl State {
    /// Decides one command at the time `now`, and appends what it does to `batch`.
    ///
    /// # Errors
    /// The domain's refusals. A refused command leaves no trace, so a key that met an empty shelf may buy after a restock.
    pub fn decide(&mut self, command: &Command, now: Timestamp, batch: &mut Batch) -> Result<Outcome> {
        match command {
            Command::Sell { order, lines } => self.sell(*order, lines, now, batch).map(Outcome::Receipt),
            Command::Release { order } => self.release(*order, now, batch).map(Outcome::Receipt),
            Command::Amend { book, change, key } => {
                self.amend(*book, *change, *key, now, batch).map(|level| Outcome::Amended(*book, level))
            }
            Command::AddBook { book } => self.add_book(book, now, batch).map(Outcome::Added),
        }
    }

    /// Reads the levels that sales will need side by side: their cache misses overlap, while in the decisions, one after the
    /// other, they add up.
    pub(crate) fn look_ahead<'a>(&self, commands: impl Iterator<Item = &'a Command>) {
        let sales =
            commands.filter_map(|command| if let Command::Sell { lines, .. } = command { Some(lines) } else { None });
        let stocks = sales.flatten().filter_map(|line| self.levels.get(line.book)).map(|level| level.stock);
        std::hint::black_box(stocks.fold(0, u32::wrapping_add));
    }

    /// What the ledger holds under a key, with this batch.
    #[must_use]
    pub fn known(&self, key: OrderId, batch: &Batch) -> Option<Known> {
        self.known.get(&key).cloned().or_else(|| batch.order(key).map(Known::Order))
    }

    fn sell(&mut self, id: OrderId, lines: &Lines, now: Timestamp, batch: &mut Batch) -> Result<Receipt> {
        match self.known(id, batch) {
            Some(Known::Order(order)) if order.sold(lines) => return Ok(Receipt { order, replayed: true }),
            Some(_) => return Err(Error::OrderIdReused { order: id }),
            None => {}
        }
        let mut changes = SmallVec::with_capacity(lines.iter().len());
        let mut total = Cents::ZERO;
        for line in lines {
            let level = self.levels.get(line.book).ok_or(Error::BookNotFound { book: line.book })?;
            let Some(stock) = level.stock.checked_sub(line.quantity) else {
                return Err(Error::OutOfStock { book: line.book, available: level.stock });
            };
            if line.price_cents.is_some_and(|seen| seen != level.price_cents) {
                return Err(Error::PriceChanged { book: line.book, price_cents: level.price_cents });
            }
            let cost = level.price_cents.times(line.quantity).and_then(|cost| total.plus(cost));
            total = cost.ok_or_else(|| Error::invalid("quantity", "the order's total is too large an amount"))?;
            let delta = -i64::from(line.quantity);
            changes.push(Change { book: line.book, delta, price_cents: level.price_cents, stock });
        }
        batch.sales.insert(id, batch.entries.len());
        let entry = self.append(Kind::Sale, Some(id), changes, now, batch);
        let order = entry.order().expect("a sale with a key is an order");
        debug_assert_eq!(order.total_cents, total);
        Ok(Receipt { order, replayed: false })
    }

    fn release(&mut self, id: OrderId, now: Timestamp, batch: &mut Batch) -> Result<Receipt> {
        let Some(Known::Order(order)) = self.known(id, batch) else { return Err(Error::OrderNotFound { order: id }) };
        if order.status == Status::Cancelled {
            return Ok(Receipt { order, replayed: true });
        }
        let order = order.cancelled(now);
        let mut changes = SmallVec::with_capacity(order.lines.len());
        for line in &order.lines {
            let level = self.levels.get(line.book).ok_or(Error::BookNotFound { book: line.book })?;
            let delta = i64::from(line.quantity);
            let stock = stock_plus(level, line.book, delta).map_err(|_| no_room(line.book))?;
            changes.push(Change { book: line.book, delta, price_cents: line.unit_price_cents, stock });
        }
        self.append(Kind::Return, Some(id), changes, now, batch);
        self.known.insert(id, Known::Order(order.clone()));
        Ok(Receipt { order, replayed: false })
    }

    fn amend(
        &mut self,
        book: BookId,
        change: Amend,
        key: Option<OrderId>,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<Level> {
        check_change(change)?;
        let level = self.levels.get(book).ok_or(Error::BookNotFound { book })?;
        match key.and_then(|key| Some((key, self.known(key, batch)?))) {
            Some((_, Known::Amend(kind, done))) if is_done(book, change, kind, &done) => return Ok(level),
            Some((order, _)) => return Err(Error::OrderIdReused { order }),
            None => {}
        }
        let (kind, stock, price_cents) = match change {
            Amend::StockDelta { delta } => (Kind::Restock, stock_plus(level, book, delta)?, level.price_cents),
            Amend::Set { price_cents, stock, version } => {
                if version.is_none() && stock.is_some() {
                    return Err(Error::VersionRequired);
                }
                if version.is_some_and(|seen| seen != level.version) {
                    return Err(Error::VersionMismatch { book, version: level.version });
                }
                let kind = if price_cents.is_some() { Kind::Reprice } else { Kind::Restock };
                let stock = stock.unwrap_or(level.stock);
                if stock > NewBook::STOCK_MAX {
                    return Err(Error::invalid("stock", format!("must be at most {}", NewBook::STOCK_MAX)));
                }
                (kind, stock, price_cents.unwrap_or(level.price_cents))
            }
        };
        let delta = i64::from(stock) - i64::from(level.stock);
        let done = Change { book, delta, price_cents, stock };
        let version = self.append(kind, key, smallvec![done], now, batch).seq;
        if kind == Kind::Reprice {
            batch.repriced.insert(book);
        }
        if let Some(key) = key {
            self.known.insert(key, Known::Amend(kind, done));
        }
        Ok(Level { stock, price_cents, version })
    }

    fn add_book(&mut self, new: &NewBook, now: Timestamp, batch: &mut Batch) -> Result<Added> {
        let identity = new.text.identity();
        if let Some(&id) = self.identities.get(&identity) {
            return Ok(Added { id, created: false });
        }
        self.last_book += 1;
        let id = BookId(self.last_book);
        let (delta, stock, price_cents) = (i64::from(new.stock), new.stock, new.price_cents);
        self.append(Kind::Listing, None, smallvec![Change { book: id, delta, price_cents, stock }], now, batch);
        self.identities.insert(identity, id);
        batch.listed.push((id, new.clone()));
        Ok(Added { id, created: true })
    }

    /// The only place where an entry is made and a level moves.
    fn append<'a>(
        &mut self,
        kind: Kind,
        key: Option<OrderId>,
        changes: SmallVec<[Change; 1]>,
        at: Timestamp,
        batch: &'a mut Batch,
    ) -> &'a Entry {
        self.head = self.head.next();
        let entry = Entry { seq: self.head, at, kind, key, changes };
        apply(&mut self.levels, &entry);
        batch.entries.push(entry);
        batch.entries.last().expect("just pushed")
    }
}

/// Moves the levels of the books that `entry` touches: how a ledger is replayed.
pub fn apply(levels: &mut Levels, entry: &Entry) {
    for change in &entry.changes {
        // A sale or a return carries the price at which it was sold, which may not be today's.
        let price_cents = match (entry.kind, levels.get(change.book)) {
            (Kind::Sale | Kind::Return, Some(level)) => level.price_cents,
            _ => change.price_cents,
        };
        levels.set(change.book, Level { stock: change.stock, price_cents, version: entry.seq });
    }
}

/// A change that changes nothing is a mistake, not an entry.
fn check_change(change: Amend) -> Result<()> {
    match change {
        Amend::StockDelta { delta: 0 } => Err(Error::invalid("stock_delta", "must not be 0")),
        Amend::Set { price_cents: None, stock: None, .. } => {
            Err(Error::invalid("price_cents", "a change sets the price, the stock, or both"))
        }
        Amend::StockDelta { .. } | Amend::Set { .. } => Ok(()),
    }
}

/// Whether an entry did just what a change of `book` asks for; the version aside, which was right when it did.
fn is_done(book: BookId, change: Amend, kind: Kind, done: &Change) -> bool {
    let same = match change {
        Amend::StockDelta { delta } => kind == Kind::Restock && delta == done.delta,
        Amend::Set { price_cents, stock, .. } => {
            let sets = if price_cents.is_some() { Kind::Reprice } else { Kind::Restock };
            let stocked = stock.map_or(done.delta == 0, |stock| stock == done.stock);
            kind == sets && stocked && price_cents.is_none_or(|price| price == done.price_cents)
        }
    };
    same && done.book == book
}

fn no_room(book: BookId) -> Error {
    let most = NewBook::STOCK_MAX;
    Error::invalid("stock", format!("book {book} would have more than {most} copies if these were put back"))
}

fn stock_plus(level: Level, book: BookId, delta: i64) -> Result<u32> {
    let stock = i64::from(level.stock).checked_add(delta);
    match stock.map(u32::try_from) {
        Some(Ok(stock)) if stock <= NewBook::STOCK_MAX => Ok(stock),
        Some(_) if delta < 0 => Err(Error::OutOfStock { book, available: level.stock }),
        _ => Err(Error::invalid("stock_delta", format!("a book has at most {} copies", NewBook::STOCK_MAX))),
    }
}
