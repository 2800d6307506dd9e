//! A catalog that was started again, with the same ledger or another one, under the address that its sellers know.

use axum::{Router, extract::Request};
use bookstore_core::{
    BookId, Catalog, CatalogOptions, CatalogService, Clock, Error, Executed, Lines, Order, OrderId, OrderService,
    Orders, Seq, SystemClock, Timestamp,
    fixtures::cents,
    follow::Follower,
    service::Ack,
    store::memory::{self, MemoryCopy},
};
use bookstore_transport_http::{
    client::ClientOptions,
    internal::{
        InternalOptions, PinCheck,
        catalog::{self, RemoteCatalog},
        orders::{self, RemoteOrders},
    },
    server::ServerLimits,
};
use std::sync::{
    Arc, RwLock,
    atomic::{AtomicU64, Ordering},
};
use tower::ServiceExt as _;
use uuid::Uuid;

use crate::support::{PATIENCE, Running, book, client, serve};

/// A server whose catalog can be exchanged.
struct Exchangeable {
    server: Running,
    router: Arc<RwLock<Router>>,
}

impl Exchangeable {
    async fn new(catalog: &Arc<Catalog>) -> Self {
        let router = Arc::new(RwLock::new(router(catalog)));
        let current = Arc::clone(&router);
        let answer = move |request: Request| {
            let router = current.read().unwrap().clone();
            router.oneshot(request)
        };
        let server = serve(Router::new().fallback_service(tower::service_fn(answer)), ServerLimits::default()).await;
        Self { server, router }
    }

    fn exchange(&self, catalog: &Arc<Catalog>) {
        *self.router.write().unwrap() = router(catalog);
    }
}

fn router(catalog: &Arc<Catalog>) -> Router {
    let options = InternalOptions { pin: Some(PinCheck::of(catalog)), ..InternalOptions::default() };
    catalog::router(Arc::clone(catalog) as Arc<dyn CatalogService>, options)
}

fn started(store: memory::MemoryStore, reader: &Arc<memory::MemoryReader>) -> Arc<Catalog> {
    let (reader, clock) = (Arc::clone(reader), Arc::new(SystemClock));
    Arc::new(Catalog::start(store, reader.clone(), reader, clock, CatalogOptions::default()).unwrap())
}

async fn a_shop() -> (Arc<Catalog>, Arc<memory::MemoryReader>) {
    let (store, reader) = memory::open(&SystemClock);
    let catalog = started(store, &reader);
    catalog.add_books(vec![book("A book", 100)], None).await.unwrap();
    (catalog, reader)
}

fn one() -> Lines {
    Lines::one(BookId(1), 1).unwrap()
}

/// What sells through a server as an order server does, and its follower.
async fn seller(server: &Exchangeable, options: ClientOptions) -> (RemoteCatalog, Follower<MemoryCopy>) {
    let client = client(&[server.server.url()], options);
    let catalog = Arc::new(RemoteCatalog::new(client.clone()));
    let follower = Follower::start(catalog, Arc::new(MemoryCopy::new())).await.unwrap();
    (RemoteCatalog::new(client).pinned(follower.pinned()), follower)
}

