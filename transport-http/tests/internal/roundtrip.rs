//! Over HTTP every call says what it says directly.

use crate::support::*;
use async_trait::async_trait;
use bookstore_core::{
    Actor, Added, Amend, Book, BookId, BookPage, CatalogService, Cents, Contact, Entries, Error, Executed, Line, Lines,
    Order, OrderAction, OrderId, OrderQuery, OrderService, Orders, Query, Receipt, Result, Seq, Sort, Status,
    TopicPage, TopicQuery, TopicSort, book::NewBook, follow::Follower, orders::Ack, store::memory::MemoryCopy,
};
use bookstore_transport_http::{
    client::ClientOptions,
    internal::InternalOptions,
    internal::catalog::{self, RemoteCatalog},
    internal::orders::{self, RemoteOrders},
    server::ServerLimits,
    token::AccessToken,
};
use std::{sync::Arc, time::Duration};

#[tokio::test]
async fn a_purchase_goes_through_three_servers_and_back() {
    let shop = shop(&[5, 1]).await;
    let catalog_server = catalog_server(shop.clone()).await;
    let catalog: Arc<dyn CatalogService> = Arc::new(remote(&[catalog_server.url()]));
    let follower = Follower::start(Arc::clone(&catalog), Arc::new(MemoryCopy::new())).await.unwrap();
    let followed = follower.followed();
    let ack = Ack::Copied { wait: PATIENCE };
    let service = Orders::new(Arc::clone(&catalog), Arc::new(follower)).acknowledge(ack, followed);
    let router = orders::router(Arc::new(service), None, InternalOptions::default());
    let order_server = serve(router, ServerLimits::default()).await;
    let orders = RemoteOrders::new(client(&[order_server.url()], ClientOptions::default()));

    let id = order_id();
    let lines = Lines::new([Line::new(BookId(1), 2), Line::new(BookId(2), 1)]).unwrap();
    let bought = orders.purchase(id, lines.clone()).await.unwrap();
    assert!(!bought.replayed);
    assert_eq!((bought.order.id, bought.order.total_cents.get()), (id, 3 * 1999));
    let again = orders.purchase(id, lines).await.unwrap();
    assert_eq!((again.replayed, &again.order), (true, &bought.order));
    assert_eq!(orders.order(id).await.unwrap(), bought.order);
    let page = orders.orders(OrderQuery::default()).await.unwrap();
    assert_eq!(page.orders, std::slice::from_ref(&bought.order));
    assert_eq!(orders.purchase(id, one(1, 1)).await, Err(Error::OrderIdReused { order: id }));
    let sold_out = orders.purchase(order_id(), one(2, 1)).await;
    assert_eq!(sold_out, Err(Error::OutOfStock { book: BookId(2), available: 0, short: Vec::new() }));
    assert_eq!(catalog.info(BookId(1)).await.unwrap().stock, 3);

    let cancelled = orders.cancel(id).await.unwrap();
    assert_eq!((cancelled.replayed, cancelled.order.status), (false, Status::Cancelled));
    assert!(orders.cancel(id).await.unwrap().replayed);
    assert_eq!(catalog.info(BookId(1)).await.unwrap().stock, 5);
    let stranger = order_id();
    assert_eq!(orders.cancel(stranger).await, Err(Error::OrderNotFound { order: stranger }));
    assert_eq!(orders.order(stranger).await, Err(Error::OrderNotFound { order: stranger }));
    assert_eq!(under(&shop, id).await, 2);
}

