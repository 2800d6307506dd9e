//! The catalog service over the catalog's internal interface. Sales and releases go in batches, everything else by itself.

use async_trait::async_trait;
use bookstore_core::{
    Actor, Added, Amend, Book, BookId, BookPage, CatalogService, Contact, Entries, Lines, NewBook, Order, OrderAction,
    OrderId, Query, Receipt, Result, Seq, SuggestQuery, Suggestions, TopicPage, TopicQuery,
    catalog::WAIT_MAX,
    contact::ContactPage,
    follow::Pinned,
    retry::Effect,
    service::{ContactFeed, at_most_books_max},
};
use form_urlencoded::byte_serialize;
use http::{Method, header};
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use std::time::Duration;

use super::messages::{Amendment, BOOKS, CALLS, CONTACTS, ENTRIES, ORDERS, OrderChange, SEARCH, SUGGEST, TOPICS};
use crate::{
    book_ids::write_ids,
    client::{
        Client,
        batching::Batcher,
        request::{OutboundRequest, json},
        response::{Compact, Contacted, Contacts},
    },
    compact::{self, OrderCommand},
};

/// A catalog on other machines. Calls that wait at the same time are sent as one request.
///
/// ```
/// use bookstore_transport_http::{
///     client::{Client, ClientOptions},
///     internal::catalog::RemoteCatalog,
/// };
///
/// let catalog = RemoteCatalog::new(Client::http(&["http://10.0.0.1:7001"], ClientOptions::default())?);
/// # Ok::<(), bookstore_core::Error>(())
/// ```
#[derive(Debug)]
pub struct RemoteCatalog<C = HttpConnector> {
    client: Client<C>,
    calls: Batcher<C>,
}

impl<C: Connect + Clone + Send + Sync + 'static> RemoteCatalog<C> {
    /// The catalog behind the client's servers. Nothing is sent before the first call.
    #[must_use]
    pub fn new(client: Client<C>) -> Self {
        Self { calls: Batcher::new(client.clone(), CALLS), client }
    }

    /// Sells only through the catalog whose ledger was compared with a copy: sends `pinned` with each batch of sales and releases. A
    /// catalog that was started again refuses them until its ledger has been compared, see [`Follower::pinned`].
    ///
    /// [`Follower::pinned`]: bookstore_core::follow::Follower::pinned
    #[must_use]
    pub fn pinned(self, pinned: Pinned) -> Self {
        Self { calls: self.calls.pinned(pinned), ..self }
    }
}

#[async_trait]
impl<C: Connect + Clone + Send + Sync + 'static> CatalogService for RemoteCatalog<C> {
    async fn search(&self, query: Query) -> Result<BookPage> {
        query.check()?;
        self.client.call(OutboundRequest::send(Method::POST, SEARCH, json(&query)?, Effect::ReadOnly)).await
    }

    async fn suggest(&self, query: SuggestQuery) -> Result<Suggestions> {
        query.check()?;
        self.client.call(OutboundRequest::send(Method::POST, SUGGEST, json(&query)?, Effect::ReadOnly)).await
    }

    async fn topics(&self, query: TopicQuery) -> Result<TopicPage> {
        query.check()?;
        self.client.call(OutboundRequest::send(Method::POST, TOPICS, json(&query)?, Effect::ReadOnly)).await
    }

    async fn info(&self, book: BookId) -> Result<Book> {
        self.client.call(OutboundRequest::get(format!("{BOOKS}/{book}"))).await
    }

    async fn books(&self, ids: Vec<BookId>) -> Result<Vec<Option<Book>>> {
        self.client.call(OutboundRequest::get(format!("{BOOKS}?ids={}", write_ids(&at_most_books_max(ids)?)))).await
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

    async fn change_order(&self, order: OrderId, action: OrderAction, by: Option<Actor>) -> Result<Receipt> {
        let (path, body) = (format!("{ORDERS}/{order}"), json(&OrderChange { action, by })?);
        let request = OutboundRequest::send(Method::POST, path, body, Effect::Keyed);
        self.client.call(request.pinned(self.calls.pin())).await
    }

    async fn amend(&self, book: BookId, change: Amend, key: Option<OrderId>, by: Option<Actor>) -> Result<Book> {
        let effect = if key.is_some() { Effect::Keyed } else { Effect::Unkeyed };
        let body = json(&Amendment { change, key, by })?;
        self.client.call(OutboundRequest::send(Method::PATCH, format!("{BOOKS}/{book}"), body, effect)).await
    }

    async fn add_books(&self, books: Vec<NewBook>, by: Option<Actor>) -> Result<Vec<Added>> {
        let path = match by {
            Some(by) => format!("{BOOKS}?by={}", byte_serialize(by.as_str().as_bytes()).collect::<String>()),
            None => BOOKS.to_owned(),
        };
        self.client.add_books::<Vec<Added>>(&path, &books).await
    }

    async fn entries(&self, after: Seq, limit: usize, wait: Duration) -> Result<Entries> {
        let wait = wait.min(WAIT_MAX);
        let path = format!("{ENTRIES}?after={after}&limit={limit}&wait_ms={}", wait.as_millis());
        let request = OutboundRequest::get(path).header(header::ACCEPT, compact::MEDIA_TYPE).extra_time(wait);
        self.client.call(request).await.map(|Compact(page)| page)
    }

    async fn find_order(&self, order: OrderId) -> Result<Order> {
        self.client.call(OutboundRequest::get(format!("{ORDERS}/{order}"))).await
    }

    async fn find_contact(&self, order: OrderId) -> Result<Option<Contact>> {
        let answer = self.client.call(OutboundRequest::get(format!("{ORDERS}/{order}/contact"))).await;
        answer.map(|Contacted(contact)| contact)
    }
}

/// Also of an order server that has a copy.
#[async_trait]
impl<C: Connect + Clone + Send + Sync + 'static> ContactFeed for RemoteCatalog<C> {
    async fn contacts(&self, after: u64, limit: usize) -> Result<ContactPage> {
        let answer = self.client.call(OutboundRequest::get(format!("{CONTACTS}?after={after}&limit={limit}"))).await;
        answer.map(|Contacts(page)| page)
    }
}
