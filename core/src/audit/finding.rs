//! What an audit finds.

use crate::{
    book::BookId,
    decide::Level,
    ledger::{Kind, Seq},
    order::OrderId,
};

/// A promise that a ledger breaks, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Finding {
    /// An entry is missing.
    #[error("entry {found} follows on entry {after}")]
    Gap {
        /// The entry before.
        after: Seq,
        /// The entry that should have been the next one.
        found: Seq,
    },
    /// An entry does not have the shape of its kind.
    #[error("entry {seq} is misshapen: {why}")]
    Misshapen {
        /// The entry.
        seq: Seq,
        /// What is wrong with it.
        why: &'static str,
    },
    /// An entry touches a book that is not listed, or lists a book again.
    #[error("entry {seq} {} book {book}", if *listed { "lists again" } else { "touches the unlisted" })]
    Listing {
        /// The entry.
        seq: Seq,
        /// The book.
        book: BookId,
        /// Whether it had been listed before.
        listed: bool,
    },
    /// The stock that an entry states is not the sum of the deltas so far.
    #[error("entry {seq} leaves {stated} of book {book}, but the deltas sum up to {sum}")]
    Sum {
        /// The entry.
        seq: Seq,
        /// The book.
        book: BookId,
        /// The sum, in copies.
        sum: i64,
        /// The stock that the entry states, in copies.
        stated: u32,
    },
    /// An entry carries another price than was in force.
    #[error("entry {seq} has another price for book {book} than was in force")]
    Price {
        /// The entry.
        seq: Seq,
        /// The book.
        book: BookId,
    },
    /// A key did the same thing twice, or two different things.
    #[error("entry {seq} uses the key {key} again")]
    KeyUsedAgain {
        /// The entry.
        seq: Seq,
        /// The key.
        key: OrderId,
    },
    /// A return has no sale before it.
    #[error("entry {seq} returns order {key}, which was not sold")]
    ReturnWithoutSale {
        /// The entry.
        seq: Seq,
        /// The order.
        key: OrderId,
    },
    /// What comes back is not what was sold or held: other books, other numbers of copies, or other prices.
    #[error("entry {seq} does not return what order {key} had bought")]
    NotMirrored {
        /// The entry.
        seq: Seq,
        /// The order.
        key: OrderId,
    },
    /// An order was not in a state for an entry.
    #[error("entry {seq} is a {kind:?}, for which order {key} was in no state")]
    State {
        /// The entry.
        seq: Seq,
        /// The order.
        key: OrderId,
        /// What the entry records.
        kind: Kind,
    },
    /// A hold lapsed before its time was up.
    #[error("entry {seq} lets order {key} lapse before its time was up")]
    LapsedEarly {
        /// The entry.
        seq: Seq,
        /// The order.
        key: OrderId,
    },
    /// A book's stock, price or versions, or whether it is on sale, is not as the ledger says.
    #[error("book {book} is {}, but the ledger says {}", shown(found), shown(ledger))]
    Level {
        /// The book.
        book: BookId,
        /// What the ledger says; `None` if it never lists the book.
        ledger: Option<Level>,
        /// What the store shows; `None` if it has no such book.
        found: Option<Level>,
    },
}

fn shown(level: &Option<Level>) -> String {
    match level {
        None => "missing".to_owned(),
        Some(Level { stock, price_cents, version, text_version, on_sale }) => {
            let sale = if *on_sale { "on sale" } else { "off sale" };
            format!("{stock} at {price_cents}, version {version}, text {text_version}, {sale}")
        }
    }
}
