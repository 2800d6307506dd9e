//! Buying and cancelling.

use axum::http::{StatusCode, header};
use bookstore_core::{Amend, BookId, CatalogService as _, OrderService, Status};
use std::sync::atomic::Ordering;

use crate::{
    browser::Form,
    shop::{Fault, Visit, book, one_book},
};

const BUY: &str = "/purchase/1";

async fn buy_form(visit: &Visit) -> Form {
    visit.browser.open(BUY).await.form(BUY)
}

#[tokio::test]
async fn from_the_first_page_to_one_order_however_often_the_button_is_pressed() {
    let visit = Visit::to(one_book()).await;
    let home = visit.browser.open("/").await;
    home.check(StatusCode::OK, &["1 book", "distributed systems"]);
    let found = visit.browser.submit(&home.form("/search").with("q", "quays")).await;
    found.check(StatusCode::OK, &["Queues and Quays", "$19.99", "10 in stock"]);
    assert!(found.links().contains(&"/info/1".to_owned()));
    let info = visit.browser.open("/info/1").await;
    info.check(StatusCode::OK, &["Queues and Quays", "Ann Author", "$19.99", "10 in stock"]);
    let page = visit.browser.submit(&info.form(BUY).with("quantity", "3")).await;
    page.check(StatusCode::OK, &["Buy this book", "$19.99"]);
    let form = page.form(BUY);
    assert_eq!((form.get("quantity"), form.get("price_cents")), ("3", "1999"));
    assert_eq!(visit.stock(1).await, 10, "looking buys nothing");

    let order = visit.browser.submit(&form).await;
    order.check(StatusCode::OK, &["Your order is placed", "Queues and Quays", "$59.97"]);
    assert_eq!(order.url, format!("/orders/{}", form.get("order_id")));
    let again = visit.browser.submit(&form).await;
    assert_eq!((again.status, &again.url), (StatusCode::OK, &order.url));
    visit.browser.open(&order.url).await.check(StatusCode::OK, &["Your order is placed"]);
    assert_eq!((visit.stock(1).await, visit.orders().await.len()), (7, 1));
}

#[tokio::test]
async fn two_presses_at_the_same_moment_buy_once() {
    let visit = Visit::to(one_book()).await;
    let form = buy_form(&visit).await;
    let (one, two) = tokio::join!(visit.browser.submit(&form), visit.browser.submit(&form));
    assert_eq!((one.status, &one.url), (StatusCode::OK, &two.url));
    assert_eq!((visit.stock(1).await, visit.orders().await.len()), (9, 1));
}

#[tokio::test]
async fn opening_the_page_again_is_a_new_intent() {
    let visit = Visit::to(one_book()).await;
    let (first, second) = (buy_form(&visit).await, buy_form(&visit).await);
    assert_ne!(first.get("order_id"), second.get("order_id"));
    visit.browser.submit(&first).await.check(StatusCode::OK, &["Your order is placed"]);
    visit.browser.submit(&second).await.check(StatusCode::OK, &["Your order is placed"]);
    assert_eq!((visit.stock(1).await, visit.orders().await.len()), (8, 2));
}

#[tokio::test]
async fn going_back_and_changing_the_quantity_says_what_was_bought_before_it_buys_more() {
    let visit = Visit::to(one_book()).await;
    let form = buy_form(&visit).await;
    let order = visit.browser.submit(&form).await;
    let page = visit.browser.submit(&form.clone().with("quantity", "2")).await;
    page.check(StatusCode::UNPROCESSABLE_ENTITY, &["has placed an order before"]);
    assert_eq!(page.link("See the first order"), order.url);
    assert_eq!(visit.stock(1).await, 9);
    let new = page.form(BUY);
    assert_ne!(new.get("order_id"), form.get("order_id"));
    assert_eq!(new.get("quantity"), "2");
    visit.browser.submit(&new).await.check(StatusCode::OK, &["Your order is placed", "$39.98"]);
    assert_eq!(visit.stock(1).await, 7);
}

