//! The catalogue as a frontend's readers see it.

use async_trait::async_trait;
use bookstore_core::{
    Actor, Added, Amend, Book, BookId, BookPage, CatalogService, Contact, Currency, Entries, Error, Lines, NewBook,
    Order, OrderAction, OrderId, Query, Receipt, Result, Seq, SuggestQuery, Suggestions, TopicPage, TopicQuery,
    batch::each, follow::Pinned, order::Status, service::books_one_by_one,
};
use std::{fmt, sync::Arc, time::Duration};
use tokio::{sync::watch, task::JoinHandle, time::Instant};

use super::{
    follow::follow,
    options::CacheOptions,
    state::reading::{Lookup, TopicsLookup},
    stats::{self, CacheStats},
    upstream::{Reached, Upstream},
};

/// How often a reader asks the catalogue. The first answer may lack entries that were appended while it was on its way; the second
/// one MUST NOT.
const ATTEMPTS_MAX: usize = 2;

/// A catalogue on other machines, its books cached here. See the [module](super) for what its readers may rely on.
///
/// Pages of topics are kept until a book is added, revised, withdrawn or relisted; a search goes to the catalogue, and shows no book older than the cache has it.
/// Everything else passes through.
///
/// ```
/// use bookstore_core::{Catalog, CatalogOptions, CatalogService, SystemClock, TopicQuery, store::memory};
/// use bookstore_transport_http::cache::{CacheOptions, CachedCatalog};
/// use std::{sync::Arc, time::Duration};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> bookstore_core::Result<()> {
/// // Usually a client of a catalog server.
/// let (store, reader) = memory::open(&SystemClock);
/// let upstream = Catalog::start(store, reader.clone(), reader, Arc::new(SystemClock), CatalogOptions::default()).expect("memory can be used");
/// let options = CacheOptions { max_staleness: Duration::from_millis(500), ..CacheOptions::default() };
/// let cache = CachedCatalog::start(Arc::new(upstream), options);
/// assert!(cache.topics(TopicQuery::default()).await?.topics.is_empty());
/// # Ok(())
/// # }
/// ```
pub struct CachedCatalog {
    upstream: Arc<Upstream>,
    task: JoinHandle<()>,
}

impl fmt::Debug for CachedCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedCatalog").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

impl Drop for CachedCatalog {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl CachedCatalog {
    /// Starts to follow the ledger of `catalog`, on a task of the current runtime that ends when this is dropped.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn start(catalog: Arc<dyn CatalogService>, options: CacheOptions) -> Self {
        let upstream = Arc::new(Upstream::new(catalog, options));
        let task = tokio::spawn(follow(Arc::clone(&upstream)));
        Self { upstream, task }
    }

    /// The newest history of the ledger that it has followed, to be [shown](crate::client::Client::showing) to the servers.
    #[must_use]
    pub fn history(&self) -> Pinned {
        self.upstream.history.clone()
    }

    /// Says that a reader has seen this entry. Until the cache has followed the ledger that far, it answers only with books that
    /// are themselves as new; others are read from the catalogue.
    ///
    /// `seq` MUST be of this catalogue's ledger: one that is never reached turns the cache off.
    pub fn observed(&self, seq: Seq) {
        self.upstream.state().observe(seq);
    }

    /// Records the order that a purchase or a cancellation was answered with: its books are not shown again as they were before.
    pub fn record_order(&self, order: &Order) {
        let mut state = self.upstream.state();
        for line in &order.lines {
            if has_only_taken_out(order) {
                state.require(line.book, order.seq);
            } else {
                // An order does not say which entry put copies back.
                state.forget(line.book);
            }
        }
    }

    /// Records why a service refused: the refusal may be newer than what is cached of its book.
    pub fn record_refusal(&self, error: &Error) {
        self.upstream.state().record_refusal(error);
    }

    /// Records the answer to a call that changes an order.
    pub(super) fn record_answer(&self, answer: &Result<Receipt>) {
        match answer {
            Ok(receipt) => self.record_order(&receipt.order),
            Err(error) => self.record_refusal(error),
        }
    }

    /// Records an order that was read: it shows its sale. Which entry its return is it does not say.
    pub(super) fn record_order_read(&self, order: &Order) {
        if has_only_taken_out(order) {
            self.record_order(order);
        }
    }

    /// How far the cache has followed the ledger, to wait for an entry; 0 before it has found the ledger's end.
    #[must_use]
    pub fn followed(&self) -> watch::Receiver<Seq> {
        self.upstream.followed.subscribe()
    }

    /// What the cache has done so far.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        self.upstream.state().stats()
    }
}

