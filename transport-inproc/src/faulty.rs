//! The decorator that injects faults.

use async_trait::async_trait;
use bookstore_core::{
    Actor, Added, Amend, Book, BookId, BookPage, CatalogService, Contact, Currency, Entries, Error, Lines, NewBook,
    Order, OrderAction, OrderId, OrderPage, OrderQuery, OrderService, Query, Receipt, Result, Seq, SuggestQuery,
    Suggestions, TopicPage, TopicQuery,
};
use std::{
    fmt,
    future::Future,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio::sync::watch;

use crate::faults::{Effect, Fault, FaultSource, Faults, Rates};

/// A service behind a bad network. The same seed and the same calls, one after the other, meet the same faults.
///
/// A batch is one message: a fault strikes all its calls together. Only calls that may be sent again are duplicated:
/// those with a key, and listings. A call that the service itself refused before any effect is not duplicated, as its
/// caller may rely on it that the call never executes.
///
/// # Errors
/// Beside those of the service:
/// - [`Error::Overloaded`]: the call was refused, and did not execute.
/// - [`Error::Unavailable`]: a message of a read was lost.
/// - [`Error::OutcomeUnknown`]: a message of a call that may have an effect was lost.
///
/// # Examples
/// ```
/// use bookstore_core::{
///     Catalog, CatalogOptions, CatalogService, Executed, SystemClock,
///     fixtures::{any_book, lines, order_id},
///     store::memory,
/// };
/// use bookstore_transport_inproc::{Faulty, Rates};
/// use std::sync::Arc;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> bookstore_core::Result<()> {
/// # let (store, reader) = memory::open(&SystemClock);
/// # let catalog = Catalog::start(store, reader.clone(), reader, Arc::new(SystemClock), CatalogOptions::default()).unwrap();
/// let book = catalog.add_books(vec![any_book(5)], None).await?[0].id;
/// let network = Faulty::new(Arc::new(catalog), Rates { reply_lost: 1.0, ..Rates::default() }, 7);
///
/// // The sale executes, but its caller does not learn that …
/// let order = order_id();
/// let lost = network.sell(order, lines(&[(book, 1)])).await.unwrap_err();
/// assert_eq!(lost.executed(), Executed::Unknown);
///
/// // … until the network is well again, and a retry is answered with the order that exists.
/// network.set_rates(Rates::default());
/// assert!(network.sell(order, lines(&[(book, 1)])).await?.replayed);
/// assert_eq!((network.info(book).await?.stock, network.faults().replies_lost), (4, 1));
/// # Ok(()) }
/// ```
pub struct Faulty<S: ?Sized> {
    service: Arc<S>,
    source: Mutex<FaultSource>,
    /// How many duplicates have not executed yet.
    under_way: Arc<watch::Sender<usize>>,
}

impl<S: ?Sized> Faulty<S> {
    /// Puts `service` behind a network whose faults are drawn from `seed`.
    #[must_use]
    pub fn new(service: Arc<S>, rates: Rates, seed: u64) -> Self {
        Self { service, source: Mutex::new(FaultSource::new(rates, seed)), under_way: Arc::default() }
    }

    /// Waits until every duplicate has executed.
    pub async fn settled(&self) {
        // This cannot fail, as the sender is alive.
        let _ = self.under_way.subscribe().wait_for(|under_way| *under_way == 0).await;
    }

    /// Changes the rates from the next call on. With [`Rates::default`] no more faults strike.
    pub fn set_rates(&self, rates: Rates) {
        self.source().rates = rates;
    }

    /// How often each fault has struck so far.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.source().faults
    }

    fn source(&self) -> MutexGuard<'_, FaultSource> {
        self.source.lock().expect("no code panics while it is locked")
    }

    /// A call. `call` makes the request, and makes it anew for a duplicate.
    async fn call<T, F>(&self, effect: Effect, call: impl Fn(Arc<S>) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        self.message(effect, call, not_executed).await
    }

    /// A batch of `calls` calls with keys.
    async fn batch<T, F>(&self, calls: usize, call: impl Fn(Arc<S>) -> F) -> Vec<Result<T>>
    where
        T: Clone + Send + 'static,
        F: Future<Output = Result<Vec<Result<T>>>> + Send + 'static,
    {
        let any = |answers: &Result<Vec<Result<T>>>| answers.iter().flatten().any(not_executed);
        self.message(Effect::Keyed, call, any).await.unwrap_or_else(|error| vec![Err(error); calls])
    }

    async fn message<T, F>(
        &self,
        effect: Effect,
        call: impl Fn(Arc<S>) -> F,
        not_executed: impl Fn(&Result<T>) -> bool,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let plan = self.source().plan(effect);
        match plan.fault {
            Some(Fault::Overloaded) => return Err(Error::overloaded("by an injected fault")),
            Some(Fault::RequestLost) => {
                pause(plan.timeout).await;
                return Err(lost(effect));
            }
            Some(Fault::ReplyLost) | None => {}
        }
        pause(plan.delay).await;
        let answer = call(Arc::clone(&self.service)).await;
        if let Some(delay) = plan.again.filter(|_| !not_executed(&answer)) {
            self.duplicate(call(Arc::clone(&self.service)), delay);
        }
        if plan.fault == Some(Fault::ReplyLost) {
            pause(plan.timeout).await;
            return Err(lost(effect));
        }
        answer
    }

    /// Executes a duplicate later. Its answer goes nowhere.
    fn duplicate<T>(&self, call: impl Future<Output = Result<T>> + Send + 'static, delay: Duration) {
        let under_way = Arc::clone(&self.under_way);
        under_way.send_modify(|count| *count += 1);
        tokio::spawn(async move {
            pause(delay).await;
            drop(call.await);
            under_way.send_modify(|count| *count -= 1);
        });
    }
}

