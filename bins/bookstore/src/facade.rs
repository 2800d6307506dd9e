//! The facade: one type over both services, with retries.

use bookstore_core::{
    Added, Amend, Book, BookId, BookPage, CatalogService, Cents, Clock, Error, Line, Lines, NewBook, Order, OrderId,
    OrderPage, OrderQuery, OrderService, Query, Receipt, Result, SystemClock, Topic, store::StoreError, writer::Closed,
};
use std::{fmt, sync::Arc, time::Duration};

#[cfg(feature = "http")]
use crate::{AccessToken, connect};
use crate::{
    open::{self, StoreUrl},
    retry::{Effect, retry},
};

/// Why a shop cannot be opened or reached at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL is not one.
    #[error("{0}")]
    Url(String),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How [`Bookstore::connect_with`] uses a shop.
#[cfg(feature = "http")]
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// The token that the shop's admin requests must carry.
    pub admin_token: Option<AccessToken>,
    /// How long a call is tried.
    pub timeout: Duration,
}

#[cfg(feature = "http")]
impl Default for ConnectOptions {
    fn default() -> Self {
        Self { admin_token: None, timeout: Bookstore::TIMEOUT }
    }
}

/// A shop, wherever it is. Clones are the same shop.
///
/// Every call ends in one of three ways, see [`Error`]: an answer, *not executed*, or *unknown*. A call that has an
/// order id or a key, and every one of these that changes something has, is sent again under the same id
/// until there is an answer or the [timeout](Bookstore::with_timeout) has run out.
#[derive(Clone)]
pub struct Bookstore {
    catalog: Arc<dyn CatalogService>,
    orders: Arc<dyn OrderService>,
    clock: Arc<dyn Clock>,
    timeout: Duration,
    closed: Option<Closed>,
}

