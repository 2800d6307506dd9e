//! Whole servers inside your program: the shop in one process ([`monolith`]), or spread over a catalog server
//! ([`catalog_server`]), order servers ([`order_server`]) and frontends ([`frontend_server`]).
//!
//! Each function opens the store and returns a [`Server`]. The caller binds the listener and says when to stop, so a test or
//! another program can do what the executable `bookstore` does:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use bookstore::{Bookstore, core::BookId, deploy};
//! use tokio::{net::TcpListener, sync::oneshot};
//!
//! let config = deploy::Monolith { store: "memory:".parse()?, currency: None, sample: true, tokens: Default::default(), public_holds: false, contacts: Default::default(), serving: deploy::Serving::default() };
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

mod config;
mod contacts;
mod ready;

use axum::Router;
#[cfg(feature = "sqlite")]
use bookstore_core::store::sqlite::{SqliteCopy, SqliteOptions};
use bookstore_core::{
    Catalog, CatalogService, OrderReader, OrderService, Orders, SystemClock,
    follow::Follower,
    orders::Ack,
    service::LedgerFeed,
    store::{LedgerCopy, StoreError, memory::MemoryCopy},
    writer::Closed,
};
use bookstore_transport_http::{
    api::Shop,
    cache::{CacheOptions, CachedCatalog, ReadYourWrites},
    client::{Client, ClientOptions},
    internal::{
        ContactSource, HistoryCheck, InternalOptions, PinCheck,
        catalog::{self, RemoteCatalog},
        orders::{self, RemoteOrders},
    },
    pages::{self, PublicInterface},
    server::{self, Grace, Health, ReadyCheck, ServerLimits},
    token::AccessToken,
};
use std::{fmt, sync::Arc};
use tokio::{net::TcpListener, task::JoinHandle};

pub use crate::open::StoreUrl;
use crate::{
    connect::client,
    facade::wait_until_closed,
    open::{OpenError, Services, blocking, in_process, open_ledger},
    sample,
};
pub use config::{CatalogServer, FrontendServer, Metrics, Monolith, OrderServer, Serving};
pub use contacts::Contacts;
use ready::{ready_once_caught_up, ready_while_reachable, ready_while_writable};

