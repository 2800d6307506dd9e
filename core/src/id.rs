//! The names of books, orders and ledgers, and places in a ledger.
//!
//! These types know nothing else of this crate, so that everything may use them: errors, entries and commands alike.
//! How they are read from text that comes from outside is in `parse.rs`.

use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// The number of a book, which the catalog gives it when the book is added: 1, 2, 3, …
///
/// Numbers are dense and are never used again, so a table by book id is a plain array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = i64, minimum = 1))]
#[serde(transparent)]
pub struct BookId(pub u64);

impl fmt::Display for BookId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The idempotency key of one purchase, and the name of the order that it becomes: a UUID.
///
/// The buyer makes it once per purchase intent and keeps it until the outcome is known. The same id never buys twice,
/// however often the call is sent. A keyed change of a book (see [`Amend`](crate::Amend)) uses ids of the same kind.
///
/// Version 7 is preferred: time-ordered keys are appended at the end of the ledger's index, and a fresh one costs no
/// look-up (see [`RecentKeys`](crate::recent_keys::RecentKeys)). An order can be read and cancelled by anybody who knows its
/// id, so an id must not be guessable: over the public HTTP interface a new order's id must be [random](Self::is_random).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String, format = "uuid"))]
#[serde(transparent)]
pub struct OrderId(pub Uuid);

impl OrderId {
    /// Whether the id is a UUID of version 4 or 7 as RFC 9562 defines them: the versions that are drawn at random, so that
    /// nobody can guess an id that was drawn well.
    #[must_use]
    pub fn is_random(self) -> bool {
        self.0.get_variant() == uuid::Variant::RFC4122 && matches!(self.0.get_version_num(), 4 | 7)
    }

    /// Whether the id is the nil or the max UUID, which stand for no id at all. No call may use them as a key.
    #[must_use]
    pub fn is_reserved(self) -> bool {
        self.0.is_nil() || self.0.is_max()
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// The sequence number of a ledger entry: 1, 2, 3, … without gaps, in commit order. 0 is before the first entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = i64, minimum = 0))]
#[serde(transparent)]
pub struct Seq(pub u64);

impl Seq {
    /// The number after this one.
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

/// The identity of a ledger. It is drawn once, when the store is made, so that a copy never follows another ledger.
pub type LedgerId = Uuid;
