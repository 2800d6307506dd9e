//! What goes straight to its handler is answered as the router would.

use axum::http::header;

use crate::support::{self, Answer, ID};

/// Method, path, headers, body.
type Asked = (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static str);

const JSON: (&str, &str) = ("content-type", "application/json");
const KEY: (&str, &str) = ("idempotency-key", ID);

/// Each at the border of what skips the router, on either side of it.
const ALIKE: [Asked; 38] = [
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
async fn the_site_answers_as_its_router() {
    let site = support::shop().await;
    // From here on the key is a replay.
    site.json("POST", "/purchase/1", &[KEY], "{}").await;
    let router = site.as_router().await;
    for (method, path, headers, body) in ALIKE {
        let (direct, routed) =
            (site.send(method, path, headers, body).await, router.send(method, path, headers, body).await);
        assert_eq!(shown(&direct), shown(&routed), "{method} {path} {headers:?} {body}");
    }
    let long = "x".repeat(65_537);
    let direct = site.json("POST", "/purchase/1", &[KEY], &long).await;
    assert_eq!(shown(&direct), shown(&router.json("POST", "/purchase/1", &[KEY], &long).await));
    assert_eq!(site.stock(1).await, 11, "bought once, by whatever path");
    site.stop().await;
    router.stop().await;
}
