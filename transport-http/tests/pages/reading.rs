//! Looking around: searches, errors, hostile texts, and what every page has in common.

use axum::http::{Method, StatusCode, header};
use bookstore_core::{BookText, NewBook};
use std::{collections::BTreeSet, sync::atomic::Ordering};

use crate::{
    browser::{Page, attribute, tags},
    shop::{Visit, book, one_book},
};

const NO_ORDER: &str = "/orders/0199aaaa-bbbb-7ccc-8ddd-eeeeffff0000";

#[tokio::test]
async fn an_empty_shop_is_no_error() {
    let visit = Visit::to(vec![]).await;
    visit.browser.open("/").await.check(StatusCode::OK, &["No books yet", "bookstore import"]);
    visit.browser.open("/topics").await.check(StatusCode::OK, &["No books yet"]);
    visit.browser.open("/search").await.check(StatusCode::OK, &["Nothing found"]);
    visit.browser.open("/search?q=&topic=&sort=").await.check(StatusCode::OK, &["Nothing found"]);
    visit.browser.open("/search/none").await.check(StatusCode::OK, &["Nothing found"]);
}

/// The script reads the currency from the pages, too.
#[tokio::test]
async fn amounts_are_shown_in_the_currency_of_the_shop() {
    for (code, price, cheap, data) in [
        ("JPY", "¥1,999", "Up to ¥2,000", "data-prefix=\"¥\" data-decimals=\"0\""),
        ("EUR", "€19.99", "Up to €20.00", "data-prefix=\"€\" data-decimals=\"2\""),
        ("KWD", "KWD 1.999", "Up to KWD 20.000", "data-prefix=\"KWD \" data-decimals=\"3\""),
    ] {
        let visit = Visit::in_currency(one_book(), code).await;
        visit.browser.open("/search").await.check(StatusCode::OK, &[price, cheap, data]);
        for url in ["/", "/info/1", "/purchase/1"] {
            visit.browser.open(url).await.check(StatusCode::OK, &[price, data]);
        }
        let form = visit.browser.open("/purchase/1").await.form("/purchase/1");
        visit.browser.submit(&form).await.check(StatusCode::OK, &["Your order is placed", price]);
    }
}

fn hostile() -> NewBook {
    let nasty = "<script>alert(\"1\")</script> & 'co'";
    let text = BookText {
        title: nasty.into(),
        authors: vec![format!("{nasty} author")],
        topic: "a/b?c#d%20\"<i>".into(),
        subjects: vec![format!("{nasty} subject")],
        year: Some(-400),
        subtitle: format!("{nasty} subtitle"),
        description: format!("{nasty} description"),
        ..BookText::default()
    };
    NewBook { text, price_cents: bookstore_core::Cents::ZERO, stock: 3 }
}

#[tokio::test]
async fn hostile_texts_are_shown_as_texts() {
    let visit = Visit::to(vec![hostile(), book("Plain", "..", 5, 1)]).await;
    let escaped = "&#60;script&#62;alert(&#34;1&#34;)&#60;/script&#62; &#38; &#39;co&#39;";
    let form = visit.browser.open("/purchase/1").await.form("/purchase/1");
    let order = visit.browser.submit(&form).await.url;
    for url in ["/", "/search", "/search?q=script", "/info/1", "/purchase/1", &order] {
        let page = visit.browser.open(url).await;
        page.check(StatusCode::OK, &[escaped]);
        assert!(!page.says("<script>") && !page.says("<i>"), "{url}: {}", page.html);
    }
    for words in ["\"><script>alert(1)</script>", "'\"&<", "a' OR 1=1 --", "\" NEAR * ^"] {
        let form = visit.browser.open("/").await.form("/search").with("q", words);
        let page = visit.browser.submit(&form).await;
        assert_eq!(page.status, StatusCode::OK, "{words}");
        assert_eq!(page.form("/search").get("q"), words, "what was searched for stays in the box");
        assert!(!page.says("<script>"));
    }
}

#[tokio::test]
async fn the_first_page_has_the_largest_topics_and_a_way_to_all() {
    let mut books: Vec<_> = (0..130).map(|n| book(&format!("Book {n}"), &format!("topic {n:03}"), 5, 1)).collect();
    books.push(book("Another one", "topic 077", 5, 1));
    let visit = Visit::to(books).await;
    let home = visit.browser.open("/").await;
    home.check(StatusCode::OK, &["131 books on 130 topics", "topic 077", "topic 022"]);
    assert!(!home.says("topic 023") && home.links().contains(&"/topics".to_owned()));
    let first = visit.browser.open("/topics").await;
    assert!(first.says("topic 099") && !first.says("topic 100"));
    let next = first.links().into_iter().find(|link| link.starts_with("/topics?page_token=")).expect("a next page");
    let last = visit.browser.open(&next).await;
    last.check(StatusCode::OK, &["topic 100", "topic 129", "First page", "That is all."]);
    assert!(!last.says("topic 099"));
    visit.browser.open("/topics?page_token=x").await.check(StatusCode::UNPROCESSABLE_ENTITY, &[]);
}

