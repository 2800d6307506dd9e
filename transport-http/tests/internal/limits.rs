//! What a connection and a request may be, and what they may not.

use crate::support::*;
use axum::{Json, Router, body::Bytes, extract::DefaultBodyLimit, routing};
use bookstore_transport_http::{
    internal::InternalOptions,
    internal::catalog,
    server::{Health, Readiness, ServerLimits, health_routes},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{io::AsyncWriteExt, net::TcpStream};

const SHORT: Duration = Duration::from_millis(200);

async fn catalog_with(limits: ServerLimits) -> Running {
    serve(catalog::router(shop(&[5]).await, InternalOptions::default()), limits).await
}

#[tokio::test]
async fn slow_silent_and_idle_connections_are_closed() {
    let limits = ServerLimits { header_timeout: SHORT, ..ServerLimits::default() };
    let server = catalog_with(limits).await;
    for (sent, answered) in [
        ("", false),
        ("GET /livez HTT", false),
        ("GET /livez HTTP/1.1\r\nhost: x\r\nx-slow: ", false),
        ("GET /livez HTTP/1.1\r\nhost: x\r\n\r\n", true),
    ] {
        let started = Instant::now();
        let answer = raw(server.addr, sent.as_bytes()).await;
        assert_eq!(answer.starts_with("HTTP/1.1 200"), answered, "{answer}");
        let took = started.elapsed();
        assert!(took >= SHORT && took < Duration::from_secs(5), "{sent:?} was closed after {took:?}");
    }
    // A header a while keeps nothing open.
    let mut stream = TcpStream::connect(server.addr).await.unwrap();
    let started = Instant::now();
    let mut request = "GET /livez HTTP/1.1\r\n".to_owned();
    while stream.write_all(request.as_bytes()).await.is_ok() {
        assert!(started.elapsed() < Duration::from_secs(5));
        tokio::time::sleep(SHORT / 10).await;
        request = "x-more: y\r\n".into();
    }
}

#[tokio::test]
async fn oversized_requests_are_refused_before_any_work() {
    let server = catalog_with(ServerLimits::default()).await;
    let headers = format!("GET /livez HTTP/1.1\r\nhost: x\r\nx-big: {}\r\n\r\n", "x".repeat(17 << 10));
    assert_eq!(status(&raw(server.addr, headers.as_bytes()).await), 431);
    let many = format!("GET /livez HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(200));
    assert_eq!(status(&raw(server.addr, many.as_bytes()).await), 431);
    let fits =
        format!("GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-big: {}\r\n\r\n", "x".repeat(15 << 10));
    assert_eq!(status(&raw(server.addr, fits.as_bytes()).await), 200);

    let long = problem(&get(server.addr, &format!("/v1/topics?{}", "x".repeat(2 << 10))).await);
    assert_eq!(
        (&long["status"], &long["code"], &long["executed"]),
        (&414.into(), &"uri-too-long".into(), &"no".into())
    );

    let big = problem(&raw(server.addr, post("/v1/search", &" ".repeat(65 << 10)).as_bytes()).await);
    assert_eq!((&big["status"], &big["code"], &big["executed"]), (&413.into(), &"too-large".into(), &"no".into()));
    let chunked = format!(
        "POST /v1/search HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nconnection: close\r\n\
         transfer-encoding: chunked\r\n\r\n{:x}\r\n{}\r\n0\r\n\r\n",
        65 << 10,
        " ".repeat(65 << 10)
    );
    assert_eq!(problem(&raw(server.addr, chunked.as_bytes()).await)["status"], 413);
    let batch = format!("[]{}", " ".repeat(65 << 10));
    assert_eq!(status(&raw(server.addr, post("/v1/calls", &batch).as_bytes()).await), 200, "batches may be longer");
}

/// Megabytes, more than the sockets hold, to a server that answers before it has read any.
#[tokio::test]
async fn who_is_refused_while_still_sending_reads_the_refusal_and_may_go_on() {
    const LONG: usize = 16 << 20;
    let server = catalog_with(ServerLimits { worker_threads: 1, ..ServerLimits::default() }).await;
    let long_uri = format!("/v1/search?{}", "x".repeat(2 << 10));
    for (path, refused) in [("/v1/search", 413), (long_uri.as_str(), 414)] {
        let mut stream = TcpStream::connect(server.addr).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {LONG}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // As slow a sender as to be overtaken by the answer.
        tokio::time::sleep(SHORT).await;
        for _ in 0..LONG >> 20 {
            stream.write_all(&vec![b' '; 1 << 20]).await.expect("the server still reads");
        }
        stream.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let answers = read_to_end(&mut stream).await;
        assert_eq!(status(&answers), refused);
        assert!(answers.contains("HTTP/1.1 200 OK"), "the connection goes on: {answers}");
    }
}

/// A body that has no end, to a server that does not want it: in how many bytes and what time it is cut off.
async fn cut_off(piece: usize, pause: Duration) -> (usize, Duration) {
    let server = catalog_with(ServerLimits::default()).await;
    let mut stream = TcpStream::connect(server.addr).await.unwrap();
    let head = format!(
        "POST /v1/search?{} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        "x".repeat(2 << 10),
        1_u64 << 40
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut sent, piece, started) = (0, vec![b' '; piece], Instant::now());
    while stream.write_all(&piece).await.is_ok() {
        sent += piece.len();
        assert!(started.elapsed() < PATIENCE, "still read after {sent} bytes");
        tokio::time::sleep(pause).await;
    }
    (sent, started.elapsed())
}

#[tokio::test]
async fn what_is_refused_is_thrown_away_within_limits() {
    let (quick, slow) = tokio::join!(cut_off(1 << 20, Duration::ZERO), cut_off(10, SHORT));
    assert!((64 << 20..96 << 20).contains(&quick.0), "{quick:?}");
    assert!((Duration::from_secs(4)..PATIENCE).contains(&slow.1), "{slow:?}");
}

#[tokio::test]
async fn who_waits_to_be_asked_is_not_asked_for_what_is_refused() {
    let server = catalog_with(ServerLimits::default()).await;
    let long_uri = format!("/v1/search?{}", "x".repeat(2 << 10));
    for (path, refused) in [("/v1/search", false), (long_uri.as_str(), true)] {
        let mut stream = TcpStream::connect(server.addr).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nexpect: 100-continue\r\n\
             content-length: 16\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        if !refused {
            tokio::time::sleep(SHORT).await;
            stream.shutdown().await.unwrap();
        }
        let started = Instant::now();
        let answer = read_to_end(&mut stream).await;
        // Nor is it waited for, as what is on its way would be.
        assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
        assert_eq!(status(&answer), if refused { 414 } else { 100 }, "{answer}");
        assert_eq!(answer.contains("100 Continue"), !refused, "{answer}");
    }
}

#[tokio::test]
async fn a_route_may_raise_the_body_limit() {
    let length = |body: Bytes| async move { body.len().to_string() };
    let router = Router::new()
        .route("/small", routing::post(length))
        .route("/big", routing::post(length).layer(DefaultBodyLimit::max(2000)));
    let server = serve(router, ServerLimits { body_bytes_max: 1000, ..ServerLimits::default() }).await;
    for (path, length, expected) in
        [("/small", 1000, 200), ("/small", 1001, 413), ("/big", 2000, 200), ("/big", 2001, 413)]
    {
        let answer = raw(server.addr, post(path, &"x".repeat(length)).as_bytes()).await;
        assert_eq!(status(&answer), expected, "{path} {length}");
    }
}

#[tokio::test]
async fn every_refusal_is_a_problem() {
    let server = catalog_with(ServerLimits::default()).await;
    let check = async |request: String, status: u16, code: &str| {
        let answer = raw(server.addr, request.as_bytes()).await;
        let problem = problem(&answer);
        assert_eq!((&problem["status"], &problem["code"]), (&status.into(), &code.into()), "{request}: {answer}");
        assert_eq!(problem["executed"], "no", "{answer}");
        answer
    };
    let bare = |method: &str, path: &str| format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    check(bare("GET", "/nothing"), 404, "not-found").await;
    let allowed = check(bare("DELETE", "/v1/entries"), 405, "method-not-allowed").await;
    assert!(allowed.contains("allow: GET"), "{allowed}");
    check(bare("GET", "/v1/books/x"), 400, "malformed").await;
    check(bare("GET", "/v1/books/7"), 404, "unknown-book").await;
    check(bare("GET", "/v1/entries?after=x"), 400, "malformed").await;
    check(post("/v1/calls", "[{"), 400, "malformed").await;
    check(post("/v1/calls", r#"[{"steal":{}}]"#), 422, "invalid").await;
    let reserve = r#"{"reserve":{"order":"018f0000-0000-7000-8000-000000000000","lines":[{"book":1,"quantity":0}]}}"#;
    check(post("/v1/calls", &format!("[{reserve}]")), 422, "invalid").await;
    let many = vec![reserve.replace(":0}", ":1}"); 257].join(",");
    check(post("/v1/calls", &format!("[{many}]")), 422, "invalid").await;
    check(post("/v1/calls", "[]").replace("application/json", "text/csv"), 415, "unsupported-media-type").await;
    let compact = |body: &str| post("/v1/calls", body).replace("application/json", "application/vnd.bookstore.4");
    let one_sale = ["\x01\0\0\0", "\0", &"\x07".repeat(16), "\x01\0\0\0"].concat();
    let copies = |count: &str| ["\x01\0\0\0\0\0\0\0", count, "\0\0\0", "\x01\0\0\0\0\0\0\0"].concat();
    check(compact(&one_sale), 400, "malformed").await;
    check(compact("\x01\0\0\0\x07"), 400, "malformed").await;
    check(compact(&format!("{one_sale}{}", copies("\0"))), 422, "invalid").await;
    check(compact(&format!("{one_sale}{}and more", copies("\x01"))), 400, "malformed").await;
    let answer = get(server.addr, "/v1/books/1").await;
    assert!(answer.contains(r#""stock":5"#), "{answer}");
}

#[tokio::test]
async fn health_and_readiness_are_told_apart() {
    let up = Arc::new(AtomicBool::new(false));
    let check = Arc::clone(&up);
    let ready = Arc::new(move || {
        if check.load(Ordering::SeqCst) { Readiness::Ready } else { Readiness::NotReady("still starting".into()) }
    });
    let health = Health { ready, metrics: Some(Arc::new(|| "a_metric 1\n".into())) };
    let server = serve(health_routes(health), ServerLimits::default()).await;
    assert_eq!(status(&get(server.addr, "/livez").await), 200);
    let not_ready = get(server.addr, "/readyz").await;
    assert_eq!(problem(&not_ready)["code"], "unavailable");
    assert!(not_ready.contains("still starting") && not_ready.contains("retry-after: 1"), "{not_ready}");
    up.store(true, Ordering::SeqCst);
    assert_eq!(status(&get(server.addr, "/readyz").await), 200);
    assert!(get(server.addr, "/metrics").await.ends_with("a_metric 1\n"));
}

#[tokio::test]
async fn requests_are_counted_by_route_and_never_by_id() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().install_recorder().unwrap();
    let health = Health { metrics: Some(Arc::new(move || recorder.render())), ..Health::default() };
    let options = InternalOptions { health, ..InternalOptions::default() };
    let server = serve(catalog::router(shop(&[5]).await, options), ServerLimits::default()).await;
    for path in ["/v1/books/1", "/v1/books/77", "/v1/books/78", "/made/up"] {
        get(server.addr, path).await;
    }
    raw(server.addr, b"BREW /v1/topics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    let text = get(server.addr, "/metrics").await;
    let counted = |labels: &str| text.contains(&format!("bookstore_http_requests_total{{{labels}}}"));
    assert!(counted(r#"method="GET",route="/v1/books/{id}",status="200""#), "{text}");
    assert!(counted(r#"method="GET",route="/v1/books/{id}",status="404""#), "{text}");
    assert!(counted(r#"method="GET",route="none",status="404""#), "{text}");
    assert!(counted(r#"method="other",route="/v1/topics",status="405""#), "{text}");
    assert!(text.contains("bookstore_http_request_duration_seconds"), "{text}");
    assert!(!text.contains("/77") && !text.contains("made"), "{text}");
}

#[tokio::test]
async fn the_date_may_be_left_out() {
    let router = || Router::new().route("/", routing::get(|| async { Json(1) }));
    let with = serve(router(), ServerLimits::default()).await;
    assert!(get(with.addr, "/").await.contains("\r\ndate: "));
    let without = serve(router(), ServerLimits { date_header: false, ..ServerLimits::default() }).await;
    assert!(!get(without.addr, "/").await.contains("\r\ndate: "));
}
