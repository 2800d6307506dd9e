//! [`Bookstore`]: one type over both services, which repeats what is safe to repeat.

use bookstore_core::{
    Book, BookId, BookPage, CatalogService, Clock, Currency, Error, Line, Lines, Order, OrderAction, OrderId,
    OrderService, Period, Query, Quote, Receipt, Result, SuggestQuery, Suggestions, SystemClock, Topic, TopicQuery,
    writer::Closed,
};
use std::{fmt, sync::Arc, time::Duration};

use crate::retry::{Effect, retry};

/// A shop: embedded in this process, or running elsewhere. Clones are handles to the same shop.
///
/// # Outcomes and retries
/// A call ends in one of three ways: an answer, *not executed*, or *unknown* (it may have happened);
/// [`Error::executed`] tells the last two apart. Every call of this type is safe to repeat: reads have no effect, and
/// what changes something has an order id or a key, under which it happens once. So a call that is not answered is sent again
/// under the same id, with growing pauses, until there is an answer or the [timeout](Bookstore::with_timeout) has passed.
///
/// # Errors of every call
/// Beside the errors that a method lists, every call can end with
/// - [`Error::Unavailable`], [`Error::Overloaded`] or [`Error::DeadlineExpired`]: not executed. The shop could not be
///   reached, was not ready or was too busy until the timeout; the call may be made again later.
/// - [`Error::OutcomeUnknown`], if the call changes something: it may have happened. Make the same call again with the
///   same id or key: it never happens twice.
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
    /// How long a call is tried unless [`with_timeout`](Self::with_timeout) says otherwise: 10 seconds.
    pub const TIMEOUT: Duration = Duration::from_secs(10);

    /// A shop made of any two services: a transport of your own, a decorator around another shop's, or a test double.
    #[must_use]
    pub fn new(catalog: Arc<dyn CatalogService>, orders: Arc<dyn OrderService>) -> Self {
        Self { catalog, orders, clock: Arc::new(SystemClock), timeout: Self::TIMEOUT, closed: None }
    }

    /// The same shop, whose store is closed when `closed` says so.
    pub(crate) fn with_closed(self, closed: Closed) -> Self {
        Self { closed: Some(closed), ..self }
    }

    /// Tries every call for this long, retries included. A call that is on its way when the time is up may take up to as
    /// long again before it is given up.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Takes order ids and the randomness of pauses from this clock, for example a
    /// [`ManualClock`](bookstore_core::ManualClock) in tests.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The catalog service behind this shop, without retries: for what this type has no method for, such as
    /// [`entries`](CatalogService::entries).
    #[must_use]
    pub fn catalog(&self) -> &Arc<dyn CatalogService> {
        &self.catalog
    }

    /// The order service behind this shop, without retries.
    #[must_use]
    pub fn order_service(&self) -> &Arc<dyn OrderService> {
        &self.orders
    }

    /// Finds books, a page at a time. Text alone, `search("ada roe")`, finds books that have all of its words in title,
    /// author or subjects; a [`Query`] can also filter by topic, author, year, price and stock, ask for counts, and name the sorting,
    /// the page size and the page to continue from.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use bookstore::{Bookstore, sample};
    /// use bookstore::core::{Query, Sort};
    ///
    /// # let shop = Bookstore::open("memory:").await?;
    /// # shop.add_books(sample::books()).await?;
    /// assert_eq!(shop.search("noobs").await?.books[0].text.title(), "RPCs for Noobs");
    ///
    /// let mut query = Query { sort: Sort::Price, page_size: Some(50), ..Query::topic("Music") };
    /// loop {
    ///     let page = shop.search(query.clone()).await?;
    ///     // … show page.books …
    ///     let Some(token) = page.next_page_token else { break };
    ///     query.page_token = Some(token);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// - [`Error::Invalid`]: the text, topic or page size is outside the limits of [`Query`], or the page token belongs to
    ///   another query.
    /// - [Those of every call](Self#errors-of-every-call).
    pub async fn search(&self, query: impl Into<Query>) -> Result<BookPage> {
        let query = query.into();
        self.read(|| self.catalog.search(query.clone())).await
    }

    /// The first page of a topic's books: short for [`search`](Self::search) with [`Query::topic`].
    ///
    /// # Errors
    /// As [`search`](Self::search).
    pub async fn search_topic(&self, topic: &str) -> Result<BookPage> {
        self.search(Query::topic(topic)).await
    }

    /// The first page of the best sellers of a time: short for [`search`](Self::search) with [`Query::best_sellers`].
    ///
    /// # Errors
    /// As [`search`](Self::search).
    pub async fn best_sellers(&self, of: Period) -> Result<BookPage> {
        self.search(Query::best_sellers(of)).await
    }

    /// Titles, authors and topics that begin as what somebody has typed so far, 5 of each at most: for a search box.
    ///
    /// # Errors
    /// - [`Error::Invalid`]: the text is longer than [`Query::TEXT_MAX`].
    /// - [Those of every call](Self#errors-of-every-call).
    pub async fn suggest(&self, text: &str) -> Result<Suggestions> {
        let query = SuggestQuery { text: text.into(), limit: None };
        self.read(|| self.catalog.suggest(query.clone())).await
    }

    /// Every topic with its number of books, sorted by name: all pages of [`CatalogService::topics`], which reads them one at a
    /// time.
    ///
    /// # Errors
    /// [Those of every call](Self#errors-of-every-call), of any page.
    pub async fn topics(&self) -> Result<Vec<Topic>> {
        let mut query = TopicQuery { page_size: Some(TopicQuery::PAGE_MAX), ..TopicQuery::default() };
        let mut all = Vec::new();
        loop {
            let page = self.read(|| self.catalog.topics(query.clone())).await?;
            all.extend(page.topics);
            let Some(token) = page.next_page_token else { return Ok(all) };
            query.page_token = Some(token);
        }
    }

    /// What all amounts are in: shows them, and reads what people type. A shop keeps its currency.
    ///
    /// # Errors
    /// [Those of every call](Self#errors-of-every-call).
    pub async fn currency(&self) -> Result<Currency> {
        self.read(|| self.catalog.currency()).await
    }

    /// One book with its price and stock of now.
    ///
    /// # Errors
    /// - [`Error::BookNotFound`].
    /// - [Those of every call](Self#errors-of-every-call).
    pub async fn info(&self, book: BookId) -> Result<Book> {
        self.read(|| self.catalog.info(book)).await
    }

    /// Several books, at most 100, in the order of their ids; `None` stands for a book that there is not.
    ///
    /// # Errors
    /// - [`Error::Invalid`] for too many.
    /// - [Those of every call](Self#errors-of-every-call).
    pub async fn books(&self, ids: &[BookId]) -> Result<Vec<Option<Book>>> {
        self.read(|| self.catalog.books(ids.to_vec())).await
    }

    /// What these lines would cost now, and what of them is short. It binds nobody.
    ///
    /// ```
    /// # use bookstore::{Bookstore, sample, core::{BookId, Line}};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let shop = Bookstore::open("memory:").await?;
    /// # shop.add_books(sample::books()).await?;
    /// let quote = shop.quote([Line::new(BookId(1), 2), Line::new(BookId(2), 1000)]).await?;
    /// assert!(!quote.in_stock && quote.lines[0].short == 0 && quote.lines[1].short > 0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// - [`Error::BookNotFound`] for a book that there is not.
    /// - [`Error::Invalid`]: the lines are outside the limits of [`Lines`], or their total is too large an amount.
    /// - [Those of every call](Self#errors-of-every-call).
    pub async fn quote(&self, lines: impl IntoIterator<Item = Line>) -> Result<Quote> {
        let lines = Lines::new(lines)?;
        self.read(|| Quote::ask(self.catalog.as_ref(), &lines)).await
    }

    /// A new order id. Make one for each purchase intent, not for each try.
    #[must_use]
    pub fn new_order_id(&self) -> OrderId {
        self.clock.new_order_id()
    }

    /// Buys `quantity` copies of one book under a new order id: short for [`purchase`](Self::purchase) with
    /// [`new_order_id`](Self::new_order_id).
    ///
    /// If your program can crash between the purchase and storing its order id, make the id yourself, store it first, and use
    /// [`purchase`](Self::purchase).
    ///
    /// # Errors
    /// As [`purchase`](Self::purchase). The message of [`Error::OutcomeUnknown`] names the order id.
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

    /// Buys all lines or none, once per order id. The same id with the same lines answers with the same order, and
    /// [`Receipt::replayed`] is true.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use bookstore::{Bookstore, sample};
    /// use bookstore::core::{BookId, Error, Line};
    ///
    /// # let shop = Bookstore::open("memory:").await?;
    /// # shop.add_books(sample::books()).await?;
    /// let id = shop.new_order_id(); // store it with the buyer's cart before anything is sent
    /// let lines = [Line::new(BookId(1), 2), Line::new(BookId(3), 1)];
    /// let order = match shop.purchase(id, lines).await {
    ///     Ok(receipt) => receipt.order,
    ///     Err(Error::OutOfStock { book, available, .. }) => panic!("only {available} copies of book {book} are left"),
    ///     Err(error) => return Err(error.into()), // if it is `OutcomeUnknown`: later the same call again
    /// };
    ///
    /// // After a crash, or a timeout: the same id never buys twice.
    /// let again = shop.purchase(id, lines).await?;
    /// assert!(again.replayed);
    /// assert_eq!(again.order, order);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// With all but the last, nothing was bought:
    /// - [`Error::OutOfStock`]: a book has fewer copies than the line asks for.
    /// - [`Error::BookNotFound`].
    /// - [`Error::PriceChanged`]: a line names the price that the buyer saw, and it is not the price of now.
    /// - [`Error::OrderIdReused`]: the id belongs to an order with other lines, or was the key of a change.
    /// - [`Error::OrderCancelled`], [`Error::OrderLapsed`], [`Error::OrderVoided`]: the id's order is in that state. An `Ok` always
    ///   means that the copies are the buyer's.
    /// - [`Error::Invalid`]: the lines are outside the limits of [`Lines`], or their total is above [`Cents::MAX`](bookstore_core::Cents::MAX);
    ///   or the shop runs elsewhere, and the id is not [random](OrderId::is_random), as those of
    ///   [`OrderId::from_key`] are not: there it could be guessed.
    /// - [Those of every call](Self#errors-of-every-call), [`Error::OutcomeUnknown`] among them.
    pub async fn purchase(&self, id: OrderId, lines: impl IntoIterator<Item = Line>) -> Result<Receipt> {
        let lines = Lines::new(lines)?;
        self.once(|| self.orders.purchase(id, lines.clone())).await
    }

    /// Cancels an order, once; its copies go back into stock. A cancelled order can be cancelled again:
    /// [`Receipt::replayed`] is true then.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use bookstore::{Bookstore, core::BookId, sample};
    /// use bookstore::core::Status;
    ///
    /// # let shop = Bookstore::open("memory:").await?;
    /// # shop.add_books(sample::books()).await?;
    /// let order = shop.purchase_new(BookId(1), 1).await?;
    /// assert_eq!(shop.cancel(order.id).await?.order.status, Status::Cancelled);
    /// assert!(shop.cancel(order.id).await?.replayed);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// - [`Error::OrderNotFound`].
    /// - [`Error::OrderFulfilled`]: it was handed over.
    /// - [Those of every call](Self#errors-of-every-call).
    pub async fn cancel(&self, id: OrderId) -> Result<Receipt> {
        self.once(|| self.orders.cancel(id)).await
    }

    /// Turns an unknown outcome into a known one: if the purchase has happened, it is cancelled; if not, it never will, however late it
    /// arrives.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use bookstore::{Bookstore, core::{BookId, Error, Line}, sample};
    /// # let shop = Bookstore::open("memory:").await?;
    /// # shop.add_books(sample::books()).await?;
    /// let id = shop.new_order_id();
    /// // … a purchase under this id was sent, and there was no answer …
    /// shop.give_up(id).await?;
    /// let late = shop.purchase(id, [Line::new(BookId(1), 1)]).await;
    /// assert!(matches!(late, Err(Error::OrderVoided { .. })));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// - [`Error::OrderFulfilled`]: it was handed over.
    /// - [`Error::OrderIdReused`]: the id was the key of a change.
    /// - [Those of every call](Self#errors-of-every-call).
    pub async fn give_up(&self, id: OrderId) -> Result<Receipt> {
        self.once(|| self.orders.change(id, OrderAction::Void, None)).await
    }

    /// Reads an order.
    ///
    /// # Errors
    /// - [`Error::OrderNotFound`]: no order with this id was acknowledged.
    /// - [Those of every call](Self#errors-of-every-call).
    pub async fn order(&self, id: OrderId) -> Result<Order> {
        self.read(|| self.orders.order(id)).await
    }

    /// Drops this handle. If it was the last one of a shop in this process, waits until the store is closed, at most 5 seconds.
    ///
    /// What was acknowledged is durable without it; a store that was closed opens faster.
    pub async fn close(self) {
        let closed = self.closed.clone();
        drop(self);
        if let Some(closed) = closed {
            wait_until_closed(closed).await;
        }
    }

    /// Repeats a call that has no effect.
    pub(crate) async fn read<T, F: Future<Output = Result<T>>>(&self, call: impl FnMut() -> F) -> Result<T> {
        retry(Effect::ReadOnly, self.clock.as_ref(), self.timeout, call).await
    }

    /// Repeats a call that happens once, however often it is sent.
    pub(crate) async fn once<T, F: Future<Output = Result<T>>>(&self, call: impl FnMut() -> F) -> Result<T> {
        retry(Effect::Keyed, self.clock.as_ref(), self.timeout, call).await
    }
}

/// How long a store may take to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Waits for a store whose handles are dropped.
pub(crate) async fn wait_until_closed(closed: Closed) {
    if tokio::time::timeout(CLOSE_TIMEOUT, closed.wait()).await.is_err() {
        tracing::warn!("the store is still being closed; nothing is lost, but the next start takes longer");
    }
}
