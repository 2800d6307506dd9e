//! An order server's internal interface as a router over any order service. Each handler passes one request on to the service; the
//! table of requests is in `mod.rs`.

use axum::{
    Json, Router,
    extract::{Path, Query as UriQuery, State},
    http::HeaderMap,
    response::Response,
    routing::{get, post},
};
use bookstore_core::{Order, OrderId, OrderPage, OrderQuery, OrderService, Receipt, Seq, service::LedgerFeed};
use serde::Deserialize;
use std::sync::Arc;

use super::messages::{CALLS, ENTRIES, ORDERS, OrderCall};
use crate::{
    internal::{
        batch::{Calls, answer_all, contact_response, page_response},
        catalog::OrderChange,
        routes::{InternalOptions, big, finish},
    },
    server::error_response::ErrorResponse,
};

type Service = State<Arc<dyn OrderService>>;
type Answer<T> = Result<Json<T>, ErrorResponse>;

/// An order server's internal interface over `service`, with the operator's `/livez`, `/readyz` and `/metrics` beside it.
///
/// `copy` is where it reads the orders, if that is a copy: with it, the copy can be compared with the ledger, and promoted.
pub fn router(service: Arc<dyn OrderService>, copy: Option<Arc<dyn LedgerFeed>>, options: InternalOptions) -> Router {
    let router = Router::new()
        .route(CALLS, big(post(calls)))
        .route(ORDERS, post(orders))
        .route(&format!("{ORDERS}/{{id}}"), get(order).post(change))
        .route(&format!("{ORDERS}/{{id}}/contact"), get(contact))
        .with_state(service);
    let router = match copy {
        Some(copy) => router.route(ENTRIES, get(entries).with_state(copy)),
        None => router,
    };
    finish(router, options)
}

/// `POST /v1/calls`
async fn calls(State(service): Service, calls: Calls<OrderCall>) -> Result<Response, ErrorResponse> {
    answer_all(calls, |sales| service.purchase_many(sales), |order| service.cancel(order)).await
}

/// `GET /v1/orders/{id}`
async fn order(State(service): Service, Path(order): Path<OrderId>) -> Answer<Order> {
    Ok(Json(service.order(order).await?))
}

/// `GET /v1/orders/{id}/contact`
async fn contact(State(service): Service, Path(order): Path<OrderId>) -> Result<Response, ErrorResponse> {
    Ok(contact_response(service.contact(order).await?))
}

/// `POST /v1/orders/{id}`
async fn change(
    State(service): Service,
    Path(order): Path<OrderId>,
    Json(OrderChange { action, by }): Json<OrderChange>,
) -> Answer<Receipt> {
    Ok(Json(service.change(order, action, by).await?))
}

/// `POST /v1/orders`
async fn orders(State(service): Service, Json(query): Json<OrderQuery>) -> Answer<OrderPage> {
    Ok(Json(service.orders(query).await?))
}

/// The query of a page: `limit` entries after `after`.
#[derive(Debug, Deserialize)]
struct After {
    after: Seq,
    limit: usize,
}

/// `GET /v1/entries`
async fn entries(
    State(copy): State<Arc<dyn LedgerFeed>>,
    UriQuery(After { after, limit }): UriQuery<After>,
    headers: HeaderMap,
) -> Result<Response, ErrorResponse> {
    Ok(page_response(&headers, copy.page(after, limit).await?))
}
