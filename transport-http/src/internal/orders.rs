//! The order server's inner interface, and the client that is an [`OrderService`] over it.
//!
//! | request | call |
//! |---|---|
//! | `POST /v1/calls` | many `purchase` and `cancel` at once, see [`OrderCall`]; each is answered by itself, in the form of the question |
//! | `GET /v1/orders/{id}` | `order` |
//! | `GET /v1/orders?page_size=&page_token=` | `orders` |

use async_trait::async_trait;
use axum::{
    Json, Router,
    extract::{Path, Query as UriQuery, State},
    response::Response,
    routing::{get, post},
};
use bookstore_core::{Lines, Order, OrderId, OrderPage, OrderQuery, OrderService, Receipt, Result};
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

use crate::{
    client::batching::Coalescer,
    client::{Ask, Client},
    internal::{Calls, InternalOptions, OrderCommand, answer_all, big, finish},
    server::error_response::ErrorResponse,
};

/// One call of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderCall {
    /// Buy all lines or none.
    Purchase {
        /// The buyer's key.
        order: OrderId,
        /// What to buy.
        lines: Lines,
    },
    /// Cancel an order.
    Cancel {
        /// The buyer's key.
        order: OrderId,
    },
}

impl From<OrderCall> for OrderCommand {
    fn from(call: OrderCall) -> Self {
        match call {
            OrderCall::Purchase { order, lines } => Self::Sell(order, lines),
            OrderCall::Cancel { order } => Self::Release(order),
        }
    }
}

const CALLS: &str = "/v1/calls";
const ORDERS: &str = "/v1/orders";

type Service = State<Arc<dyn OrderService>>;
type Answered<T> = Result<Json<T>, ErrorResponse>;

/// The order server's inner interface as a router.
pub fn router(service: Arc<dyn OrderService>, options: InternalOptions) -> Router {
    let router = Router::new()
        .route(CALLS, big(post(calls)))
        .route(ORDERS, get(orders))
        .route("/v1/orders/{id}", get(order))
        .with_state(service);
    finish(router, options)
}

async fn calls(State(service): Service, calls: Calls<OrderCall>) -> Result<Response, ErrorResponse> {
    answer_all(calls, |sales| service.purchase_many(sales), |order| service.cancel(order)).await
}

async fn order(State(service): Service, Path(order): Path<OrderId>) -> Answered<Order> {
    Ok(Json(service.order(order).await?))
}

async fn orders(State(service): Service, UriQuery(query): UriQuery<OrderQuery>) -> Answered<OrderPage> {
    Ok(Json(service.orders(query).await?))
}

/// An order service on other machines. All its servers answer the same, so a call may go to any of them.
pub struct RemoteOrders<C = HttpConnector> {
    client: Client<C>,
    calls: Coalescer<C>,
}

impl<C: Connect + Clone + Send + Sync + 'static> RemoteOrders<C> {
    /// The order service behind `client`'s servers.
    #[must_use]
    pub fn new(client: Client<C>) -> Self {
        Self { calls: Coalescer::new(client.clone(), CALLS), client }
    }
}

#[async_trait]
impl<C: Connect + Clone + Send + Sync + 'static> OrderService for RemoteOrders<C> {
    async fn purchase(&self, id: OrderId, lines: Lines) -> Result<Receipt> {
        self.calls.call(OrderCommand::Sell(id, lines)).await
    }

    async fn cancel(&self, id: OrderId) -> Result<Receipt> {
        self.calls.call(OrderCommand::Release(id)).await
    }

    async fn order(&self, id: OrderId) -> Result<Order> {
        self.client.call(Ask::get(format!("{ORDERS}/{id}"))).await
    }

    async fn orders(&self, query: OrderQuery) -> Result<OrderPage> {
        // A checked token is base64 for URLs, so it may stand in one as it is.
        query.check()?;
        let size = query.page_size.map(|size| format!("page_size={size}"));
        let token = query.page_token.map(|token| format!("page_token={token}"));
        let query = size.into_iter().chain(token).collect::<Vec<_>>().join("&");
        self.client.call(Ask::get(format!("{ORDERS}?{query}"))).await
    }
}
