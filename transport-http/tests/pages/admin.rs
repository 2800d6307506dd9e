//! The shop's own pages.

use axum::http::{Method, StatusCode, header};
use bookstore_core::{Lines, OrderId, OrderService, book::BookId};
use std::sync::atomic::Ordering;

use crate::{
    browser::{Form, Page},
    shop::{Fault, TOKEN, Visit, book, one_book},
};

const RESTOCK: &str = "/admin/books/1/restock";
const PRICE: &str = "/admin/books/1/price";

async fn signed_in() -> Visit {
    let visit = Visit::to(one_book()).await;
    log_in(&visit, "/admin").await.check(StatusCode::OK, &["Queues and Quays"]);
    visit
}

async fn log_in(visit: &Visit, url: &str) -> Page {
    let login = visit.browser.open(url).await;
    login.check(StatusCode::UNAUTHORIZED, &["Admin log-in"]);
    visit.browser.submit(&login.form("/admin/login").with("token", TOKEN)).await
}

async fn form(visit: &Visit, action: &str) -> Form {
    visit.browser.open("/admin/books/1").await.form(action)
}

async fn buy(visit: &Visit, quantity: u32) -> OrderId {
    let id = OrderId(bookstore_core::Clock::new_id(&bookstore_core::SystemClock));
    visit.services.purchase(id, Lines::one(BookId(1), quantity).unwrap()).await.unwrap();
    id
}

#[tokio::test]
async fn without_a_token_admin_is_off_and_says_how_to_turn_it_on() {
    let visit = Visit::with(one_book(), None).await;
    let how = ["Admin is off", "--admin-token-file", "BOOKSTORE_ADMIN_TOKEN_FILE"];
    for url in ["/admin", "/admin/login", "/admin/orders", "/admin/books/1"] {
        visit.browser.open(url).await.check(StatusCode::FORBIDDEN, &how);
    }
    let fields = vec![("token".to_owned(), String::new())];
    let login = Form { method: Method::POST, action: "/admin/login".into(), fields };
    visit.browser.submit(&login).await.check(StatusCode::FORBIDDEN, &how);
}

#[tokio::test]
async fn only_the_token_opens() {
    let visit = Visit::to(one_book()).await;
    let login = visit.browser.open("/admin/login").await.form("/admin/login");
    for wrong in ["", "x", &TOKEN[1..], &TOKEN.to_uppercase()] {
        let page = visit.browser.submit(&login.clone().with("token", wrong)).await;
        page.check(StatusCode::UNAUTHORIZED, &["This is no token of this shop"]);
        assert!(!page.headers.contains_key(header::SET_COOKIE));
        assert_eq!(page.form("/admin/login").get("token"), "", "a token is never sent back");
    }
    let body = format!("token={TOKEN}&to=/admin");
    let form = ("content-type", "application/x-www-form-urlencoded");
    let sent = visit.browser.send(Method::POST, "/admin/login", &[form], Some(body)).await;
    assert_eq!((sent.status, &sent.headers[header::LOCATION]), (StatusCode::SEE_OTHER, &"/admin".parse().unwrap()));
    let cookie = sent.headers[header::SET_COOKIE].to_str().unwrap();
    assert!(cookie.contains("; HttpOnly; SameSite=Strict") && !cookie.contains(TOKEN), "{cookie}");
    let page = visit.browser.open("/admin").await;
    page.check(StatusCode::OK, &["Queues and Quays"]);
    assert_eq!(page.headers[header::CACHE_CONTROL], "no-store");
}

#[tokio::test]
async fn logging_in_leads_back_and_logging_out_ends_it() {
    let visit = Visit::to(one_book()).await;
    let page = log_in(&visit, "/admin/books/1?done=stock").await;
    assert_eq!((page.status, page.url.as_str()), (StatusCode::OK, "/admin/books/1?done=stock"));
    let stolen = visit.browser.open("/admin").await;
    visit.browser.submit(&stolen.form("/admin/logout")).await.check(StatusCode::OK, &["Find your next book"]);
    visit.browser.open("/admin/orders").await.check(StatusCode::UNAUTHORIZED, &["Admin log-in"]);
}

