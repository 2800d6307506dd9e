//! The decorator that records every call of a service.
//!
//! Each method builds the operation twice: before the call with an unknown outcome, and after it with the outcome. So
//! nothing is lost if the call never returns.

use async_trait::async_trait;
use std::{future::Future, sync::Arc, time::Duration};

use super::{
    operation::{BookState, ListedBook, Operation, Outcome},
    recorder::{Recorder, Ticket},
};
use crate::{
    batch::each,
    book::{Added, Amend, Book, BookId, NewBook},
    catalog::CatalogService,
    contact::Contact,
    error::{Error, Result},
    history::Entries,
    id::Seq,
    money::Currency,
    order::{Actor, Order, OrderId, Receipt},
    orders::OrderService,
    page::{BookPage, OrderPage, OrderQuery, Query, SuggestQuery, Suggestions},
    request::{Lines, OrderAction},
    service::books_one_by_one,
    topics::{TopicPage, TopicQuery},
};

/// A [`CatalogService`] or [`OrderService`] whose calls are recorded; reads of topics, of ledger entries and of contacts are not, and no
/// correction of a contact.
///
/// Put it around what a client calls, outside of its retries. Then a call is one call in the history, however often it
/// was sent, and [`Delivery::Retried`](super::Delivery::Retried) says that it may have been sent more than once. A call
/// whose future is dropped before it is ready stays in the history as one that never returned.
///
/// Record one layer only: a purchase that is recorded at the order service and again at the catalogue behind it counts
/// as two.
#[derive(Debug)]
pub struct Recorded<S: ?Sized> {
    service: Arc<S>,
    recorder: Arc<Recorder>,
    server: Arc<str>,
    process: u64,
}

impl<S: ?Sized> Recorded<S> {
    /// Records the calls of process 0 to `service`, under the name `server`.
    #[must_use]
    pub fn new(service: Arc<S>, recorder: &Arc<Recorder>, server: impl Into<Arc<str>>) -> Self {
        Self { service, recorder: Arc::clone(recorder), server: server.into(), process: 0 }
    }

    /// The same service as another process calls it.
    #[must_use]
    pub fn of_process(&self, process: u64) -> Self {
        let (service, recorder) = (Arc::clone(&self.service), Arc::clone(&self.recorder));
        Self { service, recorder, server: Arc::clone(&self.server), process }
    }

    fn begin(&self, operation: Operation) -> Ticket {
        self.recorder.begin(self.process, &self.server, operation)
    }

    /// Makes a call between its beginning and its end; `shown` takes from an answer what the history keeps.
    async fn record<R, T>(
        &self,
        operation: impl Fn(Outcome<T>) -> Operation + Send,
        call: impl Future<Output = Result<R>> + Send,
        shown: impl FnOnce(&R) -> T + Send,
    ) -> Result<R> {
        let ticket = self.begin(operation(Outcome::Unknown));
        let answer = call.await;
        self.recorder.end(ticket, operation(Outcome::of(&answer, shown)));
        answer
    }
}

/// A listing that failed half-way may have listed some of the books.
fn added(answer: &Result<Vec<Added>>) -> Outcome<Vec<Added>> {
    match Outcome::of(answer, Vec::clone) {
        Outcome::NotExecuted if !matches!(answer, Err(Error::Invalid { .. })) => Outcome::Unknown,
        outcome => outcome,
    }
}

