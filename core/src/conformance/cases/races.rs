//! Many calls at once. Each case starts its calls behind a barrier.
//!
//! A race may pass by luck: these cases find a wrong implementation only if its threads meet. They are no proof; run
//! them often, and see the history checker, `bookstore_core::check`, for runs of any length. No case depends on a time,
//! so none fails on a slow machine.

use futures_util::future::join_all;
use std::{future::Future, sync::Arc};

use crate::{
    book::{Amend, BookId},
    conformance::deployment::Deployment,
    error::{Error, Result},
    fixtures::{lines, order_id},
    ledger::{Kind, Seq},
    order::{Receipt, Status},
};

/// Runs `count` tasks at once and returns their answers. They begin together, when the last of them is ready.
async fn at_once<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    d: &Deployment,
    count: u32,
    task: impl Fn(Deployment, u32) -> F,
) -> Vec<T> {
    let barrier = Arc::new(tokio::sync::Barrier::new(count as usize));
    let tasks = (0..count).map(|n| {
        let (barrier, task) = (Arc::clone(&barrier), task(d.clone(), n));
        tokio::spawn(async move {
            barrier.wait().await;
            task.await
        })
    });
    join_all(tasks.collect::<Vec<_>>()).await.into_iter().map(|done| done.expect("no panic")).collect()
}

fn is_out_of_stock(outcome: &Result<Receipt>) -> bool {
    matches!(outcome, Err(Error::OutOfStock { .. }))
}

/// Of 64 buyers of ten copies, ten buy and 54 are refused as out of stock.
///
/// An implementation that looks at the stock and takes the copies in two steps sells more than ten here, most of the
/// time.
pub(super) async fn sell_exactly_the_stock(d: Deployment) {
    let book = d.add_book(10).await;
    let outcomes = at_once(&d, 64, move |d, _| async move { d.buy(book, 1).await }).await;
    let sold = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let refused = outcomes.iter().filter(|outcome| is_out_of_stock(outcome)).count();
    assert_eq!((sold, refused), (10, 54), "{outcomes:?}");
    let (_, entries) = d.entries(Seq(1)).await;
    assert_eq!((d.stock(book).await, entries.len()), (0, 10));
}

/// Of 32 purchases with one id, one buys, and all are answered with the same order.
///
/// An implementation that looks for the id before it takes its lock sells several times. None of the calls may be
/// refused: each is a retry of the others.
pub(super) async fn with_one_id_buy_once(d: Deployment) {
    let book = d.add_book(10).await;
    let order = order_id();
    let outcomes =
        at_once(&d, 32, move |d, _| async move { d.orders.purchase(order, lines(&[(book, 3)])).await }).await;
    let receipts: Vec<Receipt> =
        outcomes.into_iter().collect::<Result<_>>().expect("each call is answered with the order");
    assert!(receipts.iter().all(|receipt| receipt.order == receipts[0].order));
    let first = receipts.iter().filter(|receipt| !receipt.replayed).count();
    assert_eq!(first, usize::from(!d.repeats), "one of them bought it");
    assert_eq!((d.stock(book).await, d.head().await), (7, Seq(2)));
}

/// Of purchases with one id and four different quantities, those with the quantity that was bought are answered with
/// the order, and the others are [`Error::OrderIdReused`].
///
/// Whichever comes first decides what the id stands for. The order and the stock must agree with it.
pub(super) async fn with_one_id_and_other_lines_buy_one_of_them(d: Deployment) {
    let book = d.add_book(10).await;
    let order = order_id();
    let buy = move |d: Deployment, n| async move { d.orders.purchase(order, lines(&[(book, n % 4 + 1)])).await };
    let outcomes = at_once(&d, 32, buy).await;
    let bought = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let refused = outcomes.iter().filter(|outcome| matches!(outcome, Err(Error::OrderIdReused { .. }))).count();
    assert_eq!((bought, refused), (8, 24), "{outcomes:?}");
    let quantity = d.orders.order(order).await.expect("one of them").lines[0].quantity;
    assert_eq!((d.stock(book).await, d.head().await), (10 - quantity, Seq(2)));
}

/// Orders over the same books in different orders do not wait for each other for ever, and none of them sells a part.
///
/// An implementation with a lock for each book must take the locks in one order for all calls.
pub(super) async fn over_many_books_in_any_order_do_not_deadlock(d: Deployment) {
    let books: Arc<[BookId]> = d.add_equal_books(6, 12).await.into();
    let shared = Arc::clone(&books);
    let buy = move |d: Deployment, n: u32| {
        let mut wanted: Vec<(BookId, u32)> = shared.iter().map(|book| (*book, 1)).collect();
        wanted.rotate_left(n as usize % 6);
        if n.is_multiple_of(2) {
            wanted.reverse();
        }
        async move { d.orders.purchase(order_id(), lines(&wanted)).await }
    };
    let outcomes = at_once(&d, 30, buy).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 12);
    assert_eq!(outcomes.iter().filter(|outcome| is_out_of_stock(outcome)).count(), 18);
    for book in books.iter() {
        assert_eq!(d.stock(*book).await, 0);
    }
}

