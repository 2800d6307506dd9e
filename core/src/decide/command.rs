//! What the decision is asked, and what it answers.

use crate::{
    book::{Added, Amend, NewBook},
    id::{BookId, OrderId},
    ledger::Entry,
    order::{Actor, Order, Receipt},
    request::{Lines, OrderAction},
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
    /// Cancel an order, once.
    Release {
        /// The order's key.
        order: OrderId,
    },
    /// Anything else about an order.
    Order {
        /// The order's key.
        order: OrderId,
        /// What to do. It is boxed because it is larger than the commands that come by the thousand.
        action: Box<OrderAction>,
        /// Who of the shop asks for it, if it is not the buyer.
        by: Option<Actor>,
    },
    /// Change a book.
    Amend {
        /// The book.
        book: BookId,
        /// The change. It is boxed because it is larger than the commands that come by the thousand.
        change: Box<Amend>,
        /// Makes it happen once, however often it is sent.
        key: Option<OrderId>,
        /// Who of the shop asks for it.
        by: Option<Actor>,
    },
    /// Add a new book.
    AddBook {
        /// The book. It is boxed because it is many times larger than the commands that come by the thousand.
        book: Box<NewBook>,
        /// Who of the shop asks for it.
        by: Option<Actor>,
    },
}

impl Command {
    /// The keys whose entries the decision must know, see [`State::known`](super::State::known).
    pub fn keys(&self) -> impl Iterator<Item = OrderId> + use<> {
        let keys = match self {
            Self::Sell { order, .. } | Self::Release { order } => [Some(*order), None],
            Self::Order { order, action, .. } => match **action {
                OrderAction::Return { key, .. } => [Some(*order), Some(key)],
                _ => [Some(*order), None],
            },
            Self::Amend { key, .. } => [*key, None],
            Self::AddBook { .. } => [None, None],
        };
        keys.into_iter().flatten()
    }

    /// The order whose contact the decision must know, see [`State::contacts`](super::State::contacts).
    #[must_use]
    pub fn contact_of(&self) -> Option<OrderId> {
        match self {
            Self::Order { order, action, .. } => match **action {
                OrderAction::SetContact { .. } | OrderAction::EraseContact => Some(*order),
                _ => None,
            },
            Self::Sell { .. } | Self::Release { .. } | Self::Amend { .. } | Self::AddBook { .. } => None,
        }
    }

    /// The identity of the book to be added or revised, which the decision must know, see
    /// [`State::identities`](super::State::identities).
    #[must_use]
    pub fn identity(&self) -> Option<String> {
        match self {
            Self::AddBook { book, .. } => Some(book.text.identity()),
            Self::Amend { change, .. } => match &**change {
                Amend::Revise { text, .. } => Some(text.identity()),
                _ => None,
            },
            Self::Sell { .. } | Self::Release { .. } | Self::Order { .. } => None,
        }
    }
}

/// What a command did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What became of an order, now or by an earlier command.
    Receipt(Receipt),
    /// The amended book and its level after the change.
    Amended(BookId, Level),
    /// The number of the book, new or known.
    Added(Added),
}

/// What the ledger holds under one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// An order, in any state.
    Order(Order),
    /// Something else: a change of a book, the return of some copies, or the id of a timeline, which is nobody's to use.
    Entry(Box<Entry>),
}

impl Known {
    /// The order, if it is one.
    #[must_use]
    pub fn order(&self) -> Option<&Order> {
        if let Self::Order(order) = self { Some(order) } else { None }
    }

    /// What the entries under a key make of it; `None` without any.
    ///
    /// `entries` MUST be all entries whose [`Entry::order_id`] or [`Entry::key`] it is, oldest first.
    #[must_use]
    pub fn of(entries: &[Entry]) -> Option<Self> {
        let other = || entries.first().map(|first| Self::Entry(Box::new(first.clone())));
        Order::of(entries).map(Self::Order).or_else(other)
    }
}
