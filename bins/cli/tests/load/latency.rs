//! Latency from the intended start: a stall counts in everything that it held up.

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::get,
};
use bookstore_cli::load::{Load, Mix, Pace};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{net::TcpListener, sync::RwLock};

use crate::support::{load, run};

const STALL: Duration = Duration::from_millis(300);

/// A shop that answers looks at its one book at once, but stands still for a while at the 100th.
#[derive(Default)]
struct Staller {
    asked: AtomicU64,
    still: RwLock<()>,
}

fn book() -> Value {
    json!({"id": 1, "title": "A book", "author": "", "topic": "t", "price_cents": 100, "stock": 5, "version": 1, "text_version": 1, "on_sale": true})
}

async fn info(State(staller): State<Arc<Staller>>, Path(_): Path<u64>) -> Json<Value> {
    if staller.asked.fetch_add(1, Ordering::SeqCst) == 100 {
        let _still = staller.still.write().await;
        tokio::time::sleep(STALL).await;
    }
    let _moving = staller.still.read().await;
    Json(book())
}

async fn stalling_shop() -> String {
    let router = Router::new()
        .route("/topics", get(|| async { Json(json!({"topics": [{"topic": "t", "books": 1}]})) }))
        .route("/search", get(|| async { Json(json!({"books": [book()], "next_page_token": null, "total": 1})) }))
        .route("/info/{id}", get(info))
        .with_state(Arc::new(Staller::default()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stall_counts_in_every_request_that_it_held_up() {
    // 300 ms at 500 requests a second hold up 150 of 500 requests, 0 to 300 ms each, though only four were under way.
    let open = Pace::Open { rate: 500.0, clients: 4 };
    let url = stalling_shop().await;
    let result = run(&Load { pace: open, duration: Duration::from_secs(1), ..load(&url, Mix::Chance(0.0)) }).await;
    let latency = result.total.latency.unwrap();
    assert_eq!(result.total.succeeded + result.not_started, 500);
    assert!(latency.p90_us >= 150_000, "{latency:?}");
    assert!(latency.max_us >= 290_000, "{latency:?}");
    let wait = result.wait.unwrap();
    assert!(wait.p90_us >= 100_000, "most of it was waiting for a free client: {wait:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_that_is_not_reached_is_told() {
    // One client and a server that stands still for as long as the run takes.
    let open = Pace::Open { rate: 20_000.0, clients: 1 };
    let url = stalling_shop().await;
    let result = run(&Load { pace: open, duration: Duration::from_millis(300), ..load(&url, Mix::Chance(0.0)) }).await;
    assert!(result.not_started > 0, "{result:?}");
    assert_eq!(result.total.succeeded + result.not_started, 6000);
}