#[tokio::test(flavor = "multi_thread")]
async fn another_ledger_under_the_same_address_sells_nothing() {
    let ((first, _), (second, _)) = (a_shop().await, a_shop().await);
    let server = Exchangeable::new(&first).await;
    let (seller, follower) = seller(&server, ClientOptions::default()).await;
    seller.sell(SystemClock.new_order_id(), one()).await.unwrap();
    server.exchange(&second);
    // The very next calls, one by one and as a batch, before the follower can have noticed.
    let alone = seller.sell(SystemClock.new_order_id(), one()).await.unwrap_err();
    let batch = seller.sell_many(vec![(SystemClock.new_order_id(), one())]).await.remove(0).unwrap_err();
    for refused in [alone, batch] {
        assert_eq!(refused.executed(), Executed::No, "{refused}");
    }
    assert_eq!(second.head(), Seq(1), "nothing was sold");
    follower.refused().wait_for(Option::is_some).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_that_was_started_again_sells_on_once_it_is_compared() {
    let (first, ledger) = a_shop().await;
    let server = Exchangeable::new(&first).await;
    let (seller, follower) = seller(&server, ClientOptions::default()).await;
    let id = SystemClock.new_order_id();
    let sold = seller.sell(id, one()).await.unwrap();
    for restart in 0..3 {
        let again = started(ledger.reopen(), &ledger);
        assert_ne!(again.incarnation(), first.incarnation());
        server.exchange(&again);
        let refused = again.check_pin(follower.pinned().current().unwrap());
        refused.expect_err("it is not compared yet");
        let repeated = seller.sell(id, one()).await.expect("the retries bridge the comparison");
        assert!(repeated.replayed && repeated.order == sold.order);
        let many = (0..10).map(|_| (SystemClock.new_order_id(), one())).collect();
        for sold in seller.sell_many(many).await {
            sold.expect("it was compared");
        }
        assert_eq!(again.head(), Seq(2 + 10 * (restart + 1)));
    }
    assert_eq!(*follower.refused().borrow(), None);
}

/// A clock that gives the same times and ids each time: a machine that goes back to a snapshot has the memory that it had then.
#[derive(Default)]
struct Snapshot(AtomicU64);

impl Clock for Snapshot {
    fn now(&self) -> Timestamp {
        Timestamp(1_767_225_600_000)
    }

    fn new_id(&self) -> Uuid {
        Uuid::from_u128(u128::from(self.0.fetch_add(1, Ordering::SeqCst)) + 1)
    }
}

/// The catalog of such a machine, as it is after these sales: opened alike, with the same ledger up to there.
async fn after(sales: &[OrderId]) -> (Arc<Catalog>, Arc<memory::MemoryReader>) {
    let clock = Arc::new(Snapshot::default());
    let (store, reader) = memory::open(clock.as_ref());
    let catalog = Catalog::start(store, reader.clone(), reader.clone(), clock, CatalogOptions::default()).unwrap();
    catalog.add_books(vec![book("A book", 100)], None).await.unwrap();
    for sale in sales {
        catalog.sell(*sale, one()).await.unwrap();
    }
    (Arc::new(catalog), reader)
}

/// An order server over HTTP, in front of a catalog that can be exchanged.
async fn order_server(catalog: &Exchangeable) -> (Running, RemoteOrders, Arc<Follower<MemoryCopy>>) {
    let (seller, follower) = seller(catalog, ClientOptions::inner()).await;
    let follower = Arc::new(follower);
    let orders = Orders::new(Arc::new(seller), follower.clone()).acknowledge(Ack::Ledger, follower.followed());
    let orders = orders.refuse_while(follower.refused()).forget_with(follower.pinned());
    let server =
        serve(orders::router(Arc::new(orders), None, InternalOptions::default()), ServerLimits::default()).await;
    let remote = RemoteOrders::new(client(&[server.url()], ClientOptions::default()));
    (server, remote, follower)
}

async fn refused(orders: &RemoteOrders) -> String {
    let refused = orders.purchase(SystemClock.new_order_id(), one()).await.unwrap_err();
    assert_eq!(refused.executed(), Executed::No, "{refused}");
    refused.to_string()
}

/// Its files and its memory went back together, so nothing on it shows that anything has happened.
#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_that_is_rolled_back_with_its_memory_sells_nothing() {
    let sales: Vec<OrderId> = (0..3).map(|_| SystemClock.new_order_id()).collect();
    let (first, ledger) = after(&[]).await;
    let server = Exchangeable::new(&first).await;
    let (_server, orders, follower) = order_server(&server).await;
    let mut sold: Vec<Order> = Vec::new();
    for sale in &sales {
        sold.push(orders.purchase(*sale, one()).await.unwrap().order);
    }
    follower.followed().wait_for(|followed| *followed >= first.head()).await.unwrap();
    let (snapshot, _) = after(&sales[..2]).await;
    assert_eq!((snapshot.incarnation(), snapshot.identity()), (first.incarnation(), first.identity()));
    assert_eq!((snapshot.head(), first.head()), (Seq(3), Seq(4)));
    server.exchange(&snapshot);
    refused(&orders).await;
    assert_eq!(snapshot.head(), Seq(3), "nothing was sold");

    // It grows by changes that nobody compares: its number is the one that was seen, and then a higher one.
    for restock in 0..2 {
        let price = bookstore_core::Amend::Set { price_cents: Some(cents(2000 + restock)), stock: None, version: None };
        snapshot.amend(BookId(1), price, None, None).await.unwrap();
        refused(&orders).await;
    }
    follower.refused().wait_for(Option::is_some).await.unwrap();
    let told = refused(&orders).await;
    assert!(told.contains("restore --replace"), "{told}");
    assert_eq!(snapshot.head(), Seq(5), "nothing was sold");
    assert_eq!(orders.order(sales[2]).await.as_ref(), Ok(&sold[2]), "orders can be read");

    // Started on the right files.
    server.exchange(&started(ledger.reopen(), &ledger));
    let again = async {
        loop {
            match orders.purchase(sales[2], one()).await {
                Ok(receipt) => return receipt,
                Err(error @ Error::OutcomeUnknown { .. }) => panic!("{error}"),
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    let again = tokio::time::timeout(PATIENCE, again).await.expect("it is compared again");
    assert!(again.replayed && again.order == sold[2]);
}
