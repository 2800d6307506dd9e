//! Every deployment, and the one place that names a store and a transport.
//!
//! A [`Server`] is what a role becomes once its store is open. Whoever runs it binds the listener and says when to stop,
//! so a test or another program can do what the executable does:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use bookstore::{Bookstore, core::BookId, deploy};
//! use tokio::{net::TcpListener, sync::oneshot};
//!
//! let config = deploy::Monolith { store: "memory:".parse()?, sample: true, serving: deploy::Serving::default() };
//! let server = deploy::monolith(config).await?;
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let url = format!("http://{}", listener.local_addr()?);
//! let (stop, stopped) = oneshot::channel::<()>();
//! let running = tokio::spawn(server.run(listener, async { drop(stopped.await) }));
//!
//! let shop = Bookstore::connect(&url)?;
//! assert_eq!(shop.info(BookId(2)).await?.text.title(), "RPCs for Noobs");
//!
//! drop(stop);
//! running.await?;
//! # Ok(())
//! # }
//! ```

mod ready;

use axum::Router;
#[cfg(feature = "sqlite")]
use bookstore_core::store::sqlite::{SqliteCopy, SqliteOptions};
use bookstore_core::{
    Catalog, CatalogService, OrderReader, OrderService, Orders, SystemClock,
    follow::Follower,
    orders::Ack,
    store::{OrderCopy, StoreError, memory::MemoryCopy},
    writer::Closed,
};
use bookstore_transport_http::{
    api::Shop,
    cache::{CacheOptions, CachedCatalog, ReadYourWrites},
    client::ClientOptions,
    internal::{
        InternalOptions,
        catalog::{self, RemoteCatalog},
        orders::{self, RemoteOrders},
    },
    pages::{self, PublicInterface},
    server::{self, Health, MetricsText, ReadyCheck, ServerLimits},
    token::AccessToken,
};
use std::{fmt, sync::Arc};
use tokio::{net::TcpListener, task::JoinHandle};

pub use crate::open::StoreUrl;
use crate::{
    OpenError,
    connect::client,
    open::{Services, blocking, in_process, ledger, wait_until_closed},
    sample,
};
use ready::{always_ready, ready_once_caught_up, ready_while_reachable};

/// What every server takes.
#[derive(Clone, Debug, Default)]
pub struct Serving {
    /// What admin requests must show; without it, admin is off.
    pub admin_token: Option<AccessToken>,
    /// Limits of the server, and how long it lets requests end.
    pub limits: ServerLimits,
    /// Answers `/metrics`, if there is to be one.
    pub metrics: Option<Metrics>,
}

/// The text behind `/metrics`.
#[derive(Clone)]
pub struct Metrics(pub MetricsText);

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics(…)")
    }
}

/// The whole shop in one process.
#[derive(Clone, Debug)]
pub struct Monolith {
    /// Where the ledger is.
    pub store: StoreUrl,
    /// Whether an empty store gets the [sample catalogue](sample).
    pub sample: bool,
    /// How it is served.
    pub serving: Serving,
}

/// A catalog server.
#[derive(Clone, Debug)]
pub struct CatalogServer {
    /// Where the ledger is.
    pub store: StoreUrl,
    /// Whether an empty store gets the [sample catalogue](sample).
    pub sample: bool,
    /// What the shop's other servers must show.
    pub server_token: Option<AccessToken>,
    /// How it is served.
    pub serving: Serving,
}

/// An order server.
#[derive(Clone, Debug)]
pub struct OrderServer {
    /// Where its own copy of the orders is.
    pub store: StoreUrl,
    /// Addresses of the catalog server.
    pub catalog: Vec<String>,
    /// When a purchase is acknowledged.
    pub ack: Ack,
    /// What the shop's servers show each other.
    pub server_token: Option<AccessToken>,
    /// How it is served.
    pub serving: Serving,
}

/// A frontend.
#[derive(Clone, Debug)]
pub struct FrontendServer {
    /// Addresses of the catalog server.
    pub catalog: Vec<String>,
    /// Addresses of the order servers.
    pub orders: Vec<String>,
    /// Books that it keeps in memory, 0 for no cache. See [`bookstore_transport_http::cache`].
    pub cache_books_max: usize,
    /// What the shop's servers show each other.
    pub server_token: Option<AccessToken>,
    /// How it is served.
    pub serving: Serving,
}

/// A server that is ready to run.
pub struct Server {
    interface: Interface,
    limits: ServerLimits,
    tasks: Vec<Task>,
    closed: Option<Closed>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// What is served.
enum Interface {
    Public(PublicInterface),
    Internal(Router),
}

impl Server {
    fn new(interface: Interface, serving: &Serving) -> Self {
        Self { interface, limits: serving.limits.clone(), tasks: Vec::new(), closed: None }
    }

    fn with_task(mut self, task: Task) -> Self {
        self.tasks.push(task);
        self
    }

    fn closing(mut self, closed: Closed) -> Self {
        self.closed = Some(closed);
        self
    }

