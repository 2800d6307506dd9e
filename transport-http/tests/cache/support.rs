//! A real catalogue whose answers can be held back, and a frontend's cache over it.

use async_trait::async_trait;
use bookstore_core::{
    Added, Amend, Book, BookId, BookPage, Catalog, CatalogOptions, CatalogService, Clock as _, Entries, Entry, Error,
    Lines, ManualClock, NewBook, Order, OrderId, OrderService, Orders, Query, Receipt, Result, Seq, SystemClock, Topic,
    store::memory, writer::Execution,
};
use bookstore_transport_http::cache::{CacheOptions, CachedCatalog, ReadYourWrites};
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{
    sync::{oneshot, watch},
    time::timeout,
};

pub(crate) use bookstore_core::fixtures::{book as new_book, cents, one_at};

/// Longer than anything here takes (most clocks are paused); a test that waits for it has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(600);

/// Where calls line up while it is closed.
pub(crate) struct Gate {
    line: Mutex<Waiting>,
    waiting: watch::Sender<usize>,
}

#[derive(Default)]
struct Waiting {
    closed: bool,
    calls: VecDeque<oneshot::Sender<()>>,
}

impl Default for Gate {
    fn default() -> Self {
        Self { line: Mutex::default(), waiting: watch::Sender::new(0) }
    }
}

impl Gate {
    fn line(&self) -> MutexGuard<'_, Waiting> {
        let mut line = self.line.lock().unwrap();
        // Whoever hung up has left the line.
        line.calls.retain(|call| !call.is_closed());
        line
    }

    async fn pass(&self) {
        let freed = {
            let mut line = self.line();
            if !line.closed {
                return;
            }
            let (call, freed) = oneshot::channel();
            line.calls.push_back(call);
            self.waiting.send_replace(line.calls.len());
            freed
        };
        let _ = freed.await;
    }

    pub(crate) fn close(&self) {
        self.line().closed = true;
    }

    /// Lets all pass, from now on.
    pub(crate) fn open(&self) {
        let mut line = self.line();
        line.closed = false;
        for call in line.calls.drain(..) {
            let _ = call.send(());
        }
    }

    /// Lets one of the line pass.
    pub(crate) fn release(&self, at: usize) -> bool {
        let mut line = self.line();
        let Some(at) = at.checked_rem(line.calls.len()) else { return false };
        line.calls.remove(at).is_some_and(|call| call.send(()).is_ok())
    }

    pub(crate) fn len(&self) -> usize {
        self.line().calls.len()
    }

    /// Waits until so many stand in line.
    pub(crate) async fn until(&self, calls: usize) {
        let mut waiting = self.waiting.subscribe();
        let lined_up = async {
            while self.len() < calls {
                waiting.changed().await.unwrap();
            }
        };
        timeout(PATIENCE, lined_up).await.expect("the calls arrive");
    }
}

type Tamper = Box<dyn FnOnce(&mut Entries) + Send>;

/// The catalogue as the cache sees it. Answers of `info`, `search` and `topics` are made before their gate, so a closed
/// one makes them old; polls of the ledger line up before theirs.
pub(crate) struct Upstream {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) infos: Gate,
    pub(crate) searches: Gate,
    pub(crate) topics: Gate,
    pub(crate) feed: Gate,
    pub(crate) unreachable: AtomicBool,
    /// Entries of one page of the feed.
    pub(crate) page_max: AtomicUsize,
    infos_asked: AtomicUsize,
    topics_asked: AtomicUsize,
    tamper: Mutex<Option<Tamper>>,
    lie: Mutex<Option<Book>>,
}

impl Upstream {
    fn new(catalog: Arc<Catalog>) -> Self {
        Self {
            catalog,
            infos: Gate::default(),
            searches: Gate::default(),
            topics: Gate::default(),
            feed: Gate::default(),
            unreachable: AtomicBool::new(false),
            page_max: AtomicUsize::new(usize::MAX),
            infos_asked: AtomicUsize::new(0),
            topics_asked: AtomicUsize::new(0),
            tamper: Mutex::default(),
            lie: Mutex::default(),
        }
    }

