//! A catalog that is killed and started again under 256 buyers, over HTTP.
//!
//! An order server compares the ledger again before it sells on. That must be seen by no buyer: a call that the catalog can answer is
//! neither unknown nor refused because of it, and selling goes on within two round trips.

use axum::{
    Router,
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::Response,
};
use bookstore_core::{
    Catalog, CatalogOptions, CatalogService, Executed, Orders, OrderService as _, SystemClock,
    follow::Follower,
    store::memory::{self, MemoryCopy},
};
use bookstore_transport_http::{
    client::ClientOptions,
    internal::{
        HistoryCheck, InternalOptions, PinCheck,
        catalog::{self, RemoteCatalog},
        orders::{self, RemoteOrders},
    },
    server::{self, ServerLimits},
};
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, runtime::Runtime, task::JoinSet};

use crate::support::{PATIENCE, Running, book, client, one, order_id, serve};

const BUYERS: usize = 256;

/// Requests that a catalog server has got, in their order, with what it answered: the path and the status.
type Requests = Arc<Mutex<Vec<(String, u16)>>>;

async fn note(State(requests): State<Requests>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let response = next.run(request).await;
    requests.lock().unwrap().push((path, response.status().as_u16()));
    response
}

/// A catalog server on a runtime of its own: dropping it cuts every connection off, as a kill does.
struct Catalogs {
    ledger: Arc<memory::MemoryReader>,
    address: SocketAddr,
    running: Option<Runtime>,
    requests: Requests,
}

impl Catalogs {
    async fn new() -> Self {
        let (store, ledger) = memory::open(&SystemClock);
        let catalog = started(store, &ledger);
        catalog.add_books(vec![book("A book", 1_000_000)]).await.unwrap();
        drop(catalog);
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut catalogs = Self {
            address: free.local_addr().unwrap(),
            ledger,
            running: None,
            requests: Requests::default(),
        };
        drop(free);
        catalogs.start();
        catalogs
    }

    fn start(&mut self) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let catalog = started(self.ledger.reopen(), &self.ledger);
        let options = InternalOptions {
            pin: Some(PinCheck::of(&catalog)),
            history: Some(HistoryCheck::of(&catalog)),
            ..InternalOptions::default()
        };
        let router: Router = catalog::router(catalog, options).layer(from_fn_with_state(Arc::clone(&self.requests), note));
        let listener = std::net::TcpListener::bind(self.address).unwrap();
        listener.set_nonblocking(true).unwrap();
        runtime.spawn(async move {
            let listener = server::tcp(TcpListener::from_std(listener).unwrap());
            server::serve(listener, router, ServerLimits::default(), std::future::pending::<()>()).await;
        });
        self.running = Some(runtime);
    }

    fn kill(&mut self) {
        self.running.take().unwrap().shutdown_background();
    }
}

fn started(store: memory::MemoryStore, ledger: &Arc<memory::MemoryReader>) -> Arc<Catalog> {
    let options = CatalogOptions::default();
    Arc::new(Catalog::start(store, ledger.clone(), ledger.clone(), Arc::new(SystemClock), options).unwrap())
}

/// An order server as `deploy` makes it.
async fn order_server(catalog: &str) -> (Running, Arc<Follower<MemoryCopy>>) {
    let client = client(&[catalog.to_owned()], ClientOptions::inner());
    let remote = Arc::new(RemoteCatalog::new(client.clone()));
    let follower = Arc::new(Follower::start(remote, Arc::new(MemoryCopy::new())).await.unwrap());
    let remote = RemoteCatalog::new(client.showing(follower.pinned())).pinned(follower.pinned());
    let orders = Orders::new(Arc::new(remote), follower.clone()).refuse_while(follower.refused());
    let router = orders::router(Arc::new(orders), None, InternalOptions::default());
    (serve(router, ServerLimits::default()).await, follower)
}

/// What became of a call: when it began and ended, and how.
#[derive(Clone, Copy, Debug)]
struct Called {
    began: Instant,
    ended: Instant,
    outcome: Result<(), Executed>,
}

/// Buys until it is enough.
async fn buyer(orders: Arc<RemoteOrders>, enough: Arc<AtomicBool>) -> Vec<Called> {
    let mut calls = Vec::new();
    while !enough.load(Ordering::SeqCst) {
        let began = Instant::now();
        let outcome = orders.purchase(order_id(), one(1, 1)).await.map(drop).map_err(|error| error.executed());
        calls.push(Called { began, ended: Instant::now(), outcome });
        if outcome.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    calls
}

/// Waits until so many batches were sold, as the catalog server has answered them.
async fn until_sold(requests: &Requests, batches: usize) {
    let sold = || requests.lock().unwrap().iter().filter(|(path, status)| path == "/v1/calls" && *status == 200).count();
    let enough = async {
        while sold() < batches {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, enough).await.expect("batches are sold");
}

/// Everybody who is called below buys while the catalog is away, so all wait for it when it is back.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_catalog_costs_two_round_trips_and_no_call() {
    let mut catalogs = Catalogs::new().await;
    let url = format!("http://{}", catalogs.address);
    let (server, follower) = order_server(&url).await;
    follower.caught_up().wait_for(|caught_up| *caught_up).await.unwrap();
    let orders = Arc::new(RemoteOrders::new(client(&[server.url()], ClientOptions::default())));
    let enough = Arc::new(AtomicBool::new(false));
    let mut buyers = JoinSet::new();
    (0..BUYERS).for_each(|_| drop(buyers.spawn(buyer(Arc::clone(&orders), Arc::clone(&enough)))));
    until_sold(&catalogs.requests, 20).await;

    let killed = Instant::now();
    catalogs.kill();
    tokio::time::sleep(Duration::from_millis(300)).await;
    catalogs.requests.lock().unwrap().clear();
    catalogs.start();
    let back = Instant::now();
    until_sold(&catalogs.requests, 1).await;
    let first = back.elapsed();
    until_sold(&catalogs.requests, 20).await;
    enough.store(true, Ordering::SeqCst);
    let calls = buyers.join_all().await.concat();

    let requests = catalogs.requests.lock().unwrap().clone();
    let sold = requests.iter().position(|(path, status)| path == "/v1/calls" && *status == 200).unwrap();
    let since = |outcome| calls.iter().filter(|call| call.began >= back && call.outcome == Err(outcome)).count();
    let at_kill = calls.iter().filter(|call| call.began <= killed && call.ended >= killed).count();
    let lost = calls.iter().filter(|call| call.outcome == Err(Executed::Unknown)).count();
    let refused = calls.iter().filter(|call| call.ended >= back && call.outcome == Err(Executed::No)).count();
    println!(
        "{} calls; the first sale {first:.1?} after the port was open, after {:?}; {at_kill} in flight at the kill, {lost} unknown, \
         {refused} not executed that ended since",
        calls.len(),
        &requests[..sold],
    );
    assert_eq!((since(Executed::Unknown), since(Executed::No)), (0, 0), "of the calls since the port is open");
    assert!(lost <= at_kill, "{lost} of {at_kill}");
    // Whatever was refused, a comparison came with it: the batch was sent again at once.
    let compared = requests.iter().position(|(path, _)| path == "/v1/entries").unwrap();
    let after = requests[compared..].iter().filter(|(path, _)| path == "/v1/calls").map(|(_, status)| *status).next();
    assert_eq!(after, Some(200), "{requests:?}");
}
