//! A shop on loopback, and a plain client that shows everything.

use async_trait::async_trait;
use axum::{
    Router,
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use bookstore_core::{
    Actor, Added, Amend, Book, BookId, BookPage, BookText, Catalog, CatalogOptions, CatalogService, Contact, Entries,
    Error, Lines, NewBook, Order, OrderAction, OrderId, Orders, Query, Receipt, Result, Seq, SystemClock, TopicPage,
    TopicQuery, fixtures::cents, store::memory,
};
use bookstore_transport_http::{
    api::{self, Shop},
    pages,
    server::{self, Health},
    token::{AccessToken, Tokens},
};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    net::TcpListener,
    sync::{oneshot, watch},
    task::JoinHandle,
    time::timeout,
};

/// Longer than anything here takes; a test that waits for it has failed.
pub(crate) const TEST_TIMEOUT: Duration = Duration::from_secs(20);
/// What admin requests show.
pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef";
/// An order id.
pub(crate) const ID: &str = "0192f0c1-2345-7abc-8def-0123456789ab";

/// A running shop.
pub(crate) struct Running {
    pub(crate) addr: SocketAddr,
    pub(crate) catalog: Arc<Catalog>,
    /// What the public interface reads.
    pub(crate) shaky: Arc<Shaky>,
    http: Client<HttpConnector, Full<Bytes>>,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("a header of ASCII"))
    }

    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/json", "{self:?}");
        serde_json::from_slice(&self.body).expect("JSON")
    }

    /// The problem, which must be one and say the same status.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let problem: Value = serde_json::from_slice(&self.body).expect("JSON");
        assert_eq!((self.status.as_u16(), problem["code"].as_str()), (status, Some(code)), "{problem}");
        assert_eq!(problem["status"], status, "{problem}");
        assert_eq!(problem["type"], format!("/problems/{code}"), "{problem}");
        assert!(!problem["detail"].as_str().expect("a detail").is_empty());
        problem
    }
}

/// One book.
pub(crate) fn book(title: &str, topic: &str, stock: u32) -> NewBook {
    let text = BookText { title: title.into(), topic: topic.into(), ..BookText::default() };
    NewBook { text, price_cents: cents(1999), stock }
}

/// A shop with three books, twelve copies of the first, one of the second, none of the third; admin is on.
pub(crate) async fn shop() -> Running {
    let running = start(Some(TOKEN)).await;
    let books = [
        book("RPCs for Noobs", "distributed systems", 12),
        book("Cooking for the Impatient Undergrad", "undergraduate school", 1),
        book("Spring in the Pioneer Valley", "distributed systems", 0),
    ];
    running.catalog.add_books(books.into(), None).await.unwrap();
    running
}

/// An empty shop.
pub(crate) async fn start(token: Option<&str>) -> Running {
    start_with(token.map(|token| AccessToken::new(token).unwrap())).await
}

/// An empty shop that accepts these tokens.
pub(crate) async fn start_with(tokens: impl Into<Tokens>) -> Running {
    let clock = Arc::new(SystemClock);
    let (store, reader) = memory::open(clock.as_ref());
    let catalog = Arc::new(Catalog::start(store, reader.clone(), reader, clock, CatalogOptions::default()).unwrap());
    run(catalog, tokens.into(), Host::Server).await
}

/// What serves a shop.
#[derive(Clone, Copy)]
enum Host {
    /// This project's server, as in deployments.
    Server,
    /// Another program that has the shop among its own routes.
    Program,
}

async fn run(catalog: Arc<Catalog>, tokens: Tokens, host: Host) -> Running {
    let orders = Arc::new(Orders::new(catalog.clone(), catalog.clone()));
    let shaky = Arc::new(Shaky::new(catalog.clone()));
    let shop = Shop::new(shaky.clone(), orders, Arc::new(SystemClock), tokens);
    let shop = Shop { public_holds: true, ..shop };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async { drop(stopped.await) };
    let served = match host {
        Host::Server => {
            let service = pages::service(shop, server::health_routes(Health::default()));
            // As deployments are served: on threads of their own.
            let limits = server::ServerLimits { worker_threads: 2, ..api::limits() };
            tokio::spawn(server::serve(server::tcp(listener), service, limits, shutdown))
        }
        Host::Program => {
            let router = Router::new().fallback_service(pages::service(shop, Router::new()));
            let serving = axum::serve(listener, router).with_graceful_shutdown(shutdown);
            tokio::spawn(async { serving.await.expect("it serves") })
        }
    };
    let http = Client::builder(TokioExecutor::new()).build_http();
    Running { addr, catalog, shaky, http, stop: Some(stop), served }
}