#[tokio::test]
async fn too_few_copies_buy_nothing_and_keep_the_intent() {
    let visit = Visit::to(one_book()).await;
    let form = buy_form(&visit).await.with("quantity", "12");
    let page = visit.browser.submit(&form).await;
    page.check(StatusCode::CONFLICT, &["Nothing was bought", "only 10 copies left", "10 in stock", "role=\"alert\""]);
    let same = page.form(BUY);
    assert_eq!((same.get("quantity"), same.get("order_id")), ("12", form.get("order_id")));
    assert_eq!((visit.stock(1).await, visit.orders().await.len()), (10, 0));
    visit.restock(1, 5).await;
    visit.browser.submit(&same).await.check(StatusCode::OK, &["Your order is placed"]);
    assert_eq!(visit.stock(1).await, 3);
}

#[tokio::test]
async fn the_last_copy_goes_to_one_of_two_buyers() {
    let visit = Visit::to(vec![book("Rare", "x", 100, 1)]).await;
    let (one, two) = (buy_form(&visit).await, buy_form(&visit).await);
    visit.browser.submit(&one).await.check(StatusCode::OK, &["Your order is placed"]);
    let late = visit.browser.submit(&two).await;
    late.check(StatusCode::CONFLICT, &["the last copy is sold", "Sold out"]);
    let sold_out = visit.browser.open(BUY).await;
    sold_out.check(StatusCode::OK, &["sold out"]);
    assert!(sold_out.forms().iter().all(|form| form.action != BUY), "nothing to press");
    assert!(visit.browser.open("/info/1").await.forms().iter().all(|form| form.action != BUY));
    visit.restock(1, 1).await;
    visit.browser.submit(&late.form(BUY)).await.check(StatusCode::OK, &["Your order is placed"]);
    assert_eq!(visit.orders().await.len(), 2);
}

#[tokio::test]
async fn a_changed_price_is_shown_before_it_is_paid() {
    let visit = Visit::to(one_book()).await;
    let form = buy_form(&visit).await.with("quantity", "2");
    visit.reprice(1, 2500).await;
    let page = visit.browser.submit(&form).await;
    page.check(StatusCode::CONFLICT, &["the price has changed", "It was $19.99 and is $25.00 now"]);
    assert_eq!(visit.orders().await.len(), 0);
    let same = page.form(BUY);
    assert_eq!((same.get("order_id"), same.get("quantity")), (form.get("order_id"), "2"));
    assert_eq!(same.get("price_cents"), "2500");
    visit.browser.submit(&same).await.check(StatusCode::OK, &["$50.00"]);
}

#[tokio::test]
async fn two_reasons_at_once_are_both_given() {
    let visit = Visit::to(one_book()).await;
    let form = buy_form(&visit).await.with("quantity", "11");
    visit.reprice(1, 100).await;
    let page = visit.browser.submit(&form).await;
    page.check(StatusCode::CONFLICT, &["only 10 copies left", "is $1.00 now"]);
    assert_eq!(page.form(BUY).get("price_cents"), "100");
}

#[tokio::test]
async fn a_wrong_quantity_is_kept_and_explained() {
    let visit = Visit::to(one_book()).await;
    for wrong in ["0", "abc", "-1", "", "1.5", "1001", "99999999999999999999999", "\"><script>alert(1)</script>"] {
        let form = buy_form(&visit).await.with("quantity", wrong);
        let page = visit.browser.submit(&form).await;
        page.check(StatusCode::UNPROCESSABLE_ENTITY, &["a whole number from 1 to 1,000", "aria-invalid=\"true\""]);
        let same = page.form(BUY);
        assert_eq!((same.get("quantity"), same.get("order_id")), (wrong, form.get("order_id")));
        assert!(!page.says("<script>"), "{}", page.html);
    }
    assert_eq!((visit.stock(1).await, visit.orders().await.len()), (10, 0));
}

