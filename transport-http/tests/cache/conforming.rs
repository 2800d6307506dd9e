//! A catalogue behind a cache, with orders that tell it, keeps every promise to those who go through it.

use bookstore_core::{
    Catalog, CatalogOptions, CatalogService, OrderService, Orders, SystemClock,
    conformance::{self, Deployment},
    store::memory,
};
use bookstore_transport_http::cache::{CacheOptions, CachedCatalog, ReadYourWrites};
use std::sync::Arc;

fn deployment() -> Deployment {
    let (store, reader) = memory::open(&SystemClock);
    let catalog =
        Catalog::start(store, reader.clone(), reader, Arc::new(SystemClock), CatalogOptions::default()).unwrap();
    let catalog = Arc::new(catalog);
    let orders: Arc<dyn OrderService> = Arc::new(Orders::new(catalog.clone(), catalog.clone()));
    let cache = Arc::new(CachedCatalog::start(catalog as Arc<dyn CatalogService>, CacheOptions::default()));
    Deployment::new(cache.clone(), Arc::new(ReadYourWrites::new(orders, cache)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cached_catalogue_conforms() {
    conformance::run_all("cached", async |_: &str| deployment()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cached_catalogue_conforms_with_every_keyed_call_sent_twice() {
    conformance::run_all("cached, repeated", async |_: &str| deployment().repeated()).await;
}
