//! Clients that send slowly, stay idle, or close their side: what they can keep from others.

use crate::support::*;
use axum::{Router, body::Bytes, routing};
use bookstore_core::CatalogService;
use bookstore_transport_http::{
    internal::{InternalOptions, catalog},
    server::{Health, ServerLimits, health_routes},
};
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{Notify, Semaphore},
};

const SHORT: Duration = Duration::from_millis(200);
/// Far more than a test takes: what ends earlier has another reason.
const LONG: Duration = Duration::from_secs(60);

/// `/echo` says how long a body was; `/gate` waits until it is let go, and tells when it has begun.
#[derive(Clone)]
struct Handlers {
    begun: Arc<Notify>,
    open: Arc<Semaphore>,
}

impl Handlers {
    fn new() -> Self {
        Self { begun: Arc::new(Notify::new()), open: Arc::new(Semaphore::new(0)) }
    }

    fn router(&self) -> Router {
        let gate = self.clone();
        Router::new()
            .route("/echo", routing::post(|body: Bytes| async move { body.len().to_string() }))
            .route("/gate", routing::post(move |_: Bytes| gate.pass()))
            .merge(health_routes(Health::default()))
    }

    async fn has_begun(&self) {
        tokio::time::timeout(PATIENCE, self.begun.notified()).await.expect("the handler begins");
    }

    async fn pass(self) -> &'static str {
        self.begun.notify_one();
        self.open.acquire().await.unwrap().forget();
        "passed"
    }
}

/// Limits under which nothing but what a test is about ends a request.
fn patient() -> ServerLimits {
    ServerLimits { header_timeout: LONG, request_deadline: LONG, body_grace: LONG, ..ServerLimits::default() }
}

fn both(limits: &ServerLimits) -> [ServerLimits; 2] {
    [0, 2].map(|worker_threads| ServerLimits { worker_threads, ..limits.clone() })
}

/// A connection with a request that lacks the last byte of its body.
async fn slow(addr: SocketAddr, path: &str) -> TcpStream {
    let request = post(path, "0123456789");
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(&request.as_bytes()[..request.len() - 1]).await.unwrap();
    stream
}

/// Waits until a request that needs a place is answered with this status.
async fn until_status(addr: SocketAddr, request: &str, expected: u16) -> String {
    let answered = async {
        loop {
            let answer = raw(addr, request.as_bytes()).await;
            if status(&answer) == expected {
                return answer;
            }
        }
    };
    tokio::time::timeout(PATIENCE, answered).await.unwrap_or_else(|_| panic!("never {expected}"))
}

#[tokio::test]
async fn slow_bodies_take_no_places_from_those_who_send_at_once() {
    let server = serve(Handlers::new().router(), ServerLimits { in_flight_max: 4, ..patient() }).await;
    let mut slow_ones = Vec::new();
    for _ in 0..20 {
        slow_ones.push(slow(server.addr, "/echo").await);
        // Each has a place until the server has looked for its body.
        until_status(server.addr, &post("/echo", "0123456789"), 200).await;
    }
    for mut stream in slow_ones {
        stream.write_all(b"9").await.unwrap();
        assert_eq!(status(&read_to_end(&mut stream).await), 200, "their turn comes, too");
    }
}

#[tokio::test]
async fn a_body_that_is_complete_when_all_places_are_taken_has_no_effect() {
    let handlers = Handlers::new();
    let server = serve(handlers.router(), ServerLimits { in_flight_max: 1, ..patient() }).await;
    let addr = server.addr;
    let mut late = slow(addr, "/gate").await;
    let gate = post("/gate", "{}");
    let stuck = tokio::spawn(async move { until_status(addr, &gate, 200).await });
    handlers.has_begun().await;
    late.write_all(b"9").await.unwrap();
    let refused = problem(&read_to_end(&mut late).await);
    assert_eq!(
        (&refused["status"], &refused["code"], &refused["executed"]),
        (&503.into(), &"overloaded".into(), &"no".into())
    );
    handlers.open.add_permits(1);
    assert!(stuck.await.unwrap().ends_with("passed"));
    assert_eq!(handlers.open.available_permits(), 0, "one request went through the gate");
}

