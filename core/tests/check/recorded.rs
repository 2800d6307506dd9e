//! Real shops at work, recorded: everything they promise holds, and wrong services are found out.

use async_trait::async_trait;
use bookstore_core::{
    Actor, Added, Amend, Book, BookId, BookPage, Catalog, CatalogOptions, CatalogService, Clock as _, Contact, Entries,
    Error, Line, Lines, NewBook, Order, OrderAction, OrderId, OrderPage, OrderQuery, OrderService, Orders, Query,
    Receipt, Result, Seq, SystemClock, TopicPage, TopicQuery,
    check::{self, Cached, Cancellations, FinalState, Options, Recorded, Recorder, Report, Rule},
    fixtures::{any_book, cents, lines},
    follow::Follower,
    orders::Ack,
    store::{LedgerCopy, LedgerReader, LedgerStore, memory},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

/// A shop, recorded at every door.
struct Shop {
    recorder: Arc<Recorder>,
    catalog: Arc<Recorded<dyn CatalogService>>,
    /// The order servers.
    orders: Vec<Arc<Recorded<dyn OrderService>>>,
    plain: Arc<dyn CatalogService>,
    copies: Vec<Arc<dyn LedgerCopy>>,
}

impl Shop {
    fn over(catalog: Arc<dyn CatalogService>, orders: Vec<Arc<dyn OrderService>>) -> Self {
        let recorder = Arc::new(Recorder::default());
        let record = |(nth, orders)| Arc::new(Recorded::new(orders, &recorder, format!("order-{nth}")));
        let orders = (1..).zip(orders).map(record).collect();
        let plain = Arc::clone(&catalog);
        let catalog = Arc::new(Recorded::new(catalog, &recorder, "catalog"));
        Self { recorder, catalog, orders, plain, copies: Vec::new() }
    }

    /// Everything in one process.
    fn monolith(store: impl LedgerStore, reader: Arc<impl LedgerReader + 'static>) -> Self {
        let catalog = start(store, reader);
        let orders = Arc::new(Orders::new(catalog.clone(), catalog.clone()));
        Self::over(catalog, vec![orders])
    }

    /// A catalogue, and two order servers with copies of their own.
    async fn of_three() -> Self {
        let (store, reader) = memory::open(&SystemClock);
        let catalog = start(store, reader);
        let (mut copies, mut servers) = (Vec::<Arc<dyn LedgerCopy>>::new(), Vec::<Arc<dyn OrderService>>::new());
        for ack in [Ack::Ledger, Ack::Copied { wait: Duration::from_secs(10) }] {
            let copy = Arc::new(memory::MemoryCopy::new());
            let follower = Follower::start(catalog.clone(), copy.clone()).await.expect("a copy can be read");
            let followed = follower.followed();
            servers.push(Arc::new(Orders::new(catalog.clone(), Arc::new(follower)).acknowledge(ack, followed)));
            copies.push(copy);
        }
        Self { copies, ..Self::over(catalog, servers) }
    }

    async fn shelve(&self, stocks: &[u32]) -> Vec<BookId> {
        let book = |stock: &u32| NewBook { price_cents: cents(100), ..any_book(*stock) };
        let listed =
            self.catalog.add_books(stocks.iter().map(book).collect(), None).await.expect("good books can be listed");
        listed.into_iter().map(|listed| listed.id).collect()
    }

    async fn final_state(&self) -> FinalState {
        let mut end = FinalState::read(self.plain.as_ref()).await.expect("the ledger can be read");
        for copy in &self.copies {
            end.add_copy("a copy", copy.as_ref()).await.expect("a copy can be read");
        }
        end
    }

    async fn check(&self, options: &Options) -> Report {
        check::check(&self.recorder.history(), &self.final_state().await, options)
    }
}

fn start(store: impl LedgerStore, reader: Arc<impl LedgerReader + 'static>) -> Arc<Catalog> {
    let (search, options) = (reader.clone(), CatalogOptions::default());
    Arc::new(Catalog::start(store, reader, search, Arc::new(SystemClock), options).expect("the store can be used"))
}

/// One buyer among many: buys, retries, gives up waiting, cancels, reads, restocks.
async fn buyer(catalog: Recorded<dyn CatalogService>, servers: Vec<Recorded<dyn OrderService>>, n: u64) {
    let book = |nth: u64| BookId(1 + (n + nth) % 3);
    for step in 0..20 {
        let server = |nth: u64| &servers[usize::try_from(n + step + nth).expect("small") % servers.len()];
        let (id, more) = (SystemClock.new_order_id(), step % 4 == 0);
        let other = more.then(|| Line::new(book(step + 1), 2));
        let wanted = Lines::new([Line::new(book(step), 1)].into_iter().chain(other)).expect("good lines");
        if step % 5 == 1 {
            // Too impatient to wait: the call may or may not have arrived.
            let call = server(0).purchase(id, wanted.clone());
            tokio::select! {
                biased;
                _ = call => {}
                () = tokio::task::yield_now() => {}
            }
        }
        let (first, twin) = tokio::join!(server(0).purchase(id, wanted.clone()), server(1).purchase(id, wanted));
        let bought = first.is_ok() || twin.is_ok();
        let _ = server(1).order(id).await;
        if bought && (n + step).is_multiple_of(3) {
            server(0).cancel(id).await.expect("it had been sold");
            let _ = server(1).order(id).await;
        }
        catalog.info(book(step)).await.expect("a listed book can be read");
        if step % 6 == 2 {
            let key = n.is_multiple_of(2).then_some(id).filter(|_| !bought);
            let _ = catalog.amend(book(step), Amend::StockDelta { delta: 3 }, key, None).await;
        }
        if step % 9 == 5 {
            let seen = catalog.info(book(step)).await.expect("a listed book can be read");
            let change = Amend::Set { price_cents: Some(cents(100 + n)), stock: Some(4), version: Some(seen.version) };
            let _ = catalog.amend(seen.id, change, None, None).await;
            catalog.search(Query::topic("testing")).await.expect("books can be found");
        }
        if step == 19 {
            server(0).orders(OrderQuery::default()).await.expect("orders can be read");
        }
    }
}

async fn work(shop: &Shop) {
    shop.shelve(&[12, 6, 2]).await;
    let buyers = (0..16).map(|n| {
        let servers = shop.orders.iter().map(|server| server.of_process(n)).collect();
        tokio::spawn(buyer(shop.catalog.of_process(n), servers, n))
    });
    for buyer in buyers.collect::<Vec<_>>() {
        buyer.await.expect("no buyer panics");
    }
    // Calls that were given up may still be under way; behind this one in the queue they are not.
    shop.catalog.amend(BookId(1), Amend::StockDelta { delta: 1 }, None, None).await.expect("a restock");
}

/// Asserts that a run is right, and that it was worth something.
async fn assert_right(shop: &Shop, options: &Options) {
    work(shop).await;
    let head = shop.plain.entries(Seq(0), 1, Duration::ZERO).await.expect("the ledger can be read").head;
    for copy in &shop.copies {
        while copy.followed().await.expect("a copy can be read").seq < head {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let mut end = shop.final_state().await;
    for server in &shop.orders {
        end.add_orders("an order server", server.as_ref()).await.expect("orders can be read");
    }
    let history = shop.recorder.history();
    let report = check::check(&history, &end, options);
    assert!(report.holds(), "{report}");
    let counts = report.counts;
    assert!(counts.at_once >= 2 && counts.replayed > 20 && counts.refused > 20 && counts.unknown > 0, "{counts:?}");
    let searched = check::search(&history, &[], options, check::SEARCH_BUDGET);
    assert!(searched.violations.is_empty(), "{searched}");
}

fn strict() -> Options {
    Options { cancellations: Cancellations::Everywhere, ..Options::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_monolith_in_memory_is_right() {
    let (store, reader) = memory::open(&SystemClock);
    assert_right(&Shop::monolith(store, reader), &strict()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn order_servers_with_copies_are_right() {
    assert_right(&Shop::of_three().await, &Options::default()).await;
}

#[cfg(feature = "sqlite")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_monolith_over_sqlite_is_right() {
    use bookstore_core::store::sqlite::{self, SqliteOptions};
    let folder = tempfile::tempdir().expect("a temporary folder");
    let opened = sqlite::open(&folder.path().join("shop.db"), &SystemClock, SqliteOptions::default());
    let (store, reader) = opened.expect("a new file can be opened");
    assert_right(&Shop::monolith(store, reader), &strict()).await;
}

/// A service with a fault of its own around one without.
struct Wrong<S: ?Sized> {
    service: Arc<S>,
    seen: Mutex<HashMap<BookId, Book>>,
}

impl<S: ?Sized> Wrong<S> {
    fn new(service: Arc<S>) -> Arc<Self> {
        Arc::new(Self { service, seen: Mutex::default() })
    }
}

/// Buys under a new id each time, as if no client ever retried.
#[async_trait]
impl OrderService for Wrong<dyn OrderService> {
    async fn purchase(&self, id: OrderId, lines: Lines) -> Result<Receipt> {
        let mut receipt = self.service.purchase(SystemClock.new_order_id(), lines).await?;
        receipt.order.id = id;
        Ok(receipt)
    }
    async fn cancel(&self, id: OrderId) -> Result<Receipt> {
        self.service.cancel(id).await
    }
    async fn change(&self, id: OrderId, action: OrderAction, by: Option<Actor>) -> Result<Receipt> {
        self.service.change(id, action, by).await
    }
    async fn order(&self, id: OrderId) -> Result<Order> {
        self.service.order(id).await
    }
    async fn orders(&self, query: OrderQuery) -> Result<OrderPage> {
        self.service.orders(query).await
    }
    async fn contact(&self, id: OrderId) -> Result<Option<Contact>> {
        self.service.contact(id).await
    }
}

/// Keeps every book that it has shown for ever, and sells only if that one is in stock.
#[async_trait]
impl CatalogService for Wrong<dyn CatalogService> {
    async fn info(&self, book: BookId) -> Result<Book> {
        let seen = self.seen.lock().expect("no code panics while it is locked").get(&book).cloned();
        if let Some(seen) = seen {
            return Ok(seen);
        }
        let fresh = self.service.info(book).await?;
        self.seen.lock().expect("no code panics while it is locked").insert(book, fresh.clone());
        Ok(fresh)
    }
    async fn sell(&self, order: OrderId, lines: Lines) -> Result<Receipt> {
        for line in &lines {
            let available = self.info(line.book).await?.stock;
            if available < line.quantity {
                return Err(Error::OutOfStock { book: line.book, available, short: Vec::new() });
            }
        }
        self.service.sell(order, lines).await
    }
    async fn search(&self, query: Query) -> Result<BookPage> {
        self.service.search(query).await
    }
    async fn topics(&self, query: TopicQuery) -> Result<TopicPage> {
        self.service.topics(query).await
    }
    async fn release(&self, order: OrderId) -> Result<Receipt> {
        self.service.release(order).await
    }
    async fn change_order(&self, order: OrderId, action: OrderAction, by: Option<Actor>) -> Result<Receipt> {
        self.service.change_order(order, action, by).await
    }
    async fn amend(&self, book: BookId, change: Amend, key: Option<OrderId>, by: Option<Actor>) -> Result<Book> {
        self.service.amend(book, change, key, by).await
    }
    async fn add_books(&self, books: Vec<NewBook>, by: Option<Actor>) -> Result<Vec<Added>> {
        self.service.add_books(books, by).await
    }
    async fn entries(&self, after: Seq, limit: usize, wait: Duration) -> Result<Entries> {
        self.service.entries(after, limit, wait).await
    }
    async fn find_order(&self, order: OrderId) -> Result<Order> {
        self.service.find_order(order).await
    }
    async fn find_contact(&self, order: OrderId) -> Result<Option<Contact>> {
        self.service.find_contact(order).await
    }
}

fn plain() -> (Arc<dyn CatalogService>, Arc<dyn OrderService>) {
    let (store, reader) = memory::open(&SystemClock);
    let catalog = start(store, reader);
    let orders = Arc::new(Orders::new(catalog.clone(), catalog.clone()));
    (catalog, orders)
}

#[tokio::test]
async fn a_shop_that_makes_its_own_ids_loses_and_makes_up_orders() {
    let (catalog, orders) = plain();
    let shop = Shop::over(catalog, vec![Wrong::new(orders)]);
    let book = shop.shelve(&[10]).await[0];
    let id = SystemClock.new_order_id();
    for _ in 0..2 {
        shop.orders[0].purchase(id, lines(&[(book, 1)])).await.expect("there are ten");
    }
    let report = shop.check(&strict()).await;
    let rules = report.rules();
    for rule in [Rule::NoLoss, Rule::NoPhantom] {
        assert!(rules.contains(&rule), "{report}");
    }
    assert_eq!(report.broken[&Rule::NoPhantom], 2);
}

#[tokio::test]
async fn a_cache_that_is_never_emptied_is_stale_and_lies() {
    let (catalog, _) = plain();
    let catalog: Arc<dyn CatalogService> = Wrong::new(catalog);
    let shop = Shop::over(catalog.clone(), Vec::new());
    let book = shop.shelve(&[1]).await[0];
    let buy = || shop.catalog.sell(SystemClock.new_order_id(), lines(&[(book, 1)]));
    shop.catalog.info(book).await.expect("listed");
    buy().await.expect("there is one");
    shop.catalog.info(book).await.expect("listed");
    let mut end = shop.final_state().await;
    end.levels = None;
    let check = |end: &FinalState, cached| check::check(&shop.recorder.history(), end, &Options { cached, ..strict() });
    assert!(check(&end, Cached::Never).rules().into_iter().eq([Rule::ReadYourWrites]));
    assert!(check(&end, Cached::Always).holds());
    // It also sees no restock after it has once seen an empty shelf.
    let empty = shop.shelve(&[1, 0]).await[1];
    shop.catalog.info(empty).await.expect("listed");
    shop.catalog.amend(empty, Amend::StockDelta { delta: 5 }, None, None).await.expect("a restock");
    let refused = shop.catalog.sell(SystemClock.new_order_id(), lines(&[(empty, 1)])).await;
    assert_eq!(refused, Err(Error::OutOfStock { book: empty, available: 0, short: Vec::new() }));
    end = shop.final_state().await;
    end.levels = None;
    assert!(check(&end, Cached::Always).rules().into_iter().eq([Rule::OutOfStock]));
}
