//! Too much at once, too long, and the end.

use crate::support::*;
use axum::{Router, body::Bytes, routing};
use bookstore_core::{CatalogService, Seq};
use bookstore_transport_http::{
    internal::InternalOptions,
    internal::catalog,
    server::{Health, ServerLimits, health_routes},
};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{Notify, Semaphore},
};

const SHORT: Duration = Duration::from_millis(200);

/// Handlers that wait until they are let go, and tell when they have begun.
#[derive(Clone)]
struct Gate {
    begun: Arc<Notify>,
    open: Arc<Semaphore>,
}

impl Gate {
    fn new() -> Self {
        Self { begun: Arc::new(Notify::new()), open: Arc::new(Semaphore::new(0)) }
    }

    async fn pass(self) -> &'static str {
        self.begun.notify_one();
        self.open.acquire().await.unwrap().forget();
        "passed"
    }

    fn router(&self) -> Router {
        let (a, b) = (self.clone(), self.clone());
        Router::new()
            .route("/gate", routing::get(move || a.pass()).post(move |_: Bytes| b.pass()))
            .route("/panic", routing::post(panics).get(panics))
            .merge(health_routes(Health::default()))
    }
}

async fn panics() -> &'static str {
    panic!("on purpose, in a test")
}

#[tokio::test]
async fn too_many_requests_are_shed_at_once_and_health_is_still_answered() {
    let gate = Gate::new();
    let server = serve(gate.router(), ServerLimits { in_flight_max: 2, ..ServerLimits::default() }).await;
    let addr = server.addr;
    let stuck: Vec<_> = (0..2).map(|_| tokio::spawn(async move { get(addr, "/gate").await })).collect();
    gate.begun.notified().await;
    gate.begun.notified().await;
    let started = Instant::now();
    let shed = get(addr, "/gate").await;
    assert!(started.elapsed() < Duration::from_secs(1));
    let error = problem(&shed);
    assert_eq!(
        (&error["status"], &error["code"], &error["executed"]),
        (&503.into(), &"overloaded".into(), &"no".into())
    );
    assert!(shed.contains("retry-after: 1"), "{shed}");
    assert_eq!(status(&get(addr, "/livez").await), 200);
    assert_eq!(status(&get(addr, "/readyz").await), 200);
    gate.open.add_permits(3);
    for stuck in stuck {
        assert_eq!(status(&stuck.await.unwrap()), 200);
    }
    assert_eq!(status(&get(addr, "/gate").await), 200, "the places are free again");
}

#[tokio::test]
async fn connections_over_the_limit_get_one_answer_and_then_none() {
    let limits = ServerLimits { connections_max: 1, spare_connections_max: 1, ..ServerLimits::default() };
    let gate = Gate::new();
    let server = serve(gate.router(), limits).await;
    let mut first = TcpStream::connect(server.addr).await.unwrap();
    first.write_all(b"GET /gate HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    gate.begun.notified().await;

    let keep_alive = b"GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n";
    let shed = raw(server.addr, keep_alive).await;
    assert_eq!(problem(&shed)["code"], "overloaded");
    assert!(shed.contains("connection: close") && shed.contains("retry-after: 1"), "{shed}");
    assert_eq!(status(&get(server.addr, "/livez").await), 200);

    let silent = TcpStream::connect(server.addr).await.unwrap();
    assert_eq!(raw(server.addr, b"").await, "", "closed at once: the spare place is taken");
    drop(silent);
    gate.open.add_permits(1);
    assert_eq!(status(&read_to_end(&mut first).await), 200);
    let freed = async { while status_of(server.addr).await != Some(404) {} };
    tokio::time::timeout(PATIENCE, freed).await.expect("the places are free again");
}

async fn status_of(addr: std::net::SocketAddr) -> Option<u16> {
    let answer = get(addr, "/nothing").await;
    (!answer.is_empty()).then(|| status(&answer))
}

#[tokio::test]
async fn the_deadline_says_what_it_knows() {
    let server = serve(Gate::new().router(), ServerLimits { request_deadline: SHORT, ..ServerLimits::default() }).await;
    let error = problem(&raw(server.addr, post("/gate", "{}").as_bytes()).await);
    assert_eq!((&error["status"], &error["executed"]), (&504.into(), &"unknown".into()), "the handler had begun");
    let error = problem(&get(server.addr, "/gate").await);
    assert_eq!((&error["code"], &error["executed"]), (&"deadline-expired".into(), &"no".into()), "a read does nothing");
    let request = post("/gate", "0123456789");
    let mut slow = TcpStream::connect(server.addr).await.unwrap();
    slow.write_all(&request.as_bytes()[..request.len() - 1]).await.unwrap();
    let error = problem(&read_to_end(&mut slow).await);
    assert_eq!((&error["code"], &error["executed"]), (&"deadline-expired".into(), &"no".into()), "half a body");
}

/// With the connections on tasks of the test's runtime, and on threads of their own.
fn both(limits: &ServerLimits) -> [ServerLimits; 2] {
    [0, 2].map(|worker_threads| ServerLimits { worker_threads, ..limits.clone() })
}

#[tokio::test]
async fn a_panic_is_one_request_s_misfortune() {
    for limits in both(&ServerLimits::default()) {
        a_panic_is_one_request_s(limits).await;
    }
}

async fn a_panic_is_one_request_s(limits: ServerLimits) {
    let server = serve(Gate::new().router(), limits).await;
    let error = problem(&raw(server.addr, post("/panic", "{}").as_bytes()).await);
    assert_eq!((&error["status"], &error["executed"]), (&500.into(), &"unknown".into()));
    assert!(!error.to_string().contains("purpose"), "{error} shows the panic");
    assert_eq!(problem(&get(server.addr, "/panic").await)["executed"], "no");
    assert_eq!(status(&get(server.addr, "/livez").await), 200);
}

#[tokio::test]
async fn a_peer_that_never_reads_loses_its_place() {
    let text = "x".repeat(64 << 20);
    let health = Health { metrics: Some(Arc::new(move || text.clone())), ..Health::default() };
    let limits = ServerLimits {
        connections_max: 1,
        spare_connections_max: 0,
        stall_timeout: SHORT,
        header_timeout: PATIENCE,
        ..ServerLimits::default()
    };
    for limits in both(&limits) {
        a_deaf_peer_loses_its_place(serve(health_routes(health.clone()), limits).await).await;
    }
}

async fn a_deaf_peer_loses_its_place(server: Running) {
    let mut deaf = TcpStream::connect(server.addr).await.unwrap();
    deaf.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    deaf.readable().await.unwrap();
    assert_eq!(get_or_nothing(server.addr).await, "", "the only place is taken");
    let freed = async { while get_or_nothing(server.addr).await.is_empty() {} };
    tokio::time::timeout(PATIENCE, freed).await.expect("the place is free again");
}

/// As [`get`], from a server that may close before it has read anything.
async fn get_or_nothing(addr: std::net::SocketAddr) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let _ = stream.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    read_to_end(&mut stream).await
}

