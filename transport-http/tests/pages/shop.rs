//! A shop on loopback whose services can be made to fail.

use async_trait::async_trait;
use axum::Router;
use bookstore_core::{
    Actor, Added, Amend, Book, BookId, BookPage, BookText, Catalog, CatalogOptions, CatalogService, Cents, Clock,
    Contact, ContactRule, Currency, Entries, Error, Lines, NewBook, Order, OrderAction, OrderId, OrderPage, OrderQuery,
    OrderService, Orders, Query, Receipt, Result, Seq, Status, SystemClock, TopicPage, TopicQuery, fixtures::cents,
    store::memory,
};
use bookstore_transport_http::{
    api::Shop,
    pages,
    server::{self, ServerLimits},
    token::AccessToken,
};
use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::net::TcpListener;

use crate::browser::Browser;

pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// How the next purchase or cancellation goes wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// Refused before any effect.
    NotExecuted,
    /// It happens, and the answer is lost.
    AnswerLost,
    /// It does not happen, and the outcome is unknown.
    RequestLost,
}

/// The services, and what goes wrong with them.
pub(crate) struct Faulty {
    catalog: Arc<Catalog>,
    orders: Orders,
    faults: Mutex<VecDeque<Fault>>,
    /// `info` is not available.
    pub(crate) blind: AtomicBool,
    /// Orders are read from a copy that has not followed any cancellation.
    pub(crate) stale: AtomicBool,
}

impl Faulty {
    pub(crate) fn fail_next(&self, fault: Fault) {
        self.faults.lock().unwrap().push_back(fault);
    }

    async fn keyed<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        let fault = self.faults.lock().unwrap().pop_front();
        match fault {
            None => call.await,
            Some(Fault::NotExecuted) => Err(Error::unavailable("injected")),
            Some(Fault::RequestLost) => Err(Error::unknown("injected")),
            Some(Fault::AnswerLost) => {
                call.await?;
                Err(Error::unknown("injected"))
            }
        }
    }
}

#[async_trait]
impl OrderService for Faulty {
    async fn purchase(&self, id: OrderId, lines: Lines) -> Result<Receipt> {
        self.keyed(self.orders.purchase(id, lines)).await
    }

    async fn cancel(&self, id: OrderId) -> Result<Receipt> {
        self.keyed(self.orders.cancel(id)).await
    }

    async fn change(&self, id: OrderId, action: OrderAction, by: Option<Actor>) -> Result<Receipt> {
        self.keyed(self.orders.change(id, action, by)).await
    }

    async fn order(&self, id: OrderId) -> Result<Order> {
        let mut order = self.orders.order(id).await?;
        if self.stale.load(Ordering::SeqCst) {
            (order.status, order.cancelled_at) = (Status::Placed, None);
        }
        Ok(order)
    }

    async fn orders(&self, query: OrderQuery) -> Result<OrderPage> {
        self.orders.orders(query).await
    }

    async fn contact(&self, id: OrderId) -> Result<Option<Contact>> {
        self.orders.contact(id).await
    }
}

#[async_trait]
impl CatalogService for Faulty {
    async fn search(&self, query: Query) -> Result<BookPage> {
        self.catalog.search(query).await
    }

    async fn topics(&self, query: TopicQuery) -> Result<TopicPage> {
        if self.blind.load(Ordering::SeqCst) {
            return Err(Error::overloaded("injected"));
        }
        self.catalog.topics(query).await
    }

    async fn info(&self, book: BookId) -> Result<Book> {
        if self.blind.load(Ordering::SeqCst) {
            return Err(Error::unavailable("injected"));
        }
        self.catalog.info(book).await
    }

    async fn sell(&self, order: OrderId, lines: Lines) -> Result<Receipt> {
        self.catalog.sell(order, lines).await
    }

    async fn release(&self, order: OrderId) -> Result<Receipt> {
        self.catalog.release(order).await
    }

    async fn change_order(&self, order: OrderId, action: OrderAction, by: Option<Actor>) -> Result<Receipt> {
        self.catalog.change_order(order, action, by).await
    }

