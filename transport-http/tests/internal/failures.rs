//! Servers that are not there, break off, keep silent or talk nonsense.

use crate::support::*;
use bookstore_core::{
    Amend, BookId, CatalogService, Error, Executed, OrderService, Orders, Seq, TopicQuery, follow::Follower,
    store::memory::MemoryCopy,
};
use bookstore_transport_http::{
    client::{Client, ClientOptions},
    internal::InternalOptions,
    internal::catalog::RemoteCatalog,
    internal::orders::{self, RemoteOrders},
    server::ServerLimits,
};
use futures_util::future::join_all;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const RESTOCK: Amend = Amend::StockDelta { delta: 1 };

/// Stands before a server; for the first `breaks` connections it lets the server answer and then resets instead of passing it on.
async fn breaking_proxy(server: SocketAddr, breaks: usize) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let broken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&broken);
    tokio::spawn(async move {
        for connection in 0.. {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut upstream = TcpStream::connect(server).await.unwrap();
            if connection >= breaks {
                tokio::spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut upstream).await });
                continue;
            }
            break_after_answer(&mut client, &mut upstream).await;
            count.fetch_add(1, Ordering::SeqCst);
            client.set_zero_linger().unwrap();
        }
    });
    (url, broken)
}

/// Passes a request on until its answer has begun, which stays here.
async fn break_after_answer(client: &mut TcpStream, upstream: &mut TcpStream) {
    let (mut request, mut answer) = ([0; 4096], [0; 4096]);
    loop {
        tokio::select! {
            n = client.read(&mut request) => upstream.write_all(&request[..n.unwrap()]).await.unwrap(),
            n = upstream.read(&mut answer) => return assert!(n.unwrap() > 0, "the server answers"),
        }
    }
}

/// Answers every connection with these bytes, whatever it was asked, and closes.
async fn parrot(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _ = client.read(&mut request).await;
                let _ = client.write_all(answer.as_bytes()).await;
            });
        }
    });
    url
}

#[tokio::test]
async fn a_server_that_is_not_there_executes_nothing() {
    let remote = RemoteCatalog::new(client(&[dead_url().await], hasty()));
    let answers = [
        remote.sell(order_id(), one(1, 1)).await.unwrap_err(),
        remote.release(order_id()).await.unwrap_err(),
        remote.amend(BookId(1), RESTOCK, None, None).await.unwrap_err(),
        remote.add_books(vec![book("x", 1)], None).await.unwrap_err(),
        remote.info(BookId(1)).await.unwrap_err(),
        remote.entries(Seq(0), 1, Duration::ZERO).await.unwrap_err(),
    ];
    for error in answers {
        // On a busy machine the deadline may pass before the connection is refused.
        assert!(matches!(error, Error::Unavailable { .. } | Error::DeadlineExpired { .. }), "{error}");
        assert!(!error.to_string().contains("127.0.0.1"), "{error} shows an address");
    }
}

#[tokio::test]
async fn a_broken_answer_to_a_keyed_call_is_resolved_by_sending_it_again() {
    let shop = shop(&[10]).await;
    let server = catalog_server(shop.clone()).await;
    let (url, broken) = breaking_proxy(server.addr, 3).await;
    let remote = remote(&[url]);
    let id = order_id();
    let receipt = remote.sell(id, one(1, 2)).await.unwrap();
    assert!(receipt.replayed, "the first attempt had bought it");
    assert_eq!(broken.load(Ordering::SeqCst), 3, "the answers were lost");
    assert_eq!(under(&shop, id).await, 1);
    assert_eq!(remote.info(BookId(1)).await.unwrap().stock, 8);
}

#[tokio::test]
async fn a_broken_answer_to_an_unkeyed_call_is_unknown_and_not_sent_again() {
    let shop = shop(&[10]).await;
    let server = catalog_server(shop.clone()).await;
    let (url, _) = breaking_proxy(server.addr, 1).await;
    let remote = remote(&[url]);
    let error = remote.amend(BookId(1), RESTOCK, None, None).await.unwrap_err();
    assert_eq!(error.executed(), Executed::Unknown);
    assert_eq!(remote.info(BookId(1)).await.unwrap().stock, 11, "it happened, once");
    assert_eq!(server.requests(), 2);
}

#[tokio::test]
async fn a_refusal_after_a_lost_answer_does_not_pass_for_the_whole_outcome() {
    let shop = shop(&[0]).await;
    let server = catalog_server(shop.clone()).await;
    let (url, _) = breaking_proxy(server.addr, 1).await;
    let error = remote(std::slice::from_ref(&url)).sell(order_id(), one(1, 1)).await.unwrap_err();
    assert_eq!(error.executed(), Executed::Unknown, "{error}");
    let error = remote(&[url]).sell(order_id(), one(1, 1)).await.unwrap_err();
    assert_eq!(error, Error::OutOfStock { book: BookId(1), available: 0, short: Vec::new() });
}

