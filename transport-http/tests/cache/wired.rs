//! The cache over HTTP, as a frontend has it.

use bookstore_core::{CatalogService, Lines};
use bookstore_core::{Clock as _, SystemClock};
use bookstore_transport_http::{
    cache::{CacheOptions, CachedCatalog},
    client::{Client, ClientOptions},
    internal::InternalOptions,
    internal::catalog::{self, RemoteCatalog},
    server::{self, ServerLimits},
};
use std::{future::pending, sync::Arc, time::Duration};
use tokio::{net::TcpListener, time::timeout};

use crate::support::{ONE, catalog as in_memory, new_book};

const TEST_TIMEOUT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_sale_at_the_catalog_server_reaches_the_cache() {
    let ledger = in_memory();
    ledger.add_books(vec![new_book("Book 1", 10)], None).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = catalog::router(Arc::clone(&ledger) as Arc<dyn CatalogService>, InternalOptions::default());
    tokio::spawn(server::serve(server::tcp(listener), router, ServerLimits::default(), pending::<()>()));

    let remote = RemoteCatalog::new(Client::http(&[url], ClientOptions::default()).unwrap());
    let cache = CachedCatalog::start(Arc::new(remote), CacheOptions::default());
    let mut followed = cache.followed();
    timeout(TEST_TIMEOUT, followed.wait_for(|seq| *seq == ledger.head())).await.expect("it finds the end").unwrap();
    assert_eq!(cache.info(ONE).await.unwrap().stock, 10);
    let lines = Lines::one(ONE, 3).unwrap();
    let sold = ledger.sell(SystemClock.new_order_id(), lines).await.unwrap().order.seq;
    timeout(TEST_TIMEOUT, followed.wait_for(|seq| *seq == sold)).await.expect("it follows").unwrap();
    let book = cache.info(ONE).await.unwrap();
    assert_eq!((book.stock, book.version), (7, sold));
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses), (1, 1));
}
