//! What the cases share: short calls, and assertions.
//!
//! The helpers panic where a call fails that must succeed in every case. A case that expects a failure calls the
//! services themselves.

use std::{fmt, time::Duration};

use crate::{
    book::{Amend, Book, BookId, NewBook},
    conformance::deployment::Deployment,
    error::{Error, Result, Shortage},
    fixtures::{any_book, cents, lines, order_id},
    ledger::{Entry, Seq},
    order::Receipt,
};

/// Asserts that a call was refused as [`Error::Invalid`] because of `field`.
#[track_caller]
pub(super) fn assert_invalid<T: fmt::Debug>(outcome: Result<T>, field: &str) {
    match outcome {
        Err(Error::Invalid { field: found, .. }) if found == field => {}
        other => panic!("expected {field:?} to be refused as invalid, got {other:?}"),
    }
}

impl Deployment {
    /// Lists new books, and returns their numbers in the order of the list.
    pub(super) async fn add_books(&self, books: Vec<NewBook>) -> Vec<BookId> {
        let added = self.catalog.add_books(books, None).await.expect("good books can be listed");
        added.into_iter().map(|added| added.id).collect()
    }

    /// Lists a book with `stock` copies at 10.00.
    pub(super) async fn add_book(&self, stock: u32) -> BookId {
        self.add_books(vec![any_book(stock)]).await[0]
    }

    /// Lists `count` books with `stock` copies each at 10.00.
    pub(super) async fn add_equal_books(&self, count: usize, stock: u32) -> Vec<BookId> {
        self.add_books((0..count).map(|_| any_book(stock)).collect()).await
    }

    /// One book as it is now.
    pub(super) async fn info(&self, book: BookId) -> Book {
        self.catalog.info(book).await.expect("a listed book can be read")
    }

    /// A book's stock, in copies.
    pub(super) async fn stock(&self, book: BookId) -> u32 {
        self.info(book).await.stock
    }

    /// Buys copies of one book through the order service, with a fresh id.
    pub(super) async fn buy(&self, book: BookId, quantity: u32) -> Result<Receipt> {
        self.orders.purchase(order_id(), lines(&[(book, quantity)])).await
    }

    /// Sets the price in cents, without a key and without a version.
    pub(super) async fn set_price(&self, book: BookId, price: u64) -> Book {
        let price = Amend::Set { price_cents: Some(cents(price)), stock: None, version: None };
        self.catalog.amend(book, price, None, None).await.expect("a price can be set")
    }

    /// Adds copies, or takes them if `delta` is negative, without a key.
    pub(super) async fn restock(&self, book: BookId, delta: i64) -> Result<Book> {
        self.catalog.amend(book, Amend::StockDelta { delta }, None, None).await
    }

    /// The ledger's head and the entries after `after`, at most 1000. It does not wait.
    pub(super) async fn entries(&self, after: Seq) -> (Seq, Vec<Entry>) {
        let page = self.catalog.entries(after, 1000, Duration::ZERO).await.expect("the ledger can be read");
        (page.head, page.entries)
    }

    /// The number of the last entry.
    pub(super) async fn head(&self) -> Seq {
        self.entries(Seq(0)).await.0
    }

    /// Asserts that this call executed, and not an earlier one; unless this deployment sends every call twice.
    #[track_caller]
    pub(super) fn assert_first(&self, receipt: &Receipt) {
        assert_eq!(receipt.replayed, self.repeats, "replayed must be false the first time: {receipt:?}");
    }
}

/// Asserts that an earlier call had executed.
#[track_caller]
pub(super) fn assert_replayed(receipt: &Receipt) {
    assert!(receipt.replayed, "replayed must be true the second time: {receipt:?}");
}

/// The refusal that names one book.
pub(super) fn out_of_stock(book: BookId, available: u32) -> Error {
    Error::out_of_stock([Shortage { book, available }])
}
