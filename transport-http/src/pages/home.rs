//! Ways into the catalogue: the first page, and all topics.

use askama::Template;
use axum::{extract::State, http::StatusCode};
use bookstore_core::{Book, Query, Topic};

use super::{assets, render::page, text, timeouts::read_in_time};
use crate::api::{Answer, Shared};

/// Books shown as covers.
const SHELF: u32 = 6;

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    topics: Vec<Topic>,
    books: u64,
    shelf: Vec<Book>,
}

/// `GET /`
pub(super) async fn home(State(shop): Shared) -> Answer {
    let topics = shop.catalog.topics().await?;
    let query = Query { page_size: Some(SHELF), ..Query::default() };
    // The page is worth showing without it.
    let shelf = read_in_time(shop.catalog.search(query)).await.map(|found| found.books).unwrap_or_default();
    let books = topics.iter().map(|topic| topic.books).sum();
    page(StatusCode::OK, &Home { topics, books, shelf })
}

#[derive(Template)]
#[template(path = "topics.html")]
struct Topics {
    topics: Vec<Topic>,
}

/// `GET /topics`
pub(super) async fn topics(State(shop): Shared) -> Answer {
    let topics = shop.catalog.topics().await?;
    page(StatusCode::OK, &Topics { topics })
}
