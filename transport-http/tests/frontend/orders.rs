//! Buying, cancelling, reading.

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

#[tokio::test]
async fn any_text_is_a_key() {
    let shop = shop().await;
    let buy = async |key: &str| shop.json("POST", "/purchase/1", &[("idempotency-key", key)], "{}").await;
    let (first, again, quoted, other) =
        (buy("my key").await, buy("my key").await, buy("\"my key\"").await, buy("x").await);
    assert_eq!([&first, &again, &quoted, &other].map(|answer| answer.status.as_u16()), [201, 200, 200, 201]);
    assert_eq!(id_of(&first.json()), id_of(&quoted.json()));
    assert_ne!(id_of(&first.json()), id_of(&other.json()));
    assert_eq!(buy(&"k".repeat(255)).await.status, 201);
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