#[tokio::test]
async fn every_topic_leads_to_its_books_whatever_its_name() {
    let names = ["a/b?c#d%20\"<i>", "..", "naïve + sentimental", "100% & more", "C++"];
    let visit = Visit::to(names.iter().map(|name| book(&format!("On {name}"), name, 5, 1)).collect()).await;
    let home = visit.browser.open("/").await;
    let topics: BTreeSet<String> =
        home.links().into_iter().filter(|link| link.starts_with("/search") && link.len() > 8).collect();
    assert_eq!(topics.len(), names.len(), "{topics:?}");
    for link in topics {
        let page = visit.browser.open(&link).await;
        page.check(StatusCode::OK, &[]);
        let books = page.links().into_iter().filter(|link| link.starts_with("/info/")).count();
        assert_eq!(books, 1, "{link}: {}", page.html);
    }
}

#[tokio::test]
async fn following_next_shows_every_book_once_in_order() {
    let books = (1..=45).map(|n| book(&format!("Volume {n:03}"), "series", 10_000 - n, 1)).collect();
    let visit = Visit::to(books).await;
    let mut page = visit.browser.open("/search/series?q=volume&page_size=10").await;
    page = visit.browser.open(&page.link("Lowest price")).await;
    let mut seen = Vec::new();
    loop {
        page.check(StatusCode::OK, &["“volume” in series", "aria-current=\"true\">Lowest price"]);
        seen.extend(page.links().into_iter().filter(|link| link.starts_with("/info/")));
        if !page.says("Next page") {
            break;
        }
        page = visit.browser.open(&page.link("Next page")).await;
    }
    let cheapest_first: Vec<String> = (1..=45).rev().map(|n| format!("/info/{n}")).collect();
    assert_eq!(seen, cheapest_first);
    page.check(StatusCode::OK, &["That is all"]);
    let first = visit.browser.open(&page.link("First page")).await;
    first.check(StatusCode::OK, &["Volume 045"]);
    visit.browser.open(&page.link("Remove")).await.check(StatusCode::OK, &["“volume”</h1>"]);
}

#[tokio::test]
async fn filters_are_links_with_counts() {
    let stock = [(1, "Roe", "series"), (0, "Roe", "series"), (0, "Doe", "series"), (1, "Doe", "other")];
    let books = stock.iter().enumerate().map(|(n, (stock, author, topic))| {
        let book = book(&format!("Volume {n}"), topic, 1_000 * (n as u64 + 1), *stock);
        let text = BookText { authors: vec![(*author).into()], year: Some(2000), ..book.text };
        NewBook { text, ..book }
    });
    let visit = Visit::to(books.collect()).await;
    let page = visit.browser.open("/search?q=volume").await;
    page.check(StatusCode::OK, &["4 books", "<h2>Author</h2>", "<span class=\"count\">2</span>", "<h2>Topic</h2>"]);
    assert!(!page.says("<h2>Year</h2>"), "there is only one");
    let page = visit.browser.open(&page.link("Doe")).await;
    page.check(StatusCode::OK, &["“volume” in Doe", "2 books", "Volume 2", "Volume 3"]);
    let page = visit.browser.open(&page.link("In stock")).await;
    page.check(StatusCode::OK, &["1 book<", "Volume 3"]);
    let page = visit.browser.open(&page.link("Up to $20.00")).await;
    page.check(StatusCode::OK, &["Nothing found", "without the filters"]);
    let page = visit.browser.open(&page.link("Remove")).await;
    page.check(StatusCode::OK, &["“volume”</h1>", "1 book<", "Volume 0"]);
    visit.browser.open("/search?in_stock=yes&price_max=cheap&year_min=old").await.check(StatusCode::OK, &["4 books"]);
}

#[tokio::test]
async fn best_sellers_are_a_link_away() {
    let visit = Visit::to((1..=3).map(|n| book(&format!("Volume {n}"), "series", 1_000, 5)).collect()).await;
    let home = visit.browser.open("/").await;
    let page = visit.browser.open(&home.link("Best sellers")).await;
    page.check(StatusCode::OK, &["<h1 class=\"topic-name\">Best sellers</h1>", "no book here yet"]);
    for n in [2, 3] {
        let form = visit.browser.open(&format!("/purchase/{n}")).await.form(&format!("/purchase/{n}"));
        visit.browser.submit(&form.with("quantity", &(n - 1).to_string())).await;
    }
    let page = visit.browser.open("/bestsellers?days=30&page_size=1").await;
    page.check(StatusCode::OK, &["Best sellers of the last 30 days", "2 books", "Volume 3"]);
    assert!(!page.says("Volume 2") && !page.says("Volume 1"));
    let next = visit.browser.open(&page.link("Next page")).await;
    next.check(StatusCode::OK, &["Best sellers of the last 30 days", "Volume 2", "That is all"]);
    let week = visit.browser.open(&page.link("Sold in the last 7 days")).await;
    week.check(StatusCode::OK, &["Best sellers of the last 7 days", "Volume 3", "Ever sold"]);
    let all = visit.browser.open(&week.link("Remove")).await;
    all.check(StatusCode::OK, &["Best sellers</h1>", "3 books"]);
}

