//! The public interface answers the same in this project's server and among another program's routes.

use axum::http::header;

use crate::support::{self, Answer, ID};

/// Method, path, headers, body.
type Call = (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static str);

const JSON: (&str, &str) = ("content-type", "application/json");
const KEY: (&str, &str) = ("idempotency-key", ID);

/// Usual and unusual requests for a book and for a purchase.
const CALLS: [Call; 38] = [
    ("GET", "/info/1", &[], ""),
    ("GET", "/info/1", &[("accept", "application/json")], ""),
    ("GET", "/info/1", &[("accept", "*/*")], ""),
    ("GET", "/info/1", &[("accept", "text/html")], ""),
    ("GET", "/info/1", &[("accept", "application/json;q=0.5, text/html")], ""),
    ("GET", "/info/1", &[("accept", "text/html"), ("accept", "application/json;q=0.5")], ""),
    ("GET", "/info/1", &[("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")], ""),
    ("GET", "/info/1", &[("x-request-id", "mine")], ""),
    ("GET", "/info/1", &[("if-none-match", "*")], ""),
    ("GET", "/info/1", &[("if-none-match", "\"77\"")], ""),
    ("GET", "/info/1?x=1", &[], ""),
    ("GET", "/info/01", &[], ""),
    ("GET", "/info/%31", &[], ""),
    ("GET", "/info/+1", &[], ""),
    ("GET", "/info/-1", &[], ""),
    ("GET", "/info/", &[], ""),
    ("GET", "/info/1/", &[], ""),
    ("GET", "/info/999", &[], ""),
    ("GET", "/info/99999999999999999999", &[], ""),
    ("GET", "/info/1", &[("sec-fetch-site", "cross-site")], ""),
    ("HEAD", "/info/1", &[], ""),
    ("DELETE", "/info/1", &[], ""),
    ("GET", "/purchase/1", &[], ""),
    ("POST", "/purchase/1", &[JSON, KEY], ""),
    ("POST", "/purchase/1", &[JSON, KEY], "{}"),
    ("POST", "/purchase/1", &[JSON, KEY], "{\"quantity\":1}"),
    ("POST", "/purchase/1", &[JSON, KEY], "{\"quantity\":2}"),
    ("POST", "/purchase/1", &[JSON, KEY], "{\"quantity\":0}"),
    ("POST", "/purchase/1", &[JSON, KEY], "[1]"),
    ("POST", "/purchase/1", &[JSON, KEY], "{"),
    ("POST", "/purchase/1", &[KEY, ("content-type", "text/plain")], "{}"),
    ("POST", "/purchase/1", &[JSON, KEY, KEY], "{}"),
    ("POST", "/purchase/1", &[JSON, KEY, ("sec-fetch-site", "cross-site")], "{}"),
    ("POST", "/purchase/1", &[JSON, KEY, ("origin", "https://evil.example")], "{}"),
    ("POST", "/purchase/1", &[JSON, KEY, ("x-request-id", "mine")], "{}"),
    ("POST", "/purchase/1", &[JSON, KEY, ("accept", "text/html")], "{}"),
    ("POST", "/purchase/3", &[JSON], "{}"),
    ("POST", "/purchase/x", &[JSON, KEY], "{}"),
];

fn shown(answer: &Answer) -> String {
    let mut headers = answer.headers.clone();
    headers.remove(header::DATE);
    let mut headers: Vec<_> = headers.iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
    headers.sort();
    format!("{} {headers:#?}\n{}", answer.status, String::from_utf8_lossy(&answer.body))
}

#[tokio::test]
async fn an_embedded_shop_answers_as_a_server_does() {
    let server = support::shop().await;
    // From here on the key is a replay.
    server.json("POST", "/purchase/1", &[KEY], "{}").await;
    let embedded = server.embedded().await;
    for (method, path, headers, body) in CALLS {
        let (by_server, by_program) =
            (server.send(method, path, headers, body).await, embedded.send(method, path, headers, body).await);
        assert_eq!(shown(&by_server), shown(&by_program), "{method} {path} {headers:?} {body}");
    }
    let long = "x".repeat(65_537);
    let by_server = server.json("POST", "/purchase/1", &[KEY], &long).await;
    assert_eq!(shown(&by_server), shown(&embedded.json("POST", "/purchase/1", &[KEY], &long).await));
    assert_eq!(server.stock(1).await, 11, "bought once, by whatever path");
    server.stop().await;
    embedded.stop().await;
}

#[tokio::test]
async fn the_json_of_a_book_and_of_an_order_keeps_its_bytes() {
    let shop = support::shop().await;
    let book = shop.get("/info/1").await;
    let expected = r#"{"id":1,"title":"RPCs for Noobs","author":"","topic":"distributed systems","isbn":null,"year":null,"price_cents":1999,"stock":12,"version":1,"text_version":1,"on_sale":true}"#;
    assert_eq!(String::from_utf8_lossy(&book.body), expected);
    let order = shop.json("POST", "/purchase/1", &[KEY], "{}").await;
    let placed_at = order.json()["placed_at"].as_str().expect("a moment").to_owned();
    let expected = format!(
        r#"{{"id":"{ID}","status":"placed","lines":[{{"book":1,"quantity":1,"unit_price_cents":1999}}],"total_cents":1999,"placed_at":"{placed_at}","seq":4,"version":4}}"#
    );
    assert_eq!(String::from_utf8_lossy(&order.body), expected);
}
