//! Ways into the catalogue: the first page, and all topics.

use askama::Template;
use axum::{
    extract::State,
    http::{StatusCode, Uri},
};
use bookstore_core::{Book, Query, Topic, TopicPage, TopicQuery, TopicSort};

use super::{assets, form::Fields, money::Money, render::page, text, timeouts::read_in_time};
use crate::api::{Answer, Shared};

/// Books shown as covers.
const SHELF: u32 = 6;
/// Topics on the first page: those with the most books.
const TOPICS: u32 = 24;

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    topics: Vec<Topic>,
    total_topics: u64,
    books: u64,
    /// Whether there are topics that are not on this page.
    more: bool,
    shelf: Vec<Book>,
    money: Money,
}

/// `GET /`
pub(super) async fn home(State(shop): Shared) -> Answer {
    let largest = TopicQuery { sort: TopicSort::Books, page_size: Some(TOPICS), page_token: None };
    let found = shop.catalog.topics(largest).await?;
    let TopicPage { topics, next_page_token, total_topics, total_books: books } = found;
    let query = Query { page_size: Some(SHELF), ..Query::default() };
    // The page is worth showing without it.
    let shelf = read_in_time(shop.catalog.search(query)).await.map(|found| found.books).unwrap_or_default();
    let (more, money) = (next_page_token.is_some(), Money::of(&shop).await);
    page(StatusCode::OK, &Home { topics, total_topics, books, more, shelf, money })
}

#[derive(Template)]
#[template(path = "topics.html")]
struct Topics {
    topics: Vec<Topic>,
    /// Whether this is another page than the first.
    further: bool,
    next: Option<String>,
}

/// `GET /topics`
pub(super) async fn topics(State(shop): Shared, uri: Uri) -> Answer {
    let page_token = Fields::of_uri(&uri).filled("page_token");
    let further = page_token.is_some();
    let found = shop.catalog.topics(TopicQuery { page_token, ..TopicQuery::default() }).await?;
    let next = found.next_page_token.map(|token| text::url("/topics", &[("page_token", &token)]));
    page(StatusCode::OK, &Topics { topics: found.topics, further, next })
}
