//! An order server's internal interface as a router over any order service. Each handler passes one request on to the service; the
//! table of requests is in `mod.rs`.

use axum::{
    Json, Router,
    extract::{Path, Query as UriQuery, State},
    response::Response,
    routing::{get, post},
};
use bookstore_core::{Order, OrderId, OrderPage, OrderQuery, OrderService};
use std::sync::Arc;

use super::messages::{CALLS, ORDERS, OrderCall};
use crate::{
    internal::{
        batch::{Calls, answer_all},
        routes::{InternalOptions, big, finish},
    },
    server::error_response::ErrorResponse,
};

type Service = State<Arc<dyn OrderService>>;
type Answer<T> = Result<Json<T>, ErrorResponse>;

/// An order server's internal interface over `service`, with the operator's `/livez`, `/readyz` and `/metrics` beside it.
pub fn router(service: Arc<dyn OrderService>, options: InternalOptions) -> Router {
    let router = Router::new()
        .route(CALLS, big(post(calls)))
        .route(ORDERS, get(orders))
        .route(&format!("{ORDERS}/{{id}}"), get(order))
        .with_state(service);
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

/// `GET /v1/orders`
async fn orders(State(service): Service, UriQuery(query): UriQuery<OrderQuery>) -> Answer<OrderPage> {
    Ok(Json(service.orders(query).await?))
}
