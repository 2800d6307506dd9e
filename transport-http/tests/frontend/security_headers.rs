//! What every answer carries, and what no request gets past.

use crate::support::{ID, shop};

#[tokio::test]
async fn every_answer_is_protected() {
    let shop = shop().await;
    for (method, path) in
        [("GET", "/info/1"), ("GET", "/nothing"), ("DELETE", "/topics"), ("GET", "/orders"), ("POST", "/purchase/1")]
    {
        for accept in ["application/json", "text/html"] {
            let answer = shop.send(method, path, &[("accept", accept)], "").await;
            let policy = answer.header("content-security-policy");
            assert!(
                policy.starts_with("default-src 'none'; ") && policy.contains("frame-ancestors 'none'"),
                "{policy}"
            );
            assert_eq!(answer.header("x-content-type-options"), "nosniff");
            assert_eq!(answer.header("vary"), "accept", "{path}");
        }
    }
}

#[tokio::test]
async fn what_is_secret_is_neither_stored_nor_referred_to() {
    let shop = shop().await;
    for path in [&format!("/orders/{ID}"), "/orders", "/entries", "/orders/not-even-an-id"] {
        let answer = shop.get(path).await;
        assert_eq!((answer.header("cache-control"), answer.header("referrer-policy")), ("no-store", "no-referrer"));
    }
    let order = r#"{"lines":[{"book":1,"quantity":1}]}"#;
    let placed = shop.json("PUT", &format!("/orders/{ID}"), &[], order).await;
    let cancelled = shop.json("POST", &format!("/orders/{ID}/cancel"), &[], "{}").await;
    for answer in [placed, cancelled] {
        assert!(answer.status.is_success());
        assert_eq!((answer.header("cache-control"), answer.header("referrer-policy")), ("no-store", "no-referrer"));
    }
    let answer = shop.get("/info/1").await;
    assert_eq!((answer.header("cache-control"), answer.header("referrer-policy")), ("no-cache", "same-origin"));
}

#[tokio::test]
async fn browsers_get_pages_of_the_same_refusals() {
    let shop = shop().await;
    let html = [("accept", "text/html,application/xhtml+xml,*/*;q=0.8")];
    for (method, path, status) in [
        ("GET", "/info/abc", 400),
        ("GET", "/info/99", 404),
        ("GET", "/nothing", 404),
        ("GET", "/orders", 401),
        ("DELETE", "/info/1", 405),
    ] {
        let answer = shop.send(method, path, &html, "").await;
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.header("content-type").starts_with("text/html"), "{path}: {answer:?}");
        assert!(!answer.body.is_empty());
    }
    let answer = shop.send("DELETE", "/info/1", &html, "").await;
    assert!(answer.header("allow").contains("GET"));
    assert_eq!(shop.send("GET", "/orders", &html, "").await.header("www-authenticate"), "Bearer");
}

#[tokio::test]
async fn another_sites_page_changes_nothing() {
    let shop = shop().await;
    let cancel = format!("/orders/{ID}/cancel");
    for forged in [
        &[("sec-fetch-site", "cross-site")][..],
        &[("sec-fetch-site", "same-site")],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
    ] {
        for (method, path) in
            [("POST", "/purchase/1"), ("POST", cancel.as_str()), ("PATCH", "/books/1"), ("POST", "/nothing")]
        {
            shop.send(method, path, forged, "").await.problem(403, "forbidden");
        }
        // Reading is harmless.
        assert_eq!(shop.send("GET", "/info/1", forged, "").await.status, 200);
    }
    assert_eq!(shop.stock(1).await, 12);
    let own = shop.url();
    for good in [&[("sec-fetch-site", "same-origin")][..], &[("sec-fetch-site", "none")], &[("origin", &own)], &[]] {
        assert_eq!(shop.send("POST", "/purchase/1", good, "").await.status, 201, "{good:?}");
    }
}

#[tokio::test]
async fn a_request_id_is_taken_as_it_comes() {
    let shop = shop().await;
    let long = "x".repeat(4000);
    for id in ["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "nonsense", "", &long] {
        for name in ["traceparent", "x-request-id"] {
            assert_eq!(shop.send("GET", "/info/1", &[(name, id)], "").await.status, 200);
        }
    }
}