#[tokio::test]
async fn nothing_is_shown_or_changed_without_a_session() {
    let visit = signed_in().await;
    let (restock, price) =
        (form(&visit, RESTOCK).await.with("delta", "5"), form(&visit, PRICE).await.with("price", "1"));
    let new = visit.browser.open("/admin/new").await.form("/admin/books");
    let new = new.with("title", "T").with("topic", "t").with("price_cents", "1").with("stock", "1");
    let stranger = crate::browser::Browser::new(visit.addr);
    for url in ["/admin", "/admin?q=x", "/admin/new", "/admin/orders", "/admin/books/1", "/admin/books/99"] {
        let page = stranger.open(url).await;
        page.check(StatusCode::UNAUTHORIZED, &["Admin log-in"]);
        assert!(!page.says("Queues"), "{url}");
    }
    for form in [restock, price, new] {
        let page = stranger.submit(&form).await;
        page.check(StatusCode::UNAUTHORIZED, &["Nothing was changed", "Admin log-in"]);
    }
    let forged = [("cookie", "bookstore_admin="), ("cookie", "bookstore_admin=0000")];
    for cookie in forged {
        let page = stranger.send(Method::GET, "/admin", &[cookie, ("accept", "text/html")], None).await;
        page.check(StatusCode::UNAUTHORIZED, &[]);
    }
    assert_eq!(visit.stock(1).await, 10);
    visit.browser.open("/info/1").await.check(StatusCode::OK, &["$19.99"]);
    visit.browser.open("/search").await.check(StatusCode::OK, &["Queues"]);
}

#[tokio::test]
async fn a_form_of_another_site_changes_nothing() {
    let visit = signed_in().await;
    let form = form(&visit, RESTOCK).await;
    let body = format!("delta=5&key={}", form.get("key"));
    let headers = [
        ("accept", "text/html"),
        ("content-type", "application/x-www-form-urlencoded"),
        ("origin", "https://evil.example"),
        ("sec-fetch-site", "cross-site"),
    ];
    let page = visit.browser.send(Method::POST, RESTOCK, &headers, Some(body)).await;
    page.check(StatusCode::FORBIDDEN, &["<html lang=\"en\">", "another site"]);
    assert_eq!(visit.stock(1).await, 10);
}

#[tokio::test]
async fn a_form_of_this_site_works_where_browsers_only_send_the_origin() {
    let visit = signed_in().await;
    let form = form(&visit, RESTOCK).await;
    let origin = format!("http://{}", visit.addr);
    let media = ("content-type", "application/x-www-form-urlencoded");
    let body = format!("delta=5&key={}", form.get("key"));
    let page = visit.browser.send(Method::POST, RESTOCK, &[("origin", &origin), media], Some(body)).await;
    assert_eq!((page.status, visit.stock(1).await), (StatusCode::SEE_OTHER, 15));
}

#[tokio::test]
async fn a_restock_happens_once_per_form() {
    let visit = signed_in().await;
    let add = form(&visit, RESTOCK).await.with("delta", "5");
    visit.browser.submit(&add).await.check(StatusCode::OK, &["The stock is changed", "15 in stock"]);
    visit.browser.submit(&add).await.check(StatusCode::OK, &["15 in stock"]);
    assert_eq!(visit.stock(1).await, 15);
    let take = form(&visit, RESTOCK).await.with("delta", "-15");
    visit.browser.submit(&take).await.check(StatusCode::OK, &["Sold out"]);
}

#[tokio::test]
async fn a_wrong_restock_is_explained_and_keeps_what_was_typed() {
    let visit = signed_in().await;
    for wrong in ["", "0", "abc", "1.5", "99999999999999999999999", "\"><script>"] {
        let bad = form(&visit, RESTOCK).await.with("delta", wrong);
        let page = visit.browser.submit(&bad).await;
        page.check(StatusCode::UNPROCESSABLE_ENTITY, &["Nothing was changed", "a whole number other than 0"]);
        assert_eq!(page.form(RESTOCK).get("delta"), wrong);
        assert!(!page.says("<script>"));
    }
    let too_many = form(&visit, RESTOCK).await.with("delta", "2000000000");
    visit.browser.submit(&too_many).await.check(StatusCode::UNPROCESSABLE_ENTITY, &["at most 1000000000"]);
    let too_few = form(&visit, RESTOCK).await.with("delta", "-11");
    let page = visit.browser.submit(&too_few).await;
    page.check(StatusCode::CONFLICT, &["there are only 10 to take away"]);
    assert_eq!(page.form(RESTOCK).get("delta"), "-11");
    assert_eq!(visit.stock(1).await, 10);
}

