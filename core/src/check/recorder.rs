//! Recording: every call through a service, with the times between which it must have happened.

use async_trait::async_trait;
use std::{
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::history::{Call, History, Operation, Outcome, Shelved, Shown};
use crate::{
    batch::each,
    book::{Added, Amend, Book, BookId, NewBook, Topic},
    catalog::CatalogService,
    error::{Error, Result},
    ledger::{Entries, Seq},
    order::{Lines, Order, OrderId, Receipt},
    orders::OrderService,
    page::{BookPage, OrderPage, OrderQuery, Query},
};

/// Keeps the calls of any number of tasks and threads, up to a limit: about 300 bytes a call, and more only for orders of
/// several books and for pages.
///
/// A call is kept from the moment it is made, so one that never returns is in the history, its outcome unknown. What comes
/// after the limit passes unrecorded and is counted: such a history can still show that a promise was broken, but no longer
/// that nothing else was done.
#[derive(Debug)]
pub struct Recorder {
    limit: usize,
    time: Time,
    calls: Mutex<Vec<Call>>,
    unrecorded: AtomicU64,
}

enum Time {
    Ticks(AtomicU64),
    Given(Box<dyn Fn() -> u64 + Send + Sync>),
}

impl std::fmt::Debug for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if matches!(self, Self::Ticks(_)) { "Ticks" } else { "Given" })
    }
}

/// A call that was begun; `None` if it is not recorded.
#[derive(Debug)]
#[must_use = "a call that is not ended counts as one that never returned"]
pub struct Ticket(Option<usize>);

impl Default for Recorder {
    fn default() -> Self {
        Self::new(Self::LIMIT_DEFAULT)
    }
}

impl Recorder {
    /// How many calls are kept unless asked otherwise.
    pub const LIMIT_DEFAULT: usize = 1_000_000;

    /// A recorder of at most `limit` calls, whose clock counts the beginnings and ends of its calls.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, time: Time::Ticks(AtomicU64::new(0)), calls: Mutex::default(), unrecorded: AtomicU64::new(0) }
    }

    /// As [`Recorder::new`] with a given clock, for histories of several processes that are to be merged. It MUST never go
    /// back: nanoseconds on the machine's monotonic clock, say.
    #[must_use]
    pub fn with_clock(limit: usize, now: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self { time: Time::Given(Box::new(now)), ..Self::new(limit) }
    }

    fn now(&self) -> u64 {
        match &self.time {
            Time::Ticks(ticks) => ticks.fetch_add(1, Ordering::SeqCst),
            Time::Given(now) => now(),
        }
    }

    fn calls(&self) -> MutexGuard<'_, Vec<Call>> {
        self.calls.lock().expect("nobody panics with it, but for a clock that does")
    }

    /// To be called before the call is made; its outcome counts as unknown until [`Recorder::end`].
    pub fn begin(&self, process: u64, server: &Arc<str>, operation: Operation) -> Ticket {
        let mut calls = self.calls();
        if calls.len() >= self.limit {
            self.unrecorded.fetch_add(1, Ordering::Relaxed);
            return Ticket(None);
        }
        let invoked = self.now();
        calls.push(Call { process, server: Arc::clone(server), invoked, completed: None, operation });
        Ticket(Some(calls.len() - 1))
    }

    /// To be called when the call has returned, with the same operation and its outcome.
    pub fn end(&self, ticket: Ticket, operation: Operation) {
        let Some(at) = ticket.0 else { return };
        let completed = Some(self.now());
        let mut calls = self.calls();
        let call = &mut calls[at];
        (call.completed, call.operation) = (completed, operation);
    }

    /// What has been recorded so far; calls that have not returned yet are among it.
    ///
    /// # Panics
    /// Never, unless the given clock does.
    #[must_use]
    pub fn history(&self) -> History {
        let calls = self.calls().clone();
        History { calls, unrecorded: self.unrecorded.load(Ordering::Relaxed) }
    }
}

/// A service whose calls are recorded. The list of topics and the ledger's entries pass unrecorded.
///
/// Record one layer only: a purchase that is recorded at the order service and once more at the catalogue behind it would
/// count as two.
#[derive(Debug)]
pub struct Recorded<S: ?Sized> {
    service: Arc<S>,
    recorder: Arc<Recorder>,
    server: Arc<str>,
    process: u64,
}

impl<S: ?Sized> Recorded<S> {
    /// Records the calls to `service`, which is the server `server`, as those of process 0.
    #[must_use]
    pub fn new(service: Arc<S>, recorder: &Arc<Recorder>, server: impl Into<Arc<str>>) -> Self {
        Self { service, recorder: Arc::clone(recorder), server: server.into(), process: 0 }
    }

    /// The same service as another process calls it.
    #[must_use]
    pub fn of_process(&self, process: u64) -> Self {
        let (service, recorder) = (Arc::clone(&self.service), Arc::clone(&self.recorder));
        Self { service, recorder, server: Arc::clone(&self.server), process }
    }

