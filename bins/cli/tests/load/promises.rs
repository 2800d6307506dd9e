//! Shops that break a promise: each must be found out.

use axum::http::Method;
use bookstore_cli::load::{Limits, Load, Mix, Pace, Prize, Promise, Verdict};
use bookstore_core::BookId;
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::support::{Answer, Asked, Meddler, Shop, admin_load, assert_broken, load, meddle, run};

fn invented(id: &str, book: BookId) -> Value {
    json!({
        "id": id, "status": "placed", "lines": [{"book": book, "quantity": 1, "unit_price_cents": 1000}],
        "total_cents": 1000, "placed_at": "2026-01-01T00:00:00.000Z", "seq": 900_000_000, "version": 900_000_000,
    })
}

/// A load with a token and one without.
fn both(url: &str, mix: Mix) -> [Load; 2] {
    [load(url, mix), admin_load(url, mix)]
}

/// Acknowledges every fifth purchase without doing anything.
#[derive(Default)]
struct Liar(AtomicU64);

impl Meddler for Liar {
    fn instead(&self, asked: &Asked) -> Option<Answer> {
        let book = asked.purchase()?;
        let nth = self.0.fetch_add(1, Ordering::Relaxed);
        nth.is_multiple_of(5).then(|| Answer::json(201, &invented(&asked.key(), book)))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_order_that_does_not_exist() {
    let shop = Shop::full().await;
    let url = meddle(&shop, Arc::new(Liar::default())).await;
    for load in both(&url, Mix::Chance(1.0)) {
        // Few enough lies that every finding of each kind is named.
        let limits = Limits { purchases_max: 40, ..load.limits };
        let result = run(&Load { again: 0.0, limits, ..load }).await;
        assert_broken(&result.check, Promise::NeverLost, "there is no such order");
        assert!(result.check.confirmed < result.check.acknowledged && result.check.confirmed > 0);
        let ledger = result.check.findings.iter().any(|finding| finding.what.contains("not in the ledger"));
        assert_eq!(ledger, result.check.ledger_entries.is_some());
    }
}

/// Forgets an order after a while: shows it to nobody any more.
struct Forgetful;

impl Meddler for Forgetful {
    fn after(&self, asked: &Asked, answer: Answer) -> Option<Answer> {
        if !asked.is(&Method::GET, "/orders/") || !answer.status.is_success() {
            return Some(answer);
        }
        let id = asked.uri.path().trim_start_matches("/orders/");
        Some(Answer::json(
            404,
            &json!({
                "type": "/problems/unknown-order", "title": "Unknown order", "status": 404, "detail": "gone",
                "executed": "no", "code": "unknown-order", "order": id,
            }),
        ))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_not_found_a_moment_later() {
    let shop = Shop::full().await;
    let url = meddle(&shop, Arc::new(Forgetful)).await;
    let limits = Limits { purchases_max: 600, ..Limits::default() };
    let result = run(&Load { limits, duration: Duration::from_secs(300), ..load(&url, Mix::Ordering) }).await;
    assert_broken(&result.check, Promise::NeverLost, "a moment later the answer was unknown-order");
}

/// Shows orders at another price than they were sold at.
struct Forger;

impl Meddler for Forger {
    fn after(&self, asked: &Asked, answer: Answer) -> Option<Answer> {
        let shown = asked.is(&Method::GET, "/orders/") && answer.status.is_success();
        Some(if shown { answer.edit(|order| order["total_cents"] = json!(1)) } else { answer })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_reads_otherwise_than_it_was_answered() {
    let shop = Shop::full().await;
    let url = meddle(&shop, Arc::new(Forger)).await;
    for load in both(&url, Mix::Chance(1.0)) {
        let result = run(&load).await;
        assert_broken(&result.check, Promise::NeverLost, "but reads");
        assert_eq!(result.check.confirmed, 0);
    }
}

/// Changes the answers to purchases that were sent again.
struct Twofaced(Meddling);

type Meddling = fn(Answer) -> Answer;

impl Meddler for Twofaced {
    fn after(&self, asked: &Asked, answer: Answer) -> Option<Answer> {
        let replay = asked.purchase().is_some() && answer.headers.contains_key("idempotency-replayed");
        Some(if replay { (self.0)(answer) } else { answer })
    }
}

fn other_order(answer: Answer) -> Answer {
    answer.edit(|order| order["seq"] = json!(order["seq"].as_u64().unwrap() + 1))
}

fn as_new(mut answer: Answer) -> Answer {
    answer.headers.remove("idempotency-replayed");
    answer
}

fn refusal(_: Answer) -> Answer {
    sold_out()
}

fn sold_out() -> Answer {
    Answer::json(
        409,
        &json!({
            "type": "/problems/out-of-stock", "title": "Out of stock", "status": 409, "detail": "none left",
            "executed": "no", "code": "out-of-stock", "book": 1, "available": 0,
        }),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_with_two_different_answers() {
    let cases: [(Meddling, &str); 3] =
        [(other_order, "has two answers"), (as_new, "answered as a new one"), (refusal, "sent again it was refused")];
    for (meddling, word) in cases {
        let shop = Shop::full().await;
        let url = meddle(&shop, Arc::new(Twofaced(meddling))).await;
        let result = run(&Load { again: 1.0, ..load(&url, Mix::Chance(1.0)) }).await;
        assert_broken(&result.check, Promise::NeverDouble, word);
        let unasked = run(&Load { again: 0.0, ..load(&url, Mix::Chance(1.0)) }).await;
        assert_eq!(unasked.check.verdict, Verdict::Kept, "nothing was sent again: nothing to find");
    }
}

/// Answers a purchase with the order of another.
struct Mixer;

impl Meddler for Mixer {
    fn after(&self, asked: &Asked, answer: Answer) -> Option<Answer> {
        let bought = asked.purchase().is_some() && answer.status.is_success();
        Some(if bought { answer.edit(|order| order["lines"][0]["quantity"] = json!(2)) } else { answer })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_another_question() {
    let shop = Shop::full().await;
    let url = meddle(&shop, Arc::new(Mixer)).await;
    let result = run(&load(&url, Mix::Chance(1.0))).await;
    assert_broken(&result.check, Promise::NeverDouble, "was answered with another order");
    // What was answered so was bought all the same: these orders count as unknown, and are found.
    assert!(result.check.unknown > 0 && result.check.unknown_existing == result.check.unknown);
}

/// Sells one copy more than there is: the first buyer who comes too late gets one, too.
#[derive(Default)]
struct Overseller {
    done: AtomicBool,
    order: Mutex<HashMap<String, Value>>,
}

impl Meddler for Overseller {
    fn instead(&self, asked: &Asked) -> Option<Answer> {
        let id = asked.uri.path().strip_prefix("/orders/")?;
        Some(Answer::json(200, self.order.lock().unwrap().get(id)?))
    }

    fn after(&self, asked: &Asked, answer: Answer) -> Option<Answer> {
        let Some(book) = asked.purchase().filter(|_| answer.status == 409) else { return Some(answer) };
        if self.done.swap(true, Ordering::SeqCst) {
            return Some(answer);
        }
        let order = invented(&asked.key(), book);
        self.order.lock().unwrap().insert(asked.key(), order.clone());
        Some(Answer::json(201, &order))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_copy_too_many() {
    let race = Mix::Race(Prize::Book(BookId(1)));
    for (with_token, promise, word) in [
        (false, Promise::NeverOversold, "had 20 in stock, but 21 were sold"),
        (true, Promise::NeverLost, "not in the ledger"),
    ] {
        let shop = Shop::with_books(&[("Prize", 20)]).await;
        let url = meddle(&shop, Arc::new(Overseller::default())).await;
        let load = if with_token { admin_load(&url, race) } else { load(&url, race) };
        let result = run(&Load { again: 0.0, duration: Duration::from_secs(20), ..load }).await;
        assert_eq!(result.race.unwrap().sold, 21);
        assert_broken(&result.check, promise, word);
    }
}

/// Sells, but says that it did not, once.
#[derive(Default)]
struct Denier(AtomicBool);

impl Meddler for Denier {
    fn after(&self, asked: &Asked, answer: Answer) -> Option<Answer> {
        let denied = asked.purchase().is_some() && !self.0.swap(true, Ordering::SeqCst);
        Some(if denied { sold_out() } else { answer })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_purchase_that_was_executed() {
    for with_token in [false, true] {
        let shop = Shop::full().await;
        let url = meddle(&shop, Arc::new(Denier::default())).await;
        let mix = Mix::Chance(1.0);
        let result = run(&if with_token { admin_load(&url, mix) } else { load(&url, mix) }).await;
        assert_broken(&result.check, Promise::NeverDouble, "was refused");
        assert_eq!(result.check.findings_total, 1);
    }
}

/// Shows another stock than there is.
struct Shelf(i64);

impl Meddler for Shelf {
    fn after(&self, asked: &Asked, answer: Answer) -> Option<Answer> {
        Some(match asked.is(&Method::GET, "/info/") {
            true => answer.edit(|book| book["stock"] = json!(book["stock"].as_i64().unwrap() + self.0)),
            false => answer,
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stock_that_does_not_add_up() {
    let shop = Shop::full().await;
    let more = meddle(&shop, Arc::new(Shelf(1_000_000))).await;
    let result = run(&load(&more, Mix::Chance(1.0))).await;
    assert_broken(&result.check, Promise::NeverOversold, "its stock fell by");
    let result = run(&admin_load(&more, Mix::Chance(1.0))).await;
    assert_broken(&result.check, Promise::NeverOversold, "but by the ledger it is");
    let negative = meddle(&shop, Arc::new(Shelf(-2_000_000))).await;
    let result = run(&load(&negative, Mix::Chance(0.0))).await;
    assert_broken(&result.check, Promise::NeverOversold, "with a stock of -");
}

/// Shows a ledger in which one sale is not as it was.
struct Cook(Cooking);

/// Changes the entry at a place.
type Cooking = fn(&mut [Value], usize);

impl Meddler for Cook {
    fn after(&self, asked: &Asked, answer: Answer) -> Option<Answer> {
        if !asked.is(&Method::GET, "/entries") {
            return Some(answer);
        }
        Some(answer.edit(|page| {
            let entries = page["entries"].as_array_mut().unwrap();
            let sales: Vec<_> =
                entries.iter().enumerate().filter(|(_, entry)| entry["kind"] == "sale").map(|(at, _)| at).collect();
            // The last page may have none: one is enough.
            if sales.len() > 2 {
                (self.0)(entries, sales[1]);
            }
        }))
    }
}

fn another_stock(entries: &mut [Value], at: usize) {
    let stock = &mut entries[at]["changes"][0]["stock"];
    *stock = json!(stock.as_u64().unwrap() + 1);
}

fn the_key_again(entries: &mut [Value], at: usize) {
    entries[at]["key"] = entries[at - 1]["key"].clone();
}

fn another_price(entries: &mut [Value], at: usize) {
    entries[at]["changes"][0]["price_cents"] = json!(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_does_not_add_up() {
    let cases: [(Cooking, Promise, &str); 3] = [
        (another_stock, Promise::NeverOversold, "the deltas sum up to"),
        (the_key_again, Promise::NeverDouble, "again"),
        (another_price, Promise::NeverLost, "in the ledger stands"),
    ];
    for (cook, promise, word) in cases {
        let shop = Shop::full().await;
        let url = meddle(&shop, Arc::new(Cook(cook))).await;
        let one = Pace::Closed { clients: 1 };
        let result = run(&Load { pace: one, ..admin_load(&url, Mix::Chance(1.0)) }).await;
        assert_broken(&result.check, promise, word);
    }
}

/// Meddles with nothing: what the others find is not the proxy's doing.
struct Honest;

impl Meddler for Honest {}

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_shop_behind_the_same_proxy_is_found_honest() {
    let shop = Shop::full().await;
    let url = meddle(&shop, Arc::new(Honest)).await;
    for load in both(&url, Mix::Chance(1.0)) {
        let result = run(&Load { again: 1.0, ..load }).await;
        assert_eq!(result.check.verdict, Verdict::Kept, "{:#?}", result.check);
        assert!(result.check.acknowledged > 0 && result.check.findings.is_empty());
    }
}
