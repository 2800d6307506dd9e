//! Trouble on the way: lost answers, busy servers, dead ones. None of it may be taken for a broken promise.

use axum::http::{Method, header};
use bookstore_cli::load::{Limits, Load, LoadResult, Mix, Operation, Target, Verdict};
use serde_json::json;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::support::{Answer, Asked, Meddler, Shop, load, meddle, run, token};

fn purchases(result: &LoadResult) -> &bookstore_cli::load::Numbers {
    &result.operations.iter().find(|of| of.operation == Operation::Purchase).unwrap().numbers
}

fn busy(retry_after: &str) -> Answer {
    let mut answer = Answer::json(
        503,
        &json!({
            "type": "/problems/overloaded", "title": "Overloaded", "status": 503, "detail": "busy",
            "executed": "no", "code": "overloaded", "message": "busy",
        }),
    );
    answer.headers.insert(header::RETRY_AFTER, retry_after.parse().unwrap());
    answer
}

/// Loses every third answer to a purchase, after it was executed, and turns every third request away, before.
#[derive(Default)]
struct Lossy {
    asked: AtomicU64,
    tries: Mutex<HashMap<String, u64>>,
}

impl Meddler for Lossy {
    fn instead(&self, asked: &Asked) -> Option<Answer> {
        asked.purchase()?;
        *self.tries.lock().unwrap().entry(asked.key()).or_default() += 1;
        (self.asked.fetch_add(1, Ordering::Relaxed) % 3 == 1).then(|| busy("0"))
    }

    fn after(&self, asked: &Asked, answer: Answer) -> Option<Answer> {
        let lost = asked.purchase().is_some() && self.asked.load(Ordering::Relaxed) % 3 == 1;
        Some(answer).filter(|_| !lost)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_and_busy_servers_are_met_with_the_same_id() {
    let shop = Shop::full().await;
    let lossy = Arc::new(Lossy::default());
    let url = meddle(&shop, Arc::clone(&lossy)).await;
    let mut load = load(&url, Mix::Chance(1.0));
    load.target.admin_token = Some(token());
    load.duration = Duration::from_secs(1);
    load.again = 0.0;
    // More than half of the attempts fail: ten retries would run out now and then.
    load.limits.retries_max = 100;
    let result = run(&load).await;
    assert_eq!(result.check.verdict, Verdict::Kept, "{:#?}", result.check);
    let numbers = purchases(&result);
    assert_eq!(numbers.failed_total(), 0, "{:?}", result.kinds());
    let tries = lossy.tries.lock().unwrap();
    let repeated: u64 = tries.values().map(|tries| tries - 1).sum();
    assert!(repeated > 0 && numbers.retries == repeated, "{} {repeated}", numbers.retries);
    // One id for one purchase: as many ids as orders.
    assert_eq!(tries.len() as u64, result.check.acknowledged);
}

/// Asks to be left alone for a second, once.
#[derive(Default)]
struct Tired(AtomicU64);

impl Meddler for Tired {
    fn instead(&self, asked: &Asked) -> Option<Answer> {
        asked.purchase()?;
        (self.0.fetch_add(1, Ordering::SeqCst) == 0).then(|| busy("1"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_is_honoured_and_counts_in_the_latency() {
    let shop = Shop::full().await;
    let url = meddle(&shop, Arc::new(Tired::default())).await;
    let result = run(&load(&url, Mix::Chance(1.0))).await;
    let numbers = purchases(&result);
    assert_eq!((numbers.retries, numbers.failed_total()), (1, 0));
    assert!(numbers.latency.as_ref().unwrap().max_us >= 1_000_000, "{numbers:?}");
}

/// Executes purchases, but never answers them.
struct Silent;

impl Meddler for Silent {
    fn after(&self, asked: &Asked, answer: Answer) -> Option<Answer> {
        Some(answer).filter(|_| asked.purchase().is_none())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_that_stays_unknown_is_looked_up_afterwards() {
    let shop = Shop::full().await;
    let url = meddle(&shop, Arc::new(Silent)).await;
    let limits = Limits { retries_max: 1, ..Limits::default() };
    let result = run(&Load { limits, ..load(&url, Mix::Chance(1.0)) }).await;
    let check = &result.check;
    assert_eq!((check.verdict, check.acknowledged), (Verdict::Kept, 0), "{check:#?}");
    assert!(check.unknown > 0 && check.unknown_existing == check.unknown, "{check:#?}");
    let failed = &purchases(&result).failed;
    assert_eq!(failed.keys().collect::<Vec<_>>(), ["connection-lost"]);
    assert_eq!(failed["connection-lost"], check.unknown);
    assert!(purchases(&result).latency.is_none(), "what is not answered has no latency");
}

/// Sells, but shows no order.
struct Closed;

impl Meddler for Closed {
    fn instead(&self, asked: &Asked) -> Option<Answer> {
        asked.is(&Method::GET, "/orders/").then(|| busy("0"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_back_is_not_proven() {
    let shop = Shop::full().await;
    let url = meddle(&shop, Arc::new(Closed)).await;
    let limits = Limits { retries_max: 1, timeout: Duration::from_millis(300), ..Limits::default() };
    let result = run(&Load { limits, ..load(&url, Mix::Chance(1.0)) }).await;
    let check = &result.check;
    assert_eq!((check.verdict, check.confirmed), (Verdict::Incomplete, 0), "{check:#?}");
    assert!(check.acknowledged > 0 && check.unread == check.acknowledged);
    let lost = check.promises[1].not_checked.as_ref().unwrap();
    assert!(lost.contains("could not be read back") && lost.contains("busy"), "{lost}");
    assert!(result.html().contains("not everything could be checked"));
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_go_to_another_frontend_when_theirs_is_gone() {
    let shop = Shop::full().await;
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let target = Target { servers: vec![format!("http://{gone}"), shop.url.clone()], admin_token: None };
    let result = run(&Load { target, ..load(&shop.url, Mix::Chance(1.0)) }).await;
    assert_eq!(result.check.verdict, Verdict::Kept, "{:#?}", result.check);
    assert!(result.total.succeeded > 0);
    let failed = result.total.failed.get("no-connection").copied().unwrap_or_default();
    assert!(failed <= 4, "each client meets the dead one at most once: {failed}");
}
