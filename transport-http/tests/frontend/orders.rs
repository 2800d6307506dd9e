//! Buying, cancelling, reading.

use bookstore_core::{BookId, CatalogService as _, Lines, OrderId};

use crate::support::{ID, Running, shop};
use serde_json::Value;

fn id_of(order: &Value) -> &str {
    order["id"].as_str().expect("an id")
}

#[tokio::test]
async fn a_purchase_without_a_body_buys_one() {
    let shop = shop().await;
    let answer = shop.send("POST", "/purchase/1", &[], "").await;
    assert_eq!(answer.status, 201);
    let order = answer.json();
    assert_eq!(answer.header("location"), format!("/orders/{}", id_of(&order)));
    assert_eq!((&order["status"], &order["total_cents"]), (&"placed".into(), &1999.into()));
    assert_eq!(order["lines"], serde_json::json!([{"book": 1, "quantity": 1, "unit_price_cents": 1999}]));
    assert_eq!(shop.get(answer.header("location")).await.json(), order);
    assert_eq!(shop.stock(1).await, 11);
    // Without a key every request is another intent.
    let other = shop.send("POST", "/purchase/1", &[], "").await.json();
    assert_ne!(id_of(&other), id_of(&order));
}

#[tokio::test]
async fn a_key_buys_once_quoted_or_bare() {
    let shop = shop().await;
    let quoted = format!("\"{ID}\"");
    let first = shop.json("POST", "/purchase/1", &[("idempotency-key", &quoted)], r#"{"quantity":2}"#).await;
    assert_eq!((first.status.as_u16(), first.header("idempotency-replayed")), (201, ""));
    assert_eq!(id_of(&first.json()), ID);
    let again = shop.json("POST", "/purchase/1", &[("idempotency-key", ID)], r#"{"quantity":2}"#).await;
    assert_eq!((again.status.as_u16(), again.header("idempotency-replayed")), (200, "true"));
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(again.json(), first.json());
    assert_eq!(shop.stock(1).await, 10);
    shop.json("POST", "/purchase/1", &[("idempotency-key", ID)], r#"{"quantity":3}"#)
        .await
        .problem(422, "order-id-reused");
}

/// What a stranger may guess: text, which is hashed in the open, and UUIDs that are not drawn at random.
const GUESSABLE: [&str; 8] = [
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "6f1c0d9e-3b5a-1c27-9d1e-2a7b8c4d5e6f",
    "6f1c0d9e-3b5a-3c27-9d1e-2a7b8c4d5e6f",
    "6f1c0d9e-3b5a-5c27-9d1e-2a7b8c4d5e6f",
    "6f1c0d9e-3b5a-6c27-9d1e-2a7b8c4d5e6f",
    "6f1c0d9e-3b5a-8c27-9d1e-2a7b8c4d5e6f",
    "0192f0c1-2345-7abc-cdef-0123456789ab",
];

#[tokio::test]
async fn a_new_orders_id_is_a_random_uuid() {
    let shop = shop().await;
    let buy = async |key: &str| shop.json("POST", "/purchase/1", &[("idempotency-key", key)], "{}").await;
    let put = async |id: &str| {
        shop.json("PUT", &format!("/orders/{id}"), &[], r#"{"lines":[{"book":1,"quantity":1}]}"#).await
    };
    for key in GUESSABLE.into_iter().chain(["my key", "1001", "\"order 7\"", &"k".repeat(255)]) {
        let problem = buy(key).await.problem(422, "invalid");
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            detail.contains("UUID") && detail.contains("version 4 or 7") && problem["executed"] == "no",
            "{key}: {problem}"
        );
    }
    for id in GUESSABLE {
        let problem = put(id).await.problem(422, "invalid");
        assert!(problem["detail"].as_str().unwrap().contains("version 4 or 7"), "{id}: {problem}");
    }
    // The admin token does not change what a new order's id must be.
    shop.admin("POST", "/purchase/1", &[("idempotency-key", "my key")], "{}").await.problem(422, "invalid");
    assert_eq!(shop.stock(1).await, 12);
    assert_eq!(buy("6f1c0d9e-3b5a-4c27-9d1e-2a7b8c4d5e6f").await.status, 201);
    assert_eq!(put("6F1C0D9E3B5A4C279D1E2A7B8C4D5E6F").await.header("idempotency-replayed"), "true");
    assert_eq!(put(ID).await.status, 201);
}

#[tokio::test]
async fn an_order_under_another_id_is_the_admins_alone() {
    let shop = shop().await;
    let id = OrderId::from_key("basket 17").unwrap();
    shop.catalog.sell(id, Lines::one(BookId(1), 2).unwrap()).await.unwrap();
    let missing = OrderId::from_key("basket 18").unwrap();
    let wrong = [("authorization", "Bearer ffffffffffffffffffffffffffffffff")];
    for id in [id, missing] {
        let (order, cancel) = (format!("/orders/{id}"), format!("/orders/{id}/cancel"));
        // The same whether there is such an order or not.
        let problem = shop.get(&order).await.problem(422, "invalid");
        assert!(problem["detail"].as_str().unwrap().contains("needs a token"), "{problem}");
        shop.json("POST", &cancel, &[], "{}").await.problem(422, "invalid");
        shop.send("GET", &order, &wrong, "").await.problem(401, "unauthorized");
        shop.json("POST", &cancel, &wrong, "{}").await.problem(401, "unauthorized");
    }
    assert_eq!(shop.stock(1).await, 10);
    let order = format!("/orders/{id}");
    assert_eq!(shop.admin("GET", &order, &[], "").await.json()["status"], "placed");
    assert_eq!(shop.admin("POST", &format!("{order}/cancel"), &[], "{}").await.json()["status"], "cancelled");
    shop.admin("GET", &format!("/orders/{missing}"), &[], "").await.problem(404, "unknown-order");
    for nothing in [&GUESSABLE[0], &GUESSABLE[1]] {
        shop.admin("GET", &format!("/orders/{nothing}"), &[], "").await.problem(422, "invalid");
    }
    assert_eq!(shop.stock(1).await, 12);
}

/// Orders and restocks share one space of keys. Whoever could buy under a guessed key would make the restock fail.
#[tokio::test]
async fn nobody_can_take_the_key_of_a_restock() {
    let shop = shop().await;
    let key = [("idempotency-key", "delivery of Monday")];
    shop.json("POST", "/purchase/1", &key, "{}").await.problem(422, "invalid");
    let hashed = OrderId::from_key(key[0].1).unwrap();
    let lines = r#"{"lines":[{"book":1,"quantity":1}]}"#;
    shop.json("PUT", &format!("/orders/{hashed}"), &[], lines).await.problem(422, "invalid");
    for _ in 0..2 {
        assert_eq!(shop.admin("PATCH", "/books/1", &key, r#"{"stock_delta":3}"#).await.json()["stock"], 15);
    }
    for nothing in [GUESSABLE[0], GUESSABLE[1]] {
        let key = [("idempotency-key", nothing)];
        shop.admin("PATCH", "/books/1", &key, r#"{"stock_delta":3}"#).await.problem(422, "invalid");
    }
    assert_eq!(shop.stock(1).await, 15);
}

#[tokio::test]
async fn what_cannot_be_sold_says_why_and_sells_nothing() {
    let shop = shop().await;
    let buy = async |book: u64, body: &str| shop.json("POST", &format!("/purchase/{book}"), &[], body).await;
    let problem = buy(3, "{}").await.problem(409, "out-of-stock");
    assert_eq!((&problem["book"], &problem["available"], &problem["executed"]), (&3.into(), &0.into(), &"no".into()));
    assert_eq!(buy(1, r#"{"quantity":13}"#).await.problem(409, "out-of-stock")["available"], 12);
    let problem = buy(1, r#"{"quantity":1,"price_cents":1}"#).await.problem(409, "price-changed");
    assert_eq!(problem["price_cents"], 1999);
    buy(99, "{}").await.problem(404, "unknown-book");
    assert_eq!((shop.stock(1).await, shop.stock(3).await), (12, 0));
    assert_eq!(buy(1, r#"{"price_cents":1999}"#).await.status, 201);
}

#[tokio::test]
async fn several_books_are_bought_at_once_or_not_at_all() {
    let shop = shop().await;
    let put = async |body: &str| shop.json("PUT", &format!("/orders/{ID}"), &[], body).await;
    put(r#"{"lines":[{"book":1,"quantity":2},{"book":3,"quantity":1}]}"#).await.problem(409, "out-of-stock");
    assert_eq!(shop.stock(1).await, 12);
    let lines =
        r#"{"lines":[{"book":2,"quantity":1},{"book":1,"quantity":1},{"book":1,"quantity":1,"price_cents":null}]}"#;
    let first = put(lines).await;
    assert_eq!((first.status.as_u16(), first.header("location")), (201, format!("/orders/{ID}").as_str()));
    assert_eq!(first.json()["lines"][0], serde_json::json!({"book": 1, "quantity": 2, "unit_price_cents": 1999}));
    let again = put(lines).await;
    assert_eq!((again.status.as_u16(), again.header("idempotency-replayed")), (200, "true"));
    put(r#"{"lines":[{"book":1,"quantity":2}]}"#).await.problem(422, "order-id-reused");
    assert_eq!((shop.stock(1).await, shop.stock(2).await), (10, 0));
}

async fn cancel(shop: &Running, headers: &[(&str, &str)], body: &str) -> crate::support::Answer {
    shop.send("POST", &format!("/orders/{ID}/cancel"), headers, body.to_owned()).await
}

#[tokio::test]
async fn a_cancellation_puts_the_copies_back_once() {
    let shop = shop().await;
    cancel(&shop, &[], "").await.problem(404, "unknown-order");
    shop.json("PUT", &format!("/orders/{ID}"), &[], r#"{"lines":[{"book":1,"quantity":5}]}"#).await;
    assert_eq!(shop.stock(1).await, 7);
    let first = cancel(&shop, &[], "").await;
    assert_eq!((first.status.as_u16(), first.header("idempotency-replayed")), (200, ""));
    assert_eq!(first.json()["status"], "cancelled");
    let again = cancel(&shop, &[("content-type", "application/json")], "{}").await;
    assert_eq!((again.status.as_u16(), again.header("idempotency-replayed")), (200, "true"));
    assert_eq!(shop.stock(1).await, 12);
    assert_eq!(shop.get(&format!("/orders/{ID}")).await.json()["status"], "cancelled");
}

#[tokio::test]
async fn a_get_never_buys() {
    let shop = shop().await;
    let answer = shop.get("/purchase/1").await;
    answer.problem(405, "method-not-allowed");
    assert_eq!(answer.header("allow"), "POST");
    shop.send("GET", "/purchase/1", &[("accept", "text/html")], "").await;
    assert_eq!(shop.stock(1).await, 12);
}

#[tokio::test]
async fn a_form_is_for_browsers() {
    let shop = shop().await;
    let form = [("content-type", "application/x-www-form-urlencoded")];
    // What `curl -d '{"quantity":2}'` sends.
    shop.send("POST", "/purchase/1", &form, r#"{"quantity":2}"#).await.problem(415, "unsupported-media-type");
    assert_eq!(shop.stock(1).await, 12);
}

#[tokio::test]
async fn many_buyers_of_one_copy_make_one_sale() {
    let shop = shop().await;
    let buys = (0..20).map(|_| shop.json("POST", "/purchase/2", &[], "{}"));
    let answers = futures_util::future::join_all(buys).await;
    let sold = answers.iter().filter(|answer| answer.status == 201).count();
    let out = answers.iter().filter(|answer| answer.status == 409).count();
    assert_eq!((sold, out, shop.stock(2).await), (1, 19, 0));
}
