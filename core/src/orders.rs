//! Orders: buying, cancelling and reading.

use async_trait::async_trait;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::watch;

use crate::{
    batch::each,
    catalog::CatalogService,
    error::{Error, Result},
    ledger::Seq,
    order::{Lines, Order, OrderId, Receipt, Status},
    page::{OrderPage, OrderQuery},
};

/// Buying, cancelling and reading orders.
///
/// Every call ends in one of three ways, see [`Error`]. A purchase or a cancellation whose outcome is unknown may be
/// sent again with the same id, to the same server or another one.
#[async_trait]
pub trait OrderService: Send + Sync {
    /// Buys all lines or none, once per id; durable before it answers.
    ///
    /// The buyer makes the id once per purchase intent and keeps it until there is an answer. The same id with the same
    /// lines MUST answer with the same order, `replayed`.
    ///
    /// # Errors
    /// As [`CatalogService::reserve`].
    async fn purchase(&self, id: OrderId, lines: Lines) -> Result<Receipt>;

    /// Buys many times, each purchase by itself as [`Self::purchase`] does, with the answers in the order of the questions.
    async fn purchase_many(&self, purchases: Vec<(OrderId, Lines)>) -> Vec<Result<Receipt>> {
        each(purchases, |(id, lines)| self.purchase(id, lines)).await
    }

    /// Cancels an order and puts its copies back into stock, once; durable before it answers.
    ///
    /// # Errors
    /// As [`CatalogService::release`].
    async fn cancel(&self, id: OrderId) -> Result<Receipt>;

    /// Reads an order. It MUST find every order that was acknowledged before the call, by any server.
    /// A cancellation through another order server shows as soon as this one's copy has followed.
    ///
    /// # Errors
    /// [`Error::OrderNotFound`].
    async fn order(&self, id: OrderId) -> Result<Order>;

    /// The orders, newest first, a page at a time, as far as this server has followed the ledger.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a query outside its limits.
    async fn orders(&self, query: OrderQuery) -> Result<OrderPage>;
}

/// Where an order service reads: the ledger itself, or a copy that follows it.
#[async_trait]
pub trait OrderReader: Send + Sync {
    /// An order, if it is known here.
    async fn order(&self, id: OrderId) -> Result<Option<Order>>;
    /// Up to `limit` orders sold before `before`, newest first.
    async fn orders(&self, before: Option<Seq>, limit: usize) -> Result<Vec<Order>>;
}

/// When a purchase through an order server with a copy is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ack {
    /// Durable in the catalog's ledger.
    #[default]
    Ledger,
    /// Durable in the ledger and in this order server's copy: on two machines.
    Copied {
        /// How long to wait for the copy; then the outcome is unknown (the ledger has the order, the copy will).
        wait: Duration,
    },
}

/// The order service over a catalogue.
pub struct Orders {
    catalog: Arc<dyn CatalogService>,
    reader: Arc<dyn OrderReader>,
    copied: Option<(watch::Receiver<Seq>, Duration)>,
    /// Orders that were found cancelled here, newest last: the copy may still show them as placed.
    cancelled: Mutex<VecDeque<Order>>,
}

/// Cancelled orders that one server remembers: more than pass through it while its copy follows.
const CANCELLED_MAX: usize = 1024;

impl Orders {
    /// Orders read from `reader`: the catalogue itself in one process, a followed copy on a machine of its own.
    #[must_use]
    pub fn new(catalog: Arc<dyn CatalogService>, reader: Arc<dyn OrderReader>) -> Self {
        Self { catalog, reader, copied: None, cancelled: Mutex::default() }
    }

    /// Acknowledges as `ack` says; `followed` is how far the copy is.
    #[must_use]
    pub fn acknowledge(mut self, ack: Ack, followed: watch::Receiver<Seq>) -> Self {
        self.copied = match ack {
            Ack::Ledger => None,
            Ack::Copied { wait } => Some((followed, wait)),
        };
        self
    }

    fn remember(&self, receipt: &Receipt) {
        if receipt.order.status == Status::Cancelled {
            let mut cancelled = self.cancelled.lock().expect("nobody panics with it");
            if cancelled.len() == CANCELLED_MAX {
                cancelled.pop_front();
            }
            cancelled.push_back(receipt.order.clone());
        }
    }

    /// An order as the reader shows it, or newer.
    fn newest(&self, order: Order) -> Order {
        if order.status == Status::Cancelled {
            return order;
        }
        let cancelled = self.cancelled.lock().expect("nobody panics with it");
        cancelled.iter().rev().find(|cancelled| cancelled.id == order.id).cloned().unwrap_or(order)
    }

    async fn wait_until_copied(&self, order: Seq) -> Result<()> {
        let Some((mut followed, wait)) = self.copied.clone() else { return Ok(()) };
        let copied = followed.wait_for(|seq| *seq >= order);
        match tokio::time::timeout(wait, copied).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Error::unknown("the order is in the ledger, but not yet in this server's copy")),
        }
    }
}

#[async_trait]
impl OrderService for Orders {
    async fn purchase(&self, id: OrderId, lines: Lines) -> Result<Receipt> {
        let receipt = self.catalog.sell(id, lines).await?;
        self.remember(&receipt);
        if self.copied.is_some() {
            // Boxed: a purchase that waits for nothing should not carry the room to wait in.
            Box::pin(self.wait_until_copied(receipt.order.seq)).await?;
        }
        Ok(receipt)
    }

    async fn purchase_many(&self, purchases: Vec<(OrderId, Lines)>) -> Vec<Result<Receipt>> {
        let mut answers = self.catalog.sell_many(purchases).await;
        answers.iter().flatten().for_each(|receipt| self.remember(receipt));
        // The copy follows the ledger in its order: with the last of them it has all.
        let last = answers.iter().flatten().map(|receipt| receipt.order.seq).max();
        if let (Some((followed, _)), Some(last)) = (&self.copied, last)
            && let Err(late) = self.wait_until_copied(last).await
        {
            let copied = *followed.borrow();
            for answer in &mut answers {
                if answer.as_ref().is_ok_and(|receipt| receipt.order.seq > copied) {
                    *answer = Err(late.clone());
                }
            }
        }
        answers
    }

    async fn cancel(&self, id: OrderId) -> Result<Receipt> {
        let receipt = self.catalog.release(id).await?;
        self.remember(&receipt);
        Ok(receipt)
    }

    async fn order(&self, id: OrderId) -> Result<Order> {
        match self.reader.order(id).await? {
            Some(order) => Ok(self.newest(order)),
            None => self.catalog.find_order(id).await,
        }
    }

    async fn orders(&self, query: OrderQuery) -> Result<OrderPage> {
        let (size, before) = query.check()?;
        Ok(OrderPage::cut(self.reader.orders(before, size + 1).await?, size))
    }
}