    /// Serves until `shutdown`, lets what is running end, closes the store, and returns.
    pub async fn run(self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let listener = server::tcp(listener);
        match self.interface {
            Interface::Public(service) => server::serve(listener, service, self.limits, shutdown).await,
            Interface::Internal(router) => server::serve(listener, router, self.limits, shutdown).await,
        }
        drop(self.tasks);
        if let Some(closed) = self.closed {
            wait_until_closed(closed).await;
        }
    }
}

/// A task that ends with its owner.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Makes a monolith ready.
///
/// # Errors
/// The store cannot be used.
pub async fn monolith(config: Monolith) -> Result<Server, StoreError> {
    let ledger = ledger(config.store).await?;
    fill(ledger.as_ref(), config.sample).await?;
    let closed = ledger.closed();
    let (catalog, orders) = in_process(ledger);
    let shop = Shop::new(catalog, orders, Arc::new(SystemClock), config.serving.admin_token.clone());
    Ok(public(shop, &config.serving, always_ready()).closing(closed))
}

/// Makes a catalog server ready.
///
/// # Errors
/// The store cannot be used.
pub async fn catalog_server(config: CatalogServer) -> Result<Server, StoreError> {
    let catalog = ledger(config.store).await?;
    fill(catalog.as_ref(), config.sample).await?;
    let closed = catalog.closed();
    let options = internal(config.server_token, &config.serving, always_ready());
    Ok(Server::new(Interface::Internal(catalog::router(catalog, options)), &config.serving).closing(closed))
}

/// Makes an order server ready, whose copy follows the catalog's ledger from now on.
///
/// # Errors
/// The store cannot be used, or an address is not one.
pub async fn order_server(config: OrderServer) -> Result<Server, OpenError> {
    let catalog: Arc<dyn CatalogService> =
        Arc::new(RemoteCatalog::new(client(&config.catalog, config.server_token.clone(), ClientOptions::inner())?));
    let copy = copy(config.store, config.ack).await?;
    let follower = Follower::start(Arc::clone(&catalog), copy).await;
    let follower = Arc::new(follower.map_err(|error| StoreError::Failed(error.to_string()))?);
    let (ready, task) = ready_once_caught_up(follower.caught_up());
    let reader: Arc<dyn OrderReader> = follower.clone();
    let orders = Orders::new(catalog, reader).acknowledge(config.ack, follower.followed());
    let options = internal(config.server_token, &config.serving, ready);
    let router = orders::router(Arc::new(orders), options);
    Ok(Server::new(Interface::Internal(router), &config.serving).with_task(task))
}

/// Makes a frontend ready.
///
/// # Errors
/// An address is not one.
pub fn frontend_server(config: FrontendServer) -> Result<Server, OpenError> {
    // Each serving thread has batches of its own. One of them is on its way while the next one gathers, and is fuller than one of
    // two; only a full one does not wait for it.
    let options = ClientOptions { batches_in_flight_max: 1, ..ClientOptions::default() };
    let client = |urls: &[String]| client(urls, config.server_token.clone(), options.clone());
    let catalog: Arc<dyn CatalogService> = Arc::new(RemoteCatalog::new(client(&config.catalog)?));
    let orders: Arc<dyn OrderService> = Arc::new(RemoteOrders::new(client(&config.orders)?));
    // Asks the servers themselves: a cache would answer for a catalog that is away.
    let (ready, task) = ready_while_reachable(Arc::clone(&catalog), Arc::clone(&orders));
    let (catalog, orders) = cached((catalog, orders), config.cache_books_max);
    let shop = Shop::new(catalog, orders, Arc::new(SystemClock), config.serving.admin_token.clone());
    Ok(public(shop, &config.serving, ready).with_task(task))
}

fn cached((catalog, orders): Services, books_max: usize) -> Services {
    if books_max == 0 {
        return (catalog, orders);
    }
    let options = CacheOptions { books_max, ..CacheOptions::default() };
    let catalog = Arc::new(CachedCatalog::start(catalog, options));
    let orders = ReadYourWrites::new(orders, Arc::clone(&catalog));
    (catalog, Arc::new(orders))
}

async fn copy(store: StoreUrl, ack: Ack) -> Result<Arc<dyn OrderCopy>, StoreError> {
    match store {
        #[cfg(feature = "sqlite")]
        StoreUrl::Sqlite(path) => {
            let open = move || SqliteCopy::open(&path, SqliteOptions::default())?.acknowledging(ack);
            Ok(Arc::new(blocking(open).await?))
        }
        #[cfg(not(feature = "sqlite"))]
        StoreUrl::Sqlite(_) => Err(StoreError::Unusable("SQLite is not in this build (feature `sqlite`)".into())),
        StoreUrl::Memory => Ok(Arc::new(MemoryCopy::new())),
    }
}

/// Lists the sample books in a store that never had one.
async fn fill(catalog: &Catalog, sample: bool) -> Result<(), StoreError> {
    if !sample || catalog.head().0 > 0 {
        return Ok(());
    }
    let listed = catalog.add_books(sample::books()).await;
    let listed = listed.map_err(|error| StoreError::Failed(format!("cannot list the sample books: {error}")))?;
    tracing::info!(books = listed.len(), "the store was empty: listed the sample catalogue");
    Ok(())
}

fn public(shop: Shop, serving: &Serving, ready: ReadyCheck) -> Server {
    let service = pages::service(shop, server::health_routes(health(serving, ready)));
    Server::new(Interface::Public(service), serving)
}

fn internal(token: Option<AccessToken>, serving: &Serving, ready: ReadyCheck) -> InternalOptions {
    InternalOptions { token, health: health(serving, ready) }
}

fn health(serving: &Serving, ready: ReadyCheck) -> Health {
    Health { ready, metrics: serving.metrics.clone().map(|Metrics(text)| text) }
}
