//! A cache of books for a frontend on a machine of its own. The ledger moves it forward, and nothing moves it back.
//!
//! [`CachedCatalog`] answers `info` from memory. A task follows the catalogue's ledger, and every entry brings the books
//! that it touches to how they stand after it. Books are compared by [`version`](Book::version), the place in the ledger of
//! their last change, so "newer" is never a guess, and nothing is thrown out *before* a write: an answer that was on its
//! way meanwhile is brought forward by the entries that overtook it.
//!
//! # What readers may rely on
//! - A book is shown as it truly stood at its version.
//! - Whoever reads one book again through the same cache sees the same version or a newer one.
//! - An answer from the cache is at most [`CacheOptions::max_staleness`] behind the catalogue. A cache that cannot show
//!   that asks the catalogue instead.
//! - Only while the catalogue cannot be reached, or does not answer within [`CacheOptions::patience`], older answers are
//!   given, of any age: reading goes on, buying does not. They are counted as [`CacheStats::served_stale`].
//! - Whoever wrote through this frontend reads at least what was written, also while the catalogue is away (then: an
//!   error). [`ReadYourWrites`] tells the cache of purchases and cancellations that go through the order service.
//!
//! This rests on [`CatalogService::info`] showing a book no older than any entry that was shown before. If the catalogue
//! is replaced by another one or restored from a backup, or if an entry is missing, the cache forgets all and starts over.

mod feed;
mod follow;
mod moved;
mod read_your_writes;
mod state;
mod stats;

use async_trait::async_trait;
use bookstore_core::{
    Added, Amend, Book, BookId, BookPage, CatalogService, Entries, Error, Lines, NewBook, Order, OrderId, Query,
    Receipt, Result, Seq, Topic, batch::each, order::Status,
};
use futures_util::FutureExt as _;
use std::{
    fmt,
    future::Future,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, timeout},
};

pub use read_your_writes::ReadYourWrites;
pub use stats::CacheStats;

use state::{Fetching, Look, LookForTopics, State};

/// How a frontend caches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheOptions {
    /// Books that are kept, at least one; the one that was read longest ago makes room.
    pub books_max: usize,
    /// How far an answer from the cache may be behind. The ledger is polled four times as often, even if it stands still.
    pub max_staleness: Duration,
    /// How long the catalogue may take for a book that could also be shown as it stood earlier.
    pub patience: Duration,
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self { books_max: 10_000, max_staleness: Duration::from_secs(2), patience: Duration::from_secs(1) }
    }
}

/// How often a reader asks. The first answer may lack what overtook it on its way; the second one must not.
const ATTEMPTS_MAX: usize = 2;
/// How long a catalogue that could not be reached is left alone by readers of books that can be shown without it.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A catalogue on other machines, its books cached here. See the [module](self) for what its readers may rely on.
///
/// Topics are kept until a book is listed; a search goes to the catalogue, and shows no book older than the cache has it.
/// Everything else passes through.
pub struct CachedCatalog {
    inner: Arc<Inner>,
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
    /// Starts to follow the ledger of `upstream`, on a task of the current runtime that ends when this is dropped.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn start(upstream: Arc<dyn CatalogService>, options: CacheOptions) -> Self {
        let state = Mutex::new(State::new(options.books_max, options.max_staleness));
        let inner = Arc::new(Inner { upstream, state, options, followed: watch::Sender::new(Seq(0)) });
        let task = tokio::spawn(follow::follow(Arc::clone(&inner)));
        Self { inner, task }
    }

    /// Tells the cache that a reader knows of this entry. Until the cache has followed that far, it is used only for books
    /// that are as new by themselves; others are read from the catalogue.
    ///
    /// `seq` MUST come from this catalogue's ledger: one that is never reached turns the cache off.
    pub fn observed(&self, seq: Seq) {
        self.inner.lock().observed(seq);
    }

    /// Tells the cache of an order as a service answered it: its books are not shown again as they stood before.
    pub fn noted(&self, order: &Order) {
        let mut state = self.inner.lock();
        for line in &order.lines {
            match order.status {
                Status::Placed => state.at_least(line.book, order.seq),
                // Where its return is in the ledger is not said.
                Status::Cancelled => state.forget(line.book),
            }
        }
    }

    /// Tells the cache why a service refused: a refusal may know a book better than the cache does.
    pub fn refused(&self, error: &Error) {
        self.inner.lock().refused(error);
    }

    /// How far the cache has followed the ledger, for those who wait for an entry; 0 before it has found the ledger's end.
    #[must_use]
    pub fn followed(&self) -> watch::Receiver<Seq> {
        self.inner.followed.subscribe()
    }

    /// What the cache has done so far.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        self.inner.lock().stats()
    }

    /// An order read: it shows its sale. (A return's place in the ledger it does not tell.)
    fn read(&self, order: &Order) {
        if order.status == Status::Placed {
            self.noted(order);
        }
    }
}

