//! The four servers: the real services, batches, HTTP and SQLite code, on simulated machines.

use bookstore_core::{
    BookId, Catalog, CatalogOptions, CatalogService, Clock, OrderReader, OrderService, Orders, Timestamp,
    decide::{Batch, Command},
    fixtures::book,
    follow::Follower,
    store::{
        Followed, LedgerCopy, LedgerStore, Projection as _, Recovered, StoreError,
        sqlite::{self, SqliteCopy, SqliteOptions},
    },
    writer::Execution,
};
use bookstore_transport_http::{
    api::{self, Shop},
    cache::{CachedCatalog, ReadYourWrites},
    client::Client,
    internal::{
        HistoryCheck, InternalOptions, PinCheck,
        catalog::{self, RemoteCatalog},
        orders::{self, RemoteOrders},
    },
    server,
};
use bookstore_transport_inproc::{Faults, Faulty, Rates};
use hyper_util::client::legacy::connect::Connect;
use rand::RngExt as _;
use std::{
    pin::pin,
    sync::{Arc, Mutex, atomic::Ordering},
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::sync::watch;
use uuid::Uuid;

use super::{
    bugs::Bug,
    copies::{ByNumber, SimCopy},
    coverage::Seen,
    hosts::Host,
    index::SimSearch,
    net::{SimListener, connector},
    services::Watched,
    store::SimStore,
    world::{Shared, SimClock},
};

/// SQLite where it is called: a thread would make every run another one.
pub(crate) const SQLITE: SqliteOptions = SqliteOptions {
    currency: None,
    execution: Execution::Task,
    readers: 1,
    waiting_reads_max: 1024,
    cached_texts: 16,
    wal_bytes_max: 1 << 30,
};

/// A ledger with the seed's books, as it is before the first start.
pub(crate) fn create_ledger(world: &Shared) -> Result<(), StoreError> {
    let path = world.disk(Host::Catalog).path();
    let (mut store, _reader) = sqlite::open(&path, &SimClock::new(world, Host::Catalog), SQLITE)?;
    let Recovered { mut state, mut flush, .. } = at_once(store.recover())?;
    let mut batch = Batch::default();
    for (at, stock) in world.plan.stocks.iter().enumerate() {
        let command = Command::AddBook { book: Box::new(book(&format!("Book {}", at + 1), *stock)), by: None };
        let listed = state.decide(&command, Timestamp(0), &mut batch);
        listed.map_err(|error| StoreError::Failed(error.to_string()))?;
    }
    state.finish(&batch);
    at_once(store.append(&batch, &state)).map_err(|error| StoreError::Failed(error.to_string()))?;
    at_once(flush.flush())?;
    at_once(store.close(&state))
}

/// What a future of the store gives, which does not wait.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("the store waits"),
    }
}

/// Every entry and level of the ledger's file, opened again.
pub(crate) fn reopened(world: &Shared) -> Result<(u64, Vec<(BookId, u32)>), StoreError> {
    let host = world.accident.ledger_host();
    let path = world.disk(host).path();
    let (mut store, _reader) = sqlite::open(&path, &SimClock::new(world, host), SQLITE)?;
    let state = at_once(store.recover())?.state;
    Ok((state.head.0, state.levels.iter().map(|(book, level)| (book, level.stock)).collect()))
}

/// One start of a server.
struct Start {
    world: Shared,
    host: Host,
    number: u64,
}

impl Start {
    fn new(world: &Shared, host: Host) -> Self {
        let activity = &world.activity[host as usize];
        activity.starting.store(true, Ordering::SeqCst);
        activity.calls.store(0, Ordering::SeqCst);
        let number = activity.starts.fetch_add(1, Ordering::SeqCst);
        world.note(format_args!("{host}: starts, number {number}"));
        Self { world: world.clone(), host, number }
    }

    fn seed(&self, purpose: u64) -> u64 {
        self.world.seed_for(self.host as u64 * 1000 + self.number * 10 + purpose)
    }