#[tokio::test]
async fn an_unknown_restock_can_be_pressed_again_and_happens_once() {
    for fault in [Fault::AnswerLost, Fault::RequestLost] {
        let visit = signed_in().await;
        let add = form(&visit, RESTOCK).await.with("delta", "5");
        visit.services.fail_next(fault);
        let page = visit.browser.submit(&add).await;
        page.check(StatusCode::GATEWAY_TIMEOUT, &["We do not know yet"]);
        let same = page.form(RESTOCK);
        assert_eq!((same.get("key"), same.get("delta")), (add.get("key"), "5"));
        visit.browser.submit(&same).await.check(StatusCode::OK, &["15 in stock"]);
        assert_eq!(visit.stock(1).await, 15, "{fault:?}");
    }
}

#[tokio::test]
async fn an_unknown_restock_is_never_called_undone() {
    let visit = signed_in().await;
    let add = form(&visit, RESTOCK).await.with("delta", "5");
    visit.services.fail_next(Fault::AnswerLost);
    visit.services.blind.store(true, Ordering::SeqCst);
    let page = visit.browser.submit(&add).await;
    page.check(StatusCode::GATEWAY_TIMEOUT, &["We do not know yet", "Go back and send the form again"]);
    assert!(!page.says("Nothing was"), "{}", page.html);
    visit.services.blind.store(false, Ordering::SeqCst);
    visit.browser.submit(&add).await.check(StatusCode::OK, &["15 in stock"]);
}

#[tokio::test]
async fn a_price_that_somebody_else_changed_is_a_conflict() {
    let visit = signed_in().await;
    let (mine, yours) = (form(&visit, PRICE).await, form(&visit, PRICE).await);
    visit.browser.submit(&yours.with("price", "24")).await.check(StatusCode::OK, &["The price is changed", "$24.00"]);
    let page = visit.browser.submit(&mine.with("price", "18,50")).await;
    page.check(StatusCode::PRECONDITION_FAILED, &["meanwhile the price was set to $24.00"]);
    let again = page.form(PRICE);
    assert_eq!(again.get("price"), "18,50");
    visit.browser.open("/info/1").await.check(StatusCode::OK, &["$24.00"]);
    visit.browser.submit(&again).await.check(StatusCode::OK, &["$18.50"]);
}

#[tokio::test]
async fn a_sale_meanwhile_is_no_conflict_for_a_price() {
    let visit = signed_in().await;
    let change = form(&visit, PRICE).await.with("price", "5");
    buy(&visit, 1).await;
    visit.browser.submit(&change).await.check(StatusCode::OK, &["$5.00", "9 in stock"]);
    // The same form once more is the same change, also after another one.
    let other = form(&visit, PRICE).await.with("price", "6");
    visit.browser.submit(&other).await.check(StatusCode::OK, &["$6.00"]);
    visit.browser.submit(&change).await.check(StatusCode::OK, &["$6.00"]);
}

/// Without any script: the form comes back, and the second press changes the price.
#[tokio::test]
async fn a_price_that_may_be_a_slip_asks() {
    let visit = signed_in().await;
    for (typed, shown) in [("1999", "$1,999.00"), ("0.19", "$0.19"), ("0", "$0.00")] {
        let page = visit.browser.submit(&form(&visit, PRICE).await.with("price", typed)).await;
        page.check(
            StatusCode::UNPROCESSABLE_ENTITY,
            &["$19.99 would become", shown, "press the button again", "Yes, change it to"],
        );
        visit.browser.open("/info/1").await.check(StatusCode::OK, &["$19.99"]);
        // Another price than the one that was asked about is asked about, too.
        let other = visit.browser.submit(&page.form(PRICE).with("price", "2000")).await;
        other.check(StatusCode::UNPROCESSABLE_ENTITY, &["would become $2,000.00"]);
        visit.browser.submit(&page.form(PRICE)).await.check(StatusCode::OK, &["The price is changed", shown]);
        visit.reprice(1, 1999).await;
    }
    let change = form(&visit, PRICE).await.with("price", "4.00");
    visit.browser.submit(&change).await.check(StatusCode::OK, &["The price is changed"]);
}

