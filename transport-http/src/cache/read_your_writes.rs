//! Read your writes, for purchases and cancellations through the order service.

use async_trait::async_trait;
use bookstore_core::{
    Actor, Contact, Lines, Order, OrderAction, OrderId, OrderPage, OrderQuery, OrderService, Receipt, Result,
    batch::each,
};
use std::{fmt, sync::Arc};

use super::catalog::CachedCatalog;

/// An order service whose answers the cache takes note of: a buyer does not read on this frontend how the books were before the
/// purchase.
///
/// - A purchase or a cancellation that is answered: its books are shown as they were after it, or newer.
/// - A purchase that is refused for lack of stock or for its price: the book is read again if the cache disagrees.
/// - An order that is read: its books are shown as they were after its sale, or newer.
///
/// An outcome that is unknown tells nothing; the cache learns of such a sale from the ledger.
///
/// ```
/// use bookstore_core::{CatalogService, OrderService};
/// use bookstore_transport_http::cache::{CacheOptions, CachedCatalog, ReadYourWrites};
/// use std::sync::Arc;
///
/// /// What a frontend gives its pages: both services, around clients of a catalog and of order servers.
/// fn cached(catalog: Arc<dyn CatalogService>, orders: Arc<dyn OrderService>) -> (Arc<CachedCatalog>, Arc<dyn OrderService>) {
///     let catalog = Arc::new(CachedCatalog::start(catalog, CacheOptions::default()));
///     let orders = ReadYourWrites::new(orders, Arc::clone(&catalog));
///     (catalog, Arc::new(orders))
/// }
/// ```
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
    /// Passes every call to `orders`, and records in `cache` what it answers.
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
        self.cache.record_answer(&answer);
        answer
    }

    async fn purchase_many(&self, purchases: Vec<(OrderId, Lines)>) -> Vec<Result<Receipt>> {
        each(purchases, |(id, lines)| self.purchase(id, lines)).await
    }

    async fn cancel(&self, id: OrderId) -> Result<Receipt> {
        let receipt = self.orders.cancel(id).await?;
        self.cache.record_order(&receipt.order);
        Ok(receipt)
    }

    async fn change(&self, id: OrderId, action: OrderAction, by: Option<Actor>) -> Result<Receipt> {
        let answer = self.orders.change(id, action, by).await;
        self.cache.record_answer(&answer);
        answer
    }

    async fn order(&self, id: OrderId) -> Result<Order> {
        let order = self.orders.order(id).await?;
        self.cache.record_order_read(&order);
        Ok(order)
    }

    async fn orders(&self, query: OrderQuery) -> Result<OrderPage> {
        let page = self.orders.orders(query).await?;
        page.orders.iter().for_each(|order| self.cache.record_order_read(order));
        Ok(page)
    }

    async fn contact(&self, id: OrderId) -> Result<Option<Contact>> {
        self.orders.contact(id).await
    }
}
