//! A client that hangs up leaves an order whole or absent, and a retry with the same id makes it one.

use crate::support::*;
use bookstore_core::{CatalogService, OrderId};
use std::net::SocketAddr;
use tokio::{io::AsyncWriteExt, net::TcpStream};

fn purchase(id: OrderId) -> String {
    let body = format!(r#"[{{"reserve":{{"order":"{id}","lines":[{{"book":1,"quantity":1}}]}}}}]"#);
    post("/v1/calls", &body)
}

/// Sends all but the last `held_back` bytes, and is gone after `then`, politely or with a reset.
async fn send_and_hang_up(
    addr: SocketAddr,
    request: &str,
    held_back: usize,
    then: impl Future<Output = ()>,
    reset: bool,
) {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(&request.as_bytes()[..request.len() - held_back]).await.unwrap();
    then.await;
    if reset {
        stream.set_zero_linger().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_order_or_none_and_one_after_a_retry() {
    let rounds = 400;
    let shop = shop(&[rounds]).await;
    let server = catalog_server(shop.clone()).await;
    let remote = remote(&[server.url()]);
    for round in 0..rounds {
        let id = order_id();
        // Half a request, a purchase that is committed before its buyer hangs up, and two of which nobody knows.
        let (cut_short, committed) = (round % 4 == 0, round % 4 == 1);
        let until_committed = async {
            while committed && shop.find_order(id).await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        send_and_hang_up(server.addr, &purchase(id), usize::from(cut_short), until_committed, round % 3 == 0).await;
        let receipt = remote.sell(id, one(1, 1)).await.unwrap();
        assert!(!(cut_short && receipt.replayed), "half a request bought something");
        assert!(!committed || receipt.replayed, "a purchase was lost with its buyer's connection");
        assert_eq!(receipt.order.id, id);
    }
    let entries = ledger(&shop).await;
    assert_eq!(entries.len(), 1 + rounds as usize, "one sale for each id");
    assert_eq!(shop.info(bookstore_core::BookId(1)).await.unwrap().stock, 0);
}
