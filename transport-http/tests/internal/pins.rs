//! A catalog that was started again, with the same ledger or another one, under the address that its sellers know.

use axum::{Router, extract::Request};
use bookstore_core::{
    BookId, Catalog, CatalogOptions, CatalogService, Clock as _, Executed, Lines, Seq, SystemClock,
    follow::Follower,
    store::memory::{self, MemoryCopy},
};
use bookstore_transport_http::{
    client::ClientOptions,
    internal::{
        InternalOptions, PinCheck,
        catalog::{self, RemoteCatalog},
    },
    server::ServerLimits,
};
use std::sync::{Arc, RwLock};
use tower::ServiceExt as _;

use crate::support::{Running, book, client, serve};

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
    catalog.add_books(vec![book("A book", 100)]).await.unwrap();
    (catalog, reader)
}

fn one() -> Lines {
    Lines::one(BookId(1), 1).unwrap()
}

/// What sells through a server as an order server does, and its follower.
async fn seller(server: &Exchangeable) -> (RemoteCatalog, Follower<MemoryCopy>) {
    let client = client(&[server.server.url()], ClientOptions::default());
    let catalog = Arc::new(RemoteCatalog::new(client.clone()));
    let follower = Follower::start(catalog, Arc::new(MemoryCopy::new())).await.unwrap();
    (RemoteCatalog::new(client).pinned(follower.pinned()), follower)
}

#[tokio::test(flavor = "multi_thread")]
async fn another_ledger_under_the_same_address_sells_nothing() {
    let ((first, _), (second, _)) = (a_shop().await, a_shop().await);
    let server = Exchangeable::new(&first).await;
    let (seller, follower) = seller(&server).await;
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
    let (seller, follower) = seller(&server).await;
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
