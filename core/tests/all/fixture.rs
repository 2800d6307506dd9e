//! What the tests share.

#[cfg(feature = "search")]
use bookstore_core::search::IndexedSearch;
use bookstore_core::{
    Catalog, CatalogOptions, CatalogService, OrderService, Orders, SystemClock,
    conformance::Deployment,
    follow::Follower,
    orders::Ack,
    store::{LedgerCopy, LedgerReader, LedgerStore},
};
use futures_util::FutureExt as _;
#[cfg(feature = "search")]
use std::path::Path;
use std::sync::Arc;

pub(crate) use bookstore_core::fixtures::book;

/// What a future gives that does not wait, as those of the stores here.
pub(crate) fn at_once<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("this store does not wait")
}

/// A monolith over a store.
pub(crate) fn monolith(
    store: impl LedgerStore,
    reader: Arc<impl LedgerReader + 'static>,
    options: CatalogOptions,
) -> (Arc<dyn CatalogService>, Arc<dyn OrderService>) {
    let catalog = Catalog::start(store, reader.clone(), reader, Arc::new(SystemClock), options);
    let catalog = Arc::new(catalog.expect("the store can be used"));
    let orders = Orders::new(catalog.clone(), catalog.clone());
    (catalog, Arc::new(orders))
}

/// A monolith over a store with an index in a folder, or in memory, as the conformance suite takes it.
#[cfg(feature = "search")]
pub(crate) fn indexed(
    store: impl LedgerStore,
    reader: Arc<impl LedgerReader + 'static>,
    folder: Option<&Path>,
) -> Deployment {
    let search = Arc::new(IndexedSearch::open(folder, reader.clone()));
    let catalog = Catalog::start(store, reader, search, Arc::new(SystemClock), CatalogOptions::default());
    let catalog = Arc::new(catalog.expect("the store can be used"));
    Deployment::new(catalog.clone(), Arc::new(Orders::new(catalog.clone(), catalog)))
}

/// A monolith over a store, as the conformance suite takes it.
pub(crate) fn deployment(
    store: impl LedgerStore,
    reader: Arc<impl LedgerReader + 'static>,
    options: CatalogOptions,
) -> Deployment {
    let (catalog, orders) = monolith(store, reader, options);
    Deployment::new(catalog, orders)
}

/// A catalogue, and an order server beside it that reads from a copy of its own.
pub(crate) async fn with_copy(
    catalog: Arc<dyn CatalogService>,
    copy: Arc<dyn LedgerCopy>,
    ack: Ack,
) -> Arc<dyn OrderService> {
    let follower = Follower::start(Arc::clone(&catalog), copy).await.expect("a copy can be read");
    let followed = follower.followed();
    Arc::new(Orders::new(catalog, Arc::new(follower)).acknowledge(ack, followed))
}