#[tokio::test]
async fn draining_ends_what_is_in_flight_and_takes_nothing_new() {
    for limits in both(&ServerLimits::default()) {
        draining_ends_what_is_in_flight(limits).await;
    }
}

async fn draining_ends_what_is_in_flight(limits: ServerLimits) {
    let gate = Gate::new();
    let mut server = serve(gate.router(), limits).await;
    let addr = server.addr;
    let mut idle = TcpStream::connect(addr).await.unwrap();
    idle.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    idle.readable().await.unwrap();
    let stuck = tokio::spawn(async move { get(addr, "/gate").await });
    gate.begun.notified().await;
    server.stop();
    let idle_ends = read_to_end(&mut idle).await;
    assert_eq!(status(&idle_ends), 200);
    assert!(TcpStream::connect(addr).await.is_err(), "the port is closed");
    gate.open.add_permits(1);
    assert!(stuck.await.unwrap().ends_with("passed"));
    server.ended().await;
}

#[tokio::test]
async fn draining_takes_a_limited_time() {
    for limits in both(&ServerLimits { drain_timeout: SHORT, ..ServerLimits::default() }) {
        draining_ends_in_time(limits).await;
    }
}

async fn draining_ends_in_time(limits: ServerLimits) {
    let gate = Gate::new();
    let mut server = serve(gate.router(), limits).await;
    let addr = server.addr;
    let stuck = tokio::spawn(async move { get(addr, "/gate").await });
    gate.begun.notified().await;
    let started = Instant::now();
    server.stop();
    server.ended().await;
    assert!(started.elapsed() >= SHORT && started.elapsed() < Duration::from_secs(5));
    assert_eq!(stuck.await.unwrap(), "", "cut off");
}

#[tokio::test]
async fn a_long_poll_does_not_hold_up_the_end() {
    let mut server = {
        let router = catalog::router(shop(&[5]).await, InternalOptions::default());
        serve(router, ServerLimits { drain_timeout: PATIENCE, ..ServerLimits::default() }).await
    };
    let remote = remote(&[server.url()]);
    let poll = tokio::spawn(async move { remote.entries(Seq(1), 10, PATIENCE).await });
    while server.requests() < 1 {
        tokio::task::yield_now().await;
    }
    let started = Instant::now();
    server.stop();
    assert_eq!(poll.await.unwrap().unwrap().entries, []);
    server.ended().await;
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_server_that_is_dropped_closes_its_connections() {
    for limits in both(&ServerLimits::default()) {
        let gate = Gate::new();
        let server = serve(gate.router(), limits).await;
        let addr = server.addr;
        let stuck = tokio::spawn(async move { get(addr, "/gate").await });
        gate.begun.notified().await;
        server.drop_it().await;
        assert_eq!(tokio::time::timeout(PATIENCE, stuck).await.expect("it is closed").unwrap(), "");
    }
}

#[tokio::test]
async fn connections_are_spread_over_the_threads_and_stay_there() {
    let thread = || async { std::thread::current().name().unwrap_or_default().to_owned() };
    let router = Router::new().route("/thread", routing::get(thread));
    let server = serve(router, ServerLimits { worker_threads: 2, ..ServerLimits::default() }).await;
    let mut served_by = BTreeMap::<String, usize>::new();
    let mut open = Vec::new();
    for _ in 0..6 {
        let mut stream = TcpStream::connect(server.addr).await.unwrap();
        let mut names = Vec::new();
        for _ in 0..3 {
            stream.write_all(b"GET /thread HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
            let mut answer = [0; 1024];
            let length = tokio::time::timeout(PATIENCE, stream.read(&mut answer)).await.expect("an answer").unwrap();
            names.push(String::from_utf8_lossy(&answer[..length]).lines().last().unwrap_or_default().to_owned());
        }
        assert!(names.iter().all(|name| name == &names[0]), "{names:?}");
        *served_by.entry(names.swap_remove(0)).or_default() += 1;
        open.push(stream);
    }
    assert_eq!(served_by.into_iter().collect::<Vec<_>>(), [("http-0".to_owned(), 3), ("http-1".to_owned(), 3)]);
}
