//! A real shop on loopback, and proxies in front of it that meddle with its answers.

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, Uri, header, request::Parts},
    response::{IntoResponse, Response},
};
use bookstore::{
    AccessToken, Bookstore,
    deploy::{self, Monolith, Serving, StoreUrl},
};
use bookstore_cli::load::{Check, Limits, Load, LoadResult, Mix, Pace, Promise, Stop, Target, Verdict};
use bookstore_core::{BookId, NewBook, book::BookText, fixtures};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::oneshot};

pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef";

pub(crate) fn token() -> AccessToken {
    AccessToken::new(TOKEN).unwrap()
}

/// A whole shop in this process; it ends with this.
pub(crate) struct Shop {
    pub(crate) url: String,
    _stop: oneshot::Sender<()>,
}

impl Shop {
    /// A shop over `memory:` with these books: title and stock.
    pub(crate) async fn with_books(books: &[(&str, u32)]) -> Self {
        let shop = Self::empty().await;
        let books = books.iter().map(|(title, stock)| book(title, *stock)).collect();
        shop.admin().add_books(books).await.unwrap();
        shop
    }

    /// A shop with plenty of ten books.
    pub(crate) async fn full() -> Self {
        let titles: Vec<String> = (1..=10).map(|n| format!("Volume number{n}")).collect();
        let books: Vec<(&str, u32)> = titles.iter().map(|title| (title.as_str(), 1_000_000)).collect();
        Self::with_books(&books).await
    }

    pub(crate) async fn empty() -> Self {
        let (tokens, serving) = (token().into(), Serving::default());
        let monolith = Monolith {
            store: StoreUrl::Memory,
            currency: None,
            sample: false,
            tokens,
            serving,
            public_holds: false,
            contacts: Default::default(),
        };
        let server = deploy::monolith(monolith).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(server.run(listener, async { drop(stopped.await) }));
        Self { url, _stop: stop }
    }

    pub(crate) fn admin(&self) -> Bookstore {
        Bookstore::connect_admin(&self.url, token()).unwrap()
    }
}

fn book(title: &str, stock: u32) -> NewBook {
    let book = fixtures::book(title, stock);
    NewBook { text: BookText { topic: "tests & loads".into(), ..book.text }, ..book }
}

/// A short load without a token.
pub(crate) fn load(url: &str, mix: Mix) -> Load {
    Load {
        mix,
        pace: Pace::Closed { clients: 4 },
        duration: Duration::from_millis(300),
        warmup: Duration::ZERO,
        limits: Limits {
            attempt_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(20),
            ..Limits::default()
        },
        ..Load::on(Target { servers: vec![url.to_owned()], admin_token: None })
    }
}

/// The same with the admin token.
pub(crate) fn admin_load(url: &str, mix: Mix) -> Load {
    let target = Target { servers: vec![url.to_owned()], admin_token: Some(token()) };
    Load { target, ..load(url, mix) }
}

pub(crate) async fn run(load: &Load) -> LoadResult {
    load.run(&|_| (), &Stop::new()).await.unwrap()
}

/// As [`run`], on a shop of its own, and longer until enough operations have succeeded for chance to even out: a busy machine
/// does few in a short time.
pub(crate) async fn run_until(succeeded: u64, load: impl Fn(&Shop) -> Load) -> (Shop, LoadResult) {
    for times in [1, 2, 4, 8, 16, 32] {
        let shop = Shop::full().await;
        let load = load(&shop);
        let result = run(&Load { duration: load.duration * times, ..load }).await;
        if result.total.succeeded >= succeeded {
            return (shop, result);
        }
    }
    panic!("this machine is too busy: {succeeded} operations do not succeed in a reasonable time");
}

