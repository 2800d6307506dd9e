//! The calls of [`Bookstore`] for the people who run the shop: orders, stock, prices, new books.

use bookstore_core::{
    Added, Amend, Book, BookId, BookText, Cents, Error, NewBook, OrderId, OrderPage, OrderQuery, Result, Seq,
};

use crate::facade::Bookstore;

/// # Administration
/// In a shop that runs elsewhere these calls need its admin token, see `connect_admin` (feature `http`).
impl Bookstore {
    /// A page of all orders, newest first.
    ///
    /// # Errors
    /// - [`Error::Invalid`]: the page size or token is outside the limits of [`OrderQuery`].
    /// - [`Error::Unauthorized`]: the admin token is missing or wrong.
    /// - [Those of every call](Self#errors-of-every-call).
    pub async fn orders(&self, query: OrderQuery) -> Result<OrderPage> {
        self.read(|| self.order_service().orders(query.clone())).await
    }

    /// Changes a book's price or stock, its text, or whether it is on sale, once per key, and returns the book as it is then.
    ///
    /// # Errors
    /// With all but the last, nothing was changed:
    /// - [`Error::BookNotFound`].
    /// - [`Error::OutOfStock`]: a delta takes away more copies than there are.
    /// - [`Error::VersionMismatch`]: the book has changed since the version that [`Amend::Set`] names.
    /// - [`Error::TextVersionMismatch`]: the text has changed since the version that [`Amend::Revise`] names.
    /// - [`Error::VersionRequired`]: a stock or a text is set without naming a version.
    /// - [`Error::BookExists`]: with the new text it would be the same book as another one.
    /// - [`Error::OrderIdReused`]: the key belongs to an order, or to another change.
    /// - [`Error::Invalid`]: nothing is to be changed, the stock would exceed [`NewBook::STOCK_MAX`], or the text is outside its limits.
    /// - [`Error::Unauthorized`]: the admin token is missing or wrong.
    /// - [Those of every call](Self#errors-of-every-call).
    pub async fn amend(&self, book: BookId, change: Amend, key: OrderId) -> Result<Book> {
        let by = Self::actor()?;
        self.once(|| self.catalog().amend(book, change.clone(), Some(key), by.clone())).await
    }

    /// Adds copies of a book, or takes some away if `delta` is negative: short for [`amend`](Self::amend) with
    /// [`Amend::StockDelta`] under a new key.
    ///
    /// # Errors
    /// As [`amend`](Self::amend). After [`Error::OutcomeUnknown`] read the book before you repeat it: the key is lost.
    pub async fn restock(&self, book: BookId, delta: i64) -> Result<Book> {
        self.amend(book, Amend::StockDelta { delta }, self.new_order_id()).await
    }

    /// Sets a book's price, whatever it was: short for [`amend`](Self::amend) with [`Amend::Set`] under a new key.
    ///
    /// # Errors
    /// As [`amend`](Self::amend).
    pub async fn set_price(&self, book: BookId, price_cents: Cents) -> Result<Book> {
        let change = Amend::Set { price_cents: Some(price_cents), stock: None, version: None };
        self.amend(book, change, self.new_order_id()).await
    }

    /// Replaces a book's whole text, if it is still the one of `text_version`: short for [`amend`](Self::amend) with
    /// [`Amend::Revise`] under a new key.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use bookstore::{Bookstore, core::{BookId, BookText}};
    ///
    /// let shop = Bookstore::open("memory:").await?;
    /// # let text = BookText { title: "Teh Book".into(), topic: "t".into(), ..BookText::default() };
    /// # shop.add_book(bookstore::core::NewBook { text, price_cents: bookstore::core::Cents::ZERO, stock: 1 }).await?;
    /// let book = shop.info(BookId(1)).await?;
    /// let text = BookText { title: "The Book".into(), ..BookText::from(&book.text) };
    /// let revised = shop.revise(book.id, text, book.text_version).await?;
    /// assert_eq!(revised.text.title(), "The Book");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`amend`](Self::amend).
    pub async fn revise(&self, book: BookId, text: BookText, text_version: Seq) -> Result<Book> {
        let change = Amend::Revise { text: Box::new(text), text_version: Some(text_version) };
        self.amend(book, change, self.new_order_id()).await
    }

    /// Takes a book off sale: it is in no list and cannot be bought; its orders and what is held of it stay. Short for
    /// [`amend`](Self::amend) with [`Amend::Withdraw`] under a new key.
    ///
    /// # Errors
    /// As [`amend`](Self::amend).
    pub async fn withdraw(&self, book: BookId) -> Result<Book> {
        self.amend(book, Amend::Withdraw, self.new_order_id()).await
    }

    /// Puts a withdrawn book on sale again: short for [`amend`](Self::amend) with [`Amend::Relist`] under a new key.
    ///
    /// # Errors
    /// As [`amend`](Self::amend).
    pub async fn relist(&self, book: BookId) -> Result<Book> {
        self.amend(book, Amend::Relist, self.new_order_id()).await
    }

    /// Adds up to [`ADD_BOOKS_MAX`](bookstore_core::catalog::ADD_BOOKS_MAX) books; the answer has their numbers, in the same
    /// order. A book that is in the catalog already, by its [identity](bookstore_core::BookText::identity), is left as it is:
    /// the same list may be added again.
    ///
    /// # Errors
    /// - [`Error::Invalid`]: there are too many books, or a field of one is outside its limits; none was added.
    /// - [`Error::Unauthorized`]: the admin token is missing or wrong.
    /// - [Those of every call](Self#errors-of-every-call): some may have been added.
    pub async fn add_books(&self, books: Vec<NewBook>) -> Result<Vec<Added>> {
        let by = Self::actor()?;
        self.once(|| self.catalog().add_books(books.clone(), by.clone())).await
    }

    /// Adds one book: short for [`add_books`](Self::add_books).
    ///
    /// # Errors
    /// As [`add_books`](Self::add_books).
    pub async fn add_book(&self, book: NewBook) -> Result<Added> {
        let added = self.add_books(vec![book]).await?;
        added.into_iter().next().ok_or_else(|| Error::unknown("the catalogue did not say the book's number"))
    }
}
