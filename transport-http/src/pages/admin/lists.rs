//! The lists of books and orders.

use askama::Template;
use axum::{
    extract::State,
    http::{StatusCode, Uri},
};
use bookstore_core::{Book, Error, Order, OrderQuery, Query};

use super::{
    frame::{Tab, page},
    login::SignedIn,
};
use crate::{
    api::{Answer, Shared},
    error_status,
    pages::{
        assets,
        form::Fields,
        notice::{Notice, sentence},
        text,
    },
};

#[derive(Template)]
#[template(path = "admin/books.html")]
struct Books {
    tab: Tab,
    words: String,
    books: Vec<Book>,
    next: Option<String>,
    notice: Option<Notice>,
}

/// `GET /admin`
pub(super) async fn books(State(shop): Shared, _: SignedIn, uri: Uri) -> Answer {
    let fields = Fields::of_uri(&uri);
    let words = fields.filled("q");
    let query = Query { words: words.clone(), page_token: fields.filled("page_token"), ..Query::default() };
    let words = words.unwrap_or_default();
    match shop.catalog.search(query).await {
        Ok(found) => {
            let next = found.next_page_token;
            let next = next.map(|token| text::url("/admin", &[("q", &words), ("page_token", &token)]));
            page(StatusCode::OK, &Books { tab: Tab::Books, words, books: found.books, next, notice: None })
        }
        Err(error @ Error::Invalid { .. }) => {
            let notice = Some(Notice::bad(sentence(&error.to_string())));
            let (status, _) = error_status::status(&error);
            page(status, &Books { tab: Tab::Books, words, books: Vec::new(), next: None, notice })
        }
        Err(error) => Err(error.into()),
    }
}

#[derive(Template)]
#[template(path = "admin/orders.html")]
struct Orders {
    tab: Tab,
    orders: Vec<Order>,
    /// Whether this is the first page.
    newest: bool,
    next: Option<String>,
    notice: Option<Notice>,
}

/// `GET /admin/orders`
pub(super) async fn orders(State(shop): Shared, _: SignedIn, uri: Uri) -> Answer {
    let page_token = Fields::of_uri(&uri).filled("page_token");
    let newest = page_token.is_none();
    match shop.orders.orders(OrderQuery { page_token, page_size: None }).await {
        Ok(found) => {
            let next = found.next_page_token.map(|token| text::url("/admin/orders", &[("page_token", &token)]));
            page(StatusCode::OK, &Orders { tab: Tab::Orders, orders: found.orders, newest, next, notice: None })
        }
        Err(error @ Error::Invalid { .. }) => {
            let notice = Notice::bad("This link does not lead to a page of orders.");
            let notice = Some(notice.link("/admin/orders", "See the newest orders"));
            let (status, _) = error_status::status(&error);
            page(status, &Orders { tab: Tab::Orders, orders: Vec::new(), newest, next: None, notice })
        }
        Err(error) => Err(error.into()),
    }
}