impl<S: ?Sized> fmt::Debug for Faulty<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faulty").field("faults", &self.faults()).finish_non_exhaustive()
    }
}

/// Whether the service refused a call before any effect.
fn not_executed<T>(answer: &Result<T>) -> bool {
    matches!(answer, Err(Error::Unavailable { .. } | Error::Overloaded { .. } | Error::DeadlineExpired { .. }))
}

async fn pause(delay: Duration) {
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
}

fn lost(effect: Effect) -> Error {
    match effect {
        Effect::Read => Error::unavailable("an injected fault lost a message"),
        Effect::Unkeyed | Effect::Keyed => Error::unknown("an injected fault lost a message"),
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: CatalogService + ?Sized + 'static> CatalogService for Faulty<S> {
    async fn search(&self, query: Query) -> Result<BookPage> {
        self.call(Effect::Read, |service| {
            let query = query.clone();
            async move { service.search(query).await }
        })
        .await
    }

    async fn suggest(&self, query: SuggestQuery) -> Result<Suggestions> {
        self.call(Effect::Read, |service| {
            let query = query.clone();
            async move { service.suggest(query).await }
        })
        .await
    }

    async fn currency(&self) -> Result<Currency> {
        self.call(Effect::Read, |service| async move { service.currency().await }).await
    }

    async fn topics(&self, query: TopicQuery) -> Result<TopicPage> {
        self.call(Effect::Read, |service| {
            let query = query.clone();
            async move { service.topics(query).await }
        })
        .await
    }

    async fn info(&self, book: BookId) -> Result<Book> {
        self.call(Effect::Read, |service| async move { service.info(book).await }).await
    }

    async fn books(&self, ids: Vec<BookId>) -> Result<Vec<Option<Book>>> {
        self.call(Effect::Read, |service| {
            let ids = ids.clone();
            async move { service.books(ids).await }
        })
        .await
    }

    async fn sell(&self, order: OrderId, lines: Lines) -> Result<Receipt> {
        self.call(Effect::Keyed, |service| {
            let lines = lines.clone();
            async move { service.sell(order, lines).await }
        })
        .await
    }

    async fn sell_many(&self, sales: Vec<(OrderId, Lines)>) -> Vec<Result<Receipt>> {
        self.batch(sales.len(), |service| {
            let sales = sales.clone();
            async move { Ok(service.sell_many(sales).await) }
        })
        .await
    }

    async fn release(&self, order: OrderId) -> Result<Receipt> {
        self.call(Effect::Keyed, |service| async move { service.release(order).await }).await
    }

    async fn change_order(&self, order: OrderId, action: OrderAction, by: Option<Actor>) -> Result<Receipt> {
        self.call(Effect::Keyed, |service| {
            let (action, by) = (action.clone(), by.clone());
            async move { service.change_order(order, action, by).await }
        })
        .await
    }

    async fn amend(&self, book: BookId, change: Amend, key: Option<OrderId>, by: Option<Actor>) -> Result<Book> {
        let effect = if key.is_some() { Effect::Keyed } else { Effect::Unkeyed };
        self.call(effect, |service| {
            let (change, by) = (change.clone(), by.clone());
            async move { service.amend(book, change, key, by).await }
        })
        .await
    }

    async fn add_books(&self, books: Vec<NewBook>, by: Option<Actor>) -> Result<Vec<Added>> {
        self.call(Effect::Keyed, |service| {
            let (books, by) = (books.clone(), by.clone());
            async move { service.add_books(books, by).await }
        })
        .await
    }

    async fn entries(&self, after: Seq, limit: usize, wait: Duration) -> Result<Entries> {
        self.call(Effect::Read, |service| async move { service.entries(after, limit, wait).await }).await
    }

    async fn find_order(&self, order: OrderId) -> Result<Order> {
        self.call(Effect::Read, |service| async move { service.find_order(order).await }).await
    }

    async fn find_contact(&self, order: OrderId) -> Result<Option<Contact>> {
        self.call(Effect::Read, |service| async move { service.find_contact(order).await }).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: OrderService + ?Sized + 'static> OrderService for Faulty<S> {
    async fn purchase(&self, id: OrderId, lines: Lines) -> Result<Receipt> {
        self.call(Effect::Keyed, |service| {
            let lines = lines.clone();
            async move { service.purchase(id, lines).await }
        })
        .await
    }

    async fn purchase_many(&self, purchases: Vec<(OrderId, Lines)>) -> Vec<Result<Receipt>> {
        self.batch(purchases.len(), |service| {
            let purchases = purchases.clone();
            async move { Ok(service.purchase_many(purchases).await) }
        })
        .await
    }

    async fn cancel(&self, id: OrderId) -> Result<Receipt> {
        self.call(Effect::Keyed, |service| async move { service.cancel(id).await }).await
    }

    async fn change(&self, id: OrderId, action: OrderAction, by: Option<Actor>) -> Result<Receipt> {
        self.call(Effect::Keyed, |service| {
            let (action, by) = (action.clone(), by.clone());
            async move { service.change(id, action, by).await }
        })
        .await
    }

    async fn order(&self, id: OrderId) -> Result<Order> {
        self.call(Effect::Read, |service| async move { service.order(id).await }).await
    }

    async fn orders(&self, query: OrderQuery) -> Result<OrderPage> {
        self.call(Effect::Read, |service| {
            let query = query.clone();
            async move { service.orders(query).await }
        })
        .await
    }

    async fn contact(&self, id: OrderId) -> Result<Option<Contact>> {
        self.call(Effect::Read, |service| async move { service.contact(id).await }).await
    }
}
