//! Direct calls with a limit and a deadline.
//!
//! A monolith needs no network between its services, but it needs what a network's server would do: to refuse calls
//! before it has too many of them, and to give up calls whose callers do.

use async_trait::async_trait;
use bookstore_core::{
    Actor, Added, Amend, Book, BookId, BookPage, CatalogService, Contact, Currency, Entries, Error, Lines, NewBook,
    Order, OrderAction, OrderId, OrderPage, OrderQuery, OrderService, Query, Receipt, Result, Seq, SuggestQuery,
    Suggestions, TopicPage, TopicQuery, batch::each,
};
use std::{
    fmt,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// When a call must be answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Deadline {
    #[default]
    Never,
    /// So long after it was made.
    Within(Duration),
    At(Instant),
}

/// A service of this process, with a limit of concurrent calls and a deadline for each call.
///
/// Clones share the limit. Without a deadline, a call costs one atomic increment and one allocation more than a call of
/// the service itself. Each call in a batch ([`CatalogService::sell_many`], [`OrderService::purchase_many`]) counts as
/// a call.
///
/// ```
/// use bookstore_core::{Catalog, CatalogOptions, CatalogService, Error, SystemClock, TopicQuery, store::memory};
/// use bookstore_transport_inproc::InProcess;
/// use std::sync::Arc;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// # let (store, reader) = memory::open(&SystemClock);
/// # let catalog = Catalog::start(store, reader.clone(), reader, Arc::new(SystemClock), CatalogOptions::default()).unwrap();
/// let closed = InProcess::new(Arc::new(catalog)).at_most(0);
/// assert!(matches!(closed.topics(TopicQuery::default()).await, Err(Error::Overloaded { .. })));
/// # }
/// ```
///
/// # Errors
/// Beside those of the service:
/// - [`Error::Overloaded`]: the limit is reached. The call was not executed.
/// - [`Error::DeadlineExpired`]: the deadline had passed before the call began, or a read had no answer by then.
/// - [`Error::OutcomeUnknown`]: a call that may have an effect had no answer by its deadline. It may still execute.
pub struct InProcess<S: ?Sized> {
    service: Arc<S>,
    calls: Arc<AtomicUsize>,
    calls_max: usize,
    deadline: Deadline,
}

impl<S: ?Sized> Clone for InProcess<S> {
    fn clone(&self) -> Self {
        let (service, calls) = (Arc::clone(&self.service), Arc::clone(&self.calls));
        Self { service, calls, calls_max: self.calls_max, deadline: self.deadline }
    }
}

impl<S: ?Sized> fmt::Debug for InProcess<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let calls = self.calls.load(Ordering::Relaxed);
        f.debug_struct("InProcess").field("calls", &calls).field("calls_max", &self.calls_max).finish_non_exhaustive()
    }
}

impl<S: ?Sized> InProcess<S> {
    /// Concurrent calls, unless [`InProcess::at_most`] sets another limit.
    pub const CALLS_MAX: usize = 16_384;

    /// Calls `service` directly, at most [`InProcess::CALLS_MAX`] calls at a time and without a deadline.
    #[must_use]
    pub fn new(service: Arc<S>) -> Self {
        Self { service, calls: Arc::default(), calls_max: Self::CALLS_MAX, deadline: Deadline::Never }
    }

    /// The same with at most `calls_max` calls at a time; more are refused as overloaded.
    #[must_use]
    pub fn at_most(self, calls_max: usize) -> Self {
        Self { calls_max, ..self }
    }

    /// The same with a deadline for each call, counted from its beginning. A long poll gets the time that it asks to
    /// wait in addition.
    #[must_use]
    pub fn within(self, deadline: Duration) -> Self {
        Self { deadline: Deadline::Within(deadline), ..self }
    }

    /// The same with one deadline for all calls through this handle, for a caller that has a deadline itself.
    #[must_use]
    pub fn until(self, deadline: Instant) -> Self {
        Self { deadline: Deadline::At(deadline), ..self }
    }

