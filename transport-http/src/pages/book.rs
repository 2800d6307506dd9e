//! One book.

use askama::Template;
use axum::{extract::State, http::StatusCode};
use bookstore_core::{Book, BookId, Condition, Lines};

use super::{assets, money::Money, render::page, text};
use crate::api::{Answer, Shared, extract::InPath};

#[derive(Template)]
#[template(path = "info.html")]
struct Info {
    book: Book,
    money: Money,
    /// Copies that one order can have now.
    most: u32,
}

/// `GET /info/{id}`
pub(super) async fn info(State(shop): Shared, InPath(id): InPath<BookId>) -> Answer {
    let book = shop.catalog.info(id).await?;
    let most = book.stock.min(Lines::QUANTITY_MAX);
    page(StatusCode::OK, &Info { book, money: Money::of(&shop).await, most })
}
