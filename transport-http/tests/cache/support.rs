//! A frontend's cache over a catalogue whose answers can be held back.

use bookstore_core::{
    Amend, Book, BookId, Catalog, CatalogOptions, CatalogService, Clock as _, Lines, ManualClock, Order, OrderId,
    OrderService, Orders, Receipt, Result, Seq, SystemClock, store::memory, writer::Execution,
};
use bookstore_transport_http::cache::{CacheOptions, CachedCatalog, ReadYourWrites};
use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};
use tokio::time::timeout;

use crate::upstream::Upstream;

pub(crate) use bookstore_core::fixtures::{book as new_book, cents, one_at};

/// Longer than anything here takes (most clocks are paused); a test that waits for it has failed.
pub(crate) const TEST_TIMEOUT: Duration = Duration::from_secs(600);

/// A frontend: the cache, and an order service whose answers it records.
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
    Arc::new(Catalog::start(store, reader.clone(), reader, Arc::new(SystemClock), options).unwrap())
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
    catalog.add_books((1..=3).map(|n| new_book(&format!("Book {n}"), 10)).collect(), None).await.unwrap();
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
        timeout(TEST_TIMEOUT, there).await.expect("the cache follows").unwrap();
    }

    /// Waits until the cache has dropped everything.
    pub(crate) async fn dropped_everything(&self) {
        let mut followed = self.cache.followed();
        let lost = followed.wait_for(|followed| *followed == Seq(0));
        timeout(TEST_TIMEOUT, lost).await.expect("the cache notices").unwrap();
    }

    /// Reads through the cache.
    pub(crate) async fn read(&self, book: BookId) -> Book {
        timeout(TEST_TIMEOUT, self.cache.info(book)).await.expect("a read ends").unwrap()
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
        self.upstream.catalog.amend(book, price_of(price), None, None).await.unwrap()
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
