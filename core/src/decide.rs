//! The decision: what a command does to the ledger. It is pure, and the same for every store.
//!
//! The writer has the store put what a batch touches into [`State`], calls [`State::decide`] command by command, and has the
//! store append the [`Batch`]. Nothing else in this project decides what is sold. Each command sees what the commands before
//! it left, in its own batch too.
//!
//! # Orders
//! What becomes of an order whose state is in the first column. *Replayed* is `Ok` with the order as it is, and no entry; other codes are
//! refusals that carry the order.
//!
//! | state | purchase, same lines | hold, same lines | confirm | cancel | void | fulfil | some copies return |
//! |---|---|---|---|---|---|---|---|
//! | unknown | sale: placed | hold: held | `unknown-order` | `unknown-order` | void: voided | `unknown-order` | `unknown-order` |
//! | held | confirm: placed | replayed | confirm: placed | return: cancelled | return: cancelled | `order-held` | `order-held` |
//! | placed | replayed | replayed | replayed | return: cancelled | return: cancelled | fulfil: fulfilled | return |
//! | fulfilled | replayed | replayed | replayed | `order-fulfilled` | `order-fulfilled` | replayed | return |
//! | cancelled | `order-cancelled` | `order-cancelled` | `order-cancelled` | replayed | replayed | `order-cancelled` | `order-cancelled` |
//! | lapsed | `order-lapsed` | `order-lapsed` | `order-lapsed` | replayed | replayed | `order-lapsed` | `order-lapsed` |
//! | voided | `order-voided` | `order-voided` | `order-voided` | replayed | replayed | `order-voided` | `order-voided` |
//!
//! A hold is extended while it is held; a placed or fulfilled order is replayed, any other state refuses as for a confirmation. Other lines
//! or another reference under an order's id, and an id that is the key of something else, are `order-id-reused`.
//!
//! A contact stands beside the ledger: [`Batch::contacts`]. It is given with the order or later, corrected without an entry, and erased by
//! one, which changes no state. What was erased does not come back.
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
//! state.decide(&Command::AddBook { book, by: None }, now, &mut batch)?;
//!
//! let buy = || Command::Sell { order: clock.new_order_id(), lines: Lines::one(BookId(1), 1).expect("one line") };
//! assert!(state.decide(&buy(), now, &mut batch).is_ok());
//! let refused = state.decide(&buy(), now, &mut batch);
//! assert!(matches!(refused, Err(Error::OutOfStock { book: BookId(1), available: 0, .. })));
//! assert_eq!(batch.entries.len(), 2, "a refusal leaves no entry");
//! # Ok(())
//! # }
//! ```

mod amend;
mod command;
mod contacts;
mod holds;
mod level;
mod orders;

pub use command::{Command, Known, Outcome};
pub use holds::Holds;
pub use level::{Level, Levels, apply};

use std::collections::{HashMap, HashSet};

use crate::{
    book::{Added, NewBook, Text},
    clock::Timestamp,
    contact::{Contact, ContactChange, ContactRule},
    error::Result,
    history::Hash,
    id::{BookId, OrderId, Seq},
    inline_list::InlineList,
    ledger::{Change, Details, Entry, Kind},
    order::{Actor, Order},
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
    /// The orders that are held: all of them.
    pub holds: Holds,
    /// What the ledger holds under the keys of the batch. A key that is neither here nor among the batch's own orders is new.
    pub known: HashMap<OrderId, Known>,
    /// Of the identities that the batch's books are to have, those that books of the catalog have or had already.
    pub identities: HashMap<String, BookId>,
    /// Whether orders carry contacts.
    pub contact_rule: ContactRule,
    /// The number of the last [`ContactChange`].
    pub contact_version: u64,
    /// The contacts of the batch's orders, as far as its commands ask for them; `None` if one was erased. An order that is not here never
    /// had any.
    pub contacts: HashMap<OrderId, Option<Box<Contact>>>,
}

/// What a store must append atomically: all of it or nothing.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// New entries, with consecutive numbers.
    pub entries: Vec<Entry>,
    /// The books whose price a [`Kind::Reprice`] changed.
    pub repriced: HashSet<BookId>,
    /// Changes of contacts, oldest first: stored with the entries, and no part of the ledger.
    pub contacts: Vec<ContactChange>,
    /// Where the orders begin among the entries. Of an order that was changed in the same batch, [`State::known`] knows the newer
    /// state. Hashed with foldhash: order ids come from outside, so the seed is random.
    begun: HashMap<OrderId, usize, foldhash::quality::RandomState>,
}

impl Batch {
    /// An empty batch with room for this many orders.
    #[must_use]
    pub fn with_capacity(orders: usize) -> Self {
        let hasher = foldhash::quality::RandomState::default();
        Self {
            entries: Vec::with_capacity(orders),
            begun: HashMap::with_capacity_and_hasher(orders, hasher),
            ..Self::default()
        }
    }