#[tokio::test]
async fn a_batch_whose_answer_is_lost_is_sent_again_and_says_of_each_call_what_is_known() {
    let shop = shop(&[5, 0]).await;
    let server = catalog_server(shop.clone()).await;
    let (url, broken) = breaking_proxy(server.addr, 1).await;
    let batch = || vec![(order_id(), one(1, 1)), (order_id(), one(2, 1)), (order_id(), one(3, 1))];
    let sales = batch();
    let [sold, sold_out, stranger] = remote(&[url]).sell_many(sales.clone()).await.try_into().unwrap();
    assert_eq!((broken.load(Ordering::SeqCst), server.requests()), (1, 2));
    let sold = sold.unwrap();
    assert_eq!((sold.order.id, sold.replayed), (sales[0].0, true), "the first time it was executed");
    for refused in [sold_out, stranger] {
        let error = refused.unwrap_err();
        assert_eq!(error.executed(), Executed::Unknown, "the first time it may have been executed: {error}");
    }
    assert_eq!(shop.info(BookId(1)).await.unwrap().stock, 4);
    let answers = remote(&[dead_url().await]).sell_many(batch()).await;
    assert_eq!(answers.len(), 3);
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap_err().executed() == Executed::No), "{answers:?}");
}

#[tokio::test]
async fn nonsense_and_half_answers_are_unknown_for_what_has_an_effect() {
    let once_more = || ClientOptions { retries_max: 1, ..ClientOptions::default() };
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n[{\"ok\"",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n",
        "hello\r\n\r\n",
        "",
    ] {
        let remote = RemoteCatalog::new(client(&[parrot(answer).await], once_more()));
        let error = remote.sell(order_id(), one(1, 1)).await.unwrap_err();
        assert_eq!(error.executed(), Executed::Unknown, "{answer:?}: {error}");
        let error = remote.amend(BookId(1), RESTOCK, None, None).await.unwrap_err();
        assert_eq!(error.executed(), Executed::Unknown, "{answer:?}: {error}");
        let error = remote.info(BookId(1)).await.unwrap_err();
        assert_eq!(error.executed(), Executed::No, "{answer:?}: {error}");
    }
    let refused = parrot("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n").await;
    let remote = RemoteCatalog::new(client(&[refused], once_more()));
    let error = remote.sell(order_id(), one(1, 1)).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let endless = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", endless.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut client, _) = endless.accept().await.unwrap();
            tokio::spawn(async move {
                let _ = client.read(&mut [0; 4096]).await;
                let _ = client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
                while client.write_all(&[b' '; 4096]).await.is_ok() {}
            });
        }
    });
    let options = ClientOptions { answer_bytes_max: 64 << 10, ..ClientOptions::default() };
    let remote = RemoteCatalog::new(client(&[url], options));
    let error = remote.amend(BookId(1), RESTOCK, None, None).await.unwrap_err();
    assert_eq!(error, Error::unknown("a server's answer is longer than this client accepts"));
}

/// Answers that are too long for the client are nobody's failure: the server gets all requests as before, and none twice.
#[tokio::test]
async fn an_answer_that_is_too_long_fails_nobody() {
    let (listener, requests) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), Arc::new(AtomicUsize::new(0)));
    let url = format!("http://{}", listener.local_addr().unwrap());
    let counted = Arc::clone(&requests);
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let counted = Arc::clone(&counted);
            tokio::spawn(async move {
                while client.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {
                    counted.fetch_add(1, Ordering::SeqCst);
                    let long = format!("HTTP/1.1 200 OK\r\ncontent-length: 2000\r\n\r\n{}", " ".repeat(2000));
                    let _ = client.write_all(long.as_bytes()).await;
                }
            });
        }
    });
    let options = ClientOptions { answer_bytes_max: 1000, ..ClientOptions::default() };
    let remote = RemoteCatalog::new(client(&[url], options));
    for asked in 1..=10 {
        let error = remote.topics(TopicQuery::default()).await.unwrap_err();
        assert!(matches!(&error, Error::Invalid { message, .. } if message.contains("longer")), "{error:?}");
        assert_eq!(requests.load(Ordering::SeqCst), asked, "no answer of this length is asked for again");
    }
}

