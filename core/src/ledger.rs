//! The ledger: every change of stock, in one ordered, append-only, durable log.
//!
//! The append of a sale is the commit point of a purchase. Everything else follows from the ledger: orders, stock, copies,
//! caches. An entry carries the stock after it, so each proves itself against the entry before.

use serde::{Deserialize, Serialize};

#[cfg(feature = "openapi")]
use crate::book::BookText;
use crate::{
    book::Text,
    clock::Timestamp,
    id::{BookId, OrderId},
    inline_list::InlineList,
    money::Cents,
    order::{Order, OrderLine, Status},
};

pub use crate::id::{LedgerId, Seq};

/// What an entry records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A purchase. Every delta is negative.
    Sale,
    /// The cancellation of a sale, under the same key: the same books and prices, every delta positive.
    Return,
    /// Copies of one book that the shop added or took away.
    Restock,
    /// A new price of one book, and possibly a new stock with it.
    Reprice,
    /// A new book with its text, its first price and stock.
    Listing,
    /// The ledger continues under a new [`Timeline`](crate::history::Timeline), whose id is the key. It changes no book.
    Timeline,
}

/// What an entry does to one book, and the book's price and stock after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Change {
    /// Which book.
    pub book: BookId,
    /// Copies added; negative if taken away.
    pub delta: i64,
    /// The price of one copy in cents: the one in force, but for a return the one at which the copies had been sold.
    pub price_cents: Cents,
    /// Copies in stock after this entry.
    pub stock: u32,
}

/// One entry of the ledger. It is never changed and never removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Entry {
    /// Its number.
    pub seq: Seq,
    /// When it was decided. Informative only: `seq` is the order of events, and clocks may jump.
    pub at: Timestamp,
    /// What it records.
    pub kind: Kind,
    /// The order of a sale or a return; for a restock or a new price, the caller's key if there was one; the id of a timeline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<OrderId>,
    /// The books that it touches, sorted by id, each once. One, except for sales and returns of several lines, and for a timeline,
    /// which touches none.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Change>))]
    pub changes: InlineList<Change>,
    /// Of a listing: the text of the book.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<BookText>))]
    pub text: Option<Text>,
}

/// How many of these, from the first, have at most this many changes together; one at least, if there is any.
#[must_use]
pub fn fitting(entries: &[Entry], changes_max: usize) -> usize {
    let mut changes = 0;
    let fits = entries.iter().take_while(|entry| {
        changes += entry.changes.len();
        changes <= changes_max
    });
    fits.count().max(1).min(entries.len())
}

impl Entry {
    /// The most bytes of its JSON.
    pub(crate) fn json_bytes(&self) -> usize {
        /// Of an entry without changes, and of a change, with the longest numbers.
        const BYTES: (usize, usize) = (192, 112);
        BYTES.0 + BYTES.1 * self.changes.len() + self.text.as_ref().map_or(0, Text::json_bytes)
    }

    /// The book whose text this entry carries, and the text.
    #[must_use]
    pub fn book_text(&self) -> Option<(BookId, &Text)> {
        Some((self.changes.first()?.book, self.text.as_ref()?))
    }

    /// The order that a sale makes, as placed. `None` for other kinds of entry.
    #[must_use]
    pub fn order(&self) -> Option<Order> {
        let (Kind::Sale, Some(id)) = (self.kind, self.key) else { return None };
        let lines: InlineList<OrderLine> = self
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::BookText;
    use uuid::Uuid;

    #[test]
    fn an_entry_is_not_longer_than_a_page_has_room_for() {
        let (at, key) = (Timestamp(253_402_300_799_999), Some(OrderId(Uuid::max())));
        let change = Change { book: BookId(u64::MAX), delta: i64::MIN, price_cents: Cents::MAX, stock: u32::MAX };
        let text = BookText {
            title: "\"".repeat(BookText::TITLE_MAX),
            author: "é".repeat(BookText::FIELD_MAX),
            topic: "\\".into(),
            isbn: Some("9780000000002".parse().expect("an ISBN")),
            year: Some(-3000),
            subjects: vec!["s".repeat(BookText::FIELD_MAX); BookText::SUBJECTS_MAX],
        };
        for text in [None, Some(text.into())] {
            for changes in [0, 1, 100] {
                let changes = std::iter::repeat_n(change, changes).collect();
                let entry = Entry { seq: Seq(u64::MAX), at, kind: Kind::Timeline, key, changes, text: text.clone() };
                let bytes = serde_json::to_string(&entry).expect("an entry is JSON").len();
                assert!(bytes <= entry.json_bytes(), "{bytes} bytes, not {}", entry.json_bytes());
            }
        }
    }
}
