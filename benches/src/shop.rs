//! The shop in one process, wired as the executable wires it: the services, the limits of direct calls, and a store that
//! counts its flushes.

use async_trait::async_trait;
use bookstore_core::{
    Catalog, CatalogOptions, CatalogService, Clock, NewBook, OrderId, OrderService, Orders, SystemClock,
    catalog::ADD_BOOKS_MAX,
    decide::{Batch, State},
    store::{
        AppendError, Flush, LedgerStore, Recovered, StoreError, memory,
        sqlite::{self, SqliteOptions},
    },
};
use bookstore_transport_inproc::InProcess;
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Where the ledger is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Store {
    /// In memory, not durable.
    Memory,
    /// In this SQLite file, every acknowledged purchase flushed.
    Sqlite(PathBuf),
}

/// The services of one process.
pub struct Shop {
    /// The catalogue.
    pub catalog: Arc<Catalog>,
    /// The orders.
    pub orders: Arc<Arc<dyn OrderService>>,
    /// What the store has done.
    pub counts: Arc<Counts>,
}

impl fmt::Debug for Shop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shop").field("counts", &self.counts).finish_non_exhaustive()
    }
}

impl Shop {
    /// Opens a shop, or makes it. To be called within a runtime.
    ///
    /// # Panics
    /// If the store fails.
    #[must_use]
    pub fn open(store: &Store) -> Self {
        Self::open_with(store, Arc::new(SystemClock))
    }

    /// The same with another clock.
    ///
    /// # Panics
    /// If the store fails.
    #[must_use]
    pub fn open_with(store: &Store, clock: Arc<dyn Clock>) -> Self {
        let options = CatalogOptions::default();
        let counts = Arc::new(Counts::default());
        let catalog = match store {
            Store::Memory => {
                let (store, reader) = memory::open(clock.as_ref());
                let store = Counted { store, counts: Arc::clone(&counts) };
                Catalog::start(store, reader.clone(), reader, clock, options)
            }
            Store::Sqlite(path) => {
                let opened = sqlite::open(path, clock.as_ref(), SqliteOptions::default());
                let (store, reader) = opened.expect("the store opens");
                let store = Counted { store, counts: Arc::clone(&counts) };
                Catalog::start(store, reader.clone(), reader, clock, options)
            }
        };
        let catalog = Arc::new(catalog.expect("the store starts"));
        let limited: Arc<dyn CatalogService> = Arc::new(InProcess::new(Arc::clone(&catalog)));
        let orders: Arc<dyn OrderService> = Arc::new(Orders::new(limited, Arc::clone(&catalog) as _));
        Self { catalog, orders: Arc::new(orders), counts }
    }

    /// Adds books.
    ///
    /// # Panics
    /// If the store fails.
    pub async fn add_books(&self, books: impl Iterator<Item = NewBook>) {
        let mut books = books.peekable();
        while books.peek().is_some() {
            let some = books.by_ref().take(ADD_BOOKS_MAX).collect();
            self.catalog.add_books(some, None).await.expect("books can be added");
        }
    }

    /// Closes the store and waits until it is.
    pub async fn close(self) {
        let closed = self.catalog.closed();
        drop(self);
        closed.wait().await;
    }
}

/// Makes a store file with these books, and closes it.
///
/// # Panics
/// If the store fails.
pub async fn prepare(path: &Path, books: impl Iterator<Item = NewBook>) {
    let shop = Shop::open(&Store::Sqlite(path.to_owned()));
    shop.add_books(books).await;
    shop.close().await;
}

/// What a store has done.
#[derive(Debug, Default)]
pub struct Counts {
    /// Entries appended.
    pub entries: AtomicU64,
    /// Times that appended entries were made durable.
    pub flushes: AtomicU64,
}

impl Counts {
    /// Entries and flushes so far.
    pub fn so_far(&self) -> (u64, u64) {
        (self.entries.load(Ordering::Relaxed), self.flushes.load(Ordering::Relaxed))
    }
}

/// A store that counts entries and flushes, and is the wrapped one otherwise.
struct Counted<S> {
    store: S,
    counts: Arc<Counts>,
}

impl<S: LedgerStore> LedgerStore for Counted<S> {
    async fn recover(&mut self) -> Result<Recovered, StoreError> {
        let mut recovered = self.store.recover().await?;
        recovered.flush = Box::new(CountedFlush { flush: recovered.flush, counts: Arc::clone(&self.counts) });
        Ok(recovered)
    }

    async fn load(&mut self, keys: &[OrderId], identities: &[String], state: &mut State) -> Result<(), StoreError> {
        self.store.load(keys, identities, state).await
    }

    async fn load_contacts(&mut self, orders: &[OrderId], state: &mut State) -> Result<(), StoreError> {
        self.store.load_contacts(orders, state).await
    }

    async fn append(&mut self, batch: &Batch, state: &State) -> Result<(), AppendError> {
        self.counts.entries.fetch_add(batch.entries.len() as u64, Ordering::Relaxed);
        self.store.append(batch, state).await
    }

    async fn confirm(&mut self) -> Result<(), StoreError> {
        self.store.confirm().await
    }

    async fn close(&mut self, state: &State) -> Result<(), StoreError> {
        self.store.close(state).await
    }
}

struct CountedFlush {
    flush: Box<dyn Flush>,
    counts: Arc<Counts>,
}

#[async_trait]
impl Flush for CountedFlush {
    async fn flush(&mut self) -> Result<(), StoreError> {
        self.counts.flushes.fetch_add(1, Ordering::Relaxed);
        self.flush.flush().await
    }
}
