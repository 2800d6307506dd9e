//! The in-process transport: what it bounds, what it passes on, and what its faults can and cannot break.

mod faulty;
mod in_process;
mod races;
mod textbook;

use bookstore_core::{
    BookText, Catalog, CatalogOptions, CatalogService, Cents, NewBook, OrderService, Orders, SystemClock,
    store::{LedgerStore, memory},
    writer::Execution,
};
use std::sync::Arc;

/// A catalogue over a ledger in memory, whose store is `wrap`ped if need be.
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

fn book(stock: u32) -> NewBook {
    let text = BookText { title: "A book".into(), topic: "testing".into(), ..BookText::default() };
    NewBook { text, price_cents: Cents::new(1000).expect("a small amount"), stock }
}