    async fn record<R, T>(
        &self,
        operation: impl Fn(Outcome<T>) -> Operation + Send,
        call: impl Future<Output = Result<R>> + Send,
        outcome: impl FnOnce(&Result<R>) -> Outcome<T> + Send,
    ) -> Result<R> {
        let ticket = self.recorder.begin(self.process, &self.server, operation(Outcome::Unknown));
        let answer = call.await;
        self.recorder.end(ticket, operation(outcome(&answer)));
        answer
    }

    async fn record_purchase(
        &self,
        order: OrderId,
        lines: Lines,
        call: impl Future<Output = Result<Receipt>> + Send,
    ) -> Result<Receipt> {
        let operation = |outcome| Operation::Purchase { order, lines: lines.clone(), outcome };
        self.record(operation, call, |answer| Outcome::of(answer, Receipt::clone)).await
    }

    async fn record_cancel(
        &self,
        order: OrderId,
        call: impl Future<Output = Result<Receipt>> + Send,
    ) -> Result<Receipt> {
        let operation = |outcome| Operation::Cancel { order, outcome };
        self.record(operation, call, |answer| Outcome::of(answer, Receipt::clone)).await
    }

    async fn record_read(&self, order: OrderId, call: impl Future<Output = Result<Order>> + Send) -> Result<Order> {
        let operation = |outcome| Operation::ReadOrder { order, outcome };
        self.record(operation, call, |answer| Outcome::of(answer, Order::clone)).await
    }
}

/// A list that failed half-way may have listed some of the books.
fn listed(answer: &Result<Vec<Added>>) -> Outcome<Vec<Added>> {
    match Outcome::of(answer, Vec::clone) {
        Outcome::NotExecuted if !matches!(answer, Err(Error::Invalid { .. })) => Outcome::Unknown,
        outcome => outcome,
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: CatalogService + ?Sized> CatalogService for Recorded<S> {
    async fn search(&self, query: Query) -> Result<BookPage> {
        let shown = |page: &BookPage| page.books.iter().map(Shown::from).collect();
        let operation = |outcome| Operation::Search { outcome };
        self.record(operation, self.service.search(query), |answer| Outcome::of(answer, shown)).await
    }

    async fn topics(&self) -> Result<Vec<Topic>> {
        self.service.topics().await
    }

    async fn info(&self, book: BookId) -> Result<Book> {
        let operation = |outcome| Operation::Info { book, outcome };
        self.record(operation, self.service.info(book), |answer| Outcome::of(answer, |book| Shown::from(book))).await
    }

    async fn sell(&self, order: OrderId, lines: Lines) -> Result<Receipt> {
        self.record_purchase(order, lines.clone(), self.service.sell(order, lines)).await
    }

    async fn sell_many(&self, sales: Vec<(OrderId, Lines)>) -> Vec<Result<Receipt>> {
        each(sales, |(order, lines)| self.sell(order, lines)).await
    }

    async fn release(&self, order: OrderId) -> Result<Receipt> {
        self.record_cancel(order, self.service.release(order)).await
    }

    async fn amend(&self, book: BookId, change: Amend, key: Option<OrderId>) -> Result<Book> {
        let operation = |outcome| Operation::Amend { book, change, key, outcome };
        let call = self.service.amend(book, change, key);
        self.record(operation, call, |answer| Outcome::of(answer, |book| Shown::from(book))).await
    }

    async fn add_books(&self, books: Vec<NewBook>) -> Result<Vec<Added>> {
        let shelved = |book: &NewBook| Shelved { price_cents: book.price_cents, stock: book.stock };
        let shelves: Vec<Shelved> = books.iter().map(shelved).collect();
        let operation = |outcome| Operation::List { books: shelves.clone(), outcome };
        self.record(operation, self.service.add_books(books), listed).await
    }

    async fn entries(&self, after: Seq, limit: usize, wait: Duration) -> Result<Entries> {
        self.service.entries(after, limit, wait).await
    }

    async fn find_order(&self, order: OrderId) -> Result<Order> {
        self.record_read(order, self.service.find_order(order)).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: OrderService + ?Sized> OrderService for Recorded<S> {
    async fn purchase(&self, id: OrderId, lines: Lines) -> Result<Receipt> {
        self.record_purchase(id, lines.clone(), self.service.purchase(id, lines)).await
    }

    async fn purchase_many(&self, purchases: Vec<(OrderId, Lines)>) -> Vec<Result<Receipt>> {
        each(purchases, |(id, lines)| self.purchase(id, lines)).await
    }

    async fn cancel(&self, id: OrderId) -> Result<Receipt> {
        self.record_cancel(id, self.service.cancel(id)).await
    }

    async fn order(&self, id: OrderId) -> Result<Order> {
        self.record_read(id, self.service.order(id)).await
    }

    async fn orders(&self, query: OrderQuery) -> Result<OrderPage> {
        let operation = |outcome| Operation::ReadOrders { outcome };
        self.record(operation, self.service.orders(query), |answer| Outcome::of(answer, |page| page.orders.clone()))
            .await
    }
}
