//! Calls that wait go together.

use crate::support::*;
use axum::{
    Router,
    middleware::{Next, from_fn},
    routing,
};
use bookstore_core::{CatalogService, Entries, Error, Executed, OrderService, Orders, Receipt, Result};
use bookstore_transport_http::{
    client::ClientOptions,
    internal::InternalOptions,
    internal::catalog::{self, RemoteCatalog},
    internal::orders::{self, RemoteOrders},
    server::ServerLimits,
};
use futures_util::future::join_all;
use std::{collections::BTreeSet, future::Future, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinHandle, time::timeout};

#[tokio::test]
async fn many_calls_are_few_requests_and_each_gets_its_own_answer() {
    let shop = shop(&[300]).await;
    let server = catalog_server(shop.clone()).await;
    let remote = remote(&[server.url()]);
    let ids: Vec<_> = (0..1000).map(|_| order_id()).collect();
    let answers = join_all(ids.iter().map(|id| remote.sell(*id, one(1, 1)))).await;
    let sold: BTreeSet<_> = ids
        .iter()
        .zip(&answers)
        .filter_map(|(id, answer)| (answer.as_ref().ok()?.order.id == *id).then_some(id))
        .collect();
    assert_eq!(sold.len(), 300);
    let refused = answers.iter().filter(|answer| matches!(answer, Err(Error::OutOfStock { available: 0, .. })));
    assert_eq!(refused.count(), 700);
    assert!(server.requests() <= 20, "{} requests for 1000 calls", server.requests());
}

#[tokio::test]
async fn what_comes_as_a_batch_goes_on_as_one() {
    let shop = shop(&[300]).await;
    let catalog_server = catalog_server(shop.clone()).await;
    let catalog = remote(&[catalog_server.url()]);
    let sales: Vec<_> = (0..600).map(|_| (order_id(), one(1, 1))).collect();
    let answers = catalog.sell_many(sales.clone()).await;
    assert_eq!(answers.len(), 600);
    for ((id, _), answer) in sales.iter().zip(&answers) {
        assert!(answer.as_ref().is_err() || answer.as_ref().unwrap().order.id == *id);
    }
    assert_eq!(answers.iter().flatten().count(), 300);
    assert_eq!(catalog_server.requests(), 3, "256 at most in each");

    let service = Orders::new(Arc::new(catalog), shop.clone());
    let router = orders::router(Arc::new(service), None, InternalOptions::default());
    let order_server = serve(router, ServerLimits::default()).await;
    let orders = RemoteOrders::new(client(&[order_server.url()], ClientOptions::default()));
    let again = join_all(sales.iter().map(|(id, lines)| orders.purchase(*id, lines.clone()))).await;
    assert_eq!(again.iter().flatten().filter(|receipt| receipt.replayed).count(), 300);
    assert_eq!(catalog_server.requests(), 3 + order_server.requests());
}