/// Demands that just this promise is broken, and a finding that says `word`.
pub(crate) fn assert_broken(check: &Check, promise: Promise, word: &str) {
    assert_eq!(check.verdict, Verdict::Broken, "{check:#?}");
    let broken = check.promises.iter().find(|of| of.promise == promise).unwrap();
    assert_eq!(broken.verdict, Verdict::Broken, "{check:#?}");
    let named = check.findings.iter().any(|finding| finding.promise == promise && finding.what.contains(word));
    assert!(named, "no finding says {word:?}: {check:#?}");
}

/// An answer on its way back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(status: u16, body: &serde_json::Value) -> Self {
        let status = StatusCode::from_u16(status).unwrap();
        let problem = if status.is_success() { "application/json" } else { "application/problem+json" };
        let headers = [(header::CONTENT_TYPE, problem.parse().unwrap())].into_iter().collect();
        Self { status, headers, body: body.to_string().into() }
    }

    /// Its body, changed.
    pub(crate) fn edit(mut self, edit: impl FnOnce(&mut serde_json::Value)) -> Self {
        let mut value = serde_json::from_slice(&self.body).unwrap();
        edit(&mut value);
        self.body = value.to_string().into();
        self.headers.remove(header::CONTENT_LENGTH);
        self
    }
}

/// What stands between the shop and its clients.
pub(crate) trait Meddler: Send + Sync + 'static {
    /// Answers instead of the shop, if at all.
    fn instead(&self, _asked: &Asked) -> Option<Answer> {
        None
    }

    /// Changes the shop's answer; `None` loses it.
    fn after(&self, _asked: &Asked, answer: Answer) -> Option<Answer> {
        Some(answer)
    }
}

/// A request as the meddler sees it.
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
}

impl Asked {
    pub(crate) fn is(&self, method: &Method, prefix: &str) -> bool {
        self.method == *method && self.uri.path().starts_with(prefix)
    }

    /// The book that is asked for, if this is a purchase.
    pub(crate) fn purchase(&self) -> Option<BookId> {
        self.uri.path().strip_prefix("/purchase/").filter(|_| self.method == Method::POST)?.parse().ok()
    }

    /// The idempotency key.
    pub(crate) fn key(&self) -> String {
        self.headers.get("idempotency-key").map(|key| key.to_str().unwrap().to_owned()).unwrap_or_default()
    }
}

struct Proxy<M> {
    upstream: String,
    client: Client<HttpConnector, Body>,
    meddler: Arc<M>,
}

/// Puts a meddler in front of a shop.
pub(crate) async fn meddle<M: Meddler>(shop: &Shop, meddler: Arc<M>) -> String {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let proxy = Arc::new(Proxy { upstream: shop.url.clone(), client, meddler });
    let router = Router::new().fallback(pass::<M>).with_state(proxy);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

async fn pass<M: Meddler>(State(proxy): State<Arc<Proxy<M>>>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let asked = Asked { method: parts.method.clone(), uri: parts.uri.clone(), headers: parts.headers.clone() };
    if let Some(answer) = proxy.meddler.instead(&asked) {
        return answer.into_response();
    }
    forward(&proxy, &mut parts);
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let answer = proxy.client.request(Request::from_parts(parts, Body::from(body))).await.unwrap();
    let (head, body) = answer.into_parts();
    let body = to_bytes(Body::new(body), 64 << 20).await.unwrap();
    match proxy.meddler.after(&asked, Answer { status: head.status, headers: head.headers, body }) {
        Some(answer) => answer.into_response(),
        // A body that fails ends the connection half-way.
        None => Response::new(Body::new(Broken)),
    }
}

fn forward<M>(proxy: &Proxy<M>, parts: &mut Parts) {
    let path = parts.uri.path_and_query().unwrap().as_str();
    parts.uri = format!("{}{path}", proxy.upstream).parse().unwrap();
    parts.headers.remove(header::HOST);
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response.headers_mut().remove(header::TRANSFER_ENCODING);
        response
    }
}

/// A body that fails at once.
struct Broken;

impl axum::body::HttpBody for Broken {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, std::io::Error>>> {
        std::task::Poll::Ready(Some(Err(std::io::Error::other("the answer is lost"))))
    }
}
