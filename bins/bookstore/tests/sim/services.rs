//! What stands around the real services in the simulation: counters, and some of the planted bugs.

use async_trait::async_trait;
use bookstore_core::{
    Actor, Added, Amend, Book, BookId, BookPage, CatalogService, Contact, Currency, Entries, Error, Lines, NewBook,
    Order, OrderAction, OrderId, OrderPage, OrderQuery, OrderService, Query, Receipt, Result, Seq, SuggestQuery,
    Suggestions, TopicPage, TopicQuery, batch::each,
};
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use uuid::Uuid;

use super::{bugs::Bug, caller::count, copies::SimCopy, coverage::Seen, hosts::Host, world::Shared};

/// A service as one server uses or offers it.
pub(crate) struct Watched<S: ?Sized> {
    service: Arc<S>,
    world: Shared,
    host: Host,
    /// For the bug that knows no call again.
    seen: Mutex<BTreeSet<OrderId>>,
    /// For [`Bug::FollowsWithoutComparing`].
    uncompared: Option<Arc<SimCopy>>,
}

const POLL_MAX: Duration = Duration::from_secs(3);

/// Some of a server's calls, under way together.
struct Calls<'a>(&'a AtomicUsize, usize);

impl Drop for Calls<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Ordering::SeqCst);
    }
}

impl<S: ?Sized> Watched<S> {
    pub(crate) fn new(service: Arc<S>, world: &Shared, host: Host) -> Self {
        Self { service, world: world.clone(), host, seen: Mutex::default(), uncompared: None }
    }

    /// The bug: whatever history comes, it looks like this copy's.
    pub(crate) fn uncompared(self, copy: Arc<SimCopy>) -> Self {
        Self { uncompared: Some(copy), ..self }
    }

    /// Notes a sale that an order server was told of.
    fn sold(&self, answer: Result<Receipt>) -> Result<Receipt> {
        if let (Ok(receipt), Some(seller)) = (&answer, self.world.accident.seller(self.host)) {
            seller.sold.fetch_max(receipt.order.seq.0, Ordering::SeqCst);
            if self.world.has(Bug::AcknowledgesByNumber) {
                self.world.facts().sold.insert(receipt.order.id, receipt.order.clone());
            }
        }
        self.counted(answer)
    }

    /// Counts what this server was answered, or answers.
    fn counted<T>(&self, answer: Result<T>) -> Result<T> {
        if let Err(error) = &answer {
            count(&self.world, error);
        }
        match answer {
            Err(Error::OutcomeUnknown { message, .. }) if self.world.has(Bug::UnknownCalledNotExecuted) => {
                Err(Error::Unavailable { message })
            }
            answer => answer,
        }
    }

    fn enter(&self, count: usize) -> Calls<'_> {
        let calls = &self.world.activity[self.host as usize].calls;
        calls.fetch_add(count, Ordering::SeqCst);
        Calls(calls, count)
    }

    /// The bug: an id that was seen before is a new purchase.
    fn executed_again(&self, order: OrderId) -> Option<OrderId> {
        let known = !self.seen.lock().expect("no code panics while it is locked").insert(order);
        let again = || OrderId(Uuid::from_u128(order.0.as_u128() ^ (1 << 40)));
        (self.world.has(Bug::NoDeduplication) && self.host == Host::Catalog && known).then(again)
    }
}

