//! The catalog server's inner interface, and the client that is a [`CatalogService`] over it.
//!
//! | request | call |
//! |---|---|
//! | `POST /v1/calls` | many `reserve` and `release` at once, see [`CatalogCall`]; each is answered by itself, in the form of the question |
//! | `POST /v1/search` | `search`: a POST, since a query may be longer than a URI; it changes nothing |
//! | `GET /v1/topics` | `topics` |
//! | `GET /v1/books/{id}` | `info` |
//! | `PATCH /v1/books/{id}` | `amend` |
//! | `POST /v1/books` | `list` |
//! | `GET /v1/entries?after=&limit=&wait_ms=` | `entries`: a long poll |
//! | `GET /v1/orders/{id}` | `find_order` |

use async_trait::async_trait;
use axum::{
    Json, Router,
    extract::{Path, Query as UriQuery, State},
    http::{HeaderMap, Method, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bookstore_core::{
    Added, Amend, Book, BookId, BookPage, CatalogService, Entries, Error, Lines, Order, OrderId, Query, Receipt,
    Result, Seq, Topic,
    book::NewBook,
    catalog::{ADD_BOOKS_MAX, WAIT_MAX},
};
use bytes::Bytes;
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};

use crate::{
    client::batching::Coalescer,
    client::retry::Effect,
    client::{Ask, Client, Compact, json},
    internal::compact,
    internal::{self, Calls, InternalOptions, OrderCommand, answer_all, big, finish},
    server::{Deadline, Draining, error_response::ErrorResponse},
};

/// One call of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CatalogCall {
    /// Sell all lines or none.
    #[serde(rename = "reserve")]
    Sell {
        /// The buyer's key.
        order: OrderId,
        /// What to sell.
        lines: Lines,
    },
    /// Take a sale back.
    Release {
        /// The sale's key.
        order: OrderId,
    },
}