    /// Whether there is nothing to append.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.contacts.is_empty()
    }

    /// An order that begins in this batch, as it began.
    fn order(&self, id: OrderId) -> Option<Order> {
        self.entries.get(*self.begun.get(&id)?)?.order()
    }
}

/// What a command is decided with, beside the state.
struct Context<'a> {
    by: Option<&'a Actor>,
    now: Timestamp,
    batch: &'a mut Batch,
}

impl Context<'_> {
    /// The details of an entry that has no others than the actor.
    fn details(&self) -> Option<Box<Details>> {
        self.by.and_then(|by| Details { actor: Some(by.clone()), ..Details::default() }.boxed())
    }
}

impl State {
    /// Forgets what was loaded for the batch before.
    pub fn forget_batch(&mut self) {
        self.known.clear();
        self.identities.clear();
        self.contacts.clear();
    }

    /// Decides one command at the time `now`, and appends what it does to `batch`.
    ///
    /// # Errors
    /// The refusals that [`CatalogService`](crate::CatalogService) lists for each call. A refused command leaves no trace, so a
    /// key that was refused for want of stock may buy after a restock.
    pub fn decide(&mut self, command: &Command, now: Timestamp, batch: &mut Batch) -> Result<Outcome> {
        command.keys().try_for_each(|key| key.check().map(drop))?;
        match command {
            Command::Sell { order, lines } => {
                self.sell(*order, lines, None, None, Context { by: None, now, batch }).map(Outcome::Receipt)
            }
            Command::Release { order } => self.cancel(*order, Context { by: None, now, batch }).map(Outcome::Receipt),
            Command::Order { order, action, by } => {
                self.order(*order, action, Context { by: by.as_ref(), now, batch }).map(Outcome::Receipt)
            }
            Command::Amend { book, change, key, by } => {
                let context = Context { by: by.as_ref(), now, batch };
                self.amend(*book, change, *key, context).map(|level| Outcome::Amended(*book, level))
            }
            Command::AddBook { book, by } => {
                self.add_book(book, Context { by: by.as_ref(), now, batch }).map(Outcome::Added)
            }
        }
    }

    /// What the ledger holds under a key, this batch included. `None` if the key is new.
    #[must_use]
    pub fn known(&self, key: OrderId, batch: &Batch) -> Option<Known> {
        self.known.get(&key).cloned().or_else(|| batch.order(key).map(Known::Order))
    }

    fn add_book(&mut self, new: &NewBook, context: Context<'_>) -> Result<Added> {
        let identity = new.text.identity();
        if let Some(&id) = self.identities.get(&identity) {
            return Ok(Added { id, created: false });
        }
        self.last_book += 1;
        let id = BookId(self.last_book);
        let (delta, stock, price_cents) = (i64::from(new.stock), new.stock, new.price_cents);
        let (details, Context { now, batch, .. }) = (context.details(), context);
        let (seq, text) = (self.head.next(), Some(Text::from(&new.text)));
        let changes = [Change { book: id, delta, price_cents, stock }].into();
        self.push(Entry { seq, at: now, kind: Kind::Listing, key: None, changes, text, details }, batch);
        self.identities.insert(identity, id);
        Ok(Added { id, created: true })
    }

    /// Ends a batch: what follows is decided on top of it. The writer calls it once all commands of the batch are decided.
    pub fn finish(&mut self, batch: &Batch) {
        self.hash = self.hash.after(&batch.entries);
    }

    /// Appends an entry without a text.
    fn append<'a>(
        &mut self,
        kind: Kind,
        key: Option<OrderId>,
        changes: InlineList<Change>,
        details: Option<Box<Details>>,
        at: Timestamp,
        batch: &'a mut Batch,
    ) -> &'a Entry {
        let seq = self.head.next();
        self.push(Entry { seq, at, kind, key, changes, text: None, details }, batch)
    }

    /// Reads the levels that sales will need side by side: in the decisions, one after the other, each would wait for memory.
    // Why: docs/decisions/0011.
    pub(crate) fn read_ahead<'a>(&self, commands: impl Iterator<Item = &'a Command>) {
        let sales =
            commands.filter_map(|command| if let Command::Sell { lines, .. } = command { Some(lines) } else { None });
        let stocks = sales.flatten().filter_map(|line| self.levels.get(line.book)).map(|level| level.stock);
        std::hint::black_box(stocks.fold(0, u32::wrapping_add));
    }

    /// The only place where an entry becomes part of a batch and a level changes.
    fn push<'a>(&mut self, entry: Entry, batch: &'a mut Batch) -> &'a Entry {
        self.head = entry.seq;
        apply(&mut self.levels, &entry);
        batch.entries.push(entry);
        batch.entries.last().expect("just pushed")
    }
}
