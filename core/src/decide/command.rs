//! What the decision is asked, and what it answers.

use crate::{
    book::{Added, Amend, NewBook},
    id::{BookId, OrderId},
    ledger::{Change, Entry, Kind},
    order::{Lines, Order, Receipt},
};

use super::Level;

/// A change to the ledger that a caller asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Sell all lines or none, once per order id.
    Sell {
        /// The buyer's key.
        order: OrderId,
        /// The lines to sell.
        lines: Lines,
    },
    /// Return a sale, once.
    Release {
        /// The sale's key.
        order: OrderId,
    },
    /// Change a book's price or stock.
    Amend {
        /// The book.
        book: BookId,
        /// The change.
        change: Amend,
        /// Makes it happen once, however often it is sent.
        key: Option<OrderId>,
    },
    /// Add a new book.
    AddBook {
        /// The book. It is boxed because it is many times larger than the commands that come by the thousand.
        book: Box<NewBook>,
    },
}

impl Command {
    /// The key whose entries the decision must know, see [`State::known`](super::State::known).
    #[must_use]
    pub fn key(&self) -> Option<OrderId> {
        match self {
            Self::Sell { order, .. } | Self::Release { order } => Some(*order),
            Self::Amend { key, .. } => *key,
            Self::AddBook { .. } => None,
        }
    }

    /// The identity of the book to be added, which the decision must know, see
    /// [`State::identities`](super::State::identities).
    #[must_use]
    pub fn identity(&self) -> Option<String> {
        match self {
            Self::AddBook { book } => Some(book.text.identity()),
            Self::Sell { .. } | Self::Release { .. } | Self::Amend { .. } => None,
        }
    }
}

/// What a command did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A sale or a return, done now or by an earlier command.
    Receipt(Receipt),
    /// The amended book and its level after the change.
    Amended(BookId, Level),
    /// The number of the book, new or known.
    Added(Added),
}

/// What the ledger holds under one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// An order, placed or cancelled.
    Order(Order),
    /// A restock or a reprice, and what it did.
    Amend(Kind, Change),
    /// The id of a timeline, which is nobody's to use.
    Timeline,
}

impl Known {
    /// What an entry makes of its key, if that is no order.
    pub(crate) fn amend(entry: &Entry) -> Self {
        entry.changes.first().map_or(Self::Timeline, |change| Self::Amend(entry.kind, *change))
    }
}