struct Inner {
    upstream: Arc<dyn CatalogService>,
    /// Never locked across an await.
    state: Mutex<State>,
    options: CacheOptions,
    followed: watch::Sender<Seq>,
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with it")
    }

    fn look(self: &Arc<Self>, book: BookId) -> Look {
        let look = self.lock().look(book, Instant::now(), |number| self.fetch(book, number));
        look.count();
        look
    }

    /// One request for all who wait for a book. It ends early if they all hang up.
    fn fetch(self: &Arc<Self>, book: BookId, number: u64) -> Fetching {
        let registered = Registered { inner: Arc::clone(self), book, number };
        let fetched = async move {
            let inner = &registered.inner;
            let epoch = inner.lock().epoch();
            let found = inner.ask(inner.upstream.info(book)).await?;
            Ok(inner.lock().filled(number, epoch, found))
        };
        fetched.boxed().shared()
    }

    /// Asks the catalogue, and remembers whether it can be reached.
    async fn ask<T>(&self, asking: impl Future<Output = Result<T>>) -> Result<T> {
        let answer = asking.await;
        let unreachable = answer.as_ref().is_err_and(is_unreachable);
        self.lock().heard(unreachable, Instant::now());
        answer
    }

    /// Waits for an answer, or for the catalogue to be unreachable if there is something to show nevertheless.
    async fn reach<T, S>(&self, asking: impl Future<Output = Result<T>>, stale: Option<S>) -> Reached<T, S> {
        let Some(stale) = stale else { return Reached::Answer(asking.await) };
        match timeout(self.options.patience, asking).await {
            Ok(Err(error)) if is_unreachable(&error) => Reached::Stale(stale),
            Ok(answer) => Reached::Answer(answer),
            Err(_) => {
                self.lock().heard(true, Instant::now());
                Reached::Stale(stale)
            }
        }
    }
}

enum Reached<T, S> {
    Answer(Result<T>),
    Stale(S),
}

/// Whether a call ended without the catalogue's own answer.
fn is_unreachable(error: &Error) -> bool {
    matches!(
        error,
        Error::Unavailable { .. }
            | Error::Overloaded { .. }
            | Error::DeadlineExpired { .. }
            | Error::OutcomeUnknown { .. }
    )
}

/// A request on its way: off the register however it ends.
struct Registered {
    inner: Arc<Inner>,
    book: BookId,
    number: u64,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.inner.lock().fill_ended(self.book, self.number);
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl CatalogService for CachedCatalog {
    async fn search(&self, query: Query) -> Result<BookPage> {
        let epoch = self.inner.lock().epoch();
        let mut page = self.inner.upstream.search(query).await?;
        let mut state = self.inner.lock();
        page.books.iter_mut().for_each(|book| state.saw(book, epoch));
        Ok(page)
    }

    async fn topics(&self) -> Result<Vec<Topic>> {
        let look = self.inner.lock().look_for_topics(Instant::now());
        let (listings, stale) = match look {
            LookForTopics::Answer(topics) => return Ok(topics),
            LookForTopics::Ask { listings, stale } => (listings, stale),
        };
        let asking = self.inner.ask(self.inner.upstream.topics());
        match self.inner.reach(asking, stale).await {
            Reached::Stale(topics) => Ok(topics),
            Reached::Answer(answer) => {
                let topics = answer?;
                self.inner.lock().keep_topics(&topics, listings);
                Ok(topics)
            }
        }
    }

    async fn info(&self, book: BookId) -> Result<Book> {
        for _ in 0..ATTEMPTS_MAX {
            let (fetching, least, stale) = match self.inner.look(book) {
                Look::Hit { cached, .. } | Look::Stale(cached) => return Ok(cached.book(book)),
                Look::Ask { fetching, least, stale, .. } => (fetching, least, stale),
            };
            match self.inner.reach(fetching, stale).await {
                Reached::Stale(stale) => {
                    self.inner.lock().served_stale();
                    stats::count_stale();
                    return Ok(stale.book(book));
                }
                Reached::Answer(Ok(found)) if found.version < least => self.inner.lock().do_not_join(book),
                Reached::Answer(answer) => return answer,
            }
        }
        Err(Error::unavailable("the catalogue shows an older book than was seen here"))
    }

    async fn sell(&self, order: OrderId, lines: Lines) -> Result<Receipt> {
        let answer = self.inner.upstream.sell(order, lines).await;
        match &answer {
            Ok(receipt) => self.noted(&receipt.order),
            Err(error) => self.refused(error),
        }
        answer
    }

    async fn sell_many(&self, sales: Vec<(OrderId, Lines)>) -> Vec<Result<Receipt>> {
        each(sales, |(order, lines)| self.sell(order, lines)).await
    }

    async fn release(&self, order: OrderId) -> Result<Receipt> {
        let receipt = self.inner.upstream.release(order).await?;
        self.noted(&receipt.order);
        Ok(receipt)
    }

    async fn amend(&self, book: BookId, change: Amend, key: Option<OrderId>) -> Result<Book> {
        let epoch = self.inner.lock().epoch();
        let answer = self.inner.upstream.amend(book, change, key).await;
        match &answer {
            // The caller asked for the book as this change left it, whatever happened since.
            Ok(amended) => self.inner.lock().saw(&mut amended.clone(), epoch),
            Err(error) => self.refused(error),
        }
        answer
    }

    async fn add_books(&self, books: Vec<NewBook>) -> Result<Vec<Added>> {
        let answer = self.inner.upstream.add_books(books).await;
        // Some may be listed even if the answer is an error.
        self.inner.lock().forget_topics();
        answer
    }

    async fn entries(&self, after: Seq, limit: usize, wait: Duration) -> Result<Entries> {
        let page = self.inner.upstream.entries(after, limit, wait).await?;
        self.inner.lock().shown(&page.entries);
        Ok(page)
    }

    async fn find_order(&self, order: OrderId) -> Result<Order> {
        let order = self.inner.upstream.find_order(order).await?;
        self.read(&order);
        Ok(order)
    }
}