#[tokio::test]
async fn a_silent_server_is_unknown_within_the_deadline() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    // In the second case it is the caller's time alone that ends.
    for attempt_timeout in [Duration::from_secs(1), PATIENCE] {
        let options = ClientOptions { attempt_timeout, deadline: Duration::from_secs(2), ..hasty() };
        let remote = RemoteCatalog::new(client(&[format!("http://{}", silent.local_addr().unwrap())], options));
        let started = Instant::now();
        let (reserved, amended, read) = tokio::join!(
            remote.sell(order_id(), one(1, 1)),
            remote.amend(BookId(1), RESTOCK, Some(order_id()), None),
            remote.info(BookId(1))
        );
        assert_eq!(reserved.unwrap_err().executed(), Executed::Unknown);
        assert_eq!(amended.unwrap_err().executed(), Executed::Unknown);
        assert_eq!(read.unwrap_err().executed(), Executed::No);
        assert!(started.elapsed() < Duration::from_secs(5));
    }
}

#[tokio::test]
async fn calls_that_are_sent_by_themselves_are_limited_too() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = ClientOptions { requests_in_flight_max: 2, waiting_max: 1, attempt_timeout: PATIENCE, ..hasty() };
    let remote = RemoteCatalog::new(client(&[format!("http://{}", silent.local_addr().unwrap())], options));
    let errors = join_all((0..5).map(|_| async { remote.info(BookId(1)).await.unwrap_err() })).await;
    let overloaded = errors.iter().filter(|error| matches!(error, Error::Overloaded { .. }));
    assert!(overloaded.count() >= 2, "two on their way and one that waits for a place: {errors:?}");
    assert!(errors.iter().all(|error| error.executed() == Executed::No));
}

#[tokio::test]
async fn behind_a_server_that_lost_its_catalog_a_purchase_is_not_executed() {
    let catalog = Arc::new(RemoteCatalog::new(client(&[dead_url().await], ClientOptions::inner())));
    let nowhere = Arc::new(Follower::start(catalog.clone(), Arc::new(MemoryCopy::new())).await.unwrap());
    let service = Arc::new(Orders::new(catalog, nowhere));
    let server = serve(orders::router(service, None, InternalOptions::default()), ServerLimits::default()).await;
    let orders =
        RemoteOrders::new(client(&[server.url()], ClientOptions { retries_max: 1, ..ClientOptions::default() }));
    let error = orders.purchase(order_id(), one(1, 1)).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    let error = orders.order(order_id()).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
}

#[tokio::test]
async fn with_two_servers_one_may_be_dead() {
    let shop = shop(&[1000]).await;
    let server = catalog_server(shop.clone()).await;
    let remote = remote(&[dead_url().await, server.url()]);
    let started = Instant::now();
    for _ in 0..50 {
        remote.sell(order_id(), one(1, 1)).await.unwrap();
        remote.info(BookId(1)).await.unwrap();
    }
    let answers = join_all((0..200).map(|_| remote.sell(order_id(), one(1, 1)))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!(shop.info(BookId(1)).await.unwrap().stock, 750);
}

#[tokio::test]
async fn two_servers_share_the_work_and_one_that_is_not_ready_does_not_draw_it_all() {
    let shop = shop(&[1000]).await;
    let (a, b) = (catalog_server(shop.clone()).await, catalog_server(shop.clone()).await);
    let both = remote(&[a.url(), b.url()]);
    for _ in 0..100 {
        both.info(BookId(1)).await.unwrap();
    }
    assert!(a.requests() > 20 && b.requests() > 20, "{} and {}", a.requests(), b.requests());

    let not_ready = parrot("HTTP/1.1 503 Not ready\r\ncontent-length: 0\r\n\r\n").await;
    let one_ready = remote(&[not_ready, a.url()]);
    for _ in 0..100 {
        one_ready.sell(order_id(), one(1, 1)).await.unwrap();
    }
    assert_eq!(shop.info(BookId(1)).await.unwrap().stock, 900);
}

#[test]
fn urls_are_checked_before_anything_is_called() {
    let none: [&str; 0] = [];
    assert!(matches!(Client::http(&none, ClientOptions::default()), Err(Error::Invalid { .. })));
    for url in ["", "localhost:80", "ftp://x", "http://", "http://x/path", "http://x?q", "http://u:p@x", "http:// x"] {
        let refused = Client::http(&[url], ClientOptions::default());
        assert!(matches!(refused, Err(Error::Invalid { .. })), "{url:?}");
    }
    for url in ["http://x", "http://127.0.0.1:80/", "http://[::1]:80", "https://x:1"] {
        Client::http(&[url], ClientOptions::default()).unwrap();
    }
}
