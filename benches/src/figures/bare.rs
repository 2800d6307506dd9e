//! The bare server: hyper alone, which parses the same requests, gives the same answers, and stores nothing.

use bookstore_benches::Result;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Collected, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{self, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use std::{convert::Infallible, fs, path::Path, sync::Arc};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::{Builder, Handle},
};
use uuid::Uuid;

use super::recorded::{Answers, Recorded};

/// The answers, ready to be given.
struct Prepared {
    purchase: Response<Full<Bytes>>,
    /// What is the same for every book.
    info: Response<Full<Bytes>>,
    books: Vec<Book>,
}

/// A book's own part of its answer.
struct Book {
    etag: HeaderValue,
    body: Bytes,
}

impl Prepared {
    fn new(answers: &Answers) -> Result<Self> {
        let books: Vec<_> = answers.info.iter().map(response).collect::<Result<_>>()?;
        Ok(Self {
            purchase: response(&answers.purchase)?.map(Full::new),
            info: books.first().ok_or("there is no book")?.clone().map(Full::new),
            books: books.into_iter().map(Book::of).collect::<Option<_>>().ok_or("a book without an ETag")?,
        })
    }

    fn info(&self, id: &str) -> Option<Response<Full<Bytes>>> {
        let book = self.books.get(id.parse::<usize>().ok()?.checked_sub(1)?)?;
        let mut answer = self.info.clone();
        answer.headers_mut().insert(header::ETAG, book.etag.clone());
        *answer.body_mut() = Full::new(book.body.clone());
        Some(answer)
    }
}

impl Book {
    fn of(answer: Response<Bytes>) -> Option<Self> {
        let etag = answer.headers().get(header::ETAG)?.clone();
        Some(Self { etag, body: answer.into_body() })
    }
}

/// What a purchase's body is parsed to.
#[derive(Deserialize)]
struct Purchase {
    quantity: u32,
}

/// Serves until killed; the first line of output ends with the URL. It serves in one runtime over all processors, as tokio starts
/// it by itself, or with a thread and a runtime for each of them, as the shop does.
pub(crate) fn serve(answers: &Path, threads: bool) -> Result<()> {
    let answers: Answers = serde_json::from_slice(&fs::read(answers)?)?;
    let answers = Arc::new(Prepared::new(&answers)?);
    let runtimes = if threads { on_threads()? } else { Vec::new() };
    let main = tokio::runtime::Runtime::new()?;
    main.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("bare listening on http://{}", listener.local_addr()?);
        for nth in 0.. {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let (stream, answers) = (stream.into_std()?, Arc::clone(&answers));
            let runtime = runtimes.get(nth % runtimes.len().max(1)).unwrap_or(main.handle());
            runtime.spawn(async move {
                let service = service_fn(move |request| answer(request, Arc::clone(&answers)));
                if let Ok(stream) = TcpStream::from_std(stream) {
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                }
            });
        }
        Ok(())
    })
}

/// A runtime on a thread of its own for each processor.
fn on_threads() -> Result<Vec<Handle>> {
    let start = |_| {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        std::thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
        Ok(handle)
    };
    (0..std::thread::available_parallelism()?.get()).map(start).collect()
}

async fn answer(request: Request<Incoming>, answers: Arc<Prepared>) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path();
    if request.method() == Method::GET {
        let book = if path == "/readyz" { Some("1") } else { path.strip_prefix("/info/") };
        return Ok(book.and_then(|id| answers.info(id)).unwrap_or_else(refused));
    }
    let known = path.strip_prefix("/purchase/").is_some_and(|id| id.parse::<u64>().is_ok());
    let key = request.headers().get("idempotency-key").and_then(|key| Uuid::try_parse_ascii(key.as_bytes()).ok());
    if request.method() == Method::POST && known && key.is_some() {
        let body = request.into_body().collect().await.map(Collected::to_bytes).unwrap_or_default();
        if serde_json::from_slice(&body).is_ok_and(|Purchase { quantity }| quantity > 0) {
            return Ok(answers.purchase.clone());
        }
    }
    Ok(refused())
}

fn refused() -> Response<Full<Bytes>> {
    let mut refused = Response::new(Full::default());
    *refused.status_mut() = StatusCode::BAD_REQUEST;
    refused
}

/// The same status, headers and body.
fn response(recorded: &Recorded) -> Result<Response<Bytes>> {
    let mut response = Response::builder().status(recorded.status);
    for (name, value) in &recorded.headers {
        response = response.header(name, HeaderValue::from_maybe_shared(kept(value))?);
    }
    Ok(response.body(kept(&recorded.body))?)
}

/// Bytes that are never freed: they need no count of references, which would be a cache line that the processors share.
fn kept(text: &str) -> Bytes {
    Bytes::from_static(Box::leak(text.as_bytes().into()))
}
