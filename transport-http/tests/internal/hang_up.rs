//! A client that hangs up leaves an order whole or absent, and a retry with the same id makes it one.

use crate::support::*;
use bookstore_core::{CatalogService, OrderId};
use std::net::SocketAddr;
use tokio::{io::AsyncWriteExt, net::TcpStream};

fn purchase(id: OrderId) -> String {
    let body = format!(r#"[{{"reserve":{{"order":"{id}","lines":[{{"book":1,"quantity":1}}]}}}}]"#);
    post("/v1/calls", &body)
}

/// Sends all but the last `held_back` bytes, then is gone, politely or with a reset.
async fn send_and_hang_up(addr: SocketAddr, request: &str, held_back: usize, reset: bool) {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(&request.as_bytes()[..request.len() - held_back]).await.unwrap();
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
    let (mut whole, mut absent) = (0, 0);
    for round in 0..rounds {
        let id = order_id();
        let cut_short = round % 4 == 0;
        send_and_hang_up(server.addr, &purchase(id), usize::from(cut_short), round % 2 == 0).await;
        if round % 3 == 0 {
            // Lets some of the abandoned purchases be committed before they are sent again.
            get(server.addr, "/livez").await;
        }
        let receipt = remote.reserve(id, one(1, 1)).await.unwrap();
        *(if receipt.replayed { &mut whole } else { &mut absent }) += 1;
        if cut_short {
            assert!(!receipt.replayed, "half a request bought something");
        }
        assert_eq!(receipt.order.id, id);
    }
    assert!(whole > 0 && absent > 0, "{whole} whole, {absent} absent: both must have been met");
    let entries = ledger(&shop).await;
    assert_eq!(entries.len(), 1 + rounds as usize, "one sale for each id");
    assert_eq!(shop.info(bookstore_core::BookId(1)).await.unwrap().stock, 0);
}