    /// A call that may have an effect. Once it has begun, only its answer says whether it had one.
    async fn write<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        let late = || Error::unknown("there was no answer before the deadline");
        self.call(call, Duration::ZERO, late).await
    }

    /// A call without an effect.
    async fn read<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        self.poll(call, Duration::ZERO).await
    }

    /// A call without an effect that may wait this long for its answer.
    async fn poll<T>(&self, call: impl Future<Output = Result<T>>, wait: Duration) -> Result<T> {
        self.call(call, wait, || expired("there was no answer to a read")).await
    }

    async fn call<T>(
        &self,
        call: impl Future<Output = Result<T>>,
        wait: Duration,
        late: impl FnOnce() -> Error,
    ) -> Result<T> {
        let _slot = Slot::take(&self.calls, self.calls_max)?;
        let at = match self.deadline {
            Deadline::Never => return call.await,
            Deadline::Within(deadline) => Instant::now() + deadline.saturating_add(wait),
            Deadline::At(at) => at,
        };
        if at <= Instant::now() {
            return Err(expired("before the call began"));
        }
        tokio::time::timeout_at(at, call).await.unwrap_or_else(|_| Err(late()))
    }
}

fn expired(message: &str) -> Error {
    Error::DeadlineExpired { message: message.into() }
}

/// One call under way. Dropping it makes room for another.
struct Slot<'a>(&'a AtomicUsize);

impl<'a> Slot<'a> {
    fn take(calls: &'a AtomicUsize, calls_max: usize) -> Result<Self> {
        // A refusal drops the slot too, and so undoes the increment.
        let slot = Self(calls);
        if calls.fetch_add(1, Ordering::Relaxed) >= calls_max {
            return Err(Error::overloaded(format!("{calls_max} calls are under way")));
        }
        Ok(slot)
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: CatalogService + ?Sized> CatalogService for InProcess<S> {
    async fn search(&self, query: Query) -> Result<BookPage> {
        self.read(self.service.search(query)).await
    }

    async fn suggest(&self, query: SuggestQuery) -> Result<Suggestions> {
        self.read(self.service.suggest(query)).await
    }

    async fn currency(&self) -> Result<Currency> {
        self.read(self.service.currency()).await
    }

    async fn topics(&self, query: TopicQuery) -> Result<TopicPage> {
        self.read(self.service.topics(query)).await
    }

    async fn info(&self, book: BookId) -> Result<Book> {
        self.read(self.service.info(book)).await
    }

    async fn books(&self, ids: Vec<BookId>) -> Result<Vec<Option<Book>>> {
        self.read(self.service.books(ids)).await
    }

    async fn sell(&self, order: OrderId, lines: Lines) -> Result<Receipt> {
        self.write(self.service.sell(order, lines)).await
    }

    async fn sell_many(&self, sales: Vec<(OrderId, Lines)>) -> Vec<Result<Receipt>> {
        each(sales, |(order, lines)| self.sell(order, lines)).await
    }

    async fn release(&self, order: OrderId) -> Result<Receipt> {
        self.write(self.service.release(order)).await
    }

    async fn change_order(&self, order: OrderId, action: OrderAction, by: Option<Actor>) -> Result<Receipt> {
        self.write(self.service.change_order(order, action, by)).await
    }

    async fn amend(&self, book: BookId, change: Amend, key: Option<OrderId>, by: Option<Actor>) -> Result<Book> {
        self.write(self.service.amend(book, change, key, by)).await
    }

    async fn add_books(&self, books: Vec<NewBook>, by: Option<Actor>) -> Result<Vec<Added>> {
        self.write(self.service.add_books(books, by)).await
    }

    async fn entries(&self, after: Seq, limit: usize, wait: Duration) -> Result<Entries> {
        self.poll(self.service.entries(after, limit, wait), wait).await
    }

    async fn find_order(&self, order: OrderId) -> Result<Order> {
        self.read(self.service.find_order(order)).await
    }

    async fn find_contact(&self, order: OrderId) -> Result<Option<Contact>> {
        self.read(self.service.find_contact(order)).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: OrderService + ?Sized> OrderService for InProcess<S> {
    async fn purchase(&self, id: OrderId, lines: Lines) -> Result<Receipt> {
        self.write(self.service.purchase(id, lines)).await
    }

    async fn purchase_many(&self, purchases: Vec<(OrderId, Lines)>) -> Vec<Result<Receipt>> {
        each(purchases, |(id, lines)| self.purchase(id, lines)).await
    }

    async fn cancel(&self, id: OrderId) -> Result<Receipt> {
        self.write(self.service.cancel(id)).await
    }

    async fn change(&self, id: OrderId, action: OrderAction, by: Option<Actor>) -> Result<Receipt> {
        self.write(self.service.change(id, action, by)).await
    }

    async fn order(&self, id: OrderId) -> Result<Order> {
        self.read(self.service.order(id)).await
    }

    async fn orders(&self, query: OrderQuery) -> Result<OrderPage> {
        self.read(self.service.orders(query)).await
    }

    async fn contact(&self, id: OrderId) -> Result<Option<Contact>> {
        self.read(self.service.contact(id)).await
    }
}