    pub(crate) fn infos_asked(&self) -> usize {
        self.infos_asked.load(SeqCst)
    }

    pub(crate) fn topics_asked(&self) -> usize {
        self.topics_asked.load(SeqCst)
    }

    /// Changes the next page of the feed that has entries.
    pub(crate) fn tamper(&self, tamper: impl FnOnce(&mut Entries) + Send + 'static) {
        *self.tamper.lock().unwrap() = Some(Box::new(tamper));
    }

    /// Shows this book instead of the true one, until told otherwise.
    pub(crate) fn lie(&self, book: Option<Book>) {
        *self.lie.lock().unwrap() = book;
    }

    fn shown(&self, book: Book) -> Book {
        self.lie.lock().unwrap().clone().filter(|lie| lie.id == book.id).unwrap_or(book)
    }

    fn reach(&self) -> Result<()> {
        if self.unreachable.load(SeqCst) { Err(Error::unavailable("the network is down")) } else { Ok(()) }
    }

    /// The whole ledger.
    pub(crate) async fn ledger(&self) -> Vec<Entry> {
        let page = self.catalog.entries(Seq(0), 1000, Duration::ZERO).await.unwrap();
        assert_eq!(page.head.0, page.entries.len() as u64, "the tests stay below one page");
        page.entries
    }
}

#[async_trait]
impl CatalogService for Upstream {
    async fn search(&self, query: Query) -> Result<BookPage> {
        self.reach()?;
        let mut page = self.catalog.search(query).await?;
        page.books = page.books.into_iter().map(|book| self.shown(book)).collect();
        self.searches.pass().await;
        Ok(page)
    }

    async fn topics(&self) -> Result<Vec<Topic>> {
        self.topics_asked.fetch_add(1, SeqCst);
        self.reach()?;
        let topics = self.catalog.topics().await;
        self.topics.pass().await;
        topics
    }

    async fn info(&self, book: BookId) -> Result<Book> {
        self.infos_asked.fetch_add(1, SeqCst);
        self.reach()?;
        let found = self.catalog.info(book).await.map(|book| self.shown(book));
        self.infos.pass().await;
        found
    }

    async fn sell(&self, order: OrderId, lines: Lines) -> Result<Receipt> {
        self.reach()?;
        self.catalog.sell(order, lines).await
    }

    async fn release(&self, order: OrderId) -> Result<Receipt> {
        self.reach()?;
        self.catalog.release(order).await
    }

    async fn amend(&self, book: BookId, change: Amend, key: Option<OrderId>) -> Result<Book> {
        self.reach()?;
        self.catalog.amend(book, change, key).await
    }

    async fn add_books(&self, books: Vec<NewBook>) -> Result<Vec<Added>> {
        self.reach()?;
        self.catalog.add_books(books).await
    }

    async fn entries(&self, after: Seq, limit: usize, wait: Duration) -> Result<Entries> {
        let stepwise = self.feed.line().closed;
        self.feed.pass().await;
        self.reach()?;
        let wait = if stepwise { Duration::ZERO } else { wait };
        let mut page = self.catalog.entries(after, limit.min(self.page_max.load(SeqCst)), wait).await?;
        if !page.entries.is_empty()
            && let Some(tamper) = self.tamper.lock().unwrap().take()
        {
            tamper(&mut page);
        }
        Ok(page)
    }

    async fn find_order(&self, order: OrderId) -> Result<Order> {
        self.reach()?;
        self.catalog.find_order(order).await
    }
}

/// A frontend: the cache, and an order service that tells it what it hears.
pub(crate) struct Frontend {
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) cache: Arc<CachedCatalog>,
    pub(crate) orders: ReadYourWrites<dyn OrderService>,
    clock: ManualClock,
}

pub(crate) const ONE: BookId = BookId(1);
pub(crate) const TWO: BookId = BookId(2);
pub(crate) const THREE: BookId = BookId(3);

/// A catalogue in memory whose writer is a task of this runtime.
pub(crate) fn catalog() -> Arc<Catalog> {
    let (store, reader) = memory::open(&SystemClock);
    let options = CatalogOptions { execution: Execution::Task, ..CatalogOptions::default() };
    Arc::new(Catalog::start(store, reader, Arc::new(SystemClock), options).unwrap())
}