#[tokio::test]
async fn calls_of_both_kinds_are_each_answered_in_their_place() {
    let shop = shop(&[5]).await;
    let server = catalog_server(shop.clone()).await;
    let kept = shop.sell(order_id(), one(1, 1)).await.unwrap().order.id;
    let (new, stranger) = (order_id(), order_id());
    let sale =
        |id, quantity| format!(r#"{{"reserve":{{"order":"{id}","lines":[{{"book":1,"quantity":{quantity}}}]}}}}"#);
    let back = |id| format!(r#"{{"release":{{"order":"{id}"}}}}"#);
    let calls = [back(stranger), sale(new, 1), back(kept), sale(order_id(), 100)].join(",");
    let answer = raw(server.addr, post("/v1/calls", &format!("[{calls}]")).as_bytes()).await;
    let answers: Vec<serde_json::Value> = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(answers.len(), 4, "{answers:?}");
    assert!(answers[0]["error"].is_object() && answers[3]["error"].is_object(), "{answers:?}");
    assert_eq!(answers[1]["ok"]["order"]["id"], new.to_string());
    assert_eq!(answers[2]["ok"]["order"]["id"], kept.to_string());
    assert_eq!(answers[2]["ok"]["order"]["status"], "cancelled");
}

/// Runs it in a runtime of its own, on a thread of its own.
fn elsewhere<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    std::thread::spawn(move || runtime().block_on(work)).join().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_works_in_every_runtime_also_when_others_are_gone() {
    let shop = shop(&[100]).await;
    let server = catalog_server(shop.clone()).await;
    let url = server.url();
    let remote = Arc::new(elsewhere(async move { remote(&[url]) }));
    for _ in 0..3 {
        let there = Arc::clone(&remote);
        let sold =
            tokio::task::spawn_blocking(move || elsewhere(async move { there.sell(order_id(), one(1, 1)).await }));
        sold.await.unwrap().unwrap();
        remote.sell(order_id(), one(1, 1)).await.unwrap();
    }
}

/// A runtime that has called keeps no other one waiting.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_works_in_many_runtimes_at_once() {
    let shop = shop(&[100]).await;
    let server = catalog_server(shop.clone()).await;
    let options = ClientOptions { batches_in_flight_max: 1, ..hasty() };
    let remote = Arc::new(RemoteCatalog::new(client(&[server.url()], options)));
    let runtimes: Vec<_> = (0..4)
        .map(|_| tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap())
        .collect();
    for _ in 0..2 {
        for runtime in &runtimes {
            let remote = Arc::clone(&remote);
            runtime.spawn(async move { remote.sell(order_id(), one(1, 1)).await }).await.unwrap().unwrap();
        }
    }
    runtimes.into_iter().for_each(tokio::runtime::Runtime::shutdown_background);
}

#[tokio::test]
async fn an_idle_client_sends_a_single_call_at_once() {
    let shop = shop(&[10]).await;
    // With two servers there is a place left while a batch is in flight, so no call waits for that one to come back.
    for servers in 1..=2 {
        let servers: Vec<_> = join_all((0..servers).map(|_| catalog_server(shop.clone()))).await;
        let remote = remote(&servers.iter().map(Running::url).collect::<Vec<_>>());
        for n in 1..=5 {
            remote.sell(order_id(), one(1, 1)).await.unwrap();
            assert_eq!(servers.iter().map(Running::requests).sum::<usize>(), n);
        }
    }
}

/// A catalog server that answers as many requests as the gate has permits.
async fn gated_server(gate: &Arc<Semaphore>) -> Running {
    let gate = Arc::clone(gate);
    let held = move |request, next: Next| {
        let gate = Arc::clone(&gate);
        async move {
            gate.acquire().await.expect("it is never closed").forget();
            next.run(request).await
        }
    };
    let router = catalog::router(shop(&[100]).await, InternalOptions::default()).layer(from_fn(held));
    serve(router, ServerLimits::default()).await
}

/// Permits for all requests.
const OPEN: usize = 1000;

/// Nothing is sent twice while a gate is closed.
fn one_batch_and_patient() -> ClientOptions {
    let (deadline, attempt_timeout) = (PATIENCE, PATIENCE);
    ClientOptions { batches_in_flight_max: 1, deadline, attempt_timeout, ..ClientOptions::default() }
}

/// Waits until this many requests have been sent, and checks that no more are.
async fn requests_are(requests: usize, sent: impl Fn() -> usize) {
    let reached = async {
        while sent() < requests {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, reached).await.expect("they are sent");
    // Time to send what should not be.
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(sent(), requests);
}

/// This many buyers buy at once.
fn buy(remote: &Arc<RemoteCatalog>, buyers: usize) -> JoinHandle<Vec<Result<Receipt>>> {
    let remote = Arc::clone(remote);
    tokio::spawn(async move { join_all((0..buyers).map(|_| remote.sell(order_id(), one(1, 1)))).await })
}

/// A batch is in flight and gets no answer: however many calls come after it, they gather until it is back.
#[tokio::test]
async fn calls_gather_while_all_places_are_taken() {
    let gate = Arc::new(Semaphore::new(0));
    let server = gated_server(&gate).await;
    let remote = Arc::new(RemoteCatalog::new(client(&[server.url()], one_batch_and_patient())));
    let mut sent = Vec::new();
    for calls in [1, 7, 20, 20] {
        sent.push(buy(&remote, calls));
        requests_are(1, || server.requests()).await;
    }
    gate.add_permits(1);
    requests_are(2, || server.requests()).await;
    gate.add_permits(OPEN);
    for answers in join_all(sent).await {
        assert!(answers.expect("no panic").iter().all(Result::is_ok));
    }
    assert_eq!(server.requests(), 2, "one call, and the rest");
}

#[tokio::test]
async fn a_group_has_a_place_for_each_of_its_servers() {
    let gate = Arc::new(Semaphore::new(0));
    let servers = [gated_server(&gate).await, gated_server(&gate).await];
    let options = one_batch_and_patient();
    let urls: Vec<_> = servers.iter().map(Running::url).collect();
    let remote = Arc::new(RemoteCatalog::new(client(&urls, options)));
    let sent = || servers.iter().map(Running::requests).sum::<usize>();
    // Batches that came back while none was waited for have given their places back, too.
    gate.add_permits(2);
    for _ in 0..2 {
        remote.sell(order_id(), one(1, 1)).await.unwrap();
    }
    let mut asked = Vec::new();
    for requests in [3, 4, 4] {
        let remote = Arc::clone(&remote);
        asked.push(tokio::spawn(async move { remote.sell(order_id(), one(1, 1)).await }));
        requests_are(requests, sent).await;
    }
    gate.add_permits(OPEN);
    assert!(join_all(asked).await.into_iter().all(|answer| answer.expect("no panic").is_ok()));
}

#[tokio::test]
async fn the_queue_is_limited_and_what_never_left_was_not_executed() {
    // The kernel takes the connection, nobody answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = ClientOptions {
        deadline: Duration::from_millis(300),
        attempt_timeout: PATIENCE,
        batches_in_flight_max: 1,
        waiting_max: 2,
        ..ClientOptions::default()
    };
    let remote = RemoteCatalog::new(client(&[format!("http://{}", silent.local_addr().unwrap())], options));
    let first = remote.sell(order_id(), one(1, 1));
    let (mut accepted, _) = tokio::select! {
        biased;
        _ = first => panic!("nobody answers"),
        accepted = silent.accept() => accepted.unwrap(),
    };
    // The call in flight was given up by its caller; the place stays taken until its request ends.
    let answers = join_all((0..4).map(|_| remote.sell(order_id(), one(1, 1)))).await;
    let of = |wanted: fn(&Error) -> bool| answers.iter().filter(|answer| wanted(answer.as_ref().unwrap_err())).count();
    assert_eq!(of(|error| matches!(error, Error::Overloaded { .. })), 2, "{answers:?}");
    assert_eq!(of(|error| matches!(error, Error::DeadlineExpired { .. })), 2, "{answers:?}");
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap_err().executed() == Executed::No));
    drop(silent);
    tokio::io::AsyncWriteExt::shutdown(&mut accepted).await.unwrap();
}

