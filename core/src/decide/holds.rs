//! The open holds: found by order, and by when their time is up.

use std::collections::{BTreeSet, HashMap};

use crate::{
    clock::Timestamp,
    id::{BookId, OrderId},
    order::Order,
};

/// The orders that are held.
///
/// Those that are due are found without a look at the others. Memory: some 300 bytes a hold, and a line 24 bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holds {
    orders: HashMap<OrderId, Order>,
    by_time: BTreeSet<(Timestamp, OrderId)>,
    copies: HashMap<BookId, u32>,
}

impl Holds {
    /// The most open holds of a shop.
    pub const MAX: usize = 100_000;
    /// The most that lapse in one batch.
    pub const LAPSES_MAX: usize = 4_096;

    /// Takes in a held order, in place of the one with its id.
    pub fn insert(&mut self, order: Order) {
        self.remove(order.id);
        let Some(expires_at) = order.expires_at() else { return };
        for line in &order.lines {
            let copies = self.copies.entry(line.book).or_default();
            *copies = copies.saturating_add(line.quantity);
        }
        self.by_time.insert((expires_at, order.id));
        self.orders.insert(order.id, order);
    }

    /// Forgets an order that is not held any more.
    pub(super) fn remove(&mut self, id: OrderId) {
        let Some(order) = self.orders.remove(&id) else { return };
        self.by_time.remove(&(order.expires_at().unwrap_or_default(), id));
        for line in &order.lines {
            if let Some(copies) = self.copies.get_mut(&line.book) {
                *copies = copies.saturating_sub(line.quantity);
                if *copies == 0 {
                    self.copies.remove(&line.book);
                }
            }
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.orders.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.orders.is_empty()
    }

    /// Copies of a book that are held.
    #[must_use]
    pub fn copies(&self, book: BookId) -> u32 {
        self.copies.get(&book).copied().unwrap_or_default()
    }

    /// When the next one's time is up.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Whether more than `count` are due at the time `now`.
    #[must_use]
    pub fn is_more_due(&self, count: usize, now: Timestamp) -> bool {
        self.by_time.iter().nth(count).is_some_and(|(at, _)| *at <= now)
    }

    /// The order whose time has been up for longest at the time `now`.
    pub(super) fn due(&self, now: Timestamp) -> Option<&Order> {
        let (_, id) = self.by_time.first().filter(|(at, _)| *at <= now)?;
        self.orders.get(id)
    }
}