#[tokio::test]
async fn bodies_that_are_waited_for_are_limited_for_each_peer_and_for_all() {
    for limits in [
        ServerLimits { bodies_incomplete_per_peer_max: 3, ..patient() },
        ServerLimits { bodies_incomplete_max: 3, ..patient() },
    ] {
        let server = serve(Handlers::new().router(), limits).await;
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(slow(server.addr, "/echo").await);
        }
        // With the fourth one, one of them is refused, whichever the server looked at last.
        held.push(slow(server.addr, "/echo").await);
        let mut refused = first_to_be_answered(held).await;
        let answer = problem(&read_to_end(&mut refused).await);
        assert_eq!((&answer["code"], &answer["executed"]), (&"overloaded".into(), &"no".into()));
        assert_eq!(status(&raw(server.addr, post("/echo", "at once").as_bytes()).await), 200, "it never counts");
    }
}

/// The connection of those that is answered first; the others are kept open until then.
async fn first_to_be_answered(streams: Vec<TcpStream>) -> TcpStream {
    let mut waiting: Vec<_> = streams
        .into_iter()
        .map(|stream| {
            Box::pin(async move {
                stream.readable().await.unwrap();
                stream
            })
        })
        .collect();
    let first = std::future::poll_fn(|cx| {
        for stream in &mut waiting {
            if let std::task::Poll::Ready(stream) = stream.as_mut().poll(cx) {
                return std::task::Poll::Ready(stream);
            }
        }
        std::task::Poll::Pending
    });
    tokio::time::timeout(PATIENCE, first).await.expect("one is answered")
}

