//! The paths and JSON bodies of an order server's internal interface.

use bookstore_core::{Lines, OrderId};
use serde::{Deserialize, Serialize};

use crate::compact::OrderCommand;

pub(super) const CALLS: &str = "/v1/calls";
pub(super) const ORDERS: &str = "/v1/orders";
#[cfg(feature = "server")]
pub(super) const ENTRIES: &str = "/v1/entries";

/// One call of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderCall {
    /// Buy all lines or none.
    Purchase {
        /// The order id, which the buyer made: the key of the call.
        order: OrderId,
        /// What to buy.
        lines: Lines,
    },
    /// Cancel an order.
    Cancel {
        /// The order id.
        order: OrderId,
    },
}

impl From<OrderCall> for OrderCommand {
    fn from(call: OrderCall) -> Self {
        match call {
            OrderCall::Purchase { order, lines } => Self::Sell(order, lines),
            OrderCall::Cancel { order } => Self::Release(order),
        }
    }
}
