//! What the cases share: books to sell, and short ways to ask.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::Deployment;
use crate::{
    book::{Amend, Book, BookId, BookText, NewBook},
    clock::{Clock as _, SystemClock},
    error::{Error, Result},
    ledger::{Entry, Seq},
    money::Cents,
    order::{Line, Lines, OrderId, Receipt},
};

/// A fresh order id.
pub(super) fn id() -> OrderId {
    SystemClock.new_order_id()
}

/// An amount.
pub(super) fn cents(cents: u64) -> Cents {
    Cents::new(cents).expect("the cases use amounts within the limit")
}

/// A book named `title` with ten copies at 10.00.
pub(super) fn titled(title: &str) -> NewBook {
    let text =
        BookText { title: title.into(), author: "Anna Author".into(), topic: "testing".into(), ..BookText::default() };
    NewBook { text, price_cents: cents(1000), stock: 10 }
}

/// A book like no other, with `stock` copies at 10.00.
pub(super) fn any_book(stock: u32) -> NewBook {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    NewBook { stock, ..titled(&format!("Book number {}", COUNT.fetch_add(1, Ordering::Relaxed))) }
}

/// Checked lines.
pub(super) fn lines(lines: &[(BookId, u32)]) -> Lines {
    Lines::new(lines.iter().map(|(book, quantity)| Line::new(*book, *quantity)))
        .expect("the cases ask for what can be asked")
}

/// Asserts that a call was refused because of `field`.
#[track_caller]
pub(super) fn assert_invalid<T: std::fmt::Debug>(outcome: Result<T>, field: &str) {
    match outcome {
        Err(Error::Invalid { field: found, .. }) if found == field => {}
        other => panic!("expected {field:?} to be refused as invalid, got {other:?}"),
    }
}

impl Deployment {
    /// Lists books and says their numbers.
    pub(super) async fn add_books(&self, books: Vec<NewBook>) -> Vec<BookId> {
        let listed = self.catalog.add_books(books).await.expect("good books can be listed");
        listed.into_iter().map(|listed| listed.id).collect()
    }

    /// Lists a book with `stock` copies at 10.00.
    pub(super) async fn shelve(&self, stock: u32) -> BookId {
        self.add_books(vec![any_book(stock)]).await[0]
    }

    /// Lists `count` books with `stock` copies each at 10.00.
    pub(super) async fn shelve_many(&self, count: usize, stock: u32) -> Vec<BookId> {
        self.add_books((0..count).map(|_| any_book(stock)).collect()).await
    }

    pub(super) async fn info(&self, book: BookId) -> Book {
        self.catalog.info(book).await.expect("a listed book can be read")
    }

    pub(super) async fn stock(&self, book: BookId) -> u32 {
        self.info(book).await.stock
    }

    /// Buys under a fresh id.
    pub(super) async fn buy(&self, book: BookId, quantity: u32) -> Result<Receipt> {
        self.orders.purchase(id(), lines(&[(book, quantity)])).await
    }

    /// Adds copies, without a key.
    pub(super) async fn restock(&self, book: BookId, delta: i64) -> Result<Book> {
        self.catalog.amend(book, Amend::StockDelta { delta }, None).await
    }

    /// The ledger's head and what is after `after`, at most 1000 entries.
    pub(super) async fn entries(&self, after: Seq) -> (Seq, Vec<Entry>) {
        let page = self.catalog.entries(after, 1000, Duration::ZERO).await.expect("the ledger can be read");
        (page.head, page.entries)
    }

    pub(super) async fn head(&self) -> Seq {
        self.entries(Seq(0)).await.0
    }

    /// Asserts that this call did it, and not an earlier one (unless every call is repeated here).
    #[track_caller]
    pub(super) fn assert_first(&self, receipt: &Receipt) {
        assert_eq!(receipt.replayed, self.repeats, "replayed must be false the first time: {receipt:?}");
    }
}

/// Asserts that an earlier call had done it.
#[track_caller]
pub(super) fn assert_replayed(receipt: &Receipt) {
    assert!(receipt.replayed, "replayed must be true the second time: {receipt:?}");
}
