//! Malformed, invalid and misdirected requests: each gets a problem that says what is wrong, and changes nothing.

use crate::support::{Answer, ID, Running, shop};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

async fn buy(shop: &Running, headers: &[(&str, &str)], body: &str) -> Answer {
    shop.json("POST", "/purchase/1", headers, body).await
}

#[tokio::test]
async fn ids_that_are_none() {
    let shop = shop().await;
    for id in ["abc", "1.5", "-1", "1e3", "%20", "0x1", "1%2F2", "99999999999999999999", "%F0%9F%92%A9"] {
        let problem = shop.get(&format!("/info/{id}")).await.problem(400, "malformed");
        assert!(problem["detail"].as_str().unwrap().contains("whole number"), "{problem}");
        shop.json("POST", &format!("/purchase/{id}"), &[], "{}").await.problem(400, "malformed");
        shop.admin("PATCH", &format!("/books/{id}"), &[], r#"{"stock_delta":1}"#).await.problem(400, "malformed");
    }
    for id in ["abc", "1", "0192f0c1-2345-7abc-8def-0123456789a", "%20"] {
        let problem = shop.get(&format!("/orders/{id}")).await.problem(400, "malformed");
        assert!(problem["detail"].as_str().unwrap().contains("UUID"), "{problem}");
        shop.json("PUT", &format!("/orders/{id}"), &[], "{}").await.problem(400, "malformed");
        shop.json("POST", &format!("/orders/{id}/cancel"), &[], "").await.problem(400, "malformed");
    }
    for path in ["/info/%FF", "/orders/%FF", "/search/%FF"] {
        shop.get(path).await.problem(400, "malformed");
    }
}

#[tokio::test]
async fn ids_of_nothing() {
    let shop = shop().await;
    for id in ["0", "4", "18446744073709551615", "9223372036854775808"] {
        shop.get(&format!("/info/{id}")).await.problem(404, "unknown-book");
        shop.json("POST", &format!("/purchase/{id}"), &[], "").await.problem(404, "unknown-book");
    }
    shop.get(&format!("/orders/{ID}")).await.problem(404, "unknown-order");
}

#[tokio::test]
async fn bodies_that_are_not_json() {
    let shop = shop().await;
    for body in ["{", "nonsense", "{\"quantity\":}", "{\"quantity\":1}}", "\u{feff}{}", "{'quantity':1}", " ", "NaN"] {
        buy(&shop, &[], body).await.problem(400, "malformed");
    }
    let answer = shop.send("POST", "/purchase/1", &[("content-type", "application/json")], &b"{\"\xff\":1}"[..]).await;
    answer.problem(400, "malformed");
    shop.json("PUT", &format!("/orders/{ID}"), &[], "").await.problem(400, "malformed");
    shop.admin("POST", "/books", &[("content-type", "application/json")], "").await.problem(400, "malformed");
    assert_eq!(shop.stock(1).await, 12);
}

#[tokio::test]
async fn json_of_another_shape() {
    let shop = shop().await;
    for (body, field, word) in [
        (r#"{"quantity":"two"}"#, "quantity", "string"),
        (r#"{"quantity":1.5}"#, "quantity", "1.5"),
        (r#"{"quantity":-1}"#, "quantity", "-1"),
        (r#"{"quantity":4294967296}"#, "quantity", "4294967296"),
        (r#"{"quantity":0}"#, "quantity", "from 1 to 1000"),
        (r#"{"quantity":1001}"#, "quantity", "from 1 to 1000"),
        (r#"{"quantity":null}"#, "quantity", "null"),
        (r#"{"quantity":1,"quantity":1}"#, "body", "duplicate"),
        (r#"{"price_cents":9007199254740992}"#, "price_cents", "at most"),
        (r#"{"quantty":2}"#, "quantty", "expected one of `quantity`"),
        ("[]", "body", "JSON object"),
        ("[2]", "body", "JSON object"),
        ("2", "body", "2"),
        ("null", "body", "null"),
        ("\"\"", "body", "string"),
    ] {
        let problem = buy(&shop, &[], body).await.problem(422, "invalid");
        assert_eq!(problem["field"], field, "{body}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(word), "{body}: {problem}");
    }
    let put = async |body: &str| shop.json("PUT", &format!("/orders/{ID}"), &[], body).await.problem(422, "invalid");
    assert_eq!(put(r#"{"lines":[{"book":1,"quantity":1},{"book":1}]}"#).await["field"], "lines[1]");
    assert_eq!(put(r#"{"lines":[{"book":"1","quantity":1}]}"#).await["field"], "lines[0].book");
    assert_eq!(put(r#"{"lines":[]}"#).await["field"], "lines");
    // Serde would read the values of an array as those of the fields.
    assert_eq!(put(r#"{"lines":[[1,2]]}"#).await["field"], "lines[0]");
    let books = r#"[["t","","t",null,null,[],1,1]]"#;
    let listed = shop.admin("POST", "/books", &[("content-type", "application/json")], books).await;
    assert_eq!(listed.problem(422, "invalid")["field"], "[0]");
    assert_eq!(put("{}").await["field"], "body");
    let many = vec![r#"{"book":1,"quantity":1}"#; 101].join(",");
    assert_eq!(put(&format!(r#"{{"lines":[{many}]}}"#)).await["field"], "lines");
    assert_eq!(put(r#"{"lines":[{"book":1,"quantity":1,"gift":true}]}"#).await["field"], "lines[0].gift");
    let cancel = shop.json("POST", &format!("/orders/{ID}/cancel"), &[], r#"{"why":"x"}"#).await;
    cancel.problem(422, "invalid");
    assert_eq!(shop.stock(1).await, 12);
}

#[tokio::test]
async fn bodies_of_another_type() {
    let shop = shop().await;
    for content_type in [&[("content-type", "text/plain")][..], &[("content-type", "application/xml")], &[], &[FORM]] {
        for (method, path) in [("POST", "/purchase/1"), ("PUT", "/orders/0192f0c1-2345-7abc-8def-0123456789ab")] {
            let problem = shop.send(method, path, content_type, r#"{"quantity":1}"#).await;
            let problem = problem.problem(415, "unsupported-media-type");
            assert!(problem["detail"].as_str().unwrap().contains("application/json"), "{problem}");
        }
    }
    for good in ["application/json; charset=utf-8", "APPLICATION/JSON"] {
        assert_eq!(shop.send("POST", "/purchase/1", &[("content-type", good)], "{}").await.status, 201);
    }
}

#[tokio::test]
async fn bodies_that_are_too_long() {
    let shop = shop().await;
    let body = format!(r#"{{"quantity":1{}}}"#, " ".repeat(64 * 1024));
    buy(&shop, &[], &body).await.problem(413, "too-large");
    // The same without saying so first.
    let chunked = format!(
        "POST /purchase/1 HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\
         connection: close\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    let chunked = raw(&shop, &chunked).await;
    assert!(chunked.starts_with("HTTP/1.1 413 ") && chunked.contains("\"too-large\""), "{chunked}");
    // Right at the limit it is read.
    let body = format!(r#"{{"quantity":1{}}}"#, " ".repeat(64 * 1024 - 14));
    assert_eq!(body.len(), 64 * 1024);
    assert_eq!(buy(&shop, &[], &body).await.status, 201);
}

#[tokio::test]
async fn a_body_that_breaks_off_buys_nothing() {
    let shop = shop().await;
    let mut stream = TcpStream::connect(shop.addr).await.unwrap();
    let head = "POST /purchase/1 HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut rest = String::new();
    let _ = stream.read_to_string(&mut rest).await;
    assert!(!rest.starts_with("HTTP/1.1 2"), "{rest}");
    assert_eq!(shop.stock(1).await, 12);
}

async fn raw(shop: &Running, request: &str) -> String {
    let mut stream = TcpStream::connect(shop.addr).await.unwrap();
    // The server may answer and close before it has read everything.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn keys_that_cannot_be_read() {
    let shop = shop().await;
    let long = "k".repeat(256);
    for key in ["", "\"", "\"abc", "\"a\"b", "\"\"", &long] {
        let answer = buy(&shop, &[("idempotency-key", key)], "{}").await;
        answer.problem(400, "malformed");
    }
    buy(&shop, &[("idempotency-key", "a"), ("idempotency-key", "b")], "{}").await.problem(400, "malformed");
    assert_eq!(shop.stock(1).await, 12);
}

#[tokio::test]
async fn queries_that_cannot_be_read() {
    let shop = shop().await;
    for (query, code, word) in [
        ("?q=a&q=b", "malformed", "twice"),
        ("?colour=red", "malformed", "colour"),
        ("?page_size=ten", "invalid", "page_size"),
        ("?page_size=0", "invalid", "page_size"),
        ("?page_size=101", "invalid", "page_size"),
        ("?page_token=nonsense", "invalid", "page_token"),
        ("?sort=banana", "invalid", "relevance"),
    ] {
        let status = if code == "malformed" { 400 } else { 422 };
        for path in ["/search", "/search/testing"] {
            let problem = shop.get(&format!("{path}{query}")).await.problem(status, code);
            assert!(problem["detail"].as_str().unwrap().contains(word), "{query}: {problem}");
        }
    }
    shop.get(&format!("/search?q={}", "x".repeat(201))).await.problem(422, "invalid");
    shop.get("/search/a?topic=b").await.problem(400, "malformed");
    shop.get("/topics?x=1").await.problem(400, "malformed");
    shop.admin("GET", "/orders?limit=1", &[], "").await.problem(400, "malformed");
    shop.get(&format!("/search?q={}", "x".repeat(9000))).await.problem(414, "uri-too-long");
}

#[tokio::test]
async fn paths_and_methods_that_do_not_exist() {
    let shop = shop().await;
    for path in ["/nothing", "/info", "/info/1/2", "/purchase", "/orders/x/y", "/search/a/b", "//"] {
        shop.get(path).await.problem(404, "not-found");
    }
    for (method, path, allow) in [
        ("DELETE", "/info/1", "GET,HEAD"),
        ("POST", "/info/1", "GET,HEAD"),
        ("PUT", "/purchase/1", "GET,HEAD,POST"),
        ("DELETE", "/orders/0192f0c1-2345-7abc-8def-0123456789ab", "GET,HEAD,PUT"),
        ("GET", "/orders/0192f0c1-2345-7abc-8def-0123456789ab/cancel", "POST"),
        ("POST", "/orders", "GET,HEAD"),
        ("GET", "/books/1", "PATCH"),
        ("DELETE", "/books", "GET,HEAD,POST"),
        ("BREW", "/topics", "GET,HEAD"),
    ] {
        let answer = shop.send(method, path, &[], "").await;
        answer.problem(405, "method-not-allowed");
        let mut allowed: Vec<_> = answer.header("allow").split(',').map(str::trim).collect();
        allowed.sort_unstable();
        assert_eq!(allowed.join(","), allow, "{method} {path}");
    }
}
