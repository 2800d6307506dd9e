//! One book.

use askama::Template;
use axum::http::StatusCode;
use bookstore_core::{Book, BookId, Lines};

use super::{assets, page, text};
use crate::api::{Answer, Shop};

#[derive(Template)]
#[template(path = "info.html")]
struct Info {
    book: Book,
    /// Copies that one order can have now.
    most: u32,
}

/// `GET /info/{id}`
pub(crate) async fn info(shop: &Shop, id: BookId) -> Answer {
    let book = shop.catalog.info(id).await?;
    let most = book.stock.min(Lines::QUANTITY_MAX);
    page(StatusCode::OK, &Info { book, most })
}
