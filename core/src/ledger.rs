//! The ledger: every change of stock, in one ordered, append-only, durable log.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::fmt;
use uuid::Uuid;

use crate::{
    book::BookId,
    clock::Timestamp,
    money::Cents,
    order::{Order, OrderId, OrderLine, Status},
};

/// A place in the ledger: 1, 2, 3, … without gaps, in commit order. 0 is before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = i64, minimum = 0))]
#[serde(transparent)]
pub struct Seq(pub u64);

impl Seq {
    /// The place after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which ledger this is: drawn once when its store is made, so that a copy never follows a stranger.
pub type LedgerId = Uuid;

/// What an entry records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A purchase: deltas are negative.
    Sale,
    /// Its cancellation: the mirror image.
    Return,
    /// Copies added or taken away by the shop.
    Restock,
    /// A new price, and possibly a new stock with it.
    Reprice,
    /// A new book with its first stock.
    Listing,
}

/// What an entry does to one book, and how it stands afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Change {
    /// Which book.
    pub book: BookId,
    /// Copies added; negative if taken away.
    pub delta: i64,
    /// The price in force: for a sale and its return, the price at which it was sold.
    pub price_cents: Cents,
    /// Copies in stock after this entry.
    pub stock: u32,
}

/// One entry of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Entry {
    /// Its place.
    pub seq: Seq,
    /// When it was decided. Informative: `seq` is the order of events, clocks may jump.
    pub at: Timestamp,
    /// What it records.
    pub kind: Kind,
    /// The order of a sale or a return; for a restock, the caller's key if it gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<OrderId>,
    /// The books it touches, sorted, each once.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Change>))]
    pub changes: SmallVec<[Change; 1]>,
}

impl Entry {
    /// The order that a sale makes, standing. `None` for other kinds.
    #[must_use]
    pub fn order(&self) -> Option<Order> {
        let (Kind::Sale, Some(id)) = (self.kind, self.key) else { return None };
        let lines: SmallVec<[OrderLine; 1]> = self
            .changes
            .iter()
            .map(|change| OrderLine {
                book: change.book,
                quantity: u32::try_from(-change.delta).unwrap_or_default(),
                unit_price_cents: change.price_cents,
            })
            .collect();
        let total = lines.iter().try_fold(Cents::ZERO, |sum, line| {
            line.unit_price_cents.times(line.quantity).and_then(|cents| sum.plus(cents))
        });
        Some(Order {
            id,
            status: Status::Placed,
            lines,
            // Decided before the sale was appended: a total never overflows.
            total_cents: total.unwrap_or(Cents::MAX),
            placed_at: self.at,
            seq: self.seq,
            cancelled_at: None,
        })
    }
}

impl Order {
    /// This order after its return at `at`.
    #[must_use]
    pub fn cancelled(mut self, at: Timestamp) -> Self {
        self.status = Status::Cancelled;
        self.cancelled_at = Some(at);
        self
    }
}

/// A stretch of the ledger, as followers read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Entries {
    /// Which ledger.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "uuid"))]
    pub ledger: LedgerId,
    /// Its last durable entry when this was read.
    pub head: Seq,
    /// Consecutive entries after the asked `seq`, oldest first.
    pub entries: Vec<Entry>,
}