impl From<CatalogCall> for OrderCommand {
    fn from(call: CatalogCall) -> Self {
        match call {
            CatalogCall::Sell { order, lines } => Self::Sell(order, lines),
            CatalogCall::Release { order } => Self::Release(order),
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Amendment {
    change: Amend,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<OrderId>,
}

#[derive(Debug, Deserialize)]
struct Poll {
    after: Seq,
    limit: usize,
    #[serde(default)]
    wait_ms: u64,
}

const CALLS: &str = "/v1/calls";
const SEARCH: &str = "/v1/search";
const TOPICS: &str = "/v1/topics";
const BOOKS: &str = "/v1/books";
const ENTRIES: &str = "/v1/entries";
const ORDERS: &str = "/v1/orders";

/// The most changes of one page of entries, so that a page of large orders stays well below what a client accepts.
const CHANGES_MAX: usize = 20_000;

type Service = State<Arc<dyn CatalogService>>;
type Answered<T> = Result<Json<T>, ErrorResponse>;

/// The catalog's inner interface as a router.
pub fn router(service: Arc<dyn CatalogService>, options: InternalOptions) -> Router {
    let router = Router::new()
        .route(CALLS, big(post(calls)))
        .route(SEARCH, post(search))
        .route(TOPICS, get(topics))
        .route(BOOKS, big(post(add_books)))
        .route("/v1/books/{id}", get(info).patch(amend))
        .route(ENTRIES, get(entries))
        .route("/v1/orders/{id}", get(find_order))
        .with_state(service);
    finish(router, options)
}

async fn calls(State(service): Service, calls: Calls<CatalogCall>) -> Result<Response, ErrorResponse> {
    answer_all(calls, |sales| service.sell_many(sales), |order| service.release(order)).await
}

async fn search(State(service): Service, Json(query): Json<Query>) -> Answered<BookPage> {
    Ok(Json(service.search(query).await?))
}

async fn topics(State(service): Service) -> Answered<Vec<Topic>> {
    Ok(Json(service.topics().await?))
}

async fn info(State(service): Service, Path(book): Path<BookId>) -> Answered<Book> {
    Ok(Json(service.info(book).await?))
}

async fn amend(
    State(service): Service,
    Path(book): Path<BookId>,
    Json(Amendment { change, key }): Json<Amendment>,
) -> Answered<Book> {
    Ok(Json(service.amend(book, change, key).await?))
}

async fn add_books(State(service): Service, Json(books): Json<Vec<NewBook>>) -> Answered<Vec<Added>> {
    Ok(Json(service.add_books(books).await?))
}

async fn find_order(State(service): Service, Path(order): Path<OrderId>) -> Answered<Order> {
    Ok(Json(service.find_order(order).await?))
}

async fn entries(
    State(service): Service,
    UriQuery(Poll { after, limit, wait_ms }): UriQuery<Poll>,
    deadline: Deadline,
    draining: Draining,
    headers: HeaderMap,
) -> Result<Response, ErrorResponse> {
    let wait = Duration::from_millis(wait_ms).min(WAIT_MAX);
    deadline.extend(wait);
    let page = tokio::select! {
        biased;
        page = service.entries(after, limit, wait) => page?,
        () = draining.started() => service.entries(after, limit, Duration::ZERO).await?,
    };
    let page = shorten(page);
    Ok(if compact::is_accepted(&headers) {
        internal::compact_answer(compact::write_page(&page))
    } else {
        Json(page).into_response()
    })
}

/// A page of entries may always be shorter than asked for; but it has one entry if there is one.
pub(crate) fn shorten(mut page: Entries) -> Entries {
    let mut changes = 0;
    let fits = page.entries.iter().take_while(|entry| {
        changes += entry.changes.len();
        changes <= CHANGES_MAX
    });
    let fits = fits.count().max(1);
    page.entries.truncate(fits);
    page
}

/// A catalogue on other machines.
pub struct RemoteCatalog<C = HttpConnector> {
    client: Client<C>,
    calls: Coalescer<C>,
}

impl<C: Connect + Clone + Send + Sync + 'static> RemoteCatalog<C> {
    /// The catalogue behind `client`'s servers.
    #[must_use]
    pub fn new(client: Client<C>) -> Self {
        Self { calls: Coalescer::new(client.clone(), CALLS), client }
    }
}

/// The longest body of one request of [`RemoteCatalog::list`], in bytes; a longer list goes as several.
const LIST_BODY_MAX: usize = 3 << 20;
/// Time on top for a request that lists books: each may be new to the store.
pub(crate) const ADD_BOOKS_TIMEOUT: Duration = Duration::from_secs(5);

/// The books as the bodies of as few requests as fit.
pub(crate) fn cut(books: &[NewBook]) -> Result<Vec<Bytes>> {
    let mut bodies = Vec::new();
    let mut body = Vec::new();
    for book in books {
        let book = json(book)?;
        if !body.is_empty() && body.len() + book.len() + 2 > LIST_BODY_MAX {
            body.push(b']');
            bodies.push(std::mem::take(&mut body).into());
        }
        body.push(if body.is_empty() { b'[' } else { b',' });
        body.extend_from_slice(&book);
    }
    if !body.is_empty() {
        body.push(b']');
        bodies.push(body.into());
    }
    Ok(bodies)
}

#[async_trait]
impl<C: Connect + Clone + Send + Sync + 'static> CatalogService for RemoteCatalog<C> {
    async fn search(&self, query: Query) -> Result<BookPage> {
        query.check()?;
        self.client.call(Ask::send(Method::POST, SEARCH, json(&query)?, Effect::None)).await
    }

    async fn topics(&self) -> Result<Vec<Topic>> {
        self.client.call(Ask::get(TOPICS)).await
    }

    async fn info(&self, book: BookId) -> Result<Book> {
        self.client.call(Ask::get(format!("{BOOKS}/{book}"))).await
    }

    async fn sell(&self, order: OrderId, lines: Lines) -> Result<Receipt> {
        self.calls.call(OrderCommand::Sell(order, lines)).await
    }

    async fn sell_many(&self, sales: Vec<(OrderId, Lines)>) -> Vec<Result<Receipt>> {
        self.calls.sell_many(&sales).await
    }

    async fn release(&self, order: OrderId) -> Result<Receipt> {
        self.calls.call(OrderCommand::Release(order)).await
    }

    async fn amend(&self, book: BookId, change: Amend, key: Option<OrderId>) -> Result<Book> {
        let effect = if key.is_some() { Effect::Keyed } else { Effect::Unkeyed };
        let body = json(&Amendment { change, key })?;
        self.client.call(Ask::send(Method::PATCH, format!("{BOOKS}/{book}"), body, effect)).await
    }

    async fn add_books(&self, books: Vec<NewBook>) -> Result<Vec<Added>> {
        if books.len() > ADD_BOOKS_MAX {
            return Err(Error::invalid("books", format!("at most {ADD_BOOKS_MAX} at once")));
        }
        // All are checked before the first is sent: a bad one means that none is listed.
        books.iter().try_for_each(NewBook::check)?;
        let mut listed: Vec<Added> = Vec::with_capacity(books.len());
        for body in cut(&books)? {
            let ask = Ask::send(Method::POST, BOOKS, body, Effect::Keyed).patience(ADD_BOOKS_TIMEOUT);
            match self.client.call::<Vec<Added>>(ask).await {
                Ok(more) => listed.extend(more),
                Err(error) if listed.is_empty() => return Err(error),
                Err(error) => return Err(Error::unknown(format!("only some of the books were listed: {error}"))),
            }
        }
        Ok(listed)
    }

    async fn entries(&self, after: Seq, limit: usize, wait: Duration) -> Result<Entries> {
        let wait = wait.min(WAIT_MAX);
        let path = format!("{ENTRIES}?after={after}&limit={limit}&wait_ms={}", wait.as_millis());
        let ask = Ask::get(path).header(header::ACCEPT, compact::MEDIA_TYPE).patience(wait);
        self.client.call(ask).await.map(|Compact(page)| page)
    }

    async fn find_order(&self, order: OrderId) -> Result<Order> {
        self.client.call(Ask::get(format!("{ORDERS}/{order}"))).await
    }
}