impl fmt::Debug for Bookstore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bookstore").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl Bookstore {
    /// How long a call is tried, unless asked otherwise.
    pub const TIMEOUT: Duration = Duration::from_secs(10);

    /// A shop made of any two services.
    #[must_use]
    pub fn new(catalog: Arc<dyn CatalogService>, orders: Arc<dyn OrderService>) -> Self {
        Self { catalog, orders, clock: Arc::new(SystemClock), timeout: Self::TIMEOUT, closed: None }
    }

    /// Opens a shop in this process, over the store at `sqlite:PATH`, which is made if there is none, or `memory:`.
    ///
    /// # Errors
    /// The URL is not one, or the store cannot be used: another process has it open, it is damaged, …
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        let store: StoreUrl = url.parse()?;
        let ((catalog, orders), closed) = open::embedded(store).await?;
        Ok(Self { closed: Some(closed), ..Self::new(catalog, orders) })
    }

    /// A shop that runs elsewhere: `http://host:port` of its frontend, or of several, separated by commas.
    ///
    /// Nothing is sent before the first call.
    ///
    /// # Errors
    /// A URL is not one.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[cfg(feature = "http")]
    pub fn connect(urls: &str) -> Result<Self, OpenError> {
        Self::connect_with(urls, ConnectOptions::default())
    }

    /// As [`Bookstore::connect`], with the token that the shop's admin requests must carry.
    ///
    /// # Errors
    /// A URL is not one.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[cfg(feature = "http")]
    pub fn connect_admin(urls: &str, token: AccessToken) -> Result<Self, OpenError> {
        Self::connect_with(urls, ConnectOptions { admin_token: Some(token), ..ConnectOptions::default() })
    }

    /// As [`Bookstore::connect`], for an admin, or with another timeout.
    ///
    /// # Errors
    /// A URL is not one.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[cfg(feature = "http")]
    pub fn connect_with(urls: &str, options: ConnectOptions) -> Result<Self, OpenError> {
        let timeout = options.timeout;
        let (catalog, orders) = connect::remote_shop(urls, options)?;
        Ok(Self::new(catalog, orders).with_timeout(timeout))
    }

    /// The servers behind a shop, without a frontend in between: the catalog's and the order servers' URLs, each separated
    /// by commas, and the token that they show each other, if they do.
    ///
    /// # Errors
    /// A URL is not one.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[cfg(feature = "http")]
    pub fn connect_servers(catalog: &str, orders: &str, token: Option<AccessToken>) -> Result<Self, OpenError> {
        let (catalog, orders) = connect::remote_servers(catalog, orders, token)?;
        Ok(Self::new(catalog, orders))
    }

    /// Tries calls for this long.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Takes its ids from this clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The catalogue itself, with everything it can do.
    #[must_use]
    pub fn catalog(&self) -> &Arc<dyn CatalogService> {
        &self.catalog
    }

    /// The order service itself.
    #[must_use]
    pub fn order_service(&self) -> &Arc<dyn OrderService> {
        &self.orders
    }

    /// Finds books: a page of those that match. Words alone, `search("ada roe")`, find books that have them in title,
    /// author or subjects; a [`Query`] can also name a topic, the order, the page's size and the page to go on from.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a query outside its limits.
    pub async fn search(&self, query: impl Into<Query>) -> Result<BookPage> {
        let query = query.into();
        self.read(|| self.catalog.search(query.clone())).await
    }

    /// The first page of the books of a topic.
    ///
    /// # Errors
    /// [`Error::Invalid`] for too long a topic.
    pub async fn search_topic(&self, topic: &str) -> Result<BookPage> {
        self.search(Query::topic(topic)).await
    }

    /// Every topic with its number of books.
    ///
    /// # Errors
    /// Not executed only.
    pub async fn topics(&self) -> Result<Vec<Topic>> {
        self.read(|| self.catalog.topics()).await
    }

    /// One book as it stands.
    ///
    /// # Errors
    /// [`Error::BookNotFound`].
    pub async fn info(&self, book: BookId) -> Result<Book> {
        self.read(|| self.catalog.info(book)).await
    }

    /// A fresh order id: one per purchase intent.
    #[must_use]
    pub fn new_order_id(&self) -> OrderId {
        self.clock.new_order_id()
    }

    /// Buys `quantity` copies of a book, under a fresh order id.
    ///
    /// To survive a crash of your own program between buying and knowing it, make the id first, keep it, and use
    /// [`Bookstore::purchase`].
    ///
    /// # Errors
    /// As [`Bookstore::purchase`]; if the outcome is unknown, the message names the order id.
    pub async fn purchase_new(&self, book: BookId, quantity: u32) -> Result<Order> {
        let id = self.new_order_id();
        match self.purchase(id, [Line::new(book, quantity)]).await {
            Ok(receipt) => Ok(receipt.order),
            Err(Error::OutcomeUnknown { message, .. }) => {
                Err(Error::unknown(format!("it may exist as order {id}; {message}")).for_order(id))
            }
            Err(error) => Err(error),
        }
    }

    /// Buys all lines or none, once per order id: the same id with the same lines gives the same order.
    ///
    /// # Errors
    /// [`Error::OutOfStock`], [`Error::BookNotFound`], [`Error::PriceChanged`], [`Error::OrderIdReused`] and
    /// [`Error::Invalid`]: nothing was bought. [`Error::OutcomeUnknown`]: call it again with the same id.
    pub async fn purchase(&self, id: OrderId, lines: impl IntoIterator<Item = Line>) -> Result<Receipt> {
        let lines = Lines::new(lines)?;
        self.once(|| self.orders.purchase(id, lines.clone())).await
    }

    /// Cancels an order, once; its copies go back into stock.
    ///
    /// # Errors
    /// [`Error::OrderNotFound`].
    pub async fn cancel(&self, id: OrderId) -> Result<Receipt> {
        self.once(|| self.orders.cancel(id)).await
    }

    /// Reads an order.
    ///
    /// # Errors
    /// [`Error::OrderNotFound`].
    pub async fn order(&self, id: OrderId) -> Result<Order> {
        self.read(|| self.orders.order(id)).await
    }

    /// A page of the orders, newest first. Needs the admin token if the shop runs elsewhere.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a query outside its limits; [`Error::Unauthorized`].
    pub async fn orders(&self, query: OrderQuery) -> Result<OrderPage> {
        self.read(|| self.orders.orders(query.clone())).await
    }

    /// Adds copies of a book, or takes some away. Needs the admin token if the shop runs elsewhere, as all that follow do.
    ///
    /// # Errors
    /// As [`CatalogService::amend`]; [`Error::Unauthorized`].
    pub async fn restock(&self, book: BookId, delta: i64) -> Result<Book> {
        self.amend(book, Amend::StockDelta { delta }, self.new_order_id()).await
    }

    /// Sets a book's price.
    ///
    /// # Errors
    /// As [`CatalogService::amend`]; [`Error::Unauthorized`].
    pub async fn set_price(&self, book: BookId, price_cents: Cents) -> Result<Book> {
        let change = Amend::Set { price_cents: Some(price_cents), stock: None, version: None };
        self.amend(book, change, self.new_order_id()).await
    }

    /// Changes a book's price or stock, once per key.
    ///
    /// # Errors
    /// As [`CatalogService::amend`]; [`Error::Unauthorized`].
    pub async fn amend(&self, book: BookId, change: Amend, key: OrderId) -> Result<Book> {
        self.once(|| self.catalog.amend(book, change, Some(key))).await
    }

    /// Lists a book; one that is listed already is left as it is.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the bad field; [`Error::Unauthorized`].
    pub async fn add_book(&self, book: NewBook) -> Result<Added> {
        let added = self.add_books(vec![book]).await?;
        added.into_iter().next().ok_or_else(|| Error::unknown("the catalogue did not say the book's number"))
    }

    /// Lists up to [`ADD_BOOKS_MAX`](bookstore_core::catalog::ADD_BOOKS_MAX) books, and says their numbers in the same order.
    ///
    /// # Errors
    /// [`Error::Invalid`] if any of them is bad: then none is listed; [`Error::Unauthorized`].
    pub async fn add_books(&self, books: Vec<NewBook>) -> Result<Vec<Added>> {
        self.once(|| self.catalog.add_books(books.clone())).await
    }

    /// Gives up this handle, and waits until the store is closed if the shop is in this process and this was its last
    /// handle (for at most a few seconds). What was acknowledged is durable without it.
    pub async fn close(self) {
        let closed = self.closed.clone();
        drop(self);
        if let Some(closed) = closed {
            open::wait_until_closed(closed).await;
        }
    }

    async fn read<T, F: Future<Output = Result<T>>>(&self, call: impl FnMut() -> F) -> Result<T> {
        retry(Effect::ReadOnly, self.clock.as_ref(), self.timeout, call).await
    }

    async fn once<T, F: Future<Output = Result<T>>>(&self, call: impl FnMut() -> F) -> Result<T> {
        retry(Effect::Keyed, self.clock.as_ref(), self.timeout, call).await
    }
}
