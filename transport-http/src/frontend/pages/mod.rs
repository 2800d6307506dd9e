//! The web pages. Every function answers with a whole page, or with the [`Rejection`] that becomes an error page.

use axum::{Router, response::Html};
use bookstore_core::{BookId, OrderId, Query};
use bytes::Bytes;
use std::sync::Arc;

use super::{Answer, Rejection, Shop};

/// What only browsers ask for: the home page `/`, `/assets/{file}`, …
pub(super) fn routes() -> Router<Arc<Shop>> {
    Router::new()
}

/// `GET /search` and `GET /search/{topic}`.
pub(super) async fn search(_shop: &Shop, _query: Query) -> Answer {
    Err(Rejection::NoSuchPath)
}

/// `GET /topics`.
pub(super) async fn topics(_shop: &Shop) -> Answer {
    Err(Rejection::NoSuchPath)
}

/// `GET /info/{id}`.
pub(super) async fn info(_shop: &Shop, _book: BookId) -> Answer {
    Err(Rejection::NoSuchPath)
}

/// `GET /purchase/{id}`: the page with the buy button, and a fresh order id in its form.
pub(super) async fn purchase(_shop: &Shop, _book: BookId) -> Answer {
    Err(Rejection::NoSuchPath)
}

/// `POST /purchase/{id}` with an `application/x-www-form-urlencoded` body, at most 64 KiB.
pub(super) async fn buy(_shop: &Shop, _book: BookId, _form: Bytes) -> Answer {
    Err(Rejection::NoSuchPath)
}

/// `GET /orders/{id}`.
pub(super) async fn order(_shop: &Shop, _order: OrderId) -> Answer {
    Err(Rejection::NoSuchPath)
}

/// `POST /orders/{id}/cancel` with an `application/x-www-form-urlencoded` body.
pub(super) async fn cancel(_shop: &Shop, _order: OrderId, _form: Bytes) -> Answer {
    Err(Rejection::NoSuchPath)
}

/// The page for a refusal. Its status and headers are set by the caller.
pub(super) fn refused(rejection: &Rejection) -> Html<String> {
    Html(format!("<!doctype html><title>{}</title>", rejection.title()))
}
