//! The calls that servers send each other in batches.

use bookstore_core::{Lines, OrderId};

/// The most calls of one batch.
pub const BATCH_MAX: usize = 256;

/// A call of either server. Both calls are keyed by the order id: sent twice, they happen once.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum OrderCommand<L = Lines> {
    /// Sell all lines or none.
    Sell(OrderId, L),
    /// Take a sale back.
    Release(OrderId),
}

impl OrderCommand {
    /// The same command with borrowed lines.
    pub(crate) fn as_ref(&self) -> OrderCommand<&Lines> {
        match self {
            Self::Sell(order, lines) => OrderCommand::Sell(*order, lines),
            Self::Release(order) => OrderCommand::Release(*order),
        }
    }
}