    async fn amend(&self, book: BookId, change: Amend, key: Option<OrderId>, by: Option<Actor>) -> Result<Book> {
        self.keyed(self.catalog.amend(book, change, key, by)).await
    }

    async fn add_books(&self, books: Vec<NewBook>, by: Option<Actor>) -> Result<Vec<Added>> {
        self.keyed(self.catalog.add_books(books, by)).await
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

/// A running shop, and a visitor.
pub(crate) struct Visit {
    pub(crate) addr: SocketAddr,
    pub(crate) browser: Browser,
    /// The same services without the web around them.
    pub(crate) services: Arc<Faulty>,
}

impl Visit {
    /// A shop with these books and an admin token.
    pub(crate) async fn to(books: Vec<NewBook>) -> Self {
        Self::with(books, Some(AccessToken::new(TOKEN).unwrap())).await
    }

    pub(crate) async fn with(books: Vec<NewBook>, token: Option<AccessToken>) -> Self {
        Self::start(books, token, ContactRule::default(), Currency::USD).await
    }

    /// A shop in this currency.
    pub(crate) async fn in_currency(books: Vec<NewBook>, code: &str) -> Self {
        let token = Some(AccessToken::new(TOKEN).unwrap());
        Self::start(books, token, ContactRule::default(), code.parse().unwrap()).await
    }

    /// A shop that asks for contacts, or not.
    pub(crate) async fn asking(books: Vec<NewBook>, contacts: ContactRule) -> Self {
        Self::start(books, None, contacts, Currency::USD).await
    }

    async fn start(books: Vec<NewBook>, token: Option<AccessToken>, contacts: ContactRule, currency: Currency) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let (store, reader) = memory::open_in(currency, clock.as_ref());
        let options = CatalogOptions { contacts, ..CatalogOptions::default() };
        let catalog = Catalog::start(store, reader.clone(), reader, Arc::clone(&clock), options).unwrap();
        let catalog = Arc::new(catalog);
        let orders = Orders::new(catalog.clone(), catalog.clone());
        let services = Arc::new(Faulty {
            catalog,
            orders,
            faults: Mutex::default(),
            blind: AtomicBool::new(false),
            stale: AtomicBool::new(false),
        });
        services.catalog.add_books(books, None).await.unwrap();
        let shop = Shop::new(services.clone(), services.clone(), clock, token);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        // The test's runtime ends the server.
        tokio::spawn(server::serve(
            server::tcp(listener),
            pages::service(shop, Router::new()),
            ServerLimits::default(),
            std::future::pending::<()>(),
        ));
        Self { addr, browser: Browser::new(addr), services }
    }

    pub(crate) async fn stock(&self, book: u64) -> u32 {
        self.services.catalog.info(BookId(book)).await.unwrap().stock
    }

    pub(crate) async fn restock(&self, book: u64, delta: i64) {
        self.services.catalog.amend(BookId(book), Amend::StockDelta { delta }, None, None).await.unwrap();
    }

    pub(crate) async fn reprice(&self, book: u64, cents: u64) {
        let price_cents = Some(Cents::new(cents).unwrap());
        let change = Amend::Set { price_cents, stock: None, version: None };
        self.services.catalog.amend(BookId(book), change, None, None).await.unwrap();
    }

    pub(crate) async fn orders(&self) -> Vec<Order> {
        self.services
            .orders(OrderQuery { page_size: Some(100), page_token: None, ..OrderQuery::default() })
            .await
            .unwrap()
            .orders
    }
}

pub(crate) fn book(title: &str, topic: &str, price_cents: u64, stock: u32) -> NewBook {
    let text = BookText {
        title: title.into(),
        authors: vec!["Ann Author".into()],
        topic: topic.into(),
        ..BookText::default()
    };
    NewBook { text, price_cents: cents(price_cents), stock }
}

/// One book, number 1, of which there are ten.
pub(crate) fn one_book() -> Vec<NewBook> {
    vec![book("Queues and Quays", "distributed systems", 1999, 10)]
}
