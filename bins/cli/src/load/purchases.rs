//! Purchases as their clients remember them, and findings against the promises.

use bookstore_core::{BookId, Cents, Order, OrderId, OrderLine, Seq, Status, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, PoisonError};

/// One purchase intent and its outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Purchase {
    pub(super) id: OrderId,
    pub(super) book: BookId,
    pub(super) client: u32,
    pub(super) outcome: Outcome,
}

/// The outcome of a purchase as far as its client knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was acknowledged, with this order.
    Sold { seq: Seq, placed_at: Timestamp, price: Cents },
    /// It was refused, or not executed.
    NotSold,
    /// It may have happened.
    Unknown,
}

/// Copies that every purchase buys.
const QUANTITY: u32 = 1;

impl Purchase {
    /// The acknowledged order.
    pub(super) fn order(&self) -> Option<Order> {
        let Outcome::Sold { seq, placed_at, price } = self.outcome else { return None };
        let line = OrderLine { book: self.book, quantity: QUANTITY, unit_price_cents: price };
        let lines = [line].into_iter().collect();
        let (status, cancelled_at) = (Status::Placed, None);
        Some(Order {
            id: self.id,
            status,
            lines,
            total_cents: price,
            placed_at,
            seq,
            cancelled_at,
            details: None,
            version: seq,
        })
    }

    /// The outcome of a purchase that was answered with this order; `None` if the order is not what was asked for.
    pub(super) fn acknowledged(id: OrderId, book: BookId, order: &Order) -> Option<Outcome> {
        let price = order.lines.first()?.unit_price_cents;
        let outcome = Outcome::Sold { seq: order.seq, placed_at: order.placed_at, price };
        let asked_for = Self { id, book, client: 0, outcome }.order()?;
        (asked_for == *order).then_some(outcome)
    }

    /// Whether an order has the id, book and quantity that were asked for.
    pub(super) fn asked_for(&self, order: &Order) -> bool {
        let lines = order.lines.iter().map(|line| (line.book, line.quantity));
        order.id == self.id && lines.eq([(self.book, QUANTITY)])
    }
}

/// An order in one line.
pub(super) fn as_json(order: &Order) -> String {
    serde_json::to_string(order).unwrap_or_else(|_| format!("order {}", order.id))
}

/// The three promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Promise {
    /// No more copies are sold than there were.
    NeverOversold,
    /// An acknowledged order exists from then on, just as it was answered.
    NeverLost,
    /// One purchase intent is one order or none, however often it is sent, and has one answer.
    NeverDouble,
}

impl Promise {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::NeverOversold, Self::NeverLost, Self::NeverDouble];

    /// Its name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NeverOversold => "never oversold",
            Self::NeverLost => "never lost",
            Self::NeverDouble => "never double",
        }
    }
}

/// An observation that contradicts a promise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The promise.
    pub promise: Promise,
    /// What was observed.
    pub what: String,
}

/// Findings from concurrent tasks: all are counted, the first ones are kept.
#[derive(Debug, Default)]
pub(super) struct Findings(Mutex<Found>);

#[derive(Debug, Default)]
struct Found {
    counts: [u64; 3],
    named: Vec<Finding>,
}

impl Findings {
    /// Findings of one promise that are kept; more are counted.
    const NAMED_MAX: u64 = 20;

    /// Adds one.
    pub(super) fn add(&self, promise: Promise, what: impl Into<String>) {
        let mut found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = &mut found.counts[promise as usize];
        *count += 1;
        if *count <= Self::NAMED_MAX {
            found.named.push(Finding { promise, what: what.into() });
        }
    }

    /// How many there are against one promise.
    pub(super) fn count(&self, promise: Promise) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).counts[promise as usize]
    }

    /// The first ones.
    pub(super) fn named(&self) -> Vec<Finding> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).named.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bookstore_core::{Clock as _, SystemClock};

    #[test]
    fn an_answer_is_remembered_whole_or_not_taken() {
        let (id, book) = (SystemClock.new_order_id(), BookId(3));
        let outcome = Outcome::Sold { seq: Seq(9), placed_at: Timestamp(5), price: Cents::new(250).unwrap() };
        let purchase = Purchase { id, book, client: 0, outcome };
        let order = purchase.order().unwrap();
        assert_eq!(Purchase::acknowledged(id, book, &order), Some(outcome));
        assert!(purchase.asked_for(&order));
        assert_eq!(Purchase::acknowledged(id, BookId(4), &order), None);
        assert_eq!(Purchase::acknowledged(SystemClock.new_order_id(), book, &order), None);
        let mut two = order.clone();
        two.lines[0].quantity = 2;
        assert!(!purchase.asked_for(&two));
        let dear = Order { total_cents: Cents::new(251).unwrap(), ..order.clone() };
        assert_eq!(Purchase::acknowledged(id, book, &dear), None);
        let cancelled = Order { status: Status::Cancelled, ..order };
        assert_eq!(Purchase::acknowledged(id, book, &cancelled), None);
    }

    #[test]
    fn findings_are_all_counted_and_the_first_are_kept() {
        let findings = Findings::default();
        (0..100).for_each(|n| findings.add(Promise::NeverLost, n.to_string()));
        findings.add(Promise::NeverDouble, "x");
        assert_eq!(Promise::ALL.map(|promise| findings.count(promise)), [0, 100, 1]);
        assert_eq!(findings.named().len(), 21);
    }
}