#[tokio::test]
async fn every_catalog_call_answers_as_it_does_directly() {
    let direct = shop(&[5, 7]).await;
    let server = catalog_server(direct.clone()).await;
    let remote = remote(&[server.url()]);
    let mut odd = book("Ünï \"quoted\" \\ 本", 3);
    odd.text.isbn = Some("9780306406157".parse().unwrap());
    odd.text.subjects = vec!["a & b".into()];

    let listed = remote.add_books(vec![odd.clone(), book("Book 1", 99)], None).await.unwrap();
    assert_eq!(listed.iter().map(|l| (l.id.0, l.created)).collect::<Vec<_>>(), [(3, true), (1, false)]);
    for id in [1, 3] {
        assert_eq!(remote.info(BookId(id)).await.unwrap(), direct.info(BookId(id)).await.unwrap());
    }
    assert_eq!(remote.info(BookId(9)).await, Err(Error::BookNotFound { book: BookId(9) }));
    let topics = TopicQuery { sort: TopicSort::Books, page_size: Some(1), page_token: None };
    let page = remote.topics(topics.clone()).await.unwrap();
    assert_eq!(page, direct.topics(topics.clone()).await.unwrap());
    let topics = TopicQuery { page_token: page.next_page_token, ..topics };
    assert_eq!(remote.topics(topics.clone()).await, direct.topics(topics).await);

    let mut query = Query { page_size: Some(2), sort: Sort::Title, ..Query::topic("testing") };
    let page = remote.search(query.clone()).await.unwrap();
    assert_eq!(page, direct.search(query.clone()).await.unwrap());
    query.page_token = page.next_page_token;
    assert_eq!(remote.search(query).await.unwrap().books.len(), 1);
    let long = Query::words("本".repeat(Query::TEXT_MAX));
    assert_eq!(remote.search(long.clone()).await, direct.search(long).await);
    let bad = Query { page_token: Some("?x=1&y#".into()), ..Query::default() };
    assert_eq!(remote.search(bad.clone()).await, direct.search(bad).await);

    let id = order_id();
    let sold = remote.sell(id, one(1, 2)).await.unwrap();
    assert_eq!(remote.find_order(id).await.unwrap(), sold.order);
    let key = order_id();
    let restock = Amend::StockDelta { delta: 4 };
    let restocked = remote.amend(BookId(1), restock.clone(), Some(key), None).await.unwrap();
    assert_eq!(restocked.stock, 7);
    assert_eq!(remote.amend(BookId(1), restock.clone(), Some(key), None).await.unwrap().stock, 7, "once per key");
    assert_eq!(remote.amend(BookId(1), restock, None, None).await.unwrap().stock, 11);
    let version = Some(restocked.version);
    let set = Amend::Set { price_cents: Some(Cents::new(5).unwrap()), stock: Some(1), version };
    assert!(matches!(remote.amend(BookId(1), set, None, None).await, Err(Error::VersionMismatch { .. })));
    assert_eq!(
        remote.entries(Seq(1), 3, Duration::ZERO).await.unwrap(),
        direct.entries(Seq(1), 3, Duration::ZERO).await.unwrap()
    );
    assert_eq!(remote.release(id).await.unwrap().order.status, Status::Cancelled);
}

#[tokio::test]
async fn a_long_poll_wakes_up_with_the_next_entry_and_may_outlast_the_deadline() {
    let shop = shop(&[5]).await;
    let limits = ServerLimits { request_deadline: Duration::from_millis(100), ..ServerLimits::default() };
    let server = serve(catalog::router(shop.clone(), InternalOptions::default()), limits).await;
    let remote = Arc::new(remote(&[server.url()]));
    let nothing = remote.entries(Seq(1), 10, Duration::from_millis(300)).await.unwrap();
    assert_eq!((nothing.head, nothing.entries.len()), (Seq(1), 0));
    let poll = tokio::spawn({
        let remote = Arc::clone(&remote);
        async move { remote.entries(Seq(1), 10, PATIENCE).await.unwrap() }
    });
    while server.requests() < 2 {
        tokio::task::yield_now().await;
    }
    let sold = shop.sell(order_id(), one(1, 1)).await.unwrap();
    assert_eq!(poll.await.unwrap().entries.last().unwrap().seq, sold.order.seq);
}

#[tokio::test]
async fn long_lists_and_large_orders_fit() {
    let shop = shop(&[]).await;
    let server = catalog_server(shop.clone()).await;
    let remote = remote(&[server.url()]);
    // 1000 books of some 6 KB each: more than the server takes at once.
    let books = |n: usize| {
        let mut new = book(&format!("{n}"), 1000);
        new.text.subjects = vec!["x".repeat(200); 30];
        new
    };
    let listed = remote.add_books((0..1000).map(books).collect(), None).await.unwrap();
    assert_eq!(listed.iter().map(|listed| listed.id.0).collect::<Vec<_>>(), (1..=1000).collect::<Vec<_>>());
    assert!(server.requests() > 1);
    let bad = (0..1000).map(|n| NewBook { stock: if n == 999 { u32::MAX } else { 1 }, ..books(2000 + n) }).collect();
    let before = server.requests();
    assert!(matches!(remote.add_books(bad, None).await, Err(Error::Invalid { .. })));
    assert_eq!(server.requests(), before, "a bad book means that none is sent");

    let lines = Lines::new((1..=100).map(|n| Line::new(BookId(n), 1))).unwrap();
    futures_util::future::join_all((0..300).map(|_| remote.sell(order_id(), lines.clone()))).await;
    let mut seq = Seq(1000);
    let mut pages = 0;
    loop {
        let page = remote.entries(seq, 1000, Duration::ZERO).await.unwrap();
        let Some(last) = page.entries.last() else { break };
        assert_eq!(page.entries.first().unwrap().seq, seq.next(), "no gaps");
        (seq, pages) = (last.seq, pages + 1);
    }
    assert_eq!((seq, pages), (Seq(1300), 4), "no page has more than 8,000 changes");
}