/// Of 32 cancellations of one order, one returns the copies.
///
/// The same race as for purchases with one id: the second return would create copies.
pub(super) async fn of_cancels_return_once(d: Deployment) {
    let book = d.add_book(10).await;
    let order = d.buy(book, 4).await.expect("there are ten").order.id;
    let outcomes = at_once(&d, 32, move |d, _| async move { d.orders.cancel(order).await }).await;
    let receipts: Vec<Receipt> =
        outcomes.into_iter().collect::<Result<_>>().expect("each call is answered with the order");
    assert!(receipts.iter().all(|receipt| receipt.order.status == Status::Cancelled));
    let first = receipts.iter().filter(|receipt| !receipt.replayed).count();
    assert_eq!(first, usize::from(!d.repeats), "one of them cancelled it");
    assert_eq!((d.stock(book).await, d.head().await), (10, Seq(3)));
}

/// Of 40 restocks, with keys and without, each adds its copies.
///
/// An implementation that reads the stock, adds to it and writes the sum loses those that ran at the same time.
pub(super) async fn of_deltas_lose_none(d: Deployment) {
    let book = d.add_book(0).await;
    let restock = move |d: Deployment, n: u32| async move {
        let (delta, key) = (i64::from(n) + 1, n.is_multiple_of(2).then(order_id));
        d.catalog.amend(book, Amend::StockDelta { delta }, key, None).await
    };
    let outcomes = at_once(&d, 40, restock).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!((d.stock(book).await, d.head().await), (40 * 41 / 2, Seq(41)));
}

/// Of 24 calls that set the stock with the same version, one succeeds.
///
/// The version must be compared and the value set in one step.
pub(super) async fn of_absolute_values_have_one_winner(d: Deployment) {
    let book = d.add_book(0).await;
    let version = Some(d.info(book).await.version);
    let set = move |d: Deployment, n| async move {
        let change = Amend::Set { price_cents: None, stock: Some(n + 1), version };
        d.catalog.amend(book, change, None, None).await
    };
    let outcomes = at_once(&d, 24, set).await;
    let won: Vec<u32> = outcomes.iter().flatten().map(|book| book.stock).collect();
    let lost = outcomes.iter().filter(|outcome| matches!(outcome, Err(Error::VersionMismatch { .. }))).count();
    assert_eq!((won.len(), lost), (1, 23), "{outcomes:?}");
    assert_eq!(d.stock(book).await, won[0]);
}

/// One buyer of the case below: buys, cancels and restocks four times. Returns what it has done to the stock in the
/// end: copies bought and kept as negative numbers, and copies added.
async fn mixed(d: Deployment, books: Arc<[BookId]>, n: u32) -> Vec<(BookId, i64)> {
    let book = |n: u32| books[n as usize % books.len()];
    let mut moved = Vec::new();
    for step in 0..4 {
        let order = order_id();
        let (one, other) = (book(n), book(n + step + 1));
        let wanted = lines(&[(one, 2), (other, 1)]);
        // A second task with the same id: the buyer has pressed the button twice.
        let twin = tokio::spawn({
            let (orders, wanted) = (Arc::clone(&d.orders), wanted.clone());
            async move { orders.purchase(order, wanted).await }
        });
        let outcomes = [d.orders.purchase(order, wanted.clone()).await, twin.await.expect("no panic")];
        for outcome in &outcomes {
            assert!(outcome.is_ok() || is_out_of_stock(outcome), "{outcome:?}");
        }
        let bought = outcomes.iter().any(Result::is_ok);
        if bought && (n + step).is_multiple_of(3) {
            d.orders.cancel(order).await.expect("cancelled");
        } else if bought {
            moved.extend(wanted.iter().map(|line| (line.book, -i64::from(line.quantity))));
        }
        if (n + step).is_multiple_of(5) {
            d.restock(other, 2).await.expect("a restock");
            moved.push((other, 2));
        }
    }
    moved
}

/// Buyers who repeat, cancel and restock at once leave the stock that their answers add up to.
///
/// Each buyer keeps account of its own answers; the sum over all accounts must be the stock. The audit after the case
/// then replays the same from the ledger.
pub(super) async fn of_everything_conserve_stock(d: Deployment) {
    let books: Arc<[BookId]> = d.add_equal_books(3, 20).await.into();
    let shared = Arc::clone(&books);
    let moved = at_once(&d, 24, move |d, n| mixed(d, Arc::clone(&shared), n)).await;
    for book in books.iter() {
        let sum: i64 = moved.iter().flatten().filter(|(moved, _)| moved == book).map(|(_, delta)| delta).sum();
        assert_eq!(i64::from(d.stock(*book).await), 20 + sum, "book {book}");
    }
    let (_, entries) = d.entries(Seq(3)).await;
    assert!(entries.iter().any(|entry| entry.kind == Kind::Return), "some were cancelled");
}
