//! The ledger: every change of stock, in one ordered, append-only, durable log.
//!
//! The append of a sale is the commit point of a purchase. Everything else follows from the ledger: orders, stock, copies,
//! caches. An entry carries the stock after it, so each proves itself against the entry before.

use serde::{Deserialize, Serialize};

use crate::{
    book::Text,
    clock::Timestamp,
    id::{BookId, OrderId},
    inline_list::InlineList,
    money::Cents,
    order::Order,
};

mod details;
mod orders;

pub use details::Details;
use details::EntryFields;

pub use crate::id::{LedgerId, Seq};

/// What an entry records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A purchase. Every delta is negative.
    Sale,
    /// Copies come back, every delta positive. Under the key of a sale or a hold it is a cancellation: what has not come back yet, at the
    /// prices of the sale. With [`Details::order`] these copies alone come back, under a key of their own.
    Return,
    /// Copies of one book that the shop added or took away.
    Restock,
    /// A new price of one book, and possibly a new stock with it.
    Reprice,
    /// A new book with its text, its first price and stock.
    Listing,
    /// Copies are set aside for an order until [`Details::expires_at`]. Every delta is negative.
    Hold,
    /// A held order is placed. It changes no book.
    Confirm,
    /// A hold's time was up: the same books and prices as its hold, every delta positive.
    Lapse,
    /// A hold's time was moved to [`Details::expires_at`]. Its order is in [`Details::order`], as the others that may come again.
    Extend,
    /// An order id that nobody had used will never buy anything. It changes no book.
    Void,
    /// An order was handed over. It changes no book.
    Fulfil,
    /// A book's text was replaced by the entry's. Stock and price stay.
    Revise,
    /// A book was taken off sale. Stock, price and text stay.
    Withdraw,
    /// A withdrawn book is on sale again, with the text of the entry [`Details::text_version`].
    Relist,
    /// An order's contact was erased. It changes no book and no state; what was erased is not in the ledger. Its order is in
    /// [`Details::order`].
    Erase,
    /// The ledger continues under a new [`Timeline`](crate::history::Timeline), whose id is the key. It changes no book.
    Timeline,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 16] = [
        Self::Sale,
        Self::Return,
        Self::Restock,
        Self::Reprice,
        Self::Listing,
        Self::Timeline,
        Self::Hold,
        Self::Confirm,
        Self::Lapse,
        Self::Extend,
        Self::Void,
        Self::Fulfil,
        Self::Revise,
        Self::Withdraw,
        Self::Relist,
        Self::Erase,
    ];
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
///
/// In JSON the fields of its details stand beside the others.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "EntryFields")]
pub struct Entry {
    /// Its number.
    pub seq: Seq,
    /// When it was decided. Informative only: `seq` is the order of events, and clocks may jump.
    pub at: Timestamp,
    /// What it records.
    pub kind: Kind,
    /// The order; for a change of a book or the return of some copies, the caller's key if there was one; the id of a timeline.
    pub key: Option<OrderId>,
    /// The books that it touches, sorted by id, each once. One, except for orders of several lines, and for kinds that change none.
    pub changes: InlineList<Change>,
    /// Of a listing or a revision: the text of the book.
    pub text: Option<Text>,
    /// What few entries have.
    pub details: Option<Box<Details>>,
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
        let details = self.details.as_ref().map_or(0, |details| details.json_bytes());
        BYTES.0 + BYTES.1 * self.changes.len() + self.text.as_ref().map_or(0, Text::json_bytes) + details
    }

    /// The book whose text this entry carries, and the text.
    #[must_use]
    pub fn book_text(&self) -> Option<(BookId, &Text)> {
        Some((self.changes.first()?.book, self.text.as_ref()?))
    }

    /// The order that it begins: a sale, a hold or a void does. `None` for other kinds of entry.
    #[must_use]
    pub fn order(&self) -> Option<Order> {
        Order::begun(self)
    }

    /// The order that it begins or changes, whatever its key is.
    #[must_use]
    pub fn order_id(&self) -> Option<OrderId> {
        match self.kind {
            Kind::Sale | Kind::Hold | Kind::Confirm | Kind::Lapse | Kind::Void | Kind::Fulfil => self.key,
            Kind::Return | Kind::Extend | Kind::Erase => {
                self.details.as_ref().and_then(|details| details.order).or(self.key)
            }
            Kind::Restock
            | Kind::Reprice
            | Kind::Listing
            | Kind::Revise
            | Kind::Withdraw
            | Kind::Relist
            | Kind::Timeline => None,
        }
    }

    /// Whether it changes which books are found by which words: it adds a book, changes a text, or whether a book is on sale.
    #[must_use]
    pub fn changes_lists(&self) -> bool {
        matches!(self.kind, Kind::Listing | Kind::Revise | Kind::Withdraw | Kind::Relist)
    }

    /// Whether some copies of an order come back with it, under a key of their own.
    #[must_use]
    pub fn is_partial_return(&self) -> bool {
        self.kind == Kind::Return && self.details.as_ref().is_some_and(|details| details.order.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::{BookText, Condition};
    use uuid::Uuid;

    #[test]
    fn an_entry_is_not_longer_than_a_page_has_room_for() {
        let (at, key) = (Timestamp(253_402_300_799_999), Some(OrderId(Uuid::max())));
        let change = Change { book: BookId(u64::MAX), delta: i64::MIN, price_cents: Cents::MAX, stock: u32::MAX };
        let text = BookText {
            title: "\"".repeat(BookText::TITLE_MAX),
            authors: vec!["é".repeat(BookText::FIELD_MAX); BookText::AUTHORS_MAX],
            topic: "\\".into(),
            isbn: Some("9780000000002".parse().expect("an ISBN")),
            year: Some(-3000),
            subjects: vec!["s".repeat(BookText::FIELD_MAX); BookText::SUBJECTS_MAX],
            subtitle: "\"".repeat(BookText::TITLE_MAX),
            sku: "\"".repeat(BookText::SKU_MAX),
            condition: Condition::VeryGood,
            publisher: "\"".repeat(BookText::FIELD_MAX),
            language: "\"".repeat(BookText::SKU_MAX),
            format: "\"".repeat(BookText::SKU_MAX),
            description: "\n".repeat(BookText::DESCRIPTION_MAX),
        };
        let details = Details {
            order: Some(OrderId(Uuid::max())),
            expires_at: Some(at),
            reference: Some("é\"".repeat(100).parse().expect("200 characters")),
            actor: Some("\\".repeat(64).parse().expect("64 characters")),
            text_version: Some(Seq(u64::MAX)),
            withdrawn: true,
        };
        for (text, details) in [(None, None), (Some(text.into()), Some(Box::new(details)))] {
            for changes in [0, 1, 100] {
                let changes = std::iter::repeat_n(change, changes).collect();
                let entry = Entry {
                    seq: Seq(u64::MAX),
                    at,
                    kind: Kind::Timeline,
                    key,
                    changes,
                    text: text.clone(),
                    details: details.clone(),
                };
                let bytes = serde_json::to_string(&entry).expect("an entry is JSON").len();
                assert!(bytes <= entry.json_bytes(), "{bytes} bytes, not {}", entry.json_bytes());
            }
        }
    }
}
