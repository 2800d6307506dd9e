//! Orders: what was sold or is held, and what became of it. What is asked of them is in `request.rs`, what entries make of them in `ledger`.

use serde::{Deserialize, Serialize};
use std::fmt;

use crate::{id::BookId, money::Cents};

mod names;
mod state;

pub use crate::id::OrderId;
pub use names::{Actor, Reference};
pub use state::{Order, OrderDetails};

/// One line of an order: copies of one book, and the price at which they were sold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OrderLine {
    /// Which book.
    pub book: BookId,
    /// Copies sold.
    pub quantity: u32,
    /// The price of one copy at the time of the sale, in cents.
    pub unit_price_cents: Cents,
}

/// The state of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Its copies are set aside until it is confirmed, or until its time is up.
    Held,
    /// Bought.
    Placed,
    /// Handed over.
    Fulfilled,
    /// Cancelled: the copies are back in stock.
    Cancelled,
    /// Held and not confirmed in time: the copies are back in stock.
    Lapsed,
    /// Never bought: its id was given up before it bought anything.
    Voided,
}

impl Status {
    /// The name that JSON and the pages use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Placed => "placed",
            Self::Fulfilled => "fulfilled",
            Self::Cancelled => "cancelled",
            Self::Lapsed => "lapsed",
            Self::Voided => "voided",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The answer to a call that changes an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The order as it is now.
    pub order: Order,
    /// True if an earlier call with this id did it already. Then this call changed nothing, and the receipt shows the
    /// order as it is now.
    pub replayed: bool,
}