/// Whether its first entry is the only one that changed books.
fn has_only_taken_out(order: &Order) -> bool {
    matches!(order.status, Status::Held | Status::Placed | Status::Fulfilled) && order.returned().is_empty()
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl CatalogService for CachedCatalog {
    async fn search(&self, query: Query) -> Result<BookPage> {
        let epoch = self.upstream.state().epoch();
        let mut page = self.upstream.catalog.search(query).await?;
        let mut state = self.upstream.state();
        page.books.iter_mut().for_each(|book| state.reconcile(book, epoch));
        // What is known here may be newer than the answer.
        page.books.retain(|book| book.on_sale);
        Ok(page)
    }

    async fn suggest(&self, query: SuggestQuery) -> Result<Suggestions> {
        self.upstream.catalog.suggest(query).await
    }

    async fn topics(&self, query: TopicQuery) -> Result<TopicPage> {
        let found = self.upstream.state().look_up_topics(&query, Instant::now());
        let (generation, stale) = match found {
            TopicsLookup::Hit(page) => return Ok(page),
            TopicsLookup::Ask { generation, stale } => (generation, stale),
        };
        let call = self.upstream.ask(self.upstream.catalog.topics(query.clone()));
        match self.upstream.ask_unless_stale(call, stale).await {
            Reached::Stale(page) => Ok(page),
            Reached::Answer(answer) => {
                let page = answer?;
                self.upstream.state().store_topics(query, &page, generation);
                Ok(page)
            }
        }
    }

    async fn currency(&self) -> Result<Currency> {
        let known = self.upstream.state().currency;
        if let Some(currency) = known {
            return Ok(currency);
        }
        let currency = self.upstream.catalog.currency().await?;
        self.upstream.state().currency.get_or_insert(currency);
        Ok(currency)
    }

    async fn info(&self, book: BookId) -> Result<Book> {
        for _ in 0..ATTEMPTS_MAX {
            let (request, min_version, stale) = match self.upstream.look_up(book) {
                Lookup::Hit { cached, .. } | Lookup::Stale(cached) => return Ok(cached.book(book)),
                Lookup::Ask { request, min_version, stale, .. } => (request, min_version, stale),
            };
            match self.upstream.ask_unless_stale(request, stale).await {
                Reached::Stale(stale) => {
                    self.upstream.state().count_stale();
                    stats::count_stale();
                    return Ok(stale.book(book));
                }
                Reached::Answer(Ok(found)) if found.version < min_version => {
                    self.upstream.state().abandon_request(book);
                }
                Reached::Answer(answer) => return answer,
            }
        }
        Err(Error::unavailable("the catalogue shows an older book than was seen here"))
    }

    async fn books(&self, ids: Vec<BookId>) -> Result<Vec<Option<Book>>> {
        books_one_by_one(ids, |id| self.info(id)).await
    }

    async fn sell(&self, order: OrderId, lines: Lines) -> Result<Receipt> {
        let answer = self.upstream.catalog.sell(order, lines).await;
        self.record_answer(&answer);
        answer
    }

    async fn sell_many(&self, sales: Vec<(OrderId, Lines)>) -> Vec<Result<Receipt>> {
        each(sales, |(order, lines)| self.sell(order, lines)).await
    }

    async fn release(&self, order: OrderId) -> Result<Receipt> {
        let receipt = self.upstream.catalog.release(order).await?;
        self.record_order(&receipt.order);
        Ok(receipt)
    }

    async fn change_order(&self, order: OrderId, action: OrderAction, by: Option<Actor>) -> Result<Receipt> {
        let answer = self.upstream.catalog.change_order(order, action, by).await;
        self.record_answer(&answer);
        answer
    }

    async fn amend(&self, book: BookId, change: Amend, key: Option<OrderId>, by: Option<Actor>) -> Result<Book> {
        let epoch = self.upstream.state().epoch();
        let changes_lists = matches!(change, Amend::Revise { .. } | Amend::Withdraw | Amend::Relist);
        let answer = self.upstream.catalog.amend(book, change, key, by).await;
        if changes_lists {
            // It may have happened even if the answer is an error.
            self.upstream.state().invalidate_topics();
        }
        match &answer {
            // The caller gets the book as this change left it, even if the cache has a newer one.
            Ok(amended) => self.upstream.state().reconcile(&mut amended.clone(), epoch),
            Err(error) => self.record_refusal(error),
        }
        answer
    }

    async fn add_books(&self, books: Vec<NewBook>, by: Option<Actor>) -> Result<Vec<Added>> {
        let answer = self.upstream.catalog.add_books(books, by).await;
        // Some may be added even if the answer is an error.
        self.upstream.state().invalidate_topics();
        answer
    }

    async fn entries(&self, after: Seq, limit: usize, wait: Duration) -> Result<Entries> {
        let page = self.upstream.catalog.entries(after, limit, wait).await?;
        self.upstream.state().require_all(&page.entries);
        Ok(page)
    }

    async fn find_order(&self, order: OrderId) -> Result<Order> {
        let order = self.upstream.catalog.find_order(order).await?;
        self.record_order_read(&order);
        Ok(order)
    }

    async fn find_contact(&self, order: OrderId) -> Result<Option<Contact>> {
        self.upstream.catalog.find_contact(order).await
    }
}
