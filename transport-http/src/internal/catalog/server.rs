//! The catalog's internal interface as a router over any catalog service. Each handler passes one request on to the service; the
//! table of requests is in `mod.rs`.

use axum::{
    Json, Router,
    extract::{Path, Query as UriQuery, State},
    http::HeaderMap,
    response::Response,
    routing::{get, post},
};
use bookstore_core::{
    Added, Book, BookId, BookPage, CatalogService, NewBook, Order, OrderId, Query, Receipt, Seq, SuggestQuery,
    Suggestions, TopicPage, TopicQuery, catalog::WAIT_MAX,
};
use serde::Deserialize;
use std::{sync::Arc, time::Duration};

use super::messages::{
    AddedBy, Amendment, AskedBooks, BOOKS, CALLS, CatalogCall, ENTRIES, ORDERS, OrderChange, SEARCH, SUGGEST, TOPICS,
};
use crate::{
    book_ids::read_ids,
    internal::{
        batch::{Calls, answer_all, contact_response, page_response},
        routes::{InternalOptions, big, finish, pinned},
    },
    server::error_response::ErrorResponse,
    server::{Deadline, Draining},
};

type Service = State<Arc<dyn CatalogService>>;
type Answer<T> = Result<Json<T>, ErrorResponse>;

/// The catalog's internal interface over `service`, with the operator's `/livez`, `/readyz` and `/metrics` beside it.
///
/// ```no_run
/// # async fn example(catalog: std::sync::Arc<dyn bookstore_core::CatalogService>) -> std::io::Result<()> {
/// use bookstore_transport_http::{internal::{InternalOptions, catalog}, server};
///
/// let router = catalog::router(catalog, InternalOptions::default());
/// let listener = server::tcp(tokio::net::TcpListener::bind("127.0.0.1:7001").await?);
/// server::serve(listener, router, server::ServerLimits::default(), std::future::pending::<()>()).await;
/// # Ok(())
/// # }
/// ```
pub fn router(service: Arc<dyn CatalogService>, options: InternalOptions) -> Router {
    let router = Router::new()
        .route(CALLS, pinned(big(post(calls)), options.pin.clone()))
        .route(SEARCH, post(search))
        .route(SUGGEST, post(suggest))
        .route(TOPICS, post(topics))
        .route(BOOKS, get(books).merge(big(post(add_books))))
        .route(&format!("{BOOKS}/{{id}}"), get(info).patch(amend))
        .route(ENTRIES, get(entries))
        .route(&format!("{ORDERS}/{{id}}"), get(find_order).merge(pinned(post(change_order), options.pin.clone())))
        .route(&format!("{ORDERS}/{{id}}/contact"), get(contact))
        .with_state(service);
    finish(router, options)
}

/// `POST /v1/calls`
async fn calls(State(service): Service, calls: Calls<CatalogCall>) -> Result<Response, ErrorResponse> {
    answer_all(calls, |sales| service.sell_many(sales), |order| service.release(order)).await
}

/// `POST /v1/search`
async fn search(State(service): Service, Json(query): Json<Query>) -> Answer<BookPage> {
    Ok(Json(service.search(query).await?))
}

/// `POST /v1/suggest`
async fn suggest(State(service): Service, Json(query): Json<SuggestQuery>) -> Answer<Suggestions> {
    Ok(Json(service.suggest(query).await?))
}

/// `POST /v1/topics`
async fn topics(State(service): Service, Json(query): Json<TopicQuery>) -> Answer<TopicPage> {
    Ok(Json(service.topics(query).await?))
}

/// `GET /v1/books/{id}`
async fn info(State(service): Service, Path(book): Path<BookId>) -> Answer<Book> {
    Ok(Json(service.info(book).await?))
}

/// `GET /v1/books?ids=1,2`
async fn books(
    State(service): Service,
    UriQuery(AskedBooks { ids }): UriQuery<AskedBooks>,
) -> Answer<Vec<Option<Book>>> {
    Ok(Json(service.books(read_ids(&ids)?).await?))
}