/// A catalog's batch, byte by byte: it must sell nothing.
#[tokio::test]
async fn a_body_below_the_least_rate_is_cut_off_and_not_executed() {
    let shop = shop(&[5]).await;
    let limits = ServerLimits { body_grace: SHORT, body_bytes_per_second_min: 100, ..patient() };
    let server = serve(catalog::router(shop.clone(), InternalOptions::default()), limits).await;
    let sale = format!(r#"[{{"reserve":{{"order":"{}","lines":[{{"book":1,"quantity":1}}]}}}}]"#, order_id());
    let request = post("/v1/calls", &sale).replace("connection: close\r\n", "");
    let (head, body) = request.split_at(request.len() - sale.len());
    let mut stream = TcpStream::connect(server.addr).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let started = Instant::now();
    // 20 bytes a second.
    for byte in body.as_bytes() {
        if stream.write_all(&[*byte]).await.is_err() || started.elapsed() > SHORT * 10 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let answer = read_to_end(&mut stream).await;
    let refused = problem(&answer);
    assert_eq!(
        (&refused["status"], &refused["code"], &refused["executed"]),
        (&408.into(), &"body-too-slow".into(), &"no".into())
    );
    assert!(answer.contains("connection: close"), "{answer}");
    assert_eq!(shop.info(bookstore_core::BookId(1)).await.unwrap().stock, 5);
}

#[tokio::test]
async fn a_long_body_at_a_fair_rate_may_take_longer_than_the_grace() {
    let limits = ServerLimits { body_grace: SHORT, body_bytes_per_second_min: 1000, ..patient() };
    let server = serve(Handlers::new().router(), limits).await;
    let request = post("/echo", &"x".repeat(6000));
    let (head, body) = request.split_at(request.len() - 6000);
    let mut stream = TcpStream::connect(server.addr).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let started = Instant::now();
    // Ten times as fast as it must be.
    for piece in body.as_bytes().chunks(600) {
        tokio::time::sleep(SHORT / 4).await;
        stream.write_all(piece).await.unwrap();
    }
    assert!(started.elapsed() > SHORT);
    assert!(read_to_end(&mut stream).await.ends_with("6000"));
}

/// A connection that has been answered once, and waits.
async fn idle(addr: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    again(&mut stream).await.expect("an answer");
    stream
}

/// One more request on a connection; `None` if it is closed.
async fn again(stream: &mut TcpStream) -> Option<String> {
    stream.write_all(b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}").await.ok()?;
    let mut answer = vec![0; 4096];
    let read = tokio::time::timeout(PATIENCE, stream.read(&mut answer)).await.expect("an answer or an end");
    let length = read.ok().filter(|length| *length > 0)?;
    Some(String::from_utf8_lossy(&answer[..length]).into_owned())
}

#[tokio::test]
async fn the_longest_idle_connection_makes_room_for_a_new_one() {
    for limits in both(&ServerLimits { connections_max: 3, spare_connections_max: 1, ..patient() }) {
        let server = serve(Handlers::new().router(), limits).await;
        let mut first = idle(server.addr).await;
        let mut second = idle(server.addr).await;
        let mut third = idle(server.addr).await;
        assert!(again(&mut first).await.is_some(), "now the second one is the longest idle");
        assert_eq!(status(&raw(server.addr, post("/echo", "{}").as_bytes()).await), 200);
        assert_eq!(read_to_end(&mut second).await, "", "it was closed");
        assert!(again(&mut third).await.is_some());
        assert!(again(&mut first).await.is_some());
    }
}

/// Far more idle ones than there are places, and of each kind: those that never sent anything, and half a request.
#[tokio::test]
async fn idle_connections_keep_no_buyer_out() {
    for limits in both(&ServerLimits { connections_max: 16, spare_connections_max: 2, ..patient() }) {
        let server = serve(Handlers::new().router(), limits).await;
        let mut held = Vec::new();
        for round in 0..100 {
            let mut stream = TcpStream::connect(server.addr).await.unwrap();
            let sent: &[u8] = if round % 2 == 0 { b"" } else { b"POST /echo HTTP/1.1\r\nhost: x\r\n" };
            // It may be closed already.
            let _ = stream.write_all(sent).await;
            held.push(stream);
            if round >= 50 {
                buyer(server.addr).await;
            }
        }
    }
}

/// A buyer, who tries again if the connections that make room have not gone yet.
async fn buyer(addr: SocketAddr) -> String {
    for _ in 0..1000 {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        if stream.write_all(post("/echo", "{}").as_bytes()).await.is_ok() {
            let answer = read_to_end(&mut stream).await;
            if answer.starts_with("HTTP/1.1 200") {
                return answer;
            }
        }
        tokio::task::yield_now().await;
    }
    panic!("1,000 tries were refused")
}

#[tokio::test]
async fn a_client_that_has_closed_its_side_reads_its_answer() {
    for limits in both(&patient()) {
        let handlers = Handlers::new();
        let server = serve(handlers.router(), limits).await;
        let mut stream = TcpStream::connect(server.addr).await.unwrap();
        stream.write_all(post("/gate", "{}").replace("connection: close\r\n", "").as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        handlers.has_begun().await;
        // Time to notice the end of what the client sends.
        tokio::time::sleep(SHORT).await;
        handlers.open.add_permits(1);
        assert!(read_to_end(&mut stream).await.ends_with("passed"));
    }
}

#[tokio::test]
async fn requests_of_clients_that_are_gone_end_by_the_deadline() {
    let handlers = Handlers::new();
    let limits = ServerLimits { in_flight_max: 2, request_deadline: SHORT * 5, ..patient() };
    let server = serve(handlers.router(), limits).await;
    for reset in [false, true] {
        let mut gone = TcpStream::connect(server.addr).await.unwrap();
        gone.write_all(post("/gate", "{}").as_bytes()).await.unwrap();
        handlers.has_begun().await;
        if reset {
            gone.set_zero_linger().unwrap();
        }
    }
    until_status(server.addr, &post("/echo", "{}"), 200).await;
}
