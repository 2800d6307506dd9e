//! The decision: what a command does to the ledger. It is pure, and the same for every store.
//!
//! The writer has the store put what a batch touches into [`State`], calls [`State::decide`] command by command, and has the
//! store append the [`Batch`]. Nothing else in this project decides what is sold. Each command sees what the commands before
//! it left, in its own batch too.
//!
//! ```
//! use bookstore_core::{BookId, BookText, Cents, Clock as _, Error, Lines, ManualClock, NewBook, Timestamp};
//! use bookstore_core::decide::{Batch, Command, State};
//!
//! # fn main() -> bookstore_core::Result<()> {
//! let (clock, now) = (ManualClock::default(), Timestamp(0));
//! let (mut state, mut batch) = (State::default(), Batch::default());
//! let text = BookText { title: "The last copy".into(), topic: "t".into(), ..BookText::default() };
//! let book = Box::new(NewBook { text, price_cents: Cents::new(100)?, stock: 1 });
//! state.decide(&Command::AddBook { book }, now, &mut batch)?;
//!
//! let buy = || Command::Sell { order: clock.new_order_id(), lines: Lines::one(BookId(1), 1).expect("one line") };
//! assert!(state.decide(&buy(), now, &mut batch).is_ok());
//! let refused = state.decide(&buy(), now, &mut batch);
//! assert_eq!(refused, Err(Error::OutOfStock { book: BookId(1), available: 0 }));
//! assert_eq!(batch.entries.len(), 2, "a refusal leaves no entry");
//! # Ok(())
//! # }
//! ```

mod amend;
mod command;
mod level;

pub use command::{Command, Known, Outcome};
pub use level::{Level, Levels, apply};

use std::collections::{HashMap, HashSet};

use crate::{
    book::{Added, NewBook, Text},
    clock::Timestamp,
    error::{Error, Result},
    history::Hash,
    id::{BookId, OrderId, Seq},
    inline_list::InlineList,
    ledger::{Change, Entry, Kind},
    money::Cents,
    order::{Lines, Order, Receipt, Status},
};

/// What decisions are made from. The store fills it, and every decision brings it up to date.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The number of the last entry decided.
    pub head: Seq,
    /// The hash of the ledger up to the last batch that was [finished](State::finish).
    pub hash: Hash,
    /// The highest book id in use; 0 if there is none.
    pub last_book: u64,
    /// The books: at least all that the batch touches.
    pub levels: Levels,
    /// What the ledger holds under the keys of the batch. A key that is neither here nor among the batch's own sales is new.
    pub known: HashMap<OrderId, Known>,
    /// Of the batch's new books, the identities that the catalog has already.
    pub identities: HashMap<String, BookId>,
}

/// What a store must append atomically: all of it or nothing.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// New entries, with consecutive numbers.
    pub entries: Vec<Entry>,
    /// The books whose price a [`Kind::Reprice`] changed.
    pub repriced: HashSet<BookId>,
    /// Where the sales are among the entries. Of a sale that was cancelled in the same batch, [`State::known`] knows the newer
    /// state. Hashed with foldhash: order ids come from outside, so the seed is random.
    sales: HashMap<OrderId, usize, foldhash::quality::RandomState>,
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
    /// Forgets what was loaded for the batch before.
    pub fn forget_batch(&mut self) {
        self.known.clear();
        self.identities.clear();
    }

    /// Decides one command at the time `now`, and appends what it does to `batch`.
    ///
    /// # Errors
    /// The refusals that [`CatalogService`](crate::CatalogService) lists for each call. A refused command leaves no trace, so a
    /// key that was refused for want of stock may buy after a restock.
    pub fn decide(&mut self, command: &Command, now: Timestamp, batch: &mut Batch) -> Result<Outcome> {
        command.key().map(OrderId::check).transpose()?;
        match command {
            Command::Sell { order, lines } => self.sell(*order, lines, now, batch).map(Outcome::Receipt),
            Command::Release { order } => self.release(*order, now, batch).map(Outcome::Receipt),
            Command::Amend { book, change, key } => {
                self.amend(*book, *change, *key, now, batch).map(|level| Outcome::Amended(*book, level))
            }
            Command::AddBook { book } => self.add_book(book, now, batch).map(Outcome::Added),
        }
    }

    /// What the ledger holds under a key, this batch included. `None` if the key is new.
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
        let mut changes = InlineList::with_capacity(lines.iter().len());
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
        let mut changes = InlineList::with_capacity(order.lines.len());
        for line in &order.lines {
            let level = self.levels.get(line.book).ok_or(Error::BookNotFound { book: line.book })?;
            let delta = i64::from(line.quantity);
            let stock = amend::stock_plus(level, line.book, delta).map_err(|_| no_room(line.book))?;
            changes.push(Change { book: line.book, delta, price_cents: line.unit_price_cents, stock });
        }
        self.append(Kind::Return, Some(id), changes, now, batch);
        self.known.insert(id, Known::Order(order.clone()));
        Ok(Receipt { order, replayed: false })
    }

    fn add_book(&mut self, new: &NewBook, now: Timestamp, batch: &mut Batch) -> Result<Added> {
        let identity = new.text.identity();
        if let Some(&id) = self.identities.get(&identity) {
            return Ok(Added { id, created: false });
        }
        self.last_book += 1;
        let id = BookId(self.last_book);
        let (delta, stock, price_cents) = (i64::from(new.stock), new.stock, new.price_cents);
        self.append(Kind::Listing, None, [Change { book: id, delta, price_cents, stock }].into(), now, batch);
        if let Some(entry) = batch.entries.last_mut() {
            entry.text = Some(Text::from(&new.text));
        }
        self.identities.insert(identity, id);
        Ok(Added { id, created: true })
    }

    /// Ends a batch: what follows is decided on top of it. The writer calls it once all commands of the batch are decided.
    pub fn finish(&mut self, batch: &Batch) {
        self.hash = self.hash.after(&batch.entries);
    }

    /// The only place where an entry is made and a level changes.
    fn append<'a>(
        &mut self,
        kind: Kind,
        key: Option<OrderId>,
        changes: InlineList<Change>,
        at: Timestamp,
        batch: &'a mut Batch,
    ) -> &'a Entry {
        self.head = self.head.next();
        let entry = Entry { seq: self.head, at, kind, key, changes, text: None };
        apply(&mut self.levels, &entry);
        batch.entries.push(entry);
        batch.entries.last().expect("just pushed")
    }
}

fn no_room(book: BookId) -> Error {
    let most = NewBook::STOCK_MAX;
    Error::invalid("stock", format!("book {book} would have more than {most} copies if these were put back"))
}