/// `PATCH /v1/books/{id}`
async fn amend(
    State(service): Service,
    Path(book): Path<BookId>,
    Json(Amendment { change, key, by }): Json<Amendment>,
) -> Answer<Book> {
    Ok(Json(service.amend(book, change, key, by).await?))
}

/// `POST /v1/books`
async fn add_books(
    State(service): Service,
    UriQuery(AddedBy { by }): UriQuery<AddedBy>,
    Json(books): Json<Vec<NewBook>>,
) -> Answer<Vec<Added>> {
    Ok(Json(service.add_books(books, by).await?))
}

/// `GET /v1/orders/{id}`
async fn find_order(State(service): Service, Path(order): Path<OrderId>) -> Answer<Order> {
    Ok(Json(service.find_order(order).await?))
}

/// `GET /v1/orders/{id}/contact`
async fn contact(State(service): Service, Path(order): Path<OrderId>) -> Result<Response, ErrorResponse> {
    Ok(contact_response(service.find_contact(order).await?))
}

/// `POST /v1/orders/{id}`
async fn change_order(
    State(service): Service,
    Path(order): Path<OrderId>,
    Json(OrderChange { action, by }): Json<OrderChange>,
) -> Answer<Receipt> {
    Ok(Json(service.change_order(order, action, by).await?))
}

/// The query of a long poll: `limit` entries after `after`; it waits for up to `wait_ms` milliseconds while there is none.
#[derive(Debug, Deserialize)]
struct Poll {
    /// The last entry that the client has; 0 is before the first.
    after: Seq,
    limit: usize,
    #[serde(default)]
    wait_ms: u64,
}

/// `GET /v1/entries`. A poll that waits gets that time on top of its deadline, and is answered when the server begins to drain.
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
    Ok(page_response(&headers, page))
}

#[cfg(test)]
mod tests {
    use bookstore_core::{
        BookId, Cents, FoundOrders, Lines, Order, OrderDetails, OrderId, OrderLine, OrderQuery, Query, Seq, Status,
        Timestamp, page,
    };
    use uuid::Uuid;

    fn json_bytes(value: &impl serde::Serialize) -> usize {
        serde_json::to_vec(value).unwrap().len()
    }

    #[test]
    fn pages_of_orders_are_bounded_in_bytes() {
        let line = OrderLine { book: BookId(u64::MAX), quantity: 1000, unit_price_cents: Cents::MAX };
        let at = Timestamp(253_402_300_799_999);
        let order = Order {
            id: OrderId(Uuid::max()),
            status: Status::Cancelled,
            lines: std::iter::repeat_n(line, Lines::MAX).collect(),
            total_cents: Cents::MAX,
            placed_at: at,
            seq: Seq(u64::MAX),
            version: Seq(u64::MAX),
            cancelled_at: Some(at),
            details: Some(Box::new(OrderDetails {
                reference: Some("é".repeat(200).parse().expect("200 characters")),
                expires_at: Some(at),
                held_by_shop: true,
                fulfilled_at: Some(at),
                lapsed_at: Some(at),
                returned: vec![line; Lines::MAX],
            })),
        };
        let size = Query::PAGE_MAX as usize;
        let scan = OrderQuery { page_size: Some(Query::PAGE_MAX), ..OrderQuery::default() }.check().unwrap();
        let full = |orders| scan.page(FoundOrders { orders, unseen_before: None });
        let page = full(vec![order.clone(); size]);
        assert!(page.next_page_token.is_some() && page.orders.len() > size / 3, "{}", page.orders.len());
        let bytes = json_bytes(&page);
        assert!(bytes <= page::PAGE_BYTES_MAX && bytes > page::PAGE_BYTES_MAX / 2, "{bytes} bytes");
        let plain = full(vec![Order { details: None, ..order }; size]);
        assert!(plain.next_page_token.is_none(), "a page of the longest orders is not cut short");
    }
}