#[tokio::test]
async fn a_new_book_at_a_price_of_0_asks() {
    let visit = signed_in().await;
    let empty = visit.browser.open("/admin/new").await.form("/admin/books");
    let free = empty.with("title", "Free").with("topic", "news").with("price_cents", "0").with("stock", "7");
    let page = visit.browser.submit(&free).await;
    page.check(StatusCode::UNPROCESSABLE_ENTITY, &["its price is 0", "Yes, add it at a price of 0"]);
    visit.browser.open("/info/2").await.check(StatusCode::NOT_FOUND, &[]);
    visit.browser.submit(&page.form("/admin/books")).await.check(StatusCode::OK, &["The book is listed", "$0.00"]);
}

#[tokio::test]
async fn prices_are_typed_in_the_currency_of_the_shop() {
    let visit = Visit::in_currency(one_book(), "JPY").await;
    log_in(&visit, "/admin").await.check(StatusCode::OK, &["¥1,999"]);
    let wrong = form(&visit, PRICE).await.with("price", "24.50");
    visit.browser.submit(&wrong).await.check(StatusCode::UNPROCESSABLE_ENTITY, &["Please enter a price such as 12."]);
    let right = form(&visit, PRICE).await.with("price", "2450");
    visit.browser.submit(&right).await.check(StatusCode::OK, &["The price is changed", "¥2,450"]);
    visit.browser.open("/admin/new").await.check(StatusCode::OK, &["In JPY: a price such as 12."]);
}

#[tokio::test]
async fn a_wrong_price_is_explained() {
    let visit = signed_in().await;
    for wrong in ["", "abc", "-1", "1.234", "99999999999999999999"] {
        let bad = form(&visit, PRICE).await.with("price", wrong);
        let page = visit.browser.submit(&bad).await;
        page.check(StatusCode::UNPROCESSABLE_ENTITY, &["please look at the price", "Please enter"]);
        assert_eq!(page.form(PRICE).get("price"), wrong);
    }
    let forged = form(&visit, PRICE).await.with("price", "1").with("seen", "x");
    visit.browser.submit(&forged).await.check(StatusCode::BAD_REQUEST, &["This changed nothing"]);
    visit.browser.open("/info/1").await.check(StatusCode::OK, &["$19.99"]);
}

#[tokio::test]
async fn a_key_of_something_else_is_not_taken_for_done() {
    let visit = signed_in().await;
    let used = buy(&visit, 1).await;
    let forged = form(&visit, RESTOCK).await.with("delta", "5").with("key", &used.to_string());
    let page = visit.browser.submit(&forged).await;
    page.check(StatusCode::UNPROCESSABLE_ENTITY, &["Nothing was changed", "used before"]);
    assert_ne!(page.form(RESTOCK).get("key"), used.to_string());
    visit.browser.submit(&page.form(RESTOCK)).await.check(StatusCode::OK, &["14 in stock"]);
}

