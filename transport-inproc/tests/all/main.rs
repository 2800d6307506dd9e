//! The in-process transport: what it bounds, what it passes on, and what its faults can and cannot break.

mod faulty;
mod in_process;
mod races;
mod textbook;

use bookstore_core::{
    Catalog, CatalogOptions, CatalogService, OrderService, Orders, SystemClock,
    store::{LedgerStore, memory},
    writer::Execution,
};
use std::sync::Arc;

/// A catalogue over a ledger in memory; `wrap` may put something around its store.
fn catalog<S: LedgerStore>(wrap: impl FnOnce(memory::MemoryStore) -> S, execution: Execution) -> Arc<Catalog> {
    let (store, reader) = memory::open(&SystemClock);
    let options = CatalogOptions { execution, ..CatalogOptions::default() };
    let catalog = Catalog::start(wrap(store), reader.clone(), reader, Arc::new(SystemClock), options);
    Arc::new(catalog.expect("memory can be used"))
}

/// Both services over one catalogue.
fn monolith(catalog: Arc<Catalog>) -> (Arc<dyn CatalogService>, Arc<dyn OrderService>) {
    (catalog.clone(), Arc::new(Orders::new(catalog.clone(), catalog)))
}