/// A server whose store is open, ready to [run](Server::run).
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

    fn with_task(self, task: Task) -> Self {
        self.with_tasks([task])
    }

    fn with_tasks(mut self, tasks: impl IntoIterator<Item = Task>) -> Self {
        self.tasks.extend(tasks);
        self
    }

    fn closing(mut self, closed: Closed) -> Self {
        self.closed = Some(closed);
        self
    }

    /// Serves connections of `listener` until `shutdown` completes, and as long as the [`Grace`] says that it completes with; `()` is
    /// none. Then it accepts no more, lets running requests end for at
    /// most [`ServerLimits::drain_timeout`], closes the store, and returns.
    pub async fn run(self, listener: TcpListener, shutdown: impl Future<Output: Into<Grace>>) {
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

/// A background task, aborted when this is dropped.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Opens the store of a monolith: the public interface (pages, JSON, administration) over a ledger in this process.
///
/// # Errors
/// The store cannot be opened, see [`Bookstore::open`](crate::Bookstore::open).
pub async fn monolith(config: Monolith) -> Result<Server, StoreError> {
    let ledger = open_ledger(config.store, config.contacts.rule, config.currency).await?;
    add_samples(ledger.as_ref(), config.sample).await?;
    let closed = ledger.closed();
    let (ready, task) = ready_while_writable(&ledger);
    let erasing = config.contacts.keep.map(|keep| contacts::erase_in_time(&ledger, keep));
    let (catalog, orders) = in_process(ledger);
    let shop =
        Shop { public_holds: config.public_holds, ..Shop::new(catalog, orders, Arc::new(SystemClock), config.tokens) };
    Ok(public(shop, &config.serving, ready).with_task(task).with_tasks(erasing).closing(closed))
}

/// Opens the store of a catalog server: it owns books and ledger, and serves order servers and frontends.
///
/// # Errors
/// The store cannot be opened, see [`Bookstore::open`](crate::Bookstore::open).
pub async fn catalog_server(config: CatalogServer) -> Result<Server, StoreError> {
    let catalog = open_ledger(config.store, config.contacts.rule, config.currency).await?;
    add_samples(catalog.as_ref(), config.sample).await?;
    let closed = catalog.closed();
    let (ready, task) = ready_while_writable(&catalog);
    let erasing = config.contacts.keep.map(|keep| contacts::erase_in_time(&catalog, keep));
    let options = internal(config.server_token, &config.serving, ready);
    let (pin, history) = (Some(PinCheck::of(&catalog)), Some(HistoryCheck::of(&catalog)));
    let contacts = Some(ContactSource::new(catalog.clone()));
    let options = InternalOptions { pin, history, contacts, ..options };
    let server = Server::new(Interface::Internal(catalog::router(catalog, options)), &config.serving);
    Ok(server.with_task(task).with_tasks(erasing).closing(closed))
}

/// Opens the copy of an order server, and starts to follow the catalog's ledger with it. The server is ready when the copy has
/// caught up for the first time.
///
/// # Errors
/// - [`OpenError::Url`]: an address of the catalog server is malformed.
/// - [`OpenError::Store`]: the copy cannot be opened.
pub async fn order_server(config: OrderServer) -> Result<Server, OpenError> {
    let client = client(&config.catalog, config.server_token.clone(), between(ClientOptions::inner()))?;
    let catalog: Arc<dyn CatalogService> = Arc::new(RemoteCatalog::new(client.clone()));
    let opened = open_copy(config.store, config.ack).await?;
    let copy = opened.copy;
    let feed: Arc<dyn LedgerFeed> = copy.clone();
    let follower = Follower::start(Arc::clone(&catalog), copy).await;
    let follower = Arc::new(follower.map_err(|error| StoreError::Failed(error.to_string()))?);
    let (ready, task) = ready_once_caught_up(follower.caught_up(), follower.refused());
    let reader: Arc<dyn OrderReader> = follower.clone();
    let client = client.showing(follower.pinned());
    let catalog = Arc::new(RemoteCatalog::new(client).pinned(follower.pinned()));
    #[cfg(feature = "sqlite")]
    let following = opened.keeps_contacts.map(|copy| contacts::follow(catalog.clone(), copy));
    #[cfg(not(feature = "sqlite"))]
    let following = None;
    let orders = Orders::new(catalog, reader).acknowledge(config.ack, follower.followed());
    let orders = orders.refuse_while(follower.refused()).forget_with(follower.pinned());
    let options = internal(config.server_token, &config.serving, ready);
    let history = Some(HistoryCheck::following(follower.pinned()));
    let options = InternalOptions { history, contacts: Some(opened.contacts), ..options };
    let router = orders::router(Arc::new(orders), Some(feed), options);
    Ok(Server::new(Interface::Internal(router), &config.serving).with_task(task).with_tasks(following))
}

/// Makes a frontend: the public interface (pages, JSON, administration) over the servers behind it. It is ready while the
/// catalog server and an order server answer.
///
/// # Errors
/// [`OpenError::Url`]: an address is malformed.
///
/// # Panics
/// Outside a tokio runtime.
pub fn frontend_server(config: FrontendServer) -> Result<Server, OpenError> {
    // Each serving thread has batches of its own. While one is on its way the next one fills; two at once would be half as full.
    let options = between(ClientOptions { batches_in_flight_max: 1, ..ClientOptions::default() });
    let client = |urls: &[String]| client(urls, config.server_token.clone(), options.clone());
    let clients = [client(&config.catalog)?, client(&config.orders)?];
    let catalog: Arc<dyn CatalogService> = Arc::new(RemoteCatalog::new(clients[0].clone()));
    let orders: Arc<dyn OrderService> = Arc::new(RemoteOrders::new(clients[1].clone()));
    // Readiness is asked of the servers themselves: the cache would answer for a catalog that cannot be reached.
    let (ready, task) = ready_while_reachable(Arc::clone(&catalog), Arc::clone(&orders));
    let (catalog, orders) = cached((catalog, orders), clients, config.cache_books_max);
    let shop =
        Shop { public_holds: config.public_holds, ..Shop::new(catalog, orders, Arc::new(SystemClock), config.tokens) };
    Ok(public(shop, &config.serving, ready).with_task(task))
}

/// Options of a client inside a server: a token that the servers behind it refuse is this deployment's fault, not its callers'.
fn between(options: ClientOptions) -> ClientOptions {
    ClientOptions { hides_unauthorized: true, ..options }
}

/// Puts a cache before the services. Whatever history of the ledger it follows is shown to the servers.
fn cached((catalog, orders): Services, clients: [Client; 2], books_max: usize) -> Services {
    if books_max == 0 {
        return (catalog, orders);
    }
    let options = CacheOptions { books_max, ..CacheOptions::default() };
    let catalog = Arc::new(CachedCatalog::start(catalog, options));
    for client in clients {
        let _ = client.showing(catalog.history());
    }
    let orders = ReadYourWrites::new(orders, Arc::clone(&catalog));
    (catalog, Arc::new(orders))
}

/// An order server's copy.
struct OpenedCopy {
    copy: Arc<dyn LedgerCopy>,
    contacts: ContactSource,
    /// The same, if it is in a file: one in memory has no contacts.
    #[cfg(feature = "sqlite")]
    keeps_contacts: Option<Arc<SqliteCopy>>,
}

/// Opens an order server's copy on a thread that may block.
#[cfg_attr(
    not(feature = "sqlite"),
    expect(unused_variables, reason = "memory is durable at once, and has no contacts")
)]
async fn open_copy(store: StoreUrl, ack: Ack) -> Result<OpenedCopy, StoreError> {
    match store {
        #[cfg(feature = "sqlite")]
        StoreUrl::Sqlite(path) => {
            let open = move || SqliteCopy::open(&path, SqliteOptions::default())?.acknowledging(ack);
            let copy = Arc::new(blocking(open).await?);
            let keeps_contacts = Some(copy.clone());
            Ok(OpenedCopy { contacts: ContactSource::new(copy.clone()), copy, keeps_contacts })
        }
        #[cfg(not(feature = "sqlite"))]
        StoreUrl::Sqlite(_) => Err(crate::open::without_sqlite()),
        #[cfg(feature = "postgres")]
        StoreUrl::Postgres(_) => Err(StoreError::Unusable(
            "an order server's copy is a file of its own: give sqlite:PATH; the ledger in PostgreSQL is the catalog's"
                .into(),
        )),
        StoreUrl::Memory => {
            let copy = Arc::new(MemoryCopy::new());
            Ok(OpenedCopy {
                contacts: ContactSource::new(copy.clone()),
                copy,
                #[cfg(feature = "sqlite")]
                keeps_contacts: None,
            })
        }
    }
}

/// Adds the sample books to a store that never had a book.
async fn add_samples(catalog: &Catalog, sample: bool) -> Result<(), StoreError> {
    if !sample || catalog.head().0 > 0 {
        return Ok(());
    }
    let added = catalog.add_books(sample::books(), None).await;
    let added = added.map_err(|error| StoreError::Failed(format!("cannot add the sample books: {error}")))?;
    tracing::info!(books = added.len(), "the store was empty: added the sample catalogue");
    Ok(())
}

fn public(shop: Shop, serving: &Serving, ready: ReadyCheck) -> Server {
    let service = pages::service(shop, server::health_routes(health(serving, ready)));
    Server::new(Interface::Public(service), serving)
}

fn internal(token: Option<AccessToken>, serving: &Serving, ready: ReadyCheck) -> InternalOptions {
    InternalOptions { token, health: health(serving, ready), ..InternalOptions::default() }
}

fn health(serving: &Serving, ready: ReadyCheck) -> Health {
    Health { ready, metrics: serving.metrics.clone().map(|Metrics(text)| text) }
}
