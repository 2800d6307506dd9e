//! Correcting a book's text, and taking it off sale.

use crate::support::{ID, shop};
use bookstore_core::{Amend, BookId, CatalogService as _};
use serde_json::json;

#[tokio::test]
async fn given_fields_are_changed_and_the_others_kept() {
    let shop = shop().await;
    let patch = async |body: &str| shop.admin("PATCH", "/books/1", &[], body).await;
    let before = shop.get("/info/1").await.json();
    assert_eq!((&before["text_version"], &before["on_sale"]), (&json!(1), &json!(true)));
    let answer = patch(r#"{"text_version":1,"author":"Ada Roe","isbn":"0-306-40615-2","subjects":["calls"]}"#).await;
    let book = answer.json();
    assert_eq!(answer.header("etag"), format!("\"{}\"", book["version"]));
    assert_eq!((&book["title"], &book["author"]), (&json!("RPCs for Noobs"), &json!("Ada Roe")));
    assert_eq!((&book["isbn"], &book["subjects"]), (&json!("9780306406157"), &json!(["calls"])));
    assert_eq!((&book["stock"], &book["text_version"]), (&json!(12), &json!(4)));
    assert_eq!(shop.get("/info/1").await.json(), book);
    let stale = patch(r#"{"text_version":1,"title":"Other"}"#).await.problem(412, "text-version-mismatch");
    assert_eq!((&stale["book"], &stale["text_version"]), (&json!(1), &json!(4)));
    // A sale moves the version of the book, and not the one of its text.
    assert_eq!(shop.send("POST", "/purchase/1", &[], "").await.status, 201);
    let book = patch(r#"{"text_version":4,"isbn":null,"subjects":[],"title":"RPCs for All"}"#).await.json();
    assert_eq!((&book["isbn"], &book["subjects"]), (&json!(null), &json!(null)));
    assert_eq!(
        (&book["title"], &book["author"], &book["stock"]),
        (&json!("RPCs for All"), &json!("Ada Roe"), &json!(11))
    );
    assert_eq!(shop.get("/search?q=all").await.json()["total"], 1);
    assert_eq!(shop.get("/search?q=noobs").await.json()["total"], 0);
}

/// The other fields are those of the version that the caller saw, however old the server's own knowledge is, and also when it is sent
/// again after another change.
#[tokio::test]
async fn the_same_request_means_the_same_however_often_it_is_sent() {
    let shop = shop().await;
    let request = r#"{"text_version":1,"title":"RPCs for All"}"#;
    let send = async || shop.admin("PATCH", "/books/1", &[("idempotency-key", "typo 7")], request).await;
    assert_eq!(send().await.json()["title"], "RPCs for All");
    let author = r#"{"text_version":4,"author":"Ada Roe"}"#;
    assert_eq!(shop.admin("PATCH", "/books/1", &[], author).await.status, 200);
    let again = send().await.json();
    assert_eq!(
        (&again["title"], &again["author"], &again["version"]),
        (&json!("RPCs for All"), &json!("Ada Roe"), &json!(5))
    );
    assert_eq!(shop.catalog.head().0, 5, "it was done once");
    for no_version in [2, 3, 0, 999, u64::MAX >> 1] {
        let body = json!({ "text_version": no_version, "title": "Other" }).to_string();
        shop.admin("PATCH", "/books/1", &[], &body).await.problem(412, "text-version-mismatch");
    }
    shop.admin("PATCH", "/books/99", &[], r#"{"text_version":1,"title":"Other"}"#).await.problem(404, "unknown-book");
}

#[tokio::test]
async fn what_is_no_text_is_refused_by_name() {
    let shop = shop().await;
    let patch = async |body: &str| shop.admin("PATCH", "/books/1", &[], body).await;
    patch(r#"{"title":"Other"}"#).await.problem(428, "version-required");
    for (body, field) in [
        (r#"{"text_version":1}"#, "text_version"),
        (r#"{"text_version":1,"title":" "}"#, "title"),
        (r#"{"text_version":1,"isbn":"0306406153"}"#, "isbn"),
        (r#"{"text_version":1,"year":10000}"#, "year"),
        (r#"{"text_version":1,"subjects":[""]}"#, "subjects"),
        (r#"{"text_version":1,"title":7}"#, "title"),
        (r#"{"text_version":1,"title":"Other","price_cents":1}"#, "body"),
        (r#"{"on_sale":false,"title":"Other"}"#, "body"),
        (r#"{"text_version":1,"condition":"mint"}"#, "condition"),
        (r#"{"text_version":1,"author":"A","authors":["B"]}"#, "authors"),
        (r#"{"text_version":1,"pages":9}"#, "pages"),
    ] {
        let problem = patch(body).await.problem(422, "invalid");
        assert_eq!(problem["field"], field, "{body}");
    }
    let taken = r#"{"text_version":1,"title":"Spring in the Pioneer Valley"}"#;
    assert_eq!(patch(taken).await.problem(409, "book-exists")["book"], 3);
    let long = format!(r#"{{"text_version":1,"title":"{}"}}"#, "x".repeat(300 * 1024));
    assert_eq!(patch(&long).await.status, 413);
    assert_eq!(shop.catalog.head().0, 3);
}

#[tokio::test]
async fn a_withdrawn_book_is_not_sold_until_it_is_relisted() {
    let shop = shop().await;
    let put = async |on_sale: bool| {
        shop.admin("PATCH", "/books/1", &[], &json!({ "on_sale": on_sale }).to_string()).await.json()
    };
    let tag = shop.get("/info/1").await.header("etag").to_owned();
    assert_eq!(put(false).await["on_sale"], false);
    let info = shop.send("GET", "/info/1", &[("if-none-match", &tag)], "").await;
    assert_eq!((info.status.as_u16(), &info.json()["on_sale"]), (200, &json!(false)), "the copy at hand is not good");
    assert_eq!(shop.get("/search").await.json()["total"], 2);
    let problem = shop.send("POST", "/purchase/1", &[("idempotency-key", ID)], "").await.problem(409, "book-withdrawn");
    assert_eq!((&problem["book"], &problem["executed"]), (&json!(1), &json!("no")));
    let lines = r#"{"lines":[{"book":2,"quantity":1},{"book":1,"quantity":1}]}"#;
    let json = [("content-type", "application/json")];
    shop.send("PUT", &format!("/orders/{ID}"), &json, lines).await.problem(409, "book-withdrawn");
    let hold = r#"{"lines":[{"book":1,"quantity":1}],"hold_seconds":60}"#;
    shop.admin("PUT", &format!("/orders/{ID}"), &[], hold).await.problem(409, "book-withdrawn");
    assert_eq!(put(true).await["on_sale"], true);
    assert_eq!(shop.send("POST", "/purchase/1", &[("idempotency-key", ID)], "").await.status, 201);
}

#[tokio::test]
async fn the_feed_has_every_text() {
    let shop = shop().await;
    let text = r#"{"text_version":1,"title":"RPCs for All"}"#;
    assert_eq!(shop.admin("PATCH", "/books/1", &[], text).await.status, 200);
    shop.catalog.amend(BookId(1), Amend::Withdraw, None, None).await.unwrap();
    shop.catalog.amend(BookId(1), Amend::Relist, None, None).await.unwrap();
    let page = shop.admin("GET", "/entries?after=3", &[], "").await.json();
    let entries = page["entries"].as_array().unwrap();
    let kinds: Vec<_> = entries.iter().map(|entry| entry["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["revise", "withdraw", "relist"]);
    assert_eq!(entries[0]["text"]["title"], "RPCs for All");
    assert_eq!(entries[2]["text_version"], 4);
}