impl Running {
    /// The same shop once more, in another program that has it among its own routes.
    pub(crate) async fn embedded(&self) -> Running {
        run(Arc::clone(&self.catalog), AccessToken::new(TOKEN).unwrap().into(), Host::Program).await
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Sends any request.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.url()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).unwrap();
        let exchange = async {
            let (head, body) = self.http.request(request).await.expect("an answer").into_parts();
            let body = body.collect().await.expect("a whole answer").to_bytes();
            Answer { status: head.status, headers: head.headers, body }
        };
        timeout(TEST_TIMEOUT, exchange).await.expect("an answer in time")
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }

    /// Sends JSON, with any further headers.
    pub(crate) async fn json(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut all = vec![("content-type", "application/json")];
        all.extend_from_slice(headers);
        self.send(method, path, &all, body.to_owned()).await
    }

    /// Sends JSON with the admin token.
    pub(crate) async fn admin(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let bearer = format!("Bearer {TOKEN}");
        let mut all = vec![(header::AUTHORIZATION.as_str(), bearer.as_str())];
        all.extend_from_slice(headers);
        if body.is_empty() {
            self.send(method, path, &all, "").await
        } else {
            self.json(method, path, &all, body).await
        }
    }

    pub(crate) async fn stock(&self, book: u64) -> u32 {
        self.catalog.info(BookId(book)).await.unwrap().stock
    }

    /// Asks the server to end, and waits until it has.
    pub(crate) async fn stop(mut self) {
        let _ = self.stop.take().expect("stopped once").send(());
        timeout(TEST_TIMEOUT, self.served).await.expect("the server ends").unwrap();
    }
}

/// A catalogue whose ledger can be made unreadable, and that counts how often it was read.
pub(crate) struct Shaky {
    inner: Arc<Catalog>,
    down: AtomicBool,
    reads: watch::Sender<u64>,
}

impl Shaky {
    pub(crate) fn new(inner: Arc<Catalog>) -> Self {
        Self { inner, down: AtomicBool::new(false), reads: watch::Sender::new(0) }
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    /// Waits until the ledger has been read this many more times from now on.
    pub(crate) async fn read_again(&self, times: u64) {
        let mut reads = self.reads.subscribe();
        let goal = *reads.borrow() + times;
        let read = reads.wait_for(|reads| *reads >= goal);
        timeout(TEST_TIMEOUT, read).await.expect("the ledger is read").unwrap();
    }
}

#[async_trait]
impl CatalogService for Shaky {
    async fn search(&self, query: Query) -> Result<BookPage> {
        self.inner.search(query).await
    }
    async fn suggest(&self, query: bookstore_core::SuggestQuery) -> Result<bookstore_core::Suggestions> {
        self.inner.suggest(query).await
    }
    async fn currency(&self) -> Result<bookstore_core::Currency> {
        self.inner.currency().await
    }
    async fn topics(&self, query: TopicQuery) -> Result<TopicPage> {
        self.inner.topics(query).await
    }
    async fn info(&self, book: BookId) -> Result<Book> {
        self.inner.info(book).await
    }
    async fn sell(&self, order: OrderId, lines: Lines) -> Result<Receipt> {
        self.inner.sell(order, lines).await
    }
    async fn release(&self, order: OrderId) -> Result<Receipt> {
        self.inner.release(order).await
    }
    async fn change_order(&self, order: OrderId, action: OrderAction, by: Option<Actor>) -> Result<Receipt> {
        self.inner.change_order(order, action, by).await
    }
    async fn amend(&self, book: BookId, change: Amend, key: Option<OrderId>, by: Option<Actor>) -> Result<Book> {
        self.inner.amend(book, change, key, by).await
    }
    async fn add_books(&self, books: Vec<NewBook>, by: Option<Actor>) -> Result<Vec<Added>> {
        self.inner.add_books(books, by).await
    }
    async fn entries(&self, after: Seq, limit: usize, wait: Duration) -> Result<Entries> {
        self.reads.send_modify(|reads| *reads += 1);
        if self.down.load(Ordering::SeqCst) {
            return Err(Error::unavailable("down for the test"));
        }
        self.inner.entries(after, limit, wait).await
    }
    async fn find_order(&self, order: OrderId) -> Result<Order> {
        self.inner.find_order(order).await
    }

    async fn find_contact(&self, order: OrderId) -> Result<Option<Contact>> {
        self.inner.find_contact(order).await
    }
}