impl<S: CatalogService + ?Sized> Watched<S> {
    /// The bug: books are thrown out of this cache when they are written, not when the write is visible.
    async fn cached_badly(&self, book: BookId) -> Result<Book> {
        if let Some(cached) = self.world.bad_cache().get(&book) {
            return Ok(cached.clone());
        }
        let found = self.service.info(book).await?;
        self.world.bad_cache().insert(book, found.clone());
        Ok(found)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: CatalogService + ?Sized> CatalogService for Watched<S> {
    async fn search(&self, query: Query) -> Result<BookPage> {
        self.service.search(query).await
    }

    async fn suggest(&self, query: SuggestQuery) -> Result<Suggestions> {
        self.service.suggest(query).await
    }

    async fn currency(&self) -> Result<Currency> {
        self.service.currency().await
    }

    async fn topics(&self, query: TopicQuery) -> Result<TopicPage> {
        self.service.topics(query).await
    }

    async fn info(&self, book: BookId) -> Result<Book> {
        let bug = self.world.has(Bug::InvalidateBeforeCommit) && self.host == Host::Frontend;
        if bug { self.cached_badly(book).await } else { self.service.info(book).await }
    }

    async fn books(&self, ids: Vec<BookId>) -> Result<Vec<Option<Book>>> {
        self.service.books(ids).await
    }

    async fn sell(&self, order: OrderId, lines: Lines) -> Result<Receipt> {
        let _call = self.enter(1);
        let Some(again) = self.executed_again(order) else {
            return self.sold(self.service.sell(order, lines).await);
        };
        let mut receipt = self.service.sell(again, lines).await?;
        (receipt.order.id, receipt.replayed) = (order, true);
        Ok(receipt)
    }

    async fn sell_many(&self, sales: Vec<(OrderId, Lines)>) -> Vec<Result<Receipt>> {
        if self.world.has(Bug::NoDeduplication) {
            return each(sales, |(order, lines)| self.sell(order, lines)).await;
        }
        let _calls = self.enter(sales.len());
        self.service.sell_many(sales).await.into_iter().map(|answer| self.sold(answer)).collect()
    }

    async fn release(&self, order: OrderId) -> Result<Receipt> {
        let _call = self.enter(1);
        self.counted(self.service.release(order).await)
    }

    async fn change_order(&self, order: OrderId, action: OrderAction, by: Option<Actor>) -> Result<Receipt> {
        let _call = self.enter(1);
        self.counted(self.service.change_order(order, action, by).await)
    }

    async fn amend(&self, book: BookId, change: Amend, key: Option<OrderId>, by: Option<Actor>) -> Result<Book> {
        let _call = self.enter(1);
        self.counted(self.service.amend(book, change, key, by).await)
    }

    async fn add_books(&self, books: Vec<NewBook>, by: Option<Actor>) -> Result<Vec<Added>> {
        self.service.add_books(books, by).await
    }

    async fn entries(&self, after: Seq, limit: usize, wait: Duration) -> Result<Entries> {
        let is_copied = self.world.accident.seller(self.host).is_some() && self.world.plan.accident.is_some();
        if is_copied && !self.world.is_healed() {
            tokio::time::sleep(self.world.plan.poll_delay).await;
        }
        // A poll whose connection has lost a message ends with its patience: a short one keeps the run short.
        let page = self.service.entries(after, limit, wait.min(POLL_MAX)).await?;
        match &self.uncompared {
            Some(copy) => copy.pretend(page).await,
            None => Ok(page),
        }
    }

    async fn find_order(&self, order: OrderId) -> Result<Order> {
        let found = self.service.find_order(order).await;
        if found.is_ok() && self.host != Host::Catalog {
            self.world.coverage.saw(Seen::ReadThrough);
        }
        found
    }

    async fn find_contact(&self, order: OrderId) -> Result<Option<Contact>> {
        self.service.find_contact(order).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: OrderService + ?Sized> OrderService for Watched<S> {
    async fn purchase(&self, id: OrderId, lines: Lines) -> Result<Receipt> {
        let _call = self.enter(1);
        self.counted(self.service.purchase(id, lines).await)
    }

    async fn purchase_many(&self, purchases: Vec<(OrderId, Lines)>) -> Vec<Result<Receipt>> {
        let _calls = self.enter(purchases.len());
        self.service.purchase_many(purchases).await.into_iter().map(|answer| self.counted(answer)).collect()
    }

    async fn cancel(&self, id: OrderId) -> Result<Receipt> {
        let _call = self.enter(1);
        self.counted(self.service.cancel(id).await)
    }

    async fn change(&self, id: OrderId, action: OrderAction, by: Option<Actor>) -> Result<Receipt> {
        let _call = self.enter(1);
        self.counted(self.service.change(id, action, by).await)
    }

    async fn order(&self, id: OrderId) -> Result<Order> {
        self.service.order(id).await
    }

    async fn orders(&self, query: OrderQuery) -> Result<OrderPage> {
        self.service.orders(query).await
    }

    async fn contact(&self, id: OrderId) -> Result<Option<Contact>> {
        self.service.contact(id).await
    }
}
