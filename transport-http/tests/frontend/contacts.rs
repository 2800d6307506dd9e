//! Who an order is for, over the public interface.

use bookstore_core::{CatalogService as _, OrderId, Seq};
use serde_json::{Value, json};
use std::time::Duration;

use crate::support::{Answer, ID, Running, shop};

const ADA: &str = r#"{"name":"Ada Roe","email":"ada@example.org","address":"12 Main St","note":"gift"}"#;

/// The order `id` of one copy of book 1, with this contact.
async fn buy(shop: &Running, id: &str, contact: &str) -> Answer {
    let body = format!(r#"{{"lines":[{{"book":1,"quantity":1}}],"contact":{contact}}}"#);
    shop.json("PUT", &format!("/orders/{id}"), &[], &body).await
}

fn text(answer: &Answer) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(&answer.body)
}

fn fields(json: &str) -> Value {
    serde_json::from_str(json).expect("JSON")
}

#[tokio::test]
async fn a_contact_is_given_read_corrected_and_erased() {
    let shop = shop().await;
    let path = format!("/orders/{ID}/contact");
    let order = buy(&shop, ID, ADA).await;
    assert_eq!(order.status, 201);
    assert!(!text(&order).contains("Ada"), "an order does not show it");
    let read = shop.get(&path).await;
    assert_eq!((read.status.as_u16(), read.header("cache-control")), (200, "no-store"));
    assert_eq!(read.json(), fields(ADA));

    let other = r#"{"name":"Ada  Lovelace "}"#;
    let set = shop.json("PUT", &path, &[], other).await;
    assert_eq!((set.status.as_u16(), set.json()["id"].as_str()), (200, Some(ID)));
    assert_eq!(shop.get(&path).await.json(), json!({ "name": "Ada Lovelace" }));
    let again = shop.json("PUT", &path, &[], other).await;
    assert_eq!(again.header("idempotency-replayed"), "true");

    let erased = shop.send("DELETE", &path, &[], "").await;
    assert_eq!((erased.status.as_u16(), erased.header("idempotency-replayed")), (200, ""));
    assert_eq!(shop.get(&path).await.status, 204);
    assert_eq!(shop.send("DELETE", &path, &[], "").await.header("idempotency-replayed"), "true");
    shop.json("PUT", &path, &[], other).await.problem(422, "invalid");
    assert_eq!(buy(&shop, ID, ADA).await.status, 200, "it is bought");
    assert_eq!(shop.get(&path).await.status, 204);
}

#[tokio::test]
async fn a_purchase_of_one_book_may_carry_one() {
    let shop = shop().await;
    let body = format!(r#"{{"quantity":1,"contact":{ADA}}}"#);
    let order = shop.json("POST", "/purchase/1", &[("idempotency-key", ID)], &body).await;
    assert_eq!(order.status, 201);
    assert_eq!(shop.get(&format!("/orders/{ID}/contact")).await.json(), fields(ADA));
    let plain = shop.send("POST", "/purchase/1", &[], "").await;
    assert_eq!(shop.get(&format!("{}/contact", plain.header("location"))).await.status, 204);
}

#[tokio::test]
async fn what_is_no_contact_is_refused_without_being_repeated() {
    let shop = shop().await;
    let long = format!(r#"{{"name":"{}"}}"#, "geheim".repeat(100));
    let bad = [
        "{}",
        r#"{"name":""}"#,
        r#"{"phone":"geheim"}"#,
        r#"{"email":"geheim"}"#,
        r#"{"email":"geheim@a@b"}"#,
        r#"["geheim"]"#,
        &long,
    ];
    for contact in bad {
        let refused = buy(&shop, ID, contact).await;
        assert!(!text(&refused).contains("geheim"), "{}", text(&refused));
        refused.problem(422, "invalid");
    }
    buy(&shop, ID, ADA).await;
    for contact in bad {
        let refused = shop.json("PUT", &format!("/orders/{ID}/contact"), &[], contact).await;
        assert!(!text(&refused).contains("geheim"), "{}", text(&refused));
        refused.problem(422, "invalid");
    }
    assert_eq!(shop.get(&format!("/orders/{ID}/contact")).await.json(), fields(ADA));
}

#[tokio::test]
async fn a_closed_order_is_the_shops() {
    let shop = shop().await;
    let path = format!("/orders/{ID}/contact");
    buy(&shop, ID, ADA).await;
    shop.send("POST", &format!("/orders/{ID}/cancel"), &[], "").await;
    shop.json("PUT", &path, &[], ADA).await.problem(409, "order-cancelled");
    shop.send("DELETE", &path, &[], "").await.problem(409, "order-cancelled");
    assert_eq!(shop.get(&path).await.json(), fields(ADA));
    assert_eq!(shop.admin("PUT", &path, &[], r#"{"note":"sent"}"#).await.status, 200);
    assert_eq!(shop.admin("DELETE", &path, &[], "").await.status, 200);
    let entries = shop.catalog.entries(Seq(0), 100, Duration::ZERO).await.expect("read").entries;
    let actor = entries.last().and_then(|entry| entry.details.as_ref()?.actor.clone());
    assert_eq!(actor.map(|actor| actor.to_string()).as_deref(), Some("admin"));
}

#[tokio::test]
async fn an_order_that_is_not_there_has_none() {
    let shop = shop().await;
    let path = format!("/orders/{ID}/contact");
    shop.get(&path).await.problem(404, "unknown-order");
    shop.json("PUT", &path, &[], ADA).await.problem(404, "unknown-order");
    shop.send("DELETE", &path, &[], "").await.problem(404, "unknown-order");
    let guessable = OrderId::from_key("basket 17").expect("a key");
    shop.get(&format!("/orders/{guessable}/contact")).await.problem(422, "invalid");
}
