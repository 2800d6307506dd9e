//! A real catalogue whose answers can be held back.

use async_trait::async_trait;
use bookstore_core::{
    Actor, Added, Amend, Book, BookId, BookPage, Catalog, CatalogService, Contact, Entries, Entry, Error, Lines,
    NewBook, Order, OrderAction, OrderId, Query, Receipt, Result, Seq, TopicPage, TopicQuery,
};
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

use crate::support::TEST_TIMEOUT;

/// Where calls wait while it is closed, in the order in which they came.
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
        // A caller that hung up waits no more.
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

    /// Lets one of the waiting calls pass.
    pub(crate) fn release(&self, at: usize) -> bool {
        let mut line = self.line();
        let Some(at) = at.checked_rem(line.calls.len()) else { return false };
        line.calls.remove(at).is_some_and(|call| call.send(()).is_ok())
    }

    pub(crate) fn len(&self) -> usize {
        self.line().calls.len()
    }

    /// Waits until this many calls wait.
    pub(crate) async fn until(&self, calls: usize) {
        let mut waiting = self.waiting.subscribe();
        let arrived = async {
            while self.len() < calls {
                waiting.changed().await.unwrap();
            }
        };
        timeout(TEST_TIMEOUT, arrived).await.expect("the calls arrive");
    }
}

type Tamper = Box<dyn FnOnce(&mut Entries) + Send>;

/// The catalogue as the cache sees it. Answers of `info`, `search` and `topics` are made before their gate, so a closed
/// one makes them old; polls of the ledger wait before theirs.
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
    pub(crate) fn new(catalog: Arc<Catalog>) -> Self {
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

    /// Shows this book instead of the true one, until it is called with `None`.
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

    async fn topics(&self, query: TopicQuery) -> Result<TopicPage> {
        self.topics_asked.fetch_add(1, SeqCst);
        self.reach()?;
        let topics = self.catalog.topics(query).await;
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

    async fn change_order(&self, order: OrderId, action: OrderAction, by: Option<Actor>) -> Result<Receipt> {
        self.reach()?;
        self.catalog.change_order(order, action, by).await
    }

    async fn amend(&self, book: BookId, change: Amend, key: Option<OrderId>, by: Option<Actor>) -> Result<Book> {
        self.reach()?;
        self.catalog.amend(book, change, key, by).await
    }

    async fn add_books(&self, books: Vec<NewBook>, by: Option<Actor>) -> Result<Vec<Added>> {
        self.reach()?;
        self.catalog.add_books(books, by).await
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

    async fn find_contact(&self, order: OrderId) -> Result<Option<Contact>> {
        self.reach()?;
        self.catalog.find_contact(order).await
    }
}
