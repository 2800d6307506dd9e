//! Who an order is for, on pages.

use axum::http::{StatusCode, header};
use bookstore_core::{ContactRule, OrderService as _};

use crate::{
    browser::{Form, Page},
    shop::{Visit, one_book},
};

const BUY: &str = "/purchase/1";

/// Which of the two forms about the contact: the one that erases it, or the one that changes it.
fn form(page: &Page, erases: bool) -> Form {
    let forms = page.forms().into_iter().filter(|form| form.action.ends_with("/contact"));
    let mut forms = forms.filter(|form| form.fields.iter().any(|(name, _)| name == "erase") == erases);
    forms.next().expect("there is one")
}

#[tokio::test]
async fn a_shop_that_needs_a_contact_asks_for_it_and_its_buyer_changes_and_erases_it() {
    let visit = Visit::asking(one_book(), ContactRule::Required).await;
    let first = visit.browser.submit(&visit.browser.open(BUY).await.form(BUY)).await;
    first.check(StatusCode::UNPROCESSABLE_ENTITY, &["Nothing was bought", "needs a name"]);
    assert_eq!(first.headers[header::CACHE_CONTROL], "no-store");
    let asks = first.form(BUY);
    let wrong = visit.browser.submit(&asks.clone().with("contact_email", "ada <b>")).await;
    wrong.check(StatusCode::UNPROCESSABLE_ENTITY, &["Nothing was bought", "email"]);
    assert!(!wrong.html.contains("<b>"), "{}", wrong.html);
    assert_eq!(wrong.form(BUY).get("contact_email"), "ada <b>", "as it was typed");

    let typed = asks.with("contact_name", "Ada <script>alert(1)</script>").with("contact_note", " ");
    let order = visit.browser.submit(&typed).await;
    order.check(StatusCode::OK, &["Your order is placed", "Who it is for", "Ada &#60;script&#62;alert(1)"]);
    assert!(!order.html.contains("<script>alert"), "{}", order.html);
    assert_eq!(order.headers[header::CACHE_CONTROL], "no-store");

    let changed = visit.browser.submit(&form(&order, false).with("contact_name", "Ada Roe")).await;
    changed.check(StatusCode::OK, &["Ada Roe"]);
    let failed = visit.browser.submit(&form(&changed, false).with("contact_name", "")).await;
    failed.check(StatusCode::UNPROCESSABLE_ENTITY, &["This did not change the contact", "Ada Roe"]);
    let erased = visit.browser.submit(&form(&changed, true)).await;
    erased.check(StatusCode::OK, &["Your order is placed"]);
    assert!(!erased.says("Ada Roe") && !erased.says("Who it is for"), "{}", erased.html);
    let late = visit.browser.submit(&form(&changed, false)).await;
    late.check(StatusCode::UNPROCESSABLE_ENTITY, &["erased"]);
}

#[tokio::test]
async fn a_closed_order_shows_its_contact_and_does_not_change_it() {
    let visit = Visit::asking(one_book(), ContactRule::Required).await;
    let asks = visit.browser.submit(&visit.browser.open(BUY).await.form(BUY)).await.form(BUY);
    let order = visit.browser.submit(&asks.with("contact_name", "Ada Roe")).await;
    let (change, erase) = (form(&order, false), form(&order, true));
    let id = order.url.strip_prefix("/orders/").unwrap().parse().unwrap();
    visit.services.cancel(id).await.unwrap();
    let closed = visit.browser.open(&order.url).await;
    closed.check(StatusCode::OK, &["cancelled", "Ada Roe"]);
    assert!(closed.forms().iter().all(|form| !form.action.ends_with("/contact")));
    for form in [change.with("contact_name", "Eve"), erase] {
        let refused = visit.browser.submit(&form).await;
        refused.check(StatusCode::CONFLICT, &["This did not change the contact", "Ada Roe"]);
    }
}