#[tokio::test]
async fn a_form_without_id_or_price_buys_nothing_but_can_then() {
    let visit = Visit::to(one_book()).await;
    let good = buy_form(&visit).await;
    for (field, value) in [("order_id", ""), ("order_id", "not-a-uuid"), ("price_cents", ""), ("price_cents", "-5")] {
        let page = visit.browser.submit(&good.clone().with(field, value)).await;
        page.check(StatusCode::BAD_REQUEST, &["Nothing was bought", "incomplete"]);
        assert_eq!(visit.orders().await.len(), 0);
        let whole = page.form(BUY);
        assert_eq!(whole.get("price_cents"), "1999");
        assert!(whole.get("order_id").parse::<bookstore_core::OrderId>().is_ok());
    }
    let page = visit.browser.submit(&Form { fields: vec![], ..good }).await;
    page.check(StatusCode::BAD_REQUEST, &["incomplete"]);
    visit.browser.submit(&page.form(BUY).with("quantity", "1")).await.check(StatusCode::OK, &["Your order is placed"]);
}

#[tokio::test]
async fn an_unknown_outcome_can_be_pressed_again_and_buys_once() {
    for (fault, bought_already) in [(Fault::AnswerLost, true), (Fault::RequestLost, false)] {
        let visit = Visit::to(one_book()).await;
        let form = buy_form(&visit).await.with("quantity", "4");
        visit.services.fail_next(fault);
        let page = visit.browser.submit(&form).await;
        page.check(StatusCode::GATEWAY_TIMEOUT, &["We do not know yet", "only once", "Press again", " readonly"]);
        assert_eq!(visit.orders().await.len(), usize::from(bought_already));
        let same = page.form(BUY);
        assert_eq!((same.get("quantity"), same.get("order_id")), ("4", form.get("order_id")));
        visit.browser.submit(&same).await.check(StatusCode::OK, &["Your order is placed"]);
        assert_eq!((visit.stock(1).await, visit.orders().await.len()), (6, 1), "{fault:?}");
    }
}

#[tokio::test]
async fn a_refusal_after_an_unknown_outcome_does_not_claim_that_nothing_was_bought() {
    let visit = Visit::to(one_book()).await;
    visit.services.fail_next(Fault::AnswerLost);
    let open = visit.browser.submit(&buy_form(&visit).await).await;
    for _ in 0..2 {
        visit.services.fail_next(Fault::NotExecuted);
        let page = visit.browser.submit(&open.form(BUY)).await;
        page.check(StatusCode::SERVICE_UNAVAILABLE, &["We still do not know", " readonly", "Press again"]);
        assert!(!page.says("Nothing was bought"));
        assert_eq!(page.form(BUY).fields, open.form(BUY).fields);
    }
    visit.browser.submit(&open.form(BUY)).await.check(StatusCode::OK, &["Your order is placed"]);
    assert_eq!(visit.orders().await.len(), 1);
}

#[tokio::test]
async fn a_refusal_can_be_pressed_again() {
    let visit = Visit::to(one_book()).await;
    let form = buy_form(&visit).await;
    visit.services.fail_next(Fault::NotExecuted);
    let page = visit.browser.submit(&form).await;
    page.check(StatusCode::SERVICE_UNAVAILABLE, &["Nothing was bought", "press the button again"]);
    assert!(page.headers.contains_key(header::RETRY_AFTER));
    assert_eq!(page.form(BUY).get("order_id"), form.get("order_id"));
    visit.browser.submit(&page.form(BUY)).await.check(StatusCode::OK, &["Your order is placed"]);
    assert_eq!(visit.orders().await.len(), 1);
}

#[tokio::test]
async fn the_form_survives_a_catalogue_that_does_not_answer() {
    let visit = Visit::to(one_book()).await;
    let form = buy_form(&visit).await;
    visit.services.fail_next(Fault::AnswerLost);
    visit.services.blind.store(true, Ordering::SeqCst);
    let page = visit.browser.submit(&form).await;
    page.check(StatusCode::GATEWAY_TIMEOUT, &["We do not know yet", "Book 1"]);
    let same = page.form(BUY);
    assert_eq!((same.get("order_id"), same.get("price_cents")), (form.get("order_id"), "1999"));
    visit.browser.submit(&same).await.check(StatusCode::OK, &["Your order is placed", "Book 1"]);
    assert_eq!(visit.orders().await.len(), 1);
}