/// What the history keeps of a change: everything but personal data. `None` for one that changes nothing else.
fn without_contact(action: &OrderAction) -> Option<OrderAction> {
    let mut action = action.clone();
    match &mut action {
        OrderAction::SetContact { .. } => return None,
        OrderAction::Purchase { contact, .. } | OrderAction::Hold { contact, .. } => *contact = None,
        _ => {}
    }
    Some(action)
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: CatalogService + ?Sized> CatalogService for Recorded<S> {
    async fn search(&self, query: Query) -> Result<BookPage> {
        let shown = |page: &BookPage| page.books.iter().map(BookState::from).collect();
        self.record(|outcome| Operation::Search { outcome }, self.service.search(query), shown).await
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
        let operation = |outcome| Operation::Info { book, outcome };
        self.record(operation, self.service.info(book), |book| BookState::from(book)).await
    }

    async fn books(&self, ids: Vec<BookId>) -> Result<Vec<Option<Book>>> {
        books_one_by_one(ids, |id| self.info(id)).await
    }

    async fn sell(&self, order: OrderId, lines: Lines) -> Result<Receipt> {
        let operation = |outcome| Operation::Purchase { order, lines: lines.clone(), outcome };
        self.record(operation, self.service.sell(order, lines.clone()), Receipt::clone).await
    }

    async fn sell_many(&self, sales: Vec<(OrderId, Lines)>) -> Vec<Result<Receipt>> {
        each(sales, |(order, lines)| self.sell(order, lines)).await
    }

    async fn release(&self, order: OrderId) -> Result<Receipt> {
        self.record(|outcome| Operation::Cancel { order, outcome }, self.service.release(order), Receipt::clone).await
    }

    async fn change_order(&self, order: OrderId, action: OrderAction, by: Option<Actor>) -> Result<Receipt> {
        let Some(shown) = without_contact(&action) else { return self.service.change_order(order, action, by).await };
        let operation = |outcome| Operation::Change { order, action: shown.clone(), outcome };
        self.record(operation, self.service.change_order(order, action, by), Receipt::clone).await
    }

    async fn amend(&self, book: BookId, change: Amend, key: Option<OrderId>, by: Option<Actor>) -> Result<Book> {
        let operation = |outcome| Operation::Amend { book, change: change.clone(), key, outcome };
        self.record(operation, self.service.amend(book, change.clone(), key, by), |book| BookState::from(book)).await
    }

    async fn add_books(&self, books: Vec<NewBook>, by: Option<Actor>) -> Result<Vec<Added>> {
        let listed = |book: &NewBook| ListedBook { price_cents: book.price_cents, stock: book.stock };
        let listed: Vec<ListedBook> = books.iter().map(listed).collect();
        let operation = |outcome| Operation::AddBooks { books: listed.clone(), outcome };
        let ticket = self.begin(operation(Outcome::Unknown));
        let answer = self.service.add_books(books, by).await;
        self.recorder.end(ticket, operation(added(&answer)));
        answer
    }

    async fn entries(&self, after: Seq, limit: usize, wait: Duration) -> Result<Entries> {
        self.service.entries(after, limit, wait).await
    }

    async fn find_order(&self, order: OrderId) -> Result<Order> {
        self.record(|outcome| Operation::ReadOrder { order, outcome }, self.service.find_order(order), Order::clone)
            .await
    }

    async fn find_contact(&self, order: OrderId) -> Result<Option<Contact>> {
        self.service.find_contact(order).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: OrderService + ?Sized> OrderService for Recorded<S> {
    async fn purchase(&self, id: OrderId, lines: Lines) -> Result<Receipt> {
        let operation = |outcome| Operation::Purchase { order: id, lines: lines.clone(), outcome };
        self.record(operation, self.service.purchase(id, lines.clone()), Receipt::clone).await
    }

    async fn purchase_many(&self, purchases: Vec<(OrderId, Lines)>) -> Vec<Result<Receipt>> {
        each(purchases, |(id, lines)| self.purchase(id, lines)).await
    }

    async fn cancel(&self, id: OrderId) -> Result<Receipt> {
        self.record(|outcome| Operation::Cancel { order: id, outcome }, self.service.cancel(id), Receipt::clone).await
    }

    async fn change(&self, id: OrderId, action: OrderAction, by: Option<Actor>) -> Result<Receipt> {
        let Some(shown) = without_contact(&action) else { return self.service.change(id, action, by).await };
        let operation = |outcome| Operation::Change { order: id, action: shown.clone(), outcome };
        self.record(operation, self.service.change(id, action, by), Receipt::clone).await
    }

    async fn order(&self, id: OrderId) -> Result<Order> {
        self.record(|outcome| Operation::ReadOrder { order: id, outcome }, self.service.order(id), Order::clone).await
    }

    async fn orders(&self, query: OrderQuery) -> Result<OrderPage> {
        // The checker knows what the newest orders are, and nothing of other lists.
        if query.is_filtered() {
            return self.service.orders(query).await;
        }
        let shown = |page: &OrderPage| page.orders.clone();
        self.record(|outcome| Operation::ReadOrders { outcome }, self.service.orders(query), shown).await
    }

    async fn contact(&self, id: OrderId) -> Result<Option<Contact>> {
        self.service.contact(id).await
    }
}