#[tokio::test]
async fn a_token_opens_what_it_guards_and_nothing_else_does() {
    let token = |text: &str| AccessToken::new(&text.repeat(32)).unwrap();
    let options = InternalOptions { token: Some(token("a")), ..InternalOptions::default() };
    let server = serve(catalog::router(shop(&[5]).await, options), ServerLimits::default()).await;
    let with = |token| RemoteCatalog::new(client(&[server.url()], ClientOptions { token, ..ClientOptions::default() }));
    let right = with(Some(token("a")));
    right.sell(order_id(), one(1, 1)).await.unwrap();
    right.info(BookId(1)).await.unwrap();
    // Inside a server it is not the buyer who shows a wrong token.
    let options =
        ClientOptions { token: Some(token("b")), hides_unauthorized: true, retries_max: 2, ..ClientOptions::default() };
    let inside = RemoteCatalog::new(client(&[server.url()], options));
    let errors = [inside.sell(order_id(), one(1, 1)).await.unwrap_err(), inside.info(BookId(1)).await.unwrap_err()];
    for error in errors {
        assert!(matches!(&error, Error::Unavailable { message } if message.contains("token")), "{error}");
    }
    for wrong in [with(None), with(Some(token("b")))] {
        let unauthorized = wrong.sell(order_id(), one(1, 1)).await.unwrap_err();
        assert!(matches!(unauthorized, Error::Unauthorized { .. }), "{unauthorized}");
        assert!(matches!(wrong.info(BookId(1)).await, Err(Error::Unauthorized { .. })));
    }
    assert_eq!(right.info(BookId(1)).await.unwrap().stock, 4);
    assert_eq!(status(&get(server.addr, "/livez").await), 200);
    assert!(get(server.addr, "/v1/topics").await.contains("www-authenticate: Bearer"));
}

/// Answers every call with the same error.
struct Refusing(Error);

#[async_trait]
impl CatalogService for Refusing {
    async fn search(&self, _: Query) -> Result<BookPage> {
        Err(self.0.clone())
    }
    async fn topics(&self, _: TopicQuery) -> Result<TopicPage> {
        Err(self.0.clone())
    }
    async fn info(&self, _: BookId) -> Result<Book> {
        Err(self.0.clone())
    }
    async fn sell(&self, _: OrderId, _: Lines) -> Result<Receipt> {
        Err(self.0.clone())
    }
    async fn release(&self, _: OrderId) -> Result<Receipt> {
        Err(self.0.clone())
    }
    async fn change_order(&self, _: OrderId, _: OrderAction, _: Option<Actor>) -> Result<Receipt> {
        Err(self.0.clone())
    }
    async fn amend(&self, _: BookId, _: Amend, _: Option<OrderId>, _: Option<Actor>) -> Result<Book> {
        Err(self.0.clone())
    }
    async fn add_books(&self, _: Vec<NewBook>, _: Option<Actor>) -> Result<Vec<Added>> {
        Err(self.0.clone())
    }
    async fn entries(&self, _: Seq, _: usize, _: Duration) -> Result<Entries> {
        Err(self.0.clone())
    }
    async fn find_order(&self, _: OrderId) -> Result<Order> {
        Err(self.0.clone())
    }

    async fn find_contact(&self, _: OrderId) -> Result<Option<Contact>> {
        Err(self.0.clone())
    }
}

fn every_error() -> Vec<Error> {
    let (book, order, message) = (BookId(u64::MAX), order_id(), "tëxt \"here\"".to_owned());
    vec![
        Error::OutOfStock { book, available: 3, short: Vec::new() },
        Error::BookNotFound { book },
        Error::OrderNotFound { order },
        Error::OrderIdReused { order },
        Error::PriceChanged { book, price_cents: Cents::MAX },
        Error::VersionMismatch { book, version: Seq(u64::MAX) },
        Error::VersionRequired,
        Error::invalid("lines", message.clone()),
        Error::malformed(message.clone()),
        Error::Unauthorized { message: message.clone() },
        Error::overloaded(message.clone()),
        Error::unavailable(message.clone()),
        Error::DeadlineExpired { message: message.clone() },
        Error::unknown(message),
    ]
}

#[tokio::test]
async fn every_error_comes_back_as_it_was() {
    for error in every_error() {
        let server = catalog_server(Arc::new(Refusing(error.clone()))).await;
        let options = ClientOptions { retries_max: 0, ..ClientOptions::default() };
        let remote = RemoteCatalog::new(client(&[server.url()], options));
        assert_eq!(remote.sell(order_id(), one(1, 1)).await, Err(error.clone()), "in a batch");
        let restock = Amend::StockDelta { delta: 1 };
        assert_eq!(remote.amend(BookId(1), restock, None, None).await, Err(error.clone()), "as a problem");
        let read = remote.info(BookId(1)).await.unwrap_err();
        match error.executed() {
            Executed::No => assert_eq!(read, error),
            Executed::Unknown => assert_eq!(read.executed(), Executed::No, "a read is never executed"),
        }
    }
}
