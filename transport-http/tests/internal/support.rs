//! Servers on loopback, a shop to put into them, and connections that misbehave.

use axum::{
    Router,
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::Response,
};
use bookstore_core::{
    Catalog, CatalogOptions, CatalogService, Clock, Entry, Lines, OrderId, Seq, SystemClock, book::NewBook, fixtures,
    store::memory,
};
use bookstore_transport_http::{
    client::{Client, ClientOptions},
    internal::InternalOptions,
    internal::catalog::{self, RemoteCatalog},
    server::{self, ServerLimits},
};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};

/// Longer than anything here takes; a test that waits for it has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A server under test.
pub(crate) struct Running {
    pub(crate) addr: SocketAddr,
    requests: Arc<AtomicUsize>,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
}

impl Running {
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Requests that reached a route so far.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// Asks the server to end.
    pub(crate) fn stop(&mut self) {
        let _ = self.stop.take().expect("stopped once").send(());
    }

    /// Drops the server as it runs.
    pub(crate) async fn drop_it(self) {
        self.served.abort();
        let _ = self.served.await;
    }

    /// Waits until it has.
    pub(crate) async fn ended(self) {
        timeout(PATIENCE, self.served).await.expect("the server ends").unwrap();
    }
}

/// Serves a router on a port of its own.
pub(crate) async fn serve(router: Router, limits: ServerLimits) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let requests = Arc::new(AtomicUsize::new(0));
    let router = router.layer(from_fn_with_state(Arc::clone(&requests), count));
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async {
        // A test that ends without stopping its server drops the whole runtime.
        if stopped.await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let served = tokio::spawn(server::serve(server::tcp(listener), router, limits, shutdown));
    Running { addr, requests, stop: Some(stop), served }
}

async fn count(State(requests): State<Arc<AtomicUsize>>, request: Request, next: Next) -> Response {
    requests.fetch_add(1, Ordering::SeqCst);
    next.run(request).await
}

/// A book with this many copies.
pub(crate) fn book(title: &str, stock: u32) -> NewBook {
    NewBook { price_cents: fixtures::cents(1999), ..fixtures::book(title, stock) }
}

/// A catalogue in memory; its books are numbered from 1.
pub(crate) async fn shop(stocks: &[u32]) -> Arc<Catalog> {
    let clock = Arc::new(SystemClock);
    let (store, reader) = memory::open(clock.as_ref());
    let catalog = Catalog::start(store, reader.clone(), reader, clock, CatalogOptions::default()).unwrap();
    let books = stocks.iter().enumerate().map(|(at, stock)| book(&format!("Book {}", at + 1), *stock)).collect();
    catalog.add_books(books, None).await.unwrap();
    Arc::new(catalog)
}

/// A catalog server, with usual limits.
pub(crate) async fn catalog_server(service: Arc<dyn CatalogService>) -> Running {
    serve(catalog::router(service, InternalOptions::default()), ServerLimits::default()).await
}

pub(crate) fn client(urls: &[String], options: ClientOptions) -> Client {
    Client::http(urls, options).unwrap()
}

pub(crate) fn remote(urls: &[String]) -> RemoteCatalog {
    RemoteCatalog::new(client(urls, ClientOptions::default()))
}

/// Gives up soon.
pub(crate) fn hasty() -> ClientOptions {
    ClientOptions {
        deadline: Duration::from_millis(400),
        attempt_timeout: Duration::from_millis(200),
        ..ClientOptions::default()
    }
}

pub(crate) fn order_id() -> OrderId {
    SystemClock.new_order_id()
}

pub(crate) fn one(book: u64, quantity: u32) -> Lines {
    Lines::one(bookstore_core::BookId(book), quantity).unwrap()
}

/// The whole ledger.
pub(crate) async fn ledger(catalog: &Catalog) -> Vec<Entry> {
    let mut entries = Vec::new();
    loop {
        let after = entries.last().map_or(Seq(0), |entry: &Entry| entry.seq);
        let page = catalog.entries(after, 1000, Duration::ZERO).await.unwrap();
        if page.entries.is_empty() {
            return entries;
        }
        entries.extend(page.entries);
    }
}

/// The sales and returns under an order's id.
pub(crate) async fn under(catalog: &Catalog, id: OrderId) -> usize {
    ledger(catalog).await.iter().filter(|entry| entry.key == Some(id)).count()
}

/// A port that nobody listens on.
pub(crate) async fn dead_url() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// Sends bytes as they are and reads until the server closes.
pub(crate) async fn raw(addr: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    read_to_end(&mut stream).await
}

/// Reads until the server closes, or resets after its answer.
pub(crate) async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let read = async {
        let mut buffer = vec![0; 16 << 10];
        while let Ok(n @ 1..) = stream.read(&mut buffer).await {
            answer.extend_from_slice(&buffer[..n]);
        }
    };
    timeout(PATIENCE, read).await.expect("the server closes the connection");
    String::from_utf8(answer).unwrap()
}

/// A GET that is the connection's only request.
pub(crate) async fn get(addr: SocketAddr, path: &str) -> String {
    raw(addr, format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await
}

/// A POST of JSON.
pub(crate) fn post(path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    )
}

/// The status of an answer.
pub(crate) fn status(answer: &str) -> u16 {
    let code = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
    code.unwrap_or_else(|| panic!("no answer: {answer:?}")).parse().unwrap()
}

/// The problem in an answer, which must be one.
pub(crate) fn problem(answer: &str) -> serde_json::Value {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    assert!(head.contains("content-type: application/problem+json"), "{answer}");
    let problem: serde_json::Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"));
    assert_eq!(problem["status"], status(answer), "{answer}");
    problem
}