#[tokio::test]
async fn who_asks_in_json_is_answered_in_json() {
    let shop = shop(&[1]).await;
    let server = catalog_server(shop.clone()).await;
    let body = |answer: &str| answer.split_once("\r\n\r\n").expect("a body").1.to_owned();
    let (first, second) = (order_id(), order_id());
    let reserve = |id| format!(r#"{{"reserve":{{"order":"{id}","lines":[{{"book":1,"quantity":1}}]}}}}"#);
    let calls = format!("[{},{}]", reserve(first), reserve(second));
    let answer = raw(server.addr, post("/v1/calls", &calls).as_bytes()).await;
    assert!(answer.contains("content-type: application/json"), "{answer}");
    let order = shop.find_order(first).await.unwrap();
    let expected = serde_json::json!([
        {"ok": {"order": order, "replayed": false}},
        {"error": {"code": "out-of-stock", "book": 1, "available": 0}},
    ]);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&body(&answer)).unwrap(), expected);
    let page: Entries = serde_json::from_str(&body(&get(server.addr, "/v1/entries?after=0&limit=9").await)).unwrap();
    assert_eq!(page.entries, ledger(&shop).await);
}

/// Nearly any bytes are something in the compact form: here they would be one refusal.
#[tokio::test]
async fn an_answer_of_another_content_type_is_no_answer() {
    let refusal = ["\x01\0\0\0", "\x02", &"\0".repeat(58), "\x1b\0\0\0", "{\"code\":\"version-required\"}"].concat();
    for (content, executed) in [("application/vnd.bookstore.4", Executed::No), ("application/json", Executed::Unknown)]
    {
        let refusal = refusal.clone();
        let answer = move || async move { ([("content-type", content)], refusal) };
        let server = serve(Router::new().route("/v1/calls", routing::post(answer)), ServerLimits::default()).await;
        let remote = RemoteCatalog::new(client(&[server.url()], hasty()));
        let error = remote.sell(order_id(), one(1, 1)).await.unwrap_err();
        assert_eq!(error.executed(), executed, "{content}: {error:?}");
    }
}
