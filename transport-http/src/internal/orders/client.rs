//! The order service over an order server's internal interface. Purchases and cancellations go in batches.

use async_trait::async_trait;
use bookstore_core::{
    Actor, Contact, Lines, Order, OrderAction, OrderId, OrderPage, OrderQuery, OrderService, Receipt, Result,
    retry::Effect,
};
use http::Method;
use hyper_util::client::legacy::connect::{Connect, HttpConnector};

use super::messages::{CALLS, ORDERS};
use crate::{
    client::{
        Client,
        batching::Batcher,
        request::{OutboundRequest, json},
        response::Contacted,
    },
    compact::OrderCommand,
    internal::catalog::OrderChange,
};

/// An order service on other machines. All its servers answer the same, so a call may go to any of them.
///
/// Purchases and cancellations that wait at the same time are sent as one request.
///
/// ```
/// use bookstore_transport_http::{
///     client::{Client, ClientOptions},
///     internal::orders::RemoteOrders,
/// };
///
/// let urls = ["http://10.0.0.2:7002", "http://10.0.0.3:7002"];
/// let orders = RemoteOrders::new(Client::http(&urls, ClientOptions::default())?);
/// # Ok::<(), bookstore_core::Error>(())
/// ```
#[derive(Debug)]
pub struct RemoteOrders<C = HttpConnector> {
    client: Client<C>,
    calls: Batcher<C>,
}

impl<C: Connect + Clone + Send + Sync + 'static> RemoteOrders<C> {
    /// The order service behind the client's servers. Nothing is sent before the first call.
    #[must_use]
    pub fn new(client: Client<C>) -> Self {
        Self { calls: Batcher::new(client.clone(), CALLS), client }
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

    async fn change(&self, id: OrderId, action: OrderAction, by: Option<Actor>) -> Result<Receipt> {
        let (path, body) = (format!("{ORDERS}/{id}"), json(&OrderChange { action, by })?);
        self.client.call(OutboundRequest::send(Method::POST, path, body, Effect::Keyed)).await
    }

    async fn order(&self, id: OrderId) -> Result<Order> {
        self.client.call(OutboundRequest::get(format!("{ORDERS}/{id}"))).await
    }

    async fn orders(&self, query: OrderQuery) -> Result<OrderPage> {
        query.check()?;
        self.client.call(OutboundRequest::send(Method::POST, ORDERS, json(&query)?, Effect::ReadOnly)).await
    }

    async fn contact(&self, id: OrderId) -> Result<Option<Contact>> {
        let answer = self.client.call(OutboundRequest::get(format!("{ORDERS}/{id}/contact"))).await;
        answer.map(|Contacted(contact)| contact)
    }
}