/// A frontend over three books of ten copies at 10.00, whose cache follows the ledger.
pub(crate) async fn frontend(options: CacheOptions) -> Frontend {
    let frontend = starting(options, true).await;
    frontend.caught_up().await;
    frontend
}

/// The same, whose cache has just been started.
pub(crate) async fn starting(options: CacheOptions, feed_is_open: bool) -> Frontend {
    let catalog = catalog();
    catalog.add_books((1..=3).map(|n| new_book(&format!("Book {n}"), 10)).collect()).await.unwrap();
    let upstream = Arc::new(Upstream::new(Arc::clone(&catalog)));
    if !feed_is_open {
        upstream.feed.close();
    }
    let cache = Arc::new(CachedCatalog::start(Arc::clone(&upstream) as Arc<dyn CatalogService>, options));
    let orders: Arc<dyn OrderService> =
        Arc::new(Orders::new(Arc::clone(&upstream) as Arc<dyn CatalogService>, catalog));
    let orders = ReadYourWrites::new(orders, Arc::clone(&cache));
    Frontend { upstream, cache, orders, clock: ManualClock::default() }
}

impl Frontend {
    pub(crate) fn id(&self) -> OrderId {
        self.clock.new_order_id()
    }

    /// Waits until the cache has followed all there is.
    pub(crate) async fn caught_up(&self) {
        self.followed(self.upstream.catalog.head()).await;
    }

    /// Waits until the cache has followed this far.
    pub(crate) async fn followed(&self, seq: Seq) {
        let mut followed = self.cache.followed();
        let there = followed.wait_for(|followed| *followed >= seq);
        timeout(PATIENCE, there).await.expect("the cache follows").unwrap();
    }

    /// Waits until everything was forgotten.
    pub(crate) async fn forgot(&self) {
        let mut followed = self.cache.followed();
        let lost = followed.wait_for(|followed| *followed == Seq(0));
        timeout(PATIENCE, lost).await.expect("the cache notices").unwrap();
    }

    /// Reads through the cache.
    pub(crate) async fn read(&self, book: BookId) -> Book {
        timeout(PATIENCE, self.cache.info(book)).await.expect("a read ends").unwrap()
    }

    pub(crate) async fn stock(&self, book: BookId) -> u32 {
        self.read(book).await.stock
    }

    /// A reader on a task of its own.
    pub(crate) fn reader(&self, book: BookId) -> tokio::task::JoinHandle<Result<Book>> {
        let cache = Arc::clone(&self.cache);
        tokio::spawn(async move { cache.info(book).await })
    }

    /// Buys one copy through another frontend.
    pub(crate) async fn sell_elsewhere(&self, book: BookId) -> Order {
        self.upstream.catalog.sell(self.id(), lines(book, 1)).await.unwrap().order
    }

    /// Sets a price through another frontend.
    pub(crate) async fn reprice_elsewhere(&self, book: BookId, price: u64) -> Book {
        self.upstream.catalog.amend(book, price_of(price), None).await.unwrap()
    }

    /// Buys one copy here.
    pub(crate) async fn buy(&self, book: BookId) -> Result<Receipt> {
        self.orders.purchase(self.id(), lines(book, 1)).await
    }

    /// Stops the feed: nothing is followed until it is opened again.
    pub(crate) async fn stop_the_feed(&self) {
        self.upstream.feed.close();
        // The poll that was under way already ends with time.
        self.upstream.feed.until(1).await;
    }

    pub(crate) fn set_unreachable(&self, unreachable: bool) {
        self.upstream.unreachable.store(unreachable, SeqCst);
    }
}

pub(crate) fn lines(book: BookId, quantity: u32) -> Lines {
    Lines::one(book, quantity).unwrap()
}

pub(crate) fn price_of(price: u64) -> Amend {
    Amend::Set { price_cents: Some(cents(price)), stock: None, version: None }
}

/// Lets every task of this one-threaded runtime go as far as it can without time passing.
pub(crate) async fn settle() {
    for _ in 0..40 {
        tokio::task::yield_now().await;
    }
}
