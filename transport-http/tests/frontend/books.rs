//! Searching and reading.

use crate::support::{book, shop};
use bookstore_core::{BookText, CatalogService, NewBook};

#[tokio::test]
async fn a_topic_is_found_by_its_path() {
    let shop = shop().await;
    let page = shop.get("/search/distributed%20systems").await.json();
    let titles: Vec<_> = page["books"].as_array().unwrap().iter().map(|book| book["title"].as_str().unwrap()).collect();
    assert_eq!(titles, ["RPCs for Noobs", "Spring in the Pioneer Valley"]);
    assert!(page["next_page_token"].is_null());
    assert_eq!(shop.get("/search/nothing%20of%20the%20kind").await.json()["books"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn words_topic_sort_and_pages_go_together() {
    let shop = shop().await;
    shop.catalog
        .add_books((0..5).map(|n| book(&format!("Dull book {n}"), "testing", n)).collect(), None)
        .await
        .unwrap();
    let found = shop.get("/search?q=impatient&topic=undergraduate%20school").await.json();
    assert_eq!(found["books"][0]["id"], 2);
    let mut path = "/search?q=dull&sort=title&page_size=2".to_owned();
    let mut titles = Vec::new();
    loop {
        let page = shop.get(&path).await.json();
        titles.extend(page["books"].as_array().unwrap().iter().map(|book| book["title"].to_string()));
        let Some(token) = page["next_page_token"].as_str() else { break };
        path = format!("/search?q=dull&sort=title&page_size=2&page_token={token}");
    }
    assert_eq!(titles, (0..5).map(|n| format!("\"Dull book {n}\"")).collect::<Vec<_>>());
}

#[tokio::test]
async fn filters_counts_and_lists_are_answered() {
    let shop = shop().await;
    let dull = |n| {
        let book = book(&format!("Dull book {n}"), "testing", n);
        NewBook { text: BookText { authors: vec!["Ann Author".into()], ..book.text }, ..book }
    };
    shop.catalog.add_books((0..5).map(dull).collect(), None).await.unwrap();
    let numbers = |page: &serde_json::Value| -> Vec<u64> {
        page["books"].as_array().unwrap().iter().map(|book| book["id"].as_u64().unwrap()).collect()
    };
    let page = shop.get("/search?q=dull&in_stock=true&facets=topic,year&page_size=1&sort=newly_listed").await.json();
    assert_eq!((numbers(&page), &page["total"]), (vec![8], &4.into()));
    assert_eq!(page["facets"], serde_json::json!({"topic": [{"value": "testing", "books": 4}], "year": []}));
    let page = shop.get("/authors/ann%20author?sort=newly_listed").await.json();
    assert_eq!((numbers(&page), page["facets"].is_null()), (vec![8, 7, 6, 5, 4], true));
    let first = shop.get("/new?page_size=2").await.json();
    let next = format!("/new?page_size=2&page_token={}", first["next_page_token"].as_str().unwrap());
    assert_eq!((numbers(&first), numbers(&shop.get(&next).await.json())), (vec![8, 7], vec![6, 5]));
    let suggested = shop.get("/suggest?q=dul&limit=2").await.json();
    assert_eq!(suggested["titles"][1], serde_json::json!({"id": 5, "title": "Dull book 1"}));
    assert_eq!(shop.get("/suggest?q=TEST").await.json()["topics"], serde_json::json!(["testing"]));
    for bad in ["/search?price_min=-1", "/search?facets=colour", "/suggest?limit=11", "/search?in_stock=yes"] {
        shop.get(bad).await.problem(422, "invalid");
    }
    shop.get("/new?sort=title").await.problem(400, "malformed");
}

#[tokio::test]
async fn best_sellers_are_listed() {
    let shop = shop().await;
    shop.catalog.add_books(vec![book("Dull book", "testing", 5)], None).await.unwrap();
    for (book, quantity) in [(2, 1), (4, 4), (1, 2)] {
        shop.json("POST", &format!("/purchase/{book}"), &[], &format!("{{\"quantity\":{quantity}}}")).await;
    }
    let numbers = async |path: &str| -> Vec<u64> {
        let page = shop.get(path).await.json();
        page["books"].as_array().unwrap().iter().map(|book| book["id"].as_u64().unwrap()).collect()
    };
    for path in ["/bestsellers", "/bestsellers?days=7", "/bestsellers?days=365", "/search?sold=30&sort=best_selling"] {
        assert_eq!(numbers(path).await, [4, 1, 2], "{path}");
    }
    assert_eq!(numbers("/search/distributed%20systems?sort=best_selling&sold=ever").await, [1]);
    assert_eq!(numbers("/search/distributed%20systems?sort=best_selling").await, [1, 3]);
    let first = shop.get("/bestsellers?days=30&page_size=2").await.json();
    assert_eq!(first["total"], 3);
    let token = first["next_page_token"].as_str().unwrap();
    assert_eq!(numbers(&format!("/bestsellers?days=30&page_size=2&page_token={token}")).await, [2]);
    for bad in ["days=8", "days=ever", &format!("days=7&page_token={token}")] {
        shop.get(&format!("/bestsellers?{bad}")).await.problem(422, "invalid");
    }
    shop.get("/bestsellers?sold=7").await.problem(400, "malformed");
}

#[tokio::test]
async fn topics_have_counts() {
    let topics = shop().await.get("/topics").await.json();
    assert_eq!(topics["topics"][0], serde_json::json!({"topic": "distributed systems", "books": 2}));
}

#[tokio::test]
async fn topics_come_in_pages() {
    let shop = shop().await;
    let page = shop.get("/topics?page_size=1").await.json();
    assert_eq!((&page["total_topics"], &page["total_books"]), (&2.into(), &3.into()));
    let next = format!("/topics?page_size=1&page_token={}", page["next_page_token"].as_str().unwrap());
    let last = shop.get(&next).await.json();
    assert_eq!((&last["topics"][0]["topic"], &last["next_page_token"]), (&"undergraduate school".into(), &().into()));
    let largest = shop.get("/topics?sort=books&page_size=1").await.json();
    assert_eq!(largest["topics"][0], serde_json::json!({"topic": "distributed systems", "books": 2}));
    for bad in ["page_size=0", "page_size=1001", "page_token=x", "sort=size"] {
        shop.get(&format!("/topics?{bad}")).await.problem(422, "invalid");
    }
}

/// However many topics a shop has, and however long their names are, no answer grows with them.
#[tokio::test]
async fn no_answer_grows_with_the_number_of_topics() {
    let shop = shop().await;
    let topic = |n: usize| format!("{n:04} {}", "\"\u{1F4DA}".repeat(247));
    for books in (0..3000).collect::<Vec<_>>().chunks(1000) {
        let books = books.iter().map(|n| book(&format!("Book {n}"), &topic(*n), 1)).collect();
        shop.catalog.add_books(books, None).await.unwrap();
    }
    for path in ["/topics", "/topics?page_size=1000", "/topics?sort=books&page_size=1000"] {
        let page = shop.get(path).await;
        assert!(page.body.len() <= 1 << 20, "{path}: {} bytes", page.body.len());
        assert_eq!(page.json()["total_topics"], 3002);
    }
    for path in ["/", "/topics"] {
        let page = shop.send("GET", path, &[("accept", "text/html")], "").await;
        assert!(page.status.is_success() && page.body.len() <= 1 << 20, "{path}: {} bytes", page.body.len());
    }
}

#[tokio::test]
async fn a_book_has_a_strong_etag_that_changes_with_it() {
    let shop = shop().await;
    let answer = shop.get("/info/1").await;
    let book = answer.json();
    assert_eq!(
        (&book["title"], &book["stock"], &book["price_cents"]),
        (&"RPCs for Noobs".into(), &12.into(), &1999.into())
    );
    assert!(book["isbn"].is_null() && book["year"].is_null());
    let tag = answer.header("etag").to_owned();
    assert_eq!(tag, format!("\"{}\"", book["version"]));

    let again = shop.send("GET", "/info/1", &[("if-none-match", &tag)], "").await;
    assert_eq!((again.status.as_u16(), again.header("etag"), again.body.len()), (304, tag.as_str(), 0));
    shop.json("POST", "/purchase/1", &[], "{}").await;
    let changed = shop.send("GET", "/info/1", &[("if-none-match", &tag)], "").await;
    assert_eq!((changed.status.as_u16(), &changed.json()["stock"]), (200, &11.into()));
    assert_ne!(changed.header("etag"), tag);
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let shop = shop().await;
    let answer = shop.send("HEAD", "/info/1", &[], "").await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0));
    assert!(!answer.header("etag").is_empty());
}

#[tokio::test]
async fn the_shop_says_its_currency() {
    let shop = shop().await;
    let answer = shop.get("/shop").await;
    assert_eq!(answer.json(), serde_json::json!({ "currency": "USD", "decimals": 2 }));
    assert_eq!(shop.get("/shop?x=1").await.status, 400);
}