    fn client(&self, to: &[Host], inner: bool) -> Client<impl Connect + Clone + Send + Sync + 'static> {
        let urls: Vec<String> = to.iter().map(|host| host.url()).collect();
        let options = self.world.client_options(inner, self.seed(to.len() as u64));
        Client::new(connector(&self.world, self.host), &urls, options).expect("these are URLs")
    }

    /// Time to be crashed in while starting.
    async fn takes_time(&self) {
        let most = if self.world.is_healed() { 5 } else { 60 };
        let millis = self.world.disk(self.host).draw(|rng| rng.random_range(1..most));
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }

    /// Puts a service behind a bad network, until the faults end.
    fn faulty<S: ?Sized + Send + Sync + 'static>(&self, service: Arc<S>) -> Arc<Faulty<S>> {
        let rates = if self.world.is_healed() { Rates::default() } else { self.world.plan.rates };
        let faulty = Arc::new(Faulty::new(service, rates, self.seed(3)));
        let (watched, world) = (Arc::downgrade(&faulty), self.world.clone());
        tokio::spawn(async move {
            let mut before = Faults::default();
            while let Some(faulty) = watched.upgrade() {
                if world.is_healed() {
                    faulty.set_rates(Rates::default());
                }
                let now = faulty.faults();
                let coverage = &world.coverage;
                coverage.add(Seen::Refused, now.overloaded - before.overloaded);
                coverage.add(Seen::RequestLost, now.requests_lost - before.requests_lost);
                coverage.add(Seen::ReplyLost, now.replies_lost - before.replies_lost);
                coverage.add(Seen::Duplicated, now.duplicated - before.duplicated);
                coverage.add(Seen::Delayed, now.delayed - before.delayed);
                before = now;
                drop(faulty);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        faulty
    }

    async fn serve(self, router: axum::Router) -> turmoil::Result {
        let listener = SimListener::bind().await?;
        self.world.activity[self.host as usize].starting.store(false, Ordering::SeqCst);
        self.world.note(format_args!("{}: serves", self.host));
        server::serve(listener, router, self.world.plan.server_limits(), std::future::pending::<()>()).await;
        Ok(())
    }
}

fn internal(world: &Shared) -> InternalOptions {
    InternalOptions { token: Some(world.token.clone()), ..InternalOptions::default() }
}

/// The catalog server.
pub(crate) async fn catalog_server(world: Shared) -> turmoil::Result {
    serve_catalog(world, Host::Catalog).await
}

/// A catalog server on the spare machine, once an operator starts one. If it cannot open its file, it ends.
pub(crate) async fn spare_server(world: Shared) -> turmoil::Result {
    while !world.accident.spare_starts.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    serve_catalog(world, Host::Spare).await
}

async fn serve_catalog(world: Shared, host: Host) -> turmoil::Result {
    let start = Start::new(&world, host);
    let ledger = loop {
        start.takes_time().await;
        match open_ledger(&world, host) {
            Ok(ledger) => break Arc::new(ledger),
            Err(StoreError::InUse(_)) if host == Host::Spare => {
                world.coverage.saw(Seen::SecondName);
                world.note(format_args!("{host}: the file is in use"));
                return std::future::pending().await;
            }
            Err(error) => world.note(format_args!("{host}: cannot open: {error}")),
        }
    };
    world.serves(&ledger);
    start.takes_time().await;
    watch_superseded(&world, host, &ledger);
    let (mut pin, mut history) = (Some(PinCheck::of(&ledger)), Some(HistoryCheck::of(&ledger)));
    if world.has(Bug::OldCatalogSells) {
        (pin, history) = (None, None);
    }
    let options = InternalOptions { pin, history, ..internal(&world) };
    let service: Arc<dyn CatalogService> = Arc::new(Watched::new(ledger, &world, host));
    let router = catalog::router(service, options);
    start.serve(router).await
}

fn open_ledger(world: &Shared, host: Host) -> Result<Catalog, StoreError> {
    let disk = Arc::clone(world.disk(host));
    let clock = Arc::new(SimClock::new(world, host));
    let path = disk.path();
    let log = std::fs::metadata(path.with_extension("db-wal")).map_or(0, |log| log.len());
    if log > 0 {
        world.coverage.saw(Seen::WalRecovered);
    }
    let (store, reader) = sqlite::open(&path, clock.as_ref(), SQLITE)?;
    let limits = world.plan.writer_limits();
    let options = CatalogOptions { limits, execution: Execution::Task, ..CatalogOptions::default() };
    let accident = &world.accident;
    let opened =
        accident.rolled_back_to.lock().expect("nobody panics with it").take().filter(|_| host == Host::Catalog);
    let clock = Arc::new(OpenedAs { clock: (*clock).clone(), opened: Mutex::new(opened) });
    let store = SimStore::new(store, disk, world);
    let catalog = if world.plan.indexed {
        let search = Arc::new(SimSearch::open(world, host, reader.clone()));
        let catalog = Catalog::start(store, reader, search.clone(), clock, options)?;
        search.begin(catalog.head());
        catalog
    } else {
        Catalog::start(store, reader.clone(), reader, clock, options)?
    };
    if host == Host::Catalog {
        assert!(opened.is_none_or(|opened| opened == catalog.incarnation()), "a catalog draws its incarnation first");
        *accident.incarnation.lock().expect("nobody panics with it") = Some(catalog.incarnation());
    }
    Ok(catalog)
}

/// The clock of a catalog whose memory says how it was opened: of a machine that was rolled back.
struct OpenedAs {
    clock: SimClock,
    opened: Mutex<Option<Uuid>>,
}

impl Clock for OpenedAs {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn new_id(&self) -> Uuid {
        self.opened.lock().expect("nobody panics with it").take().unwrap_or_else(|| self.clock.new_id())
    }
}

/// Notes when the catalog has stopped for good, since the ledger goes on elsewhere.
fn watch_superseded(world: &Shared, host: Host, ledger: &Arc<Catalog>) {
    if host != Host::Catalog || !world.plan.loses_catalog() {
        return;
    }
    let (world, ledger) = (world.clone(), Arc::downgrade(ledger));
    tokio::spawn(async move {
        while let Some(ledger) = ledger.upgrade() {
            if ledger.is_superseded() {
                world.note(format_args!("{host}: has stopped, the ledger goes on elsewhere"));
                return world.accident.superseded.store(true, Ordering::SeqCst);
            }
            drop(ledger);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
}

/// An order server.
pub(crate) async fn order_server(world: Shared, host: Host) -> turmoil::Result {
    let start = Start::new(&world, host);
    start.takes_time().await;
    let path = world.disk(host).path();
    let copy = SqliteCopy::open(&path, SQLITE).and_then(|copy| copy.acknowledging(world.plan.ack));
    let copy = copy.map_err(|error| error.to_string())?;
    world.disk(host).mark_durable();
    note_copy(&world, host, &copy).await?;
    start.takes_time().await;
    let client = start.client(world.catalogs(), true);
    let remote = start.faulty(Arc::new(RemoteCatalog::new(client.clone())));
    let copy = Arc::new(SimCopy::new(copy, host, &world));
    let mut catalog = Watched::new(remote, &world, host);
    if world.has(Bug::FollowsWithoutComparing) {
        catalog = catalog.uncompared(Arc::clone(&copy));
    }
    let catalog: Arc<dyn CatalogService> = Arc::new(catalog);
    let copy: Arc<dyn LedgerCopy> = copy;
    let follower = Arc::new(Follower::start(Arc::clone(&catalog), copy).await?);
    watch_following(&world, host, &follower);
    watch_refused(&world, host, follower.refused());
    let reader: Arc<dyn OrderReader> = follower.clone();
    let client = client.showing(follower.pinned());
    let remote = start.faulty(Arc::new(RemoteCatalog::new(client).pinned(follower.pinned())));
    let catalog = Arc::new(Watched::new(remote, &world, host));
    let reader = if world.has(Bug::AcknowledgesByNumber) { ByNumber::over(reader, host, &world) } else { reader };
    let orders = Orders::new(catalog, reader).acknowledge(world.plan.ack, follower.followed());
    let orders = orders.refuse_while(follower.refused()).forget_with(follower.pinned());
    let options = InternalOptions { history: Some(HistoryCheck::following(follower.pinned())), ..internal(&world) };
    let router = orders::router(Arc::new(Watched::new(Arc::new(orders), &world, host)), None, options);
    start.serve(router).await
}

/// Notes how far a copy is that was opened.
async fn note_copy(world: &Shared, host: Host, copy: &SqliteCopy) -> turmoil::Result {
    let Followed { identity, seq, .. } = copy.followed().await?;
    let seller = world.accident.seller(host).expect("an order server has a copy");
    seller.note_followed(seq, identity.map_or(0, |identity| identity.timelines.len()));
    seller.note_refused(world, host, None);
    Ok(())
}

/// Notes whether an order server refuses the ledger.
fn watch_refused(world: &Shared, host: Host, mut refused: watch::Receiver<Option<String>>) {
    let world = world.clone();
    tokio::spawn(async move {
        let mut before = None;
        while refused.changed().await.is_ok() {
            let why = refused.borrow_and_update().clone();
            if std::mem::replace(&mut before, why.clone()) == why {
                continue;
            }
            let seller = world.accident.seller(host).expect("an order server has a copy");
            seller.note_refused(&world, host, why.as_deref());
        }
    });
}

/// Counts a copy that was behind when it was opened and has caught up.
fn watch_following(world: &Shared, host: Host, follower: &Follower<dyn LedgerCopy>) {
    let (world, mut caught_up, followed) = (world.clone(), follower.caught_up(), follower.followed());
    let first = *followed.borrow();
    tokio::spawn(async move {
        if caught_up.wait_for(|caught_up| *caught_up).await.is_ok() && *followed.borrow() > first {
            world.coverage.saw(Seen::CaughtUp);
            world.note(format_args!("{host}: caught up from {first}"));
        }
    });
}

/// The frontend.
pub(crate) async fn frontend_server(world: Shared) -> turmoil::Result {
    let start = Start::new(&world, Host::Frontend);
    world.bad_cache().clear();
    start.takes_time().await;
    let clients = [start.client(world.catalogs(), false), start.client(&[Host::Order1, Host::Order2], false)];
    let mut catalog: Arc<dyn CatalogService> = Arc::new(RemoteCatalog::new(clients[0].clone()));
    let mut orders: Arc<dyn OrderService> = start.faulty(Arc::new(RemoteOrders::new(clients[1].clone())));
    if let Some(options) = world.plan.cache {
        let cache = Arc::new(CachedCatalog::start(catalog, options));
        for client in clients {
            let _ = client.showing(cache.history());
        }
        orders = Arc::new(ReadYourWrites::new(orders, Arc::clone(&cache)));
        watch_cache(&world, &cache);
        catalog = cache;
    }
    let catalog = Arc::new(Watched::new(catalog, &world, Host::Frontend));
    let orders = Arc::new(Watched::new(orders, &world, Host::Frontend));
    let clock = Arc::new(SimClock::new(&world, Host::Frontend));
    let shop = Shop::new(catalog, orders, clock, Some(world.token.clone()));
    start.serve(api::router(shop, axum::Router::new())).await
}

/// Counts what the cache has done, now and then.
fn watch_cache(world: &Shared, cache: &Arc<CachedCatalog>) {
    let (world, cache) = (world.clone(), Arc::downgrade(cache));
    tokio::spawn(async move {
        let (mut hits, mut stale) = (0, 0);
        while let Some(cache) = cache.upgrade() {
            let stats = cache.stats();
            world.coverage.add(Seen::CacheHit, stats.hits - hits);
            world.coverage.add(Seen::CacheStale, stats.served_stale - stale);
            (hits, stale) = (stats.hits, stats.served_stale);
            drop(cache);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
}
