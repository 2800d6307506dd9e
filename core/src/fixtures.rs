//! Test data: amounts, lines, books and order ids, for the tests of this project and of what is built on it.
//!
//! Every function panics where the real constructor returns an error: a test's own data is right, or the test is wrong.
//! The module needs the feature `conformance`.
//!
//! ```
//! use bookstore_core::{NewBook, fixtures::{book, cents, lines}};
//!
//! let dear = NewBook { price_cents: cents(4999), ..book("Queues and Quays", 5) };
//! assert_eq!((dear.price_cents.get(), dear.stock), (4999, 5));
//! assert_eq!(lines(&[(2, 1), (1, 3)]).iter().map(|line| line.book.0).collect::<Vec<_>>(), [1, 2]);
//! ```

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{
    book::{BookId, BookText, Isbn, NewBook},
    clock::{Clock as _, SystemClock},
    history::{Entries, Hash, LedgerIdentity},
    id::{LedgerId, Seq},
    ledger::Entry,
    money::Cents,
    order::OrderId,
    request::{Line, Lines},
};

/// An amount in cents.
///
/// # Panics
/// Above [`Cents::MAX`].
#[must_use]
pub fn cents(amount: u64) -> Cents {
    Cents::new(amount).expect("an amount within the limit")
}

/// A fresh order id, or a fresh key of an amend.
#[must_use]
pub fn order_id() -> OrderId {
    SystemClock.new_order_id()
}

/// A test may write a book's number where other code needs a [`BookId`].
impl From<u64> for BookId {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

/// The lines of a purchase: pairs of a book and a number of copies, at whatever the book costs.
///
/// # Panics
/// If [`Lines::new`] refuses them.
#[must_use]
pub fn lines(lines: &[(impl Copy + Into<BookId>, u32)]) -> Lines {
    let lines = lines.iter().map(|(book, quantity)| Line::new((*book).into(), *quantity));
    Lines::new(lines).expect("lines within the limits")
}

/// One copy of a book, to be bought only if it costs `price` cents.
///
/// # Panics
/// Above [`Cents::MAX`].
#[must_use]
pub fn one_at(book: impl Into<BookId>, price: u64) -> Lines {
    let line = Line { price_cents: Some(cents(price)), ..Line::new(book.into(), 1) };
    Lines::new([line]).expect("one line of one copy")
}

/// A book with this title and `stock` copies at 10.00, of the topic "testing".
#[must_use]
pub fn book(title: &str, stock: u32) -> NewBook {
    let text = BookText {
        title: title.into(),
        authors: vec!["Anna Author".into()],
        topic: "testing".into(),
        ..BookText::default()
    };
    NewBook { text, price_cents: cents(1000), stock }
}

/// The same with a title that no other book of this process has.
#[must_use]
pub fn any_book(stock: u32) -> NewBook {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    book(&format!("Book number {}", COUNT.fetch_add(1, Ordering::Relaxed)), stock)
}

/// The `n`th ISBN: the one of 978, the nine digits of `n`, and their check digit.
///
/// # Panics
/// If `n` has more than nine digits.
#[must_use]
pub fn isbn(n: u64) -> Isbn {
    assert!(n < 1_000_000_000, "an ISBN has nine digits of its own");
    let of = |digit| format!("978{n:09}{digit}").parse().ok();
    (0..10).find_map(of).expect("one of ten check digits is right")
}

/// A page of a ledger that has these entries, all in one batch.
#[must_use]
pub fn page(ledger: LedgerId, all: &[Entry], after: Seq, limit: usize) -> Entries {
    let head = all.last().map_or(Seq(0), |last| last.seq);
    let hash = |at: Seq| Hash::EMPTY.after(all.iter().take_while(|entry| entry.seq <= at));
    let entries: Vec<_> = all.iter().filter(|entry| entry.seq > after).take(limit).cloned().collect();
    Entries {
        identity: LedgerIdentity::new(ledger, ledger),
        incarnation: ledger,
        head,
        before: (after <= head).then(|| hash(after)),
        after: hash(entries.last().map_or(head, |last| last.seq)),
        batch_ends: entries.last().filter(|last| last.seq == head).map(|last| last.seq).into_iter().collect(),
        entries,
    }
}
