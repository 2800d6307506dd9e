//! A shop of ours to buy in: a store, the services, and perhaps HTTP between.

use bookstore_core::{
    BookText, Catalog, CatalogOptions, CatalogService, Cents, NewBook, OrderService, Orders, SystemClock,
    catalog::LIST_MAX,
    store::{
        memory,
        sqlite::{self, SqliteOptions},
    },
};
use bookstore_transport_http::{
    client::{Client, ClientOptions},
    frontend,
    server::{serve, tcp},
};
use std::{path::Path, sync::Arc};

/// Where the ledger is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// In memory, not durable.
    Memory,
    /// In a SQLite file, every acknowledged purchase flushed.
    Sqlite,
}

impl Store {
    /// Its name in the benchmarks' ids.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Sqlite => "sqlite",
        }
    }
}

/// The services of one process.
pub struct Shop {
    /// The catalogue.
    pub catalog: Arc<Catalog>,
    /// The orders.
    pub orders: Arc<dyn OrderService>,
}

impl Shop {
    /// A shop in `folder` with `books` books of `stock` copies each.
    ///
    /// # Panics
    /// If the store fails.
    pub async fn open(store: Store, folder: &Path, books: u64, stock: u32) -> Self {
        let (clock, options) = (Arc::new(SystemClock), CatalogOptions::default());
        let catalog = match store {
            Store::Memory => {
                let (store, reader) = memory::open(clock.as_ref());
                Catalog::start(store, reader, clock, options)
            }
            Store::Sqlite => {
                let opened = sqlite::open(&folder.join("shop.db"), clock.as_ref(), SqliteOptions::default());
                let (store, reader) = opened.expect("a new store opens");
                Catalog::start(store, reader, clock, options)
            }
        };
        let catalog = Arc::new(catalog.expect("a new store starts"));
        let new_book = |n: u64| NewBook {
            text: BookText { title: format!("Book {n}"), topic: "races".into(), ..BookText::default() },
            price_cents: Cents::new(1999).expect("small"),
            stock,
        };
        let all: Vec<NewBook> = (1..=books).map(new_book).collect();
        for some in all.chunks(LIST_MAX) {
            catalog.list(some.to_vec()).await.expect("books can be listed");
        }
        let orders: Arc<dyn OrderService> = Arc::new(Orders::new(Arc::clone(&catalog) as _, Arc::clone(&catalog) as _));
        Self { catalog, orders }
    }
}

/// A shop's public interface on loopback, until dropped.
pub struct Served {
    /// Its address.
    pub url: String,
    server: tokio::task::JoinHandle<()>,
}

impl Served {
    /// Serves the shop's frontend on a free port.
    ///
    /// # Panics
    /// If no port can be bound.
    pub async fn start(shop: &Shop) -> Self {
        let frontend =
            frontend::Shop::new(Arc::clone(&shop.catalog) as _, Arc::clone(&shop.orders), Arc::new(SystemClock), None);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let serving =
            serve(tcp(listener), frontend::router(frontend), frontend::limits(), std::future::pending::<()>());
        Self { url, server: tokio::spawn(serving) }
    }

    /// A client of it.
    ///
    /// # Panics
    /// Never: the address is one.
    #[must_use]
    pub fn client(&self) -> Arc<dyn OrderService> {
        let client = Client::http(&[&self.url], ClientOptions::default()).expect("a good address");
        Arc::new(frontend::RemoteShop::new(client))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.server.abort();
    }
}
