//! Clients with famous bugs: a checker that does not find them finds nothing.

use async_trait::async_trait;
use bookstore::core::{
    Actor, Added, Amend, Book, BookId, BookPage, CatalogService, Clock as _, Contact, Entries, Error, Executed,
    InlineList, Lines, NewBook, Order, OrderAction, OrderId, OrderLine, OrderPage, OrderQuery, OrderService, Query,
    Receipt, Result, Seq, Status, SystemClock, TopicPage, TopicQuery,
};
use std::{sync::Arc, time::Duration};

/// A bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// Buys again under a new id when it does not know what became of the first.
    NewIdPerTry,
    /// Restocks by reading the stock, adding to it, and setting the sum, on whatever version there is by then.
    ReadAddWrite,
    /// Sells by asking whether there is enough, then setting what is left.
    CheckThenDecrement,
}

impl Bug {
    pub(crate) const ALL: [Self; 3] = [Self::NewIdPerTry, Self::ReadAddWrite, Self::CheckThenDecrement];

    /// The services with this bug.
    pub(crate) fn build_in(
        self,
        catalog: Arc<dyn CatalogService>,
        orders: Arc<dyn OrderService>,
    ) -> (Arc<dyn CatalogService>, Arc<dyn OrderService>) {
        let buggy = Arc::new(Buggy { bug: self, catalog, orders });
        (buggy.clone(), buggy)
    }
}

struct Buggy {
    bug: Bug,
    catalog: Arc<dyn CatalogService>,
    orders: Arc<dyn OrderService>,
}

impl Buggy {
    async fn buy_under_new_ids(&self, id: OrderId, lines: Lines) -> Result<Receipt> {
        let mut last = self.orders.purchase(id, lines.clone()).await;
        for _ in 0..5 {
            match last {
                Err(error) if error.executed() == Executed::Unknown => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    last = self.orders.purchase(SystemClock.new_order_id(), lines.clone()).await;
                }
                told => {
                    last = told;
                    break;
                }
            }
        }
        last.map(|Receipt { order, replayed }| Receipt { order: Order { id, ..order }, replayed })
    }

    async fn set_stock(&self, book: BookId, stock: i64) -> Result<Book> {
        let stock = Some(u32::try_from(stock).unwrap_or_default());
        loop {
            let version = Some(self.catalog.info(book).await?.version);
            let set = Amend::Set { price_cents: None, stock, version };
            match self.catalog.amend(book, set, None, None).await {
                Err(Error::VersionMismatch { .. }) => {}
                answer => return answer,
            }
        }
    }

    async fn check_then_decrement(&self, id: OrderId, lines: Lines) -> Result<Receipt> {
        let mut books = Vec::new();
        for line in &lines {
            let book = self.catalog.info(line.book).await?;
            if book.stock < line.quantity {
                return Err(Error::OutOfStock { book: book.id, available: book.stock, short: Vec::new() });
            }
            books.push(book);
        }
        let (mut sold, mut seq) = (InlineList::new(), Seq(0));
        for (line, book) in lines.iter().zip(&books) {
            seq = self.set_stock(line.book, i64::from(book.stock) - i64::from(line.quantity)).await?.version;
            let unit_price_cents = book.price_cents;
            sold.push(OrderLine { book: line.book, quantity: line.quantity, unit_price_cents });
        }
        let (total_cents, placed_at) = (books[0].price_cents, SystemClock.now());
        let order = Order {
            id,
            status: Status::Placed,
            lines: sold,
            total_cents,
            placed_at,
            seq,
            cancelled_at: None,
            details: None,
            version: seq,
        };
        Ok(Receipt { order, replayed: false })
    }
}

#[async_trait]
impl OrderService for Buggy {
    async fn purchase(&self, id: OrderId, lines: Lines) -> Result<Receipt> {
        match self.bug {
            Bug::NewIdPerTry => self.buy_under_new_ids(id, lines).await,
            Bug::ReadAddWrite => self.orders.purchase(id, lines).await,
            Bug::CheckThenDecrement => self.check_then_decrement(id, lines).await,
        }
    }
    async fn cancel(&self, id: OrderId) -> Result<Receipt> {
        self.orders.cancel(id).await
    }
    async fn change(&self, id: OrderId, action: OrderAction, by: Option<Actor>) -> Result<Receipt> {
        self.orders.change(id, action, by).await
    }

    async fn order(&self, id: OrderId) -> Result<Order> {
        self.orders.order(id).await
    }
    async fn orders(&self, query: OrderQuery) -> Result<OrderPage> {
        self.orders.orders(query).await
    }

    async fn contact(&self, id: OrderId) -> Result<Option<Contact>> {
        self.orders.contact(id).await
    }
}

#[async_trait]
impl CatalogService for Buggy {
    async fn change_order(&self, order: OrderId, action: OrderAction, by: Option<Actor>) -> Result<Receipt> {
        self.catalog.change_order(order, action, by).await
    }

    async fn amend(&self, book: BookId, change: Amend, key: Option<OrderId>, by: Option<Actor>) -> Result<Book> {
        match (self.bug, &change) {
            (Bug::ReadAddWrite, Amend::StockDelta { delta }) => {
                let seen = self.catalog.info(book).await?;
                self.set_stock(book, i64::from(seen.stock) + *delta).await
            }
            _ => self.catalog.amend(book, change, key, by).await,
        }
    }
    async fn info(&self, book: BookId) -> Result<Book> {
        self.catalog.info(book).await
    }
    async fn sell(&self, order: OrderId, lines: Lines) -> Result<Receipt> {
        self.catalog.sell(order, lines).await
    }
    async fn search(&self, query: Query) -> Result<BookPage> {
        self.catalog.search(query).await
    }
    async fn topics(&self, query: TopicQuery) -> Result<TopicPage> {
        self.catalog.topics(query).await
    }
    async fn release(&self, order: OrderId) -> Result<Receipt> {
        self.catalog.release(order).await
    }
    async fn add_books(&self, books: Vec<NewBook>, by: Option<Actor>) -> Result<Vec<Added>> {
        self.catalog.add_books(books, by).await
    }
    async fn entries(&self, after: Seq, limit: usize, wait: Duration) -> Result<Entries> {
        self.catalog.entries(after, limit, wait).await
    }
    async fn find_order(&self, order: OrderId) -> Result<Order> {
        self.catalog.find_order(order).await
    }

    async fn find_contact(&self, order: OrderId) -> Result<Option<Contact>> {
        self.catalog.find_contact(order).await
    }
}
