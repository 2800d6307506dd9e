//! The order service of a frontend whose catalogue is cached.

use async_trait::async_trait;
use bookstore_core::{Lines, Order, OrderId, OrderPage, OrderQuery, OrderService, Receipt, Result, batch::each};
use std::{fmt, sync::Arc};

use super::CachedCatalog;

/// An order service that tells a cache what its answers say of the books, so that a buyer never reads on this frontend how
/// they stood before the purchase.
pub struct ReadYourWrites<S: ?Sized> {
    orders: Arc<S>,
    cache: Arc<CachedCatalog>,
}

impl<S: ?Sized> fmt::Debug for ReadYourWrites<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadYourWrites").field("cache", &self.cache).finish_non_exhaustive()
    }
}

impl<S: OrderService + ?Sized> ReadYourWrites<S> {
    /// Tells `cache` of the orders that `orders` answers with.
    #[must_use]
    pub fn new(orders: Arc<S>, cache: Arc<CachedCatalog>) -> Self {
        Self { orders, cache }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: OrderService + ?Sized> OrderService for ReadYourWrites<S> {
    async fn purchase(&self, id: OrderId, lines: Lines) -> Result<Receipt> {
        let answer = self.orders.purchase(id, lines).await;
        match &answer {
            Ok(receipt) => self.cache.noted(&receipt.order),
            Err(error) => self.cache.refused(error),
        }
        answer
    }

    async fn purchase_many(&self, purchases: Vec<(OrderId, Lines)>) -> Vec<Result<Receipt>> {
        each(purchases, |(id, lines)| self.purchase(id, lines)).await
    }

    async fn cancel(&self, id: OrderId) -> Result<Receipt> {
        let receipt = self.orders.cancel(id).await?;
        self.cache.noted(&receipt.order);
        Ok(receipt)
    }

    async fn order(&self, id: OrderId) -> Result<Order> {
        let order = self.orders.order(id).await?;
        self.cache.read(&order);
        Ok(order)
    }

    async fn orders(&self, query: OrderQuery) -> Result<OrderPage> {
        let page = self.orders.orders(query).await?;
        page.orders.iter().for_each(|order| self.cache.read(order));
        Ok(page)
    }
}
