//! The paths and JSON bodies of the catalog's internal interface.

use bookstore_core::{Actor, Amend, Lines, OrderAction, OrderId};
use serde::{Deserialize, Serialize};

use crate::compact::OrderCommand;

pub(super) const CALLS: &str = "/v1/calls";
pub(super) const SEARCH: &str = "/v1/search";
pub(super) const SUGGEST: &str = "/v1/suggest";
pub(super) const TOPICS: &str = "/v1/topics";
pub(super) const BOOKS: &str = "/v1/books";
#[cfg_attr(not(feature = "client"), allow(dead_code))]
pub(in crate::internal) const CONTACTS: &str = "/v1/contacts";
pub(super) const ENTRIES: &str = "/v1/entries";
pub(super) const ORDERS: &str = "/v1/orders";

/// One call of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CatalogCall {
    /// Sell all lines or none.
    #[serde(rename = "reserve")]
    Sell {
        /// The id of the order: the key of the call.
        order: OrderId,
        /// What to sell.
        lines: Lines,
    },
    /// Take a sale back.
    Release {
        /// The id of the order that was sold.
        order: OrderId,
    },
}

impl From<CatalogCall> for OrderCommand {
    fn from(call: CatalogCall) -> Self {
        match call {
            CatalogCall::Sell { order, lines } => Self::Sell(order, lines),
            CatalogCall::Release { order } => Self::Release(order),
        }
    }
}

/// The body of a change of an order.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::internal) struct OrderChange {
    /// What to do with the order.
    pub(in crate::internal) action: OrderAction,
    /// Who of the shop asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::internal) by: Option<Actor>,
}

/// The body of an amend. Without a key, a repetition may change the book again.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Amendment {
    /// The new values, or copies to add.
    pub(super) change: Amend,
    /// Makes the change happen once, however often it is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<OrderId>,
    /// Who of the shop asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) by: Option<Actor>,
}

/// The query for several books.
#[derive(Debug, Deserialize)]
pub(super) struct AskedBooks {
    /// Their ids, with commas.
    pub(super) ids: String,
}

/// The query of an addition of books, whose body is the list of them.
#[derive(Debug, Deserialize)]
pub(super) struct AddedBy {
    /// Who of the shop asks for it.
    pub(super) by: Option<Actor>,
}
