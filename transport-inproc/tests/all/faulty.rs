//! The faults: each does what it says, and none breaks a promise.

use async_trait::async_trait;
use bookstore_core::{
    Actor, Amend, BookId, Catalog, CatalogService, Clock as _, Contact, Error, Executed, Lines, ManualClock, Order,
    OrderAction, OrderId, OrderPage, OrderQuery, OrderService, Orders, Query, Receipt, Result, Status,
    audit::Summary,
    conformance::{self, Deployment},
    fixtures::{any_book, lines, order_id},
    writer::Execution,
};
use bookstore_transport_inproc::{Faults, Faulty, Rates};
use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::{catalog, monolith};

const SHORT: Duration = Duration::from_millis(5);

fn one() -> Lines {
    lines(&[(1, 1)])
}

/// Sends a call with a key until its outcome is known, as a client does.
async fn until_known<T, F: Future<Output = Result<T>>>(call: impl Fn() -> F) -> Result<T> {
    for _ in 0..1000 {
        match call().await {
            Err(error) if error.may_retry(true) => {}
            known => return known,
        }
    }
    panic!("a thousand tries met a fault");
}

/// The last answers to buyers: the status of each order, if there is one.
type Answers = Vec<(OrderId, Option<Status>)>;

/// Buys with retries, and cancels every fifth order.
async fn buyer(orders: Arc<dyn OrderService>, n: u32) -> (OrderId, Option<Status>) {
    let id = order_id();
    match until_known(|| orders.purchase(id, one())).await {
        Ok(Receipt { order, .. }) if n.is_multiple_of(5) => {
            let cancelled = until_known(|| orders.cancel(order.id)).await.expect("an order can be cancelled");
            (id, Some(cancelled.order.status))
        }
        Ok(Receipt { order, .. }) => (id, Some(order.status)),
        Err(Error::OutOfStock { .. }) => (id, None),
        Err(other) => panic!("{other:?}"),
    }
}

/// 200 buyers of 120 copies, with faults on both hops: from the buyer to the order service, and from there to the
/// catalogue. Returns the catalogue, and the last answer to each buyer.
async fn rush(rates: Rates) -> (Arc<Catalog>, Answers) {
    let catalog = catalog(|store| store, Execution::Threads);
    catalog.add_books(vec![any_book(120)], None).await.expect("listed");
    let between = Arc::new(Faulty::new(catalog.clone(), rates, 1));
    let orders = Orders::new(between.clone(), catalog.clone());
    let network = Arc::new(Faulty::new(Arc::new(orders), rates, 2));
    let buyers = (0..200).map(|n| {
        let orders: Arc<dyn OrderService> = network.clone();
        tokio::spawn(buyer(orders, n))
    });
    let mut answers = Vec::new();
    for buyer in buyers.collect::<Vec<_>>() {
        answers.push(buyer.await.expect("no panic"));
    }
    network.settled().await;
    between.settled().await;
    for faults in [between.faults(), network.faults()] {
        let Faults { calls, overloaded, requests_lost, replies_lost, duplicated, delayed } = faults;
        let struck = [calls, overloaded, requests_lost, replies_lost, delayed];
        let all = struck.iter().all(|count| *count > 0) && (duplicated > 0) == (rates.duplicated > 0.0);
        assert!(all, "a run that did not meet every fault proves nothing: {faults:?}");
    }
    (catalog, answers)
}