#[tokio::test]
async fn bad_queries_are_explained() {
    let visit = Visit::to(one_book()).await;
    let unprocessable = StatusCode::UNPROCESSABLE_ENTITY;
    visit.browser.open("/search?page_token=nonsense").await.check(unprocessable, &["does not lead", "See all books"]);
    let long = format!("/search?q={}", "x".repeat(201));
    visit.browser.open(&long).await.check(unprocessable, &["too much to search for", "200"]);
    visit.browser.open("/search?page_size=101").await.check(unprocessable, &["Page_size"]);
    // What only a person or a tracker would write is forgiven.
    let forgiven = visit.browser.open("/search?sort=banana&utm_source=x&page_size=ten&q=queues&q=two").await;
    forgiven.check(StatusCode::OK, &["Queues and Quays"]);
}

#[tokio::test]
async fn errors_are_pages_for_browsers_and_problems_for_programs() {
    let visit = Visit::to(one_book()).await;
    let cases = [
        ("/nowhere", StatusCode::NOT_FOUND, "There is no such page"),
        ("/assets/none.css", StatusCode::NOT_FOUND, "There is no such page"),
        ("/info/99", StatusCode::NOT_FOUND, "There is no such book"),
        ("/purchase/99", StatusCode::NOT_FOUND, "There is no such book"),
        ("/info/abc", StatusCode::BAD_REQUEST, "This address is not right"),
        (NO_ORDER, StatusCode::NOT_FOUND, "There is no such order"),
        ("/orders/abc", StatusCode::BAD_REQUEST, "This address is not right"),
    ];
    for (url, status, text) in cases {
        let page = visit.browser.open(url).await;
        page.check(status, &[text, "<html lang=\"en\">"]);
        assert_eq!(page.headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
        assert_eq!(page.headers.get_all(header::CONTENT_TYPE).iter().count(), 1);
        let problem = visit.browser.send(Method::GET, url, &[], None).await;
        let status = if url == "/purchase/99" { StatusCode::METHOD_NOT_ALLOWED } else { status };
        assert_eq!(problem.status, status, "{url}");
        assert_eq!(problem.headers[header::CONTENT_TYPE], "application/problem+json");
    }
    let unknown = visit.browser.open("/purchase/1").await.form("/purchase/1");
    let mut elsewhere = unknown.clone();
    elsewhere.action = "/purchase/99".into();
    visit.browser.submit(&elsewhere).await.check(StatusCode::NOT_FOUND, &["There is no such book"]);
    let incomplete = crate::browser::Form { fields: vec![], ..elsewhere.clone() };
    visit.browser.submit(&incomplete).await.check(StatusCode::NOT_FOUND, &["There is no such book"]);
    elsewhere.action = format!("{NO_ORDER}/cancel");
    visit.browser.submit(&elsewhere).await.check(StatusCode::NOT_FOUND, &["There is no such order"]);
}

#[tokio::test]
async fn when_the_catalogue_is_away_pages_suggest_to_try_again() {
    let visit = Visit::to(one_book()).await;
    visit.services.blind.store(true, Ordering::SeqCst);
    for (url, text) in [("/info/1", "The shop is not available"), ("/", "The shop is very busy")] {
        let page = visit.browser.open(url).await;
        page.check(StatusCode::SERVICE_UNAVAILABLE, &[text, "Try again"]);
        assert!(page.headers.contains_key(header::RETRY_AFTER));
        assert_eq!(page.link("Try again"), "", "the same address");
    }
}

#[tokio::test]
async fn assets_are_kept_by_browsers_and_renewed_with_the_program() {
    let visit = Visit::to(vec![]).await;
    let home = visit.browser.open("/").await;
    let css = tags(&home.html, "link").find_map(|tag| attribute(tag, "href")).unwrap();
    let script = tags(&home.html, "script").find_map(|tag| attribute(tag, "src")).unwrap();
    for (url, media_type) in [(&css, "text/css; charset=utf-8"), (&script, "text/javascript; charset=utf-8")] {
        let asset = visit.browser.open(url).await;
        asset.check(StatusCode::OK, &[]);
        assert_eq!(asset.headers[header::CONTENT_TYPE], media_type);
        assert_eq!(asset.headers[header::CACHE_CONTROL], "public, max-age=31536000, immutable");
        let tag = asset.headers[header::ETAG].to_str().unwrap().to_owned();
        let known = visit.browser.send(Method::GET, url, &[("if-none-match", &tag)], None).await;
        assert_eq!((known.status, known.html.as_str()), (StatusCode::NOT_MODIFIED, ""));
        let other = url.replace("?v=", "?v=f");
        let renewed = visit.browser.open(&other).await;
        renewed.check(StatusCode::OK, &[]);
        assert_eq!(renewed.headers[header::CACHE_CONTROL], "no-cache");
    }
    assert!(css.starts_with("/assets/shop.css?v=") && script.starts_with("/assets/shop.js?v="));
}

/// What a strict content security policy and assistive technology need of every page.
#[track_caller]
fn check_markup(page: &Page) {
    let html = &page.html;
    let count = |text: &str| html.matches(text).count();
    assert!(html.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"), "{}", page.url);
    for one in ["<h1", "<main", "</main>", "<title>", "<header", "<footer"] {
        assert_eq!(count(one), 1, "{one} on {}: {html}", page.url);
    }
    for none in ["<style", " style=", " onclick=", "javascript:", "<script>"] {
        assert_eq!(count(none), 0, "{none} on {}", page.url);
    }
    let ids: Vec<_> = html.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "an id twice on {}: {ids:?}", page.url);
    for tag in tags(html, "input").chain(tags(html, "textarea")).filter(|tag| !tag.contains("type=\"hidden\"")) {
        let id = attribute(tag, "id").unwrap();
        assert!(html.contains(&format!("for=\"{id}\"")), "no label for {id} on {}", page.url);
        if let Some(described) = attribute(tag, "aria-describedby") {
            assert!(ids.contains(&described.as_str()), "nothing describes {id} on {}", page.url);
        }
    }
    let policy = page.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");
    if html.contains("method=\"post\"") {
        // With no-referrer a browser would call the origin of a form null, which cannot be told from a forged one.
        assert_eq!(page.headers[header::REFERRER_POLICY], "same-origin", "{}", page.url);
    }
    check_nesting(page);
}

/// Every element that is opened is closed, in order.
#[track_caller]
fn check_nesting(page: &Page) {
    const VOID: [&str; 4] = ["meta", "link", "input", "img"];
    let mut open = Vec::new();
    for tag in page.html.split('<').skip(2) {
        let name = tag.split([' ', '>', '\n']).next().unwrap();
        match name.strip_prefix('/') {
            Some(closed) => assert_eq!(open.pop(), Some(closed), "{}: {tag}", page.url),
            None if VOID.contains(&name) => {}
            None => open.push(name),
        }
    }
    assert!(open.is_empty(), "{}: left open: {open:?}", page.url);
}

#[tokio::test]
async fn every_page_is_well_made() {
    let visit = Visit::to(vec![hostile(), book("Plain", "simple", 5, 0), book("Low", "simple", 5, 2)]).await;
    let form = visit.browser.open("/purchase/1").await.form("/purchase/1");
    let order = visit.browser.submit(&form).await.url;
    let wrong = visit.browser.submit(&form.clone().with("quantity", "x")).await;
    check_markup(&wrong);
    check_markup(&visit.browser.open("/admin").await);
    let login = visit.browser.open("/admin").await.form("/admin/login").with("token", crate::shop::TOKEN);
    visit.browser.submit(&login).await.check(StatusCode::OK, &[]);
    let bad_book = visit.browser.submit(&visit.browser.open("/admin/new").await.form("/admin/books")).await;
    check_markup(&bad_book);
    for url in [
        "/",
        "/topics",
        "/search",
        "/search?q=plain",
        "/search?q=nothing+at+all",
        "/search/simple",
        "/search?page_token=x",
        "/bestsellers",
        "/bestsellers?days=7",
        "/info/1",
        "/info/2",
        "/info/3",
        "/purchase/1",
        "/purchase/2",
        &order,
        "/nowhere",
        "/info/99",
        "/admin",
        "/admin?q=plain",
        "/admin/new",
        "/admin/orders",
        "/admin/orders?page_token=x",
        "/admin/books/1",
        "/admin/books/2",
    ] {
        check_markup(&visit.browser.open(url).await);
    }
    let cancelled = visit.browser.open(&order).await.form(&format!("{order}/cancel"));
    check_markup(&visit.browser.submit(&cancelled).await);
    check_markup(&Visit::to(vec![]).await.browser.open("/").await);
    check_markup(&Visit::with(vec![], None).await.browser.open("/admin").await);
}