#[tokio::test]
async fn an_order_is_cancelled_once_and_says_so() {
    let visit = Visit::to(one_book()).await;
    let order = visit.browser.submit(&buy_form(&visit).await).await;
    let cancel = order.form(&format!("{}/cancel", order.url));
    assert_eq!(visit.stock(1).await, 9);
    let cancelled = visit.browser.submit(&cancel).await;
    cancelled.check(StatusCode::OK, &["Your order is cancelled", "the copies are back in stock"]);
    assert!(!cancelled.says("Cancel this order"));
    visit.browser.submit(&cancel).await.check(StatusCode::OK, &["Your order is cancelled"]);
    visit.browser.open(&order.url).await.check(StatusCode::OK, &["Your order is cancelled"]);
    assert_eq!(visit.stock(1).await, 10);
}

#[tokio::test]
async fn a_cancellation_without_an_answer_can_be_sent_again() {
    let visit = Visit::to(one_book()).await;
    let order = visit.browser.submit(&buy_form(&visit).await).await;
    let action = format!("{}/cancel", order.url);
    visit.services.fail_next(Fault::RequestLost);
    let page = visit.browser.submit(&order.form(&action)).await;
    page.check(StatusCode::GATEWAY_TIMEOUT, &["We do not know yet", "<details class=\"cancel\" open>"]);
    visit.services.fail_next(Fault::NotExecuted);
    let page = visit.browser.submit(&page.form(&action)).await;
    page.check(StatusCode::SERVICE_UNAVAILABLE, &["This did not cancel the order"]);
    visit.browser.submit(&page.form(&action)).await.check(StatusCode::OK, &["Your order is cancelled"]);
    assert_eq!(visit.stock(1).await, 10);
}

#[tokio::test]
async fn a_copy_that_lags_behind_does_not_deny_the_cancellation() {
    let visit = Visit::to(one_book()).await;
    let order = visit.browser.submit(&buy_form(&visit).await).await;
    visit.services.stale.store(true, Ordering::SeqCst);
    let page = visit.browser.submit(&order.form(&format!("{}/cancel", order.url))).await;
    page.check(StatusCode::OK, &["The order is cancelled", "in a moment"]);
    visit.services.stale.store(false, Ordering::SeqCst);
    let page = visit.browser.open(&page.url).await;
    page.check(StatusCode::OK, &["Your order is cancelled"]);
    assert!(!page.says("in a moment"));
    let id = order.url.rsplit('/').next().unwrap().parse().unwrap();
    assert_eq!(visit.services.order(id).await.unwrap().status, Status::Cancelled);
}

#[tokio::test]
async fn a_withdrawn_book_says_so_and_has_no_button() {
    let visit = Visit::to(one_book()).await;
    let form = buy_form(&visit).await;
    visit.services.amend(BookId(1), Amend::Withdraw, None, None).await.unwrap();
    let info = visit.browser.open("/info/1").await;
    info.check(StatusCode::OK, &["Queues and Quays", "Not on sale"]);
    assert!(!info.html.contains("action=\"/purchase/1\"") && !info.html.contains("10 in stock"), "{}", info.html);
    let page = visit.browser.open(BUY).await;
    page.check(StatusCode::OK, &["This book is not on sale"]);
    assert!(!page.html.contains("<button class=\"primary\">Buy"), "{}", page.html);
    // Whoever had the page open is told.
    let refused = visit.browser.submit(&form).await;
    refused.check(StatusCode::CONFLICT, &["Nothing was bought: this book is not on sale any more", "not on sale"]);
    for list in ["/", "/search?q=queues", "/search/distributed%20systems"] {
        let page = visit.browser.open(list).await;
        assert!(
            page.status == StatusCode::OK && !page.links().contains(&"/info/1".to_owned()),
            "{list}: {}",
            page.html
        );
    }
    assert!(visit.orders().await.is_empty());
    visit.services.amend(BookId(1), Amend::Relist, None, None).await.unwrap();
    visit.browser.submit(&form).await.check(StatusCode::OK, &["Your order is placed"]);
}