async fn audit(catalog: &Arc<Catalog>) -> Summary {
    let orders = Orders::new(catalog.clone(), catalog.clone());
    let summary = conformance::audit(&Deployment::new(catalog.clone(), Arc::new(orders))).await;
    assert!(summary.returns > 0 && summary.sales > 100, "{summary:?}");
    summary
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_through_a_bad_network_buy_exactly_once() {
    let (catalog, answers) = rush(Rates { duplicated: 0.0, ..Rates::all(0.1, SHORT) }).await;
    let standing = answers.iter().filter(|(_, status)| *status == Some(Status::Placed)).count() as u64;
    let summary = audit(&catalog).await;
    assert_eq!((summary.copies_sold, summary.sales - summary.returns), (standing, standing));
    assert_eq!(catalog.info(BookId(1)).await.map(|book| u64::from(book.stock)), Ok(120 - standing));
}

/// A duplicate of a refused purchase may find a copy that a cancellation has put back meanwhile. Then the order exists, once,
/// and every later call with its id shows it.
#[tokio::test(flavor = "multi_thread")]
async fn duplicates_never_buy_twice_or_undo_what_was_answered() {
    let (catalog, answers) = rush(Rates::all(0.1, SHORT)).await;
    let mut standing = 0;
    for (id, answered) in answers {
        let found = catalog.find_order(id).await.ok().map(|order| order.status);
        assert!(answered.is_none() || answered == found, "{id} was answered as {answered:?}, but is {found:?}");
        standing += u64::from(found == Some(Status::Placed));
    }
    assert_eq!(audit(&catalog).await.copies_sold, standing);
}

/// A shop with five copies of a book: the service itself, and the same service behind a network.
async fn shop(rates: Rates) -> (Arc<dyn CatalogService>, Faulty<dyn CatalogService>) {
    let (catalog, _) = monolith(catalog(|store| store, Execution::Task));
    catalog.add_books(vec![any_book(5)], None).await.expect("listed");
    (Arc::clone(&catalog), Faulty::new(catalog, rates, 7))
}

async fn stock(catalog: &Arc<dyn CatalogService>) -> u32 {
    catalog.info(BookId(1)).await.expect("listed").stock
}

#[tokio::test(start_paused = true)]
async fn each_fault_does_what_it_says() {
    let (behind, network) = shop(Rates { overloaded: 1.0, ..Rates::default() }).await;
    assert!(matches!(network.sell(order_id(), one()).await, Err(Error::Overloaded { .. })));
    assert_eq!((stock(&behind).await, network.faults().overloaded), (5, 1));

    let (behind, network) = shop(Rates { request_lost: 1.0, delay_max: SHORT, ..Rates::default() }).await;
    assert_eq!(network.sell(order_id(), one()).await.expect_err("lost").executed(), Executed::Unknown);
    assert!(matches!(network.search(Query::default()).await, Err(Error::Unavailable { .. })));
    assert_eq!((stock(&behind).await, network.faults().requests_lost), (5, 2));

    let (behind, network) = shop(Rates { reply_lost: 1.0, ..Rates::default() }).await;
    let order = order_id();
    assert_eq!(network.sell(order, one()).await.expect_err("lost").executed(), Executed::Unknown);
    let unkeyed = network.amend(BookId(1), Amend::StockDelta { delta: 10 }, None, None).await;
    assert_eq!(unkeyed.expect_err("lost").executed(), Executed::Unknown);
    assert_eq!((stock(&behind).await, network.faults().replies_lost), (14, 2));
    network.set_rates(Rates::default());
    assert_eq!(network.sell(order, one()).await.map(|receipt| receipt.replayed), Ok(true), "healed");

    let (behind, network) = shop(Rates { delayed: 1.0, delay_max: SHORT, ..Rates::default() }).await;
    let started = tokio::time::Instant::now();
    network.sell(order_id(), one()).await.expect("late, but there");
    assert!((Duration::ZERO..=SHORT).contains(&started.elapsed()) && !started.elapsed().is_zero());
    assert_eq!((stock(&behind).await, network.faults().delayed), (4, 1));
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_arrives_after_what_came_later() {
    let (behind, network) = shop(Rates { duplicated: 1.0, delay_max: SHORT, ..Rates::default() }).await;
    let order = order_id();
    assert_eq!(network.sell(order, one()).await.map(|receipt| receipt.replayed), Ok(false));
    // Cancelled behind the network's back, before the duplicate of the purchase arrives.
    behind.release(order).await.expect("released");
    network.settled().await;
    assert_eq!(stock(&behind).await, 5, "a duplicate does not buy again");
    network.amend(BookId(1), Amend::StockDelta { delta: 10 }, None, None).await.expect("a restock");
    network.settled().await;
    assert_eq!((stock(&behind).await, network.faults().duplicated), (15, 1), "what has no key is never sent again");
}

#[tokio::test(start_paused = true)]
async fn many_calls_are_one_message() {
    let many = || vec![(order_id(), one()), (order_id(), one())];
    let (behind, network) = shop(Rates { reply_lost: 1.0, ..Rates::default() }).await;
    let answers = network.sell_many(many()).await;
    assert!(answers.len() == 2 && answers.iter().all(|answer| matches!(answer, Err(Error::OutcomeUnknown { .. }))));
    assert_eq!((stock(&behind).await, network.faults().replies_lost), (3, 1));

    let network = Faulty::new(Arc::clone(&behind), Rates { duplicated: 1.0, delay_max: SHORT, ..Rates::default() }, 7);
    let sales = many();
    assert_eq!(network.sell_many(sales.clone()).await.iter().flatten().count(), 2);
    network.settled().await;
    assert_eq!((stock(&behind).await, network.faults().duplicated), (1, 1), "duplicates do not buy again");
}

/// Refuses every purchase as unavailable while the flag is set.
struct Closed(Arc<dyn OrderService>, AtomicBool);

#[async_trait]
impl OrderService for Closed {
    async fn purchase(&self, id: OrderId, lines: Lines) -> Result<Receipt> {
        if self.1.load(Ordering::SeqCst) {
            return Err(Error::unavailable("closed"));
        }
        self.0.purchase(id, lines).await
    }

    async fn cancel(&self, id: OrderId) -> Result<Receipt> {
        self.0.cancel(id).await
    }

    async fn change(&self, id: OrderId, action: OrderAction, by: Option<Actor>) -> Result<Receipt> {
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

/// A call that was answered as not executed must not execute later.
#[tokio::test(start_paused = true)]
async fn what_was_not_executed_does_not_arrive_again() {
    let (catalog, orders) = monolith(catalog(|store| store, Execution::Task));
    catalog.add_books(vec![any_book(5)], None).await.expect("listed");
    let closed = Arc::new(Closed(orders, AtomicBool::new(true)));
    let rates = Rates { duplicated: 1.0, delay_max: SHORT, ..Rates::default() };
    let network = Faulty::new(Arc::clone(&closed), rates, 7);
    network.purchase(order_id(), one()).await.expect_err("closed");
    let answers = network.purchase_many(vec![(order_id(), one())]).await;
    assert_eq!(answers, [Err(Error::unavailable("closed"))]);
    closed.1.store(false, Ordering::SeqCst);
    network.settled().await;
    assert_eq!(stock(&catalog).await, 5);
}

/// Calls one after another through a bad network, and their outcomes.
async fn trace(seed: u64) -> (Vec<String>, Faults) {
    let clock = ManualClock::default();
    let (catalog, orders) = monolith(catalog(|store| store, Execution::Task));
    catalog.add_books(vec![any_book(30)], None).await.expect("listed");
    let network = Faulty::new(orders, Rates::all(0.15, SHORT), seed);
    let mut outcomes = Vec::new();
    let started = tokio::time::Instant::now();
    for _ in 0..100 {
        let outcome = network.purchase(clock.new_order_id(), one()).await;
        outcomes.push(format!("{:?} {:?}", outcome.map(|receipt| receipt.replayed), started.elapsed()));
    }
    (outcomes, network.faults())
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_meets_the_same_faults() {
    let first = trace(11).await;
    assert_eq!(trace(11).await, first);
    assert_ne!(trace(12).await, first);
}
