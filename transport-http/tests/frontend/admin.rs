//! Amending, listing, and reading everything.

use crate::support::{ID, TOKEN, shop, start};
use serde_json::json;

const ADMIN: [(&str, &str); 4] = [("GET", "/orders"), ("PATCH", "/books/1"), ("POST", "/books"), ("GET", "/entries")];

#[tokio::test]
async fn a_wrong_or_missing_token_opens_nothing() {
    let shop = shop().await;
    for (method, path) in ADMIN {
        let answer = shop.send(method, path, &[], "").await;
        answer.problem(401, "unauthorized");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        for wrong in ["Bearer x", "Basic 0123456789abcdef0123456789abcdef", TOKEN, ""] {
            shop.send(method, path, &[("authorization", wrong)], "").await.problem(401, "unauthorized");
        }
    }
    assert_eq!(shop.stock(1).await, 12);
}

#[tokio::test]
async fn without_a_token_admin_is_off() {
    let shop = start(None).await;
    for (method, path) in ADMIN {
        let problem = shop.admin(method, path, &[], "").await.problem(403, "forbidden");
        assert!(problem["detail"].as_str().unwrap().contains("--admin-token-file"), "{problem}");
    }
}

#[tokio::test]
async fn a_delta_needs_no_version_and_a_key_makes_it_happen_once() {
    let shop = shop().await;
    let patch = async |headers: &[(&str, &str)], body: &str| shop.admin("PATCH", "/books/1", headers, body).await;
    let answer = patch(&[], r#"{"stock_delta":5}"#).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["stock"]), (200, &17.into()));
    assert_eq!(answer.header("etag"), format!("\"{}\"", answer.json()["version"]));
    for _ in 0..3 {
        let answer = patch(&[("idempotency-key", "delivery of Monday")], r#"{"stock_delta":3}"#).await;
        assert_eq!(answer.json()["stock"], 20);
    }
    assert_eq!(patch(&[], r#"{"stock_delta":-21}"#).await.problem(409, "out-of-stock")["available"], 20);
    shop.admin("PATCH", "/books/2", &[("idempotency-key", "delivery of Monday")], r#"{"stock_delta":3}"#)
        .await
        .problem(422, "order-id-reused");
    shop.admin("PATCH", "/books/99", &[], r#"{"stock_delta":3}"#).await.problem(404, "unknown-book");
    assert_eq!(shop.stock(1).await, 20);
}

#[tokio::test]
async fn absolute_values_need_the_version_that_was_seen() {
    let shop = shop().await;
    let patch = async |headers: &[(&str, &str)], body: &str| shop.admin("PATCH", "/books/1", headers, body).await;
    let tag = shop.get("/info/1").await.header("etag").to_owned();
    patch(&[], r#"{"stock":10}"#).await.problem(428, "version-required");
    patch(&[], r#"{"price_cents":10}"#).await.problem(428, "version-required");
    patch(&[("if-match", "*")], r#"{"stock":10}"#).await.problem(428, "version-required");
    let problem = patch(&[("if-match", "\"999\"")], r#"{"stock":10}"#).await.problem(412, "version-mismatch");
    assert_eq!(format!("\"{}\"", problem["version"]), tag);

    let answer = patch(&[("if-match", &tag)], r#"{"stock":10,"price_cents":999}"#).await;
    assert_eq!((&answer.json()["stock"], &answer.json()["price_cents"]), (&10.into(), &999.into()));
    patch(&[("if-match", &tag)], r#"{"stock":11}"#).await.problem(412, "version-mismatch");
    let answer = patch(&[("if-match", "*")], r#"{"price_cents":500}"#).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["price_cents"]), (200, &500.into()));
}

#[tokio::test]
async fn a_change_is_a_delta_or_absolute_values() {
    let shop = shop().await;
    for (headers, body) in [
        (&[][..], "{}"),
        (&[], r#"{"stock_delta":1,"stock":1}"#),
        (&[("if-match", "\"1\"")], r#"{"stock_delta":1}"#),
        (&[], r#"{"stock_delta":1.5}"#),
        (&[], r#"{"stock":-1}"#),
        (&[], r#"{"price_cents":9007199254740992}"#),
        (&[], r#"{"stock_delta":9223372036854775807}"#),
        (&[("if-match", "\"1\"")], r#"{"stock":1000000001}"#),
    ] {
        let answer = shop.admin("PATCH", "/books/1", headers, body).await;
        assert!(matches!(answer.status.as_u16(), 412 | 422), "{body}: {answer:?}");
    }
    for bad in ["1", "W/\"1\"", "\"1\", \"2\"", "\"one\"", ""] {
        shop.admin("PATCH", "/books/1", &[("if-match", bad)], r#"{"stock":1}"#).await.problem(400, "malformed");
    }
    assert_eq!(shop.stock(1).await, 12);
}

#[tokio::test]
async fn one_book_or_many_are_listed_once() {
    let shop = shop().await;
    let new = r#"{"title":"New","topic":"t","isbn":"9780131103627","year":1988,"price_cents":100,"stock":1,"subjects":["c"]}"#;
    let answer = shop.admin("POST", "/books", &[], new).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (201, "/info/4"));
    assert_eq!(answer.json(), json!({"listed": [{"id": 4, "created": true}]}));
    let again = shop.admin("POST", "/books", &[], new).await;
    assert_eq!((again.status.as_u16(), again.json()), (200, json!({"listed": [{"id": 4, "created": false}]})));
    let many = format!(r#"[{new}, {{"title":"Newer","topic":"t","price_cents":1,"stock":0}}]"#);
    let answer = shop.admin("POST", "/books", &[], &many).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.json(), json!({"listed": [{"id": 4, "created": false}, {"id": 5, "created": true}]}));
    assert_eq!(answer.header("location"), "");
    assert_eq!(shop.admin("POST", "/books", &[], "[]").await.json(), json!({"listed": []}));
}

#[tokio::test]
async fn an_isbn_is_one_book_however_it_is_spelled() {
    let shop = shop().await;
    let add = async |isbn: &str| {
        let book = json!({"title": "K & R", "topic": "t", "isbn": isbn, "price_cents": 100, "stock": 1});
        shop.admin("POST", "/books", &[], &book.to_string()).await
    };
    assert_eq!(add("0-13-110362-8").await.json(), json!({"listed": [{"id": 4, "created": true}]}));
    for isbn in ["9780131103627", "978\u{2010}0\u{2010}13\u{2010}110362\u{2010}7", "ISBN 0131103628 (pbk.)"] {
        assert_eq!(add(isbn).await.json(), json!({"listed": [{"id": 4, "created": false}]}), "{isbn}");
    }
    assert_eq!(shop.get("/info/4").await.json()["isbn"], "9780131103627");
    let problem = add("978-0-13-110362-8").await.problem(422, "invalid");
    assert_eq!(problem["field"], "isbn");
    let message = problem["message"].as_str().unwrap();
    assert!(message.contains("978-0-13-110362-8") && message.contains("which should be 7"), "{message}");
    let filler = add("0000000000").await.json()["listed"][0]["id"].to_string();
    assert!(shop.get(&format!("/info/{filler}")).await.json()["isbn"].is_null());
}

#[tokio::test]
async fn one_bad_book_lists_none() {
    let shop = shop().await;
    let good = r#"{"title":"Good","topic":"t","price_cents":1,"stock":1}"#;
    for (bad, field) in [
        (r#"{"title":"","topic":"t","price_cents":1,"stock":1}"#, "title"),
        (r#"{"title":"a","topic":"t","price_cents":1,"stock":1,"isbn":"978-0"}"#, "isbn"),
        (r#"{"title":"a","topic":"t","price_cents":1,"stock":1,"year":99999}"#, "year"),
    ] {
        let answer = shop.admin("POST", "/books", &[], &format!("[{good},{bad}]")).await;
        assert_eq!(answer.problem(422, "invalid")["field"], field);
    }
    for bad in [
        r#"{"title":"a","topic":"t","price_cents":1}"#,
        r#"{"title":"a","topic":"t","price_cents":-1,"stock":1}"#,
        r#"{"title":"a","topic":"t","price_cents":1,"stock":1,"colour":"red"}"#,
        "7",
    ] {
        shop.admin("POST", "/books", &[], &format!("[{good},{bad}]")).await.problem(422, "invalid");
        shop.admin("POST", "/books", &[], bad).await.problem(422, "invalid");
    }
    let many = format!("[{}]", vec![good; 1001].join(","));
    assert_eq!(shop.admin("POST", "/books", &[], &many).await.problem(422, "invalid")["field"], "books");
    shop.get("/info/4").await.problem(404, "unknown-book");
}

#[tokio::test]
async fn a_long_list_fits_but_not_any() {
    let shop = shop().await;
    let subjects = vec![format!("\"{}\"", "s".repeat(400)); 8].join(",");
    let books: Vec<_> = (0..1000)
        .map(|n| format!(r#"{{"title":"Book {n}","topic":"t","price_cents":1,"stock":1,"subjects":[{subjects}]}}"#))
        .collect();
    let body = format!("[{}]", books.join(","));
    assert!(body.len() > 3 << 20);
    assert_eq!(shop.admin("POST", "/books", &[], &body).await.json()["listed"].as_array().unwrap().len(), 1000);
    shop.admin("POST", "/books", &[], &" ".repeat((4 << 20) + 1)).await.problem(413, "too-large");
}

#[tokio::test]
async fn orders_are_listed_newest_first() {
    let shop = shop().await;
    for _ in 0..3 {
        shop.json("POST", "/purchase/1", &[], "{}").await;
    }
    let page = shop.admin("GET", "/orders?page_size=2", &[], "").await.json();
    let seqs = |page: &serde_json::Value| {
        page["orders"].as_array().unwrap().iter().map(|order| order["seq"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(seqs(&page), [6, 5]);
    let token = page["next_page_token"].as_str().unwrap();
    let page = shop.admin("GET", &format!("/orders?page_size=2&page_token={token}"), &[], "").await.json();
    assert_eq!((seqs(&page), page["next_page_token"].is_null()), (vec![4], true));
    shop.admin("GET", "/orders?page_size=0", &[], "").await.problem(422, "invalid");
    shop.admin("GET", "/orders?page_token=x", &[], "").await.problem(422, "invalid");
}

#[tokio::test]
async fn the_ledger_can_be_read_and_waited_for() {
    let shop = shop().await;
    let page = shop.admin("GET", "/entries?after=1&limit=1", &[], "").await.json();
    assert_eq!((&page["head"], page["entries"].as_array().unwrap().len()), (&3.into(), 1));
    assert_eq!((&page["entries"][0]["seq"], &page["entries"][0]["kind"]), (&2.into(), &"listing".into()));
    assert!(page["ledger"].as_str().is_some());

    let buy = async {
        shop.shaky.read_again(1).await;
        shop.json("PUT", &format!("/orders/{ID}"), &[], r#"{"lines":[{"book":1,"quantity":1}]}"#).await
    };
    let (page, bought) = tokio::join!(shop.admin("GET", "/entries?after=3&wait_ms=30000", &[], ""), buy);
    assert_eq!(bought.status, 201);
    assert_eq!((&page.json()["head"], &page.json()["entries"][0]["key"]), (&4.into(), &ID.into()));
    shop.admin("GET", "/entries?limit=0", &[], "").await.problem(422, "invalid");
    shop.admin("GET", "/entries?after=x", &[], "").await.problem(422, "invalid");
}

#[tokio::test]
async fn a_long_poll_does_not_hold_up_the_end() {
    let shop = shop().await;
    let poll = {
        let addr = shop.addr;
        tokio::spawn(async move {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
            let request = format!(
                "GET /entries?after=3&wait_ms=30000 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n\r\n"
            );
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        })
    };
    shop.shaky.read_again(1).await;
    shop.stop().await;
    let answer = poll.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"entries\":[]"), "{answer}");
}
