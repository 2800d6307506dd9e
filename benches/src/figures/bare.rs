//! The bare server: hyper alone, which parses the same requests and answers the same bytes, and stores nothing.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Collected, Full};
use hyper::{Method, Request, Response, StatusCode, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use std::{convert::Infallible, fs, path::Path, sync::Arc};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::{Builder, Handle},
};
use uuid::Uuid;

use super::context::Outcome;

/// What the real server had answered, byte by byte.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Answers {
    pub(crate) purchase: String,
    pub(crate) info: String,
}

struct Parsed {
    purchase: Response<Full<Bytes>>,
    info: Response<Full<Bytes>>,
}

/// What a purchase's body is parsed to.
#[derive(Deserialize)]
struct Purchase {
    quantity: u32,
}

/// Serves until killed; says on the first line where. On one runtime over all processors, as tokio starts it by itself, or with a
/// thread and a runtime for each of them, as the shop does.
pub(crate) fn serve(answers: &Path, threads: bool) -> Outcome<()> {
    let answers: Answers = serde_json::from_slice(&fs::read(answers)?)?;
    let answers = Arc::new(Parsed { purchase: parsed(&answers.purchase)?, info: parsed(&answers.info)? });
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
fn on_threads() -> Outcome<Vec<Handle>> {
    let start = |_| {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        std::thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
        Ok(handle)
    };
    (0..std::thread::available_parallelism()?.get()).map(start).collect()
}

async fn answer(request: Request<Incoming>, answers: Arc<Parsed>) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path();
    let (purchase, info) = (path.strip_prefix("/purchase/"), path.strip_prefix("/info/"));
    let known = |id: Option<&str>| id.is_some_and(|id| id.parse::<u64>().is_ok());
    if request.method() == Method::GET && (known(info) || path == "/readyz") {
        return Ok(answers.info.clone());
    }
    let key = request.headers().get("idempotency-key").and_then(|key| Uuid::try_parse_ascii(key.as_bytes()).ok());
    if request.method() == Method::POST && known(purchase) && key.is_some() {
        let body = request.into_body().collect().await.map(Collected::to_bytes).unwrap_or_default();
        if serde_json::from_slice(&body).is_ok_and(|Purchase { quantity }| quantity > 0) {
            return Ok(answers.purchase.clone());
        }
    }
    let mut refused = Response::new(Full::default());
    *refused.status_mut() = StatusCode::BAD_REQUEST;
    Ok(refused)
}

/// The same status, headers and body; what hyper writes itself is left to it.
fn parsed(answer: &str) -> Outcome<Response<Full<Bytes>>> {
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("an answer without an end")?;
    let mut lines = head.split("\r\n");
    let status: u16 = lines.next().and_then(|line| line.get(9..12)).ok_or("an answer without a status")?.parse()?;
    let mut response = Response::builder().status(status);
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        if !["connection", "date", "content-length"].contains(&name.to_ascii_lowercase().as_str()) {
            response = response.header(name, value);
        }
    }
    Ok(response.body(Full::new(Bytes::copy_from_slice(body.as_bytes())))?)
}