#[tokio::test]
async fn a_book_is_added_once() {
    let visit = signed_in().await;
    let empty = visit.browser.open("/admin/new").await.form("/admin/books");
    let typed = empty.with("title", "New & Good").with("topic", "news").with("year", "2024").with("stock", "7");
    let wrong =
        typed.with("price_cents", "cheap").with("isbn", "978-0-306-40615-7").with("subjects", "One\r\n\r\n Two ");
    let page = visit.browser.submit(&wrong).await;
    page.check(StatusCode::UNPROCESSABLE_ENTITY, &["The book was not added", "Please enter a price"]);
    let kept = page.form("/admin/books");
    assert_eq!((kept.get("title"), kept.get("price_cents"), kept.get("year")), ("New & Good", "cheap", "2024"));
    assert_eq!(kept.get("subjects"), "One\r\n\r\n Two ");
    let right = kept.with("price_cents", "12.50");
    for (field, value) in
        [("title", " "), ("topic", ""), ("year", "soon"), ("isbn", "12"), ("stock", "-1"), ("stock", "")]
    {
        let page = visit.browser.submit(&right.clone().with(field, value)).await;
        page.check(StatusCode::UNPROCESSABLE_ENTITY, &["class=\"problem\"", &format!("id=\"{field}-hint\"")]);
    }
    visit.services.fail_next(Fault::AnswerLost);
    visit.browser.submit(&right).await.check(StatusCode::GATEWAY_TIMEOUT, &["We do not know yet"]);
    let page = visit.browser.submit(&right).await;
    page.check(StatusCode::OK, &["listed before", "New &#38; Good", "7 in stock", "$12.50"]);
    assert_eq!(page.url, "/admin/books/2?done=known");
    visit.browser.open("/info/2").await.check(StatusCode::OK, &["978-0-306-40615-7", "2024", "One", "Two"]);
    let other = right.with("title", "Another").with("isbn", "");
    visit.browser.submit(&other).await.check(StatusCode::OK, &["The book is listed", "Another"]);
}

#[tokio::test]
async fn orders_are_listed_newest_first() {
    let visit = signed_in().await;
    visit.browser.open("/admin/orders").await.check(StatusCode::OK, &["No orders yet"]);
    visit.restock(1, 100).await;
    let mut ids = Vec::new();
    for _ in 0..23 {
        ids.push(buy(&visit, 2).await.to_string());
    }
    let page = visit.browser.open("/admin/orders").await;
    page.check(StatusCode::OK, &[&ids[22], "$39.98", "placed"]);
    assert!(!page.says(&ids[2]) && page.says(&ids[3]));
    let older = visit.browser.open(&page.link("Older orders")).await;
    older.check(StatusCode::OK, &[&ids[0], &ids[2]]);
    visit.browser.open(&older.link("Newest")).await.check(StatusCode::OK, &[&ids[22]]);
    let bad = visit.browser.open("/admin/orders?page_token=x").await;
    bad.check(StatusCode::UNPROCESSABLE_ENTITY, &["See the newest orders"]);
}

#[tokio::test]
async fn books_are_found_a_page_at_a_time() {
    let books = (1..=25).map(|n| book(&format!("Volume {n:02}"), "series", 100, 1)).collect();
    let visit = Visit::to(books).await;
    let page = log_in(&visit, "/admin").await;
    let found = visit.browser.submit(&page.form("/admin").with("q", "volume")).await;
    found.check(StatusCode::OK, &["Volume 01"]);
    visit.browser.open(&found.link("Next page")).await.check(StatusCode::OK, &["Volume 25"]);
    let nothing = visit.browser.open("/admin?q=zebra").await;
    nothing.check(StatusCode::OK, &["Nothing found"]);
}

/// An order under an id that could be guessed is shown to nobody else, see the decision about order ids.
#[tokio::test]
async fn an_order_under_a_guessable_id_is_read_and_cancelled_here() {
    let visit = signed_in().await;
    let id = OrderId::from_key("basket 17").unwrap();
    visit.services.purchase(id, Lines::one(BookId(1), 2).unwrap()).await.unwrap();
    let (public, admin) = (format!("/orders/{id}"), format!("/admin/orders/{id}"));
    visit.browser.open(&public).await.check(StatusCode::UNPROCESSABLE_ENTITY, &[]);
    assert!(visit.browser.open("/admin/orders").await.links().contains(&admin));
    let page = visit.browser.open(&admin).await;
    page.check(StatusCode::OK, &["Your order is placed", "Queues and Quays"]);
    assert_eq!(page.headers[header::CACHE_CONTROL], "no-store");
    let cancelled = visit.browser.submit(&page.form(&format!("{admin}/cancel"))).await;
    cancelled.check(StatusCode::OK, &["Your order is cancelled"]);
    let stranger = Visit::to(one_book()).await;
    stranger.browser.open(&admin).await.check(StatusCode::UNAUTHORIZED, &["Admin log-in"]);
    let form = page.form(&format!("{admin}/cancel"));
    stranger.browser.submit(&form).await.check(StatusCode::UNAUTHORIZED, &["Admin log-in"]);
}
