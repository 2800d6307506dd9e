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
    Catalog, CatalogOptions, CatalogService, Executed, OrderService as _, Orders, SystemClock,
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

/// What a catalog server has answered, in this order.
type Requests = Arc<Mutex<Vec<Answered>>>;

#[derive(Clone, Debug)]
struct Answered {
    path: String,
    status: u16,
    began: Instant,
    ended: Instant,
}

impl Answered {
    fn is_sale(&self) -> bool {
        self.path == "/v1/calls" && self.status == 200
    }
}

async fn note(State(requests): State<Requests>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let began = Instant::now();
    let response = next.run(request).await;
    let status = response.status().as_u16();
    requests.lock().unwrap().push(Answered { path, status, began, ended: Instant::now() });
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
        catalog.add_books(vec![book("A book", 1_000_000)], None).await.unwrap();
        drop(catalog);
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut catalogs =
            Self { address: free.local_addr().unwrap(), ledger, running: None, requests: Requests::default() };
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
        let router: Router =
            catalog::router(catalog, options).layer(from_fn_with_state(Arc::clone(&self.requests), note));
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
        let bought = orders.purchase(order_id(), one(1, 1)).await;
        let outcome = bought.map(drop).map_err(|error| error.executed());
        calls.push(Called { began, ended: Instant::now(), outcome });
        if outcome.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    calls
}

/// Waits until so many batches were sold, as the catalog server has answered them.
async fn until_sold(requests: &Requests, batches: usize) {
    let sold = || requests.lock().unwrap().iter().filter(|answered| answered.is_sale()).count();
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
    until_sold(&catalogs.requests, 20).await;
    enough.store(true, Ordering::SeqCst);
    let calls = buyers.join_all().await.concat();
    let requests = catalogs.requests.lock().unwrap().clone();
    catalogs.kill();
    judge(&calls, &requests, killed, back);
}

fn judge(calls: &[Called], requests: &[Answered], killed: Instant, back: Instant) {
    let first = requests.iter().position(Answered::is_sale).expect("it sells");
    let at_kill = calls.iter().filter(|call| call.began <= killed && call.ended >= killed).count();
    let unknown = calls.iter().filter(|call| call.outcome == Err(Executed::Unknown)).count();
    let count = |outcome| calls.iter().filter(|call| call.ended >= back && call.outcome == Err(outcome)).count();
    let times: Vec<_> = requests[..=first]
        .iter()
        .map(|answered| format!("{} {} after {:.1?}", answered.path, answered.status, answered.ended - back))
        .collect();
    println!(
        "{} calls, {at_kill} in flight at the kill, {unknown} unknown; since the port is open {} unknown and {} not executed, and the \
         catalog answered {times:?}",
        calls.len(),
        count(Executed::Unknown),
        count(Executed::No)
    );
    let since = |outcome| calls.iter().filter(|call| call.began >= back && call.outcome == Err(outcome)).count();
    assert_eq!((since(Executed::Unknown), since(Executed::No)), (0, 0), "of the calls since the port is open");
    assert!(unknown <= at_kill, "{unknown} of {at_kill}");
    // One round trip that is refused, one that compares, and the sale. The follower may have asked by itself, too; what it waits for
    // when the sale arrives is answered by the sale, and costs nobody a round trip.
    let sale =
        requests.iter().filter(|answered| answered.is_sale()).map(|answered| answered.began).min().expect("it sells");
    let before = requests.iter().filter(|answered| answered.ended <= sale);
    let compared = before.filter(|answered| answered.path == "/v1/entries").count();
    assert!((1..=2).contains(&compared), "{times:?}");
}
