//! The decorator that sends every call with a key twice.
//!
//! It forwards the other calls as they are. An amend without a key is one of those: sent twice, it would happen twice.

use async_trait::async_trait;
use std::{sync::Arc, time::Duration};

use crate::{
    batch::each,
    book::{Added, Amend, Book, BookId, NewBook},
    catalog::CatalogService,
    contact::Contact,
    error::Result,
    history::Entries,
    id::Seq,
    money::Currency,
    order::{Actor, Order, OrderId, Receipt},
    orders::OrderService,
    page::{BookPage, OrderPage, OrderQuery, Query, SuggestQuery, Suggestions},
    request::{Lines, OrderAction},
    topics::{TopicPage, TopicQuery},
};

/// A service whose calls with a key are each sent twice, one after the other; the first answer is thrown away.
///
/// A client whose answer was lost does the same. It must make no difference but for `replayed` and `created`, so all
/// cases of the suite run over it unchanged. Calls with a key are all that change orders, amends that
/// name a key, and listings. A batch becomes single calls, each of them sent twice.
#[derive(Clone, Debug)]
pub struct Retrying<S: ?Sized>(pub Arc<S>);

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: CatalogService + ?Sized> CatalogService for Retrying<S> {
    async fn search(&self, query: Query) -> Result<BookPage> {
        self.0.search(query).await
    }

    async fn suggest(&self, query: SuggestQuery) -> Result<Suggestions> {
        self.0.suggest(query).await
    }

    async fn currency(&self) -> Result<Currency> {
        self.0.currency().await
    }

    async fn topics(&self, query: TopicQuery) -> Result<TopicPage> {
        self.0.topics(query).await
    }

    async fn info(&self, book: BookId) -> Result<Book> {
        self.0.info(book).await
    }

    async fn books(&self, ids: Vec<BookId>) -> Result<Vec<Option<Book>>> {
        self.0.books(ids).await
    }

    async fn sell(&self, order: OrderId, lines: Lines) -> Result<Receipt> {
        let _ = self.0.sell(order, lines.clone()).await;
        self.0.sell(order, lines).await
    }

    async fn sell_many(&self, sales: Vec<(OrderId, Lines)>) -> Vec<Result<Receipt>> {
        each(sales, |(order, lines)| self.sell(order, lines)).await
    }

    async fn release(&self, order: OrderId) -> Result<Receipt> {
        let _ = self.0.release(order).await;
        self.0.release(order).await
    }

    async fn change_order(&self, order: OrderId, action: OrderAction, by: Option<Actor>) -> Result<Receipt> {
        let _ = self.0.change_order(order, action.clone(), by.clone()).await;
        self.0.change_order(order, action, by).await
    }

    async fn amend(&self, book: BookId, change: Amend, key: Option<OrderId>, by: Option<Actor>) -> Result<Book> {
        if key.is_some() {
            let _ = self.0.amend(book, change.clone(), key, by.clone()).await;
        }
        self.0.amend(book, change, key, by).await
    }

    async fn add_books(&self, books: Vec<NewBook>, by: Option<Actor>) -> Result<Vec<Added>> {
        let _ = self.0.add_books(books.clone(), by.clone()).await;
        self.0.add_books(books, by).await
    }

    async fn entries(&self, after: Seq, limit: usize, wait: Duration) -> Result<Entries> {
        self.0.entries(after, limit, wait).await
    }

    async fn find_order(&self, order: OrderId) -> Result<Order> {
        self.0.find_order(order).await
    }

    async fn find_contact(&self, order: OrderId) -> Result<Option<Contact>> {
        self.0.find_contact(order).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: OrderService + ?Sized> OrderService for Retrying<S> {
    async fn purchase(&self, id: OrderId, lines: Lines) -> Result<Receipt> {
        let _ = self.0.purchase(id, lines.clone()).await;
        self.0.purchase(id, lines).await
    }

    async fn purchase_many(&self, purchases: Vec<(OrderId, Lines)>) -> Vec<Result<Receipt>> {
        each(purchases, |(id, lines)| self.purchase(id, lines)).await
    }

    async fn cancel(&self, id: OrderId) -> Result<Receipt> {
        let _ = self.0.cancel(id).await;
        self.0.cancel(id).await
    }

    async fn change(&self, id: OrderId, action: OrderAction, by: Option<Actor>) -> Result<Receipt> {
        let _ = self.0.change(id, action.clone(), by.clone()).await;
        self.0.change(id, action, by).await
    }

    async fn order(&self, id: OrderId) -> Result<Order> {
        self.0.order(id).await
    }

    async fn orders(&self, query: OrderQuery) -> Result<OrderPage> {
        self.0.orders(query).await
    }

    async fn contact(&self, id: OrderId) -> Result<Option<Contact>> {
        self.0.contact(id).await
    }
}
