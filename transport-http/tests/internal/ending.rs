//! A server that announces its end before it comes.

use crate::support::*;
use axum::{Router, routing};
use bookstore_transport_http::server::{self, Grace, Health, ServerLimits, health_routes};
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};

/// A server whose end is announced, and begun, by the test.
struct Ending {
    addr: SocketAddr,
    announce: oneshot::Sender<()>,
    begin: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

async fn start(worker_threads: usize) -> Ending {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let router = Router::new().route("/", routing::get(|| async { "whole" })).merge(health_routes(Health::default()));
    let (announce, announced) = oneshot::channel::<()>();
    let (begin, begun) = oneshot::channel::<()>();
    let shutdown = async move {
        announced.await.unwrap();
        Grace::until(async { begun.await.unwrap() })
    };
    let limits = ServerLimits { worker_threads, ..ServerLimits::default() };
    let served = tokio::spawn(server::serve(server::tcp(listener), router, limits, shutdown));
    Ending { addr, announce, begin, served }
}

/// One request on a connection that is kept, and its whole answer.
async fn ask(stream: &mut TcpStream) -> String {
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("the connection is open");
    let mut answer = String::new();
    while !answer.ends_with("whole") {
        let mut buffer = [0; 1024];
        let length = timeout(PATIENCE, stream.read(&mut buffer)).await.expect("an answer").expect("no reset");
        assert_ne!(length, 0, "cut off after {answer:?}");
        answer.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
    }
    answer
}

async fn is_closed_in_order(stream: &mut TcpStream) -> bool {
    matches!(timeout(PATIENCE, stream.read(&mut [0])).await.expect("it is closed"), Ok(0))
}

/// Clients go on sending all the time, through the announcement and the end.
#[tokio::test]
async fn kept_connections_end_with_a_whole_answer_that_says_so() {
    for worker_threads in [0, 2] {
        let server = start(worker_threads).await;
        let addr = server.addr;
        let clients: Vec<_> = (0..16)
            .map(|_| {
                tokio::spawn(async move {
                    let mut stream = TcpStream::connect(addr).await.unwrap();
                    while !ask(&mut stream).await.contains("connection: close") {}
                    assert!(is_closed_in_order(&mut stream).await);
                })
            })
            .collect();
        let mut idle = TcpStream::connect(addr).await.unwrap();
        assert!(!ask(&mut idle).await.contains("connection: close"));
        assert_eq!(status(&get(addr, "/readyz").await), 200);
        server.announce.send(()).unwrap();
        for client in clients {
            timeout(PATIENCE, client).await.expect("each has its last answer").unwrap();
        }
        let not_ready = get(addr, "/readyz").await;
        assert!(status(&not_ready) == 503 && not_ready.contains("draining"), "{not_ready}");
        assert_eq!(status(&get(addr, "/livez").await), 200, "it still accepts connections");
        assert!(ask(&mut idle).await.contains("connection: close"), "and serves those that it has");
        let mut new = TcpStream::connect(addr).await.unwrap();
        server.begin.send(()).unwrap();
        assert!(ask(&mut new).await.contains("connection: close"), "who has just connected is served");
        timeout(PATIENCE, server.served).await.expect("the server ends").unwrap();
        assert!(TcpStream::connect(addr).await.is_err(), "the port is closed");
    }
}
